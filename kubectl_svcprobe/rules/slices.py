"""2xx and 3xx: EndpointSlices that somebody keeps by hand, or that are missing."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import count


@rule(
    "SVC204", "selectorless-without-endpoints", Severity.ERROR, reads={"Service", "EndpointSlice"}, source=SERVICE_DOC
)
def selectorless_without_endpoints(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service has no selector, and no EndpointSlice gives it an address.

    **Why it matters.** Without a selector nobody makes EndpointSlices for it: whoever made the Service has to. A slice
    belongs to it by its label `kubernetes.io/service-name`, and its port names must equal the Service's.

    **Known exceptions.** ExternalName Services need none. A controller that fills the slices later.
    """
    service = ev.snapshot.service
    if service is None or service.selector or service.is_external_name or any(ev.snapshot.all_endpoints()):
        return
    name, namespace = service.name, service.namespace
    yield Match(
        subject=service.ref,
        headline=f"{name} is down for everyone: it has no selector, and no EndpointSlice gives it an address.",
        message=f"{name} selects no pods, so its addresses have to come from EndpointSlices "
        f"labelled kubernetes.io/service-name={name}. "
        + (
            f"The {count(len(ev.snapshot.slices), 'slice')} with that label hold no address."
            if ev.snapshot.slices
            else "There is none."
        ),
        brief="no selector, and no EndpointSlice with an address",
        fix=(
            "if it is meant for pods of this namespace, give it their labels as selector:",
            ev.kubectl(namespace, "get", "pods", "--show-labels"),
            f"else create an EndpointSlice with the label kubernetes.io/service-name={name}",
        ),
    )
