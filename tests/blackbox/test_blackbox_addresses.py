"""Addresses that others name: where the bridge does not go, in however odd a spelling, and what it never says there."""

import socket

from tests.blackbox.asking import Asking
from tests.blackbox.world import World, invoice

HOURLY = {"every": "1h", "limit": 100}


def spellings(port: int) -> list[str]:
    """Return loopback, link-local, private and other addresses that are not public, as people try to hide them."""
    hosts = [
        "127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "2130706433", "0177.0.0.1", "0177.1", "017700000001",
        "0x7f.0.0.1", "0x7f000001", "0X7F.1", "0x7f.1", "127.0.0.1.", "127.000.000.001", "00000177.0.0.1",
        "0", "0.0.0.0", "0.0.0.0.", "0x0", "00",  # noqa: S104 - an address that is refused
        "localhost", "LOCALHOST", "localhost.", "localhost..", "foo.localhost",
        "localhost6", "ip6-localhost", "ip6-loopback",
        "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[::7f00:1]",
        "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::127.0.0.1]", "[2002:7f00:1::]", "[2002:7f00:1::1]",
        "[2001:0:7f00:1::]", "[2001::7f00:1]", "[fe80::1]", "[fe80::1%25lo]", "[fe80::1%lo]", "[fc00::1]", "[fd00::1]",
        "[fec0::1]", "[ff02::1]", "[::ffff:0:127.0.0.1]", "[2001:db8::1]", "[100::1]", "[5f00::1]",
        "10.0.0.1", "10.1", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.1", "169.254.169.254",
        "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "[::ffff:169.254.169.254]",
        "[64:ff9b::169.254.169.254]", "[fd00:ec2::254]", "100.64.0.1", "100.100.100.200", "192.0.0.192",
        "168.63.129.16", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.1",
        "metadata.google.internal", "metadata", "instance-data", "bridge.local", "router.home.arpa", "kubernetes",
        socket.gethostname(),
        "\uff11\uff12\uff17.0.0.1", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "①②⑦.⓪.⓪.①", "loc\u00adalhost", "127.0.0.1\u3002",
        "public.example@127.0.0.1", "127.0.0.1:80@public.example", "a:b@localhost", "@127.0.0.1",
        "public.example:x@10.1",
        "public.example\\@127.0.0.1", "127.0.0.1\\.public.example", "127.0.0.1%2f.public.example", "127%2e0%2e0%2e1",
        "%6c%6f%63%61%6c%68%6f%73%74", "127.0.0.1#@public.example", "127.0.0.1?@public.example", "[::1].", "[::1",
        "::1", "[127.0.0.1]", "1.2.3.4.5", "1.2.3", "0x", "256.256.256.256", "99999999999999", "-", ".", "..", "",
        "a..b.example", "xn--", "*", "public example", "public\texample", "public.example\r\nX: y", "[v1.fe80::a]",
    ]  # fmt: skip
    urls = [f"{scheme}://{host}:{port}/caught?signature=s3cret" for host in hosts for scheme in ("https", "http")]
    urls += [f"https://{host}/caught" for host in hosts]
    return [
        *urls,
        "http://93.184.216.34/caught", "http://public.example/caught", "ftp://public.example/caught",
        "//public.example/x",
        "file:///etc/passwd", "gopher://public.example/", "javascript:alert(1)", "data:,x", "/webhook",
        "public.example",
        "https:public.example", "https:/public.example", "https:///public.example",
        "https://",
        "https://public.example:0/",
        "https://public.example:65536/", "https://public.example:-1/", "https://public.example:x/", " https://x.example/",
        "https://x.example/\u0000", "unix:///var/run/docker.sock", "http+unix://x", "ws://127.0.0.1/",
        "https://\U0001f600@x/",
        f"https://x.example/{'a' * 3000}",
    ]  # fmt: skip


async def test_no_spelling_of_an_inner_address_is_taken_for_resume_url_or_subscription(made: World) -> None:
    """Each is refused at once with 422 and a sentence, nothing is queued, and nothing of the URL's query comes back."""
    await made.add_tenant(poll=HOURLY)
    made.numora.add(made.acme.numora_key, invoice(1, listed=False))
    await made.start()
    port = int(made.receiver.base.rpartition(":")[2])
    async with Asking(made.bridge) as api:
        for url in spellings(port):
            for path, body in (
                ("/v1/tenants/acme/documents/doc_acme_0001/deliver", {"resume_url": url}),
                ("/v1/tenants/acme/subscriptions", {"url": url}),
            ):
                reply = await api.ask("POST", path, body)
                assert (reply.status, reply.code in {"forbidden_url", "bad_body"}) == (422, True), (url, reply)
                assert "s3cret" not in reply.raw.decode()
        assert (await api.ask("GET", "/v1/tenants/acme/subscriptions")).json["data"] == []
        assert await made.bridge.deliveries() == []
    assert made.receiver.requests == []
    assert "s3cret" not in made.bridge.log.read_text()


