"""What the bridge is held against: the same three calls for each document, with the same content, and nothing else.

A script as a careful person writes it with aiohttp and the standard library. It sends the row and the lines that the
shipped invoice mapping makes, under ids that repeat, with the headers that both sides ask for, and a request id on
every call. It has no ledger, no mapping file, no retry, no limits. Every line on standard input makes it empty the
outbox once.
"""

import asyncio
import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4, uuid5

import aiohttp

NAMESPACE = UUID("6a5d7a4e-0f0c-5d3b-9c86-1f3f0c1d9a27")
KINDS = {"invoice": 1, "credit_note": 2, "credit note": 2}

loads = partial(json.loads, parse_float=Decimal)
dumps = partial(json.dumps, default=float)


def value_of(cells: dict[str, Any], name: str) -> Any:
    """Return the value of a cell, None when there is none."""
    cell = cells.get(name)
    return cell.get("value") if isinstance(cell, dict) else cell


def text_of(cells: dict[str, Any], name: str, longest: int = 100) -> str | None:
    """Return a text, cut to what the column holds."""
    value = value_of(cells, name)
    return str(value).strip()[:longest] if value is not None else None


def day_of(cells: dict[str, Any], name: str) -> str | None:
    """Return a date in the form of ISO 8601. Raises ``ValueError`` for what is none."""
    value = value_of(cells, name)
    return date.fromisoformat(value).isoformat() if value else None


def amount_of(cells: dict[str, Any], name: str) -> Decimal | None:
    """Return an amount, whether it came as a number or as ``1,234.50``."""
    value = value_of(cells, name)
    return Decimal(str(value).replace(",", "")) if value is not None else None


def row_of(result: dict[str, Any], item: dict[str, Any], vendor_id: str) -> dict[str, Any]:
    """Return the invoice's row with its lines, from the outbox's entry and the result."""
    document_id = item["document_id"]
    fields = result["fields"]
    if result.get("status") in {"processing", "review_required", "failed"} or result.get("duplicate_of"):
        raise ValueError(f"{document_id} is not to be delivered")
    return {
        "numora_invoiceid": str(uuid5(NAMESPACE, document_id)),
        "numora_name": text_of(fields, "invoice_number"),
        "numora_sourceid": document_id,
        "numora_externalid": item.get("external_id"),
        "numora_kind": KINDS.get(value_of(fields, "document_type"), 1),
        "numora_invoicedate": day_of(fields, "invoice_date"),
        "numora_duedate": day_of(fields, "due_date"),
        "numora_purchaseorder": text_of(fields, "purchase_order"),
        "numora_currencycode": text_of(fields, "currency", 3),
        "numora_subtotal": amount_of(fields, "subtotal"),
        "numora_taxtotal": amount_of(fields, "tax_amount"),
        "numora_total": amount_of(fields, "total_amount"),
        "numora_vendorname": text_of(fields, "vendor_name", 200),
        "numora_vendortaxid": text_of(fields, "vendor_tax_id", 50),
        "numora_source": "numora",
        "numora_Vendor@odata.bind": f"/accounts({vendor_id})",
        "numora_invoice_numora_invoiceline": [line_of(document_id, line) for line in result["line_items"]],
    }


def line_of(document_id: str, cells: dict[str, Any]) -> dict[str, Any]:
    """Return one line's row."""
    return {
        "numora_invoicelineid": str(uuid5(NAMESPACE, f"{document_id}/{value_of(cells, 'id')}")),
        "numora_description": text_of(cells, "description", 400),
        "numora_position": value_of(cells, "position"),
        "numora_productcode": text_of(cells, "product_code"),
        "numora_quantity": amount_of(cells, "quantity"),
        "numora_unitprice": amount_of(cells, "unit_price"),
        "numora_taxrate": amount_of(cells, "tax_rate"),
        "numora_amount": amount_of(cells, "amount"),
    }


