"""What is wrong in one place of a configuration hides nothing of what is wrong elsewhere in it."""

from pathlib import Path

import pytest

from bridge.config.load import load_config
from mappings.findings import FindingsError
from mappings.load import compile_mapping, run_tests

TENANT = """\
source: {kind: numora, base_url: https://numora.example, api_key: "${KEY}"}
destination:
  kind: dataverse
  url: https://acme.crm4.dynamics.com
  auth: {kind: client_secret, tenant_id: t, client_id: c, client_secret: "${KEY}"}
mappings: {}
"""
ENVIRON = {"KEY": "k" * 24, "OPERATOR": "o" * 24, "SHORT": "short"}


def found_in(folder: Path) -> list[tuple[str, str | None, str]]:
    with pytest.raises(FindingsError) as raised:
        load_config(folder, ENVIRON)
    return [(Path(finding.file).name, finding.key, finding.code) for finding in raised.value.findings]


def folder_of(tmp_path: Path, bridge: str, **tenants: str) -> Path:
    (tmp_path / "bridge.yaml").write_text(bridge)
    (tmp_path / "tenants").mkdir()
    for name, text in tenants.items():
        (tmp_path / "tenants" / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ("log: {format: jsonn}", ("log.format", "bad_value")),
        ("listen: {prot: 1}", ("listen.prot", "unknown_key")),
        ("lisen: {port: 1}", ("lisen", "unknown_key")),
        ("blocked: {probe: 5}", ("blocked.probe", "wrong_type")),
        ("retry: 5", ("retry", "wrong_type")),
        ("retry: {schedule: [5s, never]}", ("retry.schedule[1]", "bad_value")),
        ('allow_hosts: ["${NOBODY}"]', ("allow_hosts[0]", "missing_secret")),
        ("store: {}\nstore: {}", ("store", "duplicate_key")),
    ],
)
def test_a_bad_value_hides_no_other_check(tmp_path: Path, broken: str, expected: tuple[str, str]) -> None:
    text = f'ca_file: nowhere.pem\napi_keys: ["${{GONE}}", "${{SHORT}}"]\n{broken}\n'
    found = found_in(folder_of(tmp_path, text, acme=TENANT))
    assert ("bridge.yaml", *expected) in found
    assert ("bridge.yaml", "ca_file", "unreadable_file") in found
    assert ("bridge.yaml", "api_keys[0]", "missing_secret") in found
    assert ("bridge.yaml", "api_keys[1]", "short_api_key") in found
    assert not [entry for entry in found if entry[1:] == ("api_keys[0]", "short_api_key")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TENANT.replace("kind: numora", "kind: numra"), ("source.kind", "bad_value")),
        (TENANT.replace("kind: numora", "kind: sap"), ("source.kind", "bad_value")),
        (TENANT.replace("kind: numora, ", ""), ("source.kind", "missing_key")),
        (TENANT.replace(', api_key: "${KEY}"', ""), ("source.api_key", "missing_key")),
        (TENANT.replace("kind: numora, ", "poll: {evry: 5m}, "), ("source.poll.evry", "unknown_key")),
        (TENANT.replace("kind: numora", "knd: numora"), ("source.knd", "unknown_key")),
        (TENANT.replace("kind: client_secret, tenant_id", "tenantid"), ("destination.auth.tenantid", "unknown_key")),
        (TENANT.replace("base_url", "base_ulr"), ("source.base_ulr", "unknown_key")),
        (TENANT.replace("url: https://acme", "url: ftp://acme"), ("destination.url", "bad_url")),
        (TENANT.replace("auth: {kind: client_secret", "auth: {kind: magic"), ("destination.auth.kind", "bad_value")),
        (TENANT + "delivery: {concurrency: many}\n", ("delivery.concurrency", "wrong_type")),
        (
            TENANT.replace('client_secret: "${KEY}"', 'client_secret: "${GONE}"'),
            ("destination.auth.client_secret", "missing_secret"),
        ),
        ("source: nothing\n", ("source", "wrong_type")),
    ],
)
def test_a_tenant_that_cannot_be_used_is_looked_at_all_the_same(
    tmp_path: Path, text: str, expected: tuple[str, str]
) -> None:
    own = f'{text}api_keys: ["${{GONE}}", "${{OPERATOR}}", "${{SHORT}}"]\n'
    found = found_in(folder_of(tmp_path, 'api_keys: ["${OPERATOR}"]\nlog: {level: loud}\n', acme=own))
    assert ("acme.yaml", *expected) in found
    assert ("acme.yaml", "api_keys[1]", "shared_api_key") in found
    assert ("acme.yaml", "api_keys[2]", "short_api_key") in found
    assert ("bridge.yaml", "log.level", "bad_value") in found
    assert not [key for _, key, code in found if key == "api_keys[0]" and code != "missing_secret"]


def test_what_cannot_be_told_of_two_tenants_is_no_shared_key(tmp_path: Path) -> None:
    keys = 'api_keys: ["${GONE}", 5]\n'
    found = found_in(folder_of(tmp_path, "{}", acme=TENANT + keys, beta=TENANT + keys))
    assert sorted(code for _, _, code in found if code != "no_mappings") == ["missing_secret"] * 2 + ["wrong_type"] * 2


def test_two_files_of_one_tenant_are_both_looked_at(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "{}", acme=TENANT + "foo: 1\n")
    (folder / "tenants" / "acme.yml").write_text(TENANT + "bar: 1\n")
    found = [entry for entry in found_in(folder) if entry[2] != "no_mappings"]
    assert found == [
        ("acme.yaml", "foo", "unknown_key"),
        ("acme.yml", None, "duplicate_tenant"),
        ("acme.yml", "bar", "unknown_key"),
    ]


