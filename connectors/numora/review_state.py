"""What a reviewer confirmed, in the one form that Numora documents: null, or version 1 with two lists."""

from collections.abc import Mapping
from typing import Any, Final

from connectors.capabilities import ActionRefusedError

_VERSION: Final = 1
_LISTS: Final = ("confirmed_general_field_names", "confirmed_line_item_ids")


def normalised(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a review state as Numora wants it; both lists empty is the same as none.

    Raises ``ActionRefusedError`` (422) for one that is not of this form, before anything is sent.
    """
    if given is None:
        return None
    if given.get("version", _VERSION) != _VERSION or given.keys() - {"version", *_LISTS}:
        raise _malformed()
    lists = {name: given.get(name) or [] for name in _LISTS}
    for names in lists.values():
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise _malformed()
    if not any(lists.values()):
        return None
    return {"version": _VERSION, **{name: list(names) for name, names in lists.items()}}


def same_confirmations(sent: Mapping[str, Any] | None, found: object) -> bool:
    """Tell whether a document's review state confirms what was sent, in whatever order and form it is told."""
    shown = found if isinstance(found, Mapping) else {}
    return all(_as_set((sent or {}).get(name)) == _as_set(shown.get(name)) for name in _LISTS)


def _as_set(names: object) -> frozenset[str]:
    return frozenset(map(str, names)) if isinstance(names, list | tuple) else frozenset()


def _malformed() -> ActionRefusedError:
    return ActionRefusedError(
        "numora_refused_action",
        "A review_state is null, or has version 1 and the lists confirmed_general_field_names and "
        "confirmed_line_item_ids, both of texts. Nothing was sent to Numora.",
        status=422,
    )
