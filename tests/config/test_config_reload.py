"""Changes while running: what is good comes into force, what is bad keeps its previous version."""

import pytest

from bridge.config.load import load_config, load_tolerant


@pytest.fixture
def loaded(write, files, environ):
    return load_config(write(files), environ)


@pytest.fixture
def reload(write, loaded, environ, files):
    """Writes the files as they are now and loads them over the previous configuration."""

    def reload_now(previous=loaded):
        return load_tolerant(previous, write(files), environ)

    return reload_now


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]


def test_nothing_changed_is_nothing_changed(loaded, reload):
    again, findings = reload()
    assert again == loaded
    assert again.tenants["acme"].mappings["invoice_v2"] is loaded.tenants["acme"].mappings["invoice_v2"]
    assert findings == ()


def test_a_good_change_comes_into_force(loaded, reload, files):
    files["tenants/acme.yaml"] += "delivery: {concurrency: 3}\n"
    again, findings = reload()
    assert again.tenants["acme"].config.delivery.concurrency == 3
    assert again.digest != loaded.digest
    assert findings == ()


def test_a_bad_tenant_keeps_its_previous_version(loaded, reload, files):
    files["tenants/acme.yaml"] += "delivery: {concurrency: lots}\n"
    again, findings = reload()
    assert again.tenants["acme"] == loaded.tenants["acme"]
    assert [str(finding).split(": ")[0] for finding in findings] == ["config/tenants/acme.yaml:16:25"]


def test_a_bad_tenant_does_not_hold_back_the_others(loaded, reload, files):
    files["tenants/acme.yaml"] += "no: [\n"
    files["tenants/beta.yaml"] = files["mappings/own.yaml"]
    files["tenants/gamma.yaml"] = loaded.tenants["acme"].file.read_text().replace("${TENANT_KEY}", "${OTHER_KEY}")
    again, findings = reload()
    assert list(again.tenants) == ["acme", "gamma"], "a bad new one is left out, a good new one comes in"
    assert {finding.file for finding in findings} == {"config/tenants/acme.yaml", "config/tenants/beta.yaml"}


def test_a_bad_mapping_keeps_the_previous_one(loaded, reload, files):
    files["mappings/own.yaml"] += "nonsense: 1\n"
    again, findings = reload()
    assert again.tenants["acme"].mappings["invoice_v2"] is loaded.tenants["acme"].mappings["invoice_v2"]
    assert codes(findings) == ["unknown_key"]


def test_a_removed_tenant_goes(loaded, reload, files):
    loaded.tenants["acme"].file.unlink()
    del files["tenants/acme.yaml"]
    again, findings = reload()
    assert dict(again.tenants) == {}
    assert codes(findings) == ["no_tenants"]


def test_a_folder_that_is_gone_takes_no_tenant_with_it(write, loaded, environ):
    """A mount that went away must not stop every tenant."""
    folder = loaded.folder / "tenants"
    folder.rename(loaded.folder / "elsewhere")
    again, findings = load_tolerant(loaded, loaded.folder, environ)
    assert again.tenants == loaded.tenants
    assert codes(findings) == ["missing_folder"]
    (loaded.folder / "elsewhere").rename(folder)
    again, findings = load_tolerant(again, loaded.folder, environ)
    assert (again, findings) == (loaded, ())


def test_mappings_that_are_gone_are_not_replaced_by_shipped_ones(write, loaded, environ):
    """Neither at once, nor with the next change while they are still away."""
    assert any(mapping.file.startswith("config/") for mapping in loaded.tenants["acme"].mappings.values())
    folder = loaded.folder / "mappings"
    folder.rename(loaded.folder / "elsewhere")
    again, findings = load_tolerant(loaded, loaded.folder, environ)
    again, later = load_tolerant(again, loaded.folder, environ)
    assert again.tenants == loaded.tenants
    assert again.tenants["acme"].mappings == loaded.tenants["acme"].mappings
    assert "missing_folder" in codes(findings)
    assert "missing_folder" in codes(later)
    (loaded.folder / "elsewhere").rename(folder)
    again, findings = load_tolerant(again, loaded.folder, environ)
    assert (again, findings) == (loaded, ())


