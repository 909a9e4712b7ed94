"""The image and its neighbours in compose.yaml, as far as they can be known without a container engine.

What the Dockerfile and compose.yaml promise is read from them. What runs inside is run for real: the wheel is installed
the way the Dockerfile does it, and started as the image's user on a file system that is read-only but for the data
volume. Where the tests may not change user or mount, the same is run as whoever runs the tests.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
UID = 10001


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order, each with its arguments on one line."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return [(word, arguments) for word, _, arguments in lines]


def last_stage() -> dict[str, str]:
    """Return the final stage's instructions by name; of several with the same name the last one."""
    everything = instructions()
    start = max(index for index, (word, _) in enumerate(everything) if word == "FROM")
    return dict(everything[start:])


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(ROOT / "compose.yaml")
    return loaded


def test_the_image_runs_without_privileges() -> None:
    """The user is a number, so that an orchestrator can see that it is not root; the base image has a fixed tag."""
    assert last_stage()["USER"] == f"{UID}:{UID}"
    assert all(re.match(r"python:3\.\d+-slim( AS \w+)?$", base) for word, base in instructions() if word == "FROM")


def test_the_image_writes_to_one_place() -> None:
    """One volume holds the ledger, and Python leaves no compiled files beside the code."""
    stage = last_stage()
    assert stage["VOLUME"] == "/data"
    assert "PYTHONDONTWRITEBYTECODE=1" in stage["ENV"]


def test_the_image_starts_and_stops_the_service() -> None:
    """``docker run`` serves, any other command of the CLI may be given, and stopping is the graceful stop."""
    stage = last_stage()
    assert json.loads(stage["ENTRYPOINT"]) == ["numora-bridge"]
    assert json.loads(stage["CMD"]) == ["serve"]
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert stage["EXPOSE"] == "8484"
    assert "NUMORA_BRIDGE_CONFIG=/config" in stage["ENV"]


def test_the_image_is_made_of_what_is_sent_to_the_engine() -> None:
    """Every file that is copied passes .dockerignore, and secrets or ledgers of the tree never do."""
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for word, arguments in instructions()
        if word == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    }
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)


def test_the_bridge_is_locked_down_in_compose() -> None:
    """Read-only, without capabilities or new privileges, published on loopback only, and given time to stop."""
    bridge = compose()["services"]["bridge"]
    assert bridge["read_only"] is True
    assert bridge["cap_drop"] == ["ALL"]
    assert bridge["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in bridge["ports"])
    assert int(bridge["stop_grace_period"].removesuffix("s")) > 10
    assert [volume for volume in bridge["volumes"] if not volume.endswith(":ro")] == ["bridge-data:/data"]


def test_the_neighbours_are_pinned_and_not_published_to_the_world() -> None:
    """n8n has a fixed version, and is reached from this machine only unless someone decides otherwise."""
    n8n = compose()["services"]["n8n"]
    assert re.fullmatch(r"docker\.n8n\.io/n8nio/n8n:\d+\.\d+\.\d+", n8n["image"])
    assert all(port.startswith("127.0.0.1:") for port in n8n["ports"])


@dataclass(frozen=True)
class Installed:
    """The bridge as it stands in the image: its commands, its configuration and its data volume."""

    commands: Path
    config: Path
    data: Path
    port: int

    def run(self, *command: str) -> subprocess.Popen[str]:
        """Start a command as the image's user, with nothing but the data volume to write to."""
        environment = {"PATH": os.defpath, "NUMORA_BRIDGE_CONFIG": str(self.config), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [*self._confined(), str(self.commands / command[0]), *command[1:]],
            cwd=self.data,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _confined(self) -> list[str]:
        if not CONFINES:
            return []
        mounts = 'mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,ro,bind / && exec "$@"'
        # The one capability that is kept is to read what the user who runs the tests may read.
        capability = "-all,+dac_read_search"
        become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs"]
        capabilities = [f"--inh-caps={capability}", f"--ambient-caps={capability}"]
        return ["unshare", "--mount", "sh", "-c", mounts, str(self.data), *become, *capabilities]


def _confines() -> bool:
    if os.geteuid() or not all(map(shutil.which, ("unshare", "setpriv", "mount"))):
        return False
    probe = ["unshare", "--mount", "sh", "-c", "mount --make-rprivate / && mount -o remount,ro,bind /"]
    return subprocess.run(probe, capture_output=True, check=False, timeout=30).returncode == 0


CONFINES = _confines()


@pytest.fixture(scope="module")
def installed(wheel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel beside the libraries that the tests run on, with the shipped container configuration."""
    folder = tmp_path_factory.mktemp("image")
    environment = folder / "venv"
    venv.create(environment, with_pip=False)
    commands = environment / "bin"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(commands / "python")]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel_file)], check=True, timeout=110)
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")

    data = folder / "data"
    data.mkdir()
    port = free_port()
    config = folder / "config"
    shutil.copytree(ROOT / "deploy" / "config", config)
    text = (config / "bridge.yaml").read_text()
    for shipped, here in (("host: 0.0.0.0, port: 8484", f"host: 127.0.0.1, port: {port}"), ("/data/", f"{data}/")):
        assert text.count(shipped) == 1
        text = text.replace(shipped, here)
    (config / "bridge.yaml").write_text(text)
    if CONFINES:
        os.chown(data, UID, UID)
    return Installed(commands, config, data, port)


@pytest.mark.install
def test_the_shipped_container_configuration_is_right(installed: Installed) -> None:
    """``check`` has nothing to say against the configuration that compose.yaml mounts."""
    with installed.run("numora-bridge", "check", "--offline") as check:
        output = check.communicate(timeout=60)[0]
    assert check.returncode == 0, output


@pytest.mark.install
def test_the_service_runs_as_the_image_runs_it(installed: Installed) -> None:
    """It becomes healthy, keeps its ledger on the data volume and nowhere else, and stops when it is told to."""
    with installed.run("numora-bridge", "serve") as service:
        try:
            healthy = False
            while not healthy and service.poll() is None:
                with installed.run("python", "-m", "bridge.healthcheck", str(installed.port)) as check:
                    check.communicate(timeout=30)
                healthy = check.returncode == 0
            service.send_signal(signal.SIGTERM)
            output = service.communicate(timeout=30)[0]
        finally:
            service.kill()
    assert healthy, output
    assert service.returncode == 0, output
    kept = {file.name: file.stat().st_uid for file in installed.data.iterdir()}
    assert "bridge.db" in kept
    assert set(kept.values()) == {UID if CONFINES else os.geteuid()}
