"""``make bench``: the figures that the documentation quotes.

python -m bench [throughput] [footprint] [--documents N] [--rounds N]
"""

import argparse
import statistics

from bench.footprint import show_footprint
from bench.throughput import Run, Scenario, measure_bare, measure_bridge

CEILING = 52 / 0.150
"""Documents per second when 52 writes of 150 ms are always in flight."""

SCENARIOS = (
    Scenario("answers at once", 0.0, 0.0, 16),
    Scenario("30 ms for each answer", 0.030, 0.030, 16),
    Scenario("40 ms, writes 150 ms, 52 at a time", 0.040, 0.150, 104, beside_bare=False),
)


def median(runs: list[Run]) -> Run:
    """Return the run whose speed is the median one."""
    speed = statistics.median_low(run.per_second for run in runs)
    return next(run for run in runs if run.per_second == speed)


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
        of_bridge = median(bridge)
        print(f"{scenario.name} (concurrency {scenario.concurrency})")
        show("  bridge", of_bridge)
        if bare:
            of_bare = median(bare)
            show("  bare client", of_bare)
            speed = of_bridge.per_second / of_bare.per_second
            print(f"{'  bridge / bare client':36}{speed:>14.2f}{of_bridge.cpu_ms / of_bare.cpu_ms:>12.2f}")
        else:
            print(f"{'  bridge / ceiling of 346':36}{of_bridge.per_second / CEILING:>14.2f}")


def show(name: str, run: Run) -> None:
    """Print one row."""
    print(f"{name:36}{run.per_second:>14.1f}{run.cpu_ms:>12.2f}{run.throttled:>6}", flush=True)


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
