"""Reading the outbox: pages, cursors in either place, cursors that are refused, rows that are malformed."""

import itertools
from typing import Any

import pytest
from aiohttp import web

from connectors.numora.listing import to_page
from connectors.numora.sandbox import NumoraSandbox, sample_documents
from connectors.outcome import (
    BlockedError,
    CursorRefusedError,
    OutboxAbsentError,
    ThrottledError,
    TransientError,
)


async def read_window(source) -> list[str]:
    """Read from the window's start to its end; return the document ids in order."""
    cursor, seen = None, []
    while True:
        page = await source.list_outbox(cursor)
        seen += [listing.document_id for listing in page.listings]
        if page.next_cursor is None:
            return seen
        cursor = page.next_cursor


@pytest.mark.parametrize("place", ["meta", "top", "both"])
async def test_every_document_is_listed_once_wherever_the_cursor_stands(numora, connect, place):
    numora.outbox.cursor_place = place
    documents = sample_documents(23)
    numora.add(*documents)

    seen = await read_window(connect(poll={"limit": 5}))

    assert seen == [document.id for document in documents]
    assert [record.path.count("limit=5") for record in numora.requests] == [1] * 5


async def test_the_configured_parameter_carries_the_cursor_back_unchanged(numora, connect):
    numora.outbox.cursor_param = "page_after"
    numora.add(*sample_documents(3))

    seen = await read_window(connect(poll={"limit": 2, "cursor_param": "page_after"}))

    assert len(seen) == 3
    assert "page_after=cur_1.2%3D" in list(numora.requests)[-1].path


async def test_a_listing_holds_what_numora_says_of_the_document(numora, source):
    document = sample_documents(1)[0]
    numora.add(document)

    (listing,) = (await source.list_outbox(None)).listings

    assert listing.document_id == document.id
    assert (listing.schema, listing.status, listing.external_id) == ("invoice_v2", "reviewed", "ext-1")
    assert listing.metadata == document.metadata
    assert listing.updated_at == document.updated_at
    assert listing.result_url == f"/v1/documents/{document.id}/result"


@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_a_refused_cursor_is_told_apart_from_an_absent_outbox(numora, connect, status):
    numora.outbox.cursor_uses, numora.outbox.cursor_refusal = 1, status
    numora.add(*sample_documents(9))
    source = connect(poll={"limit": 2})
    page = await source.list_outbox(None)
    await source.list_outbox(page.next_cursor)

    with pytest.raises(CursorRefusedError) as refused:
        await source.list_outbox(page.next_cursor)

    assert refused.value.code == "cursor_refused"
    assert (await source.list_outbox(None)).next_cursor is not None


@pytest.mark.parametrize("status", [404, 410])
async def test_an_absent_outbox_points_to_the_route_trigger(numora, source, status):
    numora.outbox.absent = status

    with pytest.raises(OutboxAbsentError, match="trigger: route") as absent:
        await source.list_outbox(None)

    assert absent.value.code == "outbox_absent"


async def test_an_unknown_key_blocks_and_says_so(connect):
    with pytest.raises(BlockedError, match="api_key") as blocked:
        await connect(api_key="sk_live_another").list_outbox(None)

    assert blocked.value.code == "numora_unauthorized"
    assert "sk_live_another" not in blocked.value.message


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"kind": "status_before", "status": 500}, TransientError, "numora_unavailable"),
        ({"kind": "status_before", "status": 504}, TransientError, "numora_unavailable"),
        ({"kind": "html_502"}, TransientError, "numora_unavailable"),
        ({"kind": "truncated"}, TransientError, "bad_answer"),
        ({"kind": "reset_before"}, TransientError, "connection_lost"),
        ({"kind": "status_before", "status": 403}, BlockedError, "numora_forbidden"),
        ({"kind": "status_before", "status": 422}, BlockedError, "numora_refused"),
        ({"kind": "throttle", "retry_after": 7}, ThrottledError, "throttled"),
    ],
)
async def test_every_failure_of_the_outbox_has_its_consequence(numora, source, fault, kind, code):
    numora.add(*sample_documents(1))
    numora.faults.add(**fault, times=1)

    with pytest.raises(kind) as failed:
        await source.list_outbox(None)

    assert type(failed.value) is kind
    assert failed.value.code == code


