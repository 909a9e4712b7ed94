"""Schema as the imitated Dataverse tells it: EntityDefinitions, casts, keys, relationships, CSDL."""

from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from connectors.dataverse.sandbox import DataverseSandbox, PicklistColumn, TableSchema

INVOICE = "EntityDefinitions(LogicalName='numora_invoice')"
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


async def test_one_call_tells_what_a_writer_has_to_know(call):
    answer = await call(
        "GET",
        f"{INVOICE}?$select=EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,IsOptimisticConcurrencyEnabled,HasNotes,"
        "TableType&$expand=Attributes($select=LogicalName,SchemaName,AttributeType,RequiredLevel,IsValidForCreate,"
        "IsValidForUpdate),Keys($select=SchemaName,KeyAttributes,EntityKeyIndexStatus),ManyToOneRelationships("
        "$select=ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName),OneToManyRelationships("
        "$select=ReferencingEntity,ReferencingAttribute,ReferencedEntityNavigationPropertyName)",
    )
    assert answer.status == 200, answer.body
    table = answer.json
    assert (table["EntitySetName"], table["PrimaryIdAttribute"]) == ("numora_invoices", "numora_invoiceid")
    assert (table["PrimaryNameAttribute"], table["TableType"]) == ("numora_name", "Standard")
    assert "LogicalName" not in table
    columns = {column["LogicalName"]: column for column in table["Attributes"]}
    assert columns["numora_total"]["AttributeType"] == "Decimal"
    assert columns["numora_total"]["RequiredLevel"]["Value"] == "ApplicationRequired"
    assert columns["numora_total"]["@odata.type"] == "#Microsoft.Dynamics.CRM.DecimalAttributeMetadata"
    assert columns["createdon"]["IsValidForCreate"] is False
    [key] = table["Keys"]
    assert (key["KeyAttributes"], key["EntityKeyIndexStatus"]) == (["numora_externalkey"], "Active")
    ways = {way["ReferencingAttribute"]: way for way in table["ManyToOneRelationships"]}
    assert ways["numora_vendor"]["ReferencingEntityNavigationPropertyName"] == "numora_Vendor"
    lines = next(way for way in table["OneToManyRelationships"] if way["ReferencingEntity"] == "numora_invoiceline")
    assert lines["ReferencedEntityNavigationPropertyName"] == "numora_invoice_numora_invoiceline"


@pytest.mark.parametrize(
    ("cast", "table", "select", "expected"),
    [
        ("String", "numora_invoice", "MaxLength", ("numora_name", 100)),
        ("Memo", "numora_contract", "MaxLength", ("numora_summary", 2000)),
        ("Decimal", "numora_invoice", "Precision", ("numora_total", 2)),
        ("Integer", "numora_invoiceline", "MaxValue", ("numora_position", 2**31 - 1)),
        ("DateTime", "numora_contract", "DateTimeBehavior", ("numora_signedat", {"Value": "TimeZoneIndependent"})),
        ("Lookup", "numora_invoice", "Targets", ("numora_vendor", ["account"])),
        ("Boolean", "numora_contract", "DefaultValue", ("numora_autorenewal", False)),
    ],
)
async def test_a_cast_tells_the_limits_of_its_columns(call, cast, table, select, expected):
    path = f"EntityDefinitions(LogicalName='{table}')/Attributes/Microsoft.Dynamics.CRM.{cast}AttributeMetadata"
    answer = await call("GET", f"{path}?$select=LogicalName,{select}")
    assert answer.status == 200, answer.body
    assert expected in [(column["LogicalName"], column[select]) for column in answer.json["value"]]


async def test_the_limits_are_no_properties_of_the_base_type(call):
    assert (await call("GET", f"{INVOICE}/Attributes?$select=LogicalName,MaxLength")).status == 400
    assert (await call("GET", f"{INVOICE}?$expand=Attributes($select=Precision)")).status == 400


