"""The page that shows the API's description: it and all that it loads comes from the bridge itself."""

import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from http_bridge import OPERATOR, Bridge

from bridge.http.routes.description import ASSETS

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Loaded(HTMLParser):
    """Collects what a page loads, and whether it has code or styles of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += (tag == "script" and "src" not in given) + (tag == "style") + ("style" in given)
        self.inline += sum(name.startswith("on") for name in given)
        if tag in {"link", "script", "img", "iframe"}:
            self.addresses.append(given.get("src") or given.get("href") or "")


async def test_the_page_loads_nothing_from_elsewhere(shared: Bridge) -> None:
    """Every part is there, with its content type, and without a key; the page's own text holds no code."""
    answer = await shared.call("GET", "/docs")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page = Loaded()
    page.feed(answer.body.decode())
    assert page.inline == 0
    parts = [address for address in page.addresses if address != "data:,"]
    assert {f"docs/{name}" for name in ASSETS} == set(parts)
    for part in parts:
        loaded = await shared.call("GET", f"/{part}")
        assert (loaded.status, loaded.headers["Content-Type"]) == (200, ASSETS[part.removeprefix("docs/")])
        assert loaded.headers["X-Content-Type-Options"] == "nosniff"


async def test_browsers_are_told_to_load_from_the_bridge_alone(shared: Bridge) -> None:
    policy = (await shared.call("GET", "/docs")).headers["Content-Security-Policy"]
    rules = {name: set(sources) for name, *sources in (rule.split() for rule in policy.split(";"))}
    assert rules["default-src"] == rules["frame-ancestors"] == {"'none'"}
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == {"'self'"}
    assert set().union(*rules.values()) == {"'none'", "'self'", "data:"}


async def test_the_style_sheets_and_our_own_code_name_no_outside_host(shared: Bridge) -> None:
    """But for names of XML dialects. What the library's code names is kept from being loaded by the policy."""
    for name in ("swagger-ui.css", "docs.css", "docs.js"):
        text = (await shared.call("GET", f"/docs/{name}")).body.decode()
        hosts = {host for host in re.findall(r"(?:https?:)?//([\w.-]+)", text) if "." in host}
        assert hosts <= {"www.w3.org", "github.com"}  # a dialect's name, and a comment about a licence
        assert "@import" not in text
        assert {start[:5] for start in re.findall(r"""url\(["']?(.{5})""", text)} <= {"data:"}


@pytest.mark.parametrize("asset", ["nothing.js", "docs.html", "README.md", "..%2Fapi.py", "swagger-ui.LICENSE.txt"])
async def test_nothing_else_of_the_folder_is_served(shared: Bridge, asset: str) -> None:
    answer = await shared.call("GET", f"/docs/{asset}", OPERATOR)
    assert (answer.status, answer.code) == (404, "no_such_route")


async def test_the_library_comes_with_its_version_and_its_licence() -> None:
    folder = files("bridge.http") / "static"
    told = (folder / "README.md").read_text()
    assert re.search(r"Swagger UI \d+\.\d+\.\d+", told)
    for name in re.findall(r"`(\S+\.txt)`", told):
        assert len((folder / name).read_text()) > 20
    assert "Apache License" in (folder / "swagger-ui.LICENSE.txt").read_text()
