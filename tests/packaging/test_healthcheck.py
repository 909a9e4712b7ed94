"""The check that a container engine makes: quick, without libraries, and clear about what is wrong."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bridge.healthcheck import main

ROOT = Path(__file__).parents[2]


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Answer ``status`` to ``GET /healthz`` and 404 to anything else; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield str(server.server_port)
        finally:
            server.shutdown()
            thread.join()


def test_a_living_bridge_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    """200 is health, and says nothing."""
    with answering(200) as port:
        assert main([port]) == 0
    assert capsys.readouterr().out == ""


def test_another_answer_is_not_health(capsys: pytest.CaptureFixture[str]) -> None:
    """The status is told, so that it stands in the engine's own log."""
    with answering(503) as port:
        assert main([port]) == 1
    assert capsys.readouterr().out == f"127.0.0.1:{port} answered 503 to /healthz\n"


def test_no_answer_is_not_health(capsys: pytest.CaptureFixture[str]) -> None:
    """A bridge that is gone or not yet there is told apart from one that answers wrongly."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = str(bound.getsockname()[1])
        assert main([port]) == 1
    assert capsys.readouterr().out.startswith(f"no answer from 127.0.0.1:{port}: ")


def test_a_port_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error in the compose file is shown as one."""
    assert main(["http"]) == 1
    assert capsys.readouterr().out == "not a port number: http\n"


def test_it_needs_no_library() -> None:
    """It starts in a moment, every 15 seconds, because it loads nothing but the standard library."""
    loaded = "{name.partition('.')[0] for name in sys.modules}"
    command = f"import sys, bridge.healthcheck; print(sorted({loaded} - sys.stdlib_module_names))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "['__main__', 'bridge']"
