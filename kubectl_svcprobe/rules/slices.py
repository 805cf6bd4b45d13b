"""2xx and 3xx: EndpointSlices that somebody keeps by hand, and pods that get traffic before they are ready."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.endpoint import CONTROLLER, EndpointSlice
from kubectl_svcprobe.facts.model import ObjectRef, ServicePort
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import SERVICE_DOC, SLICES_DOC, Match, rule
from kubectl_svcprobe.rules.unready import reasons
from kubectl_svcprobe.words import count, labels, listed, nearest

SERVICE_NAME = "kubernetes.io/service-name"
#: Whose slices are judged; others that sign theirs (meshes of clusters) are left alone.
BY_HAND = frozenset({"", "endpointslicemirroring-controller.k8s.io"})


def _strays(ev: Evidence) -> list[EndpointSlice]:
    """Slices kept by hand that are probably meant for this Service: called so, and without its label, or with a similar one."""
    name = ev.service.name
    return [
        s
        for s in ev.snapshot.stray_slices or ()
        if s.managed_by != CONTROLLER and s.service_name != name and s.endpoints and _is_meant(s, name)
    ]


def _is_meant(piece: EndpointSlice, name: str) -> bool:
    is_called_so = piece.meta.name == name or piece.meta.name.startswith(f"{name}-")
    is_free = not piece.service_name or piece.service_name in nearest(name, [piece.service_name])
    return is_free and (is_called_so or bool(piece.service_name))


def _namesakes(ev: Evidence) -> dict[str, list[Pod]]:
    """Labels of pods whose value is the Service's name, each as `key=value`, with the pods that carry it."""
    found: dict[str, list[Pod]] = {}
    for pod in ev.snapshot.namespace_pods or ():
        for key, value in sorted(pod.meta.labels.items()):
            if value == ev.service.name and not pod.is_finished:
                found.setdefault(key, []).append(pod)
    return found


