"""Names that the probe container's curl looks up: by one family of addresses, and without a word to what they lead to."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from kubectl_svcprobe.lookup import all_addresses
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.request import LOOKUP, Request
from tests.sockets import curl
from tests.sockets.curl import needs_curl, probe
from tests.sockets.servers import http, serving

pytestmark = needs_curl

HTTP = Request("http", "/")


def test_a_mere_lookup_tells_a_name_that_is_known_from_one_that_is_not() -> None:
    known, unknown = probe(0, "localhost", 0, LOOKUP), probe(1, "nobody.invalid", 0, LOOKUP)
    seen = {o.probe_id: o.outcome for o in curl.run((known, unknown)).observations}
    assert seen == {0: Outcome.RESOLVED, 1: Outcome.DNS_FAILED}


def test_a_mere_lookup_sends_nothing_to_an_address_of_elsewhere() -> None:
    """192.0.2.1 (RFC 5737) would swallow a connection until its time is over."""
    (seen,) = curl.run((probe(0, "192.0.2.1", 0, LOOKUP),)).observations
    assert (seen.outcome, seen.connect_seconds) == (Outcome.RESOLVED, 0.0)
    assert seen.seconds < 0.5


def test_a_name_is_asked_for_by_ipv4() -> None:
    with serving(http(200)) as server:
        asked = probe(0, "localhost", server.port, HTTP)
        (seen,) = curl.run((replace(asked, path=replace(asked.path, family="IPv4")),)).observations
    assert (seen.outcome, seen.remote_ip) == (Outcome.ANSWERED, "127.0.0.1")


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_by_ipv6_only_a_server_of_ipv4_is_not_met() -> None:
    with serving(http(200)) as server:
        asked = probe(0, "localhost", server.port, HTTP)
        (seen,) = curl.run((replace(asked, path=replace(asked.path, family="IPv6")),)).observations
    assert seen.outcome in (Outcome.REFUSED, Outcome.DNS_FAILED)


def test_names_that_this_machine_does_not_know_have_no_address_however_odd_they_are() -> None:
    names = ("nobody.invalid", "no..name", "\udce4.invalid", "x" * 300)
    assert all_addresses(names) == dict.fromkeys(names, ())
