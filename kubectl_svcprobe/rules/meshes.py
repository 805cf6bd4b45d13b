"""74x: service meshes and other proxies, which answer in an application's place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.mesh import STRICT, IstioPolicies, bypasses, mesh_of, proxy_of
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.makers import ENVOY
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import Match, rule
from kubectl_svcprobe.words import listed

MESH_DOC = "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"

#: What is behind endpoints that do not answer the probe cannot be better than they are.
BEYOND = ("SVC701", "SVC702", "SVC705", "SVC511", "SVC512", "SVC521", "SVC530", "SVC732")

#: How proxies call themselves in the header `server`.
PROXY = re.compile(r"envoy|nginx|openresty|haproxy|traefik|caddy|apache", re.I)

#: What a proxy answers that cannot reach what is behind it.
GATEWAY_ERRORS = (502, 503, 504)


def _pods(ev: Evidence, results: Sequence[PathResult]) -> list[Pod]:
    names = {r.probe.path.subject for r in results}
    return [pod for pod in ev.snapshot.pods if pod.meta.name in names]


def _whose(ev: Evidence, results: Sequence[PathResult]) -> str:
    """The mesh that the pods behind all of these results are in; empty if not all are in the same."""
    meshes = {mesh_of(pod) for pod in _pods(ev, results)}
    return meshes.pop() if len(meshes) == 1 else ""


def wants_mutual_tls(ev: Evidence, results: Sequence[PathResult]) -> bool:
    """Whether the proxies of Istio may be what ends these connections: by their policies, or as far as those are known."""
    if _whose(ev, results) != "Istio" or (ev.probe and ev.probe.mesh):
        return False
    if not all(_ends_at_once(r) for r in results):
        return False
    policies = ev.snapshot.istio
    return policies is None or policies.peers is None or any(_strict(ev, policies, results))


def _ends_at_once(result: PathResult) -> bool:
    ends = result.outcome in (Outcome.RESET, Outcome.NO_ANSWER, Outcome.TLS_FAILED)
    return ends and not any(o.is_silent for o in result.observations)


def _strict(ev: Evidence, policies: IstioPolicies, results: Sequence[PathResult]) -> Iterator[str]:
    """The policies by which these ports take mutual TLS only."""
    port_of = {r.probe.path.subject: r.probe.path.port for r in results}
    for pod in _pods(ev, results):
        mode, policy = policies.mutual_tls(pod, port_of[pod.meta.name])
        if mode == STRICT and policy:
            yield f"{policy.meta.namespace}/{policy.meta.name}"


@rule(
    "SVC740",
    "mesh-wants-mutual-tls",
    Severity.UNKNOWN,
    reads={"Service", "EndpointSlice", "Pod"},
    explains=BEYOND,
    source=MESH_DOC,
)
def mesh_wants_mutual_tls(ev: Evidence) -> Iterator[Match]:
    """**What.** The pods run Istio's proxy, which ends the probe's connections without an answer, as it does where a
    PeerAuthentication says STRICT: only clients of the mesh are let in, by mutual TLS.

    **Why it matters.** The probe pod is no client of the mesh, so it cannot tell whether the Service works for those that
    are. That is why the verdict is "unknown".

    **How it is known.** Where PeerAuthentications can be read, the one in force is named, and the finding is certain. Where
    they cannot, an application that ends connections looks the same.

    **Known exceptions.** Policies for all namespaces are looked for in `istio-system` only. In ambient mode the node's
    ztunnel does the same.

    **How to confirm.** From a pod of the mesh, `curl` to the Service answers. `kubectl port-forward` goes around the proxy:
    if the application answers there, it is well.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        if not results or ev.closer.understands(port) or not wants_mutual_tls(ev, results):
            continue
        policies = ev.snapshot.istio or IstioPolicies()
        strict = sorted(set(_strict(ev, policies, results)))
        pod, number = _pods(ev, results)[0], results[0].probe.path.port
        by = f"PeerAuthentication {listed(strict)} lets in" if strict else "Istio's proxy probably lets in"
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)}: could not tell, {by} clients of the mesh only.",
            message=f"Connections to {listed(r.probe.path.target for r in results)} stand, and are ended without an answer.",
            evidence=(
                f"{listed(p.meta.name for p in _pods(ev, results))} run istio-proxy, and the probe pod does not",
                *(() if strict else ("PeerAuthentications could not be read; the application may end them itself",)),
            ),
            fix=(
                *_as_one_of_the_mesh(ev),
                "or past the proxy, whether the application answers:",
                ev.kubectl(pod.meta.namespace, "port-forward", f"pod/{pod.meta.name}", f":{number}"),
            ),
            confidence=Confidence.CERTAIN if strict else Confidence.LIKELY,
        )


