"""The text of ``docs/errors.md``, made from the tables of codes: ``python -m bridge.errors_reference``."""

import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

import connectors
from bridge.config.codes import FINDING_CODES as CONFIG_FINDINGS
from bridge.delivery.codes import PIPELINE_CODES
from bridge.events.codes import MESSAGE_CODES
from bridge.http.codes import CODES as HTTP_CODES
from bridge.http.codes import ERROR_ENTRIES
from bridge.ledger.codes import LEDGER_CODES
from bridge.remedies import DOCUMENT_REMEDIES, REQUEST_REMEDIES
from connectors.capabilities import ActionConflictError, ActionRefusedError
from connectors.codes import HOOK_CODES, OUTCOME_CODES, OutcomeCode
from connectors.outcome import (
    BlockedError,
    ConflictError,
    CursorRefusedError,
    OutboxAbsentError,
    OutcomeError,
    RejectedError,
    SkippedError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from mappings.codes import FINDING_CODES as MAPPING_FINDINGS
from mappings.codes import PROBLEM_CODES, SKIP_CODES

OUTCOMES: Final[Mapping[type[OutcomeError], str]] = {
    TransientError: "retry",
    ThrottledError: "throttled",
    UnknownOutcomeError: "unknown",
    RejectedError: "rejected",
    SkippedError: "skipped",
    BlockedError: "blocked",
    ConflictError: "conflict",
    CursorRefusedError: "poll goes on",
    OutboxAbsentError: "poll fails",
    ActionConflictError: "changed since",
    ActionRefusedError: "not done",
}
"""The name of each outcome, as the tables show it."""

_INTRODUCTION: Final = """\
# Error codes

A code is stable: the same one stands in the API, in the log, on the command line, in the metrics and in what Numora
is told, and it does not change its meaning from version to version. Branch on codes, show messages: a message says
what happened in this one case and what to do next, and its wording may change.

Where to look: `error.code` and `problems[].code` of a delivery, `code` of an attempt and `reason.code` of the API are
[codes of deliveries](#deliveries); `code` of an answer is [the HTTP API's](#the-http-api); a code in brackets behind
file, line and column is [a finding](#configuration-and-mapping-files); a code in the parts of `/readyz` is one of a
delivery's or [of the ledger's](#the-ledger).

## Deliveries

The outcome says what follows by itself:
"""

_FOLLOWS: Final[Mapping[str, str]] = {
    "retry": "It had no effect. It is tried again by `retry.schedule`; after the last try the delivery has `failed`, "
    "and Numora is told.",
    "throttled": "Everything that shares the login or key waits. The attempt is not counted.",
    "unknown": "A write was sent and its effect is not known. The destination is read before anything is sent again; "
    "otherwise as *retry*.",
    "rejected": "The delivery has `failed`, and Numora is told every problem by its field. It is looked at again when "
    "the document or the mapping changes, or when a person asks.",
    "skipped": "The delivery is `skipped` by the mapping's own policy, and Numora is told.",
    "blocked": "The delivery waits in the queue, and nothing is reported. That side of the tenant is paused, and tried "
    "again every `blocked.probe`.",
    "conflict": "The delivery is `parked` for a person, with both bodies in its `error`.",
    "parked": "The delivery is `parked` for a person.",
    "superseded": "The delivery ends without a report: the document has moved on.",
    "poll goes on": "Nothing is lost: the outbox is read from the start of its window.",
    "poll fails": "The tenant is not healthy, and is polled again at its interval.",
    "changed since": "What a person asked for was not done, since the document is another one by now. The API answers "
    "409 with the document as it is.",
    "not done": "What a person asked for was not done, and the API answers with the reason.",
}

_FILES: Final = """\
## Configuration and mapping files

Each finding has file, line, column and key, and its message says what to write instead. An error keeps the file from
being taken; a warning does not. A mapping's findings at the target come from `numora-bridge check` and at the start.
"""


def reference() -> str:
    """Return the whole document."""
    return "\n".join([*_deliveries(), *_ledger(), *_messages(), *_api(), *_files()])


def vendor_codes() -> Iterator[tuple[str, ModuleType]]:
    """Yield the outside systems that have codes of their own, each with its module ``codes``."""
    for found in pkgutil.iter_modules(connectors.__path__):
        name = f"connectors.{found.name}.codes"
        if found.ispkg and find_spec(name) is not None:
            yield found.name, import_module(name)


def _deliveries() -> Iterator[str]:
    yield _INTRODUCTION
    yield "| outcome | what follows |"
    yield "|---|---|"
    yield from (f"| {outcome} | {follows} |" for outcome, follows in _FOLLOWS.items())
    yield ""
    yield "### What is wrong with the document"
    yield ""
    yield "Told by the mapping, before anything is sent."
    yield ""
    documents = {code: ("rejected", meaning) for code, meaning in PROBLEM_CODES.items()}
    documents |= {code: ("skipped", meaning) for code, meaning in SKIP_CODES.items()}
    yield from _table(
        ("code", "outcome", "meaning", "what to do"),
        ((code, outcome, meaning, DOCUMENT_REMEDIES[code]) for code, (outcome, meaning) in documents.items()),
    )
    yield "### The bridge itself"
    yield ""
    yield from _table(
        ("code", "outcome", "meaning", "what to do"),
        ((code, one.outcome, one.meaning, one.remedy) for code, one in PIPELINE_CODES.items()),
    )
    yield "### Any outside system"
    yield ""
    yield from _outcomes(OUTCOME_CODES)
    for name, module in vendor_codes():
        yield f"### {name.capitalize()}"
        yield ""
        yield from _outcomes(module.OUTCOME_CODES)


def _outcomes(codes: Mapping[str, OutcomeCode]) -> Iterator[str]:
    return _table(
        ("code", "outcome", "meaning", "what to do"),
        (
            (code, " or ".join(OUTCOMES[outcome] for outcome in one.outcomes), one.meaning, one.remedy)
            for code, one in codes.items()
        ),
    )


def _ledger() -> Iterator[str]:
    yield "## The ledger"
    yield ""
    yield "Told by commands, in the log and in `/readyz`. While the ledger cannot be written nothing is sent anywhere."
    yield ""
    yield from _table(
        ("code", "meaning", "what to do"),
        ((code, meaning, remedy) for code, (meaning, remedy) in LEDGER_CODES.items()),
    )


def _messages() -> Iterator[str]:
    yield "## Messages to subscribers"
    yield ""
    yield "Why a message did not get through, in the log and with its subscription. See [events.md](events.md)."
    yield ""
    yield from _table(
        ("code", "meaning", "what to do"),
        ((code, meaning, remedy) for code, (meaning, remedy) in MESSAGE_CODES.items()),
    )


def _api() -> Iterator[str]:
    yield "## The HTTP API"
    yield ""
    yield "Every error is `application/problem+json`, and its `detail` says what to do next. See [api.md](api.md)."
    yield ""
    yield from _table(
        ("code", "status", "meaning", "what to do"),
        (
            (code.name, str(code.status), f"{code.meaning}.", REQUEST_REMEDIES[code.name])
            for code in HTTP_CODES.values()
        ),
    )
    yield "An entry of `errors` is about one key of the body or one parameter of the query:"
    yield ""
    yield from _table(("code", "meaning"), ((code, f"{meaning}.") for code, meaning in ERROR_ENTRIES.items()))
    yield "### Calls to `/hooks`"
    yield ""
    yield "The `reason.code` of a call that is not taken."
    yield ""
    yield from _table(
        ("code", "meaning", "what to do"),
        ((code, meaning, remedy) for code, (meaning, remedy) in HOOK_CODES.items()),
    )


def _files() -> Iterator[str]:
    yield _FILES
    yield "### Any file"
    yield ""
    yield from _table(("code", "meaning"), CONFIG_FINDINGS.items())
    yield "### A mapping file"
    yield ""
    yield from _table(("code", "meaning"), MAPPING_FINDINGS.items())
    for name, module in vendor_codes():
        findings: Mapping[str, Any] = getattr(module, "FINDING_CODES", {})
        if findings:
            yield f"### A mapping file held against {name.capitalize()}"
            yield ""
            yield from _table(("code", "meaning"), findings.items())


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table sorted by its first column, a code."""
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for code, *cells in sorted(map(tuple, rows)):
        escaped = [cell.replace("|", "\\|") for cell in cells]
        yield f"| `{code}` | {' | '.join(escaped)} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(reference())
