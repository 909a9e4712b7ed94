"""Documents per second and processor time per document, of the bridge and of a bare client beside it."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.process import Bridge, Talking, cpu_seconds

WARM_UP = 100


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the other side is like: seconds for each answer, and how many requests are sent at a time."""

    name: str
    numora_latency: float
    dataverse_latency: float
    concurrency: int
    beside_bare: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement: seconds for ``documents`` documents, processor seconds used, and how many 429 there were."""

    documents: int
    seconds: float
    cpu: float
    throttled: int

    @property
    def per_second(self) -> float:
        """Documents per second."""
        return self.documents / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds per document."""
        return self.cpu / self.documents * 1000


def open_world(scenario: Scenario, port: int) -> tuple[Talking, dict[str, str]]:
    """Start the sandboxes and return them with their addresses."""
    world = Talking(
        "bench.world",
        *("--numora-latency", str(scenario.numora_latency)),
        *("--dataverse-latency", str(scenario.dataverse_latency)),
        *("--concurrency", str(scenario.concurrency)),
        *("--bridge-port", str(port)),
    )
    return world, world.hear()


def measure_bare(scenario: Scenario, documents: int) -> Run:
    """Measure the bare client."""
    world, addresses = open_world(scenario, free_port())
    client = Talking("bench.bare", json.dumps(addresses), str(scenario.concurrency))
    try:
        once(world, WARM_UP, client.pid, lambda: client.say("go"))
        return once(world, documents, client.pid, lambda: client.say("go"))
    finally:
        client.end()
        world.end()


def measure_bridge(scenario: Scenario, documents: int) -> Run:
    """Measure the bridge, from the request to poll to the last report."""
    port = free_port()
    world, addresses = open_world(scenario, port)
    bridge = Bridge(Path(addresses["config"]), addresses["bridge_key"], port)

    def poll() -> None:
        bridge.call("POST", f"/v1/tenants/{addresses['tenant']}/poll")

    try:
        bridge.wait_for("/readyz")
        once(world, WARM_UP, bridge.pid, poll)
        return once(world, documents, bridge.pid, poll)
    finally:
        bridge.end()
        world.end()


def once(world: Talking, documents: int, pid: int, begin: Callable[[], None]) -> Run:
    """Put documents into the outbox, let the process begin, and weigh it until the last one was reported."""
    world.say(str(documents))
    world.hear()
    cpu, started = cpu_seconds(pid), time.perf_counter()
    begin()
    reported = world.hear()
    seconds = time.perf_counter() - started
    return Run(documents, seconds, cpu_seconds(pid) - cpu, reported["throttled"])


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
