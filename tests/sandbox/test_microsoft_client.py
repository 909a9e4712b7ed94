"""Faithfulness: Microsoft's own async Dataverse client, unmodified, works against the sandbox.

The peer is PowerPlatform-Dataverse-Client; the oracle is the sandbox's own store.
"""

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pytest

from connectors.dataverse.sandbox import DataverseSandbox, FileColumn, StringColumn, TableSchema
from connectors.entra.sandbox import EntraSandbox
from connectors.sandbox.authority import SandboxAuthority

pytest.importorskip("PowerPlatform.Dataverse.aio", reason="PowerPlatform-Dataverse-Client is not installed")

from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.aio import AsyncDataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.filters import col

TENANT, CLIENT = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
KEY = "00ff"


class SandboxCredential:
    """What azure-identity would be: a token for the scope that is asked for."""

    def __init__(self, entra: EntraSandbox) -> None:
        self._entra = entra

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        token = self._entra.issue(TENANT, CLIENT, scopes[0].removesuffix("/.default"))
        return AccessToken(token, int(time.time()) + 3600)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[tuple[DataverseSandbox, EntraSandbox]]:
    document = TableSchema("x_document", (StringColumn(name="x_name"), FileColumn(name="x_pdf")))
    async with (
        EntraSandbox(SandboxAuthority(tmp_path / "authority")) as entra,
        DataverseSandbox(entra=entra, tables=[document]) as dataverse,
    ):
        yield dataverse, entra


@pytest.fixture
def dataverse(guarded) -> DataverseSandbox:
    return guarded[0]


@pytest.fixture
async def client(guarded) -> AsyncIterator[AsyncDataverseClient]:
    dataverse, entra = guarded
    async with AsyncDataverseClient(dataverse.url, SandboxCredential(entra)) as opened:
        yield opened


async def test_it_creates_and_reads_a_row(client, dataverse):
    row_id = await client.records.create(
        "numora_invoice", {"numora_name": "INV-1", "numora_kind": "Credit note", "numora_total": 12.5}
    )
    read = await client.records.retrieve("numora_invoice", row_id, select=["numora_name", "numora_kind"])
    assert (read["numora_name"], read["numora_kind"]) == ("INV-1", 2)
    assert dataverse.rows("numora_invoice")[0]["numora_total"] == Decimal("12.50")


async def test_it_creates_many_rows_in_one_call(client, dataverse):
    ids = await client.records.create("numora_receipt", [{"numora_name": "a"}, {"numora_name": "b"}])
    assert ids == [row["numora_receiptid"] for row in dataverse.rows("numora_receipt")]


async def test_it_upserts_by_alternate_key(client, dataverse):
    for name in ("one", "two"):
        item = {"alternate_key": {"numora_externalkey": KEY}, "record": {"numora_name": name}}
        await client.records.upsert("numora_invoice", [item])
    [row] = dataverse.rows("numora_invoice")
    assert (row["numora_name"], row["numora_externalkey"]) == ("two", KEY)
    assert [effect.kind for effect in dataverse.effects] == ["create", "update"]


async def test_it_upserts_many_by_alternate_key(client, dataverse):
    items = [{"alternate_key": {"numora_externalkey": f"{KEY}{n}"}, "record": {"numora_name": str(n)}} for n in (1, 2)]
    await client.records.upsert("numora_invoice", items)
    assert [row["numora_externalkey"] for row in dataverse.rows("numora_invoice")] == [f"{KEY}1", f"{KEY}2"]


async def test_its_change_set_refers_to_a_row_of_the_same_change_set(client, dataverse):
    request = client.batch.new()
    async with request.changeset() as changes:
        header = changes.records.create("numora_invoice", {"numora_name": "INV-1"})
        changes.records.create("numora_invoiceline", {"numora_Invoice@odata.bind": header, "numora_position": 1})
        changes.records.update("numora_invoice", header, {"numora_source": "numora"})
    result = await request.execute()
    assert [item.status_code for item in result.responses] == [204, 204, 204]
    [invoice] = dataverse.rows("numora_invoice")
    assert invoice["numora_source"] == "numora"
    assert dataverse.rows("numora_invoiceline")[0]["numora_invoice"] == invoice["numora_invoiceid"]
    assert result.responses[0].entity_id == invoice["numora_invoiceid"]


async def test_its_failing_change_set_leaves_nothing(client, dataverse):
    request = client.batch.new()
    async with request.changeset() as changes:
        changes.records.create("numora_invoice", {"numora_name": "INV-1"})
        changes.records.create("numora_invoice", {"numora_name": "x" * 101})
    result = await request.execute()
    [failed] = result.responses
    assert (failed.status_code, failed.error_code) == (400, "0x80044331")
    assert dataverse.rows("numora_invoice") == []


async def test_it_queries_with_filter_order_and_pages(client, dataverse):
    dataverse.seed("account", [{"name": f"O'Hara {n}", "accountnumber": "A"} for n in range(5)])
    dataverse.seed("account", [{"name": "Other", "accountnumber": "B"}])
    query = client.query.builder("account").select("name").where(col("accountnumber") == "A")
    found = await query.order_by("name", descending=True).page_size(2).execute()
    assert [row["name"] for row in found] == [f"O'Hara {n}" for n in (4, 3, 2, 1, 0)]
    quoted = await client.query.builder("account").select("name").where(col("name") == "O'Hara 3").execute()
    assert [row["name"] for row in quoted] == ["O'Hara 3"]


async def test_it_updates_and_deletes(client, dataverse):
    row_id = await client.records.create("numora_contract", {"numora_name": "a"})
    await client.records.update("numora_contract", row_id, {"numora_autorenewal": True})
    assert dataverse.rows("numora_contract")[0]["numora_autorenewal"] is True
    await client.records.delete("numora_contract", row_id)
    assert dataverse.rows("numora_contract") == []


async def test_it_uploads_a_file(client, dataverse, tmp_path):
    row_id = await client.records.create("x_document", {"x_name": "a"})
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    await client.files.upload("x_document", row_id, "x_pdf", str(tmp_path / "a.pdf"), mode="small")
    [(name, content)] = dataverse.store.files.values()
    assert (name, content) == ("a.pdf", b"%PDF-1.7")


async def test_it_understands_a_refusal(client):
    with pytest.raises(HttpError) as refused:
        await client.records.create("numora_invoice", {"numora_nonsense": 1})
    assert refused.value.status_code == 400
    assert refused.value.details["service_error_code"] == "0x80048d19"
