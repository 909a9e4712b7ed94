"""Every command under its name."""

from typing import Annotated

import typer

from bridge.cli.check import check
from bridge.cli.deliveries import deliveries
from bridge.cli.demo import demo
from bridge.cli.mapping import mapping
from bridge.cli.poll import poll
from bridge.cli.preview import preview
from bridge.cli.sandbox import sandbox
from bridge.cli.serve import serve
from bridge.cli.setup import init, schema

app = typer.Typer(
    name="numora-bridge",
    help="Delivers reviewed Numora documents into Dynamics 365: nothing lost, nothing written twice.",
    epilog="Exit code 0: all well. 1: something failed. 2: wrong usage or configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"numora-bridge {version('numora-bridge')}")
        except PackageNotFoundError:
            print("numora-bridge, run from its sources without being installed")
        raise typer.Exit


@app.callback()
def _numora_bridge(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Delivers reviewed Numora documents into Dynamics 365: nothing lost, nothing written twice."""


app.command()(init)
app.command()(check)
app.command()(serve)
app.command()(poll)
app.command()(preview)
app.add_typer(deliveries, name="deliveries")
app.add_typer(mapping, name="mapping")
app.command()(schema)
app.command()(sandbox)
app.command()(demo)
