"""What reaches the API server, byte by byte: a real server on this machine writes down what it is asked."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kubectl_svcprobe.access import tls
from kubectl_svcprobe.access.kubeconfig import Pem
from kubectl_svcprobe.access.resources import NODES, PODS, SERVICES
from kubectl_svcprobe.errors import AccessError, ApiError, Gone, UsageError
from tests.sockets.api_stub import ApiStub, Reply
from tests.sockets.certificates import certificates
from tests.sockets.kube_access import SECRET, access, connected


def empty_object(reply: Reply) -> None:
    reply.json({"metadata": {}})


def test_every_request_says_who_asks_and_what_is_understood() -> None:
    with ApiStub() as stub, connected(stub) as cluster:
        cluster.raw_get("/version")
    (received,) = stub.received
    assert received.headers["user-agent"] == "kubectl-svcprobe/1.2.3"
    assert received.headers["accept"].startswith("application/json")
    assert received.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("fields", [{"token": SECRET}, {"token": "", "username": "jane", "password": SECRET}])
def test_credentials_never_travel_over_http(fields: dict[str, Any]) -> None:
    with ApiStub(tls=False) as stub, connected(stub, **fields) as cluster:
        cluster.raw_get("/version")
    assert "authorization" not in stub.received[0].headers


def test_the_token_file_wins(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    with ApiStub() as stub, connected(stub, token_file=str(tmp_path / "token")) as cluster:
        cluster.raw_get("/version")
    assert stub.received[0].headers["authorization"] == "Bearer from-file"


def test_a_password_is_sent_in_utf_8() -> None:
    with ApiStub() as stub, connected(stub, token="", username="jané", password="p:w") as cluster:
        cluster.raw_get("/version")
    sent = stub.received[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "jané:p:w"


def test_a_client_certificate_is_shown_from_files_and_from_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pair = certificates().client
    files = Pem(file=str(pair.certificate)), Pem(file=str(pair.key))
    data = Pem(data=pair.certificate.read_bytes()), Pem(data=pair.key.read_bytes())
    with ApiStub() as stub:
        for certificate, key in (files, data, (files[0], data[1])):
            with connected(stub, token="", client_certificate=certificate, client_key=key) as cluster:
                cluster.raw_get("/version")
    assert [received.user for received in stub.received] == ["jane"] * 3
    assert list(tmp_path.iterdir()) == []


def test_an_encrypted_key_is_refused_without_asking_for_its_password(tmp_path: Path) -> None:
    pair, encrypted = certificates().client, tmp_path / "encrypted.key"
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-v2", "aes-128-cbc", "-passout", "pass:pw", "-in", pair.key, "-out", encrypted],
        check=True,
    )
    with pytest.raises(AccessError, match="client certificate cannot be used"):
        tls.make_context(
            access("https://h", client_certificate=Pem(file=str(pair.certificate)), client_key=Pem(file=str(encrypted)))
        )


def test_the_key_of_another_certificate_is_refused() -> None:
    made = certificates()
    with pytest.raises(AccessError, match="private key does not match public key"):
        tls.make_context(
            access(
                "https://h",
                client_certificate=Pem(file=str(made.client.certificate)),
                client_key=Pem(file=str(made.server.key)),
            )
        )


def test_the_servers_name_can_be_given() -> None:
    with (
        ApiStub(pair=certificates().other_name) as stub,
        connected(stub, tls_server_name="api.example") as cluster,
    ):
        cluster.raw_get("/version")
    assert stub.received[0].server_name == "api.example"


def test_the_authority_may_be_data() -> None:
    authority = Pem(data=certificates().authority.certificate.read_bytes())
    with ApiStub() as stub, connected(stub, ca=authority) as cluster:
        cluster.raw_get("/version")
    assert len(stub.received) == 1


def test_an_authority_without_key_identifiers_is_accepted_on_every_python() -> None:
    authority = Pem(file=str(certificates().plain_authority.certificate))
    with ApiStub(pair=certificates().plain_server) as stub, connected(stub, ca=authority) as cluster:
        cluster.raw_get("/version")
    assert not tls.make_context(access("https://h")).verify_flags & ssl.VERIFY_X509_STRICT


def test_a_strict_python_would_reject_that_authority() -> None:
    context = ssl.create_default_context(cafile=str(certificates().plain_authority.certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with ApiStub(pair=certificates().plain_server) as stub:
        host, _, port = stub.address.partition(":")
        with (
            socket.create_connection((host, int(port))) as plain,
            pytest.raises(ssl.SSLCertVerificationError, match="Missing"),
        ):
            context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_insecure_means_no_check_and_no_word_about_it(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        ApiStub(pair=certificates().stranger) as stub,
        connected(stub, ca=None, insecure=True) as cluster,
    ):
        cluster.raw_get("/version")
    assert capfd.readouterr() == ("", "")


def test_an_authority_that_is_no_certificate_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    for authority in (Pem(data=b"nothing"), Pem(file=str(tmp_path / "ca.crt"))):
        with pytest.raises(AccessError, match="unable to load root certificates"):
            tls.make_context(access("https://h", ca=authority))


def test_a_token_that_would_break_the_header_is_not_sent_nor_shown() -> None:
    with (
        ApiStub() as stub,
        connected(stub, token=f"{SECRET}\r\nX-Other: 1") as cluster,
        pytest.raises(AccessError) as error,
    ):
        cluster.raw_get("/version")
    assert SECRET not in str(error.value)
    assert stub.received == []


def test_a_name_that_leads_to_another_path_is_not_sent() -> None:
    with ApiStub() as stub, connected(stub) as cluster:
        for name in ("", ".", "..", "a/b", "../nodes/n", "a%2fb"):
            with pytest.raises(UsageError):
                cluster.get(SERVICES, "shop", name)
        with pytest.raises(UsageError):
            cluster.list(SERVICES, "../x")
    assert stub.received == []


def test_names_and_selectors_are_quoted() -> None:
    with ApiStub(empty_object) as stub, connected(stub) as cluster:
        cluster.get(SERVICES, "shop", "a b?c#dé")
        cluster.list(SERVICES, "shop", label_selector="a in (b,c)", field_selector="metadata.name=x&y")
    assert stub.received[0].path == "/api/v1/namespaces/shop/services/a%20b%3Fc%23d%C3%A9"
    query = parse_qs(urlsplit(stub.received[1].path).query)
    assert query == {"labelSelector": ["a in (b,c)"], "fieldSelector": ["metadata.name=x&y"], "limit": ["500"]}


def pages(reply: Reply) -> None:
    token = parse_qs(urlsplit(reply.path).query).get("continue", [""])[0]
    following = {"": "second", "second": "third", "third": ""}[token]
    metadata = {"resourceVersion": f"after-{token}", "continue": following}
    reply.json({"metadata": metadata, "items": [{"metadata": {"name": f"page-{token or 'first'}"}}]})


def test_a_list_is_read_page_by_page() -> None:
    with ApiStub(pages) as stub, connected(stub) as cluster:
        listing = cluster.listing(SERVICES, limit=1)
    assert [item["metadata"]["name"] for item in listing.items] == ["page-first", "page-second", "page-third"]
    assert listing.resource_version == "after-third"


class Expiring:
    """A list whose second page is gone for the first `times` times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, reply: Reply) -> None:
        if "continue=second" in reply.path and self.left:
            self.left -= 1
            reply.status_object(410, "Expired", "The provided continue parameter is too old")
        else:
            pages(reply)


