"""Tables as targets describe them: in one answer, in several, or only in ``$metadata``; and how long that is believed.

Double: a small target that answers only some of the metadata requests, over loopback.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from connectors.dataverse.catalog import Catalog, UnknownTableError
from connectors.dataverse.client import WIRE, DataverseClient
from connectors.dataverse.csdl import read_tables
from connectors.dataverse.definitions import AttributeDefinition, TableDefinition, attributes_of, relationships_of
from connectors.dataverse.metadata import Kind, Table
from connectors.http import HttpPeer
from connectors.outcome import TransientError
from connectors.pacing import Pace


class Token:
    async def token(self) -> str:
        return "made-up-token"

    def invalidate(self, token: str) -> None:
        raise AssertionError("no token is refused here")

    async def close(self) -> None:
        pass


Open = Callable[[str], Catalog]


@pytest.fixture
def open_catalog(session: Any, clock: Any) -> Open:
    def make(url: str) -> Catalog:
        client = DataverseClient(url, HttpPeer(WIRE, session, Pace()), Token(), read_timeout=30, write_timeout=150)
        return Catalog(client, monotonic=clock)

    return make


CSDL = b"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="crmbaseentity" Abstract="true"/>
<EntityType Name="x_bill" BaseType="mscrm.crmbaseentity">
 <Key><PropertyRef Name="x_billid"/></Key>
 <Property Name="x_billid" Type="Edm.Guid"/><Property Name="x_name" Type="Edm.String"/>
 <Property Name="x_day" Type="Edm.Date"/><Property Name="x_total" Type="Edm.Decimal" Scale="Variable"/>
 <Property Name="_x_vendor_value" Type="Edm.Guid"/>
 <NavigationProperty Name="x_Vendor" Type="mscrm.account">
  <ReferentialConstraint Property="_x_vendor_value" ReferencedProperty="accountid"/></NavigationProperty>
 <NavigationProperty Name="x_bill_lines" Type="Collection(mscrm.x_billline)" Partner="x_Bill"/>
</EntityType>
<EntityType Name="x_billline" BaseType="mscrm.crmbaseentity">
 <Key><PropertyRef Name="x_billlineid"/></Key>
 <Property Name="x_billlineid" Type="Edm.Guid"/><Property Name="_x_bill_value" Type="Edm.Guid"/>
 <NavigationProperty Name="x_Bill" Type="mscrm.x_bill" Partner="x_bill_lines">
  <ReferentialConstraint Property="_x_bill_value" ReferencedProperty="x_billid"/></NavigationProperty>
</EntityType>
<EntityType Name="account" BaseType="mscrm.crmbaseentity"><Key><PropertyRef Name="accountid"/></Key>
 <Property Name="accountid" Type="Edm.Guid"/></EntityType>
<EntityContainer Name="System"><EntitySet Name="x_bills" EntityType="Microsoft.Dynamics.CRM.x_bill"/>
<EntitySet Name="x_billlines" EntityType="Microsoft.Dynamics.CRM.x_billline"/>
<EntitySet Name="accounts" EntityType="Microsoft.Dynamics.CRM.account"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""

BASE = {"LogicalName": "x_bill", "EntitySetName": "x_bills", "PrimaryIdAttribute": "x_billid"}
ATTRIBUTES = [
    {"LogicalName": "x_billid", "AttributeType": "Uniqueidentifier"},
    {"LogicalName": "x_name", "AttributeType": "String", "MaxLength": 20},
    {"LogicalName": "x_day", "AttributeType": "DateTime", "DateTimeBehavior": {"Value": "DateOnly"}},
    {"LogicalName": "x_total", "AttributeType": "Decimal", "Precision": 2, "MinValue": -10, "MaxValue": 10.5},
    {"LogicalName": "x_vendor", "AttributeType": "Lookup"},
    {"LogicalName": "x_vendorname", "AttributeType": "String", "AttributeOf": "x_vendor"},
    {"LogicalName": "x_new", "AttributeType": "SomethingNew", "RequiredLevel": {"Value": "Unheard"}},
]
VENDOR = {
    "ReferencingAttribute": "x_vendor",
    "ReferencedEntity": "account",
    "ReferencingEntityNavigationPropertyName": "x_Vendor",
}
LINES = {
    "ReferencingEntity": "x_billline",
    "ReferencingAttribute": "x_bill",
    "ReferencingEntityNavigationPropertyName": "x_Bill",
    "ReferencedEntityNavigationPropertyName": "x_bill_lines",
}
PARTS: dict[str, list[dict[str, Any]]] = {
    "Attributes": ATTRIBUTES,
    "Keys": [{"SchemaName": "x_key", "KeyAttributes": ["x_name"], "EntityKeyIndexStatus": "Active"}],
    "ManyToOneRelationships": [VENDOR],
    "OneToManyRelationships": [LINES],
}


class Target:
    """Answers the metadata requests that ``answers`` says it does, and 501 or 404 for the others."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: set[str] = set()
        self.refusal = 501
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None

    async def __call__(self, request: web.Request) -> web.Response:
        path = request.path.partition("/api/data/v9.2/")[2]
        self.asked.append(path)
        if self.gate is not None:
            await self.gate.wait()
        name = self._name(path, request.query)
        if name not in self.answers:
            return web.json_response({"error": {"code": "0x0", "message": "no"}}, status=self.refusal)
        if name == "$metadata":
            if request.headers["Accept"] != "application/xml":
                return web.Response(status=415)
            return web.Response(body=CSDL, content_type="application/xml")
        if name == "expanded":
            return web.json_response({**BASE, **PARTS})
        return web.json_response(BASE if name == "plain" else {"value": PARTS[name]})

    def _name(self, path: str, query: Any) -> str:
        if path == "EntityDefinitions(LogicalName='x_bill')":
            return "expanded" if "$expand" in query else "plain"
        return path.rpartition("/")[2]


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    double = Target()
    runner = web.ServerRunner(web.Server(double))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    double.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield double
    await runner.cleanup()