@rule("SVC741", "mesh-refuses-request", Severity.INFO, reads={"Service", "Pod"}, source=MESH_DOC)
def mesh_refuses_request(ev: Evidence) -> Iterator[Match]:
    """**What.** The pods are in a mesh, and the probe's request was answered with 403: by an AuthorizationPolicy of Istio,
    or by the authorization of Linkerd, the proxy refuses clients that it does not know.

    **Why it matters.** The way is open up to the proxy. Whether the application works for clients that are admitted is not
    known.

    **Known exceptions.** The application may answer 403 itself; its answers pass through the same proxy. Where Envoy says how
    long the application took (`x-envoy-upstream-service-time`), the answer is the application's, and nothing is said.

    **How to confirm.** Istio's proxy answers `RBAC: access denied`: `curl -i` from a pod shows it. The log of `istio-proxy`
    or `linkerd-proxy` names the refusal.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        mesh = _whose(ev, results) if results and all(r.http_status == 403 for r in results) else ""
        if mesh not in ("Istio", "Linkerd"):
            continue
        seen = [o for r in results for o in r.good]
        if mesh == "Istio" and not all(ENVOY.search(o.server) for o in seen if o.server):
            continue
        known = _authorizations(ev, results)
        if any(o.is_passed_on for o in seen):
            continue
        if known == ():
            continue
        pod = _pods(ev, results)[0]
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} answers 403, probably from {mesh}'s proxy, which does not admit this probe.",
            message=f"{results[0].probe.request} on port {results[0].probe.path.port} was answered with 403.",
            evidence=tuple(_authorization_evidence(mesh, known, pod)),
            fix=(
                *_as_one_of_the_mesh(ev),
                "the proxy's own word for it:",
                ev.kubectl(pod.meta.namespace, "logs", pod.meta.name, "-c", proxy_of(pod), "--tail", "20")
                if proxy_of(pod)
                else ev.kubectl(pod.meta.namespace, "get", "authorizationpolicies"),
            ),
            confidence=Confidence.LIKELY if known else Confidence.POSSIBLE,
        )


def _as_one_of_the_mesh(ev: Evidence) -> Iterator[str]:
    """The command that asks with a proxy of its own, where this probe had none."""
    if not ev.probe or not ev.probe.mesh:
        yield "ask from within the mesh, by a proxy in the probe pod; with --from as a client that is let in:"
        yield ev.kubectl.svcprobe(ev.service.namespace, ev.service.name, "--mesh", "keep")


def _authorizations(ev: Evidence, results: Sequence[PathResult]) -> tuple[str, ...] | None:
    """The AuthorizationPolicies that are about these pods; None where that is not known."""
    policies = ev.snapshot.istio
    if policies is None or policies.authorizations is None:
        return None
    covering = (p for p in policies.authorizations if any(p.covers(pod) for pod in _pods(ev, results)))
    return tuple(sorted({f"{p.meta.namespace}/{p.meta.name}" for p in covering}))


def _authorization_evidence(mesh: str, known: tuple[str, ...] | None, pod: Pod) -> Iterator[str]:
    if known:
        yield f"AuthorizationPolicy {listed(known)} is about these pods"
    elif mesh == "Istio":
        yield "AuthorizationPolicies could not be read; the application may answer so itself"
    if policy := pod.meta.annotations.get("config.linkerd.io/default-inbound-policy"):
        yield f"its pods are annotated with config.linkerd.io/default-inbound-policy={policy}"


@rule(
    "SVC742",
    "proxy-answers-in-its-place",
    Severity.WARNING,
    reads={"Service"},
    explains=("SVC704",),
    source=MESH_DOC,
)
def proxy_answers_in_its_place(ev: Evidence) -> Iterator[Match]:
    """**What.** The answer is 502, 503 or 504, and its headers say that a proxy made it: Envoy (Istio), Linkerd's proxy, or a
    web server that hands requests on.

    **Why it matters.** The way to the proxy is open, and the proxy does not reach the application behind it: it is not up,
    listens elsewhere, or closes connections. With a proxy in front a connection never fails; it is answered so instead.

    **Known exceptions.** An application's own 503 passes through a proxy, and may come out with the proxy's name, so it is
    only called possible. Where Envoy says how long the application took (`x-envoy-upstream-service-time`), the answer is not
    the proxy's, and nothing is said. Before curl 7.84 these headers are not known, and nothing is said here.

    **How to confirm.** The proxy's log names what it could not reach, and `kubectl port-forward` goes around a mesh's proxy.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        failed = [r for r in ev.offered_endpoints(port) if r.http_status in GATEWAY_ERRORS]
        results = [r for r in failed if not any(o.is_passed_on for o in r.good)]
        made_by = sorted({by for r in results for o in r.good if (by := _maker(o.server, o.proxy_error))})
        if not results or not made_by:
            continue
        total, statuses = len(ev.offered_endpoints(port)), listed(sorted({str(r.http_status) for r in results}))
        whose = (
            "its proxy answers"
            if len(results) == total
            else f"the proxy of {len(results)} of its {total} endpoints answers"
        )
        is_likely = all(o.proxy_error or o.http_status != 503 for r in results for o in r.good)
        how = "probably since it does not reach" if is_likely else "and may not reach"
        errors = sorted({o.proxy_error for r in results for o in r.good if o.proxy_error})
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} can be reached, but {whose} {statuses}, {how} the application.",
            message=f"{results[0].probe.request} on port {results[0].probe.path.port} was answered with {statuses} "
            f"by {listed(made_by)}.",
            evidence=(
                f"from {listed(r.probe.path.subject or r.probe.path.target for r in results)}",
                *(f"l5d-proxy-error: {error}" for error in errors),
                *(
                    ()
                    if is_likely
                    else ("a 503 of the application's own may pass through the proxy; its log tells them apart",)
                ),
            ),
            fix=tuple(_log_fixes(ev, results)),
            confidence=Confidence.LIKELY if is_likely else Confidence.POSSIBLE,
        )


