"""A configuration that is good: what it holds, where its parts are, and what the design's own example gives."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.config.load import load_config
from bridge.config.models import BridgeConfig
from connectors.dataverse.settings import ClientSecretAuth, DataverseSettings
from connectors.numora.settings import HeaderAuth, NumoraSettings
from connectors.settings import format_duration, parse_duration

ROOT = Path(__file__).parents[2]

DESIGN_BRIDGE = """\
listen: {host: 127.0.0.1, port: 8484}
store: sqlite:///data/bridge.db        # relative to this file; or postgresql://user:password@host:5432/name
tenants: tenants                       # folder, relative to this file
mappings: mappings
api_keys: []                           # operator keys, good for every tenant: ["${BRIDGE_API_KEY}"]
allow_hosts: []                        # private or loopback hosts that callbacks and events may reach, e.g. [n8n]
ca_file: null                          # extra CA certificates for every outgoing call, MSAL included
retry: {schedule: [0s, 5s, 1m, 5m, 30m, 2h, 5h, 10h, 10h, 24h, 24h]}
blocked: {probe: 30s}                  # how often a blocked side is tried again
retention: {deliveries: 90d, requests: 30d}
log: {format: json, level: info}       # json | console
"""

DESIGN_TENANT = """\
source:
  kind: numora                         # numora | retab
  base_url: https://api.numora.example
  api_key: ${ACME_NUMORA_KEY}
  provider: dynamics365
  trigger: outbox                      # outbox | route
  poll: {every: 5m, limit: 100, cursor_param: cursor}
  webhook_secret: ${ACME_NUMORA_WEBHOOK_SECRET}   # optional: POST /hooks/acme/numora
  notify:                              # optional: POST /hooks/acme/executor, Numora's shared n8n executor
    document_id: document_id           # JMESPath into the body
    auth: {kind: header, header: X-Numora-Secret, secret: "${ACME_EXECUTOR_SECRET}"}   # header | bearer | hmac
delivery:
  mode: external                       # external: we write and call back | managed: Numora's dispatch writes
  concurrency: 8
destination:                           # mode external only
  kind: dataverse
  url: https://acme.crm4.dynamics.com
  auth:
    kind: client_secret                # client_secret | certificate | workload_identity | managed_identity | …
    tenant_id: 00000000-0000-0000-0000-000000000000
    client_id: 00000000-0000-0000-0000-000000000000
    client_secret: ${ACME_DATAVERSE_SECRET}
    authority: null                    # default: the public cloud for that tenant_id; national clouds by URL
mappings:
  invoice_v2: invoice_v2.dataverse.yaml
