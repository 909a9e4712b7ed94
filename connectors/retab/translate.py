"""From an approved snapshot to the plain ``Document``.

A snapshot holds values and nothing else. What is known of them comes from the model's own extraction, and describes
what the model read: it says nothing any more of a value that a reviewer changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from connectors.outcome import RejectedError
from connectors.retab.models import Actor, DecisionRecord, Extraction, Review, Run
from mappings.document import Document, LineItem
from mappings.plan import Problem

DEEPEST: Final = 16
"""How many objects inside each other are taken apart; what is nested deeper stays one value."""

_ROW_ID_KEYS: Final = ("id", "line_item_id", "line_id", "row_id")
_CERTAIN: Final = Decimal(1)


class _Missing:
    """What stands where nothing does: it equals no value."""


MISSING: Final = _Missing()


class Reading:
    """What the model read before a person looked at it.

    ``seed`` is the model's own version of the snapshot, ``likelihoods`` the tree beside it; either may be unknown, and
    without a seed nothing is known of any value. ``line_items`` is the dotted name of the list of lines. With
    ``full`` every value that a person changed has the confidence 1.
    """

    def __init__(self, seed: Mapping[str, Any] | None, likelihoods: Any, line_items: str, *, full: bool) -> None:
        self.seed = dict(flat(seed, line_items)) if seed is not None else None
        self.likelihoods = dict(flat(likelihoods, line_items)) if isinstance(likelihoods, Mapping) else {}
        self.line_items = line_items
        self._full = full

    @property
    def line_likelihoods(self) -> Any:
        """What the tree says of the lines: a list with one entry for each line, if it is of any use."""
        return self.likelihoods.get(self.line_items)

    def confidence(self, value: Any, seed: Any, likelihood: Any) -> Decimal | None:
        """Return what is known of a value, given what the model read there and how sure it was."""
        if self.seed is None:
            return None
        if not same(value, seed):
            return _CERTAIN if self._full else None
        return likelihood_of(likelihood)

    def edited(self, values: Mapping[str, Any]) -> list[str] | None:
        """Return the names under which a person changed, added or removed something; None when that is not known."""
        if self.seed is None:
            return None
        names = dict.fromkeys((*values, *self.seed))
        return [name for name in names if not same(values.get(name, MISSING), self.seed.get(name, MISSING))]


def to_document(
    review: Review,
    schema: str,
    snapshot: Mapping[str, Any],
    reading: Reading,
    *,
    run: Run | None = None,
    extraction: Extraction | None = None,
) -> Document:
    """Return the document of an approved review. Raises ``RejectedError`` (``retab_bad_lines``) for unusable lines."""
    decision = review.decision
    values = dict(flat(snapshot, reading.line_items))
    seed = reading.seed or {}
    edited = reading.edited(values)
    lines = values.pop(reading.line_items, None)
    confidences = {
        name: confidence
        for name, value in values.items()
        if (confidence := reading.confidence(value, seed.get(name, MISSING), reading.likelihoods.get(name))) is not None
    }
    metadata = {**_given(run), **_origin(review, decision), **_file(run, extraction)}
    if edited is not None:
        metadata["edited_fields"] = edited
    return Document(
        id=review.id,
        schema=schema,
        status=review.status,
        external_id=_external_id(run),
        updated_at=decision.created_at if decision is not None else None,
        metadata=metadata,
        fields=values,
        confidences=confidences,
        line_items=_rows(lines, seed.get(reading.line_items), reading),
    )


def undecided(review: Review, schema: str) -> Document:
    """Return what there is of a review that is not approved: its status, and nothing to deliver."""
    return Document(id=review.id, schema=schema, status=review.status, metadata=_origin(review, None))


def unwrapped(snapshot: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the extracted object itself, should it come inside ``{"output": …}`` as in older answers."""
    inner = snapshot.get("output")
    return inner if len(snapshot) == 1 and isinstance(inner, dict) else snapshot