def _maker(server: str, proxy_error: str) -> str:
    if proxy_error:
        return "Linkerd's proxy"
    return server if PROXY.search(server) else ""


def _log_fixes(ev: Evidence, results: Sequence[PathResult]) -> Iterator[str]:
    for pod in _pods(ev, results)[:1]:
        which = ("-c", proxy_of(pod)) if proxy_of(pod) else ("--all-containers",)
        yield ev.kubectl(pod.meta.namespace, "logs", pod.meta.name, *which, "--tail", "20")


@rule("SVC743", "connection-proves-the-proxy", Severity.INFO, reads={"Service", "Pod"}, source=MESH_DOC)
def connection_proves_the_proxy(ev: Evidence) -> Iterator[Match]:
    """**What.** The port was tried by a TCP connection in silence, and a mesh's proxy stands at one of the two ends.

    **Why it matters.** The proxy accepts every connection, whether the application behind it listens or not. So the
    connection proves the way to the proxy, and no more.

    **Known exceptions.** Ports that an annotation takes out of the mesh are not reported.

    **How to confirm.** `kubectl port-forward pod/POD :PORT` goes around the proxy, to the application itself.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = [r for r in ev.offered_endpoints(port) if r.outcome is Outcome.CONNECTED]
        if not results or results[0].probe.request.is_http:
            continue
        number = results[0].probe.path.port
        pods = [pod for pod in _pods(ev, results) if mesh_of(pod) and not bypasses(pod, number)]
        own = ev.probe.mesh if ev.probe else ""
        if not pods and not own:
            continue
        meshes = listed(sorted({own, *(mesh_of(pod) for pod in pods)} - {""}))
        whose = f"of {listed(pod.meta.name for pod in pods)}" if pods else "of the probe pod"
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} accepts connections, but that proves {meshes}'s proxy only.",
            message=f"The proxy {whose} accepts connections to port {number}, whether the application listens or not.",
            fix=("let the pods have a readiness probe: the kubelet's goes to the application",),
        )


@rule("SVC744", "probe-pod-in-mesh", Severity.INFO, reads=set(), source=MESH_DOC)
def probe_pod_in_mesh(ev: Evidence) -> Iterator[Match]:
    """**What.** An injector gave the probe pod a proxy of its mesh.

    **Why it matters.** What the probe says goes through that proxy: a connection that is refused becomes one that is reset or
    answered with 503, and one that stands proves the proxy only. In a pod's first second the proxy may not be up yet; what
    failed then is asked again from a second pod, as always.

    **Known exceptions.** In a mesh that wants mutual TLS this is what lets the probe in.

    **How to confirm.** `kubectl svcprobe NAME --keep-pod`, then `kubectl get pod POD` shows its containers.
    """
    if ev.snapshot.service is None or not ev.probe or not ev.probe.mesh:
        return
    yield Match(
        subject=ev.service.ref,
        headline=f"{ev.service.name} was asked through {ev.probe.mesh}'s proxy in the probe pod.",
        message=f"The probe pod was given {ev.probe.mesh}'s proxy, which accepts connections in the Service's place.",
    )
