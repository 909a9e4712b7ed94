"""Targets that are a little different from the sandbox, as versions, gateways and emulators are: what is read is read
tolerantly, and nothing is written twice, in vain, or taken for written when it was not.

Double: the Dataverse sandbox, with its answers altered on their way out. Oracle: its rows and effects.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from connectors.dataverse.sandbox.server import DataverseSandbox
from connectors.outcome import ThrottledError, TransientError, UnknownOutcomeError
from connectors.ports import DocumentKey, KnownRow
from mappings.plan import Identity, LineRow, LinesPlan, LookupPlan, WritePlan

KEY = DocumentKey("acme", "doc-1")
NOTHING = KnownRow()
BY_KEY = Identity("alternate_key", "numora_externalkey")
PAGE = "<html><body>Down for maintenance</body></html>"

Alter = Callable[[web.Request, web.Response], web.Response | None]


class Peculiar(DataverseSandbox):
    """A sandbox whose answers pass through ``alter``, and whose requests may be answered by ``instead``."""

    alter: Alter = staticmethod(lambda request, response: None)
    instead: Callable[[web.Request], web.Response | None] = staticmethod(lambda request: None)

    async def _answer(self, request: web.Request) -> web.Response:
        response = self.instead(request) or await super()._answer(request)
        return self.alter(request, response) or response


@pytest.fixture
async def peculiar(entra: Any) -> AsyncIterator[Peculiar]:
    async with Peculiar(entra=entra) as sandbox:
        sandbox.seed("account", [{"name": "Contoso", "accountnumber": "V1"}])
        yield sandbox


def plan(
    total: str = "1234.50", texts: tuple[str, ...] = ("one", "two"), identity: Identity | None = None
) -> WritePlan:
    vendor = LookupPlan("numora_Vendor", "account", {"accountnumber": "V1"}, "reject", ("metadata.vendor_code",))
    rows = tuple(
        LineRow(f"li_{number}", {"numora_description": text, "numora_amount": Decimal("1.10")})
        for number, text in enumerate(texts)
    )
    columns = {
        "numora_name": "INV-1",
        "numora_invoicedate": date(2026, 1, 31),
        "numora_total": Decimal(total),
        "numora_kind": 1,
        "numora_duedate": None,
    }
    return WritePlan(
        "numora_invoice", identity or Identity(), columns, (vendor,), LinesPlan("numora_invoiceline", rows), (), {}
    )


def rewritten(response: web.Response, change: Callable[[str], str]) -> web.Response:
    """Return an answer with another body, whatever its kind."""
    body = response.body if isinstance(response.body, bytes) else b""
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
    return web.Response(status=response.status, headers=headers, body=change(body.decode()).encode())


def no_entity_id(_: web.Request, response: web.Response) -> None:
    response.headers.pop("OData-EntityId", None)


def shouting_headers(_: web.Request, response: web.Response) -> None:
    for name in list(response.headers):
        response.headers[name.upper()] = response.headers.pop(name)


def representation(request: web.Request, response: web.Response) -> web.Response | None:
    """Answer 201 with the row, whatever was preferred, and no address."""
    if request.method != "POST" or response.status != 204:
        return None
    row = {"@odata.context": "x", "numora_invoiceid": response.headers["OData-EntityId"][-37:-1]}
    return web.json_response(row, status=201)


def no_etags(_: web.Request, response: web.Response) -> web.Response:
    return rewritten(response, lambda text: re.sub(r'"@odata\.etag":"(\\"|[^"])*",', "", text))


def no_line_etags(_: web.Request, response: web.Response) -> web.Response:
    def change(text: str) -> str:
        head, found, lines = text.partition('"numora_invoice_numora_invoiceline":')
        return head + found + re.sub(r'"@odata\.etag":"(\\"|[^"])*",', "", lines)

    return rewritten(response, change)


def numbers_as_text(request: web.Request, response: web.Response) -> web.Response | None:
    if "EntityDefinitions" in request.path:
        return None
    return rewritten(response, lambda text: re.sub(r'("numora_\w+"):(-?\d+(?:\.\d+)?)', r'\1:"\2"', text))


def dates_with_a_time(_: web.Request, response: web.Response) -> web.Response:
    return rewritten(response, lambda text: text.replace('"2026-01-31"', '"2026-01-31T00:00:00.0000000Z"'))


def loud_ids(request: web.Request, response: web.Response) -> web.Response | None:
    if request.method != "GET" or "EntityDefinitions" in request.path:
        return None
    guid = r'"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"'
    return rewritten(response, lambda text: re.sub(guid, lambda found: found[0].upper(), text))


def nothing_for_null(_: web.Request, response: web.Response) -> web.Response:
    return rewritten(response, lambda text: re.sub(r'"[\w]+":null,', "", text))


def parts_in_reverse(request: web.Request, response: web.Response) -> web.Response | None:
    if not request.path.endswith("$batch") or response.status != 200:
        return None

    def change(text: str) -> str:
        boundary = re.search(r"boundary=(changesetresponse_[\w-]+)", text)
        assert boundary is not None
        head, *parts, tail = text.split(f"--{boundary[1]}\r\n")
        last, end = tail.split(f"--{boundary[1]}--")
        return f"--{boundary[1]}\r\n".join([head, last, *reversed(parts)]) + f"--{boundary[1]}--" + end

    return rewritten(response, change)


def no_expansion(request: web.Request, response: web.Response) -> web.Response | None:
    if "$expand" not in request.query_string or "EntityDefinitions" in request.path or response.status != 200:
        return None
    body = json.loads(response.body) if isinstance(response.body, bytes) else {}
    kept = {name: value for name, value in body.items() if not isinstance(value, list)}
    return web.json_response(kept)


PECULIARITIES = [
    no_expansion,
    no_entity_id,
    shouting_headers,
    representation,
    no_etags,
    no_line_etags,
    numbers_as_text,
    dates_with_a_time,
    loud_ids,
    nothing_for_null,
    parts_in_reverse,
]


@pytest.mark.parametrize("alter", PECULIARITIES)
@pytest.mark.parametrize("limit", [50, 0], ids=["deep insert", "change set"])
@pytest.mark.parametrize("identity", [Identity(), BY_KEY], ids=["primary key", "alternate key"])
async def test_a_document_is_written_once_and_corrected_once(
    connect: Any, peculiar: Peculiar, log: Any, alter: Alter, limit: int, identity: Identity
) -> None:
    """Read back it is the same row; only what differs is sent."""
    peculiar.alter = alter
    to = connect(peculiar, deep_insert_limit=limit)
    first = await to.prepare(plan(identity=identity), KEY, log)
    written = await to.write(first, NOTHING, log)
    assert written.operation == "created"
    (row,) = peculiar.rows("numora_invoice")
    assert row["numora_invoiceid"] == written.record_id
    known = KnownRow(written.record_id, first.line_ids, may_exist=True)
    again = await to.write(await to.prepare(plan(identity=identity), KEY, log), known, log)
    lost = await to.write(first, KnownRow(None, first.line_ids, may_exist=True), log)
    assert (again.operation, lost.operation) == ("unchanged", "created")
    assert Counter(effect.kind for effect in peculiar.effects) == {"create": 3}
    other = await to.prepare(plan("99", ("one", "another"), identity), KEY, log)
    assert (await to.write(other, known, log)).operation == "updated"
    changes = [(effect.kind, effect.columns) for effect in peculiar.effects[3:]]
    assert changes == [("update", ("numora_total",)), ("update", ("numora_description",))]


@pytest.mark.parametrize("limit", [50, 0], ids=["deep insert", "change set"])
async def test_a_page_that_says_200_is_never_taken_for_a_row(
    connect: Any, peculiar: Peculiar, log: Any, limit: int
) -> None:
    """A gateway's maintenance page, as harmless as it looks, would be a lost document."""
    to = connect(peculiar, deep_insert_limit=limit)
    prepared = await to.prepare(plan(), KEY, log)
    peculiar.instead = lambda _: web.Response(text=PAGE, content_type="text/html")
    with pytest.raises(UnknownOutcomeError) as error:
        await to.write(prepared, NOTHING, log)
    assert error.value.code == "bad_answer"
    peculiar.instead = lambda _: None
    assert (await to.write(prepared, KnownRow(may_exist=True), log)).operation == "created"
    assert len(peculiar.rows("numora_invoice")) == 1


