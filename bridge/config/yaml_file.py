"""One configuration file, from its bytes to a model: read, parsed, references filled in, validated."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from bridge.config.checks import checks_of_shape
from bridge.config.files import FileReader, UnreadableError, shown
from bridge.config.secrets import Interpolation
from connectors.registry import SOURCES
from mappings.findings import Finding, FindingsError
from mappings.salvage import Salvage, salvage
from mappings.yaml_source import YamlSource, decode_text, dotted, survey_yaml, validate

ModelT = TypeVar("ModelT", bound=BaseModel)

_STAND_INS: Final[Mapping[Hashable, Any]] = {"source": {"kind": next(iter(SOURCES))}}


@dataclass(frozen=True, slots=True)
class ReadFile(Generic[ModelT]):
    """What became of a file. ``config`` is None when it is not valid, ``source`` when it is not even YAML.

    ``sound`` is what can be used of it: the whole of a valid file, None when there is nothing. ``gaps`` are the keys of
    what cannot. ``value`` is the file's value with its references filled in: it holds secrets.
    """

    config: ModelT | None
    sound: ModelT | None
    gaps: frozenset[str | None]
    source: YamlSource | None
    value: Any
    text: str
    findings: tuple[Finding, ...]

    def beside_gaps(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Leave out what is found only where ``sound`` has something else than the file."""
        return (finding for finding in findings if finding.key not in self.gaps)


def read_yaml_file(
    model: type[ModelT],
    path: Path,
    folder: Path,
    environ: Mapping[str, str],
    reader: FileReader,
    *,
    allow_hosts: frozenset[str] = frozenset(),
    allow_empty: bool = False,
) -> ReadFile[ModelT]:
    """Read one file; relative paths of ``${file:…}`` start at ``folder``. What is wrong with it is in the findings."""
    name = shown(path)
    try:
        text = decode_text(reader.read(path), name)
        source, unsound = survey_yaml(text, name, allow_empty=allow_empty)
    except UnreadableError as error:
        message = f"The file {error.reason}. Put it there; `numora-bridge init` writes a folder to start from."
        return ReadFile(None, None, frozenset(), None, {}, "", (Finding("unreadable_file", message, name),))
    except FindingsError as error:
        return ReadFile(None, None, frozenset(), None, {}, "", error.findings)
    filled = Interpolation(source, folder, environ, reader)
    context = {"allow_hosts": allow_hosts}
    config, problems = validate(model, source, value=filled.value, context=context)
    sound = Salvage(config) if config else salvage(model, filled.value, stand_ins=_STAND_INS, context=context)
    unfilled = {dotted(path) for path in filled.broken}
    findings = (
        *unsound,
        *filled.findings,
        *(finding for finding in problems if finding.key not in unfilled),
        *checks_of_shape(model, source),
    )
    return ReadFile(
        None if unsound else config,
        sound.model if sound else None,
        frozenset((*unfilled, *(dotted(path) for path in (sound.gaps if sound else ())))),
        source,
        filled.value,
        text,
        findings,
    )
