"""What a rule is: a record, one generator, and the page about it (the generator's docstring)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.report import Confidence, Severity


@dataclass(frozen=True)
class Match:
    """One occurrence.

    `headline` is the verdict's sentence, should this be the worst; `brief` says it in a line of a list, after the name;
    `severity` overrides the rule's; `port` is the Service's port that it is about, 0 for all of it. What is not `certain`
    says so in its words too.
    """

    subject: ObjectRef
    headline: str
    message: str
    evidence: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    severity: Severity | None = None
    brief: str = ""
    port: int = 0
    confidence: Confidence = Confidence.CERTAIN


Check = Callable[[Evidence], Iterator[Match]]


@dataclass(frozen=True)
class Rule:
    """A pattern that can be found.

    `reads` are the kinds without which the rule cannot judge: where one of them could not be read, it is skipped.
    `explains` are the codes whose findings are consequences of this one, and are folded under it. One that `is_last_resort`
    runs only where no other has found more than information.
    """

    code: str
    name: str
    severity: Severity
    reads: frozenset[str]
    explains: tuple[str, ...]
    source: str
    since: str
    check: Check
    is_last_resort: bool = False

    @property
    def page(self) -> str:
        """What, why, exceptions and fix, as Markdown."""
        return inspect.cleandoc(self.check.__doc__ or "")


def rule(
    code: str,
    name: str,
    severity: Severity,
    *,
    reads: set[str],
    explains: tuple[str, ...] = (),
    source: str,
    since: str = "0.1",
    is_last_resort: bool = False,
) -> Callable[[Check], Rule]:
    """Make a Rule of a generator. Registration is the tuple in `rules/__init__.py`."""

    def make(check: Check) -> Rule:
        return Rule(code, name, severity, frozenset(reads), explains, source, since, check, is_last_resort)

    return make


#: Where the sources are.
DEBUG_SERVICE = "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/"
SERVICE_DOC = "https://kubernetes.io/docs/concepts/services-networking/service/"
PROXY_DOC = "https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/"
LOAD_BALANCER_DOC = "https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/"
VIRTUAL_IPS = "https://kubernetes.io/docs/reference/networking/virtual-ips/"
INGRESS_DOC = "https://kubernetes.io/docs/concepts/services-networking/ingress/"
GATEWAY_DOC = "https://kubernetes.io/docs/concepts/services-networking/gateway/"
NETWORKING_DOC = "https://kubernetes.io/docs/concepts/cluster-administration/networking/"
DNS_DOC = "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/"
POLICY_DOC = "https://kubernetes.io/docs/concepts/services-networking/network-policies/"
READINESS_DOC = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
RBAC_DOC = "https://kubernetes.io/docs/reference/access-authn-authz/rbac/"
LABELS_DOC = "https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/"
POD_DEBUG_DOC = "https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/"
SLICES_DOC = "https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/"
IMAGES_DOC = "https://kubernetes.io/docs/concepts/containers/images/"
INIT_DOC = "https://kubernetes.io/docs/tasks/debug/debug-application/debug-init-containers/"
NODE_DOC = "https://kubernetes.io/docs/concepts/architecture/nodes/"
POD_LIFECYCLE_DOC = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"
RESOURCES_DOC = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"
SCHEDULING_DOC = "https://kubernetes.io/docs/concepts/scheduling-eviction/"
