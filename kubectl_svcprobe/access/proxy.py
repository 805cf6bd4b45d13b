"""Which proxy the environment asks for, by the rules of Go's `golang.org/x/net/http/httpproxy`, which kubectl follows.

Loopback servers never go through a proxy, and `ALL_PROXY` does not count.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from kubectl_svcprobe.errors import AccessError


def environment_proxy(server: str, environ: Mapping[str, str]) -> str:
    """The proxy's URL for this server, or an empty string; AccessError for a kind of proxy that is not supported."""
    url = urlsplit(server)
    proxy = _variable(environ, f"{url.scheme}_proxy")
    if not proxy or _bypassed(url.hostname or "", url.port or _default_port(url.scheme), environ):
        return ""
    proxy = proxy if "://" in proxy else "http://" + proxy
    scheme = urlsplit(proxy).scheme
    if scheme not in ("http", "https"):
        name = f"{url.scheme.upper()}_PROXY"
        raise AccessError(f"error: {name} asks for a {scheme} proxy, which kubectl svcprobe does not support yet")
    return proxy


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _bypassed(host: str, port: int, environ: Mapping[str, str]) -> bool:
    if host == "localhost":
        return True
    address = _address(host)
    if address is not None and address.is_loopback:
        return True
    entries = (entry.strip().lower() for entry in _variable(environ, "no_proxy").split(","))
    return any(_matches(entry, host, address, port) for entry in entries if entry)


def _matches(entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    """Whether one entry of NO_PROXY covers the host: `*`, an address, a network, a domain, each perhaps with a port."""
    if entry == "*":
        return True
    if address is not None and "/" in entry:
        return _in_network(address, entry)
    name, wanted_port = _split_port(entry)
    if wanted_port and wanted_port != str(port):
        return False
    if address is not None:
        return address == _address(name.strip("[]"))
    domain = name.removeprefix("*")
    # ".example.com" covers only what is below it, "example.com" itself too
    return host.endswith(domain if domain.startswith(".") else "." + domain) or host == domain


def _split_port(entry: str) -> tuple[str, str]:
    name, separator, port = entry.rpartition(":")
    is_port = bool(separator) and port.isdigit() and (":" not in name or name.endswith("]"))
    return (name, port) if is_port else (entry, "")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
