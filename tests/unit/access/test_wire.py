"""Bytes from the API server, taken apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe.access import wire
from kubectl_svcprobe.errors import AccessError, ApiError, Gone


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ('299 - "deprecated"', ["deprecated"]),
        (r'299 - "a \"b\" \\ c"', ['a "b" \\ c']),
        ('299 - "a, b", 299 agent/1.0 "c"', ["a, b", "c"]),
        ('299 - "a" "Wed, 21 Oct 2015 07:28:00 GMT"', ["a"]),
        ('299 - ""', [""]),
        ("no warning", []),
    ],
)
def test_warning_headers_are_read_by_rfc_7234(header: str, texts: list[str]) -> None:
    assert wire.warnings([header]) == texts


@given(st.lists(st.binary().map(lambda text: text.replace(b"\n", b"")), max_size=5), st.data())
def test_lines_come_whole_wherever_the_stream_is_cut(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(part + b"\n" for part in parts) + b"unfinished"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert list(wire.lines(pieces)) == [part for part in parts if part.strip()]


def test_a_line_is_handed_on_before_the_next_piece_is_asked_for() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one\ntw"
        raise AssertionError("asked too early")

    assert next(wire.lines(pieces())) == b"one"


def test_events_are_pairs_and_an_error_is_raised() -> None:
    lines = [
        b'{"type": "ADDED", "object": {"a": 1}}',
        b'{"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "old"}}',
    ]
    events = wire.events(lines)
    assert next(events) == ("ADDED", {"a": 1})
    with pytest.raises(Gone, match="old"):
        next(events)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'"text"', b"{", b"\xff", b"<html>"])
def test_what_is_no_object_is_an_error(content: bytes) -> None:
    with pytest.raises(AccessError, match="the server's answer to /api is not a JSON object"):
        wire.decode(content, "/api")


@given(st.integers(300, 599), st.binary(max_size=300))
def test_any_refusal_is_one_line(status: int, content: bytes) -> None:
    error = wire.refusal(status, content)
    assert isinstance(error, ApiError)
    assert error.status == status
    assert len(str(error)) < 2000
