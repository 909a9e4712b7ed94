"""What a tenant's Numora can do follows from its file, and is all that the protocols ask for."""

import inspect

import pytest

from connectors import capabilities, hooks
from connectors.numora.notify import ExecutorHook
from connectors.numora.webhooks import WebhookHook

NOTIFY = {"auth": {"kind": "bearer", "secret": "s"}}


def public(cls: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(value)
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("protocol", "attribute"),
    [
        (capabilities.DocumentActions, "actions"),
        (capabilities.Dispatcher, "dispatcher"),
        (capabilities.SourceResources, "resources"),
    ],
)
def test_a_capability_has_every_method_as_the_protocol_gives_it(source, protocol, attribute):
    given = public(type(getattr(source.capabilities, attribute)))

    for name, signature in public(protocol).items():
        assert given[name].parameters.keys() == signature.parameters.keys(), name
        assert [one.kind for one in given[name].parameters.values()] == [
            one.kind for one in signature.parameters.values()
        ], name


@pytest.mark.parametrize("reader", [WebhookHook, ExecutorHook])
def test_a_hook_reads_as_the_protocol_gives_it(reader):
    assert public(reader)["read"] == public(hooks.HookReader)["read"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, set()),
        ({"webhook_secret": "w"}, {"numora"}),
        ({"webhook_secret": ["w", "v"]}, {"numora"}),
        ({"webhook_secret": []}, set()),
        ({"notify": NOTIFY}, {"executor"}),
        ({"notify": NOTIFY, "webhook_secret": "w", "trigger": "route"}, {"executor", "numora"}),
    ],
)
def test_only_calls_that_can_be_verified_are_taken(connect, keys, expected):
    assert set(connect(**keys).capabilities.hooks) == expected


def test_numora_has_no_reviews_of_its_own(source):
    assert source.capabilities.reviews is None


def test_a_document_on_its_way_may_be_delivered(connect):
    """It is what a dispatch leaves behind, so it is what the executor is told of."""
    assert connect(trigger="route").is_deliverable("push_pending")
    assert connect().is_deliverable("push_pending")
