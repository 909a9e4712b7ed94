"""Document ids are opaque: whatever stands in them arrives as it was meant, or is refused."""

from urllib.parse import quote

import pytest
from http_bridge import ACME, Bridge

pytestmark = pytest.mark.asyncio(loop_scope="module")

DELIVERIES = "/v1/tenants/acme/deliveries"


@pytest.mark.parametrize(
    "document_id",
    [
        "a/b",
        "a%2Fb",
        "../../secrets",
        "...",
        "Rechnung № 7 - Ümläut",
        "emoji 🧾",
        "q?x=1&y=2#z",
        "semi;colon,comma:at@",
        " ",
        "'; DROP TABLE deliveries; --",
        "x" * 512,
    ],
)
async def test_any_document_id_arrives_as_it_was_meant(shared: Bridge, document_id: str) -> None:
    """The id is one percent-encoded segment of the path; slashes, dots and percent signs in it are the id's own."""
    (document,) = shared.add()
    workspace = shared.world.workspace("acme")
    del workspace.documents[document.id]
    document.id = document_id
    workspace.documents[document_id] = document
    encoded = quote(document_id, safe="").replace(".", "%2E")
    answer = await shared.deliver(encoded)
    assert (answer.status, answer.json["document_id"], answer.json["state"]) == (200, document_id, "succeeded")
    listed = await shared.call("GET", f"{DELIVERIES}?document_id={encoded}", ACME)
    assert [delivery["document_id"] for delivery in listed.json["data"]] == [document_id]
    previewed = await shared.call("POST", f"/v1/tenants/acme/documents/{encoded}/preview", ACME)
    assert previewed.json["document_id"] == document_id


@pytest.mark.parametrize("document_id", ["%00", "%0A", "%FF", "%C3%28", "%ED%A0%80", "%2E", "%2e%2E", "x" * 513])
async def test_what_no_id_can_be_is_refused(shared: Bridge, document_id: str) -> None:
    answer = await shared.call("POST", f"/v1/tenants/acme/documents/{document_id}/deliver", ACME)
    assert (answer.status, answer.code) == (400, "bad_path")
