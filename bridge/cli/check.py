"""``check``: all files, all secrets, all logins, and all mappings against the live target."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.failures import FAILED, MISUSED, guarded
from bridge.cli.findings import counted_as, print_findings, summary
from bridge.cli.options import ConfigOption, config_path, load
from bridge.cli.terminal import complain, progress, report, say

if TYPE_CHECKING:
    from bridge.config.loaded import LoadedConfig, Tenant
    from bridge.pipeline.lane import Lane
    from connectors.ports import Destination, Source
    from mappings.findings import Finding

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")


@guarded
def check(
    *,
    config: ConfigOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the files only; ask nobody.")] = False,
) -> None:
    """Check files, secrets, logins and mappings.

    Mappings are held against the live target. Exit code 0: all well, though there may be warnings. 1: a login or a
    mapping does not work. 2: a file is wrong, be it a mapping that no tenant names yet.
    """
    from mappings.findings import FindingsError

    path = config_path(config)
    try:
        loaded = load(path, unused=True)
    except FindingsError as error:
        print_findings(error.findings)
        complain(summary(error.findings))
        raise typer.Exit(MISUSED) from None
    print_findings(loaded.warnings)
    _report_files(loaded, path)
    if offline:
        say("Nobody was asked: leave --offline out to check the logins, and the mappings against the live target.")
        return
    if not asyncio.run(_check_live(loaded)):
        complain("Something does not work yet. Mend what is written above, then check again.")
        raise typer.Exit(FAILED)
    say("All is well.", "good")


def _report_files(config: "LoadedConfig", path: Path) -> None:
    tenants = config.tenants.values()
    mappings = {mapping.file: mapping for tenant in tenants for mapping in tenant.mappings.values()}
    tests = sum(len(mapping.parts.tests) for mapping in mappings.values())
    warned = f", {counted_as(len(config.warnings), 'warning')}" if config.warnings else ""
    report(True, f"{path}: {counted_as(len(tenants), 'tenant')}{warned}")
    if mappings:
        report(True, f"{counted_as(len(mappings), 'mapping file')}, {counted_as(tests, 'test')} in them passed")
    variables, files = _references(config, path)
    if variables:
        report(True, f"found in the environment: {', '.join(variables)}")
    if files:
        report(True, f"found in files: {', '.join(files)}")


def _references(config: "LoadedConfig", path: Path) -> tuple[list[str], list[str]]:
    """Return the names of what is filled in from the environment, and from files; never the values."""
    from mappings.yaml_source import parse_yaml

    variables: set[str] = set()
    files: set[str] = set()
    bridge_file = path if path.is_file() else path / "bridge.yaml"
    for file in (bridge_file, *(tenant.file for tenant in config.tenants.values())):
        text = file.read_text("utf-8")
        for value in _texts(parse_yaml(text, str(file)).value) if text.strip() else ():
            for name in filter(None, (found[1] for found in _REFERENCE.finditer(value))):
                (files if name.startswith("file:") else variables).add(name.removeprefix("file:"))
    return sorted(variables), sorted(files)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


@dataclass(frozen=True, slots=True)
class _Answer:
    """How one question to an outside system went; ``good`` is None for one that was not asked."""

    good: bool | None
    text: str
    findings: "tuple[Finding, ...]" = ()


async def _check_live(config: "LoadedConfig") -> bool:
    """Ask every tenant's systems, all at once, and show the answers tenant by tenant. Tell whether all went well."""
    from bridge.cli.asking import lanes

    well = True
    async with lanes(config) as lane_of:
        asked = {
            name: asyncio.create_task(_check_tenant(lane_of(tenant), tenant)) for name, tenant in config.tenants.items()
        }
        for name, task in asked.items():
            with progress(f"asking the systems of {name} …"):
                answers = await task
            for answer in answers:
                report(answer.good, f"{name}: {answer.text}")
                print_findings(answer.findings)
                well &= answer.good is not False
    return well


async def _check_tenant(lane: "Lane", tenant: "Tenant") -> list[_Answer]:
    source, destination = await asyncio.gather(
        _probe(lane.source, f"source {lane.source.kind}", "takes our key"),
        _check_destination(lane, tenant),
    )
    return [source, *destination]


async def _check_destination(lane: "Lane", tenant: "Tenant") -> list[_Answer]:
    if lane.managed:
        return []
    what = f"destination {lane.destination.kind}"
    login = await _probe(lane.destination, what, "lets us in")
    if not login.good:
        return [login, *(_Answer(None, f"{name}: not looked at, since nobody lets us in") for name in _names(tenant))]
    answers = [login, *[await _check_mapping(lane, tenant, schema) for schema in tenant.mappings]]
    if tenant.mappings and all(answer.good for answer in answers):
        # Only now is a table known whose rows can be asked for.
        answers.append(await _probe(lane.destination, what, "lets us read rows"))
    return answers


def _names(tenant: "Tenant") -> list[str]:
    return [f"mapping {schema} ({mapping.name})" for schema, mapping in tenant.mappings.items()]


async def _probe(side: "Source | Destination", what: str, well: str) -> _Answer:
    from connectors.outcome import OutcomeError

    try:
        await side.probe()
    except OutcomeError as error:
        return _Answer(False, f"{what}: {error} [{error.code}]")
    return _Answer(True, f"{what}: {well}")


async def _check_mapping(lane: "Lane", tenant: "Tenant", schema: str) -> _Answer:
    from connectors.outcome import OutcomeError

    mapping = tenant.mappings[schema]
    what = f"mapping {schema} ({mapping.name})"
    try:
        findings = tuple(await lane.destination.check(mapping))
    except OutcomeError as error:
        return _Answer(False, f"{what}: {error} [{error.code}]")
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        return _Answer(False, f"{what}: does not fit the target in {counted_as(errors, 'place')}", findings)
    return _Answer(True, f"{what}: fits the target", findings)