async def test_choices_are_listed_with_their_numbers(call):
    path = f"{INVOICE}/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    answer = await call(
        "GET", f"{path}?$select=LogicalName&$expand=OptionSet($select=Options),GlobalOptionSet($select=Options)"
    )
    [column] = answer.json["value"]
    options = {
        option["Value"]: option["Label"]["UserLocalizedLabel"]["Label"] for option in column["OptionSet"]["Options"]
    }
    assert (options, column["GlobalOptionSet"]) == ({1: "Invoice", 2: "Credit note"}, None)


async def test_a_global_choice_is_read_without_options(session):
    column = PicklistColumn(name="x_kind", options={1: "One"}, global_name="x_kinds")
    async with DataverseSandbox(tables=[TableSchema("x_thing", (column,))]) as sandbox:
        async with session.get(f"{sandbox.api_url}/GlobalOptionSetDefinitions(Name='x_kinds')") as answer:
            assert [option["Value"] for option in (await answer.json())["Options"]] == [1]
        async with session.get(f"{sandbox.api_url}/GlobalOptionSetDefinitions(Name='x_kinds')?$select=Name") as answer:
            assert answer.status == 400


async def test_tables_are_found_by_filter_by_name_and_by_id(call):
    wanted = quote("LogicalName eq 'numora_invoice'")
    found = await call("GET", f"EntityDefinitions?$select=LogicalName,EntitySetName&$filter={wanted}")
    [table] = found.json["value"]
    by_id = await call("GET", f"EntityDefinitions({table['MetadataId']})?$select=LogicalName")
    assert by_id.json["LogicalName"] == "numora_invoice"
    nobody = quote("LogicalName eq 'nobody'")
    assert (await call("GET", f"EntityDefinitions?$filter={nobody}")).json["value"] == []
    assert (await call("GET", "EntityDefinitions(LogicalName='nobody')")).status == 404


async def test_a_pending_key_is_shown_as_such(call, dataverse):
    dataverse.set_key_status("numora_invoice", "numora_externalkey_key", "Pending")
    answer = await call("GET", f"{INVOICE}/Keys?$select=SchemaName,KeyAttributes,EntityKeyIndexStatus")
    assert [key["EntityKeyIndexStatus"] for key in answer.json["value"]] == ["Pending"]


async def test_one_column_is_read_alone_with_its_type(call):
    path = f"{INVOICE}/Attributes(LogicalName='numora_total')"
    assert (await call("GET", path)).json["Precision"] == 2
    cast = await call("GET", f"{path}/Microsoft.Dynamics.CRM.DecimalAttributeMetadata?$select=Precision")
    assert cast.json["Precision"] == 2
    wrong = await call("GET", f"{path}/Microsoft.Dynamics.CRM.StringAttributeMetadata")
    assert wrong.status == 404


async def test_csdl_is_xml_only_and_knows_the_navigation_properties(call):
    assert (await call("GET", "$metadata", headers={"Accept": "application/json"})).status == 415
    answer = await call("GET", "$metadata", headers={"Accept": "application/xml"})
    schema = ET.fromstring(answer.body)  # noqa: S314 - our own document
    [invoice] = [entity for entity in schema.iter(f"{EDM}EntityType") if entity.get("Name") == "numora_invoice"]
    ways = {way.get("Name"): way.get("Type") for way in invoice.iter(f"{EDM}NavigationProperty")}
    assert ways["numora_Vendor"] == "mscrm.account"
    assert ways["numora_invoice_numora_invoiceline"] == "Collection(mscrm.numora_invoiceline)"
    types = {column.get("Name"): column.get("Type") for column in invoice.iter(f"{EDM}Property")}
    assert (types["numora_invoicedate"], types["_numora_vendor_value"]) == ("Edm.Date", "Edm.Guid")
    sets = {entity_set.get("Name") for entity_set in schema.iter(f"{EDM}EntitySet")}
    assert {"numora_invoices", "transactioncurrencies"} <= sets
