"""Secrets come from elsewhere and are shown nowhere."""

import os
from pathlib import Path

import msgspec
import pytest

from bridge.config.load import load_config
from connectors.numora.settings import NumoraSettings
from mappings.findings import FindingsError


def numora(folder: Path, environ: dict[str, str]) -> NumoraSettings:
    source = load_config(folder, environ).tenants["acme"].config.source
    assert isinstance(source, NumoraSettings)
    return source


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "aaa"),
        ("Bearer-${A}-${B}", "Bearer-aaa-bbb"),
        ("$${A}", "${A}"),
        ("x$${A}${A}", "x${A}aaa"),
        ("$A", "$A"),
        ("${TRICKY}", "${A}"),
        ("${file:key}", "from-a-file"),
        ("${file:crlf}", "from-windows"),
    ],
)
def test_references_are_filled_in_once(write, files, environ, text, value):
    """A secret that looks like a reference is not filled in again."""
    files |= {"key": "from-a-file\n", "crlf": "from-windows\r\n"}
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("${NUMORA_KEY}", text)
    environ |= {"A": "aaa", "B": "bbb", "TRICKY": "${A}"}
    assert numora(write(files), environ).api_key.get_secret_value() == value


def test_any_text_may_hold_a_reference(write, files, environ):
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("api.numora.example", "${HOST}:${PORT}")
    files["bridge.yaml"] += 'listen: {port: "${PORT}"}\n'
    environ |= {"HOST": "numora.example", "PORT": "8443"}
    folder = write(files)
    assert numora(folder, environ).base_url == "https://numora.example:8443"
    assert load_config(folder, environ).bridge.listen.port == 8443


def test_an_absolute_secret_file_is_read(write, files, environ, tmp_path):
    (tmp_path / "run-secret").write_text("from-elsewhere")
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("${NUMORA_KEY}", f"${{file:{tmp_path}/run-secret}}")
    assert numora(write(files), environ).api_key.get_secret_value() == "from-elsewhere"


def test_what_is_no_readable_file_is_no_secret(write, files, environ, tmp_path):
    """A pipe, a folder, something endless or something binary gives a finding and never a wait."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    for name, words in {
        f"{tmp_path}/pipe": "is not a file",
        f"{tmp_path}": "is not a file",
        "/dev/zero": "is not a file",
        f"{tmp_path}/binary": "is not UTF-8",
        f"{tmp_path}/empty": "is empty",
        f"{tmp_path}/large": "has more than",
        f"{tmp_path}/none": "is not there",
        "x" * 5000: "cannot be read",
    }.items():
        changed = {
            **files,
            "tenants/acme.yaml": files["tenants/acme.yaml"].replace("${NUMORA_KEY}", f"${{file:{name}}}"),
        }
        with pytest.raises(FindingsError) as caught:
            load_config(write(changed), environ)
        (finding,) = caught.value.findings
        assert (finding.code, finding.line, finding.column) == ("missing_secret", 4, 12)
        assert words in finding.message


def test_a_missing_variable_is_named(write, files, environ):
    del environ["NUMORA_KEY"]
    with pytest.raises(FindingsError) as caught:
        load_config(write(files), environ)
    assert str(caught.value) == (
        "config/tenants/acme.yaml:4:12: error: source.api_key: The environment variable NUMORA_KEY is not set. "
        "Set it, or name another. [missing_secret]"
    )


def test_no_secret_is_ever_shown(write, files, environ):
    """Neither by the repr of what was loaded, nor by a dump of it, nor by a finding, nor by the digests."""
    loaded = load_config(write(files), environ)
    shown = repr(loaded) + str(loaded) + loaded.digest
    for tenant in loaded.tenants.values():
        shown += repr(tenant) + tenant.config.model_dump_json() + str(tenant.config.model_dump()) + tenant.digest
    shown += loaded.bridge.model_dump_json()
    for secret in environ.values():
        assert secret not in shown


_EVERYWHERE = """\
source: {S}
source2: {S}
delivery: {mode: "{S}", concurrency: "{S}"}
destination: {kind: "{S}", url: "{S}", auth: {kind: "{S}"}}
mappings: {invoice_v2: "{S}"}
api_keys: "{S}"
events: [{url: "{S}", types: ["{S}"]}, "{S}"]
"""

_INSIDE = """\
source: {kind: numora, base_url: "http://me:{S}@x", api_key: {x: "{S}"}, provider: "{S} ", trigger: "{S}", poll: "{S}",
  timeout: "{S}", notify: {auth: {kind: "{S}", secret: "{S}"}}}
destination: {kind: dataverse, url: "{S}", write_timeout: "{S}", deep_insert_limit: "{S}",
  auth: {kind: client_secret, tenant_id: "{S}!", client_id: "{S}!", client_secret: ["{S}"], authority: "http://{S}"}}
api_keys: ["{S}", " {S}"]
mappings: {"a b": "{S}"}
"""


@pytest.mark.parametrize("template", [_EVERYWHERE, _INSIDE])
def test_a_secret_in_the_wrong_place_is_not_shown_either(write, files, environ, template):
    """A reference in a key that cannot take it gives findings that quote the file, never what was filled in."""
    environ["S"] = "hidden-0123456789"
    files["tenants/acme.yaml"] = template.replace("{S}", "${S}")
    files["bridge.yaml"] = (
        'store: "${S}"\nlisten: {host: ["${S}"], port: "${S}"}\nlog: {level: "${S}"}\nca_file: "${S}"\n'
    )
    with pytest.raises(FindingsError) as caught:
        load_config(write(files), environ)
    assert len(caught.value.findings) > 5
    assert "hidden" not in str(caught.value)
    assert "hidden" not in msgspec.json.encode(caught.value.findings).decode()
