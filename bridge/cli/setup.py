"""``init`` and ``schema``: a configuration to start from, and what an editor can know about it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bridge.cli.failures import guarded
from bridge.cli.terminal import say


@guarded
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")]) -> None:
    """Write a configuration to start from.

    Every key is explained in it. Nothing is written over.
    """
    from bridge.config.template import write_template

    for file in write_template(folder):
        say(f"wrote {file}")
    say()
    say("What to do next:")
    say(f"  1. Put your addresses into {folder / 'tenants' / 'example.yaml'}; the file's name is the tenant's id.")
    say(f"  2. Set the secrets that {folder / '.env.example'} names, in the environment.")
    say(f"  3. numora-bridge check --config {folder}")
    say(f"  4. numora-bridge serve --config {folder}")


@guarded
def schema(
    name: Annotated[
        Literal["bridge", "tenant", "mapping"], typer.Argument(help="Of bridge.yaml, a tenant file or a mapping file.")
    ],
) -> None:
    """Print a JSON Schema, for editors."""
    import json

    from bridge.config.schema import schema_for

    print(json.dumps(schema_for(name), indent=2, ensure_ascii=False))