def flat(
    tree: Mapping[str, Any], whole: str | None = None, *, prefix: str = "", depth: int = 1
) -> Iterator[tuple[str, Any]]:
    """Yield every value of nested objects under its dotted name. Lists are values, and so is what ``whole`` names."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < DEEPEST and name != whole:
            yield from flat(value, whole, prefix=f"{name}.", depth=depth + 1)
        else:
            yield name, value


def same(value: Any, other: Any) -> bool:
    """Tell whether two values are alike; a truth value is no number."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def likelihood_of(raw: Any) -> Decimal | None:
    """Return a likelihood as it came, when it is a number from 0 to 1."""
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        return None
    number = Decimal(raw)
    return number if number.is_finite() and 0 <= number <= 1 else None


def _rows(raw: Any, seed: Any, reading: Reading) -> tuple[LineItem, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
        message = "The line items are not a list of objects. Set source.line_items to the name of the list of rows."
        raise RejectedError((Problem("line_items", None, "retab_bad_lines", message),))
    before = _beside(seed, raw)
    likelihoods = _beside(reading.line_likelihoods, raw)
    return tuple(
        _row(
            row,
            place,
            before[place - 1] if before is not None else None,
            likelihoods[place - 1] if likelihoods is not None else {},
            reading,
        )
        for place, row in enumerate(raw, 1)
    )


def _beside(rows: Any, ours: Sequence[Any]) -> list[dict[str, Any]] | None:
    """Return rows that stand beside ours one by one; None when they do not, for some were added or removed."""
    if not isinstance(rows, list) or len(rows) != len(ours):
        return None
    return [dict(flat(row)) if isinstance(row, dict) else {} for row in rows]


def _row(
    raw: dict[str, Any],
    place: int,
    seed: Mapping[str, Any] | None,
    likelihoods: Mapping[str, Any],
    reading: Reading,
) -> LineItem:
    """Read one line. It is known by its own id, or by its place when it has none: an approved snapshot never moves."""
    values = dict(flat(raw))
    confidences: dict[str, Decimal] = {}
    if seed is not None:
        for name, value in values.items():
            confidence = reading.confidence(value, seed.get(name, MISSING), likelihoods.get(name))
            if confidence is not None:
                confidences[name] = confidence
    values["id"] = next((own for name in _ROW_ID_KEYS if (own := _own_id(values.get(name))) is not None), str(place))
    return LineItem(values, confidences)


def _own_id(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _origin(review: Review, decision: DecisionRecord | None) -> dict[str, Any]:
    """Return where a document comes from and who decided, as far as Retab says."""
    found: dict[str, Any] = {
        "review_id": review.id,
        "workflow_id": review.workflow_id,
        "workflow_version_id": review.workflow_version_id,
        "run_id": review.run_id,
        "block_id": review.block_id,
        "step_id": review.step_id,
        "iteration_key": review.iteration_key,
    }
    if decision is not None:
        author = decision.author or Actor()
        found |= {
            "version_id": decision.version_id,
            "decided_at": decision.created_at,
            "decided_by": author.display_name or author.id,
            "decided_by_id": author.id,
            "decided_by_kind": author.kind,
            "reason": decision.reason,
        }
    return {name: value for name, value in found.items() if value is not None}


def _given(run: Run | None) -> Mapping[str, Any]:
    """Return what the caller of the run gave along."""
    return run.metadata if run is not None and isinstance(run.metadata, dict) else {}


def _external_id(run: Run | None) -> str | None:
    named = _given(run).get("external_id")
    return named if isinstance(named, str) and named else None


def _file(run: Run | None, extraction: Extraction | None) -> dict[str, Any]:
    """Return which file was read: the extraction's, else the only one that the run was given."""
    file = extraction.file if extraction is not None else None
    if not isinstance(file, dict) and run is not None and isinstance(run.inputs, dict):
        documents = run.inputs.get("documents")
        if isinstance(documents, dict) and len(documents) == 1:
            file = next(iter(documents.values()))
    if not isinstance(file, dict):
        return {}
    found = {"file_id": file.get("id"), "file_name": file.get("filename")}
    return {name: value for name, value in found.items() if isinstance(value, str)}
