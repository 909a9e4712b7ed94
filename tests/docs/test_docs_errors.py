"""docs/errors.md: made from the tables of codes, and the tables hold exactly the codes that the source gives."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.config.codes import FINDING_CODES as CONFIG_FINDINGS
from bridge.delivery.codes import PIPELINE_CODES
from bridge.errors_reference import OUTCOMES, reference, vendor_codes
from bridge.http.codes import CODES as HTTP_CODES
from bridge.ledger import protocol
from bridge.ledger.codes import LEDGER_CODES
from bridge.remedies import DOCUMENT_REMEDIES, REQUEST_REMEDIES
from connectors.codes import HOOK_CODES, OUTCOME_CODES
from connectors.outcome import OutcomeError
from mappings.codes import FINDING_CODES as MAPPING_FINDINGS
from mappings.codes import PROBLEM_CODES, SKIP_CODES

ROOT = Path(__file__).parents[2]
VENDORS = dict(vendor_codes())

CODE_AT = {
    **{f"{name}Error": 0 for name in ("Transient", "Throttled", "UnknownOutcome", "Blocked", "Conflict", "Skipped")},
    "ActionConflictError": 0,
    "ActionRefusedError": 0,
    "HookRefusedError": 0,
    "CursorRefusedError": 0,
    "OutboxAbsentError": 0,
    "DoesNotFitError": 0,
    "kind": 0,
    "_rejected": 1,
    "Problem": 2,
    "finding": 1,
    "Finding": 0,
    "_add": 0,
    "_fail": 0,
    "_miss": 1,
    "DeliveryError": 0,
    "withdrawn": 1,
}
"""Where the code stands among the arguments of whatever is called with one."""


def every_outcome_class() -> set[type[OutcomeError]]:
    found: set[type[OutcomeError]] = set()
    left = list(OutcomeError.__subclasses__())
    while left:
        found.add(one := left.pop())
        left += one.__subclasses__()
    return found


def product_files(folder: str, *but: str) -> list[Path]:
    return [
        path
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "sandbox" not in path.parts and not {path.stem, *path.parts} & {"codes", *but}
    ]


def constants(tree: ast.Module) -> dict[str, str]:
    """Return the module's names for texts: ``MAPPING_MISMATCH = "mapping_mismatch"``."""
    return {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def texts_of(node: ast.expr, names: dict[str, str]) -> Iterator[str]:
    """Yield every text that an argument may stand for."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
        elif isinstance(part, ast.Name) and part.id in names:
            yield names[part.id]


def codes_in(files: list[Path]) -> dict[str, set[str]]:
    """Return the codes that these files give, each with what it is given to: an exception's or a function's name."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = constants(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            at = CODE_AT.get(name)
            if at is None or len(node.args) <= at or isinstance(node.args[at], ast.Starred):
                continue
            for text in texts_of(node.args[at], names):
                if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", text):
                    found[text].add(name)
    return found


def returned_faults(path: str) -> set[str]:
    """Return the codes that a file hands on as ``(code, sentence)`` or in a table from the server's code to ours."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            first = node.value.elts[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
        if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "_ABOUT_THE_DATA" for one in node.targets):
            assert isinstance(node.value, ast.Dict)
            found |= {one.value for one in node.value.values if isinstance(one, ast.Constant)}  # type: ignore[misc]
    return found


GIVEN_TO_FILES = {"finding", "Finding", "_add", "_fail", "_miss"}
NO_OUTCOMES = GIVEN_TO_FILES | {"HookRefusedError"}


def outcomes(found: dict[str, set[str]]) -> dict[str, set[str]]:
    return {code: names - NO_OUTCOMES for code, names in found.items() if names - NO_OUTCOMES}


def test_the_page_is_current() -> None:
    """``python -m bridge.errors_reference > docs/errors.md`` brings it up to date."""
    assert (ROOT / "docs/errors.md").read_text(encoding="utf-8") == reference()


def test_every_code_of_the_page_stands_in_it_once_for_each_section() -> None:
    sections = re.split(r"^##+ ", reference(), flags=re.MULTILINE)
    for section in sections:
        codes = re.findall(r"^\| `([a-z0-9_]+)` \|", section, re.MULTILINE)
        assert len(codes) == len(set(codes)), section.splitlines()[0]


def test_every_outcome_is_explained() -> None:
    assert set(OUTCOMES) >= every_outcome_class() - {OutcomeError}
    named = {cell for line in reference().splitlines() if line.startswith("| `") for cell in [line.split(" | ")[1]]}
    table = set(re.findall(r"^\| ([a-z ]+) \|", reference().split("### ")[0], re.MULTILINE))
    assert {part for cell in named for part in cell.split(" or ") if part in OUTCOMES.values()} <= table
    assert {one.outcome for one in PIPELINE_CODES.values()} <= table


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_the_codes_of_an_outside_system_are_those_that_its_connector_gives(vendor: str) -> None:
    """Nothing is given that is not explained, and nothing explained that is never given."""
    found = codes_in(product_files(f"connectors/{vendor}"))
    given = set(outcomes(found))
    if vendor == "dataverse":
        given |= returned_faults("connectors/dataverse/metadata.py")
        given |= returned_faults("connectors/dataverse/refusals.py")
    explained = VENDORS[vendor].OUTCOME_CODES
    assert given - explained.keys() - OUTCOME_CODES.keys() == set()
    assert explained.keys() - given == set()


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_the_outcomes_of_a_code_are_those_that_it_is_raised_with(vendor: str) -> None:
    explained = {**OUTCOME_CODES, **VENDORS[vendor].OUTCOME_CODES}
    for code, names in codes_in(product_files(f"connectors/{vendor}")).items():
        raised = {name for name in names if name in {one.__name__ for one in every_outcome_class()}}
        raised |= {"RejectedError"} if names & {"Problem", "_rejected", "DoesNotFitError"} else set()
        if raised:
            assert raised <= {one.__name__ for one in explained[code].outcomes}, code


def test_the_shared_codes_are_those_of_what_connectors_share() -> None:
    shared = [path for path in (ROOT / "connectors").glob("*.py") if path.stem != "codes"]
    given = outcomes(codes_in(shared))
    assert set(given) == OUTCOME_CODES.keys()
    assert all(set(one.outcomes) <= every_outcome_class() for one in OUTCOME_CODES.values())


def test_the_codes_of_calls_that_are_not_taken_are_those_that_are_given() -> None:
    found = codes_in(product_files("connectors"))
    assert {code for code, names in found.items() if "HookRefusedError" in names} == HOOK_CODES.keys()


def test_the_findings_about_a_target_are_those_that_its_check_gives() -> None:
    module = VENDORS["dataverse"]
    found = codes_in(product_files("connectors/dataverse"))
    given = {code for code, names in found.items() if "finding" in names}
    given |= returned_faults("connectors/dataverse/metadata.py")
    given |= {code for code, names in found.items() if "DoesNotFitError" in names}  # a constant may not fit
    given.add("lines_relationship")  # handed on from the outcome of the same name
    assert given == module.FINDING_CODES.keys()


def test_the_codes_of_the_pipeline_are_those_that_it_gives() -> None:
    files = [*product_files("bridge/pipeline"), *product_files("bridge/delivery")]
    given = set(outcomes(codes_in(files))) | returned_faults("bridge/pipeline/lane.py")
    assert given == PIPELINE_CODES.keys()


def test_the_ledgers_codes_are_those_of_its_errors() -> None:
    errors = {
        value.code
        for value in vars(protocol).values()
        if isinstance(value, type) and issubclass(value, protocol.LedgerError)
    }
    assert LEDGER_CODES.keys() == errors | {"ledger_slow"}
    assert '"ledger_slow"' in (ROOT / "bridge/http/readiness.py").read_text(encoding="utf-8")


def test_every_finding_of_a_file_is_explained() -> None:
    found: dict[str, set[str]] = {}
    for folder in ("bridge/config", "bridge/cli", "mappings"):
        for code, names in codes_in(product_files(folder)).items():
            if names & GIVEN_TO_FILES:
                found.setdefault(code, set()).update(names)
    assert found.keys() - CONFIG_FINDINGS.keys() - MAPPING_FINDINGS.keys() == set()


def test_every_code_has_a_remedy() -> None:
    assert DOCUMENT_REMEDIES.keys() == PROBLEM_CODES.keys() | SKIP_CODES.keys()
    assert REQUEST_REMEDIES.keys() == HTTP_CODES.keys()
    every = [*OUTCOME_CODES.values(), *(one for module in VENDORS.values() for one in module.OUTCOME_CODES.values())]
    for one in [*every, *PIPELINE_CODES.values()]:
        assert one.meaning.endswith("."), one
        assert one.remedy.endswith("."), one
    assert all(remedy.endswith(".") for remedy in (*DOCUMENT_REMEDIES.values(), *REQUEST_REMEDIES.values()))


def test_no_code_stands_in_two_tables_of_deliveries() -> None:
    """A code means one thing, whichever connector it came through; one limit of the target shares the mapping's."""
    owners: dict[str, list[str]] = defaultdict(list)
    tables = {"mapping": PROBLEM_CODES, "skip": SKIP_CODES, "bridge": PIPELINE_CODES, "shared": OUTCOME_CODES}
    tables |= {name: module.OUTCOME_CODES for name, module in VENDORS.items()}
    for name, table in tables.items():
        for code in table:
            owners[code].append(name)
    assert {code for code, names in owners.items() if len(names) > 1} == {"too_many_decimals"}
