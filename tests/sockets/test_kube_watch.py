"""A watch hands on each event as it arrives, and ends in an orderly way."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import Any

import pytest

from kubectl_svcprobe.access.resources import PODS
from kubectl_svcprobe.errors import AccessError, ApiError, Forbidden, Gone
from tests.sockets.api_stub import ApiStub, Reply
from tests.sockets.kube_access import connected


def event(kind: str, name: str) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"name": name}}}).encode() + b"\n"


def begin(reply: Reply) -> None:
    reply.start(200, (("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")))


def names(events: Any) -> list[tuple[str, str]]:
    return [(kind, item["metadata"]["name"]) for kind, item in events]


def test_each_event_is_handed_on_before_the_next_one_happens() -> None:
    handed_on = [threading.Event() for _ in range(4)]

    def answer(reply: Reply) -> None:
        begin(reply)
        for number, event_was_handed_on in enumerate(handed_on):
            reply.chunk(event("MODIFIED", str(number)))
            # The next one is not even written while this one lingers in a buffer.
            assert event_was_handed_on.wait(10), f"event {number} was held back"
        reply.chunk(b"")

    with ApiStub(answer) as stub, connected(stub) as cluster:
        for number, (_, item) in enumerate(cluster.watch(PODS, "shop", timeout=30)):
            assert item["metadata"]["name"] == str(number)
            handed_on[number].set()
    assert all(event.is_set() for event in handed_on)


def test_the_question_says_from_when_and_for_how_long() -> None:
    def answer(reply: Reply) -> None:
        begin(reply)
        reply.chunk(b"")

    with ApiStub(answer) as stub, connected(stub) as cluster:
        watched = cluster.watch(PODS, "shop", field_selector="metadata.name=p", resource_version="42", timeout=2.5)
        assert list(watched) == []
    assert stub.received[0].path == (
        "/api/v1/namespaces/shop/pods?watch=true&fieldSelector=metadata.name%3Dp&resourceVersion=42&timeoutSeconds=3"
    )


def test_lines_and_pieces_need_not_agree() -> None:
    def answer(reply: Reply) -> None:
        begin(reply)
        text = event("ADDED", "é") + event("MODIFIED", "b") + b"\n" + event("DELETED", "c" * 200_000)
        for start in (0, 1, 30, 45):
            end = {0: 1, 1: 30, 30: 45, 45: len(text)}[start]
            reply.chunk(text[start:end])
        reply.chunk(b"")

    with ApiStub(answer) as stub, connected(stub) as cluster:
        assert names(cluster.watch(PODS, timeout=5)) == [("ADDED", "é"), ("MODIFIED", "b"), ("DELETED", "c" * 200_000)]


def test_a_body_of_known_length_is_read_too() -> None:
    with (
        ApiStub(lambda reply: reply.text(event("ADDED", "a"))) as stub,
        connected(stub) as cluster,
    ):
        assert names(cluster.watch(PODS, timeout=5)) == [("ADDED", "a")]


def test_an_expired_version_is_gone_whether_told_first_or_later() -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (2)"}

    def later(reply: Reply) -> None:
        begin(reply)
        reply.chunk(event("ADDED", "a"))
        reply.chunk(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")

    for answer in (lambda reply: reply.json(status, 410), later):
        with (
            ApiStub(answer) as stub,
            connected(stub) as cluster,
            pytest.raises(Gone, match="too old resource version"),
        ):
            list(cluster.watch(PODS, timeout=5))


def test_an_error_event_is_an_error() -> None:
    status = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd is down"}
    with (
        ApiStub(lambda reply: reply.text(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")) as stub,
        connected(stub) as cluster,
        pytest.raises(ApiError, match="etcd is down"),
    ):
        list(cluster.watch(PODS, timeout=5))


def test_a_line_that_is_no_event_is_an_error() -> None:
    for line in (b"<html>\n", b'{"type": "ADDED"}\n'):
        with (
            ApiStub(lambda reply, line=line: reply.text(line)) as stub,  # type: ignore[misc]
            connected(stub) as cluster,
            pytest.raises(AccessError),
        ):
            list(cluster.watch(PODS, timeout=5))


def test_a_forbidden_watch_says_so() -> None:
    with (
        ApiStub(lambda reply: reply.status_object(403, "Forbidden", "no")) as stub,
        connected(stub) as cluster,
        pytest.raises(Forbidden),
    ):
        next(cluster.watch(PODS, timeout=5))


def test_a_broken_connection_ends_the_watch_after_what_came() -> None:
    def answer(reply: Reply) -> None:
        begin(reply)
        reply.chunk(event("ADDED", "a") + event("MODIFIED", "half")[:10])
        reply.drop()

    with ApiStub(answer) as stub, connected(stub) as cluster:
        assert names(cluster.watch(PODS, timeout=5)) == [("ADDED", "a")]


def test_a_silent_server_ends_the_watch_when_its_time_is_over() -> None:
    over = threading.Event()

    def answer(reply: Reply) -> None:
        begin(reply)
        reply.chunk(event("ADDED", "a"))
        over.wait(5)

    with ApiStub(answer) as stub, connected(stub) as cluster:
        started = time.monotonic()
        assert names(cluster.watch(PODS, timeout=0.4)) == [("ADDED", "a")]
        assert time.monotonic() - started < 2
        over.set()


def test_closing_the_watch_closes_the_connection() -> None:
    closed = threading.Event()

    def answer(reply: Reply) -> None:
        begin(reply)
        reply.chunk(event("ADDED", "a"))
        if reply.connection.recv(1) == b"":
            closed.set()
        reply.drop()

    with ApiStub(answer, tls=False) as stub, connected(stub) as cluster:
        with contextlib.closing(cluster.watch(PODS, timeout=30)) as events:
            next(events)
        assert closed.wait(2)
