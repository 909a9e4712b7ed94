"""Ask a running bridge whether it is alive: ``python -m bridge.healthcheck [PORT]``, for container engines.

Standard library only, so that it starts quickly and works in an image without curl. Ends with 0 when
``GET /healthz`` on this machine answers 200, otherwise with 1 and the reason on standard output.
"""

import http.client
import sys

DEFAULT_PORT = 8484
TIMEOUT = 4.0
"""Seconds for the whole answer; below the usual limit of a container engine's check, 5 s."""


def check(port: int, host: str = "127.0.0.1") -> str | None:
    """Return None when the bridge answers as it should, otherwise what is wrong."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"no answer from {host}:{port}: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if status == http.client.OK else f"{host}:{port} answered {status} to /healthz"


def main(arguments: list[str]) -> int:
    """Check the bridge on the port that is given, or on the default one."""
    try:
        port = int(arguments[0]) if arguments else DEFAULT_PORT
    except ValueError:
        print(f"not a port number: {arguments[0]}")
        return 1
    problem = check(port)
    if problem:
        print(problem)
    return int(problem is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
