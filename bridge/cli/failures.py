"""How a command ends when something is wrong: with one clear sentence and an exit code.

What can be foreseen never ends in a traceback.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

FAILED = 1
"""Exit code: something failed while running."""

MISUSED = 2
"""Exit code: wrong usage or configuration."""

INTERRUPTED = 130
"""Exit code: ended by Ctrl-C."""

P = ParamSpec("P")


class CommandError(Exception):
    """Ends a command with a sentence that says what to do, and with this exit code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command's foreseeable errors end the process the way the command line promises."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # whoever read the output has gone; click ends quietly
        except Exception as error:
            exit_code = _explained(error)
            if exit_code is None:
                raise
            raise typer.Exit(exit_code) from None

    return run


def _explained(error: Exception) -> int | None:
    """Tell a person what is wrong, on stderr; return the exit code, None for what nobody foresaw."""
    from bridge.actions.asked import ActionError
    from bridge.cli.findings import print_findings, summary
    from bridge.cli.terminal import complain
    from bridge.ledger.protocol import LedgerError, LedgerStoreError
    from bridge.wiring import NotAvailableError
    from connectors.outcome import OutcomeError
    from mappings.findings import FindingsError

    match error:
        case FindingsError(findings=findings):
            print_findings(findings, to_stderr=True)
            complain(summary(findings))
            return MISUSED
        case CommandError(exit_code=exit_code):
            complain(str(error))
            return exit_code
        case LedgerStoreError() | NotAvailableError():
            complain(str(error))
            return MISUSED
        case ActionError(code=code) | LedgerError(code=code) | OutcomeError(code=code):
            complain(f"{error} [{code}]")
            return FAILED
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            complain(f"{place}{error.strerror or error}.")
            return FAILED
        case _:
            return None
