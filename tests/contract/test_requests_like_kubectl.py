"""What kubectl and we send to one server for one kubeconfig, and what both say when it goes wrong."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kubectl_svcprobe.access.kube import Cluster
from kubectl_svcprobe.access.kubeconfig import load
from kubectl_svcprobe.errors import AccessError
from tests.contract.kubectl import kubectl, last_line, needs_kubectl
from tests.sockets.api_stub import Answer, ApiStub, Received, version
from tests.sockets.certificates import Certificates, Pair, certificates
from tests.unit.access.kubeconfigs import kubeconfig

pytestmark = needs_kubectl

TOKEN = {"token": "inline"}


@dataclass(frozen=True)
class Sent:
    """One kubeconfig; PEM files are named by the fields of `Certificates`."""

    name: str
    user: dict[str, str]
    cluster: dict[str, Any] = field(default_factory=lambda: {"certificate-authority": "authority.crt"})
    pair: str = "server"
    tls: bool = True


SENT = [
    Sent("a token", TOKEN),
    Sent("a token file", {"tokenFile": "token"}),
    Sent("a token file beside a token", {"tokenFile": "token", **TOKEN}),
    Sent("a missing token file beside a token", {"tokenFile": "none", **TOKEN}),
    Sent("a password", {"username": "jané", "password": "p:w"}),
    Sent("a client certificate", {"client-certificate": "client.crt", "client-key": "client.key"}),
    Sent("a client certificate and a token", {"client-certificate": "client.crt", "client-key": "client.key", **TOKEN}),
    Sent("no credentials over http", TOKEN, {}, tls=False),
    Sent("no password over http", {"username": "jane", "password": "pw"}, {}, tls=False),
    Sent("insecure", TOKEN, {"insecure-skip-tls-verify": True}, "stranger"),
    Sent(
        "tls-server-name",
        TOKEN,
        {"certificate-authority": "authority.crt", "tls-server-name": "api.example"},
        "other_name",
    ),
    Sent("the server's own certificate as authority", TOKEN, {"certificate-authority": "stranger.crt"}, "stranger"),
    Sent(
        "an authority without key identifiers",
        TOKEN,
        {"certificate-authority": "plain_authority.crt"},
        "plain_server",
    ),
]


@pytest.mark.parametrize("sent", SENT, ids=lambda sent: sent.name)
def test_both_send_the_same(sent: Sent, tmp_path: Path) -> None:
    with ApiStub(pair=getattr(certificates(), sent.pair), tls=sent.tls) as stub:
        config = _write(tmp_path, {"server": stub.url, **sent.cluster}, sent.user)
        done = kubectl("get", "--raw", "/version", "--kubeconfig", str(config), home=tmp_path)
        assert done.returncode == 0, done.stderr
        _ask(config)
    # kubectl may first ask which version the server has
    *_, theirs, ours = stub.received
    assert theirs.headers["user-agent"].startswith("kubectl/")
    assert _identity(ours) == _identity(theirs)
    assert ours.path == theirs.path


def _identity(received: Received) -> tuple[str, str, str]:
    return received.headers.get("authorization", ""), received.user, received.server_name


def _write(directory: Path, cluster: dict[str, Any], user: dict[str, str]) -> Path:
    (directory / "token").write_text("from-file\n")
    made: Certificates = certificates()
    for name in Certificates.__dataclass_fields__:
        pair: Pair = getattr(made, name)
        (directory / f"{name}.crt").write_bytes(pair.certificate.read_bytes())
        (directory / f"{name}.key").write_bytes(pair.key.read_bytes())
    (directory / "config").write_text(kubeconfig(cluster, user))
    return directory / "config"


def _ask(config: Path) -> None:
    access = load(str(config), None, os.environ)
    with contextlib.closing(Cluster.connect(access, user_agent="test", request_timeout=10)) as cluster:
        cluster.raw_get("/version")


def _plain(status: int) -> Answer:
    return lambda reply: reply.text(b"no", status)


@dataclass(frozen=True)
class Failure:
    """A server that fails; `ours` is given where our words differ on purpose."""

    name: str
    answer: Answer = version
    pair: str = "server"
    tls: bool = True
    server: str = ""  #: instead of the stub
    ours: str = ""


FAILURES = [
    Failure("refused", server="https://127.0.0.1:1"),
    Failure("refused on the default port", server="https://localhost"),
    Failure("refused over http", server="http://127.0.0.1:1"),
    Failure("no such host", server="https://nosuch.invalid"),
    Failure("another scheme", server="ftp://127.0.0.1"),
    Failure("unknown authority", pair="stranger"),
    Failure("expired", pair="expired"),
    Failure(
        "another name",
        pair="other_name",
        ours="Unable to connect to the server: tls: failed to verify certificate: x509: "
        "certificate is not valid for 127.0.0.1",
    ),
    Failure("closed without an answer", lambda reply: reply.drop()),
    *(Failure(f"plain {status}", _plain(status)) for status in (301, 400, 403, 404, 405, 409, 429, 500, 502, 503, 504)),
    Failure("plain 401", _plain(401), ours="error: You must be logged in to the server (Unauthorized)"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_both_say_the_same(failure: Failure, tmp_path: Path) -> None:
    with ApiStub(failure.answer, pair=getattr(certificates(), failure.pair), tls=failure.tls) as stub:
        cluster = {"server": failure.server or stub.url, "certificate-authority": "authority.crt"}
        config = _write(tmp_path, cluster, TOKEN)
        done = kubectl("get", "--raw", "/version", "--kubeconfig", str(config), home=tmp_path)
        with pytest.raises(AccessError) as error:
            _ask(config)
    assert done.returncode == 1
    assert str(error.value) == (failure.ours or _without_chance(last_line(done.stderr)))


def _without_chance(line: str) -> str:
    """kubectl's line without what differs each time: source ports, times, and which DNS server was asked."""
    line = re.sub(r"\S+->(\S+): read: ", r"\1: ", line)
    line = re.sub(r": current time .*", "", line)
    return re.sub(r" on \S+:53: ", ": ", line)


FILES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "a missing file": (lambda d: ["--kubeconfig", str(d / "none")], ""),
    "an unknown context": (lambda d: ["--kubeconfig", str(d / "config"), "--context", "nope"], "nope"),
}


@pytest.mark.parametrize("name", FILES)
def test_both_refuse_the_same(name: str, tmp_path: Path) -> None:
    flags, context = FILES[name]
    _write(tmp_path, {}, TOKEN)
    done = kubectl("get", "services", *flags(tmp_path), home=tmp_path)
    with pytest.raises(AccessError) as error:
        load(flags(tmp_path)[1], context, {})
    assert str(error.value) == last_line(done.stderr)
