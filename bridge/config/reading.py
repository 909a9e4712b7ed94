"""One look at a whole configuration folder: everything in it is read, and everything wrong with it is noted."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from bridge.config.checks import checks_of_bridge, checks_of_tenant, missing_destination
from bridge.config.files import FileReader, UnreadableError, shown
from bridge.config.loaded import CompiledFile, Tenant
from bridge.config.mapping_files import FILE_NAME, MappingFiles
from bridge.config.models import BridgeConfig, TenantConfig
from bridge.config.yaml_file import ReadFile, read_yaml_file
from connectors.registry import DESTINATIONS
from connectors.settings import allowed_hosts
from mappings.compiled import CompiledMapping
from mappings.findings import Finding
from mappings.yaml_source import YamlSource, nearest

BRIDGE_FILE = "bridge.yaml"
_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class ReadTenant:
    """A tenant's file and what became of it; ``tenant`` is None when it cannot be used.

    ``api_keys`` are those in the file, whether or not it can be used; None for one that is not known.
    """

    tenant: Tenant | None
    source: YamlSource | None
    api_keys: tuple[SecretStr | None, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look at a folder gave.

    ``bridge`` is None when ``bridge.yaml`` cannot be used, ``tenants`` is None when their folder is not there.
    ``mappings_are_gone`` when that of the own mapping files is not.
    ``operator_keys`` are those in the file, whether or not it can be used; None for one that is not known.
    """

    bridge: BridgeConfig | None
    bridge_source: YamlSource | None
    operator_keys: tuple[SecretStr | None, ...]
    bridge_digest: str
    bridge_findings: tuple[Finding, ...]
    folder: Path
    tenants: Mapping[str, ReadTenant] | None
    mappings_folder: Path
    mappings_are_gone: bool
    mapping_findings: tuple[Finding, ...]
    compiled: Mapping[tuple[str, str], CompiledFile]
    reader: FileReader


def read_folder(
    path: Path,
    environ: Mapping[str, str],
    compiled: Mapping[tuple[str, str], CompiledFile],
    fallback: BridgeConfig | None = None,
    *,
    unused: bool = False,
) -> Reading:
    """Read the folder at ``path``, or the folder of the ``bridge.yaml`` at ``path``.

    ``compiled`` are mappings that need not be compiled again. With a ``bridge.yaml`` that cannot be used, the tenants
    are read by ``fallback``, or by as much of the file as is valid. With ``unused`` the mapping files that no tenant
    names are looked at as well.
    """
    reader = FileReader()
    file = path if path.suffix in {".yaml", ".yml"} and not path.is_dir() else path / BRIDGE_FILE
    folder = file.parent
    read = read_yaml_file(BridgeConfig, file, folder, environ, reader, allow_empty=True)
    findings = [*read.findings]
    if read.sound is not None and read.source is not None:
        findings += read.beside_gaps(checks_of_bridge(read.sound, read.source))
        findings += read.beside_gaps(_check_ca_file(read.sound, read.source, folder, reader))
    bridge = None if _has_errors(findings) else read.config
    rules = bridge or fallback or read.sound or BridgeConfig()
    mapping_files = MappingFiles(folder / rules.mappings, reader, compiled)
    tenant_files = reader.yaml_files(folder / rules.tenants)
    if mapping_files.folder_is_gone and read.source is not None:
        findings += read.beside_gaps(_check_mappings_folder(rules, read.source, folder))
    findings += _check_folder(tenant_files, folder / rules.tenants, read, file)
    tenants: dict[str, ReadTenant] = {}
    for tenant_file in tenant_files or ():
        hosts = allowed_hosts(rules.allow_hosts)
        tenant = read_yaml_file(TenantConfig, tenant_file, folder, environ, reader, allow_hosts=hosts)
        result = _check_tenant(tenant_file, tenant, rules, mapping_files)
        if tenant_file.stem in tenants:
            message = "There are two files for this tenant, .yaml and .yml. Keep one of them."
            duplicate = Finding("duplicate_tenant", message, shown(tenant_file))
            result = ReadTenant(None, None, (), (*tenants[tenant_file.stem].findings, duplicate, *result.findings))
        tenants[tenant_file.stem] = result
    if unused:
        mapping_files.look_at_own()
    return Reading(
        bridge,
        read.source,
        _api_keys(read),
        sha256(read.text.encode()).hexdigest(),
        tuple(findings),
        folder,
        None if tenant_files is None else tenants,
        folder / rules.mappings,
        mapping_files.folder_is_gone,
        mapping_files.findings,
        mapping_files.compiled,
        reader,
    )


