"""Routes about the API itself: its description, and a page that shows it without any outside host."""

from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from bridge.http.codes import NO_SUCH_ROUTE
from bridge.http.problems import RefusedError
from bridge.http.routing import Access, Answer, Call, Route

ASSETS: Final = MappingProxyType(
    {
        "docs.css": "text/css; charset=utf-8",
        "docs.js": "text/javascript; charset=utf-8",
        "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "swagger-ui.css": "text/css; charset=utf-8",
    }
)
"""What the page loads, with its content type."""

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Everything comes from the bridge itself; images are also those inside of the style sheet."""

_PAGE_HEADERS: Final = MappingProxyType(
    {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Referrer-Policy": "no-referrer"}
)
_ASSET_HEADERS: Final = MappingProxyType({"Cache-Control": "max-age=3600"})


async def openapi(call: Call) -> Answer:
    """Return the API's description."""
    return Answer(call.back.description.written)


async def docs(_: Call) -> Answer:
    """Return the page that shows the description."""
    return Answer(_static("docs.html"), content_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)


async def docs_asset(call: Call) -> Answer:
    """Return something that the page loads."""
    name = call.path["asset"]
    if name not in ASSETS:
        raise RefusedError(NO_SUCH_ROUTE, "The page has no such part.")
    return Answer(_static(name), content_type=ASSETS[name], headers=_ASSET_HEADERS)


@cache
def _static(name: str) -> bytes:
    return (files("bridge.http") / "static" / name).read_bytes()


ROUTES: Final = (
    Route(
        "GET",
        "/openapi.json",
        "This API's description, OpenAPI 3.1",
        openapi,
        {200: bytes},
        Access.PUBLIC,
        described=False,
    ),
    Route("GET", "/docs", "A page that shows it", docs, {200: bytes}, Access.PUBLIC, described=False),
    Route("GET", "/docs/{asset}", "What that page loads", docs_asset, {200: bytes}, Access.PUBLIC, described=False),
)
