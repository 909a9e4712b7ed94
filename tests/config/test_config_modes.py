"""Who writes, and what brings documents in: what goes together, and what is told when it does not."""

from datetime import timedelta

import pytest

from bridge.config.load import load_config
from mappings.findings import FindingsError

DESTINATION_AND_MAPPINGS = """\
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
"""

MANAGED = "delivery: {mode: managed}\n"


def codes(config):
    return [finding.code for finding in config.warnings]


def test_a_managed_tenant_needs_neither_destination_nor_mappings(write, files, environ):
    """Numora writes by its own means."""
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace(DESTINATION_AND_MAPPINGS, MANAGED)

    loaded = load_config(write(files), environ)

    watch = loaded.tenants["acme"].config.delivery.watch
    assert codes(loaded) == []
    assert (watch.every, watch.deadline) == (timedelta(minutes=1), timedelta(hours=24))


def test_what_has_no_effect_on_a_managed_tenant_is_told(write, files, environ):
    """It is no mistake to keep it for later, and worth knowing."""
    files["tenants/acme.yaml"] += MANAGED

    assert codes(load_config(write(files), environ)) == ["not_used_when_managed", "not_used_when_managed"]


def test_an_external_tenant_needs_a_destination(write, files, environ):
    """The bridge has to write somewhere."""
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace(DESTINATION_AND_MAPPINGS, "")

    with pytest.raises(FindingsError) as refused:
        load_config(write(files), environ)

    assert "missing_key" in [finding.code for finding in refused.value.findings]


def test_a_source_that_cannot_deliver_by_itself_is_no_managed_one(write, files, environ):
    """Retab has no way to write."""
    text = files["tenants/acme.yaml"].replace(DESTINATION_AND_MAPPINGS, MANAGED)
    files["tenants/acme.yaml"] = text.replace("  kind: numora\n", "  kind: retab\n").replace(
        "  base_url: https://api.numora.example\n", ""
    )

    with pytest.raises(FindingsError) as refused:
        load_config(write(files), environ)

    assert [finding.code for finding in refused.value.findings] == ["cannot_dispatch"]


@pytest.mark.parametrize(
    ("keys", "warned", "sweeping"),
    [
        ("", True, False),
        ("  webhook_secret: ${OTHER_KEY}\n", False, True),
        ('  notify: {auth: {kind: bearer, secret: "${OTHER_KEY}"}}\n', False, True),
    ],
)
def test_a_tenant_whose_documents_come_by_calls_lets_some_in(write, files, environ, keys, warned, sweeping):
    """Otherwise only a person can have a document delivered, and a warning says so."""
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace(
        "  kind: numora\n", f"  kind: numora\n  trigger: route\n{keys}"
    )

    loaded = load_config(write(files), environ)

    source = loaded.tenants["acme"].config.source
    assert (codes(loaded) == ["nothing_brings_in"]) == warned
    assert not source.is_polled
    assert source.sweeping == ((timedelta(minutes=15), timedelta(days=30)) if sweeping else None)
