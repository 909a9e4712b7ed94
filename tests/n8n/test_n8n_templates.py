"""The workflow templates: each is imported by a real n8n as it is, and does what its notes promise."""

import json
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import flows
import pytest
from n8n_installation import PACKAGE
from n8n_process import N8n, items_of
from n8n_side import Side

TEMPLATES = {file.stem: file for file in sorted((PACKAGE / "templates").glob("*.json"))}
OURS = (flows.BRIDGE, flows.TRIGGER)
SECRET = "secret of the executor"
BOUNDARY = "the-boundary-of-a-browser"


def template(name: str) -> dict[str, Any]:
    return dict(json.loads(TEMPLATES[name].read_text()))


def texts(value: Any) -> Iterator[str]:
    """Yield every text inside a parsed JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


async def put_to_work(side: Side, name: str) -> str:
    """Do what the notes of a template ask for, and publish it."""
    read = template(name)
    for node in read["nodes"]:
        if node["type"] in OURS:
            node["credentials"] = {flows.CREDENTIAL: {"id": side.credential, "name": "bridge"}}
        if "url" in node["parameters"]:
            node["parameters"]["url"] = node["parameters"]["url"].replace("http://bridge:8484", side.bridge.base)
    read["settings"] |= {"saveDataSuccessExecution": "all"}
    return await side.n8n.add_workflow({key: read[key] for key in ("name", "nodes", "connections", "settings")})


def test_all_templates_are_imported_as_they_are(n8n: N8n) -> None:
    """n8n's own import takes every file, and knows every node in it."""
    shown = n8n.command("import:workflow", "--separate", f"--input={PACKAGE / 'templates'}")
    assert f"Successfully imported {len(TEMPLATES)} workflows" in shown
    assert len(TEMPLATES) == 5

    known: dict[str, set[float]] = {}
    for one in n8n.node_types():
        versions = one["version"] if isinstance(one["version"], list) else [one["version"]]
        known.setdefault(one["name"], set()).update(versions)
    for name in TEMPLATES:
        for node in template(name)["nodes"]:
            assert node["typeVersion"] in known[node["type"]], (name, node["name"])


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_complete_and_carries_no_secret(name: str) -> None:
    """Ids are unique, connections lead somewhere, notes explain the set-up, and no credential is inside."""
    read = template(name)
    nodes = read["nodes"]
    names = [node["name"] for node in nodes]
    assert len(set(names)) == len(names)
    assert len({node["id"] for node in nodes}) == len(nodes)
    assert re.fullmatch(r"[A-Za-z0-9]{16}", read["id"]), read["id"]
    assert read["active"] is False
    assert not read["pinData"]

    targets = [to["node"] for outputs in read["connections"].values() for output in outputs["main"] for to in output]
    assert set(targets) | set(read["connections"]) <= set(names)
    reachable = {node["name"] for node in nodes if not node["type"].endswith("stickyNote")}
    assert len(reachable - set(targets)) == 1, "one trigger, and everything else hangs on it"

    notes = [node["parameters"]["content"] for node in nodes if node["type"].endswith("stickyNote")]
    assert any("### Set-up" in note for note in notes)
    assert all("credentials" not in node for node in nodes)
    assert not any(re.search(r"whsec_|sk_live|Bearer ", text) for text in texts(read))


async def test_deliver_on_event(side: Side) -> None:
    """Numora's event is answered with how the delivery stands; other events are let pass."""
    document = side.add()
    workflow = await put_to_work(side, "deliver-on-event")
    data = {"document_id": document.id, "schema": document.schema, "status": "reviewed"}
    event = {"id": "evt_1", "type": "document.reviewed", "created_at": "2026-01-01T00:00:00Z", "data": data}

    status, answer = await side.n8n.call_webhook("numora-event", event)
    other, ignored = await side.n8n.call_webhook("numora-event", {**event, "type": "document.processing"})

    assert (status, answer["state"]) == (200, "succeeded")
    assert (other, ignored) == (202, {"ignored": "document.processing"})
    ended, _ = await side.n8n.ended_executions(workflow, 2)
    assert items_of(ended, "Delivered")[0]["document_id"] == document.id
    assert len({callback.execution_id for callback in document.callbacks}) == 1


