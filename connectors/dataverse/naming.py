"""From Dataverse's column names back to the reviewer's field names."""

import re
from collections.abc import Callable

from connectors.dataverse.prepared import PreparedLine, PreparedRow

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def line_field(source: str | None, line: str) -> str | None:
    """Return a line's field, ``line_items.amount``, with the line's own id in it: ``line_items[li_1].amount``."""
    if source is None:
        return None
    prefix, dot, _ = source.partition(".")
    return source.replace(f"{prefix}.", f"{prefix}[{line}].") if dot else f"{source}[{line}]"


def namer(prepared: PreparedRow, line: PreparedLine | None = None) -> Callable[[str], tuple[str | None, str | None]]:
    """Return a function that finds in a message of the server the field and the column that it speaks of.

    With ``line`` the message is about that line; without, about the row or any of its lines.
    """

    def find(message: str) -> tuple[str | None, str | None]:
        words = {word.lower() for word in _WORD.findall(message)}
        if line is None:
            for column in prepared.columns:
                if column.lower() in words:
                    return prepared.sources.get(column), column
            for binding in prepared.bindings:
                if words & {binding.navigation.lower(), binding.attribute.lower()}:
                    return prepared.sources.get(binding.navigation), binding.navigation
        if prepared.lines is not None:
            rows = prepared.lines.rows if line is None else (line,)
            for column in rows[0].columns if rows else ():
                if column.lower() in words:
                    source = prepared.sources.get(f"{prepared.lines.table.name}.{column}")
                    return line_field(source, line.key) if line is not None else source, column
        return None, None

    return find
