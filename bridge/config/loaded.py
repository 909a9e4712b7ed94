"""The configuration in force: what was read, checked and found good. All frozen; a reload makes a new one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from bridge.config.files import Stamp
from bridge.config.models import BridgeConfig, TenantConfig
from mappings.compiled import CompiledMapping
from mappings.findings import Finding


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant: its file, and its mappings by schema.

    ``digest`` is that of the texts of the file and of its mappings, secrets left out. Two tenants are equal when
    nothing of them differs, secrets included.
    """

    id: str
    file: Path
    config: TenantConfig
    mappings: Mapping[str, CompiledMapping] = field(compare=False)
    digest: str


@dataclass(frozen=True, slots=True)
class CompiledFile:
    """A mapping file that was compiled and tested: the mapping, or None, and everything found on the way."""

    mapping: CompiledMapping | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A whole configuration.

    ``folder`` is that of ``bridge.yaml``; ``warnings`` is what does no harm and should be mended.
    ``stamps`` holds every file and folder that was looked at, as it was then; ``compiled`` the mappings by file and
    digest of its bytes, so that a reload compiles only what has changed.
    """

    bridge: BridgeConfig
    folder: Path
    tenants: Mapping[str, Tenant]
    warnings: tuple[Finding, ...]
    digest: str
    stamps: Mapping[Path, Stamp] = field(repr=False, compare=False)
    compiled: Mapping[tuple[str, str], CompiledFile] = field(repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file and folder whose change matters."""
        return tuple(self.stamps)

    @property
    def ledger_path(self) -> Path:
        """Where the embedded ledger is kept."""
        return self.folder / self.bridge.store.removeprefix("sqlite:///")

    @property
    def ca_path(self) -> Path | None:
        """Where the extra CA certificates are, if there are any."""
        return None if self.bridge.ca_file is None else self.folder / self.bridge.ca_file

    def secrets(self) -> Iterator[str]:
        """Yield every secret in force, so that none of them is ever logged."""
        yield from _secrets(self.bridge)
        for tenant in self.tenants.values():
            yield from _secrets(tenant.config)


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item)