class Browser:
    """A person who fills in n8n's forms. Fields are sent as browsers do: one with a type would count as a file."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def submit(self, url: str, **fields: str) -> dict[str, Any]:
        lines = [
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name.replace("_", "-")}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        body = "".join([*lines, f"--{BOUNDARY}--\r\n"]).encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        async with self._session.post(url, data=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            answered = await response.read()
        return dict(json.loads(answered)) if answered.startswith(b"{") else {}

    async def read(self, url: str) -> str:
        async with self._session.get(url) as response:
            assert response.status == 200, await response.text()
            return await response.text()


@pytest.mark.parametrize(
    ("decision", "changed", "end"),
    [("Approve", False, "Say that it is done"), ("Approve", True, "Say what is in the way")],
    ids=["nobody else", "changed in between"],
)
async def test_approve_by_form(side: Side, decision: str, changed: bool, end: str) -> None:
    """A person sees the document and decides; what was changed since is not decided, and they are told so."""
    document = side.add()
    workspace = side.world.workspace("acme")
    workspace.send_back(document.id)
    workflow = await put_to_work(side, "approve-by-form")
    form = f"{side.n8n.url}/form/numora-review"
    await side.until(lambda: side.n8n.request("GET", form), lambda answer: answer[0] == 200)

    async with aiohttp.ClientSession() as session:
        browser = Browser(session)
        answer = await browser.submit(form, field_0=document.id)
        await side.n8n.until_waiting(workflow)
        page = await browser.read(answer["formWaitingUrl"])
        assert document.updated_at in page
        if changed:
            workspace.touch(document)
        await browser.submit(answer["formWaitingUrl"], field_1=decision)

    async def decided() -> list[dict[str, Any]]:
        return [one for one in await side.n8n.executions(workflow) if items_of(one, decision, int(changed))]

    await side.until(decided, bool)
    assert document.finalized is not changed
    waiting = await side.until(decided, lambda found: end in found[0]["data"]["resultData"]["runData"])
    assert waiting


async def test_alert_on_failure(side: Side) -> None:
    """A delivery that failed starts a message with the reason; the button in its form makes the delivery once more."""
    document = side.add()
    document.fields = {**document.fields, "total_amount": "not an amount"}
    workflow = await put_to_work(side, "alert-on-failure")
    await side.until(lambda: side.ask("GET", "/subscriptions"), lambda answer: len(answer["data"]) == 1)
    failed = await side.ask("POST", f"/documents/{document.id}/deliver", {"wait": 60})
    assert failed["state"] == "failed"

    waiting = await side.n8n.until_waiting(workflow)
    (message,) = items_of(waiting, "Write the message")
    assert document.id in message["message"]
    assert message["problems"]
    side.world.workspace("acme").amend(document.id, fields={"total_amount": "100.00"})
    async with aiohttp.ClientSession() as session:
        await Browser(session).submit(message["replay"], field_0="latest")

    (ended,) = await side.n8n.ended_executions(workflow)
    assert items_of(ended, "Deliver once more")[0]["document_id"] == document.id
    delivered = await side.ask("POST", f"/documents/{document.id}/deliver", {"wait": 60})
    assert delivered["state"] == "succeeded"


async def test_executor_to_bridge(side: Side) -> None:
    """The executor's call reaches the bridge as it was sent; what the bridge answers, Numora is answered."""
    await side.take_executor_calls(SECRET)
    await put_to_work(side, "executor-to-bridge")
    document = side.add()
    call = json.dumps({"document_id": document.id}, indent=3).encode()
    headers = {"Content-Type": "application/json", "X-Numora-Secret": SECRET}

    status, answer = await side.n8n.call_webhook("numora-executor", call, headers)
    forged, _ = await side.n8n.call_webhook("numora-executor", call, {**headers, "X-Numora-Secret": "guessed"})

    assert (status, answer["accepted"]) == (202, True)
    assert forged == 401
    await side.until(lambda: side.delivery(document.id), lambda now: now.get("state") == "succeeded")


async def test_from_polling(side: Side) -> None:
    """It can be published as it is; its schedule is n8n's own."""
    assert await put_to_work(side, "from-polling")
