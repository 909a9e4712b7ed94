"""The API key goes to the configured origin and nowhere else, however an address for it is spelt."""

import pytest

from connectors.numora.addresses import Addresses
from connectors.numora.sandbox import NumoraSandbox, SandboxDocument

BASE = "https://api.numora.example"
RESULT = f"{BASE}/v1/documents/d/result"


@pytest.mark.parametrize(
    "named",
    [
        "/v1/documents/d/result",
        "https://api.numora.example/v1/documents/d/result",
        "HTTPS://API.Numora.Example/v1/documents/d/result",
        "https://api.numora.example:443/v1/documents/d/result",
    ],
)
def test_our_own_origin_is_known_however_it_is_written(named):
    assert Addresses(BASE).named(named) == RESULT


def test_a_query_that_numora_adds_is_kept():
    assert Addresses(BASE).named("/v1/documents/d/result?version=2&at=a%2Fb") == f"{RESULT}?version=2&at=a%2Fb"


ELSEWHERE = [
    "https://evil.example/v1/documents/d/result",
    "http://api.numora.example/v1/documents/d/result",
    "https://api.numora.example:8443/v1/documents/d/result",
    "https://api.numora.example.evil.example/v1/x",
    "https://evil.example#api.numora.example/v1/x",
    "https://evil.example?api.numora.example/v1/x",
    "https://api.numora.example@evil.example/v1/x",
    "https://user:password@api.numora.example/v1/x",
    "https://api.numora.example:443@evil.example/v1/x",
    "https://evil.example%2Fapi.numora.example/v1/x",
    "https://api.numora.example%00.evil.example/v1/x",
    "https://api.numora.example\\@evil.example/v1/x",
    "https:\\\\evil.example\\v1",
    "https:/evil.example/v1/x",
    "https:evil.example/v1/x",
    "https:///evil.example/v1/x",
    "//evil.example/v1/x",
    "///evil.example/v1/x",
    "/\\evil.example/v1/x",
    "\\\\evil.example/v1/x",
    "/\t/evil.example/v1/x",
    "\t//evil.example",
    " https://evil.example/v1/x",
    "ht\ntps://evil.example/v1/x",
    "https://api.numora.example\n.evil.example/v1/x",
    "https://аpi.numora.example/v1/x",  # noqa: RUF001 - a Cyrillic letter is what this is about
    "https://api。numora。example/v1/x",
    "https://api.numora.example./v1/x",
    "https://[::ffff:10.0.0.1]/v1/x",
    "https://0x7f.1/v1/x",
    "file:///etc/passwd",
    "javascript://api.numora.example/%0aalert(1)",
    "ftp://api.numora.example/v1/x",
    "https://api.numora.example",
    "https://api.numora.example?x",
    "https://api.numora.example:99999999/v1/x",
    "https://api.numora.example:٤٤٣/v1/x",
    "https://api.numora.example//evil.example/x",
    "/v1/documents/../../admin",
    "/v1/%2e%2E/admin",
    "/v1/.%2e/admin",
    "/v1/documents/d/result#fragment",
    "/v1/documents/d/result\r\nX-Injected: 1",
    "/v1/documents/d result",
    "/v1/documents/%zz",
    "v1/documents/d/result",
    "",
]


@pytest.mark.parametrize("named", ELSEWHERE)
def test_any_other_spelling_is_not_used(named):
    assert Addresses(BASE).named(named) is None


@pytest.mark.parametrize("named", ["https://[2001:db8::1]:8443/v1/x", "https://[2001:DB8::1]:8443/v1/x"])
def test_an_ipv6_origin_is_known(named):
    assert Addresses("https://[2001:db8::1]:8443").named(named) == "https://[2001:db8::1]:8443/v1/x"


async def test_the_key_never_reaches_another_server_and_the_document_is_read_all_the_same(numora, source, log, caplog):
    async with NumoraSandbox() as stranger:
        tricks = [
            f"{stranger.url}/v1/documents/{{id}}/result",
            f"//127.0.0.1:{stranger.port}/v1/documents/{{id}}/result",
            f"{numora.url}@127.0.0.1:{stranger.port}/v1/documents/{{id}}/result",
            f"{numora.url}\\@127.0.0.1:{stranger.port}/v1/documents/{{id}}/result",
            f"http:\\\\127.0.0.1:{stranger.port}/v1/documents/{{id}}/result",
            f"/\\127.0.0.1:{stranger.port}/v1/documents/{{id}}/result",
            f"HTTP://127.0.0.1:{stranger.port}#{numora.url}/v1/documents/{{id}}/result",
            f"http://localhost:{stranger.port}/v1/documents/{{id}}/result",
        ]
        for number, trick in enumerate(tricks):
            document_id = f"doc_{number}"
            numora.add(
                SandboxDocument(document_id, "receipt_v1", {"total_amount": 1}, result_url=trick.format(id=document_id))
            )
        page = await source.list_outbox(None)
        documents = [await source.fetch(listing, log) for listing in page.listings]

    assert [document.id for document in documents] == [f"doc_{number}" for number in range(len(tricks))]
    assert stranger.requests.total == 0
    warned = [message for message in caplog.messages if "not on base_url's origin" in message]
    assert len(warned) == len(tricks)
    assert all(any(document.id in message for message in warned) for document in documents)
