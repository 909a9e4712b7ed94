"""A broken configuration: everything wrong with it is told at once, with the place and what to do, and no secret."""

from pathlib import Path

import pytest

from tests.cli.cli_process import command, command_on_terminal, plain

BRIDGE = """\
listne: {port: 1}
log: {level: loud}
store: mysql://somewhere
api_keys: ["a-literal-operator-key"]
"""
TENANT = """\
source:
  kind: numora
  base_url: ftp://numora.example
  api_key: ${NOT_SET_ANYWHERE}
  pol: {every: 5m}
destination:
  kind: dataverse
  url: https://acme.crm4.dynamics.com
  auth: {kind: client_secret, tenant_id: t, client_id: c, client_secret: a-literal-client-secret, authorty: x}
mappings:
  invoice_v2: invoice_v3.dataverse.yaml
"""
PLACES = (
    ("bridge.yaml:1:1", "Did you mean 'listen'?"),
    ("bridge.yaml:2:14", "Known: debug, error, info, warning."),
    ("bridge.yaml:3:8", "sqlite:///data/bridge.db"),
    ("acme.yaml:3:13", "A URL begins with https://"),
    ("acme.yaml:4:12", "The environment variable NOT_SET_ANYWHERE is not set."),
    ("acme.yaml:5:3", "Did you mean 'poll'?"),
    ("acme.yaml:9:99", "Did you mean 'authority'?"),
    ("acme.yaml:11:15", "Did you mean 'invoice_v2.dataverse.yaml'?"),
)
SECRETS = ("a-literal-operator-key", "a-literal-client-secret")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    (tmp_path / "tenants").mkdir()
    (tmp_path / "bridge.yaml").write_text(BRIDGE)
    (tmp_path / "tenants" / "acme.yaml").write_text(TENANT)
    return tmp_path


async def test_every_error_is_told_at_once_with_its_place_and_advice(broken: Path) -> None:
    """One line for each, beginning with file, line and column, so that editors and grep can follow."""
    checked = await command("check", "--config", str(broken), "--offline")
    assert checked.code == 2
    for place, advice in PLACES:
        (line,) = [line for line in checked.out.splitlines() if f"{place}: error: " in line]
        assert advice in line
    assert checked.out.count(": error: ") == len(PLACES)
    assert checked.err == "8 errors and 2 warnings in 2 files. Mend the errors, then try again.\n"


async def test_on_a_terminal_the_place_can_be_clicked_and_the_advice_stands_below(broken: Path) -> None:
    checked = await command_on_terminal("check", "--config", str(broken), "--offline")
    assert checked.code == 2
    assert "\x1b[31m✗" in checked.out
    shown = plain(checked.out)
    for place, _ in PLACES:
        assert place in shown
    assert "unknown_key\n    'listne' is not a key here. Did you mean 'listen'?" in shown


async def test_no_color_is_respected(broken: Path) -> None:
    checked = await command_on_terminal("check", "--config", str(broken), "--offline", NO_COLOR="1")
    assert "✗" in checked.out
    assert "\x1b[3" not in checked.out


async def test_no_secret_is_shown(broken: Path) -> None:
    """Not even one that stands in the file in clear, beside the errors."""
    on_terminal = await command_on_terminal("check", "--config", str(broken), "--offline")
    elsewhere = await command("check", "--config", str(broken), "--offline")
    for secret in SECRETS:
        assert secret not in on_terminal.out
        assert secret not in elsewhere.everything


async def test_serve_does_not_start_with_it_and_says_the_same(broken: Path) -> None:
    served = await command("serve", "--config", str(broken))
    assert served.code == 2
    assert served.out == ""
    for place, advice in PLACES:
        assert any(place in line and advice in line for line in served.err.splitlines())


async def test_a_configuration_that_nobody_named_or_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    unnamed = await command("check")
    assert (unnamed.code, unnamed.out) == (2, "")
    assert "--config DIR, or NUMORA_BRIDGE_CONFIG" in unnamed.err
    missing = await command("serve", NUMORA_BRIDGE_CONFIG=str(tmp_path / "nowhere"))
    assert missing.code == 2
    assert "`numora-bridge init` writes a folder to start from" in missing.err


async def test_a_file_that_may_not_be_written_ends_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    started = await command("init", str(tmp_path / "file" / "config"))
    assert started.code in {1, 2}
    assert str(tmp_path / "file") in started.err
