"""What is said of a bad configuration: each finding with its code, its place and its key."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config.codes import FINDING_CODES
from bridge.config.load import load_config
from mappings.findings import Finding, FindingsError

ACME = "config/tenants/acme.yaml"
BRIDGE = "config/bridge.yaml"


def findings_of(path: Path, environ: dict[str, str]) -> tuple[Finding, ...]:
    try:
        return load_config(path, environ).warnings
    except FindingsError as error:
        return error.findings


def told(findings: tuple[Finding, ...]) -> list[str]:
    return [
        f"{':'.join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)} "
        f"{finding.severity} {finding.code} {finding.key or '-'}"
        for finding in findings
    ]


def test_a_good_folder_has_no_findings(write, files, environ):
    assert told(findings_of(write(files), environ)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  kind: numora\n", "  kind: numara\n", "2:9 error bad_value source.kind"),
        ("  kind: numora\n", "", "1:1 error missing_key source.kind"),
        ("  kind: numora\n", "  kind: numora\n  provder: x\n", "3:3 error unknown_key source.provder"),
        ("api_keys:", "api_key:", "15:1 error unknown_key api_key"),
        ("  kind: dataverse\n", "  kind: dataverze\n", "6:9 error bad_value destination.kind"),
        ("    kind: client_secret\n", "    kind: client_sekret\n", "9:11 error bad_value destination.auth.kind"),
        ("    client_secret: ${DATAVERSE_SECRET}\n", "", "8:3 error missing_key destination.auth.client_secret"),
        ("api_keys:", "delivery: {concurrency: many}\napi_keys:", "15:25 error wrong_type delivery.concurrency"),
        ("api_keys:", "delivery: {concurrency: 0}\napi_keys:", "15:25 error bad_value delivery.concurrency"),
        ("  kind: numora\n", "  kind: numora\n  trigger: pull\n", "3:12 error bad_value source.trigger"),
        (
            "  kind: numora\n",
            "  kind: numora\n  webhook: {template: '{t}.'}\n",
            "3:23 error bad_value source.webhook.template",
        ),
        (
            "  kind: numora\n",
            "  kind: numora\n  notify: {document_id: 'a[', auth: {kind: bearer, secret: '${OTHER_KEY}'}}\n",
            "3:25 error bad_value source.notify.document_id",
        ),
        (
            "  kind: numora\n",
            "  kind: numora\n  webhook_secret: in-clear\n",
            "3:19 warning literal_secret source.webhook_secret",
        ),
        (
            "  kind: numora\n",
            "  kind: numora\n  webhook_secret: ['${OTHER_KEY}', in-clear]\n",
            "3:36 warning literal_secret source.webhook_secret[1]",
        ),
        ("  kind: numora\n", "  kind: numora\n  timeout: 30\n", "3:12 error wrong_type source.timeout"),
        ("  kind: numora\n", "  kind: numora\n  timeout: 30 s\n", "3:12 error bad_value source.timeout"),
        ("  kind: numora\n", "  kind: numora\n  poll: {every: 0s}\n", "3:17 error bad_value source.poll.every"),
        ("  kind: numora\n", "  kind: numora\n  poll: {limit: 2000}\n", "3:17 error bad_value source.poll.limit"),
        ("  kind: numora\n", "  kind: numora\n  kind: numora\n", "3:3 error duplicate_key source.kind"),
        ("https://api.numora.example", "http://api.numora.example", "3:13 error insecure_url source.base_url"),
        ("https://api.numora.example", "ftp://api.numora.example", "3:13 error bad_url source.base_url"),
        ("https://api.numora.example", "api.numora.example", "3:13 error bad_url source.base_url"),
        ("https://api.numora.example", "https://user:pw@api.example", "3:13 error bad_url source.base_url"),
        ("https://api.numora.example", "https://api.example/?a=1", "3:13 error bad_url source.base_url"),
        ("https://api.numora.example", "'https://api.example/#a'", "3:13 error bad_url source.base_url"),
        ("https://api.numora.example", "https://api.example:99999", "3:13 error bad_url source.base_url"),
        ("https://api.numora.example", "'https://api .example'", "3:13 error bad_url source.base_url"),
        ("https://api.numora.example", "'https://[::1'", "3:13 error bad_url source.base_url"),
        ("https://api.numora.example", "'http://127.0.0.1\\@evil.example'", "3:13 error bad_url source.base_url"),
        ("dynamics.com", "dynamics.com/api/data/v9.2", "7:8 error bad_url destination.url"),
        ("  auth:\n", "  write_timeout: 60s\n  auth:\n", "8:18 error bad_value destination.write_timeout"),
        (
            "    kind: client_secret\n",
            "    kind: client_secret\n    authority: http://127.0.0.1:1/x\n",
            "10:16 error insecure_url destination.auth.authority",
        ),
        ("${NUMORA_KEY}", "${NUMORA_KEI}", "4:12 error missing_secret source.api_key"),
        ("${NUMORA_KEY}", "${EMPTY}", "4:12 error missing_secret source.api_key"),
        ("${NUMORA_KEY}", "${file:nowhere}", "4:12 error missing_secret source.api_key"),
        ("${NUMORA_KEY}", "${NUMORA_KEY", "4:12 error bad_reference source.api_key"),
        ("${NUMORA_KEY}", "${NUMORA-KEY}", "4:12 error bad_reference source.api_key"),
        ("${NUMORA_KEY}", "${TWO_LINES}", "4:12 error bad_value source.api_key"),
        ("${NUMORA_KEY}", "numora-key-in-clear", "4:12 warning literal_secret source.api_key"),
        ('["${TENANT_KEY}"]', '["${SHORT}"]', "15:12 warning short_api_key api_keys[0]"),
        ('["${TENANT_KEY}"]', "${TENANT_KEY}", "15:11 error wrong_type api_keys"),
        ('["${TENANT_KEY}"]', '["${BRIDGE_API_KEY}"]', "15:12 error shared_api_key api_keys[0]"),
        ("own.yaml", "owm.yaml", "14:15 error missing_mapping mappings.invoice_v2"),
        ("own.yaml", "../own.yaml", "14:15 error bad_value mappings.invoice_v2"),
        ("invoice_v2: own.yaml", "receipt_v1: own.yaml", "14:15 error mapping_schema_mismatch mappings.receipt_v1"),
        ("mappings:\n  invoice_v2: own.yaml\n", "", "1:1 warning no_mappings mappings"),
        (
            "api_keys:",
            "events: [{url: https://n8n.example/hook?a=b, secret: in-clear}]\napi_keys:",
            "15:54 warning literal_secret events[0].secret",
        ),
        (
            "api_keys:",
            "events: [{url: https://n8n.example/hook, secret: ['${OTHER_KEY}', in-clear]}]\napi_keys:",
            "15:67 warning literal_secret events[0].secret[1]",
        ),
        (
            "api_keys:",
            "events: [{url: https://127.0.0.1/hook}]\napi_keys:",
            "15:16 warning forbidden_host events[0].url",
        ),
        (
            "api_keys:",
            "events: [{url: http://n9n.example/hook}]\napi_keys:",
            "15:16 warning insecure_url events[0].url",
        ),
    ],
)
def test_a_tenant_file_with_a_slip_is_told_with_its_place(write, files, environ, old, new, expected):
    assert old in files["tenants/acme.yaml"]
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace(old, new, 1)
    environ |= {"EMPTY": "", "SHORT": "short-key", "TWO_LINES": "one\ntwo"}
    assert told(findings_of(write(files), environ)) == [f"{ACME}:{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lisen: {port: 1}\n", ["1:1 error unknown_key lisen"]),
        ("listen: {port: 70000}\n", ["1:16 error bad_value listen.port"]),
        ("listen: {port: eighty}\n", ["1:16 error wrong_type listen.port"]),
        ("listen: {port: true}\n", ["1:16 error wrong_type listen.port"]),
        ("listen: {port: 8484.0}\n", ["1:16 error wrong_type listen.port"]),
        ("store: postgresql://u:p@db/bridge\n", ["1:8 error not_available store"]),
        ("store: bridge.db\n", ["1:8 error bad_value store"]),
        ("store: sqlite:///\n", ["1:8 error bad_value store"]),
        ("retry: {schedule: []}\n", ["1:19 error bad_value retry.schedule"]),
        ("retry: {schedule: [0s, 5x]}\n", ["1:24 error bad_value retry.schedule[1]"]),
        ("blocked: {probe: 99999999d}\n", ["1:18 error bad_value blocked.probe"]),
        ("log: {format: text}\n", ["1:15 error bad_value log.format"]),
        ("log: loud\n", ["1:6 error wrong_type log"]),
        ("allow_hosts: ['http://n8n:5678']\n", ["1:15 error bad_value allow_hosts[0]"]),
        ("allow_hosts: ['n8n:5678']\n", ["1:15 error bad_value allow_hosts[0]"]),
        ("ca_file: nowhere.pem\n", ["1:10 error unreadable_file ca_file"]),
        ("ca_file: mappings/own.yaml\n", ["1:10 error bad_value ca_file"]),
        ("ca_file: mappings\n", ["1:10 error unreadable_file ca_file"]),
        ("tenants: elsewhere\n", ["1:10 error missing_folder tenants"]),
        (
            "tenants: mappings/none\nlog: {level: x}\n",
            ["2:14 error bad_value log.level", "1:10 error missing_folder tenants"],
        ),
        ("api_keys: [short]\n", ["1:12 warning literal_secret api_keys[0]", "1:12 warning short_api_key api_keys[0]"]),
        ("- a\n", ["1:1 error wrong_type -"]),
        ("a: [\n", ["2:1 error yaml_syntax -"]),
    ],
)
def test_a_bridge_file_with_a_slip_is_told_with_its_place(write, files, environ, text, expected):
    files["bridge.yaml"] = text
    assert told(findings_of(write(files), environ)) == [f"{BRIDGE}:{place}" for place in expected]


def test_a_folder_without_bridge_yaml_says_where_it_should_be(write, files, environ):
    del files["bridge.yaml"]
    folder = write(files)
    assert told(findings_of(folder, environ)) == [f"{BRIDGE} error unreadable_file -"]
    assert told(findings_of(Path("nowhere"), environ)) == ["nowhere/bridge.yaml error unreadable_file -"]


def test_findings_of_all_files_are_told_at_once(write, files, environ):
    """A person who mends a configuration sees everything in one go, not the next error after each try."""
    files["bridge.yaml"] += "lgo: {}\nallow_hosts: [n8n]\n"
    files["bridge.yaml"] = files["bridge.yaml"].replace("allow_hosts: [n8n]\n", "", 1)
    acme = files["tenants/acme.yaml"].replace("https://api.numora.example", "http://n8n:1").replace("acme.crm4", "a b")
    files["tenants/acme.yaml"] = acme.replace("${NUMORA_KEY}", "${NOWHERE}")
    files["tenants/beta.yaml"] = acme.replace("a b.", "beta.").replace("own.yaml", "worse.yaml")
    files["tenants/Gamma!.yaml"] = "source: {kind: numora\n"
    files["mappings/worse.yaml"] = files["mappings/own.yaml"].replace("columns:", "colums:")
    found = told(findings_of(write(files), environ))
    expected = {
        f"{BRIDGE}:2:1 error unknown_key lgo",
        f"{ACME}:4:12 error missing_secret source.api_key",
        f"{ACME}:7:8 error bad_url destination.url",
        "config/tenants/Gamma!.yaml:2:1 error yaml_syntax -",
        "config/tenants/Gamma!.yaml error bad_tenant_id -",
        "config/mappings/worse.yaml:4:1 error unknown_key colums",
    }
    assert expected <= set(found)
    assert not [line for line in found if "insecure_url" in line], (
        "allow_hosts is valid, whatever else is wrong beside it"
    )


def test_a_misspelt_kind_hides_nothing_that_stands_beside_it(write, files, environ):
    """What the kind decides is looked at by the nearest known one, level by level."""
    files["tenants/acme.yaml"] = (
        files["tenants/acme.yaml"]
        .replace(
            "  kind: numora\n  base_url: https://api.numora.example\n",
            "  kind: numra\n  triger: outbox\n  poll: {limit: many}\n"
            "  notify: {auth: {kind: hedder, secrt: '${OTHER_KEY}', header: X-Key}}\n",
        )
        .replace("kind: client_secret", "kind: client_secrt")
        .replace("    client_id:", "    clientid:")
    )
    assert told(findings_of(write(files), environ)) == [
        f"{ACME}:{place}"
        for place in (
            "1:1 error missing_key source.base_url",
            "2:9 error bad_value source.kind",
            "3:3 error unknown_key source.triger",
            "4:17 error wrong_type source.poll.limit",
            "5:12 error missing_key source.notify.auth.secret",
            "5:25 error bad_value source.notify.auth.kind",
            "5:33 error unknown_key source.notify.auth.secrt",
            "10:3 error missing_key destination.auth.client_id",
            "11:11 error bad_value destination.auth.kind",
            "13:5 error unknown_key destination.auth.clientid",
        )
    ]


def test_a_kind_that_is_like_no_other_is_told_alone(write, files, environ):
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("kind: numora", "kind: sharepoint\n  x: 1")
    assert told(findings_of(write(files), environ)) == [f"{ACME}:2:9 error bad_value source.kind"]


def test_a_missing_destination_is_told(write, files, environ):
    text = files["tenants/acme.yaml"]
    start, end = text.index("destination:"), text.index("mappings:")
    files["tenants/acme.yaml"] = text[:start] + text[end:]
    assert told(findings_of(write(files), environ)) == [f"{ACME}:1:1 error missing_key destination"]


def test_a_mapping_for_another_destination_is_told(write, files, environ):
    files["mappings/own.yaml"] = files["mappings/own.yaml"].replace("destination: dataverse", "destination: other")
    assert told(findings_of(write(files), environ)) == [
        f"{ACME}:14:15 error mapping_destination_mismatch mappings.invoice_v2"
    ]
    files["mappings/own.yaml"] = files["mappings/own.yaml"].replace("schema: invoice_v2", "schema: receipt_v1")
    assert told(findings_of(write(files), environ)) == [
        f"{ACME}:14:15 error mapping_schema_mismatch mappings.invoice_v2",
        f"{ACME}:14:15 error mapping_destination_mismatch mappings.invoice_v2",
    ]


def test_a_failing_test_in_a_mapping_is_an_error(write, files, environ):
    files["mappings/own.yaml"] = files["mappings/own.yaml"].replace("numora_name: INV-1}}", "numora_name: INV-2}}")
    (finding,) = findings_of(write(files), environ)
    assert (finding.file, finding.line, finding.severity) == ("config/mappings/own.yaml", 7, "error")
    assert finding.code == "mapping_test_failed"


def test_a_broken_mapping_is_told_once_however_many_tenants_use_it(write, files, environ):
    files["mappings/own.yaml"] = files["mappings/own.yaml"].replace("columns:", "colums:")
    files["tenants/beta.yaml"] = files["tenants/acme.yaml"].replace("${TENANT_KEY}", "${OTHER_KEY}")
    found = told(findings_of(write(files), environ))
    assert found.count("config/mappings/own.yaml:4:1 error unknown_key colums") == 1


def test_a_key_that_is_given_twice_hides_nothing_else_in_its_file(write, files, environ):
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace(
        "  kind: numora\n", "  kind: numora\n  kind: retab\n"
    )
    files["tenants/acme.yaml"] += "evnts: []\n"
    files["mappings/own.yaml"] = files["mappings/own.yaml"].replace("table:", "schema: x\ntabel:")
    assert told(findings_of(write(files), environ)) == [
        f"{ACME}:3:3 error duplicate_key source.kind",
        f"{ACME}:17:1 error unknown_key evnts",
        "config/mappings/own.yaml:1:1 error missing_key table",
        "config/mappings/own.yaml:3:1 error duplicate_key schema",
        "config/mappings/own.yaml:4:1 error unknown_key tabel",
    ]


def test_a_key_that_two_tenants_share_is_told_at_the_later_one(write, files, environ):
    files["tenants/beta.yaml"] = files["tenants/acme.yaml"]
    (finding,) = findings_of(write(files), environ)
    assert told((finding,)) == ["config/tenants/beta.yaml:15:12 error shared_api_key api_keys[0]"]
    assert "tenant acme" in finding.message


def test_a_tenant_with_two_files_is_told(write, files, environ):
    files["tenants/acme.yml"] = files["tenants/acme.yaml"]
    assert told(findings_of(write(files), environ)) == ["config/tenants/acme.yml error duplicate_tenant -"]


def test_a_file_name_that_is_not_utf8_is_told_in_print(write, files, environ):
    folder = write(files)
    Path(os.fsdecode(b"config/tenants/\xff.yaml")).write_text(files["tenants/acme.yaml"])
    found = told(findings_of(folder, environ))
    assert "config/tenants/\ufffd.yaml error bad_tenant_id -" in found
    assert "\n".join(found).encode()


def test_no_tenants_is_a_warning(write, files, environ):
    """A bridge may be set up before its first tenant."""
    del files["tenants/acme.yaml"]
    assert told(findings_of(write(files), environ)) == [f"{BRIDGE} warning no_tenants tenants"]


@pytest.mark.parametrize("kind", ["certificate", "workload_identity", "managed_identity", "numora_session"])
def test_a_login_that_this_version_lacks_is_told(write, files, environ, kind):
    text = files["tenants/acme.yaml"]
    start, end = text.index("  auth:"), text.index("mappings:")
    names = "tenant_id: a.example, client_id: b"
    extra = {"certificate": f", {names}, certificate_file: c.pfx", "workload_identity": f", {names}, token_file: t"}
    files["tenants/acme.yaml"] = f"{text[:start]}  auth: {{kind: {kind}{extra.get(kind, '')}}}\n{text[end:]}"
    assert told(findings_of(write(files), environ)) == [f"{ACME}:8:16 error not_available destination.auth.kind"]


def test_a_retab_source_is_taken(write, files, environ):
    text = files["tenants/acme.yaml"]
    start = text.index("destination:")
    source = "source: {kind: retab, api_key: '${NUMORA_KEY}', schemas: {wf_1: invoice_v2, wf_2/b: receipt_v1, '*': x}}"
    files["tenants/acme.yaml"] = f"{source}\n{text[start:]}"
    assert told(findings_of(write(files), environ)) == []


@pytest.mark.parametrize(
    ("keys", "finding"),
    [
        ("schemas: {'wf 1': invoice_v2}", "source.schemas.wf 1"),
        ("schemas: {wf_1: ''}", "source.schemas.wf_1"),
        ("poll: {limit: 201}", "source.poll.limit"),
        ("poll: {lookback: 0s}", "source.poll.lookback"),
        ("human_confidence: 0.5", "source.human_confidence"),
    ],
)
def test_a_retab_source_is_read_strictly(write, files, environ, keys, finding):
    text = files["tenants/acme.yaml"]
    start = text.index("destination:")
    files["tenants/acme.yaml"] = f"source: {{kind: retab, api_key: '${{NUMORA_KEY}}', {keys}}}\n{text[start:]}"
    (found,) = told(findings_of(write(files), environ))
    assert found.endswith(finding)


def test_a_url_that_is_no_secret_is_still_not_shown_with_its_password(write, files, environ):
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("https://api", "https://me:hidden-password@api")
    (finding,) = findings_of(write(files), environ)
    assert "hidden-password" not in str(finding)


def test_plain_http_is_taken_for_loopback_and_allowed_hosts(write, files, environ):
    for host in ("127.0.0.1:8080", "127.9.9.9", "localhost:1", "[::1]:80", "n8n:5678", "N8N"):
        files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace(
            "https://api.numora.example", f"http://{host}/a/"
        )
        loaded = load_config(write(files), environ)
        assert loaded.tenants["acme"].config.source.base_url == f"http://{host}/a"
        files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace(
            f"http://{host}/a/", "https://api.numora.example"
        )


@pytest.mark.parametrize(
    "host", ["127.0.0.1.example.com", "10.0.0.1", "[fd00::1]", "0.1.2.3", "2130706433", "localhost.example"]
)
def test_plain_http_is_not_taken_for_what_only_looks_like_loopback(write, files, environ, host):
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("https://api.numora.example", f"http://{host}")
    assert told(findings_of(write(files), environ)) == [f"{ACME}:3:13 error insecure_url source.base_url"]


def test_every_code_of_a_finding_is_in_the_table(write, files, environ):
    """The table of codes in the documentation is made from ``FINDING_CODES``."""
    files["bridge.yaml"] = "lgo: 1\napi_keys: [x]\nstore: postgresql://a/b\nca_file: none\n"
    files["tenants/a.yaml"] = "- 1"
    files["tenants/b.yaml"] = "\t"
    files["tenants/B.yaml"] = files["tenants/acme.yaml"].replace("${NUMORA_KEY}", "${")
    found = {finding.code for finding in findings_of(write(files), environ)}
    assert found
    assert found <= set(FINDING_CODES)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=80),
    st.sampled_from(["bridge.yaml", "tenants/acme.yaml"]),
    st.integers(min_value=0, max_value=400),
    st.integers(min_value=0, max_value=40),
)
def test_no_text_whatever_in_a_file_makes_more_than_findings(write, files, environ, noise, name, start, length):
    """Any stretch of a file is replaced by anything."""
    changed = dict(files)
    changed[name] = files[name][:start] + noise.encode("utf-8", "replace").decode() + files[name][start + length :]
    for finding in findings_of(write(changed), environ):
        assert str(finding)
