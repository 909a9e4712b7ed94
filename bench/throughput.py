"""Documents per second and processor time per document, of the bridge and of a bare client beside it."""

import json
import socket
import time
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
        for count in (WARM_UP, documents):
            world.say(str(count))
            world.hear()
            cpu, started = cpu_seconds(client.pid), time.perf_counter()
            client.say("go")
            reported = world.hear()
            seconds = time.perf_counter() - started
        return Run(documents, seconds, cpu_seconds(client.pid) - cpu, reported["throttled"])
    finally:
        client.end()
        world.end()


def measure_bridge(scenario: Scenario, documents: int) -> Run:
    """Measure the bridge, from the request to poll to the last report."""
    port = free_port()
    world, addresses = open_world(scenario, port)
    bridge = Bridge(Path(addresses["config"]), addresses["bridge_key"], port)
    try:
        bridge.wait_for("/readyz")
        for count in (WARM_UP, documents):
            world.say(str(count))
            world.hear()
            cpu, started = cpu_seconds(bridge.pid), time.perf_counter()
            bridge.call("POST", f"/v1/tenants/{addresses['tenant']}/poll")
            reported = world.hear()
            seconds = time.perf_counter() - started
        return Run(documents, seconds, cpu_seconds(bridge.pid) - cpu, reported["throttled"])
    finally:
        bridge.end()
        world.end()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
