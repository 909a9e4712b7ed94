"""Processes under measurement: started, spoken to by lines of JSON, and weighed by what the system says of them."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


class Talking:
    """A child process that prints lines of JSON and is told things by lines."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid

    def say(self, line: str) -> None:
        """Tell the child something."""
        stream = self._process.stdin
        if stream is None:
            raise RuntimeError("the child has no input")
        stream.write(line + "\n")
        stream.flush()

    def hear(self) -> dict[str, Any]:
        """Return what the child says next."""
        stream = self._process.stdout
        line = stream.readline() if stream is not None else ""
        if not line:
            raise RuntimeError(f"the child ended with {self._process.wait()}")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def end(self) -> None:
        """Let the child end with its input."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Bridge:
    """``numora-bridge serve`` on a config folder, and its API."""

    def __init__(self, config: Path, key: str, port: int) -> None:
        self._key = key
        self._url = f"http://127.0.0.1:{port}"
        self.started_at = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "serve", "--config", str(config)],
            stderr=(config / "bridge.log").open("wb"),
        )
        self.pid = self._process.pid

    def call(self, method: str, path: str) -> Any:
        """Call the bridge's API and return the parsed answer."""
        request = urllib.request.Request(self._url + path, method=method, headers={"X-API-Key": self._key})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or b"null")

    def wait_for(self, path: str) -> float:
        """Wait until a path answers 200; return the seconds since the start of the process."""
        while True:
            try:
                self.call("GET", path)
            except OSError:
                if self._process.poll() is not None:
                    raise RuntimeError(f"the bridge ended with {self._process.returncode}") from None
                time.sleep(0.005)
            else:
                return time.perf_counter() - self.started_at

    def end(self) -> None:
        """Stop the bridge as an operator would."""
        self._process.terminate()
        self._process.wait(timeout=30)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_memory_mib(pid: int) -> float:
    """Return the largest resident memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell the peak of resident memory")
