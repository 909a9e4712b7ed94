"""Loading a configuration: all of it or nothing at start, and as much of it as is good while running."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from bridge.config.checks import shared_keys
from bridge.config.files import shown
from bridge.config.loaded import LoadedConfig, Tenant
from bridge.config.mapping_files import is_shipped
from bridge.config.models import BridgeConfig
from bridge.config.reading import Reading, ReadTenant, read_folder
from mappings.findings import Finding, FindingsError
from mappings.yaml_source import YamlSource

_OPERATOR = ""
RESTART_KEYS = ("listen", "store", "ca_file")
"""Keys of ``bridge.yaml`` that a running bridge cannot take over."""


def load_config(path: Path, environ: Mapping[str, str], *, unused: bool = False) -> LoadedConfig:
    """Load the configuration folder at ``path``, or the one of the ``bridge.yaml`` at ``path``.

    With ``unused`` a mapping file that no tenant names has to be good as well.

    Raises ``FindingsError`` with every finding of every file, warnings included, when there is an error among them.
    """
    reading = read_folder(path, environ, {}, unused=unused)
    tenants = reading.tenants or {}
    findings = [*reading.bridge_findings]
    shared = _shared_keys(reading, reading.operator_keys, {name: read.api_keys for name, read in tenants.items()})
    findings += shared.get(_OPERATOR, ())
    for name, read in tenants.items():
        findings += (*read.findings, *shared.get(name, ()))
    findings += reading.mapping_findings
    if reading.bridge is None or any(finding.severity == "error" for finding in findings):
        raise FindingsError(tuple(findings))
    good = {name: read.tenant for name, read in tenants.items() if read.tenant is not None}
    return _assemble(reading, reading.bridge, good, findings)


def load_tolerant(
    previous: LoadedConfig,
    path: Path,
    environ: Mapping[str, str],
) -> tuple[LoadedConfig, tuple[Finding, ...]]:
    """Load anew while running: what is bad keeps its previous version, and what is bad and new is left out.

    Returns the configuration from now on, and every finding.
    """
    reading = read_folder(path, environ, previous.compiled, previous.bridge)
    findings = [*reading.bridge_findings]
    bridge = reading.bridge or previous.bridge
    if reading.bridge is not None:
        findings += _needs_restart(previous.bridge, reading)
        bridge = bridge.model_copy(update={key: getattr(previous.bridge, key) for key in RESTART_KEYS})
    tenants = reading.tenants
    if tenants is None and (reading.bridge is None or previous.tenants):
        message = "The tenants' folder is gone. Put it back: until then the tenants stay as they are."
        findings = [finding for finding in findings if finding.code not in {"missing_folder", "no_tenants"}]
        findings.append(Finding("missing_folder", message, shown(reading.folder / bridge.tenants)))
        tenants = {
            name: ReadTenant(tenant, None, tenant.config.api_keys, ()) for name, tenant in previous.tenants.items()
        }
    chosen = {name: read.tenant or previous.tenants.get(name) for name, read in (tenants or {}).items()}
    findings += tuple(_keep_own_mappings(reading, chosen, previous, findings))
    bridge, shared = _settle_shared_keys(bridge, reading, chosen, previous)
    findings += shared.get(_OPERATOR, ())
    for name, read in (tenants or {}).items():
        findings += (*read.findings, *shared.get(name, ()))
    findings += reading.mapping_findings
    good = {name: tenant for name, tenant in chosen.items() if tenant is not None}
    return _assemble(reading, bridge, good, findings), tuple(findings)


def _assemble(
    reading: Reading,
    bridge: BridgeConfig,
    tenants: Mapping[str, Tenant],
    findings: Iterable[Finding],
) -> LoadedConfig:
    digest = sha256(reading.bridge_digest.encode())
    for name, tenant in sorted(tenants.items()):
        digest.update(f"\0{name}\0{tenant.digest}".encode())
    return LoadedConfig(
        bridge=bridge,
        folder=reading.folder,
        tenants=MappingProxyType(dict(sorted(tenants.items()))),
        warnings=tuple(finding for finding in findings if finding.severity == "warning"),
        digest=digest.hexdigest(),
        stamps=MappingProxyType(reading.reader.stamps),
        compiled=MappingProxyType(dict(reading.compiled)),
    )


def _keep_own_mappings(
    reading: Reading, chosen: dict[str, Tenant | None], previous: LoadedConfig, findings: Iterable[Finding]
) -> Iterator[Finding]:
    """Let tenants stay as they are whose own mappings went with their folder: shipped ones are not what they chose."""
    if not reading.mappings_are_gone:
        return
    kept = [
        name
        for name, tenant in previous.tenants.items()
        if name in chosen and any(not is_shipped(mapping.file) for mapping in tenant.mappings.values())
    ]
    chosen.update((name, previous.tenants[name]) for name in kept)
    if kept and all(finding.key != "mappings" for finding in findings if finding.code == "missing_folder"):
        message = "The folder of your own mappings is gone. Put it back: until then their tenants stay as they are."
        yield Finding("missing_folder", message, shown(reading.mappings_folder))


def _needs_restart(previous: BridgeConfig, reading: Reading) -> Iterable[Finding]:
    source = reading.bridge_source
    for key in RESTART_KEYS:
        if source is not None and getattr(reading.bridge, key) != getattr(previous, key):
            message = "This takes effect when the bridge is started anew; until then the previous value stays in force."
            yield source.finding((key,), "needs_restart", message, key=True, warning=True)


def _shared_keys(
    reading: Reading,
    operator_keys: tuple[SecretStr | None, ...],
    tenants: Mapping[str, tuple[SecretStr | None, ...]],
    first: Iterable[str] = (_OPERATOR,),
) -> dict[str, list[Finding]]:
    """Find owners with another's key. Those named in ``first`` keep theirs, then it goes by the tenants' ids."""
    read = reading.tenants or {}
    owners: dict[str, tuple[str, YamlSource | None, tuple[SecretStr | None, ...]]] = {}
    for name in dict.fromkeys((*first, _OPERATOR, *tenants)):
        if name == _OPERATOR:
            owners[name] = ("The operator", reading.bridge_source, operator_keys)
        elif name in tenants:
            source = read[name].source if name in read else None
            owners[name] = (f"The tenant {name}", source, tenants[name])
    return shared_keys(owners)


def _settle_shared_keys(
    bridge: BridgeConfig,
    reading: Reading,
    chosen: dict[str, Tenant | None],
    previous: LoadedConfig,
) -> tuple[BridgeConfig, dict[str, list[Finding]]]:
    """Take back what came with another's key, until no key opens more than one door.

    ``chosen`` is changed; the bridge's configuration is returned, with the previous operator keys if need be.
    """
    found: dict[str, list[Finding]] = {}
    while True:
        unchanged = [name for name, tenant in chosen.items() if tenant == previous.tenants.get(name)]
        if bridge.api_keys == previous.bridge.api_keys:
            unchanged.insert(0, _OPERATOR)
        keys = {name: tenant.config.api_keys for name, tenant in chosen.items() if tenant is not None}
        shared = _shared_keys(reading, bridge.api_keys, keys, unchanged)
        if not shared:
            return bridge, found
        for name, findings in shared.items():
            found.setdefault(name, []).extend(findings)
            if name == _OPERATOR:
                bridge = bridge.model_copy(update={"api_keys": previous.bridge.api_keys})
                continue
            before = previous.tenants.get(name)
            chosen[name] = before if chosen[name] != before else None