def test_a_message_with_braces_can_be_copied(tmp_path: Path) -> None:
    text = TENANT.replace('api_key: "${KEY}"}', 'api_key: "${KEY}", webhook: {template: x}}')
    with pytest.raises(FindingsError, match=r"\{t\}\.\{raw\}\.") as raised:
        load_config(folder_of(tmp_path, "{}", acme=text), ENVIRON)
    assert "{{" not in str(raised.value)


def test_a_mappings_folder_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    """The shipped mappings would be used, and nobody asked for them."""
    text = TENANT.replace("mappings: {}", "mappings: {invoice_v2: invoice_v2.dataverse.yaml}")
    folder = folder_of(tmp_path, "mappings: mappigns\n", acme=text)
    assert ("bridge.yaml", "mappings", "missing_folder") in found_in(folder)
    (folder / "bridge.yaml").write_text("mappings: mappings\n")
    assert load_config(folder, ENVIRON).tenants.keys() == {"acme"}


def test_the_hour_that_a_clock_repeats_can_be_tested_in_a_file() -> None:
    mapping = compile_mapping(
        HEAD
        + "columns: {t_at: {from: fields.at, as: datetime, timezone: Europe/Berlin}}\n"
        + "tests: [{name: a, document: {fields: {at: '2026-10-25T02:30:00'}},"
        + " expect: {columns: {t_at: '2026-10-25T02:30:00+02:00'}}}]\n",
        "m.yaml",
    )
    assert [(result.passed, result.differences) for result in run_tests(mapping)] == [(True, ())]


HEAD = """\
schema: invoice_v2
destination: dataverse
table: t_invoice
"""


def lint(text: str) -> list[tuple[str | None, str]]:
    with pytest.raises(FindingsError) as raised:
        compile_mapping(HEAD + text, "m.yaml")
    return [(finding.key, finding.code) for finding in raised.value.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'columns: {t_a: {from: "fields.[", as: decimel, scale: 2, then: ["nope()", abs]}}',
            {
                ("columns.t_a.from", "bad_expression"),
                ("columns.t_a.as", "bad_value"),
                ("columns.t_a.then[0]", "unknown_step"),
            },
        ),
        (
            'columns: {t_a: {from: "nope(fields.a)", as: decimal, scale: 99, default: abc}}',
            {
                ("columns.t_a.from", "unknown_function"),
                ("columns.t_a.scale", "bad_value"),
                ("columns.t_a.default", "bad_default"),
            },
        ),
        (
            "columns: {t_a: {form: fields.a, as: choice}, t_b: {from: nope.b, frmo: x}}",
            {
                ("columns.t_a.form", "unknown_key"),
                ("columns.t_b.from", "unknown_document_field"),
                ("columns.t_b.frmo", "unknown_key"),
            },
        ),
        (
            "columns: {t_a: {from: fields.a, as: 7, scale: 2, default: abc}}",
            {("columns.t_a.as", "bad_value")},
        ),
        (
            'columns: {t_a: {from: 5, then: [3, "nope()"], as: date, formats: ["%Q", 4]}}',
            {
                ("columns.t_a.from", "wrong_type"),
                ("columns.t_a.then[0]", "wrong_type"),
                ("columns.t_a.then[1]", "unknown_step"),
                ("columns.t_a.formats[0]", "bad_format"),
                ("columns.t_a.formats[1]", "wrong_type"),
            },
        ),
        (
            (
                "columns: {}\nlookups: {t_L: {table: t_v, match: {}, missing: maybe, extra: 1, "
                "or_match: [{t_k: 'nope.x'}, 3]}}"
            ),
            {
                ("lookups.t_L.match", "empty_rule"),
                ("lookups.t_L.missing", "bad_value"),
                ("lookups.t_L.extra", "unknown_key"),
                ("lookups.t_L.or_match[0].t_k", "unknown_document_field"),
                ("lookups.t_L.or_match[1]", "wrong_type"),
            },
        ),
        (
            "columns: {}\nlines: {from: nope.rows, tabel: t_l, columns: {t_x: {from: 'amount[', as: int}}}",
            {
                ("lines.from", "unknown_document_field"),
                ("lines.tabel", "unknown_key"),
                ("lines.table", "missing_key"),
                ("lines.columns.t_x.from", "bad_expression"),
                ("lines.columns.t_x.as", "bad_value"),
            },
        ),
        (
            (
                "guards: {min_confidence: 7}\nidentity: {by: magic}\nlocale: xx_YY\ncolumns: {t_a: nope.a}\n"
                "tests: [{nam: x}]"
            ),
            {
                ("guards.min_confidence", "bad_value"),
                ("identity.by", "bad_value"),
                ("locale", "unknown_locale"),
                ("columns.t_a", "unknown_document_field"),
                ("tests[0].nam", "unknown_key"),
                ("tests[0].name", "missing_key"),
                ("tests[0].expect", "missing_key"),
            },
        ),
        (
            "columns: {t_a: nope.a}\nattachments: [5, {as: file_column}, {url: nope.u, as: paper}]",
            {
                ("columns.t_a", "unknown_document_field"),
                ("attachments[0]", "wrong_type"),
                ("attachments[1].url", "missing_key"),
                ("attachments[1]", "bad_attachment"),
                ("attachments[2].url", "unknown_document_field"),
                ("attachments[2].as", "bad_value"),
            },
        ),
    ],
)
def test_a_wrong_key_of_a_mapping_hides_nothing_beside_it_and_nothing_false_follows(
    text: str, expected: set[tuple[str | None, str]]
) -> None:
    assert set(lint(text)) == expected
