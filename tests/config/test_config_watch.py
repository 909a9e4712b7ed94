"""Changed files are picked up while running, by a watcher that nothing stops."""

import asyncio
from pathlib import Path

import pytest

from bridge.config.load import load_config
from bridge.config.watch import ConfigWatcher


class Changes:
    """What the watcher reported, to be awaited."""

    def __init__(self) -> None:
        self.queue = asyncio.Queue()
        self.failing = False
        self.failed = asyncio.Event()

    async def __call__(self, loaded, findings) -> None:
        if self.failing:
            self.failing = False
            self.failed.set()
            raise RuntimeError("made up")
        self.queue.put_nowait((loaded, findings))

    async def next(self):
        return await asyncio.wait_for(self.queue.get(), 20)


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
async def folder(write, files, environ, changes):
    """A configuration that is being watched, closely."""
    path = write(files)
    watcher = ConfigWatcher(load_config(path, environ), path, environ, changes, interval=0.01)
    watcher.start()
    yield path
    await watcher.close()
    await watcher.close()


def replace(path: Path, text: str) -> None:
    """Write a file the way editors do: beside it, then in its place."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


async def test_a_changed_tenant_file_is_picked_up(folder, files, changes):
    replace(folder / "tenants/acme.yaml", files["tenants/acme.yaml"] + "delivery: {concurrency: 3}\n")
    loaded, findings = await changes.next()
    assert loaded.tenants["acme"].config.delivery.concurrency == 3
    assert findings == ()


async def test_new_and_removed_tenant_files_are_picked_up(folder, files, changes):
    replace(folder / "tenants/beta.yaml", files["tenants/acme.yaml"].replace("${TENANT_KEY}", "${OTHER_KEY}"))
    loaded, _ = await changes.next()
    assert list(loaded.tenants) == ["acme", "beta"]
    (folder / "tenants/acme.yaml").unlink()
    loaded, _ = await changes.next()
    assert list(loaded.tenants) == ["beta"]


async def test_a_mapping_file_that_appears_before_the_shipped_one_is_picked_up(folder, files, changes):
    replace(folder / "tenants/acme.yaml", files["tenants/acme.yaml"].replace("own.yaml", "invoice_v2.dataverse.yaml"))
    loaded, _ = await changes.next()
    assert loaded.tenants["acme"].mappings["invoice_v2"].text != files["mappings/own.yaml"]
    replace(folder / "mappings/invoice_v2.dataverse.yaml", files["mappings/own.yaml"])
    loaded, _ = await changes.next()
    assert loaded.tenants["acme"].mappings["invoice_v2"].text == files["mappings/own.yaml"]


async def test_a_bad_file_is_told_and_its_mending_too(folder, files, changes):
    replace(folder / "tenants/acme.yaml", "source: [")
    loaded, findings = await changes.next()
    assert loaded.tenants["acme"].config.delivery.concurrency == 8
    assert [finding.code for finding in findings] == ["yaml_syntax"]
    replace(folder / "tenants/acme.yaml", files["tenants/acme.yaml"])
    _, findings = await changes.next()
    assert findings == ()


async def test_a_change_made_before_the_watcher_began_is_picked_up(write, files, environ, changes):
    """What counts is how a file looked when it was read, not when the watcher came."""
    path = write(files)
    loaded = load_config(path, environ)
    replace(path / "tenants/acme.yaml", files["tenants/acme.yaml"] + "# more\n")
    watcher = ConfigWatcher(loaded, path, environ, changes, interval=0.01)
    watcher.start()
    again, _ = await changes.next()
    assert again.digest != loaded.digest
    await watcher.close()


async def test_a_trigger_loads_at_once_whether_or_not_anything_changed(write, files, environ, changes):
    path = write(files)
    loaded = load_config(path, environ)
    watcher = ConfigWatcher(loaded, path, environ, changes, interval=3600)
    watcher.start()
    watcher.trigger()
    again, findings = await changes.next()
    assert (again, findings) == (loaded, ())
    await watcher.close()


async def test_a_secret_file_that_appears_is_picked_up(folder, files, changes):
    replace(folder / "tenants/acme.yaml", files["tenants/acme.yaml"].replace("${NUMORA_KEY}", "${file:key}"))
    _, findings = await changes.next()
    assert [finding.code for finding in findings] == ["missing_secret"]
    replace(folder / "key", "now-it-is-there")
    loaded, findings = await changes.next()
    assert findings == ()
    assert loaded.tenants["acme"].config.source.api_key.get_secret_value() == "now-it-is-there"


async def test_the_watcher_outlives_whatever_fails(write, files, environ, changes):
    """A failure while a change is taken over is logged; the next change is seen all the same."""
    path = write(files)
    loaded = load_config(path, environ)
    watcher = ConfigWatcher(loaded, path, environ, changes, interval=3600)
    changes.failing = True
    watcher.start()
    watcher.trigger()
    await asyncio.wait_for(changes.failed.wait(), 20)
    assert watcher.loaded is loaded
    watcher.trigger()
    again, _ = await changes.next()
    assert again == loaded
    await watcher.close()
