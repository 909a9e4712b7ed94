"""Rows of the imitated Dataverse: creating, addressing, upserting, deleting; every status and code as documented."""

from uuid import uuid4

import pytest

from connectors.dataverse.sandbox import APPLICATION_USER_ID

INVOICES = "numora_invoices"
LINES = "numora_invoice_numora_invoiceline"
KEY = "abc123"


def row_id_of(answer) -> str:
    return answer.headers["OData-EntityId"].rpartition("(")[2].rstrip(")")


async def created(call, **columns) -> str:
    answer = await call("POST", INVOICES, {"numora_name": "INV-1", **columns})
    assert answer.status == 204, answer.body
    return row_id_of(answer)


async def test_a_create_answers_204_with_the_address_of_the_row(call, dataverse):
    answer = await call("POST", INVOICES, {"numora_name": "INV-1"}, {"If-None-Match": "null"})
    assert (answer.status, answer.body) == (204, b"")
    row_id = row_id_of(answer)
    assert answer.headers["OData-EntityId"] == f"{dataverse.api_url}/numora_invoices({row_id})"
    assert answer.headers["OData-Version"] == "4.0"
    assert answer.headers["x-ms-service-request-id"]
    assert answer.headers["x-ms-dop-hint"] == "52"
    read = await call("GET", f"{INVOICES}({row_id})")
    assert (read.json["numora_name"], read.json["statecode"], read.json["statuscode"]) == ("INV-1", 0, 1)
    assert read.json["_ownerid_value"] == APPLICATION_USER_ID
    assert read.headers["ETag"] == read.json["@odata.etag"]


async def test_a_preferred_representation_answers_201_with_the_row_and_no_address(call):
    answer = await call(
        "POST", f"{INVOICES}?$select=numora_name", {"numora_name": "INV-1"}, {"Prefer": "return=representation"}
    )
    assert answer.status == 201
    assert "OData-EntityId" not in answer.headers
    assert {name for name in answer.json if "@" not in name} == {"numora_invoiceid", "numora_name"}


@pytest.mark.parametrize("code", ["0x80060892", "0x80040237"])
async def test_the_client_may_choose_the_primary_key_and_a_taken_one_is_412(call, control, code):
    chosen = str(uuid4())
    assert (await control("PUT", "settings", {"primary_key_conflict_code": code})).status == 200
    assert await created(call, numora_invoiceid=chosen.upper()) == chosen
    again = await call("POST", INVOICES, {"numora_invoiceid": chosen})
    assert (again.status, again.code) == (412, code)


async def test_a_deep_insert_writes_header_and_lines_together(call, dataverse):
    row_id = await created(call, **{LINES: [{"numora_amount": 1, "numora_position": n} for n in (1, 2, 3)]})
    lines = dataverse.rows("numora_invoiceline")
    assert [line["numora_invoice"] for line in lines] == [row_id] * 3
    assert [effect.kind for effect in dataverse.effects] == ["create"] * 4


@pytest.mark.parametrize(
    "lines",
    [
        [{"numora_position": 1}, {"numora_nonsense": 1}],
        [{"numora_externalkey": "same"}, {"numora_externalkey": "SAME"}],
        [{"numora_description": "x" * 401}],
    ],
)
async def test_a_deep_insert_that_fails_in_a_line_leaves_nothing(call, dataverse, lines):
    answer = await call("POST", INVOICES, {"numora_name": "INV-1", "numora_externalkey": KEY, LINES: lines})
    assert answer.status in {400, 412}
    assert (dataverse.rows("numora_invoice"), dataverse.rows("numora_invoiceline"), dataverse.effects) == ([], [], [])
    assert (await call("POST", INVOICES, {"numora_externalkey": KEY})).status == 204


async def test_a_taken_alternate_key_is_412_and_writes_no_lines(call, dataverse):
    await created(call, numora_externalkey=KEY)
    answer = await call("POST", INVOICES, {"numora_externalkey": KEY, LINES: [{"numora_position": 1}]})
    assert (answer.status, answer.code) == (412, "0x80060892")
    assert dataverse.rows("numora_invoiceline") == []
    assert dataverse.repeated_creates() == {}


