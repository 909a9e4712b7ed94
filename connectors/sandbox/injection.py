"""How a fault is done to a request on the wire, before or after its effect."""

import socket
import struct

from aiohttp import web

_HTML_502 = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
_LINGER_NOT = struct.pack("ii", 1, 0)


def html_502() -> web.Response:
    """Return what a proxy in between answers when the service is away."""
    return web.Response(status=502, text=_HTML_502, content_type="text/html")


def reset(request: web.BaseRequest) -> web.Response:
    """Reset the TCP connection: the peer sees ECONNRESET and no byte of an answer."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
    return lost()


def lost() -> web.Response:
    """Return the answer that nobody will read, since its connection is gone."""
    return web.Response(status=500)


def truncate(request: web.BaseRequest, response: web.Response) -> web.Response:
    """Send the head with the full Content-Length and half of the body, then close.

    An answer without a body is cut in the middle of its head.
    """
    transport = request.transport
    if transport is not None:
        body = response.body
        payload = bytes(body) if isinstance(body, bytes | bytearray) else b""
        head = [f"HTTP/1.1 {response.status} {response.reason}"]
        head += [f"{name}: {value}" for name, value in response.headers.items() if name.lower() != "content-length"]
        if payload:
            content_type = f"{response.content_type}; charset={response.charset or 'utf-8'}"
            if "Content-Type" not in response.headers:
                head.append(f"Content-Type: {content_type}")
            head.append(f"Content-Length: {len(payload)}")
            wire = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + payload[: len(payload) // 2]
        else:
            wire = head[0].encode("latin-1")
        transport.write(wire)
        transport.close()
    return lost()