async def test_a_row_whose_id_is_not_told_and_which_is_not_there_is_read_again(
    connect: Any, peculiar: Peculiar, log: Any
) -> None:
    """The answer was good, so that no other row is to blame for it."""
    to = connect(peculiar)
    prepared = await to.prepare(plan(identity=BY_KEY), KEY, log)
    peculiar.instead = lambda request: web.Response(status=204) if request.method == "POST" else None
    with pytest.raises(UnknownOutcomeError):
        await to.write(prepared, NOTHING, log)


def taken_without_parts(request: web.Request, response: web.Response) -> web.Response | None:
    """Answer a batch that failed with the error alone, as gateways do that take batches apart."""
    if not request.path.endswith("$batch") or response.status < 400:
        return None
    body = response.body if isinstance(response.body, bytes) else b""
    error = json.loads(body[body.index(b'{"error"') : body.rindex(b"}") + 1])
    return web.json_response(error, status=response.status)


async def test_a_taken_key_is_known_when_a_batch_is_answered_without_parts(
    connect: Any, peculiar: Peculiar, log: Any
) -> None:
    """The row is ours: a document is not rejected because it is there already."""
    peculiar.alter = taken_without_parts
    to = connect(peculiar, deep_insert_limit=0)
    prepared = await to.prepare(plan(), KEY, log)
    await to.write(prepared, NOTHING, log)
    assert (await to.write(prepared, NOTHING, log)).operation == "unchanged"
    assert Counter(effect.kind for effect in peculiar.effects) == {"create": 3}


