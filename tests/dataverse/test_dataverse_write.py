"""What is particular to writing into Dataverse: change sets, strays, keys, tokens, refusals in the reviewer's words.

What holds for every destination is in ``tests/destinations``. Oracle: the sandbox's rows, effects and requests.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from multidict import CIMultiDict

from connectors.dataverse.destination import DataverseDestination
from connectors.dataverse.sandbox.columns import MoneyColumn, StringColumn
from connectors.dataverse.sandbox.messages import ApiRequest
from connectors.dataverse.sandbox.server import DataverseSandbox
from connectors.dataverse.sandbox.tables import TableSchema
from connectors.outcome import BlockedError, RejectedError, ThrottledError, TransientError, UnknownOutcomeError
from connectors.ports import DocumentKey, KnownRow
from mappings.plan import Identity, LineRow, LinesPlan, LookupPlan, WritePlan

KEY = DocumentKey("acme", "doc-1")
BY_PRIMARY_KEY = Identity()
BY_KEY = Identity("alternate_key", "numora_externalkey")
NOTHING = KnownRow()
SOURCES = {
    "numora_name": "invoice_number",
    "numora_total": "total_amount",
    "numora_Vendor": "metadata.vendor_code",
    "numora_invoiceline.numora_amount": "line_items.amount",
    "numora_invoiceline.numora_description": "line_items.description",
}


def plan(
    *,
    total: str = "12.50",
    lines: Mapping[str, Any] | int = 2,
    lookups: tuple[LookupPlan, ...] = (),
    identity: Identity = BY_PRIMARY_KEY,
    **columns: Any,
) -> WritePlan:
    wanted = {f"li_{n}": f"Line {n}" for n in range(1, lines + 1)} if isinstance(lines, int) else lines
    rows = tuple(
        LineRow(key, {"numora_description": text, "numora_amount": Decimal("1.10")}) for key, text in wanted.items()
    )
    given = {"numora_name": "INV-1", "numora_invoicedate": date(2026, 1, 31), "numora_total": Decimal(total)}
    return WritePlan(
        "numora_invoice", identity, {**given, **columns}, lookups, LinesPlan("numora_invoiceline", rows), (), SOURCES
    )


async def write(to: DataverseDestination, what: WritePlan, log: Any, known: KnownRow = NOTHING) -> Any:
    prepared = await to.prepare(what, KEY, log)
    return prepared, await to.write(prepared, known, log)


async def test_a_document_is_created_by_one_request(destination: Any, dataverse: Any, log: Any) -> None:
    """Row and lines in one transaction, and nothing is read before or after."""
    _, result = await write(destination, plan(), log)
    assert log.sent == ["POST numora_invoices"]
    assert result.url == f"{dataverse.url}/main.aspx?etn=numora_invoice&id={result.record_id}&pagetype=entityrecord"
    *_, sent = dataverse.requests
    assert sent.headers["odata-version"] == "4.0"
    assert sent.headers["if-none-match"] == "null"
    assert sent.headers["x-ms-client-request-id"] == log.opened[0].id
    assert "prefer" not in sent.headers


async def test_more_lines_than_one_insert_takes_go_as_one_change_set(connect: Any, dataverse: Any, log: Any) -> None:
    dataverse.settings.nested_rows_limit = 50
    _, result = await write(connect(dataverse), plan(lines=60), log)
    assert log.sent == ["POST $batch"]
    lines = dataverse.rows("numora_invoiceline")
    assert len(lines) == 60
    assert {line["numora_invoice"] for line in lines} == {result.record_id}


async def test_a_change_set_that_fails_in_its_midst_leaves_nothing(connect: Any, dataverse: Any, log: Any) -> None:
    to = connect(dataverse, deep_insert_limit=0)
    first = await to.prepare(plan(lines={"li_1": "One"}), KEY, log)
    taken = {"numora_invoicelineid": next(iter(first.line_ids)), "numora_description": "Someone's"}
    dataverse.seed("numora_invoiceline", [taken])
    dataverse.store.rows["numora_invoiceline"][taken["numora_invoicelineid"]].values["numora_description"] = "Stray"
    result = await to.write(first, NOTHING, log)
    assert len(dataverse.rows("numora_invoice")) == 1
    (line,) = dataverse.rows("numora_invoiceline")
    assert (line["numora_invoice"], line["numora_description"]) == (result.record_id, "One")
    assert dataverse.repeated_creates() == {}


async def test_lines_that_a_deleted_row_left_behind_are_taken_up_again(
    destination: Any, dataverse: Any, log: Any
) -> None:
    """Not every relationship deletes lines with their row; their keys would be taken for ever."""
    prepared, first = await write(destination, plan(), log)
    del dataverse.store.rows["numora_invoice"][first.record_id]
    _, again = await write(destination, plan(total="20"), log, KnownRow(first.record_id, prepared.line_ids))
    assert again.operation == "created"
    assert len(dataverse.rows("numora_invoiceline")) == 2
    assert {line["numora_invoice"] for line in dataverse.rows("numora_invoiceline")} == {first.record_id}


async def test_a_line_that_was_moved_to_another_row_is_brought_back(destination: Any, dataverse: Any, log: Any) -> None:
    prepared, first = await write(destination, plan(), log)
    (other,) = dataverse.seed("numora_invoice", [{"numora_name": "Other"}])
    moved = min(prepared.line_ids)
    answer = dataverse.api.execute(
        _request(
            "PATCH", f"numora_invoicelines({moved})", f'{{"numora_Invoice@odata.bind":"/numora_invoices({other})"}}'
        )
    )
    assert answer.status == 204
    _, result = await write(destination, plan(), log, KnownRow(first.record_id, prepared.line_ids))
    assert result.operation == "updated"
    assert {line["numora_invoice"] for line in dataverse.rows("numora_invoiceline")} == {first.record_id}


def _request(method: str, path: str, body: str) -> Any:
    return ApiRequest(method, path, "", CIMultiDict({"Content-Type": "application/json"}), body.encode())


async def test_a_row_found_by_its_alternate_key_keeps_its_own_id(destination: Any, dataverse: Any, log: Any) -> None:
    """Also when the row was there before the bridge, under an id of its own."""
    prepared = await destination.prepare(plan(identity=BY_KEY, lines=0), KEY, log)
    (there,) = dataverse.seed("numora_invoice", [{"numora_name": "Old", "numora_externalkey": prepared.key_value}])
    result = await destination.write(prepared, NOTHING, log)
    assert (result.record_id, result.operation) == (there, "updated")
    assert dataverse.rows("numora_invoice")[0]["numora_name"] == "INV-1"


async def test_nothing_is_written_while_the_key_is_not_enforced(destination: Any, dataverse: Any, log: Any) -> None:
    """A key whose index is not active would let the same document in twice."""
    (key,) = [index.schema.name for index in dataverse.store.keys["numora_invoice"].values()]
    dataverse.set_key_status("numora_invoice", key, "InProgress")
    with pytest.raises(BlockedError) as error:
        await destination.prepare(plan(identity=BY_KEY), KEY, log)
    assert error.value.code == "key_not_active"
    dataverse.set_key_status("numora_invoice", key, "Active")
    await write(destination, plan(identity=BY_KEY), log)


async def test_values_that_another_key_reserves_are_a_rejection(destination: Any, dataverse: Any, log: Any) -> None:
    """The row's own identity is free, so sending it again would never help."""
    prepared = await destination.prepare(plan(lines=0, numora_externalkey="same"), KEY, log)
    dataverse.seed("numora_invoice", [{"numora_name": "Theirs", "numora_externalkey": "same"}])
    with pytest.raises(RejectedError) as error:
        await destination.write(prepared, NOTHING, log)
    assert error.value.code == "duplicate_in_target"


