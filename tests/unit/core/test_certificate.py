"""Certificates, read from their DER: right ones, and what a hostile server may show instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe.probe.certificate import MOST_CERTIFICATES, Certificate, chain_of, read
from tests.unit.cases import named


def der(case: str) -> bytes:
    return chain_of((named(case).folder / "observations.yaml").read_text())[0]


RIGHT = der("SVC715-quiet-right")


def test_the_fields_that_are_told() -> None:
    assert read(RIGHT) == Certificate(
        subject="right",
        issuer="Shop authority",
        not_before="2025-12-01T00:00:00Z",
        not_after="2026-03-01T00:00:00Z",
        names=("web.shop.svc", "web.shop"),
    )


def test_one_that_signed_itself() -> None:
    found = read(der("SVC715-signed-by-itself"))
    assert found is not None
    assert found.is_self_issued


@pytest.mark.parametrize("length", range(len(RIGHT)))
def test_a_part_of_a_certificate_is_none_or_the_same(length: int) -> None:
    """Cut anywhere, it is not read; nothing is raised."""
    assert read(RIGHT[:length]) is None


@given(st.binary(max_size=300))
def test_anything_may_be_shown(content: bytes) -> None:
    assert read(content) is None or content[:1] == b"\x30"


@given(st.integers(0, len(RIGHT) - 1), st.integers(0, 255))
def test_a_byte_may_be_another_one(place: int, value: int) -> None:
    found = read(RIGHT[:place] + bytes([value]) + RIGHT[place + 1 :])
    said = (found.subject, found.issuer, *found.names) if found else ()
    assert all(text.isprintable() and text.isascii() for text in said)


def test_a_chain_is_bounded() -> None:
    pem = (named("SVC715-quiet-right").folder / "observations.yaml").read_text()
    assert len(chain_of(pem * 10)) == MOST_CERTIFICATES
    assert chain_of("-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----") == ()


COVERS = {
    ("web.shop.svc", "web.shop.svc"): True,
    ("WEB.shop.svc", "web.SHOP.svc"): True,
    ("*.shop.svc", "web.shop.svc"): True,
    ("*.shop.svc", "a.web.shop.svc"): False,
    ("*.svc", "web.shop.svc"): False,
    ("*", "web"): False,
    ("10.96.0.7", "10.96.0.7"): True,
    ("*.96.0.7", "10.96.0.7"): False,
}


@pytest.mark.parametrize(("made_out", "asked"), COVERS)
def test_which_names_a_certificate_covers(made_out: str, asked: str) -> None:
    assert Certificate("", "", "", "", (made_out,)).covers(asked) is COVERS[made_out, asked]
