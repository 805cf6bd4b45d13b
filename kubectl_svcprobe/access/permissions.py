"""What the tool asks of the API server, and what each permission is for. The RBAC manifests are generated from here."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_svcprobe.access import resources as r


@dataclass(frozen=True)
class Permission:
    """One row: verbs on a resource (or its subresource, or only objects of these `names`), and what is lost without it."""

    resource: r.Resource
    verbs: tuple[str, ...]
    purpose: str
    without: str
    subresource: str = ""
    names: tuple[str, ...] = ()

    @property
    def plural(self) -> str:
        """The word for `resources:` in an RBAC rule."""
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


READ = (
    Permission(
        r.SERVICES,
        ("get", "list"),
        "the Service itself; nearest names; in all namespaces, whose an address or a host is",
        "nothing can be said; whose an address is, is looked up in one namespace and said to be so",
    ),
    Permission(r.ENDPOINT_SLICES, ("list",), "the addresses behind it", "rules about endpoints are skipped"),
    Permission(r.PODS, ("list",), "what the selector matches, and why it is not ready", "rules about pods are skipped"),
    Permission(r.EVENTS, ("list",), "load balancers and failing pods, in their own words", "reasons are less exact"),
    Permission(r.NETWORK_POLICIES, ("list",), "whether policies admit the probe", "policies are not named"),
    Permission(r.INGRESSES, ("list",), "Ingresses that lead to it, to try them and find wrong ports", "none is tried"),
    Permission(r.HTTP_ROUTES, ("list",), "the same of HTTPRoutes, where they are served", "none is tried"),
    Permission(
        r.GRPC_ROUTES,
        ("list",),
        "the same of GRPCRoutes; the Service behind `grpcroute/NAME`, or a host of one",
        "none is tried, nor looked up",
    ),
    Permission(
        r.OPENSHIFT_ROUTES,
        ("list",),
        "the same of OpenShift's routes; the Service behind `route/NAME`, or a host of one",
        "none is tried, nor looked up",
    ),
    Permission(r.GATEWAYS, ("list",), "where the Gateways of such routes are asked", "no HTTPRoute is tried"),
    Permission(
        r.INGRESS_CLASSES, ("list",), "whether the class of an Ingress without an address exists", "that is not said"
    ),
    Permission(r.SERVICE_CIDRS, ("list",), "whether an address that nobody has was a cluster IP", "that is not said"),
    Permission(
        r.NODES, ("list",), "addresses for node ports, and which nodes are ready", "node ports of its pods' nodes only"
    ),
    Permission(
        r.CONFIG_MAPS,
        ("get",),
        "the dataplane, once a ClusterIP or node port fails: kube-proxy's and Cilium's own ConfigMaps in kube-system",
        "what a refusal means is not said",
        names=("kube-proxy", "cilium-config"),
    ),
    Permission(
        r.NAMESPACES,
        ("get", "list"),
        "whether the namespace exists, if the Service does not; the labels that policies select by",
        "that is not said; such a policy is only a possible cause",
    ),
    Permission(
        r.DEPLOYMENTS,
        ("list",),
        "the nearest miss of a selector; `deploy/NAME`",
        "workloads are not named, nor looked up",
    ),
    Permission(
        r.STATEFUL_SETS,
        ("list",),
        "the nearest miss of a selector; `sts/NAME`",
        "workloads are not named, nor looked up",
    ),
    Permission(
        r.DAEMON_SETS, ("list",), "the nearest miss of a selector; `ds/NAME`", "workloads are not named, nor looked up"
    ),
    Permission(
        r.REPLICA_SETS,
        ("list",),
        "which revision of a failing Deployment came before; `rs/NAME`",
        "no way back is named, nor is it looked up",
    ),
    Permission(r.JOBS, ("list",), "the Services that select the pods of `job/NAME`", "that is not looked up"),
    Permission(r.AUTOSCALERS, ("list",), "who scaled a workload to zero", "an autoscaler is not named"),
    Permission(
        r.PEER_AUTHENTICATIONS, ("list",), "whether Istio wants mutual TLS, where pods run it", "that is only possible"
    ),
    Permission(r.AUTHORIZATION_POLICIES, ("list",), "whether Istio may refuse a request", "that is only possible"),
)

PROBE = (
    Permission(
        r.PODS, ("create", "get", "list", "watch", "delete"), "the probe pod, from create to delete", "no pod runs"
    ),
    Permission(
        r.PODS,
        ("get",),
        "what curl saw; the last line of a container that ended",
        "the probe pod has no answer, no line is quoted",
        subresource="log",
    ),
    Permission(
        r.PODS,
        ("create", "get"),
        "whether a port that refuses is open inside its pod",
        "that is not asked, and said so",
        subresource="portforward",
    ),
)

#: What `--from` and `--from-labels` ask besides, so that nothing takes the pod for one of the client's own.
CLIENT = (
    *(
        Permission(kind, ("get",), "what the client's pods are made from", "it is not asked as")
        for kind in (r.DEPLOYMENTS, r.STATEFUL_SETS, r.DAEMON_SETS, r.REPLICA_SETS, r.JOBS, r.CRON_JOBS)
    ),
    Permission(
        r.REPLICATION_CONTROLLERS,
        ("get", "list"),
        "what the client's pods are made from, and what would adopt one with its labels",
        "such a pod is given an owner in any case",
    ),
    Permission(
        r.DISRUPTION_BUDGETS,
        ("list",),
        "whether a budget would be upset by a pod with the client's labels and another owner",
        "no such pod runs where a controller might adopt it",
    ),
    Permission(
        r.CONFIG_MAPS,
        ("get",),
        "the owner that keeps controllers from adopting the pod",
        "no such pod runs where a controller might adopt it",
        names=("kube-root-ca.crt",),
    ),
)

API_SERVER = (
    Permission(
        r.SERVICES,
        ("get",),
        "one GET by the API server itself, where no probe pod can ask, and with `-o wide`",
        "that is not tried, and said so",
        subresource="proxy",
    ),
    Permission(
        r.PODS,
        ("create", "get"),
        "whether the port is open inside its pods, where no probe pod can ask",
        "that is not tried, and said so",
        subresource="portforward",
    ),
)

INSIDE = (
    Permission(r.PODS, ("get",), "the pod that is to ask (`--in`)", "it cannot be asked from"),
    Permission(
        r.PODS,
        ("create", "get"),
        "running its own curl",
        "it cannot be asked from",
        subresource="exec",
    ),
    Permission(
        r.PODS,
        ("patch",),
        "an ephemeral container, where the pod has no curl",
        "such a pod cannot be asked from",
        subresource="ephemeralcontainers",
    ),
    Permission(r.PODS, ("get",), "what that container saw", "it has no answer", subresource="log"),
)