def pause_inside(request: web.Request, response: web.Response) -> web.Response | None:
    """Answer a batch with 200 and a part that says 429."""
    if not request.path.endswith("$batch"):
        return None
    error = '{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit of 6000."}}'
    part = (
        "--batchresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 30\r\n\r\n{error}\r\n"
        "--batchresponse_1--\r\n"
    )
    headers = {"Content-Type": "multipart/mixed; boundary=batchresponse_1"}
    return web.Response(status=200, headers=headers, text=part)


def pause_by_code(request: web.Request, response: web.Response) -> web.Response | None:
    """Answer with the code of a limit on another status."""
    if request.method != "POST":
        return None
    error = {"error": {"code": "0x80072326", "message": "Number of concurrent requests exceeded the limit of 52."}}
    return web.json_response(error, status=503, headers={"Retry-After": "30"})


@pytest.mark.parametrize(("alter", "limit"), [(pause_inside, 0), (pause_by_code, 50)])
async def test_a_pause_that_is_asked_for_in_a_body_holds_for_everything_with_this_login(
    connect: Any, peculiar: Peculiar, log: Any, alter: Alter, limit: int
) -> None:
    """The status of the answer does not show it, and the window is closed all the same."""
    to = connect(peculiar, deep_insert_limit=limit)
    prepared = await to.prepare(plan(), KEY, log)
    peculiar.alter = alter
    with pytest.raises(ThrottledError) as error:
        await to.write(prepared, NOTHING, log)
    assert error.value.retry_after == 30
    asked = peculiar.requests.total
    with pytest.raises(ThrottledError):
        await to.probe()
    assert peculiar.requests.total == asked


async def test_a_row_is_found_by_text_where_no_columns_kind_is_told(connect: Any, peculiar: Peculiar, log: Any) -> None:
    """A text stands in quotes, whatever the target says of its column."""

    def without_kinds(request: web.Request, response: web.Response) -> web.Response | None:
        if "EntityDefinitions" not in request.path:
            return None
        kinds = r',?"(AttributeType|@odata\.type)":"[^"]*"|,?"AttributeTypeName":\{[^}]*\}'
        return rewritten(response, lambda text: re.sub(kinds, "", text).replace("{,", "{"))

    peculiar.alter = without_kinds
    to = connect(peculiar)
    prepared = await to.prepare(plan(), KEY, log)
    assert prepared.body["numora_Vendor@odata.bind"].startswith("/accounts(")
    assert (await to.write(prepared, NOTHING, log)).operation == "created"


async def test_pages_that_lead_in_a_circle_are_not_followed_for_ever(
    connect: Any, peculiar: Peculiar, log: Any
) -> None:
    to = connect(peculiar)
    prepared = await to.prepare(plan(), KEY, log)
    await to.write(prepared, NOTHING, log)

    def circle(request: web.Request, response: web.Response) -> web.Response | None:
        if "numora_invoice" not in request.path or request.method != "GET":
            return None
        page = f"{peculiar.api_url}/numora_invoicelines?page=2"
        if "page" in request.query:
            return web.json_response({"value": [], "@odata.nextLink": page})
        name = "numora_invoice_numora_invoiceline"
        change = re.compile(rf'"{name}":\[.*\]')
        return rewritten(response, lambda text: change.sub(f'"{name}":[],"{name}@odata.nextLink":"{page}"', text))

    peculiar.alter = circle
    with pytest.raises(TransientError) as error:
        await to.write(prepared, KnownRow(may_exist=True), log)
    assert error.value.code == "bad_answer"


@pytest.mark.parametrize("texts", [("one", "two"), ("one", "two", "three")], ids=["header", "header and a new line"])
async def test_a_row_that_somebody_else_changed_is_read_again_though_no_code_says_so(
    connect: Any, peculiar: Peculiar, log: Any, texts: tuple[str, ...]
) -> None:
    """A bare 412 to a condition is no taken key, and no reason to reject the document."""
    to = connect(peculiar)
    first = await to.prepare(plan(), KEY, log)
    row = await to.write(first, NOTHING, log)
    known = KnownRow(row.record_id, first.line_ids, may_exist=True)
    corrected = await to.prepare(plan("99", texts), KEY, log)

    def meanwhile(request: web.Request) -> None:
        if request.path.endswith("$batch"):
            peculiar.store.rows["numora_invoice"][row.record_id].version += 1

    peculiar.instead = meanwhile
    peculiar.alter = lambda _, response: rewritten(response, lambda text: text.replace("0x80060882", ""))
    with pytest.raises(TransientError) as error:
        await to.write(corrected, known, log)
    assert error.value.code == "row_changed"
    peculiar.instead = lambda _: None
    assert (await to.write(corrected, known, log)).operation == "updated"
