"""``mapping test``: run the tests that stand in mapping files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.failures import FAILED, MISUSED, guarded
from bridge.cli.findings import counted_as, print_findings
from bridge.cli.terminal import complain, report, say

if TYPE_CHECKING:
    from mappings.compiled import CompiledMapping

mapping = typer.Typer(
    help="Work on mapping files.", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@mapping.callback()
def _mapping() -> None:
    """Work on mapping files."""


@mapping.command("test")
@guarded
def test(files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Mapping files.")]) -> None:
    """Run the tests inside mapping files. Exit code 1 when one fails, 2 when a file cannot be taken."""
    from mappings.load import run_tests

    passed = failed = refused = 0
    for file in files:
        compiled = _compiled(file)
        if compiled is None:
            refused += 1
            continue
        results = run_tests(compiled)
        say(f"{file}: {compiled.schema} → {compiled.destination} {compiled.table}", "strong")
        for result in results:
            report(result.passed, result.name)
            for difference in result.differences:
                say(f"    {difference}")
        if not results:
            report(None, "there is no test in this file; write some under `tests`")
        passed += sum(result.passed for result in results)
        failed += sum(not result.passed for result in results)
    if refused:
        complain(f"{counted_as(refused, 'file')} cannot be taken. Mend what is written above, then test again.")
    say(f"{counted_as(passed + failed, 'test')}: {passed} passed, {failed} failed")
    if refused:
        raise typer.Exit(MISUSED)
    if failed:
        raise typer.Exit(FAILED)


def _compiled(file: Path) -> "CompiledMapping | None":
    """Compile a file, showing what is to be said of it; None when it cannot be taken."""
    from bridge.config.files import FileReader, UnreadableError
    from mappings.findings import Finding, FindingsError
    from mappings.load import compile_mapping
    from mappings.yaml_source import decode_text

    try:
        compiled = compile_mapping(decode_text(FileReader().read(file), str(file)), str(file))
    except UnreadableError as error:
        print_findings([Finding("unreadable_file", f"The file {error.reason}.", str(file))], to_stderr=True)
        return None
    except FindingsError as error:
        print_findings(error.findings, to_stderr=True)
        return None
    print_findings(compiled.warnings, to_stderr=True)
    return compiled