async def test_nested_rows_can_be_limited(call, control):
    await control("PUT", "settings", {"nested_rows_limit": 2})
    assert (await call("POST", INVOICES, {LINES: [{}, {}]})).status == 204
    assert (await call("POST", INVOICES, {LINES: [{}, {}, {}]})).status == 400


async def test_rows_without_a_key_value_are_not_deduplicated(call, dataverse):
    await created(call, numora_externalkey=None)
    await created(call, numora_externalkey=None)
    assert len(dataverse.rows("numora_invoice")) == 2


class TestUpsert:
    """Table 2.3 of the Dataverse contract, row by row."""

    async def test_patch_without_condition_creates_and_updates_alike(self, call, dataverse):
        address = f"{INVOICES}({uuid4()})"
        for name in ("one", "two"):
            answer = await call("PATCH", address, {"numora_name": name})
            assert answer.status == 204
            assert answer.headers["OData-EntityId"] == f"{dataverse.api_url}/{address}"
        assert [effect.kind for effect in dataverse.effects] == ["create", "update"]

    async def test_a_representation_tells_created_from_updated(self, call):
        address, prefer = f"{INVOICES}({uuid4()})", {"Prefer": "return=representation"}
        assert (await call("PATCH", address, {}, prefer)).status == 201
        assert (await call("PATCH", address, {}, prefer)).status == 200

    async def test_if_match_any_updates_only(self, call):
        address = f"{INVOICES}({uuid4()})"
        missing = await call("PATCH", address, {}, {"If-Match": "*"})
        assert (missing.status, missing.code) == (404, "0x80040217")
        assert (await call("PATCH", address, {})).status == 204
        assert (await call("PATCH", address, {}, {"If-Match": "*"})).status == 204

    async def test_if_none_match_any_creates_only_by_guid(self, call):
        address = f"{INVOICES}({uuid4()})"
        assert (await call("PATCH", address, {}, {"If-None-Match": "*"})).status == 204
        exists = await call("PATCH", address, {}, {"If-None-Match": "*"})
        assert (exists.status, exists.message) == (412, "A record with matching key values already exists.")

    async def test_if_none_match_any_by_alternate_key_does_not_create(self, call, dataverse):
        address = f"{INVOICES}(numora_externalkey='{KEY}')"
        missing = await call("PATCH", address, {}, {"If-None-Match": "*"})
        assert (missing.status, missing.code) == (404, "0x80060891")
        assert dataverse.rows("numora_invoice") == []
        await created(call, numora_externalkey=KEY)
        assert (await call("PATCH", address, {}, {"If-None-Match": "*"})).status == 412

    async def test_a_stale_version_is_refused_and_the_current_one_taken(self, call):
        row_id = await created(call)
        address = f"{INVOICES}({row_id})"
        etag = (await call("GET", address)).headers["ETag"]
        assert (await call("PATCH", address, {"numora_name": "a"}, {"If-Match": etag})).status == 204
        stale = await call("PATCH", address, {"numora_name": "b"}, {"If-Match": etag})
        assert (stale.status, stale.code) == (412, "0x80060882")
        assert (await call("GET", address)).json["numora_name"] == "a"
        assert (await call("PATCH", f"{INVOICES}({uuid4()})", {}, {"If-Match": etag})).status == 404

    async def test_upsert_by_alternate_key_takes_the_key_from_the_url(self, call, dataverse):
        address = f"{INVOICES}(numora_externalkey='{KEY}')"
        answer = await call("PATCH", address, {"numora_name": "one"})
        assert answer.status == 204
        assert answer.headers["OData-EntityId"] == f"{dataverse.api_url}/{address}"
        await call("PATCH", address, {"numora_name": "two", "numora_externalkey": "ignored"})
        [row] = dataverse.rows("numora_invoice")
        assert (row["numora_name"], row["numora_externalkey"]) == ("two", KEY)

    async def test_on_create_the_key_in_the_body_wins(self, call, dataverse):
        await call("PATCH", f"{INVOICES}(numora_externalkey='{KEY}')", {"numora_externalkey": "other"})
        assert dataverse.rows("numora_invoice")[0]["numora_externalkey"] == "other"

    async def test_patch_cannot_deep_update(self, call, dataverse):
        row_id = await created(call)
        answer = await call("PATCH", f"{INVOICES}({row_id})", {LINES: [{"numora_position": 1}]})
        assert answer.status == 400
        assert dataverse.rows("numora_invoiceline") == []


