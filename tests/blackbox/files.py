"""Config and mapping files as a user writes them."""

from typing import Any

import msgspec

DESIGN_MAPPING = """\
schema: invoice_v2
destination: dataverse
table: numora_invoice                  # logical name; set name and navigation names come from metadata
identity: {by: primary_key}            # or {by: alternate_key, column: numora_externalkey}
locale: en_US                          # how amounts are written in the document
guards:
  duplicate: skip                      # document has duplicate_of: skip | deliver
  min_confidence: 0.0                  # for every mapped field that has a confidence
  confirmed: []                        # fields that review_state must confirm
columns:
  numora_name: fields.invoice_number                       # short for {from: fields.invoice_number}
  numora_invoicedate: {from: fields.invoice_date, as: date, formats: ["%Y-%m-%d", "%d.%m.%Y"], required: true}
  numora_total: {from: fields.total_amount, as: decimal, scale: 2, required: true, min_confidence: 0.8}
  numora_kind: {from: fields.document_type, as: choice, options: {invoice: 1, credit_note: 2}, default: 1}
  numora_source: {value: numora}
lookups:
  numora_Vendor:
    table: account
    match: {accountnumber: metadata.vendor_code}            # the first rule that has values is used
    or_match: [{name: fields.vendor_name}]
    missing: skip                      # skip | reject | empty | create
  ownerid: {table: team, match: {name: {value: AP Team}}}
lines:
  from: line_items
  table: numora_invoiceline
  key: id                              # the stable row id inside a line item
  columns:
    numora_description: description
    numora_amount: {from: amount, as: decimal}
attachments:
  - {url: metadata.file_url, as: note}  # note | file_column
tests:
  - name: a plain invoice
    document: {fields: {invoice_number: INV-1, invoice_date: 2026-01-31, total_amount: "1,234.50"}}
    expect: {columns: {numora_name: INV-1, numora_total: 1234.50}}
"""
"""The design's own example, letter for letter."""


def written(value: Any) -> str:
    """Write a value as JSON, which is YAML as well."""
    return msgspec.json.encode(value).decode()


def bridge_yaml(port: int, ca_file: str, **more: Any) -> str:
    settings: dict[str, Any] = {
        "listen": {"host": "127.0.0.1", "port": port},
        "store": "sqlite:///data/bridge.db",
        "api_keys": ["${BRIDGE_API_KEY}"],
        "ca_file": ca_file,
        "retry": {"schedule": ["0s", "200ms", "500ms", *["1s"] * 30]},
        "blocked": {"probe": "1s"},
    }
    return "".join(f"{key}: {written(value)}\n" for key, value in (settings | more).items())


def tenant_yaml(
    *,
    numora: str,
    dataverse: str,
    authority: str | None,
    directory: str,
    client_id: str,
    prefix: str,
    mappings: dict[str, str],
    source: dict[str, Any],
    delivery: dict[str, Any],
    **more: Any,
) -> str:
    """Write a tenant whose secrets stand in the environment under a prefix: ``ACME`` for ``${ACME_NUMORA_KEY}``.

    ``more`` is what stands beside; a key that is None is left out.
    """
    return "".join(
        f"{key}: {written(value)}\n"
        for key, value in {
            "source": {
                "kind": "numora",
                "base_url": numora,
                "api_key": f"${{{prefix}_NUMORA_KEY}}",
                "provider": "dynamics365",
                "trigger": "outbox",
                "poll": {"every": "400ms", "limit": 100},
                **source,
            },
            "delivery": {"mode": "external", "concurrency": 8, **delivery},
            "destination": {
                "kind": "dataverse",
                "url": dataverse,
                "auth": {
                    "kind": "client_secret",
                    "tenant_id": directory,
                    "client_id": client_id,
                    "client_secret": f"${{{prefix}_DATAVERSE_SECRET}}",
                    "authority": authority,
                },
            },
            "mappings": mappings,
            "api_keys": [f"${{{prefix}_API_KEY}}"],
            **more,
        }.items()
        if value is not None
    )
