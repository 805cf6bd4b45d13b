"""A port-forward without a word: which ports complain when the API server has them connected to inside a pod.

The protocol is `v4.channel.k8s.io` (kubelet/pkg/cri/streaming/portforward/websocket.go): each port has a channel for data and
one for complaints, and the connections are made as soon as the web socket stands.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

PROTOCOL = "v4.channel.k8s.io"

#: A channel begins with its port's number, in two bytes; what follows on a channel of complaints is text.
_NUMBER_BYTES = 2


def open_socket(
    url: str, headers: dict[str, str], context: ssl.SSLContext | None, name: str, proxy: str, timeout: float
) -> Any:
    """A web socket to the API server; raises what `websocket` and `socket` raise.

    `name` is the server's name on its certificate, if it is not the URL's; `proxy` the proxy's URL, if there is one.
    """
    # It comes with `kubernetes`, whose own wrapper reads certificates from files only.
    import websocket

    options: dict[str, Any] = {
        "header": headers,
        "subprotocols": [PROTOCOL],
        "timeout": timeout,
        "suppress_origin": True,
    }
    if context:
        checks = {"cert_reqs": context.verify_mode, "check_hostname": context.check_hostname}
        options["sslopt"] = {"context": context, **checks, **({"server_hostname": name} if name else {})}
    # Without either, the library would look for a proxy in the environment by rules of its own.
    options.update(_proxy(proxy) if proxy else {"http_no_proxy": ["*"]})
    return websocket.create_connection("ws" + url.removeprefix("http"), **options)


def _proxy(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"http_proxy_host": parts.hostname, "http_proxy_port": port, "http_proxy_auth": credentials}


def complaints(connection: Any, ports: Sequence[int], timeout: float, quiet: float) -> dict[int, str]:
    """What was complained of, by port, within `timeout` seconds or until none has come for `quiet` seconds after one."""
    import websocket

    found: dict[int, bytes] = {}
    until = time.monotonic() + timeout
    with contextlib.suppress(websocket.WebSocketException, OSError):
        while len(found) < len(ports) and (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            frame = connection.recv_frame()
            if frame.opcode == frame.OPCODE_CLOSE:
                break
            if frame.opcode != frame.OPCODE_BINARY or not frame.data:
                continue
            channel, text = frame.data[0], bytes(frame.data[1:])
            if channel % 2 and channel < 2 * len(ports) and len(text) > _NUMBER_BYTES:
                found[ports[channel // 2]] = text
                until = min(until, time.monotonic() + quiet)
    return {port: text.decode("utf-8", "replace").strip() for port, text in found.items()}