class TestKeys:
    """Addressing by alternate key."""

    async def test_a_row_is_read_by_its_key_whatever_the_case(self, call):
        row_id = await created(call, numora_externalkey="O'Hara")
        answer = await call("GET", f"{INVOICES}(numora_externalkey='o%27%27hara')?$select=numora_name")
        assert (answer.status, answer.json["numora_invoiceid"]) == (200, row_id)

    async def test_an_unknown_key_value_is_404_by_key(self, call):
        answer = await call("GET", f"{INVOICES}(numora_externalkey='none')")
        assert (answer.status, answer.code) == (404, "0x80060891")

    @pytest.mark.parametrize(
        "key", ["numora_name='x'", "'x'", "numora_externalkey='x',numora_name='y'", "nonsense", ""]
    )
    async def test_a_wrong_column_set_is_no_key(self, call, key):
        answer = await call("GET", f"{INVOICES}({key})")
        assert answer.status == 400
        assert answer.message.startswith("The key in the request URI is not valid for resource")

    @pytest.mark.parametrize("character", ["%2F", "%3C", "%26", "%3A", "%2B", "%3F", "%25", "%2A", "%5C"])
    async def test_reserved_characters_in_a_key_cannot_be_addressed(self, call, character):
        assert (await call("GET", f"{INVOICES}(numora_externalkey='a{character}b')")).status == 400

    async def test_a_key_is_of_no_use_before_its_index_is_active(self, call, control):
        await control("PUT", "keys/numora_invoice/numora_externalkey_key", {"status": "Pending"})
        await created(call, numora_externalkey=KEY)
        for method in ("GET", "PATCH"):
            answer = await call(method, f"{INVOICES}(numora_externalkey='{KEY}')", {})
            assert (answer.status, answer.code) == (404, "0x80060891")
        active = await control("PUT", "keys/numora_invoice/numora_externalkey_key", {"status": "Active"})
        assert active.json == {"status": "Active"}
        assert (await call("GET", f"{INVOICES}(numora_externalkey='{KEY}')")).status == 200

    async def test_an_index_over_duplicates_fails(self, call, control):
        await control("PUT", "keys/numora_invoice/numora_externalkey_key", {"status": "Pending"})
        await created(call, numora_externalkey=KEY)
        await created(call, numora_externalkey=KEY)
        active = await control("PUT", "keys/numora_invoice/numora_externalkey_key", {"status": "Active"})
        assert active.json == {"status": "Failed"}

    async def test_a_guid_that_is_nobody_is_404(self, call):
        answer = await call("GET", f"{INVOICES}({uuid4()})")
        assert (answer.status, answer.code) == (404, "0x80040217")


