"""What is to be said of a file beyond its shape: what this version does not do, and what is unwise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from bridge.config.models import BridgeConfig, TenantConfig
from connectors.addresses import AllowedHosts, ForbiddenUrlError, checked_url
from connectors.settings import INSECURE_URL, NotAvailable, allowed_hosts, is_insecure
from mappings.findings import Finding
from mappings.yaml_source import Path, YamlSource

SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True)
class _Place:
    """A key that stands in a file: what it was given, what marks its field carries, and whether it is a secret."""

    path: Path
    given: Any
    marks: tuple[Any, ...]
    secret: bool


def checks_of_shape(model: type[BaseModel], source: YamlSource) -> Iterator[Finding]:
    """Look at what stands in the file, whether or not it is valid: marks of its fields, and secrets in clear."""
    for place in _places(model, (), source.value, ()):
        for mark in place.marks:
            if isinstance(mark, NotAvailable) and (mark.values is None or str(place.given) in mark.values):
                message = f"{mark.what} is not available in this version. Leave it out or choose another."
                yield source.finding(place.path, "not_available", message)
        if place.secret and isinstance(place.given, str) and "${" not in place.given.replace("$${", ""):
            message = "A secret stands here in clear. Write ${NAME} and set NAME in the environment, or ${file:PATH}."
            yield source.finding(place.path, "literal_secret", message, warning=True)


def checks_of_bridge(config: BridgeConfig, source: YamlSource) -> Iterator[Finding]:
    """Look at a valid ``bridge.yaml``."""
    yield from _short_keys(config.api_keys, source)


def checks_of_tenant(config: TenantConfig, source: YamlSource, bridge: BridgeConfig) -> Iterator[Finding]:
    """Look at a valid tenant file."""
    yield from _short_keys(config.api_keys, source)
    if not source.value.get("mappings") and config.delivery.mode == "external":
        message = "No schema has a mapping here: no document of this tenant can be delivered. Add one under mappings."
        yield Finding(
            "no_mappings", message, source.file, *source.position(("mappings",), key=True), "mappings", "warning"
        )
    if config.delivery.mode == "managed":
        yield from _managed(config, source)
    if config.source.is_deaf:
        message = (
            "With `trigger: route` calls bring the documents in, and none is let in here: only a person can have a "
            "document delivered. Add webhook_secret or notify."
        )
        yield source.finding(("source", "trigger"), "nothing_brings_in", message, warning=True)
    hosts = allowed_hosts(bridge.allow_hosts)
    for index, event in enumerate(config.events):
        if is_insecure(event.url, hosts):
            yield source.finding(("events", index, "url"), "insecure_url", INSECURE_URL, warning=True)
            continue
        try:
            checked_url(event.url, AllowedHosts(hosts))
        except ForbiddenUrlError as error:
            yield source.finding(("events", index, "url"), "forbidden_host", str(error), warning=True)


def _managed(config: TenantConfig, source: YamlSource) -> Iterator[Finding]:
    """Look at what does not go with a source that delivers by its own means."""
    if not config.source.can_dispatch:
        message = f"A source of kind {config.source.kind} delivers nothing by its own means. Use `mode: external`."
        yield source.finding(("delivery", "mode"), "cannot_dispatch", message)
    for key, given in (("destination", config.destination), ("mappings", config.mappings)):
        if given:
            message = f"With `mode: managed` the source writes by its own means: {key} has no effect. Leave it out."
            yield source.finding((key,), "not_used_when_managed", message, key=True, warning=True)


def missing_destination(source: YamlSource) -> Iterator[Finding]:
    """Look whether a tenant that the bridge writes for says where to."""
    delivery = source.value.get("delivery")
    mode = delivery.get("mode", "external") if isinstance(delivery, dict) else "external"
    if mode == "external" and source.value.get("destination") is None:
        message = "'destination' is missing here. Add it, since with `mode: external` the bridge writes the rows."
        yield Finding("missing_key", message, source.file, *source.position(("destination",)), "destination")


def shared_keys(
    owners: Mapping[str, tuple[str, YamlSource | None, tuple[SecretStr | None, ...]]],
) -> dict[str, list[Finding]]:
    """Find keys that open more than one door.

    ``owners`` leads from a name to the words for it, its source, and its keys: None for one that is not known. Returns
    findings by the name of the later owner; the first one to hold a key keeps it.
    """
    holders: dict[str, tuple[str, str]] = {}
    found: dict[str, list[Finding]] = {}
    for name, (words, source, keys) in owners.items():
        for index, key in enumerate(keys):
            if key is None:
                continue
            first, first_words = holders.setdefault(key.get_secret_value(), (name, words))
            if first != name and source is not None:
                message = f"{first_words} has the same API key. Give each its own: a key is good for one tenant only."
                found.setdefault(name, []).append(source.finding(("api_keys", index), "shared_api_key", message))
    return found


def _short_keys(keys: tuple[SecretStr, ...], source: YamlSource) -> Iterator[Finding]:
    for index, key in enumerate(keys):
        if len(key.get_secret_value()) < SHORTEST_KEY:
            message = f"This API key has fewer than {SHORTEST_KEY} characters. Make a longer one, at random."
            yield source.finding(("api_keys", index), "short_api_key", message, warning=True)


def _places(annotation: Any, marks: tuple[Any, ...], given: Any, path: Path) -> Iterator[_Place]:
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        marks = (*more, *marks)
    origin, members = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        member = _member(tuple(member for member in members if member is not type(None)), given)
        if member is not None:
            yield from _places(member, marks, given, path)
        return
    yield _Place(path, given, marks, annotation is SecretStr)
    if origin is tuple and isinstance(given, str):
        yield from _places(members[0], (), given, path)
    elif origin is tuple and isinstance(given, list):
        for index, item in enumerate(given):
            yield from _places(members[0], (), item, (*path, index))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and isinstance(given, dict):
        for name, field in annotation.model_fields.items():
            if name in given:
                yield from _places(field.annotation, tuple(field.metadata), given[name], (*path, name))


def _member(members: tuple[Any, ...], given: Any) -> Any:
    """Return the member of a union that a value is meant for, told by its ``kind``; None when none is."""
    if len(members) == 1:
        return members[0]
    kind = given.get("kind") if isinstance(given, dict) else None
    for member in members:
        expected = member.model_fields["kind"].annotation
        if get_origin(expected) is Literal and kind in get_args(expected):
            return member
    return None
