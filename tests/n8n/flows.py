"""Workflows as n8n reads them, put together in few words."""

from itertools import pairwise
from typing import Any
from uuid import uuid4

BRIDGE = "n8n-nodes-numora-bridge.numoraBridge"
TRIGGER = "n8n-nodes-numora-bridge.numoraBridgeTrigger"
CREDENTIAL = "numoraBridgeApi"

Node = dict[str, Any]


def node(name: str, kind: str, version: float, **parameters: Any) -> Node:
    return {
        "id": str(uuid4()),
        "name": name,
        "type": kind,
        "typeVersion": version,
        "position": [0, 0],
        "parameters": parameters,
    }


def webhook(path: str, respond: str = "lastNode") -> Node:
    """Return a Webhook node; the path has to be one that no other workflow of the n8n has."""
    made = node(
        "Webhook", "n8n-nodes-base.webhook", 2.1, httpMethod="POST", path=path, responseMode=respond, options={}
    )
    return {**made, "webhookId": str(uuid4())}


def bridge(name: str, credential: str, resource: str, operation: str, tenant: str = "acme", **parameters: Any) -> Node:
    """Return our node at work for a tenant."""
    chosen = {"__rl": True, "mode": "id", "value": tenant}
    made = node(name, BRIDGE, 1, resource=resource, operation=operation, tenant=chosen, **parameters)
    return {**made, "credentials": {CREDENTIAL: {"id": credential, "name": "bridge"}}}


def bridge_trigger(credential: str, *types: str, tenant: str = "acme") -> Node:
    chosen = {"__rl": True, "mode": "id", "value": tenant}
    made = node("Trigger", TRIGGER, 1, tenant=chosen, types=list(types))
    return {**made, "webhookId": str(uuid4()), "credentials": {CREDENTIAL: {"id": credential, "name": "bridge"}}}


def once(made: Node) -> Node:
    """Return the node so that it runs for the first of its items only."""
    return {**made, "executeOnce": True}


def waiting(name: str) -> Node:
    """Return a Wait node that is resumed by a call of its own webhook."""
    made = node(name, "n8n-nodes-base.wait", 1.1, resume="webhook", httpMethod="POST", options={})
    return {**made, "webhookId": str(uuid4())}


def pause(name: str, seconds: int) -> Node:
    """Return a node that holds the flow for a while, in which n8n counts it as running."""
    made = node(name, "n8n-nodes-base.wait", 1.1, resume="timeInterval", amount=seconds, unit="seconds")
    return {**made, "webhookId": str(uuid4())}


def nothing(name: str) -> Node:
    return node(name, "n8n-nodes-base.noOp", 1)


def workflow(*chain: Node, branches: dict[str, dict[int, Node]] | None = None) -> dict[str, Any]:
    """Return a workflow: a chain of nodes, and nodes that hang on further outputs of some of them."""
    nodes = list(chain)
    connections: dict[str, dict[str, list[list[Any]]]] = {
        first["name"]: {"main": [[_to(second)]]} for first, second in pairwise(chain)
    }
    for name, outputs in (branches or {}).items():
        main = connections.setdefault(name, {"main": []})["main"]
        for output, target in outputs.items():
            main.extend([[] for _ in range(output + 1 - len(main))])
            main[output].append(_to(target))
            nodes.append(target)
    return {
        "name": f"test {uuid4()}",
        "nodes": nodes,
        "connections": connections,
        "settings": {"executionOrder": "v1", "saveDataSuccessExecution": "all", "saveDataErrorExecution": "all"},
    }


def _to(target: Node) -> dict[str, Any]:
    return {"node": target["name"], "type": "main", "index": 0}
