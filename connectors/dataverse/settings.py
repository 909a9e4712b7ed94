"""How a tenant's Dataverse is reached: the ``destination`` of a tenant file with ``kind: dataverse``."""

from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from connectors.settings import (
    BaseUrl,
    DestinationSettings,
    Duration,
    NotAvailable,
    PositiveDuration,
    Secret,
    SettingsModel,
)

LEAST_WRITE_TIMEOUT = timedelta(seconds=120)
"""Dataverse works on a write for up to two minutes: giving up earlier leaves good writes without a known outcome."""


def _check_authority(value: str) -> str:
    if urlsplit(value).scheme != "https":
        raise PydanticCustomError(
            "insecure_url", "An authority is reached by https:// only, on loopback addresses too."
        )
    return value


def _check_organisation(value: str) -> str:
    if "/api/" in f"{value}/":
        raise PydanticCustomError("bad_url", "This should be the organisation's address alone, without /api/data.")
    return value


def _check_write_timeout(value: timedelta) -> timedelta:
    if value < LEAST_WRITE_TIMEOUT:
        raise PydanticCustomError(
            "bad_value",
            "This should be 120s or more: Dataverse works on a write for up to two minutes.",
        )
    return value


TenantName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9.\-]{1,253}$",
        description="The Entra tenant: its id, or one of its domains.",
        examples=["00000000-0000-0000-0000-000000000000"],
    ),
]
ClientId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9\-]{1,64}$",
        description="The application (client) id of the app registration.",
        examples=["00000000-0000-0000-0000-000000000000"],
    ),
]
Authority = Annotated[BaseUrl, AfterValidator(_check_authority)]
_AUTHORITY = "Where tokens come from: by default the public cloud for that `tenant_id`; national clouds by URL."


class ClientSecretAuth(SettingsModel):
    """An app registration with a client secret."""

    kind: Literal["client_secret"] = Field(description="An app registration with a client secret.")
    tenant_id: TenantName
    client_id: ClientId
    client_secret: Secret = Field(description="The client secret.", examples=["${ACME_DATAVERSE_SECRET}"])
    authority: Authority | None = Field(
        default=None,
        description=_AUTHORITY,
        examples=["https://login.microsoftonline.us/00000000-0000-0000-0000-000000000000"],
    )


class CertificateAuth(SettingsModel):
    """An app registration with a certificate."""

    kind: Annotated[Literal["certificate"], NotAvailable("Logging in with `kind: certificate`")] = Field(
        description="An app registration with a certificate.",
    )
    tenant_id: TenantName
    client_id: ClientId
    certificate_file: str = Field(min_length=1, description="The certificate with its private key, a PFX file.")
    password: Secret | None = Field(default=None, description="The password of the PFX file.")
    authority: Authority | None = Field(default=None, description=_AUTHORITY)


class WorkloadIdentityAuth(SettingsModel):
    """An app registration that trusts a token of the platform the bridge runs on."""

    kind: Annotated[Literal["workload_identity"], NotAvailable("Logging in with `kind: workload_identity`")] = Field(
        description="An app registration that trusts a token of the platform.",
    )
    tenant_id: TenantName
    client_id: ClientId
    token_file: str = Field(min_length=1, description="Where the platform puts its token; it is read anew each time.")
    authority: Authority | None = Field(default=None, description=_AUTHORITY)


class ManagedIdentityAuth(SettingsModel):
    """The managed identity of the Azure machine the bridge runs on."""

    kind: Annotated[Literal["managed_identity"], NotAvailable("Logging in with `kind: managed_identity`")] = Field(
        description="The managed identity of the Azure machine.",
    )
    client_id: ClientId | None = Field(
        default=None,
        description="The client id of a user-assigned identity; the machine's own when left out.",
    )


class NumoraSessionAuth(SettingsModel):
    """The session that Numora holds with the tenant's Dataverse."""

    kind: Annotated[Literal["numora_session"], NotAvailable("Logging in with `kind: numora_session`")] = Field(
        description="The session that Numora holds with the tenant's Dataverse.",
    )


DataverseAuth = Annotated[
    ClientSecretAuth | CertificateAuth | WorkloadIdentityAuth | ManagedIdentityAuth | NumoraSessionAuth,
    Field(discriminator="kind"),
]


class DataverseSettings(DestinationSettings):
    """A Dataverse environment: where rows are written."""

    kind: Literal["dataverse"] = Field(description="Rows are written to Dataverse (Dynamics 365).")
    url: Annotated[BaseUrl, AfterValidator(_check_organisation)] = Field(
        description="The address of the environment.",
        examples=["https://acme.crm4.dynamics.com"],
    )
    auth: DataverseAuth = Field(description="How the bridge logs in.")
    timeout: PositiveDuration = Field(default=timedelta(seconds=30), description="How long one reading call may take.")
    write_timeout: Annotated[Duration, AfterValidator(_check_write_timeout)] = Field(
        default=timedelta(seconds=130),
        description="How long one writing call may take; 120s or more, since Dataverse works that long on a write.",
    )
    deep_insert_limit: int = Field(
        default=50,
        ge=0,
        le=1000,
        description="Up to how many lines are created in one request with their document; more go as one change set.",
    )
