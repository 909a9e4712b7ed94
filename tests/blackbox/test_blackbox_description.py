"""The API's description and its page."""

import re
from urllib.parse import urljoin

from tests.blackbox.asking import Asking
from tests.blackbox.world import World

HOURLY = {"every": "1h", "limit": 100}


async def test_the_description_is_valid_and_the_page_loads_nothing_from_outside(made: World) -> None:
    """OpenAPI 3.1 by its own validator; the page and all that it loads name no other host."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    async with Asking(made.bridge) as api:
        assert api.contract is not None
        api.contract.check()
        operations = [one for path in api.contract.description["paths"].values() for one in path.values()]
        assert len({one["operationId"] for one in operations}) == len(operations) >= 35
        for one in operations:
            assert one["summary"]
            assert any(status.startswith("2") for status in one["responses"])
        page = (await api.ask("GET", "/docs", key=None)).raw.decode()
        loaded = re.findall(r"(?:src|href)=[\"']?([^\"'\s>]+)", page)
        assert loaded
        for address in loaded:
            if address.startswith("data:"):
                continue
            assert not re.match(r"(?:[a-z]+:)?//", address), address
            part = await api.ask("GET", urljoin("/docs", address), key=None)
            assert part.status == 200
            if address.endswith(".css"):
                assert not re.search(rb"url\(\s*['\"]?(?:https?:)?//", part.raw)
                assert b"@import" not in part.raw
        policy = (await api.ask("GET", "/docs", key=None)).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert "unsafe" not in policy
