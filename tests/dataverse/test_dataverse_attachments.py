"""Files beside the row: fetched before the row through what the caller gives, written after it, and once."""

from typing import Any

import pytest

from connectors.dataverse.attachments import FetchedFile
from connectors.dataverse.sandbox.columns import FileColumn, StringColumn
from connectors.dataverse.sandbox.server import DataverseSandbox
from connectors.dataverse.sandbox.tables import TableSchema
from connectors.outcome import BlockedError, RejectedError, TransientError
from connectors.ports import DocumentKey, KnownRow
from mappings.plan import AttachmentPlan, Identity, Problem, WritePlan

KEY = DocumentKey("acme", "doc-1")
URL = "https://files.example/inv-1.pdf"
NOTE = AttachmentPlan(URL, "note")


class Shelf:
    """Serves one file, and counts how often."""

    def __init__(self, name: str = "inv-1.pdf") -> None:
        self.name = name
        self.fetched: list[str] = []

    async def __call__(self, url: str) -> FetchedFile:
        self.fetched.append(url)
        return FetchedFile(b"%PDF-1.7 made up", self.name, "application/pdf")


def plan(*attachments: AttachmentPlan, table: str = "numora_invoice") -> WritePlan:
    name = {"numora_name": "INV-1"} if table == "numora_invoice" else {"x_name": "INV-1"}
    return WritePlan(table, Identity(), name, attachments=attachments)


async def write(to: Any, what: WritePlan, log: Any, known: KnownRow = KnownRow()) -> Any:  # noqa: B008
    return await to.write(await to.prepare(what, KEY, log), known, log)


async def test_a_note_hangs_on_the_row(connect: Any, dataverse: Any, log: Any) -> None:
    result = await write(connect(dataverse, fetch_file=Shelf()), plan(NOTE), log)
    (note,) = dataverse.rows("annotation")
    assert (note["filename"], note["mimetype"]) == ("inv-1.pdf", "application/pdf")
    assert note["documentbody"] == "JVBERi0xLjcgbWFkZSB1cA=="
    assert note["objectid"] == result.record_id


async def test_a_note_is_written_once_however_often_the_document_is(connect: Any, dataverse: Any, log: Any) -> None:
    shelf = Shelf()
    to = connect(dataverse, fetch_file=shelf)
    await write(to, plan(NOTE), log)
    result = await write(to, plan(NOTE), log, KnownRow(may_exist=True))
    assert result.operation == "created"
    assert len(dataverse.rows("annotation")) == 1
    assert len(shelf.fetched) == 1


async def test_a_note_whose_answer_was_lost_is_not_written_twice(connect: Any, dataverse: Any, log: Any) -> None:
    to = connect(dataverse, fetch_file=Shelf())
    dataverse.faults.add("reset_after", method="POST", path="annotations", times=1)
    with pytest.raises(TransientError):
        await write(to, plan(NOTE), log)
    await write(to, plan(NOTE), log, KnownRow(may_exist=True))
    assert len(dataverse.rows("annotation")) == 1
    assert dataverse.repeated_creates() == {}


@pytest.mark.parametrize("outcome", [RejectedError((Problem(None, None, "x", "x"),)), TransientError("x", "x")])
async def test_a_document_whose_file_cannot_be_had_leaves_no_row(
    connect: Any, dataverse: Any, log: Any, outcome: Exception
) -> None:
    """The reviewer is told that it was rejected: then nothing of it stands in Dynamics."""

    async def refuse(_: str) -> FetchedFile:
        raise outcome

    with pytest.raises(type(outcome)):
        await write(connect(dataverse, fetch_file=refuse), plan(NOTE), log)
    assert dataverse.effects == []


@pytest.mark.parametrize("name", ["inv-1.pdf", "Rechnung Größe.pdf"])
async def test_a_file_column_holds_the_file_under_its_name(connect: Any, entra: Any, log: Any, name: str) -> None:
    table = TableSchema("x_bill", (StringColumn(name="x_name", max_length=20), FileColumn(name="x_pdf")))
    async with DataverseSandbox(entra=entra, tables=[table]) as sandbox:
        to = connect(sandbox, fetch_file=Shelf(name))
        await write(to, plan(AttachmentPlan(URL, "file_column", "x_pdf"), table="x_bill"), log)
        assert list(sandbox.store.files.values()) == [(name, b"%PDF-1.7 made up")]


async def test_without_a_way_to_fetch_files_nothing_is_claimed(connect: Any, dataverse: Any, log: Any) -> None:
    with pytest.raises(BlockedError) as error:
        await write(connect(dataverse), plan(NOTE), log)
    assert error.value.code == "attachments_unavailable"
