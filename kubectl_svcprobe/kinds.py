"""The kinds of object that lead to a Service, by every word that kubectl knows them by. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.resources import Resource


@dataclass(frozen=True)
class Kind:
    """A kind, its short names, and an example of how it is given."""

    resource: Resource
    short: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """What messages call it: `deployment`."""
        return self.resource.kind.lower()


SERVICE = Kind(r.SERVICES, ("svc",))
POD = Kind(r.PODS, ("po",))
WORKLOADS = (
    Kind(r.DEPLOYMENTS, ("deploy",)),
    Kind(r.STATEFUL_SETS, ("sts",)),
    Kind(r.DAEMON_SETS, ("ds",)),
    Kind(r.REPLICA_SETS, ("rs",)),
    Kind(r.JOBS),
)
ROUTES = (
    Kind(r.INGRESSES, ("ing",)),
    Kind(r.HTTP_ROUTES),
    Kind(r.GRPC_ROUTES),
    Kind(r.OPENSHIFT_ROUTES),
)
KINDS = (SERVICE, POD, *WORKLOADS, *ROUTES)

#: Kinds that lead to no Service, and are no namespace's name either.
OTHERS = frozenset(
    {
        "all",
        "cm",
        "configmap",
        "configmaps",
        "cronjob",
        "cronjobs",
        "cj",
        "endpoints",
        "ep",
        "endpointslice",
        "endpointslices",
    }
    | {
        "event",
        "events",
        "gateway",
        "gateways",
        "gtw",
        "namespace",
        "namespaces",
        "ns",
        "netpol",
        "networkpolicy",
        "pv",
        "pvc",
    }
    | {
        "networkpolicies",
        "persistentvolumeclaim",
        "persistentvolumeclaims",
        "rc",
        "replicationcontroller",
        "sa",
        "secret",
    }
    | {"replicationcontrollers", "secrets", "serviceaccount", "serviceaccounts"}
)

#: How the kinds are given, for messages.
ALLOWED = "svc/, deploy/, sts/, ds/, rs/, job/, pod/, ingress/, httproute/, grpcroute/ or route/"


def find(word: str) -> Kind | None:
    """The kind that `deploy`, `deployments`, `deployment.apps` or `deployments.v1.apps` means; None where none is meant."""
    plain, _, rest = word.lower().partition(".")
    for kind in KINDS:
        resource = kind.resource
        if plain in (kind.word, resource.plural, *kind.short):
            version, _, group = rest.partition(".")
            # kubectl reads `services.v1.` as the version and the empty group after it.
            is_meant = rest == resource.group or (version == resource.version and group == resource.group)
            if not rest or is_meant:
                return kind
    return None