async def test_every_problem_of_a_document_is_told_in_the_reviewers_words(
    destination: Any, dataverse: Any, log: Any
) -> None:
    lookups = (LookupPlan("numora_Vendor", "account", {"accountnumber": "V1"}, "reject", ("metadata.vendor_code",)),)
    rows = (
        LineRow("li_1", {"numora_description": "x" * 401, "numora_amount": Decimal(1)}),
        LineRow("li_2", {"numora_description": "y", "numora_amount": Decimal("1.005")}),
    )
    wanted = plan(total="100000000001.001", lookups=lookups, numora_name="x" * 101, numora_kind=7)
    wanted = WritePlan(
        wanted.table, wanted.identity, wanted.columns, lookups, LinesPlan("numora_invoiceline", rows), (), SOURCES
    )
    with pytest.raises(RejectedError) as error:
        await destination.prepare(wanted, KEY, log)
    assert [(problem.field, problem.column, problem.code) for problem in error.value.problems] == [
        ("invoice_number", "numora_name", "text_too_long"),
        ("total_amount", "numora_total", "out_of_range"),
        (None, "numora_kind", "unknown_choice"),
        ("line_items[li_1].description", "numora_description", "text_too_long"),
        ("line_items[li_2].amount", "numora_amount", "too_many_decimals"),
        ("metadata.vendor_code", "numora_Vendor", "lookup_missing"),
    ]
    assert dataverse.effects == []


