"""At which ports an alias is told that its clients speak by name."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.rules.aliases import external_name_speaks_by_name
from tests.unit.core.build import service, snapshot


def found(port: ServicePort) -> int:
    alias = service(port, type="ExternalName", external_name="db.example.com", selector={}, cluster_ips=())
    return len(list(external_name_speaks_by_name.check(Evidence(snapshot(alias)))))


@pytest.mark.parametrize("number", [80, 443, 8000, 8080, 8443])
def test_where_the_number_says_http_or_tls(number: int) -> None:
    assert found(ServicePort(number, number))


@pytest.mark.parametrize("number", [79, 81, 442, 444, 5432, 7999, 8001, 8079, 8081, 8442, 8444])
def test_not_where_it_does_not(number: int) -> None:
    assert not found(ServicePort(number, number))