api_keys: ["${ACME_API_KEY}"]          # good for this tenant only
events:                                # signed messages out, to n8n Webhook nodes
  - {url: http://n8n:5678/webhook/bridge, secret: "${ACME_EVENTS_SECRET}", types: ["delivery.*"]}
"""

DESIGN_ENVIRON = {
    "ACME_NUMORA_KEY": "sk_live_acme",
    "ACME_NUMORA_WEBHOOK_SECRET": "whsec_acme",
    "ACME_EXECUTOR_SECRET": "executor",
    "ACME_DATAVERSE_SECRET": "dataverse",
    "ACME_API_KEY": "acme-key-0123456789",
    "ACME_EVENTS_SECRET": "events",
}


def test_the_documented_example_loads_as_it_stands(write):
    """Keys that this version makes no use of are taken with a warning, so that such a file can be used today."""
    folder = write({"bridge.yaml": DESIGN_BRIDGE, "tenants/acme.yaml": DESIGN_TENANT})
    loaded = load_config(folder, DESIGN_ENVIRON)
    assert loaded.bridge == BridgeConfig(), "the documented values are the defaults"
    tenant = loaded.tenants["acme"]
    source, destination = tenant.config.source, tenant.config.destination
    assert isinstance(source, NumoraSettings)
    assert source.poll_every == timedelta(minutes=5)
    assert source.api_key.get_secret_value() == "sk_live_acme"
    assert source.notify is not None
    assert isinstance(source.notify.auth, HeaderAuth)
    assert isinstance(destination, DataverseSettings)
    assert isinstance(destination.auth, ClientSecretAuth)
    assert destination.write_timeout == timedelta(seconds=130)
    assert tenant.mappings["invoice_v2"].schema == "invoice_v2"
    assert sorted((finding.code, finding.key) for finding in loaded.warnings) == [
        ("insecure_url", "events[0].url"),
    ]


def test_an_empty_bridge_file_means_the_defaults(write, files, environ):
    files["bridge.yaml"] = "# nothing yet\n"
    loaded = load_config(write(files), environ)
    assert loaded.bridge == BridgeConfig()
    assert loaded.bridge.retry.schedule[:3] == (timedelta(0), timedelta(seconds=5), timedelta(minutes=1))
    assert sum(loaded.bridge.retry.schedule, timedelta()) > timedelta(days=3)


def test_the_folder_or_its_bridge_file_may_be_named(write, files, environ):
    folder = write(files)
    assert load_config(folder, environ).digest == load_config(folder / "bridge.yaml", environ).digest


def test_relative_paths_start_at_the_bridge_file(write, files, environ, tmp_path):
    files["bridge.yaml"] += "store: sqlite:///data/bridge.db\nca_file: ca.pem\ntenants: people\n"
    files["people/acme.yaml"] = files.pop("tenants/acme.yaml")
    files["ca.pem"] = "-----BEGIN CERTIFICATE-----\n"
    loaded = load_config(write(files), environ)
    assert loaded.ledger_path == Path("config/data/bridge.db")
    assert loaded.ca_path == Path("config/ca.pem")
    assert list(loaded.tenants) == ["acme"]
    files["bridge.yaml"] = f"store: sqlite:///{tmp_path}/x.db\ntenants: people\n"
    assert load_config(write(files), environ).ledger_path == tmp_path / "x.db"


def test_an_own_mapping_file_comes_before_a_shipped_one_of_the_same_name(write, files, environ):
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("own.yaml", "invoice_v2.dataverse.yaml")
    folder = write(files)
    shipped = load_config(folder, environ).tenants["acme"].mappings["invoice_v2"]
    files["mappings/invoice_v2.dataverse.yaml"] = files["mappings/own.yaml"]
    own = load_config(write(files), environ).tenants["acme"].mappings["invoice_v2"]
    assert own.text == files["mappings/own.yaml"]
    assert shipped.text != own.text


def test_tenants_share_one_compiled_mapping(write, files, environ):
    files["tenants/beta.yaml"] = files["tenants/acme.yaml"].replace("${TENANT_KEY}", "${OTHER_KEY}")
    tenants = load_config(write(files), environ).tenants
    assert tenants["acme"].mappings["invoice_v2"] is tenants["beta"].mappings["invoice_v2"]


def test_the_digest_follows_the_text_of_every_file(write, files, environ):
    first = load_config(write(files), environ)
    assert load_config(write(files), environ).digest == first.digest
    for name in list(files):
        changed = load_config(write({**files, name: files[name] + "# changed\n"}), environ)
        assert changed.digest != first.digest, name
        assert (changed.tenants["acme"].digest != first.tenants["acme"].digest) == (name != "bridge.yaml")
    write(files)


def test_files_that_are_not_yaml_are_left_alone(write, files, environ):
    """Editors and platforms leave their own files beside ours."""
    files |= {
        "tenants/acme.yaml~": "x",
        "tenants/.acme.yaml.swp": "x",
        "tenants/README.md": "x",
        "tenants/.hidden.yaml": "x",
    }
    assert list(load_config(write(files), environ).tenants) == ["acme"]


@pytest.mark.parametrize("text", ["0s", "500ms", "5s", "5m", "2h", "24h", "90d"])
def test_a_duration_is_written_back_as_it_came(text):
    assert format_duration(parse_duration(text)) == text


def test_every_file_that_matters_is_named_for_the_watcher(write, files, environ):
    files["secrets/key"] = "numora-key-from-a-file\n"
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("${NUMORA_KEY}", "${file:secrets/key}")
    loaded = load_config(write(files), environ)
    assert {str(path.relative_to("config")) for path in loaded.files} == {
        "bridge.yaml",
        "tenants",
        "tenants/acme.yaml",
        "mappings",
        "mappings/own.yaml",
        "secrets/key",
    }


def test_reading_a_configuration_loads_no_client():
    """Start-up time matters: the clients of outside systems come in when they are needed."""
    heavy = "{'aiohttp', 'aiosqlite', 'apscheduler', 'msal', 'prometheus_client', 'rich', 'structlog', 'typer'}"
    program = f"import sys, bridge.config.load; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
