"""Reading the files of a configuration, and knowing afterwards whether any of them has changed."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from mappings.yaml_source import MAX_CHARACTERS

MAX_SECRET_BYTES = 65_536

Stamp = tuple[int, int, int] | tuple[str, ...] | None
"""What a file looked like: modification time (ns), size, inode; or a folder: its names. None when it was not there."""


class UnreadableError(Exception):
    """A file cannot be read; ``reason`` says why, to be put behind the file's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FileReader:
    """Reads files and folders, and notes what each looked like when it was read."""

    def __init__(self) -> None:
        self.stamps: dict[Path, Stamp] = {}

    def read(self, path: Path) -> bytes:
        """Return a file's bytes. Raises ``UnreadableError``; also for a file that no configuration is as large as."""
        return self._read(path, MAX_CHARACTERS * 4)

    def read_secret(self, path: Path) -> str:
        """Return a secret's text without the line break at its end. Raises ``UnreadableError``."""
        try:
            text = self._read(path, MAX_SECRET_BYTES).decode("utf-8")
        except UnicodeDecodeError:
            raise UnreadableError("is not UTF-8 text") from None
        return text.removesuffix("\n").removesuffix("\r")

    def yaml_files(self, folder: Path) -> tuple[Path, ...] | None:
        """Return the YAML files of a folder by name; None when there is no such folder."""
        names = yaml_names(folder)
        self.stamps[folder] = names
        return None if names is None else tuple(folder / name for name in names)

    def _read(self, path: Path, limit: int) -> bytes:
        if "\0" in str(path):
            raise UnreadableError("has a name that cannot be")
        self.stamps[path] = None
        try:
            # A pipe or a device would keep us waiting: only what is a file is read.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise UnreadableError(_reason(error)) from None
        try:
            status = os.fstat(descriptor)
            self.stamps[path] = _stamp(status)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError("is not a file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise UnreadableError(_reason(error)) from None
        finally:
            os.close(descriptor)
        if len(data) > limit:
            raise UnreadableError(f"has more than {limit} bytes")
        return data


def shown(path: Path) -> str:
    """Return a path as findings show it; a name that is not UTF-8 is made printable."""
    return os.fsencode(path).decode("utf-8", "replace")


def stamp(path: Path, before: Stamp) -> Stamp:
    """Return what a file or folder looks like now; ``before`` tells as which of the two it was read."""
    if isinstance(before, tuple) and (not before or isinstance(before[0], str)):
        return yaml_names(path)
    try:
        status = os.stat(path)  # noqa: PTH116 (a third of the time, every few seconds, for every file)
    except (OSError, ValueError):
        return None
    return yaml_names(path) if stat.S_ISDIR(status.st_mode) else _stamp(status)


def stamps(before: Mapping[Path, Stamp]) -> dict[Path, Stamp]:
    """Return what all of these look like now."""
    return {path: stamp(path, known) for path, known in before.items()}


def yaml_names(folder: Path) -> tuple[str, ...] | None:
    """Return the names of a folder's YAML files, sorted; None when there is no such folder."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 (names are all that is wanted)
    except (OSError, ValueError):
        return None
    return tuple(sorted(name for name in names if name.endswith((".yaml", ".yml")) and not name.startswith(".")))


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "is not there"
    if isinstance(error, PermissionError):
        return "may not be read by this user"
    return f"cannot be read ({error.strerror})"