def _has_errors(findings: list[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _api_keys(read: ReadFile[BridgeConfig] | ReadFile[TenantConfig]) -> tuple[SecretStr | None, ...]:
    keys = read.sound.api_keys if read.sound is not None else ()
    return tuple(None if f"api_keys[{index}]" in read.gaps else key for index, key in enumerate(keys))


def _check_ca_file(bridge: BridgeConfig, source: YamlSource, folder: Path, reader: FileReader) -> Iterator[Finding]:
    if bridge.ca_file is None:
        return
    try:
        data = reader.read(folder / bridge.ca_file)
    except UnreadableError as error:
        yield source.finding(
            ("ca_file",), "unreadable_file", f"The file {error.reason}. Put it there, or name another."
        )
        return
    if b"-----BEGIN CERTIFICATE-----" not in data:
        message = "There is no certificate in this file. It should be PEM: -----BEGIN CERTIFICATE----- and so on."
        yield source.finding(("ca_file",), "bad_value", message)


def _check_mappings_folder(bridge: BridgeConfig, source: YamlSource, folder: Path) -> Iterator[Finding]:
    """Look at a folder that is not there: the usual one need not be, since there are shipped mappings."""
    if "mappings" in source.value and bridge.mappings != BridgeConfig.model_fields["mappings"].default:
        message = f"The folder {shown(folder / bridge.mappings)} is not there. Make it, or name another."
        yield source.finding(("mappings",), "missing_folder", message)


def _check_folder(
    tenant_files: tuple[Path, ...] | None,
    folder: Path,
    read: ReadFile[BridgeConfig],
    file: Path,
) -> Iterator[Finding]:
    if read.source is None:
        return
    named = "tenants" in read.value
    line, column = read.source.position(("tenants",)) if named else (None, None)
    if tenant_files is None and named:
        message = f"The folder {shown(folder)} is not there. Make it, or name another."
        yield Finding("missing_folder", message, shown(file), line, column, "tenants")
    elif not tenant_files:
        message = f"There is no tenant file in {shown(folder)}. Add one: the file's name is the tenant's id."
        yield Finding("no_tenants", message, shown(file), line, column, "tenants", "warning")


def _check_tenant(
    file: Path,
    read: ReadFile[TenantConfig],
    bridge: BridgeConfig,
    mapping_files: MappingFiles,
) -> ReadTenant:
    findings = [*read.findings]
    if not _TENANT_ID.fullmatch(file.stem):
        message = (
            "The file's name is the tenant's id: at most 63 of a-z, 0-9, - and _, beginning with a letter or digit. "
            "Rename the file."
        )
        findings.append(Finding("bad_tenant_id", message, shown(file)))
    if read.source is None:
        return ReadTenant(None, None, (), tuple(findings))
    findings += missing_destination(read.source)
    chosen, problems = _choose_mappings(read, mapping_files)
    findings += problems
    if read.sound is not None:
        findings += read.beside_gaps(checks_of_tenant(read.sound, read.source, bridge))
    findings.sort(key=lambda finding: (finding.line or 0, finding.column or 0))
    if read.config is None or chosen is None or _has_errors(findings):
        return ReadTenant(None, read.source, _api_keys(read), tuple(findings))
    digest = sha256(read.text.encode())
    for schema, mapping in sorted(chosen.items()):
        digest.update(f"\0{schema}\0{mapping.digest}".encode())
    tenant = Tenant(file.stem, file, read.config, chosen, digest.hexdigest())
    return ReadTenant(tenant, read.source, read.config.api_keys, tuple(findings))


def _choose_mappings(
    read: ReadFile[TenantConfig],
    mapping_files: MappingFiles,
) -> tuple[Mapping[str, CompiledMapping] | None, list[Finding]]:
    """Look at every mapping that is named, in an invalid file as well; None when one of them cannot be used."""
    source = read.source
    named = read.value.get("mappings")
    if source is None or not isinstance(named, dict):
        return {}, []
    destination = read.value.get("destination")
    kind = str(destination.get("kind")) if isinstance(destination, dict) else None
    chosen: dict[str, CompiledMapping] = {}
    findings: list[Finding] = []
    usable = True
    for schema, name in named.items():
        if not isinstance(schema, str) or not isinstance(name, str) or not FILE_NAME.fullmatch(name):
            continue
        path = ("mappings", schema)
        result = mapping_files.get(name)
        if result is None:
            message = f"There is no mapping file {source.at(path)!r}. {nearest(name, mapping_files.names)}"
            findings.append(source.finding(path, "missing_mapping", message))
        elif result.mapping is None:
            usable = False
        else:
            chosen[schema] = mapping = result.mapping
            if mapping.schema != schema:
                message = f"This mapping is for the schema {mapping.schema!r}. Name one that is for {schema!r}."
                findings.append(source.finding(path, "mapping_schema_mismatch", message))
            if kind in DESTINATIONS and mapping.destination != kind:
                message = (
                    f"This mapping is for destinations of kind {mapping.destination!r}; this tenant's is {kind!r}. "
                    "Name another mapping, or correct the `destination` in this one."
                )
                findings.append(source.finding(path, "mapping_destination_mismatch", message))
    return (chosen if usable else None), findings