class TestLookups:
    """Binding, and what is wrong about it."""

    async def test_a_lookup_is_bound_by_guid_by_address_and_cleared(self, call, dataverse):
        [vendor] = dataverse.seed("account", [{"name": "Acme"}])
        for uri in (f"/accounts({vendor})", f"accounts({vendor})", f"{dataverse.api_url}/accounts({vendor})"):
            row_id = await created(call, **{"numora_Vendor@odata.bind": uri})
            assert (await call("GET", f"{INVOICES}({row_id})")).json["_numora_vendor_value"] == vendor
            assert (await call("PATCH", f"{INVOICES}({row_id})", {"numora_Vendor@odata.bind": None})).status == 204
            assert (await call("GET", f"{INVOICES}({row_id})")).json["_numora_vendor_value"] is None

    async def test_a_lookup_is_bound_by_alternate_key(self, call, dataverse):
        invoice = await created(call, numora_externalkey=KEY)
        line = {"numora_Invoice@odata.bind": f"/numora_invoices(numora_externalkey='{KEY}')"}
        assert (await call("POST", "numora_invoicelines", line)).status == 204
        assert dataverse.rows("numora_invoiceline")[0]["numora_invoice"] == invoice

    async def test_a_bound_row_has_to_exist(self, call):
        gone = await call("POST", INVOICES, {"numora_Vendor@odata.bind": f"/accounts({uuid4()})"})
        assert (gone.status, gone.code) == (404, "0x80040217")
        unknown = {"numora_Invoice@odata.bind": "/numora_invoices(numora_externalkey='none')"}
        by_key = await call("POST", "numora_invoicelines", unknown)
        assert (by_key.status, by_key.code) == (404, "0x80060891")

    @pytest.mark.parametrize("name", ["numora_vendor", "NUMORA_VENDOR", "numora_vendorid"])
    async def test_a_navigation_property_has_its_exact_case(self, call, name):
        answer = await call("POST", INVOICES, {f"{name}@odata.bind": f"/accounts({uuid4()})"})
        assert answer.status == 400
        assert f"An undeclared property '{name}' which only has property annotations in the payload" in answer.message

    async def test_the_value_property_of_a_lookup_is_read_only(self, call):
        answer = await call("POST", INVOICES, {"_numora_vendor_value": str(uuid4())})
        assert answer.status == 400
        assert "Use Navigation properties instead" in answer.message

    async def test_a_bare_guid_is_no_address(self, call):
        row_id = str(uuid4())
        answer = await call("POST", INVOICES, {"numora_Vendor@odata.bind": row_id})
        assert answer.status == 404
        assert answer.message == f"Resource not found for the segment '{row_id}'."

    async def test_a_lookup_takes_its_own_targets_only(self, call, dataverse):
        [team] = dataverse.seed("team", [{"name": "AP"}])
        assert (await call("POST", INVOICES, {"numora_Vendor@odata.bind": f"/teams({team})"})).status == 400
        row_id = await created(call, **{"ownerid@odata.bind": f"/teams({team})"})
        assert (await call("GET", f"{INVOICES}({row_id})")).json["_ownerid_value"] == team

    async def test_a_reference_is_set_and_removed_by_its_own_address(self, call, dataverse):
        [vendor] = dataverse.seed("account", [{"name": "Acme"}])
        address = f"{INVOICES}({await created(call)})/numora_Vendor"
        assert (await call("PUT", f"{address}/$ref", {"@odata.id": f"/accounts({vendor})"})).status == 204
        assert (await call("GET", address)).json["name"] == "Acme"
        assert (await call("DELETE", f"{address}/$ref")).status == 204
        assert (await call("GET", address)).status == 204


class TestDelete:
    """Deleting a row and what refers to it."""

    async def test_lines_go_with_their_header(self, call, dataverse):
        row_id = await created(call, **{LINES: [{}, {}]})
        assert (await call("DELETE", f"{INVOICES}({row_id})")).status == 204
        assert dataverse.rows("numora_invoiceline") == []
        assert (await call("DELETE", f"{INVOICES}({row_id})")).status == 404

    async def test_a_vendor_that_goes_leaves_its_invoices(self, call, dataverse):
        [vendor] = dataverse.seed("account", [{"name": "Acme"}])
        row_id = await created(call, **{"numora_Vendor@odata.bind": f"/accounts({vendor})"})
        assert (await call("DELETE", f"accounts({vendor})")).status == 204
        assert (await call("GET", f"{INVOICES}({row_id})")).json["_numora_vendor_value"] is None

    async def test_a_stale_version_is_not_deleted(self, call, dataverse):
        row_id = await created(call)
        assert (await call("DELETE", f"{INVOICES}({row_id})", headers={"If-Match": 'W/"1"'})).status == 412
        assert len(dataverse.rows("numora_invoice")) == 1

    async def test_a_deleted_key_is_free_again(self, call):
        row_id = await created(call, numora_externalkey=KEY)
        await call("DELETE", f"{INVOICES}({row_id})")
        await created(call, numora_externalkey=KEY)


