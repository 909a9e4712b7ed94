"""The mapping files that tenants name: found, compiled and tested once, however many tenants use them."""

import re
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from bridge.config.files import FileReader, UnreadableError, shown
from bridge.config.loaded import CompiledFile
from mappings.findings import Finding, FindingsError
from mappings.load import compile_mapping, run_tests
from mappings.yaml_source import decode_text

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*\.ya?ml")

_SHIPPED = "mappings/library/"


def is_shipped(file: str) -> bool:
    """Tell whether a mapping's file, as findings show it, is one of the shipped library."""
    return file.startswith(_SHIPPED)


class MappingFiles:
    """Finds mapping files: first in a configuration's own folder, then in the shipped library."""

    def __init__(
        self,
        folder: Path,
        reader: FileReader,
        compiled: Mapping[tuple[str, str], CompiledFile],
    ) -> None:
        self._folder = folder
        self._reader = reader
        own = reader.yaml_files(folder)
        self.folder_is_gone = own is None
        self._own = {path.name for path in own or ()}
        self._library = files("mappings") / "library"
        self._before = compiled
        self._results: dict[str, CompiledFile] = {}
        self.compiled: dict[tuple[str, str], CompiledFile] = {}

    @property
    def names(self) -> set[str]:
        """The names of all files that can be found."""
        shipped = {entry.name for entry in self._library.iterdir() if FILE_NAME.fullmatch(entry.name)}
        return self._own | shipped

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found in the files that were asked for."""
        return tuple(finding for result in self._results.values() for finding in result.findings)

    def look_at_own(self) -> None:
        """Ask for every file of the configuration's own folder, whoever names it."""
        for name in sorted(self._own):
            self.get(name)

    def get(self, name: str) -> CompiledFile | None:
        """Return a compiled file; None when there is no file of this name."""
        if name in self._results:
            return self._results[name]
        try:
            if name in self._own:
                file, data = shown(self._folder / name), self._reader.read(self._folder / name)
            else:
                shipped = self._library / name
                if not FILE_NAME.fullmatch(name) or not shipped.is_file():
                    return None
                file, data = f"{_SHIPPED}{name}", shipped.read_bytes()
        except UnreadableError as error:
            finding = Finding("unreadable_file", f"The file {error.reason}.", shown(self._folder / name))
            result = CompiledFile(None, (finding,))
        else:
            key = (file, sha256(data).hexdigest())
            result = self._before.get(key) or _compile(data, file)
            self.compiled[key] = result
        self._results[name] = result
        return result


def _compile(data: bytes, file: str) -> CompiledFile:
    try:
        mapping = compile_mapping(decode_text(data, file), file)
    except FindingsError as error:
        return CompiledFile(None, error.findings)
    failed = tuple(
        mapping.source.finding(
            ("tests", index, "name"),
            "mapping_test_failed",
            f"The test {result.name!r} fails: {'; '.join(result.differences)}. Mend the mapping, or the test.",
        )
        for index, result in enumerate(run_tests(mapping))
        if not result.passed
    )
    return CompiledFile(None if failed else mapping, (*mapping.warnings, *failed))