class BareClient:
    """A few workers and a session."""

    def __init__(self, world: dict[str, str], session: aiohttp.ClientSession) -> None:
        self._numora = world["numora"]
        self._tables = f"{world['dataverse']}/api/data/v9.2"
        self._window = f"{world['dataverse']}/main.aspx?etn=numora_invoice&pagetype=entityrecord"
        self._numora_headers = {"Accept": "application/json", "Authorization": f"Bearer {world['numora_key']}"}
        self._dataverse_headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {world['dataverse_token']}",
            "OData-Version": "4.0",
            "OData-MaxVersion": "4.0",
            "If-None-Match": "null",
        }
        self._session = session
        self._vendors: dict[str, str] = {}

    async def run(self, concurrency: int) -> None:
        """Empty the outbox once."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        workers = [asyncio.create_task(self._work(queue)) for _ in range(concurrency)]
        await self._list(queue)
        for _ in workers:
            queue.put_nowait(None)
        await asyncio.gather(*workers)

    async def _list(self, queue: "asyncio.Queue[dict[str, Any] | None]") -> None:
        cursor: str | None = ""
        while cursor is not None:
            parameters = {"provider": "dynamics365", "limit": "100", **({"cursor": cursor} if cursor else {})}
            page = await self._numora_call("GET", f"{self._numora}/v1/delivery/outbox", params=parameters)
            for item in page["data"]:
                queue.put_nowait(item)
            cursor = page["meta"]["next_cursor"]

    async def _work(self, queue: "asyncio.Queue[dict[str, Any] | None]") -> None:
        while (item := await queue.get()) is not None:
            await self._deliver(item)

    async def _deliver(self, item: dict[str, Any]) -> None:
        document_id = item["document_id"]
        address = f"{self._numora}/v1/documents/{document_id}"
        result = await self._numora_call("GET", f"{address}/result")
        row = row_of(result, item, await self._vendor(item["metadata"]["vendor_code"]))
        await self._dataverse_call("POST", f"{self._tables}/numora_invoices", json=row)
        report = {
            "provider": "dynamics365",
            "status": "succeeded",
            "execution_id": f"bare-{document_id}",
            "attempted_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "external_record_id": row["numora_invoiceid"],
            "external_url": f"{self._window}&id={row['numora_invoiceid']}",
        }
        await self._numora_call("POST", f"{address}/delivery", json=report)

    async def _vendor(self, code: str) -> str:
        if code not in self._vendors:
            query = {"$select": "accountid", "$filter": f"accountnumber eq '{code}'", "$top": "2"}
            [account] = (await self._dataverse_call("GET", f"{self._tables}/accounts", params=query))["value"]
            self._vendors[code] = account["accountid"]
        return self._vendors[code]

    async def _numora_call(self, method: str, url: str, **content: Any) -> Any:
        headers = {**self._numora_headers, "x-request-id": str(uuid4())}
        return await self._call(method, url, headers, content)

    async def _dataverse_call(self, method: str, url: str, **content: Any) -> Any:
        headers = {**self._dataverse_headers, "x-ms-client-request-id": str(uuid4())}
        return await self._call(method, url, headers, content)

    async def _call(self, method: str, url: str, headers: dict[str, str], content: dict[str, Any]) -> Any:
        async with self._session.request(method, url, headers=headers, **content) as response:
            if response.status >= 300:
                raise RuntimeError(f"{method} {url}: {response.status} {await response.text()}")
            return await response.json(loads=loads) if response.status != 204 else None


async def main() -> None:
    """Empty the outbox for each line on standard input; the first argument holds the addresses as JSON."""
    world = json.loads(sys.argv[1])
    concurrency = int(sys.argv[2])
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    timeout = aiohttp.ClientTimeout(total=150)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, json_serialize=dumps) as session:
        client = BareClient(world, session)
        while await reader.readline():
            await client.run(concurrency)


if __name__ == "__main__":
    asyncio.run(main())
