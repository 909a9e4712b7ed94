"""Access tokens through MSAL from the Entra sandbox over https: one request for all, renewed in time, errors apart."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from connectors.entra.sandbox import EntraSandbox
from connectors.entra.tokens import ClientSecretTokens, authority_url
from connectors.entra.transport import NotUnderstoodError, trusted, understood
from connectors.outcome import BlockedError, OutcomeError, ThrottledError, TransientError
from connectors.sandbox.authority import SandboxAuthority

TENANT = "11111111-0000-4000-8000-000000000001"
CLIENT = "22222222-0000-4000-8000-000000000002"
SECRET = "made-up~secret"
SCOPE = "https://acme.crm4.dynamics.com/.default"


Make = Callable[..., ClientSecretTokens]


@pytest.fixture
def system_trusts_the_sandbox(authority: SandboxAuthority, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the sandbox's authority stand among those of the system, as they are read at the start of a process."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    trusted.cache_clear()
    yield
    trusted.cache_clear()


@pytest.fixture
async def make(entra: EntraSandbox, authority: SandboxAuthority, clock: Any) -> AsyncIterator[Make]:
    made: list[ClientSecretTokens] = []

    def make_one(**changes: Any) -> ClientSecretTokens:
        given: dict[str, Any] = {
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": SecretStr(SECRET),
            "scope": SCOPE,
            "authority": entra.url,
            "ca_file": authority.ca_file,
            "monotonic": clock,
        }
        made.append(ClientSecretTokens(**{**given, **changes}))
        return made[-1]

    yield make_one
    for one in made:
        await one.close()


async def outcome_of(tokens: ClientSecretTokens) -> OutcomeError:
    with pytest.raises(OutcomeError) as error:
        await tokens.token()
    assert SECRET not in str(error.value)
    return error.value


async def settled(tokens: ClientSecretTokens) -> None:
    """Wait for what is in flight."""
    if tokens._in_flight is not None:
        await asyncio.wait([tokens._in_flight])


async def test_many_deliveries_at_once_cause_one_request_for_a_token(make: Make, entra: EntraSandbox) -> None:
    tokens = make()
    got = await asyncio.gather(*(tokens.token() for _ in range(20)))
    assert len(set(got)) == 1
    assert entra.issued == 1
    grant = entra.grant_of(got[0])
    assert grant is not None
    assert grant.client_id == CLIENT


async def test_a_token_is_renewed_in_the_background_before_it_ends(make: Make, entra: EntraSandbox, clock: Any) -> None:
    """No delivery waits for Entra while the old token is still good."""
    tokens = make()
    first = await tokens.token()
    clock.now += 3600 - 299
    assert await tokens.token() == first
    await settled(tokens)
    assert await tokens.token() != first
    assert entra.issued == 2


async def test_a_token_that_ended_is_not_given_out(make: Make, entra: EntraSandbox, clock: Any) -> None:
    tokens = make()
    first = await tokens.token()
    clock.now += 3600
    assert await tokens.token() != first


async def test_a_refused_token_is_replaced_once_for_all_who_were_refused(make: Make, entra: EntraSandbox) -> None:
    tokens = make()
    first = await tokens.token()
    tokens.invalidate(first)
    second = await tokens.token()
    tokens.invalidate(first)
    assert second != first
    assert await tokens.token() == second
    assert entra.issued == 2


async def test_an_outage_of_entra_is_not_felt_while_the_token_is_good(
    make: Make, entra: EntraSandbox, clock: Any
) -> None:
    tokens = make()
    first = await tokens.token()
    entra.faults.add("status_before", status=503)
    clock.now += 3600 - 200
    assert await tokens.token() == first
    await settled(tokens)
    asked = entra.requests.total
    assert await tokens.token() == first
    assert entra.requests.total == asked
    clock.now += 60
    assert await tokens.token() == first
    await settled(tokens)
    assert entra.requests.total > asked


async def test_a_wrong_secret_blocks_and_says_what_to_check(make: Make) -> None:
    error = await outcome_of(make(client_secret=SecretStr("made-up~wrong")))
    assert isinstance(error, BlockedError)
    assert error.code == "token_refused"
    assert "client_secret" in error.message
    assert "made-up~wrong" not in error.message


async def test_a_mended_secret_is_taken_at_the_next_try(make: Make, entra: EntraSandbox) -> None:
    """MSAL would repeat the old refusal out of its own store for a minute."""
    tokens = make(client_secret=SecretStr("made-up~new"))
    assert (await outcome_of(tokens)).code == "token_refused"
    entra.add_client(TENANT, CLIENT, "made-up~new")
    assert await tokens.token()


async def test_an_unknown_tenant_blocks(make: Make) -> None:
    error = await outcome_of(make(tenant_id="33333333-0000-4000-8000-000000000003"))
    assert isinstance(error, BlockedError)
    assert error.code == "authority_invalid"
    assert "tenant_id" in error.message


@pytest.mark.parametrize("status", [500, 503])
async def test_a_failing_entra_is_tried_again_later(make: Make, entra: EntraSandbox, status: int) -> None:
    entra.faults.add("status_before", status=status, path="oauth2/v2.0/token")
    tokens = make()
    error = await outcome_of(tokens)
    assert isinstance(error, TransientError)
    assert error.code == "token_unreachable"
    entra.faults.clear()
    assert await tokens.token()


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncated", "html_502", "html_502_after"])
@pytest.mark.parametrize("path", ["openid-configuration", "oauth2/v2.0/token"])
async def test_whatever_happens_on_the_way_to_entra_may_go_well_later(
    make: Make, entra: EntraSandbox, kind: str, path: str
) -> None:
    entra.faults.add(kind, path=path)  # type: ignore[arg-type]
    tokens = make()
    error = await outcome_of(tokens)
    assert isinstance(error, TransientError), error
    entra.faults.clear()
    assert await tokens.token()


@pytest.mark.parametrize("status", [400, 401, 403, 429])
@pytest.mark.parametrize(
    "error", [{"code": "rate_limited", "message": "Slow down."}, ["a"], 7, None, "two\r\nlines", "zu früh", "x" * 5000]
)
async def test_an_error_of_any_form_is_told_and_got_over(
    make: Make, entra: EntraSandbox, clock: Any, monkeypatch: pytest.MonkeyPatch, status: int, error: Any
) -> None:
    """Something between us and Entra may answer in its place, and MSAL takes an error with it into later requests."""
    monkeypatch.setattr(entra, "refusal", lambda *_: web.json_response({"error": error}, status=status))
    entra.faults.add("status_before", status=status, path="oauth2/v2.0/token")
    tokens = make()
    for _ in range(3):
        outcome = await outcome_of(tokens)
        assert isinstance(outcome, ThrottledError if status == 429 else BlockedError), outcome
        clock.now += 1000
    entra.faults.clear()
    assert await tokens.token()


@pytest.mark.parametrize("body", ["{", "<html>", "", "{}", "null", '{"error": {"code": "x"}}', '{"token_endpoint": 7}'])
async def test_an_authority_that_is_not_understood_is_asked_again(
    make: Make, entra: EntraSandbox, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(entra, "refusal", lambda *_: web.Response(text=body, content_type="application/json"))
    entra.faults.add("status_before", status=500, path="openid-configuration")
    tokens = make()
    for _ in range(2):
        assert isinstance(await outcome_of(tokens), TransientError)
    entra.faults.clear()
    assert await tokens.token()


async def test_half_an_answer_leaves_no_part_of_a_token_in_the_log(
    make: Make, entra: EntraSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    half = '{"token_type":"Bearer","expires_in":3599,"access_token":"made-up.token"'
    monkeypatch.setattr(entra, "refusal", lambda *_: web.Response(text=half, content_type="application/json"))
    entra.faults.add("status_before", status=500, path="oauth2/v2.0/token")
    with caplog.at_level("DEBUG"):
        error = await outcome_of(make())
    assert isinstance(error, TransientError)
    assert "made-up.token" not in caplog.text + error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"text"', b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_not_handed_on(body: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        understood(body)


async def test_entra_is_left_alone_for_as_long_as_it_asks(make: Make, entra: EntraSandbox, clock: Any) -> None:
    entra.faults.add("throttle", retry_after=40, times=1, path="oauth2/v2.0/token")
    tokens = make()
    error = await outcome_of(tokens)
    assert isinstance(error, ThrottledError)
    assert error.retry_after == 40
    asked = entra.requests.total
    clock.now += 30
    error = await outcome_of(tokens)
    assert isinstance(error, ThrottledError)
    assert error.retry_after == pytest.approx(10)
    assert entra.requests.total == asked
    assert entra.violations == 0


async def test_a_certificate_that_is_not_trusted_blocks_and_names_the_setting(make: Make) -> None:
    error = await outcome_of(make(ca_file=None))
    assert isinstance(error, BlockedError)
    assert error.code == "tls_untrusted"
    assert "ca_file" in error.message


async def test_the_environment_cannot_undo_the_configured_certificates(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "other.pem").write_text("")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    assert await make().token()


@pytest.mark.usefixtures("system_trusts_the_sandbox")
async def test_certificates_of_an_operator_stand_beside_those_of_the_system(make: Make, tmp_path: Any) -> None:
    """With a private authority for one system, the public ones of the others are still trusted."""
    assert await make(ca_file=SandboxAuthority(tmp_path).ca_file).token()


@pytest.mark.usefixtures("system_trusts_the_sandbox")
@pytest.mark.parametrize("ca_file", ["given", "none"])
async def test_no_proxy_is_taken_from_the_environment(
    make: Make, authority: SandboxAuthority, monkeypatch: pytest.MonkeyPatch, ca_file: str
) -> None:
    """The way to Entra is that of every other call; a proxy for one of them alone would help nobody."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert await make(ca_file=authority.ca_file if ca_file == "given" else None).token()