async def test_a_refusal_by_the_server_is_told_by_the_field_its_message_names(
    destination: Any, dataverse: Any, log: Any
) -> None:
    """The limit was tightened since the table was read."""
    prepared = await destination.prepare(plan(), KEY, log)
    column = dataverse.api.catalog.by_name["numora_invoice"].by_name["numora_name"]
    object.__setattr__(column, "max_length", 3)
    with pytest.raises(RejectedError) as error:
        await destination.write(prepared, NOTHING, log)
    (problem,) = error.value.problems
    object.__setattr__(column, "max_length", 100)
    assert (problem.field, problem.column, problem.code) == ("invoice_number", "numora_name", "text_too_long")


async def test_a_line_that_the_server_refuses_in_a_change_set_is_named(connect: Any, dataverse: Any, log: Any) -> None:
    to = connect(dataverse, deep_insert_limit=0)
    prepared = await to.prepare(plan(lines={"li_1": "a", "li_2": "long"}), KEY, log)
    column = dataverse.api.catalog.by_name["numora_invoiceline"].by_name["numora_description"]
    object.__setattr__(column, "max_length", 3)
    try:
        with pytest.raises(RejectedError) as error:
            await to.write(prepared, NOTHING, log)
    finally:
        object.__setattr__(column, "max_length", 400)
    assert error.value.problems[0].field == "line_items[li_2].description"
    assert dataverse.effects == []


async def test_a_token_that_ended_early_is_renewed_once_and_the_write_goes_on(
    destination: Any, dataverse: Any, entra: Any, log: Any
) -> None:
    await write(destination, plan(), log)
    entra.revoke_tokens()
    _, result = await write(destination, plan(total="20"), log)
    assert result.operation == "updated"
    assert entra.issued == 2


async def test_a_fresh_token_that_is_refused_blocks(destination: Any, dataverse: Any, log: Any) -> None:
    prepared = await destination.prepare(plan(), KEY, log)
    dataverse.faults.add("unauthorized")
    with pytest.raises(BlockedError) as error:
        await destination.write(prepared, NOTHING, log)
    assert error.value.code == "unauthorized"
    assert [request.method for request in log.opened] == ["POST", "POST"]


async def test_missing_rights_block_and_are_named(destination: Any, dataverse: Any, log: Any) -> None:
    prepared = await destination.prepare(plan(), KEY, log)
    dataverse.api.privileges.take("numora_invoice", "create")
    with pytest.raises(BlockedError) as error:
        await destination.write(prepared, NOTHING, log)
    assert error.value.code == "forbidden"
    assert "prvCreatenumora_invoice" in error.value.message


async def test_a_probe_notices_missing_rights_that_who_am_i_does_not(
    destination: Any, dataverse: Any, log: Any
) -> None:
    await write(destination, plan(), log)
    dataverse.api.privileges.take("numora_invoice", "read")
    with pytest.raises(BlockedError):
        await destination.probe()


