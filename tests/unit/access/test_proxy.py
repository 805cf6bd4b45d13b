"""The rules of Go's httpproxy, whose own test table most of these rows follow."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.access.proxy import environment_proxy
from kubectl_svcprobe.errors import AccessError

API = "https://api.example.com:6443"

CHOSEN = [
    ({}, API, ""),
    ({"HTTPS_PROXY": "http://proxy:3128"}, API, "http://proxy:3128"),
    ({"https_proxy": "http://proxy:3128"}, API, "http://proxy:3128"),
    ({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, API, "http://upper:1"),
    ({"HTTPS_PROXY": "proxy:3128"}, API, "http://proxy:3128"),
    ({"HTTPS_PROXY": "https://jane:pw@proxy"}, API, "https://jane:pw@proxy"),
    ({"HTTP_PROXY": "http://proxy:3128"}, API, ""),
    ({"HTTP_PROXY": "http://proxy:3128"}, "http://api.example.com", "http://proxy:3128"),
    ({"ALL_PROXY": "http://proxy:3128"}, API, ""),
    ({"HTTPS_PROXY": "http://proxy:3128"}, "https://localhost:6443", ""),
    ({"HTTPS_PROXY": "http://proxy:3128"}, "https://127.0.0.1:6443", ""),
    ({"HTTPS_PROXY": "http://proxy:3128"}, "https://127.1.2.3:6443", ""),
    ({"HTTPS_PROXY": "http://proxy:3128"}, "https://[::1]:6443", ""),
    ({"HTTPS_PROXY": "http://proxy:3128"}, "https://10.0.0.1", "http://proxy:3128"),
]


@pytest.mark.parametrize(("environ", "server", "expected"), CHOSEN)
def test_the_environment_chooses_the_proxy(environ: dict[str, str], server: str, expected: str) -> None:
    assert environment_proxy(server, environ) == expected


BYPASSED = [
    ("*", API, True),
    ("example.com", API, True),
    (".example.com", API, True),
    ("*.example.com", API, True),
    ("API.Example.Com", API, True),
    ("api.example.com:6443", API, True),
    ("api.example.com:443", API, False),
    ("other.com, example.com", API, True),
    ("ample.com", API, False),
    ("example.com.org", API, False),
    ("", API, False),
    (",", API, False),
    ("example.com", "https://example.com", True),
    (".example.com", "https://example.com", False),
    ("example.com:443", "https://example.com", True),
    ("10.0.0.0/8", "https://10.1.2.3:6443", True),
    ("10.0.0.0/8", "https://11.1.2.3:6443", False),
    ("10.1.2.3", "https://10.1.2.3:6443", True),
    ("10.1.2.3:6443", "https://10.1.2.3:6443", True),
    ("10.1.2.3:443", "https://10.1.2.3:6443", False),
    ("10.1", "https://10.1.2.3:6443", False),
    ("10.0.0.0/99", "https://10.1.2.3:6443", False),
    ("fd00::1", "https://[fd00::1]:6443", True),
    ("[fd00::1]:6443", "https://[fd00::1]:6443", True),
    ("fd00::/8", "https://[fd00::1]:6443", True),
    ("10.0.0.0/8", API, False),
]


@pytest.mark.parametrize(("no_proxy", "server", "bypassed"), BYPASSED)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_read_as_go_reads_it(name: str, no_proxy: str, server: str, bypassed: bool) -> None:
    environ = {"HTTPS_PROXY": "http://proxy:3128", name: no_proxy}
    assert environment_proxy(server, environ) == ("" if bypassed else "http://proxy:3128")


def test_a_socks_proxy_is_refused_by_name() -> None:
    with pytest.raises(AccessError, match="HTTPS_PROXY asks for a socks5 proxy"):
        environment_proxy(API, {"HTTPS_PROXY": "socks5://proxy:1080"})