@pytest.mark.parametrize("status", [429, 503])
async def test_an_absurd_pause_of_entra_is_not_believed(
    make: Make, entra: EntraSandbox, clock: Any, status: int
) -> None:
    """Nobody would be let in again for the life of the process."""
    entra.faults.add("status_before", status=status, retry_after=10**9, times=1, path="oauth2/v2.0/token")
    tokens = make()
    error = await outcome_of(tokens)
    assert isinstance(error, TransientError)
    assert error.retry_after == 86400
    clock.now += 86401
    assert await tokens.token()


async def test_an_authority_without_https_is_not_asked(make: Make) -> None:
    error = await outcome_of(make(authority="http://127.0.0.1:9"))
    assert isinstance(error, BlockedError)
    assert error.code == "authority_invalid"


async def test_an_entra_that_is_away_is_no_reason_to_block(make: Make, entra: EntraSandbox) -> None:
    await entra.stop()
    error = await outcome_of(make())
    assert isinstance(error, TransientError)
    assert error.code == "token_unreachable"


async def test_one_who_gives_up_waiting_does_not_take_the_token_from_the_others(
    make: Make, entra: EntraSandbox
) -> None:
    tokens = make()
    impatient = asyncio.create_task(tokens.token())
    patient = asyncio.create_task(tokens.token())
    await asyncio.sleep(0)
    impatient.cancel()
    assert entra.grant_of(await patient) is not None
    assert entra.issued == 1


def test_the_authority_is_the_public_cloud_unless_another_is_named() -> None:
    assert authority_url(None, "acme.example") == "https://login.microsoftonline.com/acme.example"
    assert authority_url("https://login.microsoftonline.us/", "t") == "https://login.microsoftonline.us/t"
    assert authority_url("https://login.microsoftonline.us/other", "t") == "https://login.microsoftonline.us/other"
