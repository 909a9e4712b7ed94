"""``${NAME}`` and ``${file:/run/secrets/x}``: text of a file that stands elsewhere."""

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from bridge.config.files import FileReader, UnreadableError
from mappings.findings import Finding
from mappings.yaml_source import Path, YamlSource

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Interpolation:
    """Fills in one file's references.

    ``findings`` says what is missing; ``broken`` holds the paths of those values, which keep their text as it stands.
    """

    def __init__(self, source: YamlSource, folder: FilePath, environ: Mapping[str, str], reader: FileReader) -> None:
        self.findings: list[Finding] = []
        self.broken: set[Path] = set()
        self._source = source
        self._folder = folder
        self._environ = environ
        self._reader = reader
        self.value: Any = self._fill(source.value, ())

    def _fill(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self._fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return self._text(value, path)
        return value

    def _text(self, text: str, path: Path) -> str:
        before = len(self.findings)
        # One pass: what comes out of a secret is never looked at for references again.
        filled = _REFERENCE.sub(lambda found: self._reference(found, path), text)
        if len(self.findings) > before:
            self.broken.add(path)
            return text
        return filled

    def _reference(self, found: re.Match[str], path: Path) -> str:
        if found[0] == "$${":
            return "${"
        name = found[1]
        if name is None:
            return self._miss(
                path, "bad_reference", "`${` has no `}`. Close it, or write `$${` for the characters themselves."
            )
        if name.startswith("file:"):
            return self._file(name.removeprefix("file:"), path)
        if not _NAME.fullmatch(name):
            message = (
                f"`${{{name}}}` is neither ${{NAME}} nor ${{file:PATH}}. Write `$${{` for the characters themselves."
            )
            return self._miss(path, "bad_reference", message)
        value = self._environ.get(name)
        if value is None:
            return self._miss(
                path, "missing_secret", f"The environment variable {name} is not set. Set it, or name another."
            )
        if not value:
            return self._miss(path, "missing_secret", f"The environment variable {name} is empty. Give it a value.")
        return value

    def _file(self, name: str, path: Path) -> str:
        try:
            text = self._reader.read_secret(self._folder / name)
        except UnreadableError as error:
            return self._miss(path, "missing_secret", f"The file {name} {error.reason}.")
        if not text:
            return self._miss(path, "missing_secret", f"The file {name} is empty. Write the value into it.")
        return text

    def _miss(self, path: Path, code: str, message: str) -> str:
        self.findings.append(self._source.finding(path, code, message))
        return ""