def assert_usable(table: Table) -> None:
    """Enough is known to write: the set, the key, how the vendor is bound, and under what name the lines stand."""
    assert (table.set_name, table.primary_id) == ("x_bills", "x_billid")
    assert {"x_name", "x_day", "x_total", "x_vendor"} <= set(table.attributes)
    assert table.attributes["x_total"].kind is Kind.DECIMAL
    assert table.attributes["x_day"].limits.behavior == "DateOnly"
    (vendor,) = table.lookups("x_Vendor", "account")
    assert vendor.attribute == "x_vendor"
    (lines,) = table.lines("x_billline")
    assert (lines.collection, lines.navigation, lines.attribute) == ("x_bill_lines", "x_Bill", "x_bill")


@pytest.mark.parametrize(
    "answers",
    [
        {"expanded"},
        {"plain", "Attributes", "Keys", "ManyToOneRelationships", "OneToManyRelationships"},
        {"plain", "Attributes", "$metadata"},
        {"$metadata"},
    ],
)
@pytest.mark.parametrize("refusal", [400, 404, 501])
async def test_a_target_that_answers_less_is_understood_all_the_same(
    target: Target, open_catalog: Open, answers: set[str], refusal: int
) -> None:
    target.answers, target.refusal = answers, refusal
    assert_usable(await open_catalog(target.url).table("x_bill"))


async def test_limits_that_stand_beside_a_column_need_no_further_request(target: Target, open_catalog: Open) -> None:
    target.answers = {"expanded"}
    table = await open_catalog(target.url).settled("x_bill", ["x_name", "x_total"])
    assert len(target.asked) == 1
    assert table.attributes["x_name"].limits.max_length == 20
    assert str(table.attributes["x_total"].limits.max_value) == "10.5"
    assert "x_vendorname" not in table.attributes
    assert table.attributes["x_new"].kind is Kind.OTHER


def test_money_is_held_to_its_own_precision_also_when_the_currency_sets_it() -> None:
    """Rather a document too many refused, with a reason, than one amount rounded without a word."""
    entry = {"LogicalName": "x", "AttributeType": "Money", "Precision": 2, "PrecisionSource": 2}
    limits = AttributeDefinition.model_validate(entry).limits()
    assert (limits.precision, limits.precision_elsewhere) == (2, True)


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"AttributeType": "Virtual", "AttributeTypeName": {"Value": "FileType"}}, Kind.FILE),
        ({"AttributeType": "Virtual", "AttributeTypeName": {"Value": "MultiSelectPicklistType"}}, Kind.MULTI_SELECT),
        ({"AttributeTypeName": "MoneyType"}, Kind.MONEY),
        ({"@odata.type": "#Microsoft.Dynamics.CRM.MemoAttributeMetadata"}, Kind.MEMO),
        ({"AttributeType": "PartyList"}, Kind.OTHER),
        ({}, Kind.UNTOLD),
    ],
)
def test_the_kind_of_a_column_is_found_wherever_it_stands(entry: dict[str, Any], kind: Kind) -> None:
    assert AttributeDefinition.model_validate({"LogicalName": "x", **entry}).kind is kind


