"""How keys are held and told apart, without a server."""

from bridge.http.codes import CODES
from bridge.http.keys import Keys
from bridge.http.routing import Access
from bridge.http.table import ROUTES


def test_keys_are_held_as_digests_only() -> None:
    """Nothing in memory that a dump or a repr could show."""
    keys = Keys(["an-operator-key"], {"acme": ["a-key-of-acme"]})
    assert "an-operator-key" not in str(vars(keys))
    assert "a-key-of-acme" not in str(vars(keys))


def test_a_key_of_two_tenants_is_good_for_both_and_an_empty_one_for_none() -> None:
    keys = Keys((), {"acme": ["shared", ""], "globex": ["shared"]})
    caller = keys.caller("shared")
    assert caller is not None
    assert (caller.operator, caller.tenants) == (False, {"acme", "globex"})
    assert keys.caller("") is None


def test_without_a_key_there_are_health_the_description_and_calls_that_prove_themselves() -> None:
    """Nothing under /v1 is among them."""
    assert {route.path for route in ROUTES if route.access is Access.PUBLIC} == {
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/docs/{asset}",
        "/hooks/{tenant}/{hook}",
    }


def test_codes_are_stable_names_with_a_meaning_and_routes_name_known_ones() -> None:
    assert all(code.name == name and code.meaning and 400 <= code.status < 600 for name, code in CODES.items())
    assert {code.name for route in ROUTES for code in route.codes} <= CODES.keys()
