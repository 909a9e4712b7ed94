"""Which outside systems there are: a new one is a folder beside this file and a line here.

Only settings models are imported here, so that reading the configuration does not load a single client.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from connectors.dataverse.settings import DataverseSettings
from connectors.numora.settings import NumoraSettings
from connectors.retab.settings import RetabSettings
from connectors.settings import DestinationSettings, SourceSettings


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source: the model that its settings in a tenant file are held against, and what builds it.

    ``builder`` is ``module:function``, imported when a tenant needs it; None for a kind that cannot be used yet.
    """

    settings: type[SourceSettings]
    builder: str | None = None


@dataclass(frozen=True, slots=True)
class DestinationKind:
    """A kind of destination: the model that its settings in a tenant file are held against, and what builds it.

    ``builder`` is ``module:function``, imported when a tenant needs it.
    """

    settings: type[DestinationSettings]
    builder: str


SOURCES: Mapping[str, SourceKind] = MappingProxyType(
    {
        "numora": SourceKind(NumoraSettings, "connectors.numora.build:build_source"),
        "retab": SourceKind(RetabSettings, "connectors.retab.build:build_source"),
    },
)

DESTINATIONS: Mapping[str, DestinationKind] = MappingProxyType(
    {
        "dataverse": DestinationKind(DataverseSettings, "connectors.dataverse.build:build_destination"),
    },
)
