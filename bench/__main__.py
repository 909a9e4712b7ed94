"""``make bench``: the figures that the documentation quotes.

python -m bench [throughput] [footprint] [--documents N] [--rounds N]
"""

import argparse
import statistics
from dataclasses import dataclass

from bench.footprint import show_footprint
from bench.throughput import Run, Scenario, measure_bare, measure_bridge

CEILING = 52 / 0.150
"""Documents per second when 52 writes of 150 ms are always in flight."""

SCENARIOS = (
    Scenario("answers at once", 0.0, 0.0, 16),
    Scenario("30 ms for each answer", 0.030, 0.030, 16),
    Scenario("40 ms, writes 150 ms, 52 at a time", 0.040, 0.150, 104, beside_bare=False),
)


@dataclass(frozen=True, slots=True)
class Medians:
    """The median of each figure of several runs by itself: the run of median speed may be any as to processor time."""

    per_second: float
    cpu_ms: float
    throttled: int


def medians(runs: list[Run]) -> Medians:
    """Return the medians; of the 429s, of which there are to be none, the sum."""
    return Medians(
        statistics.median(run.per_second for run in runs),
        statistics.median(run.cpu_ms for run in runs),
        sum(run.throttled for run in runs),
    )


def show_throughput(documents: int, rounds: int) -> None:
    """Measure every scenario, the bridge and the bare client in turn, and print the medians."""
    print(f"{documents} documents, median of {rounds}, the two in turn")
    print(f"{'':36}{'documents/s':>14}{'CPU ms/doc':>12}{'429s':>6}")
    for scenario in SCENARIOS:
        bridge, bare = [], []
        for _ in range(rounds):
            bridge.append(measure_bridge(scenario, documents))
            if scenario.beside_bare:
                bare.append(measure_bare(scenario, documents))
        of_bridge = medians(bridge)
        print(f"{scenario.name} (concurrency {scenario.concurrency})")
        show("  bridge", of_bridge)
        if bare:
            of_bare = medians(bare)
            show("  bare client", of_bare)
            speed = of_bridge.per_second / of_bare.per_second
            print(f"{'  bridge / bare client':36}{speed:>14.2f}{of_bridge.cpu_ms / of_bare.cpu_ms:>12.2f}")
        else:
            print(f"{'  bridge / ceiling of 346':36}{of_bridge.per_second / CEILING:>14.2f}")


def show(name: str, figures: Medians) -> None:
    """Print one row."""
    print(f"{name:36}{figures.per_second:>14.1f}{figures.cpu_ms:>12.2f}{figures.throttled:>6}", flush=True)


def main() -> None:
    """Measure what was asked for, by default everything."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("what", nargs="*", choices=["throughput", "footprint", []], default=[])
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not options.what or "throughput" in options.what:
        show_throughput(options.documents, options.rounds)
    if not options.what or "footprint" in options.what:
        show_footprint()


if __name__ == "__main__":
    main()