async def test_the_pause_that_numora_asks_for_is_handed_on(numora, source):
    numora.faults.add("status_before", status=503, retry_after=40, times=1)

    with pytest.raises(TransientError) as failed:
        await source.list_outbox(None)

    assert failed.value.retry_after == 40


async def test_numora_s_own_code_and_sentence_are_told(numora, source):
    numora.faults.add("status_before", status=500, times=1)

    with pytest.raises(TransientError, match="500, internal_error, the sandbox was told to answer 500"):
        await source.list_outbox(None)


async def test_a_redirect_is_not_followed_with_the_key(numora, connect):
    class Redirecting(NumoraSandbox):
        def routes(self):
            async def move(_: web.Request) -> web.Response:
                raise web.HTTPFound(f"{numora.url}/v1/delivery/outbox")

            return [web.get("/v1/delivery/outbox", move)]

    async with Redirecting() as elsewhere:
        with pytest.raises(BlockedError, match="base_url") as blocked:
            await connect(base_url=elsewhere.url).list_outbox(None)

    assert blocked.value.code == "numora_redirected"
    assert numora.requests.total == 0


ROW = {"document_id": "doc_1", "schema": "invoice_v2", "updated_at": "2026-03-01T00:00:00.000Z"}


def ids(answer: Any) -> list[str]:
    return [listing.document_id for listing in to_page(answer, None).listings]


def test_both_names_of_the_id_are_taken_and_numbers_are_kept_as_text():
    assert ids({"data": [{"document_id": "a"}, {"id": "doc_b"}, {"id": 17}, {"document_id": "", "id": "c"}]}) == [
        "a",
        "doc_b",
        "17",
        "c",
    ]


@pytest.mark.parametrize("malformed", [{"metadata": ["x"]}, {"status": {"a": 1}}, {"schema": []}, {"updated_at": True}])
def test_a_malformed_row_is_kept_by_its_id_so_that_the_document_itself_is_read(malformed):
    page = to_page({"data": [{**ROW, **malformed}, {**ROW, "document_id": "doc_2"}]}, None)

    assert [listing.document_id for listing in page.listings] == ["doc_1", "doc_2"]
    assert page.listings[0].updated_at is None
    assert page.listings[1].updated_at == ROW["updated_at"]


def test_rows_without_an_id_do_not_lose_the_page_and_are_counted(caplog):
    found = ids({"data": [{"schema": "invoice_v2"}, ROW, None, "doc_9", {"id": True}], "meta": None})

    assert found == ["doc_1"]
    assert ["listed 4 entries that name no document" in message for message in caplog.messages] == [True]


@pytest.mark.parametrize(
    "answer",
    [[], "x", None, 3, {}, {"rows": []}, {"data": {}}, {"data": [{"no": "id"}]}, {"data": [], "next_cursor": {"a": 1}}],
)
def test_a_page_that_is_not_understood_leaves_the_cursor_where_it_is(answer):
    with pytest.raises(TransientError) as failed:
        to_page(answer, "cur_1")

    assert failed.value.code == "bad_answer"


@pytest.mark.parametrize(("meta", "top"), list(itertools.product([None, "", "cur_9"], repeat=2)))
def test_an_empty_or_absent_cursor_ends_the_window(meta, top):
    page = to_page({"data": None, "meta": {"next_cursor": meta, "new": 1}, "next_cursor": top}, None)

    assert page.next_cursor == ("cur_9" if "cur_9" in (meta, top) else None)


def test_a_cursor_that_comes_back_as_it_was_sent_ends_the_window_instead_of_looping(caplog):
    page = to_page({"data": [ROW], "next_cursor": "cur_1"}, "cur_1")

    assert page.next_cursor is None
    assert len(page.listings) == 1
    assert ["gave back the cursor" in message for message in caplog.messages] == [True]


async def test_keys_see_their_own_workspace_only(numora, connect):
    numora.add_key("sk_live_globex")
    numora.add(*sample_documents(2))
    numora.add(*sample_documents(5, seed=1), key="sk_live_globex")

    assert len(await read_window(connect())) == 2
    assert len(await read_window(connect(api_key="sk_live_globex"))) == 5


async def test_rate_limit_headers_are_kept_as_they_came(numora, source):
    await source.list_outbox(None)

    assert source.rate_limit.limit == "6000"
    assert source.rate_limit.reset == "60"
    assert int(source.rate_limit.remaining) < 6000