@rule(
    "SVC204", "selectorless-without-endpoints", Severity.ERROR, reads={"Service", "EndpointSlice"}, source=SERVICE_DOC
)
def selectorless_without_endpoints(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service has no selector, and no EndpointSlice gives it an address.

    **Why it matters.** Without a selector nobody makes EndpointSlices for it: whoever made the Service has to. A slice
    belongs to it by its label `kubernetes.io/service-name`, and its port names must equal the Service's.

    **What else is said.** A slice that is called like the Service and lacks the label, or has one that is nearly right;
    and pods that are labelled with the Service's name.

    **Known exceptions.** ExternalName Services need none. A controller that fills the slices later.

    **How to confirm.** `kubectl get service NAME -o wide` shows `<none>` under SELECTOR; `kubectl get endpointslices
    --show-labels` shows none with its name as `kubernetes.io/service-name`.
    """
    service = ev.snapshot.service
    if service is None or service.selector or service.is_external_name or any(ev.snapshot.all_endpoints()):
        return
    name, strays = service.name, _strays(ev)
    of_it = f"The {count(len(ev.snapshot.slices), 'slice')} with that label hold no address."
    why = f"; {strays[0].meta.name} is perhaps meant for it" if strays else ""
    yield Match(
        subject=service.ref,
        headline=f"{name} is down for everyone: it has no selector, and no EndpointSlice gives it an address{why}.",
        message=f"{name} selects no pods, so its addresses have to come from EndpointSlices labelled "
        f"{SERVICE_NAME}={name}. " + (of_it if ev.snapshot.slices else "There is none."),
        brief="no selector, and no EndpointSlice with an address",
        evidence=tuple(_what_may_be_meant(ev, strays)),
        fix=tuple(_selectorless_fixes(ev, strays)),
    )


def _what_may_be_meant(ev: Evidence, strays: list[EndpointSlice]) -> Iterator[str]:
    for piece in strays[:3]:
        has = (
            f"has the label {SERVICE_NAME}={piece.service_name}"
            if piece.service_name
            else f"lacks the label {SERVICE_NAME}"
        )
        yield f"endpointslice/{piece.meta.name} ({listed(e.address for e in piece.endpoints)}) {has}"
    for key, pods in list(_namesakes(ev).items())[:2]:
        yield f"{count(len(pods), 'pod')} ({_owners(pods)}) labelled {key}={ev.service.name}"


def _owners(pods: list[Pod]) -> str:
    return listed(str(owner) for owner in sorted({pod.workload for pod in pods}))


def _selectorless_fixes(ev: Evidence, strays: list[EndpointSlice]) -> Iterator[str]:
    name, namespace, namesakes = ev.service.name, ev.service.namespace, _namesakes(ev)
    if strays:
        piece = strays[0].meta.name
        yield ev.kubectl(namespace, "label", "endpointslice", piece, f"{SERVICE_NAME}={name}", "--overwrite")
        yield f"this gives {name} the addresses of {piece}"
    elif namesakes:
        key, pods = max(namesakes.items(), key=lambda pair: len(pair[1]))
        yield f"if it is meant for {_owners(pods)}:"
        yield ev.kubectl.patch(namespace, "service", name, {"spec": {"selector": {key: name}}})
    else:
        yield "if it is meant for pods of this namespace, give it their labels as selector:"
        yield ev.kubectl(namespace, "get", "pods", "--show-labels")
        yield f"else create an EndpointSlice with the label {SERVICE_NAME}={name}"


def _failing(ev: Evidence, addresses: set[str]) -> bool:
    """Whether one of these addresses did not answer; and true where nothing was tried at all."""
    tried = [r for r in ev.from_pod(PathKind.ENDPOINT) if r.probe.path.host in addresses]
    return any(r.outcome.is_bad for r in tried) or not tried


@rule(
    "SVC321",
    "slice-address-of-no-pod",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC703", "SVC731", "SVC403", "SVC701", "SVC732"),
    source=SLICES_DOC,
)
def slice_address_of_no_pod(ev: Evidence) -> Iterator[Match]:
    """**What.** An EndpointSlice that is kept by hand holds an address out of the cluster's range for pods, no pod has that
    address now, and it does not answer.

    **Why it matters.** Pods change their address each time they are made. A slice that names one by hand grows stale, and
    requests to it are lost.

    **Known exceptions.** Addresses outside the pods' range may be anything, and are not judged; nor is one that answers.

    **How to confirm.** `kubectl get pods -A -o wide` has no pod with that address.
    """
    service = ev.snapshot.service
    if service is None or not ev.snapshot.stale_addresses:
        return
    for piece in ev.snapshot.slices:
        stale = {e.address for e in piece.endpoints if e.address in ev.snapshot.stale_addresses}
        if not stale or not _failing(ev, stale):
            continue
        total = sum(1 for _ in ev.snapshot.all_endpoints())
        what = "is down for everyone" if len(stale) == total else f"fails for about {len(stale)} in {total} requests"
        yield Match(
            subject=ObjectRef("EndpointSlice", service.namespace, piece.meta.name),
            headline=f"{service.name} {what}: EndpointSlice {piece.meta.name} leads to {listed(sorted(stale))}, "
            "which no pod has.",
            message=f"EndpointSlice {piece.meta.name} is kept by hand; {listed(sorted(stale))} is in the range of "
            "the pods' addresses, and no pod has it now.",
            fix=tuple(_unlist(ev, piece, stale)),
        )


def _unlist(ev: Evidence, piece: EndpointSlice, stale: set[str]) -> Iterator[str]:
    namespace, name, namesakes = piece.meta.namespace, piece.meta.name, _namesakes(ev)
    places = [place for place, endpoint in enumerate(piece.endpoints) if endpoint.address in stale]
    if len(places) < len(piece.endpoints):
        ops = [{"op": "remove", "path": f"/endpoints/{place}"} for place in reversed(places)]
        yield ev.kubectl.json_patches(namespace, "endpointslice", name, *ops)
        yield f"this takes {listed(sorted(stale))} out of {name}; the other addresses stay"
    elif namesakes and not ev.service.selector:
        key = max(namesakes, key=lambda k: len(namesakes[k]))
        yield "better than an address by hand is a selector, which follows the pods:"
        yield ev.kubectl.patch(namespace, "service", ev.service.name, {"spec": {"selector": {key: ev.service.name}}})
    else:
        yield "put the address in that is meant, or give the Service a selector, which follows the pods:"
        yield ev.kubectl(namespace, "edit", "endpointslice", name)


@rule("SVC322", "slice-port-named-otherwise", Severity.ERROR, reads={"Service", "EndpointSlice"}, source=SLICES_DOC)
def slice_port_named_otherwise(ev: Evidence) -> Iterator[Match]:
    """**What.** EndpointSlices that are kept by hand give the Service addresses, and no port of theirs has the name (and
    protocol) of the Service's port.

    **Why it matters.** Ports of a slice and of a Service belong together by name. With another name there is an address
    and no port, and connections are refused.

    **Known exceptions.** Slices of a controller of another kind are judged too: the rule is the API's.

    **How to confirm.** Compare `.spec.ports[*].name` of the Service with `.ports[*].name` of the slice.
    """
    service = ev.snapshot.service
    if service is None or service.selector or service.is_external_name:
        return
    pieces = [piece for piece in ev.snapshot.slices if piece.endpoints and piece.ports]
    for port in service.ports:
        if not pieces or any(joined.port for joined in ev.snapshot.endpoints_of(port)):
            continue
        yield _named_otherwise(ev, port, pieces[0])


def _named_otherwise(ev: Evidence, port: ServicePort, piece: EndpointSlice) -> Match:
    found = piece.ports[0]
    is_name = found.name != port.name
    theirs = (repr(found.name) if is_name else found.protocol).replace("''", "nothing")
    ours = (repr(port.name) if is_name else port.protocol).replace("''", "nothing")
    word, value = ("name", port.name) if is_name else ("protocol", port.protocol)
    return Match(
        subject=ObjectRef("EndpointSlice", piece.meta.namespace, piece.meta.name),
        headline=f"{ev.part(port)} is down for everyone: EndpointSlice {piece.meta.name} calls the port {theirs}, "
        f"the Service {ours}.",
        message=f"{count(len(piece.endpoints), 'address')} in EndpointSlice {piece.meta.name}, and none for port "
        f"{port.name or port.port}: ports are joined by name and protocol.",
        fix=(
            ev.kubectl.json_patch(piece.meta.namespace, "endpointslice", piece.meta.name, f"/ports/0/{word}", value),
            f"this gives the port of {piece.meta.name} the {word} of the Service's",
        ),
        port=port.port,
    )


@rule(
    "SVC323",
    "slice-by-hand-beside-selector",
    Severity.WARNING,
    reads={"Service", "Pod", "EndpointSlice"},
    explains=("SVC731", "SVC732"),
    source=SLICES_DOC,
)
def slice_by_hand_beside_selector(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service has a selector, and beside the control plane's EndpointSlices there is one that is kept by hand
    (or left over from Endpoints that were), with an address that is none of its pods'.

    **Why it matters.** Service proxies use all slices of a Service. A share of the requests goes to that address, whatever
    is there, and nobody takes it out when it dies.

    **Known exceptions.** Slices that name who manages them, as those of cluster meshes do, are left alone.

    **How to confirm.** `kubectl get endpointslices -l kubernetes.io/service-name=NAME` shows more than one; look at their
    label `endpointslice.kubernetes.io/managed-by`.
    """
    service = ev.snapshot.service
    if service is None or not service.selector:
        return
    own = {ip for pod in ev.snapshot.pods for ip in pod.ips}
    for piece in ev.snapshot.slices:
        foreign = {e.address for e in piece.endpoints} - own
        if piece.managed_by not in BY_HAND or not foreign:
            continue
        bad = {
            r.probe.path.host for r in ev.from_pod(PathKind.ENDPOINT) if r.probe.path.is_offered and r.outcome.is_bad
        }
        if bad - foreign:
            continue
        total = sum(1 for _ in ev.snapshot.all_endpoints())
        does = "do not answer" if bad else "are none of its pods"
        yield Match(
            subject=ObjectRef("EndpointSlice", service.namespace, piece.meta.name),
            headline=f"{service.name} sends about {len(foreign)} in {total} requests to {listed(sorted(foreign))}, "
            f"which {does if len(foreign) > 1 else does.replace('do not', 'does not').replace('are none', 'is none')}: "
            f"{piece.meta.name} is kept by hand.",
            message=f"The selector {labels(service.selector)} leads to pods; EndpointSlice {piece.meta.name}, which no "
            "controller of Services keeps, adds more.",
            fix=(
                # To take the label away would not do: kube-proxy then keeps what it had (EndpointSliceCache).
                ev.kubectl.json_patch(service.namespace, "endpointslice", piece.meta.name, "/endpoints", []),
                f"this empties {piece.meta.name}, so that {service.name} leads to its pods alone",
            ),
            severity=Severity.ERROR if bad else None,
        )


@rule(
    "SVC317",
    "pods-get-traffic-unready",
    Severity.WARNING,
    reads={"Service", "Pod", "EndpointSlice"},
    explains=("SVC731", "SVC732", "SVC403", "SVC703"),
    source=SERVICE_DOC,
)
def pods_get_traffic_unready(ev: Evidence) -> Iterator[Match]:
    """**What.** `publishNotReadyAddresses` is set, some pods are not ready, and they fail the requests they get.

    **Why it matters.** The flag makes readiness count for nothing: pods that start, or are stuck, get their share of the
    requests.

    **Known exceptions.** Headless Services set it so that peers find each other before they are ready. Pods that answer
    although they are not ready are not found.

    **How to confirm.** `kubectl get service NAME -o jsonpath={.spec.publishNotReadyAddresses}` says true.
    """
    service = ev.snapshot.service
    if service is None or not service.publish_not_ready_addresses or service.is_headless:
        return
    unready = {
        p.meta.name: p for p in ev.snapshot.pods if not p.is_ready and not p.is_finished and not p.is_terminating
    }
    bad = {r.probe.path.subject for r in ev.from_pod(PathKind.ENDPOINT) if r.outcome.is_bad}
    if not bad or not bad <= set(unready):
        return
    total = len([pod for pod in ev.snapshot.pods if not pod.is_finished])
    what = "is down for everyone" if len(bad) == total else f"fails for about {len(bad)} in {total} requests"
    yield Match(
        subject=service.ref,
        headline=f"{service.name} {what}: it sends them to pods that are not ready, as publishNotReadyAddresses asks.",
        message=f"{listed(sorted(bad))} {'is' if len(bad) == 1 else 'are'} not ready, and published all the same.",
        evidence=tuple(reasons(ev, [unready[name] for name in sorted(bad)])),
        fix=(
            ev.kubectl.patch(service.namespace, "service", service.name, {"spec": {"publishNotReadyAddresses": False}}),
            "this sends requests to ready pods only",
        ),
        severity=Severity.ERROR,
    )