async def test_an_allowed_spelling_does_not_allow_the_others(made: World) -> None:
    """``127.0.0.1`` in allow_hosts lets that spelling through, and neither localhost nor IPv6 that stands for it."""
    await made.add_tenant(poll=HOURLY)
    made.settings["allow_hosts"] = ["127.0.0.1"]
    await made.start()
    port = int(made.receiver.base.rpartition(":")[2])
    async with Asking(made.bridge) as api:
        for host in (
            "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.2", "u@127.0.0.1", "0x7f.0.0.1",
        ):  # fmt: skip
            reply = await api.ask("POST", "/v1/tenants/acme/subscriptions", {"url": f"http://{host}:{port}/x"})
            assert (reply.status, reply.code) == (422, "forbidden_url"), host
        reply = await api.ask("POST", "/v1/tenants/acme/subscriptions", {"url": made.receiver.url("/x")})
        assert reply.status == 201


async def test_redirects_of_an_allowed_host_are_not_followed(made: World) -> None:
    """A receiver that redirects to an inner address, or to Numora, leads nobody there."""
    acme = await made.add_tenant(poll=HOURLY)
    made.settings["allow_hosts"] = ["127.0.0.1"]
    doc = made.numora.add(acme.numora_key, invoice(1))
    await made.start()
    target = made.receiver.url("/caught")
    made.receiver.redirects = {"/sub": target, "/resume": made.numora.base + "/v1/documents/doc_acme_0001"}
    async with Asking(made.bridge) as api:
        await api.ask("POST", "/v1/tenants/acme/subscriptions", {"url": made.receiver.url("/sub")})
        body = {"resume_url": made.receiver.url("/resume"), "wait": 30}
        assert (await api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", body)).status == 200
        await made.until(lambda: len(made.receiver.at("/sub")) >= 2 and len(made.receiver.at("/resume")) >= 2)
    assert made.receiver.at("/caught") == []
    assert all(seen.identity == f"Bearer {acme.numora_key}" for seen in made.numora.requests)
    keys = [acme.numora_key, acme.api_key, "operator-key", acme.app.secret, *made.entra.tokens]
    for seen in made.receiver.requests:
        told = f"{seen.headers} {seen.raw_path} {seen.body.decode()}"
        assert not [key for key in keys if key in told]
        assert "authorization" not in seen.headers
        assert "cookie" not in seen.headers


async def test_links_of_numora_on_other_hosts_never_get_the_key(made: World) -> None:
    """result_url and dispatch_url that are absolute, protocol-relative or dressed up lead to base_url or nowhere."""
    acme = await made.add_tenant(poll={"every": "100ms", "limit": 100})
    host = made.receiver.base.removeprefix("http://")
    numora = made.numora.base.removeprefix("http://")
    origins = [
        f"http://{host}", f"//{host}", f"http://{numora}@{host}", f"http://{numora}%40{host}", f"\\\\{host}\\",
        f"http:\\\\{host}", f"http://{host}#", f"/\\{host}", f"http://{host}?", f"HTTP://{host.upper()}", f"///{host}",
        f"http://127.1:{host.rpartition(':')[2]}", f"http://localhost:{numora.rpartition(':')[2]}", f"\t//{host}",
        f"https://{numora}", f"http://{numora}.{host}",
    ]  # fmt: skip
    await made.start()
    for number, origin in enumerate(origins):
        made.numora.foreign_result_url = origin
        doc = made.numora.add(acme.numora_key, invoice(number))
        await made.until(lambda doc=doc: doc.status == "push_succeeded")  # type: ignore[misc]
    made.numora.foreign_result_url = None
    made.numora.redirect_results = made.receiver.base
    made.numora.add(acme.numora_key, invoice(99))
    await made.until(lambda: len([seen for seen in made.numora.requests if "0099/result" in seen.path]) >= 1)
    assert made.receiver.requests == []
    assert all(seen.path.startswith("/v1/") for seen in made.numora.requests)
