"""References to rows of other tables: found by value, remembered for a while, and four ways to go on without one."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from connectors.outcome import BlockedError, RejectedError, SkippedError, TransientError
from connectors.ports import DocumentKey, FoundRow, KnownRow
from mappings.plan import Identity, LookupPlan, WritePlan

NOTHING = KnownRow()


def vendor(missing: str = "reject", **criteria: Any) -> LookupPlan:
    return LookupPlan("numora_Vendor", "account", criteria or None, missing, ("metadata.vendor_code",))  # type: ignore[arg-type]


def plan(*lookups: LookupPlan) -> WritePlan:
    return WritePlan("numora_invoice", Identity(), {"numora_name": "INV-1", "numora_total": Decimal(1)}, lookups)


async def prepare(to: Any, log: Any, *lookups: LookupPlan, document: str = "doc-1", **options: Any) -> Any:
    return await to.prepare(plan(*lookups), DocumentKey("acme", document), log, **options)


def bound(prepared: Any, navigation: str = "numora_Vendor") -> str | None:
    return prepared.body.get(f"{navigation}@odata.bind")


async def test_a_row_is_found_by_its_values_and_asked_for_once(destination: Any, dataverse: Any, log: Any) -> None:
    (contoso,) = dataverse.seed("account", [{"name": "Contoso", "accountnumber": "V1"}])
    first = await prepare(destination, log, vendor(accountnumber="V1"))
    second = await prepare(destination, log, vendor(accountnumber="V1"), document="doc-2")
    assert bound(first) == bound(second) == f"/accounts({contoso})"
    assert len(log.sent) == 1


async def test_many_documents_of_one_vendor_at_once_cause_one_query(destination: Any, dataverse: Any, log: Any) -> None:
    dataverse.seed("account", [{"accountnumber": "V1"}])
    await asyncio.gather(
        *(prepare(destination, log, vendor(accountnumber="V1"), document=f"doc-{n}") for n in range(10))
    )
    assert len(log.sent) == 1


async def test_what_was_found_is_not_believed_for_ever(destination: Any, dataverse: Any, log: Any, clock: Any) -> None:
    dataverse.seed("account", [{"accountnumber": "V1"}])
    prepared = await prepare(destination, log, vendor(accountnumber="V1"))
    assert prepared.resolved[0].resolved_at == clock.now
    clock.now += 599
    await prepare(destination, log, vendor(accountnumber="V1"))
    assert len(log.sent) == 1
    clock.now += 2
    await prepare(destination, log, vendor(accountnumber="V1"))
    assert len(log.sent) == 2


async def test_a_preview_shows_which_row_was_found_and_how_long_ago(
    destination: Any, dataverse: Any, log: Any, clock: Any
) -> None:
    (there,) = dataverse.seed("account", [{"accountnumber": "V1"}])
    await prepare(destination, log, vendor(accountnumber="V1"))
    clock.now += 42
    prepared = await prepare(destination, log, vendor(accountnumber="V1"), create_missing=False)
    assert prepared.found == (FoundRow("numora_Vendor", "account", there, 42),)
    missing = await prepare(destination, log, vendor("create", accountnumber="V2"), create_missing=False)
    assert missing.found == ()


@pytest.mark.parametrize("name", ["O'Brien & Sons", "A/B#1?x=%27+", "50 % off; drop", "Größe 北京", "''", "a\\b"])
async def test_any_text_can_be_looked_for(destination: Any, dataverse: Any, log: Any, name: str) -> None:
    """Quotes, reserved characters and other scripts neither break the query nor change what it asks."""
    (there, _) = dataverse.seed("account", [{"name": name}, {"name": name + "'"}])
    assert bound(await prepare(destination, log, vendor(name=name))) == f"/accounts({there})"


@pytest.mark.parametrize("missing", ["skip", "reject", "empty", "create"])
async def test_a_text_that_no_row_can_hold_is_missing_without_being_asked_for(
    destination: Any, dataverse: Any, log: Any, missing: str
) -> None:
    """A page of text in place of a name would make an address that is longer than a server takes."""
    lookup = vendor(missing, name="Größe 北京 " * 3000)
    if missing == "skip":
        with pytest.raises(SkippedError):
            await prepare(destination, log, lookup)
    elif missing == "empty":
        assert bound(await prepare(destination, log, lookup)) is None
    else:
        with pytest.raises(RejectedError) as error:
            await prepare(destination, log, lookup)
        (problem,) = error.value.problems
        assert problem.code == ("lookup_missing" if missing == "reject" else "text_too_long")
        assert len(problem.message) < 500
    assert log.sent == []


async def test_a_number_is_looked_for_as_text_in_a_text_column(destination: Any, dataverse: Any, log: Any) -> None:
    (there,) = dataverse.seed("account", [{"accountnumber": "4711"}])
    assert bound(await prepare(destination, log, vendor(accountnumber=4711))) == f"/accounts({there})"


async def test_several_columns_must_all_match(destination: Any, dataverse: Any, log: Any) -> None:
    rows = [{"name": "Contoso", "accountnumber": "V1"}, {"name": "Contoso", "accountnumber": "V2"}]
    _, second = dataverse.seed("account", rows)
    found = await prepare(destination, log, vendor(name="Contoso", accountnumber="V2"))
    assert bound(found) == f"/accounts({second})"


async def test_a_row_can_be_named_by_its_id(destination: Any, dataverse: Any, log: Any) -> None:
    (there,) = dataverse.seed("account", [{"name": "Contoso"}])
    assert bound(await prepare(destination, log, vendor(accountid=there.upper()))) == f"/accounts({there})"


async def test_two_rows_that_match_are_one_too_many(destination: Any, dataverse: Any, log: Any) -> None:
    dataverse.seed("account", [{"name": "Contoso"}, {"name": "Contoso"}])
    with pytest.raises(RejectedError) as error:
        await prepare(destination, log, vendor("create", name="Contoso"))
    (problem,) = error.value.problems
    assert (problem.code, problem.field) == ("lookup_ambiguous", "metadata.vendor_code")
    assert "'Contoso'" in problem.message


async def test_without_a_row_a_document_is_skipped_rejected_or_written_without_it(
    destination: Any, dataverse: Any, log: Any
) -> None:
    with pytest.raises(SkippedError) as skipped:
        await prepare(destination, log, vendor("skip", accountnumber="V9"))
    assert skipped.value.code == "lookup_missing"
    assert str(skipped.value).startswith("metadata.vendor_code: ")
    with pytest.raises(RejectedError) as rejected:
        await prepare(destination, log, vendor("reject", accountnumber="V9"))
    assert [problem.code for problem in rejected.value.problems] == ["lookup_missing"]
    assert bound(await prepare(destination, log, vendor("empty", accountnumber="V9"))) is None
    assert dataverse.effects == []


async def test_a_missing_row_is_looked_for_again_each_time(destination: Any, dataverse: Any, log: Any) -> None:
    """A vendor that was just entered is found by the next document."""
    with pytest.raises(RejectedError):
        await prepare(destination, log, vendor(accountnumber="V9"))
    (there,) = dataverse.seed("account", [{"accountnumber": "V9"}])
    assert bound(await prepare(destination, log, vendor(accountnumber="V9"))) == f"/accounts({there})"


async def test_other_problems_win_over_a_skip(destination: Any, dataverse: Any, log: Any) -> None:
    lookups = (vendor("skip", accountnumber="V9"),)
    wanted = WritePlan("numora_invoice", Identity(), {"numora_name": "x" * 101}, lookups)
    with pytest.raises(RejectedError):
        await destination.prepare(wanted, DocumentKey("acme", "doc-1"), log)


async def test_a_missing_row_is_created_once_for_all_documents(destination: Any, dataverse: Any, log: Any) -> None:
    prepared = await asyncio.gather(
        *(prepare(destination, log, vendor("create", name="Contoso"), document=f"doc-{n}") for n in range(5))
    )
    (account,) = dataverse.rows("account")
    assert account["name"] == "Contoso"
    assert {bound(one) for one in prepared} == {f"/accounts({account['accountid']})"}
    assert [request.purpose for request in log.opened if request.mutating] == ["create account"]


async def test_names_that_differ_in_case_alone_make_one_row_though_they_come_together(
    destination: Any, dataverse: Any, log: Any
) -> None:
    """Dataverse finds either by the other; two rows would be one too many for every later document."""
    names = ("Contoso", "CONTOSO", "contoso")
    prepared = await asyncio.gather(*(prepare(destination, log, vendor("create", name=name)) for name in names))
    assert len(dataverse.rows("account")) == 1
    assert len({bound(one) for one in prepared}) == 1


async def test_a_created_row_whose_values_a_person_put_right_is_still_the_one(
    destination: Any, connect: Any, dataverse: Any, log: Any
) -> None:
    """It cannot be created a second time, and waiting for it to be found again would be waiting for ever."""
    first = await prepare(destination, log, vendor("create", name="Contosso"))
    (account,) = dataverse.store.rows["account"].values()
    account.values["name"] = "Contoso"
    second = await prepare(connect(dataverse), log, vendor("create", name="Contosso"), document="doc-2")
    assert bound(first) == bound(second)
    assert len(dataverse.rows("account")) == 1


async def test_a_row_whose_creation_went_unanswered_is_not_created_twice(
    connect: Any, dataverse: Any, log: Any
) -> None:
    """Also by another process, since its id follows from what was looked for."""
    dataverse.faults.add("reset_after", method="POST", times=1)
    with pytest.raises(TransientError):
        await prepare(connect(dataverse), log, vendor("create", name="Contoso"))
    await prepare(connect(dataverse), log, vendor("create", name="Contoso"))
    assert len(dataverse.rows("account")) == 1


async def test_a_preview_creates_nothing(destination: Any, dataverse: Any, log: Any) -> None:
    prepared = await prepare(destination, log, vendor("create", name="Contoso"), create_missing=False)
    assert bound(prepared) is not None
    assert dataverse.effects == []


async def test_a_document_that_is_rejected_anyway_creates_nothing(destination: Any, dataverse: Any, log: Any) -> None:
    wanted = WritePlan("numora_invoice", Identity(), {"numora_name": "x" * 101}, (vendor("create", name="Contoso"),))
    with pytest.raises(RejectedError):
        await destination.prepare(wanted, DocumentKey("acme", "doc-1"), log)
    assert dataverse.effects == []


async def test_a_row_that_was_deleted_since_is_looked_for_again(destination: Any, dataverse: Any, log: Any) -> None:
    (gone,) = dataverse.seed("account", [{"accountnumber": "V1"}])
    prepared = await prepare(destination, log, vendor(accountnumber="V1"))
    del dataverse.store.rows["account"][gone]
    (there,) = dataverse.seed("account", [{"accountnumber": "V1"}])
    with pytest.raises(TransientError) as error:
        await destination.write(prepared, NOTHING, log)
    assert error.value.code == "reference_gone"
    again = await prepare(destination, log, vendor(accountnumber="V1"))
    assert bound(again) == f"/accounts({there})"
    assert (await destination.write(again, NOTHING, log)).operation == "created"


async def test_an_owner_is_a_user_or_a_team(destination: Any, dataverse: Any, log: Any) -> None:
    (team,) = dataverse.seed("team", [{"name": "AP Team"}])
    owner = LookupPlan("ownerid", "team", {"name": "AP Team"}, "reject", ())
    prepared = await prepare(destination, log, owner)
    assert bound(prepared, "ownerid") == f"/teams({team})"
    result = await destination.write(prepared, NOTHING, log)
    assert dataverse.rows("numora_invoice")[0]["ownerid"] == team
    known = KnownRow(result.record_id)
    assert (await destination.write(prepared, known, log)).operation == "unchanged"


async def test_a_column_of_several_tables_is_bound_to_the_right_one(destination: Any, dataverse: Any, log: Any) -> None:
    (account,) = dataverse.seed("account", [{"name": "Contoso"}])
    parent = LookupPlan("parentcustomerid", "account", {"name": "Contoso"}, "reject", ())
    wanted = WritePlan("contact", Identity(), {"lastname": "Doe"}, (parent,))
    prepared = await destination.prepare(wanted, DocumentKey("acme", "doc-1"), log)
    assert bound(prepared, "parentcustomerid_account") == f"/accounts({account})"
    await destination.write(prepared, NOTHING, log)
    assert dataverse.rows("contact")[0]["parentcustomerid"] == account


@pytest.mark.parametrize("order", [1, -1])
async def test_of_two_tables_that_a_column_may_refer_to_the_one_that_was_found_stays(
    destination: Any, dataverse: Any, log: Any, order: int
) -> None:
    """Emptying the reference to the one would take back the reference to the other."""
    dataverse.seed("account", [{"name": "Contoso"}])
    lookups = (
        LookupPlan("parentcustomerid_account", "account", {"name": "Contoso"}, "empty", ()),
        LookupPlan("parentcustomerid_contact", "contact", {"lastname": "Contoso"}, "empty", ()),
    )
    wanted = WritePlan("contact", Identity(), {"lastname": "Doe"}, lookups[::order])
    prepared = await destination.prepare(wanted, DocumentKey("acme", "doc-1"), log)
    row = await destination.write(prepared, NOTHING, log)
    again = await destination.write(prepared, KnownRow(row.record_id, may_exist=True), log)
    assert again.operation == "unchanged"
    assert [effect.kind for effect in dataverse.effects] == ["create"]


async def test_a_navigation_property_in_the_wrong_case_blocks(destination: Any, log: Any) -> None:
    wrong = LookupPlan("numora_vendor", "account", {"name": "Contoso"}, "reject", ())
    with pytest.raises(BlockedError) as error:
        await prepare(destination, log, wrong)
    assert error.value.code == "unknown_navigation_property"


@pytest.mark.parametrize(("column", "value"), [("accountid", "V-17"), ("primarycontactid", "nobody")])
async def test_a_value_that_cannot_be_what_is_looked_for_is_the_documents_problem(
    destination: Any, log: Any, column: str, value: str
) -> None:
    with pytest.raises(RejectedError) as error:
        await prepare(destination, log, vendor(**{column: value}))
    assert error.value.code == "lookup_value_invalid"