def test_a_list_that_expires_starts_again_once() -> None:
    with ApiStub(Expiring(1)) as stub, connected(stub) as cluster:
        assert len(cluster.list(SERVICES)) == 3
    assert len(stub.received) == 5
    with ApiStub(Expiring(2)) as stub, connected(stub) as cluster, pytest.raises(Gone):
        cluster.list(SERVICES)


def test_an_empty_list_may_be_null() -> None:
    with (
        ApiStub(lambda reply: reply.json({"metadata": None, "items": None})) as stub,
        connected(stub) as cluster,
    ):
        assert cluster.list(NODES) == []


def test_create_sends_the_body_and_keeps_the_warnings() -> None:
    def answer(reply: Reply) -> None:
        warning = '299 - "would violate \\"restricted\\"", 299 - "second"'
        reply.json({"metadata": {"name": "p"}}, 201, (("Warning", warning), ("Warning", '299 - "third"')))

    body = {"metadata": {"name": "p", "labels": {"é": "ü"}}}
    with ApiStub(answer) as stub, connected(stub) as cluster:
        cluster.create(PODS, "shop", body)
        cluster.create(PODS, "shop", body, dry_run=True)
        assert cluster.warnings == ('would violate "restricted"', "second", "third")
    first, second = stub.received
    assert (first.method, first.path) == ("POST", "/api/v1/namespaces/shop/pods?fieldManager=kubectl-svcprobe")
    assert first.headers["content-type"] == "application/json"
    assert json.loads(first.body) == body
    assert "dryRun=All" in second.path


def test_delete_sends_its_options() -> None:
    with ApiStub(empty_object) as stub, connected(stub) as cluster:
        cluster.delete(PODS, "shop", "p")
        cluster.delete(PODS, "shop", "p", grace_period=0, uid="u")
    options = {"apiVersion": "v1", "kind": "DeleteOptions"}
    assert [received.method for received in stub.received] == ["DELETE", "DELETE"]
    assert json.loads(stub.received[0].body) == options
    assert json.loads(stub.received[1].body) == {**options, "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}


def test_a_log_comes_as_bytes() -> None:
    with (
        ApiStub(lambda reply: reply.text(b"\xff\x00\n")) as stub,
        connected(stub) as cluster,
    ):
        assert cluster.log("shop", "p", "main") == b"\xff\x00\n"
        cluster.log("shop", "p", "main", tail_lines=5, limit_bytes=9, previous=True)
    assert stub.received[0].path == "/api/v1/namespaces/shop/pods/p/log?container=main"
    query = parse_qs(urlsplit(stub.received[1].path).query)
    assert query == {"container": ["main"], "tailLines": ["5"], "limitBytes": ["9"], "previous": ["true"]}


def test_each_answer_is_told_of() -> None:
    told: list[tuple[str, str, int, int]] = []

    def answer(reply: Reply) -> None:
        if "missing" in reply.path:
            reply.text(b"no", 404)
        else:
            reply.json({})

    with (
        ApiStub(answer) as stub,
        connected(stub, on_request=lambda *what: told.append(what)) as cluster,
    ):
        cluster.raw_get("/version")
        with pytest.raises(ApiError):
            cluster.raw_get("/missing")
        list(cluster.watch(PODS, timeout=1))
    watched = "/api/v1/pods?watch=true&timeoutSeconds=1"
    assert told == [("GET", "/version", 200, 2), ("GET", "/missing", 404, 2), ("GET", watched, 200, 0)]


def test_threads_share_the_connections_and_do_not_wait_for_each_other() -> None:
    together = threading.Barrier(16)

    def held(reply: Reply) -> None:
        # Sixteen requests have to be under way at the same time, or the barrier breaks.
        together.wait(10)
        reply.json({"port": reply.client_address[1]})

    with ApiStub(held) as stub, connected(stub) as cluster, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: cluster.raw_get("/version"), range(32)))
    assert len({answer["port"] for answer in answers}) <= 16
