"""A configuration folder like the one of a small installation: one tenant, one mapping of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

BRIDGE = """\
api_keys: ["${BRIDGE_API_KEY}"]
allow_hosts: [n8n]
"""

TENANT = """\
source:
  kind: numora
  base_url: https://api.numora.example
  api_key: ${NUMORA_KEY}
destination:
  kind: dataverse
  url: https://acme.crm4.dynamics.com
  auth:
    kind: client_secret
    tenant_id: 00000000-0000-0000-0000-000000000000
    client_id: 00000000-0000-0000-0000-000000000000
    client_secret: ${DATAVERSE_SECRET}
mappings:
  invoice_v2: own.yaml
api_keys: ["${TENANT_KEY}"]
"""

MAPPING = """\
schema: invoice_v2
destination: dataverse
table: numora_invoice
columns:
  numora_name: fields.invoice_number
tests:
  - name: a plain invoice
    document: {fields: {invoice_number: INV-1}}
    expect: {columns: {numora_name: INV-1}}
"""

ENVIRON = {
    "BRIDGE_API_KEY": "operator-key-0123456789",
    "NUMORA_KEY": "numora-key-0123456789",
    "DATAVERSE_SECRET": "dataverse-secret-0123456789",
    "TENANT_KEY": "tenant-key-0123456789",
    "OTHER_KEY": "other-key-0123456789",
}


def write_files(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def files() -> dict[str, str]:
    """The files of the folder, to be changed before they are written."""
    return {"bridge.yaml": BRIDGE, "tenants/acme.yaml": TENANT, "mappings/own.yaml": MAPPING}


@pytest.fixture
def environ() -> dict[str, str]:
    return dict(ENVIRON)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Path]:
    """Writes files into the folder ``config``, which findings then name as a person would: ``config/bridge.yaml``."""
    monkeypatch.chdir(tmp_path)

    def write_into(files: dict[str, str]) -> Path:
        return write_files(Path("config"), files)

    return write_into