@pytest.mark.parametrize("text", ["log: {level: loud}\n", "a: [", "- 1\n", "${", "store: postgresql://x/y\n"])
def test_a_bad_bridge_file_keeps_the_previous_one(loaded, reload, files, text):
    files["bridge.yaml"] = text
    files["tenants/acme.yaml"] += "delivery: {concurrency: 3}\n"
    again, findings = reload()
    assert again.bridge == loaded.bridge
    assert again.tenants["acme"].config.delivery.concurrency == 3, "the tenants are not held back"
    assert findings
    assert {finding.file for finding in findings} == {"config/bridge.yaml"}


def test_a_bridge_file_that_is_gone_keeps_the_previous_one(loaded, environ):
    (loaded.folder / "bridge.yaml").unlink()
    again, findings = load_tolerant(loaded, loaded.folder, environ)
    assert (again.bridge, again.tenants) == (loaded.bridge, loaded.tenants)
    assert codes(findings) == ["unreadable_file"]


def test_keys_that_need_a_new_start_are_told_and_wait(loaded, reload, files):
    files["bridge.yaml"] += "listen: {port: 1}\nstore: sqlite:///x.db\nlog: {level: debug}\n"
    again, findings = reload()
    assert (again.bridge.listen, again.bridge.store) == (loaded.bridge.listen, loaded.bridge.store)
    assert again.bridge.log.level == "debug"
    assert [(finding.code, finding.line, finding.column, finding.key) for finding in findings] == [
        ("needs_restart", 3, 1, "listen"),
        ("needs_restart", 4, 1, "store"),
    ]
    assert codes(reload(again)[1]) == ["needs_restart", "needs_restart"], "it is told until the bridge is started anew"


def test_a_tenant_that_takes_anothers_key_is_held_back(loaded, reload, files):
    """However the files are named, the tenant that had the key keeps it."""
    files["tenants/aaa.yaml"] = files["tenants/acme.yaml"]
    again, findings = reload()
    assert list(again.tenants) == ["acme"]
    assert [(finding.code, finding.file) for finding in findings] == [("shared_api_key", "config/tenants/aaa.yaml")]


def test_an_operator_key_that_a_tenant_has_is_held_back(loaded, reload, files):
    """A slip in bridge.yaml takes no tenant out of service."""
    files["bridge.yaml"] = files["bridge.yaml"].replace("${BRIDGE_API_KEY}", "${TENANT_KEY}")
    again, findings = reload()
    assert list(again.tenants) == ["acme"]
    assert again.bridge.api_keys == loaded.bridge.api_keys
    assert [(finding.code, finding.file) for finding in findings] == [("shared_api_key", "config/bridge.yaml")]


def test_two_tenants_that_swap_keys_both_change(reload, files):
    files["tenants/beta.yaml"] = files["tenants/acme.yaml"].replace("${TENANT_KEY}", "${OTHER_KEY}")
    first, _ = reload()
    files["tenants/acme.yaml"], files["tenants/beta.yaml"] = files["tenants/beta.yaml"], files["tenants/acme.yaml"]
    second, findings = reload(first)
    assert findings == ()
    keys = [tenant.config.api_keys[0].get_secret_value() for tenant in second.tenants.values()]
    assert keys == ["other-key-0123456789", "tenant-key-0123456789"]


def test_a_secret_that_changed_in_its_file_makes_another_tenant(write, files, environ):
    files["key"] = "first-key"
    files["tenants/acme.yaml"] = files["tenants/acme.yaml"].replace("${NUMORA_KEY}", "${file:key}")
    loaded = load_config(write(files), environ)
    files["key"] = "second-key"
    again, _ = load_tolerant(loaded, write(files), environ)
    assert again.tenants["acme"] != loaded.tenants["acme"]
    assert again.tenants["acme"].digest == loaded.tenants["acme"].digest, "a digest tells nothing of a secret"