class TestBulk:
    """CreateMultiple, UpdateMultiple, UpsertMultiple."""

    async def bulk(self, call, action, *targets):
        path = f"{INVOICES}/Microsoft.Dynamics.CRM.{action}"
        return await call(
            "POST",
            path,
            {"Targets": [{"@odata.type": "Microsoft.Dynamics.CRM.numora_invoice", **target} for target in targets]},
        )

    async def test_create_multiple_answers_the_ids(self, call, dataverse):
        answer = await self.bulk(call, "CreateMultiple", {"numora_name": "a"}, {"numora_name": "b"})
        assert answer.status == 200
        assert answer.json["Ids"] == [row["numora_invoiceid"] for row in dataverse.rows("numora_invoice")]

    async def test_one_bad_item_undoes_all(self, call, dataverse):
        answer = await self.bulk(call, "CreateMultiple", {"numora_externalkey": KEY}, {"numora_externalkey": KEY})
        assert answer.status == 412
        assert (dataverse.rows("numora_invoice"), dataverse.effects) == ([], [])

    async def test_every_item_needs_its_type(self, call):
        path = f"{INVOICES}/Microsoft.Dynamics.CRM.CreateMultiple"
        assert (await call("POST", path, {"Targets": [{"numora_name": "a"}]})).status == 400

    async def test_update_multiple_needs_every_row(self, call, dataverse):
        row_id = await created(call)
        updated = await self.bulk(call, "UpdateMultiple", {"numora_invoiceid": row_id, "numora_name": "new"})
        assert (updated.status, dataverse.rows("numora_invoice")[0]["numora_name"]) == (204, "new")
        assert (await self.bulk(call, "UpdateMultiple", {"numora_invoiceid": str(uuid4())})).status == 404

    async def test_upsert_multiple_creates_and_updates_without_telling(self, call, dataverse):
        identity = {"@odata.id": f"numora_invoices(numora_externalkey='{KEY}')"}
        for name in ("one", "two"):
            answer = await self.bulk(call, "UpsertMultiple", {**identity, "numora_name": name})
            assert (answer.status, answer.body) == (204, b"")
        assert [effect.kind for effect in dataverse.effects] == ["create", "update"]

    async def test_a_key_column_given_twice_on_create_is_unexpected(self, call):
        target = {"@odata.id": f"numora_invoices(numora_externalkey='{KEY}')", "numora_externalkey": KEY}
        answer = await self.bulk(call, "UpsertMultiple", target)
        assert (answer.status, answer.code) == (400, "0x80040216")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "numora_nothings", 404),
        ("POST", "WhoAmI", 404),
        ("PUT", "numora_invoices", 405),
        ("GET", "numora_invoices/nonsense", 404),
        ("POST", "numora_invoices/Microsoft.Dynamics.CRM.DeleteMultiple", 404),
    ],
)
async def test_an_address_that_leads_nowhere(call, method, path, status):
    assert (await call(method, path, {} if method != "GET" else None)).status == status


async def test_a_body_is_json_and_says_so(call):
    assert (await call("POST", INVOICES, b"{}", {"Content-Type": "text/plain"})).status == 415
    broken = await call("POST", INVOICES, b'{"numora_name": ')
    assert (broken.status, broken.code) == (400, "0x80048d19")
    assert (await call("POST", INVOICES, [1])).status == 400


async def test_who_am_i_names_the_application_user(call):
    answer = await call("GET", "WhoAmI")
    assert (answer.status, answer.json["UserId"]) == (200, APPLICATION_USER_ID)