def test_metadata_of_a_kind_that_nobody_foresaw_does_not_hide_the_rest() -> None:
    """One odd entry would block every document of the table."""
    definition = TableDefinition.model_validate(
        {
            **BASE,
            "Attributes": [
                {"@odata.type": "#Microsoft.Dynamics.CRM.HologramAttributeMetadata", "LogicalName": None},
                {"LogicalName": "x_new", "AttributeType": "Hologram", "IsValidForCreate": {"Value": False}},
                {"LogicalName": "x_kind", "AttributeType": "Picklist", "OptionSet": {"Options": [{"Value": None}]}},
                {"LogicalName": "x_name", "AttributeType": "String", "MaxLength": Decimal("20.0"), "Tint": {"a": 1}},
            ],
            "Keys": [{"SchemaName": "x_key", "KeyAttributes": None, "EntityKeyIndexStatus": {"Value": "Active"}}],
            "ManyToOneRelationships": [{"ReferencingEntityNavigationPropertyName": "x_Shape"}, VENDOR],
        }
    )
    columns = attributes_of(definition.Attributes or ())
    assert set(columns) == {"x_new", "x_kind", "x_name"}
    assert (columns["x_new"].kind, columns["x_new"].creatable) == (Kind.OTHER, False)
    assert columns["x_name"].limits.max_length == 20
    assert [key.key().active for key in definition.Keys or ()] == [True]
    assert len(relationships_of(definition.ManyToOneRelationships or (), "x_bill", many_to_one=True)) == 1


def test_the_limits_that_a_metadata_document_tells_are_taken() -> None:
    document = CSDL.replace(b'Type="Edm.String"', b'Type="Edm.String" MaxLength="20"', 1)
    document = document.replace(b'Scale="Variable"', b'Scale="2"', 1)
    document = document.replace(b'Type="Edm.Date"', b'Type="Edm.Date"/><Property Name="x_pdf" Type="Edm.Binary"', 1)
    attributes = read_tables(document)["x_bill"].attributes
    assert attributes["x_pdf"].kind is Kind.UNTOLD
    assert (attributes["x_name"].limits.max_length, attributes["x_total"].limits.precision) == (20, 2)


async def test_limits_that_a_target_does_not_tell_stay_unknown(target: Target, open_catalog: Open) -> None:
    target.answers = {"$metadata"}
    catalog = open_catalog(target.url)
    table = await catalog.settled("x_bill", ["x_name"])
    assert table.attributes["x_name"].limits.max_length is None
    asked = len(target.asked)
    await catalog.settled("x_bill", ["x_name"])
    assert len(target.asked) == asked


async def test_a_table_that_is_nowhere_is_unknown(target: Target, open_catalog: Open) -> None:
    target.answers = {"$metadata"}
    with pytest.raises(UnknownTableError):
        await open_catalog(target.url).table("x_nothing")


async def test_a_failing_target_does_not_make_a_table_unknown(target: Target, open_catalog: Open) -> None:
    target.refusal = 503
    with pytest.raises(TransientError):
        await open_catalog(target.url).table("x_bill")
    target.answers = {"expanded"}
    assert_usable(await open_catalog(target.url).table("x_bill"))


async def test_a_table_is_read_once_for_all_who_wait(target: Target, open_catalog: Open) -> None:
    target.answers = {"expanded"}
    catalog = open_catalog(target.url)
    await asyncio.gather(*(catalog.table("x_bill") for _ in range(10)))
    assert len(target.asked) == 1


async def test_a_table_is_read_anew_in_the_background_after_a_while(
    target: Target, open_catalog: Open, clock: Any
) -> None:
    target.answers = {"expanded"}
    catalog = open_catalog(target.url)
    first = await catalog.table("x_bill")
    clock.now += 601
    target.gate = asyncio.Event()
    assert await catalog.table("x_bill") is first
    target.gate.set()
    await asyncio.gather(*catalog._loading.values())
    assert await catalog.table("x_bill") is not first
    await catalog.close()


async def test_a_reading_that_fails_in_the_background_leaves_the_table_in_use(
    target: Target, open_catalog: Open, clock: Any
) -> None:
    target.answers = {"expanded"}
    catalog = open_catalog(target.url)
    first = await catalog.table("x_bill")
    clock.now += 601
    target.answers, target.refusal = set(), 503
    assert await catalog.table("x_bill") is first
    await asyncio.gather(*catalog._loading.values(), return_exceptions=True)
    assert await catalog.table("x_bill") is first
    await catalog.close()


@pytest.mark.parametrize("document", [b"", b"<a", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", b"{}"])
def test_what_is_no_metadata_document_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError):
        read_tables(document)
