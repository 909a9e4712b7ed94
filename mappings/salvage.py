"""What is left of a file once what does not fit its model is taken out, so that the rest is checked as well."""

from collections.abc import Hashable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from mappings.yaml_findings import Misfit, Path, as_meant, misfits_of

ModelT = TypeVar("ModelT", bound=BaseModel)

_STAND_INS: Final[Mapping[Hashable, Any]] = {
    "columns": {},
    "match": {},
    "or_match": {},
    "expect": {},
    "then": "strip",
    "url": "https://any.invalid",
    "base_url": "https://any.invalid",
}
_ANY: Final = "any"
_ROUNDS: Final = 16


@dataclass(frozen=True, slots=True)
class Salvage(Generic[ModelT]):
    """What can be used of a file.

    ``gaps`` are the paths of what was taken out, or has something else in its place: what is found there is no fault of
    the file. ``strays`` are the paths of the parts, below the top, in which a key stood that is not known.
    """

    model: ModelT
    gaps: frozenset[Path] = frozenset()
    strays: frozenset[Path] = frozenset()


def salvage(
    model: type[ModelT],
    value: Any,
    *,
    stand_ins: Mapping[Hashable, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Salvage[ModelT] | None:
    """Return a model of the sound parts of a file's value, None when there are none.

    A value that does not fit is left out where it may be; otherwise something stands in for it that fits, by its key
    in ``stand_ins``. ``context`` is handed to the model's validators.
    """
    left = deepcopy(value)
    known = {**_STAND_INS, **(stand_ins or {})}
    gaps: set[Path] = set()
    strays: set[Path] = set()
    for _ in range(_ROUNDS):
        try:
            return Salvage(model.model_validate(left, context=context), frozenset(gaps), frozenset(strays))
        except ValidationError as error:
            meant = as_meant(model, error, left)
            misfits = misfits_of(model, error)
        if meant is not None:
            left = meant
            continue
        for misfit in sorted(misfits, key=lambda misfit: -len(misfit.path)):
            path = _mend(left, misfit, known, gaps)
            if not path:
                return None
            gaps.add(path)
            if misfit.is_stray and len(path) > 1:
                strays.add(path[:-1])
    return None


def _mend(left: Any, misfit: Misfit, stand_ins: Mapping[Hashable, Any], gaps: set[Path]) -> Path:
    """Take out one value, or put another in its place; what stands around it when that was tried before.

    Returns the path of what was changed.
    """
    path, needed = misfit.path, misfit.is_needed
    while path:
        holder, key = _at(left, path[:-1]), path[-1]
        if path not in gaps and isinstance(holder, dict):
            if misfit.meant is not None and path == misfit.path:
                holder[key] = misfit.meant
            elif needed:
                holder[key] = deepcopy(stand_ins.get(key, _ANY))
            else:
                holder.pop(key, None)
            return path
        if path not in gaps and isinstance(holder, list) and isinstance(key, int) and key < len(holder):
            holder[key] = deepcopy(stand_ins.get(path[-2], _ANY))
            return path
        path = path[:-1]
        needed = bool(path) and path[-1] in stand_ins
    return path


def _at(value: Any, path: Path) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value
