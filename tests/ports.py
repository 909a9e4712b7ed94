"""Ports for services that are started again and again on the same one."""

import random
import socket
from pathlib import Path

_LOWEST = 20_000


def free_port() -> int:
    """Return a port that nobody uses, from outside the range that the kernel gives out by itself.

    A port of that range may be given to another connection while the service that has it is stopped.
    """
    given_out = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    while True:
        port = random.SystemRandom().randrange(_LOWEST, max(given_out, _LOWEST + 1_000))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