@pytest.mark.parametrize("code", ["0x80044150", "0x80044151", "0x80040255"])
async def test_what_the_database_rolled_back_is_not_unknown(
    destination: Any, dataverse: Any, log: Any, code: str
) -> None:
    """A deadlock had no effect, although the status is that of a failing server."""
    dataverse.faults.add("status_before", method="POST", status=500, code=code, times=1)
    prepared = await destination.prepare(plan(), KEY, log)
    with pytest.raises(TransientError) as error:
        await destination.write(prepared, NOTHING, log)
    assert not isinstance(error.value, UnknownOutcomeError)
    assert error.value.code == "rolled_back"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failing_server_leaves_a_write_unknown(destination: Any, dataverse: Any, log: Any, status: int) -> None:
    dataverse.faults.add("status_after", method="POST", status=status, times=1, retry_after=7)
    prepared = await destination.prepare(plan(), KEY, log)
    with pytest.raises(UnknownOutcomeError) as error:
        await destination.write(prepared, NOTHING, log)
    assert error.value.retry_after == 7


@pytest.mark.parametrize("code", ["0x80060892", "0x80040237"])
async def test_a_taken_key_is_known_by_either_of_its_codes(
    destination: Any, dataverse: Any, log: Any, code: str
) -> None:
    dataverse.settings.primary_key_conflict_code = code
    await write(destination, plan(), log)
    _, again = await write(destination, plan(), log)
    assert again.operation == "unchanged"
    assert Counter(effect.kind for effect in dataverse.effects) == {"create": 3}


async def test_money_of_nineteen_digits_is_stored_digit_for_digit(connect: Any, entra: Any, log: Any) -> None:
    columns = (StringColumn(name="x_name", max_length=20), MoneyColumn(name="x_total", precision=4))
    async with DataverseSandbox(entra=entra, tables=[TableSchema("x_bill", columns)]) as sandbox:
        to = connect(sandbox)
        amount = Decimal("922337203685476.5807")
        wanted = WritePlan("x_bill", Identity(), {"x_name": "A", "x_total": amount})
        prepared = await to.prepare(wanted, KEY, log)
        await to.write(prepared, NOTHING, log)
        *_, sent = sandbox.requests
        assert b'"x_total":922337203685476.5807' in sent.body
        assert (await to.write(prepared, KnownRow(may_exist=True), log)).operation == "created"


async def test_a_document_of_more_lines_than_one_transaction_takes_is_rejected(destination: Any, log: Any) -> None:
    with pytest.raises(RejectedError) as error:
        await destination.prepare(plan(lines=1000), KEY, log)
    assert error.value.code == "too_many_lines"


async def test_a_column_that_went_away_is_noticed_and_read_anew(
    destination: Any, dataverse: Any, log: Any, clock: Any
) -> None:
    prepared = await destination.prepare(plan(), KEY, log)
    clock.now += 120
    dataverse.faults.add("status_before", method="POST", status=400, code="0x80060888", times=1, path="numora_invoices")
    with pytest.raises(TransientError) as error:
        await destination.write(prepared, NOTHING, log)
    assert error.value.code == "metadata_changed"
    asked = dataverse.requests.total
    await write(destination, plan(), log)
    assert dataverse.requests.total > asked + 1


async def test_a_column_that_the_mapping_invents_blocks_instead_of_failing_documents(
    destination: Any, log: Any
) -> None:
    with pytest.raises(BlockedError) as error:
        await destination.prepare(plan(numora_tottal=Decimal(1)), KEY, log)
    assert error.value.code == "unknown_column"


async def test_a_text_that_looks_like_the_same_day_is_corrected_all_the_same(
    destination: Any, dataverse: Any, log: Any
) -> None:
    """An invoice number of 20260131 that a reviewer put right to 2026-01-31 is another invoice number."""
    _, first = await write(destination, plan(numora_name="20260131"), log)
    _, again = await write(destination, plan(numora_name="2026-01-31"), log, KnownRow(first.record_id))
    assert again.operation == "updated"
    assert [row["numora_name"] for row in dataverse.rows("numora_invoice")] == ["2026-01-31"]


async def test_a_login_that_has_to_wait_asks_for_no_token_meanwhile(
    destination: Any, dataverse: Any, entra: Any, clock: Any, log: Any
) -> None:
    """Nothing at all is sent for it before the pause is over."""
    dataverse.faults.add("throttle", retry_after=30, times=1)
    with pytest.raises(ThrottledError):
        await destination.probe()
    asked = entra.requests.total
    destination._client._tokens.invalidate(await destination._client._tokens.token())
    with pytest.raises(ThrottledError):
        await destination.probe()
    assert (entra.requests.total, dataverse.violations) == (asked, 0)
