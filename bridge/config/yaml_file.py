"""One configuration file, from its bytes to a model: read, parsed, references filled in, validated."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from bridge.config.checks import checks_of_shape
from bridge.config.files import FileReader, UnreadableError, shown
from bridge.config.secrets import Interpolation
from mappings.findings import Finding, FindingsError
from mappings.yaml_source import YamlSource, decode_text, dotted, survey_yaml, validate

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ReadFile(Generic[ModelT]):
    """What became of a file. ``config`` is None when it is not valid, ``source`` when it is not even YAML.

    ``value`` is the file's value with its references filled in: it holds secrets.
    """

    config: ModelT | None
    source: YamlSource | None
    value: Any
    text: str
    findings: tuple[Finding, ...]


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
        return ReadFile(None, None, {}, "", (Finding("unreadable_file", message, name),))
    except FindingsError as error:
        return ReadFile(None, None, {}, "", error.findings)
    filled = Interpolation(source, folder, environ, reader)
    config, problems = validate(model, source, value=filled.value, context={"allow_hosts": allow_hosts})
    unfilled = {dotted(path) for path in filled.broken}
    findings = (
        *unsound,
        *filled.findings,
        *(finding for finding in problems if finding.key not in unfilled),
        *checks_of_shape(model, source),
    )
    return ReadFile(None if unsound else config, source, filled.value, text, findings)
