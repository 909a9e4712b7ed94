"""Reading a document: one request for a listed one, the document itself for one that a person named."""

from decimal import Decimal
from urllib.parse import unquote

import pytest
from aiohttp import web

from connectors.http import decode_json
from connectors.numora.sandbox import NumoraSandbox, SandboxDocument, Shape, sample_invoices
from connectors.outcome import BlockedError, RejectedError, ThrottledError, TransientError
from connectors.ports import Listing


def invoice(**changes) -> SandboxDocument:
    return SandboxDocument(
        **{
            "id": "doc_01jpzk",
            "schema": "invoice_v2",
            "fields": {"invoice_number": {"value": "INV-1", "confidence": Decimal("0.98")}},
            "external_id": "ext-1",
            "metadata": {"vendor_code": "V-1"},
            **changes,
        }
    )


async def listed(source) -> Listing:
    (listing,) = (await source.list_outbox(None)).listings
    return listing


async def test_a_listed_document_costs_one_request(numora, source, log):
    numora.add(invoice())
    listing = await listed(source)

    document = await source.fetch(listing, log)

    assert [request.purpose for request in log.opened] == ["result"]
    assert not log.opened[0].mutating
    assert document.id == "doc_01jpzk"
    assert (document.schema, document.status, document.external_id) == ("invoice_v2", "reviewed", "ext-1")
    assert document.metadata == {"vendor_code": "V-1"}
    assert document.updated_at == listing.updated_at
    assert document.fields == {"invoice_number": "INV-1"}
    assert document.confidences == {"invoice_number": Decimal("0.98")}


@pytest.mark.parametrize("known", [{}, {"schema": "invoice_v2", "status": "reviewed"}])
async def test_a_document_that_a_person_or_a_webhook_named_is_the_same_revision_as_a_listed_one(
    numora, source, log, known
):
    numora.add(invoice())

    named = await source.fetch(Listing("doc_01jpzk", **known), log)

    assert [request.purpose for request in log.opened] == ["result", "document"]
    assert named == await source.fetch(await listed(source), log)


async def test_a_document_that_went_back_to_review_meanwhile_is_not_deliverable(numora, source, log):
    numora.add(invoice())
    listing = await listed(source)
    numora.workspace().send_back("doc_01jpzk")

    document = await source.fetch(listing, log)

    assert document.status == "review_required"
    assert not source.is_deliverable(document.status)


@pytest.mark.parametrize(
    ("status", "deliverable"),
    [
        ("processing", False),
        ("review_required", False),
        ("failed", False),
        ("reviewed", True),
        ("push_pending", True),
        ("push_failed", True),
        ("push_succeeded", True),
        ("archived_in_2027", True),
        (None, True),
    ],
)
def test_only_what_is_known_not_to_be_reviewed_is_held_back(source, status, deliverable):
    assert source.is_deliverable(status) is deliverable


async def test_an_unknown_status_and_unknown_keys_survive(numora, source, log):
    numora.add(invoice(status="archived_in_2027", finalized=True))

    assert (await source.fetch(Listing("doc_01jpzk"), log)).status == "archived_in_2027"


@pytest.mark.parametrize("status", [404, 410])
async def test_a_document_that_numora_no_longer_has_is_none(numora, source, log, status):
    assert await source.fetch(Listing("doc_gone"), log) is None
    numora.add(invoice())
    numora.faults.add("status_before", status=status, times=1)
    assert await source.fetch(Listing("doc_01jpzk"), log) is None
    numora.faults.add("status_before", status=status, path="/doc_01jpzk$", times=1)
    assert await source.fetch(Listing("doc_01jpzk"), log) is None


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"kind": "status_before", "status": 500}, TransientError, "numora_unavailable"),
        ({"kind": "status_before", "status": 503}, TransientError, "numora_unavailable"),
        ({"kind": "status_before", "status": 504}, TransientError, "numora_unavailable"),
        ({"kind": "html_502"}, TransientError, "numora_unavailable"),
        ({"kind": "truncated"}, TransientError, "bad_answer"),
        ({"kind": "reset_after"}, TransientError, "connection_lost"),
        ({"kind": "status_before", "status": 409}, TransientError, "numora_not_ready"),
        ({"kind": "unauthorized"}, BlockedError, "numora_unauthorized"),
        ({"kind": "status_before", "status": 403}, BlockedError, "numora_forbidden"),
        ({"kind": "status_before", "status": 405}, BlockedError, "numora_refused"),
        ({"kind": "status_before", "status": 400}, RejectedError, "numora_refused"),
        ({"kind": "status_before", "status": 422}, RejectedError, "numora_refused"),
        ({"kind": "throttle", "retry_after": 30}, ThrottledError, "throttled"),
    ],
)
async def test_every_failure_of_a_read_has_its_consequence(numora, source, log, fault, kind, code):
    numora.add(invoice())
    numora.faults.add(**fault, times=1)

    with pytest.raises(kind) as failed:
        await source.fetch(Listing("doc_01jpzk", updated_at="t"), log)

    assert type(failed.value) is kind
    assert failed.value.code == code


