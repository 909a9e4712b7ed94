"""What the bridge is held against: the same three calls for each document, and nothing else.

No ledger, no mapping file, no retry. Every line on standard input makes it empty the outbox once.
"""

import asyncio
import sys
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

COLUMNS = {
    "numora_name": "invoice_number",
    "numora_invoicedate": "invoice_date",
    "numora_total": "total_amount",
}


def row_of(result: dict[str, Any]) -> dict[str, Any]:
    """Turn a result into a row with its lines, as a script would."""
    fields = result["fields"]
    row: dict[str, Any] = {"numora_invoiceid": str(uuid4())}
    for column, name in COLUMNS.items():
        row[column] = fields[name]["value"]
    row["numora_total"] = float(str(row["numora_total"]).replace(",", ""))
    row["numora_invoice_numora_invoiceline"] = [
        {"numora_invoicelineid": str(uuid4()), "numora_description": item["description"]["value"]}
        for item in result["line_items"]
    ]
    return row


class BareClient:
    """Sixteen workers and a session."""

    def __init__(self, world: dict[str, str], session: aiohttp.ClientSession) -> None:
        self._numora = world["numora"]
        self._dataverse = world["dataverse"]
        self._numora_headers = {"Authorization": f"Bearer {world['numora_key']}"}
        self._dataverse_headers = {"Authorization": f"Bearer {world['dataverse_token']}"}
        self._session = session

    async def run(self, concurrency: int) -> None:
        """Empty the outbox once."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        workers = [asyncio.create_task(self._work(queue)) for _ in range(concurrency)]
        await self._list(queue)
        for _ in workers:
            queue.put_nowait(None)
        await asyncio.gather(*workers)

    async def _list(self, queue: "asyncio.Queue[str | None]") -> None:
        cursor: str | None = ""
        while cursor is not None:
            parameters = {"provider": "dynamics365", "limit": "100", **({"cursor": cursor} if cursor else {})}
            url = f"{self._numora}/v1/delivery/outbox"
            async with self._session.get(url, params=parameters, headers=self._numora_headers) as response:
                page = await response.json()
            for item in page["data"]:
                queue.put_nowait(item["document_id"])
            cursor = page["meta"]["next_cursor"]

    async def _work(self, queue: "asyncio.Queue[str | None]") -> None:
        while (document_id := await queue.get()) is not None:
            await self._deliver(document_id)

    async def _deliver(self, document_id: str) -> None:
        session = self._session
        base = f"{self._numora}/v1/documents/{document_id}"
        async with session.get(f"{base}/result", headers=self._numora_headers) as response:
            result = await response.json()
        row = row_of(result)
        url = f"{self._dataverse}/api/data/v9.2/numora_invoices"
        async with session.post(url, json=row, headers=self._dataverse_headers) as response:
            if response.status != 204:
                raise RuntimeError(await response.text())
        report = {
            "provider": "dynamics365",
            "status": "succeeded",
            "execution_id": f"bare-{document_id}",
            "attempted_at": "2026-03-21T14:24:11.000Z",
            "external_record_id": row["numora_invoiceid"],
        }
        async with session.post(f"{base}/delivery", json=report, headers=self._numora_headers) as response:
            if response.status >= 300:
                raise RuntimeError(await response.text())


async def main() -> None:
    """Empty the outbox for each line on standard input; the first argument holds the addresses as JSON."""
    world = msgspec.json.decode(sys.argv[1])
    concurrency = int(sys.argv[2])
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        client = BareClient(world, session)
        while await reader.readline():
            await client.run(concurrency)


if __name__ == "__main__":
    asyncio.run(main())
