"""What several commands are told in the same way."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.failures import MISUSED, CommandError

if TYPE_CHECKING:
    from bridge.config.loaded import LoadedConfig, Tenant

CONFIG_VARIABLE = "NUMORA_BRIDGE_CONFIG"

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar=CONFIG_VARIABLE,
        metavar="DIR",
        readable=False,  # reading tells, and knows of capabilities what asking beforehand does not
        help="The configuration folder, or its bridge.yaml.",
    ),
]
TenantOption = Annotated[str, typer.Option("--tenant", metavar="T", help="The tenant's id: its file's name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]


def config_path(given: Path | None) -> Path:
    """Return where the configuration is. Raises ``CommandError`` when nobody said it."""
    if given is None:
        raise CommandError(
            f"Say which configuration is meant: --config DIR, or {CONFIG_VARIABLE} in the environment. "
            "`numora-bridge init DIR` writes one to start from.",
            MISUSED,
        )
    return given


def load(given: Path | None, *, unused: bool = False) -> "LoadedConfig":
    """Load the configuration; with ``unused`` the mapping files that no tenant names as well.

    Raises ``FindingsError`` with everything that is wrong with it.

    The log keeps to errors from then on, since a command tells what there is to tell itself, and knows every secret.
    """
    import os

    from bridge.config.load import load_config
    from bridge.log import configure, redaction

    config = load_config(config_path(given), os.environ, unused=unused)
    configure("console", "error")
    redaction.learn(config.secrets())
    return config


def tenant_of(config: "LoadedConfig", name: str) -> "Tenant":
    """Return a tenant. Raises ``CommandError`` that names the nearest one when there is none of this name."""
    from mappings.yaml_findings import nearest

    tenant = config.tenants.get(name)
    if tenant is None:
        advice = nearest(name, config.tenants) if config.tenants else "There is no tenant file yet."
        raise CommandError(f"There is no tenant {name!r} in this configuration. {advice}", MISUSED)
    return tenant