class Answering(NumoraSandbox):
    """A Numora whose result is whatever a test says."""

    answer: tuple[int, bytes, str] = (200, b"{}", "application/json")

    def routes(self):
        async def result(_: web.Request) -> web.Response:
            status, body, content_type = self.answer
            return web.Response(status=status, body=body, headers={"Content-Type": content_type})

        return [web.get("/v1/documents/{document_id}/result", result)]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>maintenance</html>", "text/html"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"{}", "application/json"),
        (b'{"fields": [], "schema": "invoice_v2"}', "application/json"),
        (b'{"fields": {}, "schema": "invoice_v2", "line_items": ["x"]}', "application/json"),
        (b'{"fields": {}, "schema": "invoice_v2", "line_items": 3}', "application/json"),
        (b'{"fields": {"a": 1e99999999999999999999}, "schema": "invoice_v2"}', "application/json"),
        (b"[" * 5000 + b"]" * 5000, "application/json"),
    ],
)
async def test_an_answer_that_is_not_a_result_is_read_again_later(connect, log, body, content_type):
    async with Answering() as answering:
        answering.answer = (200, body, content_type)
        with pytest.raises(TransientError) as failed:
            await connect(base_url=answering.url).fetch(Listing("doc_1", updated_at="t"), log)

    assert failed.value.code == "bad_answer"


async def test_another_document_s_result_is_never_delivered(connect, log):
    async with Answering() as answering:
        answering.answer = (200, b'{"id": "doc_2", "schema": "invoice_v2", "fields": {}}', "application/json")
        source = connect(base_url=answering.url)

        with pytest.raises(TransientError, match="doc_2") as failed:
            await source.fetch(Listing("doc_1", updated_at="t"), log)

    assert failed.value.code == "wrong_document"


@pytest.mark.parametrize(
    "document_id",
    ["a/b", "a b", "ä", "a?b=c", "a#b", "a%2Fb", "..", ".", "a;b", "a+b", "a\\b", "../v1/schemas", "doc_1@host", "☃"],
)
async def test_an_id_is_opaque_whatever_stands_in_it(numora, source, log, document_id):
    numora.add(invoice(id=document_id, result_url=None))

    document = await source.fetch(Listing(document_id), log)

    assert document is not None
    assert document.id == document_id
    path = next(iter(numora.requests)).path
    assert unquote(path.split("/")[3]) == document_id


async def test_a_base_url_with_a_path_is_kept(numora, session, connect):
    seen = []

    class Behind(NumoraSandbox):
        def routes(self):
            async def result(request: web.Request) -> web.Response:
                seen.append(request.path)
                return web.json_response({"id": "doc_1", "schema": "receipt_v1", "fields": {}})

            return [web.get("/{tail:.*}", result)]

    async with Behind() as gateway:
        source = connect(base_url=f"{gateway.url}/gw/numora/")
        await source.fetch(Listing("doc_1", updated_at="t", result_url="/v1/documents/doc_1/result"), None)
        await source.fetch(Listing("doc_1", updated_at="t", result_url="/gw/numora/v1/documents/doc_1/result"), None)
        await source.fetch(Listing("doc_1", updated_at="t"), None)

    assert seen == ["/gw/numora/v1/documents/doc_1/result"] * 3


@pytest.mark.parametrize(
    "shape",
    [
        Shape(),
        Shape(cells="bare"),
        Shape(cells="mixed"),
        Shape(line_id="line_id"),
        Shape(line_id="row_id", nest="fields"),
        Shape(line_id="key", nest="cells", cells="bare"),
        Shape(keyed=True),
        Shape(keyed=True, nest="values"),
    ],
)
async def test_every_shape_of_the_same_content_gives_the_same_values(numora, source, log, shape):
    (plain,) = sample_invoices(1, seed=4, lines=3, shape=Shape(cells="bare"))
    (shaped,) = sample_invoices(1, seed=4, lines=3, shape=shape)
    numora.add(shaped)

    document = await source.fetch(await listed(source), log)

    assert document.fields == decode_json(plain.result())["fields"]
    rows = [
        {name: value for name, value in item.values.items() if name != shape.line_id} for item in document.line_items
    ]
    assert [item.values["id"] for item in document.line_items] == ["li_1", "li_2", "li_3"]
    assert [
        {**row, "id": item.values["id"]} for row, item in zip(rows, document.line_items, strict=True)
    ] == decode_json(plain.result())["line_items"]


async def test_the_request_id_goes_out_and_numora_s_own_is_kept(numora, source, log):
    numora.add(invoice())

    await source.fetch(Listing("doc_01jpzk", updated_at="t"), log)

    (record,) = numora.requests
    assert record.headers["x-request-id"] == log.opened[0].id == log.outcomes[0].id
    assert log.outcomes[0].peer_request_id.startswith("req_")


async def test_the_document_and_its_delivery_history_can_be_read(numora, source, log):
    numora.add(invoice())

    state = await source.document("doc_01jpzk")

    assert (state.id, state.schema_id, state.status, state.external_id) == (
        "doc_01jpzk",
        "invoice_v2",
        "reviewed",
        "ext-1",
    )
    assert await source.document("doc_gone") is None
    assert await source.delivery_history("doc_01jpzk") == ()
    assert await source.delivery_history("doc_gone") == ()


async def test_a_named_address_that_leads_nowhere_does_not_lose_the_document(numora, source, log):
    numora.add(invoice(result_url="/internal/documents/doc_01jpzk/result"))

    document = await source.fetch(await listed(source), log)

    assert document.fields == {"invoice_number": "INV-1"}
    assert [outcome.status for outcome in log.outcomes] == [404, 200]
