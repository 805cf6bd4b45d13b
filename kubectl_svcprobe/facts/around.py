"""What NetworkPolicies speak of beyond the Service's own pods: namespaces, possible clients, the cluster's DNS.

Read only where a policy selects one of the two ends, and all of it optional: what could not be read is not known, and
whoever asks is told so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.facts.model import Meta
from kubectl_svcprobe.facts.policy import NAMESPACE_NAME, Answer, NetworkPolicy, PolicyPeer
from kubectl_svcprobe.facts.traffic import EGRESS, INGRESS
from kubectl_svcprobe.facts.workload import Pod

if TYPE_CHECKING:
    from kubectl_svcprobe.facts.reader import Reader
    from kubectl_svcprobe.facts.snapshot import Snapshot

#: Where the cluster's DNS runs, and how its pods are labelled (kubeadm, and most that are like it).
DNS_NAMESPACE, DNS_LABELS = "kube-system", {"k8s-app": "kube-dns"}

#: Of how many other namespaces the pods are read, to see whether a policy's peers exist.
MOST_NAMESPACES = 3


@dataclass(frozen=True)
class Around:
    """Labels of namespaces (`is_whole`: of all there are), and the pods of those in `read`; `dns` are the DNS's pods."""

    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_whole: bool = False
    pods: tuple[Pod, ...] = ()
    read: frozenset[str] = frozenset()
    dns: tuple[Pod, ...] = ()

    def meant_namespaces(self, peer: PolicyPeer, policy: NetworkPolicy) -> tuple[str, ...] | None:
        """The namespaces that a peer selects; None where that is not known."""
        if peer.namespaces is None:
            return (policy.meta.namespace,)
        if not self.is_whole:
            name = peer.namespaces.labels.get(NAMESPACE_NAME)
            return (name,) if name and name in self.namespaces else None
        return tuple(name for name, labels in sorted(self.namespaces.items()) if peer.namespaces.matches(labels))

    def pods_meant(self, peer: PolicyPeer, policy: NetworkPolicy) -> tuple[Pod, ...]:
        """The pods that a peer selects, as far as they were read."""
        meant = self.meant_namespaces(peer, policy) or ()
        return tuple(
            pod
            for pod in self.pods
            if pod.meta.namespace in meant and (not peer.pods or peer.pods.matches(pod.meta.labels))
        )

    def exists(self, peer: PolicyPeer, policy: NetworkPolicy) -> Answer:
        """Whether a peer selects any pod that there is. Addresses, and what was not read, may exist."""
        if peer.block is not None:
            return Answer.UNKNOWN
        meant = self.meant_namespaces(peer, policy)
        if meant is None:
            return Answer.UNKNOWN
        if self.pods_meant(peer, policy):
            return Answer.YES
        return Answer.NO if set(meant) <= self.read else Answer.UNKNOWN


def look_around(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """Add what policies call for: nothing where none selects a pod behind the Service, or the client."""
    found = (snapshot.policies_on(pod.meta.labels, INGRESS) for pod in snapshot.pods)
    ingress = list({id(policy): policy for policies in found for policy in policies}.values())
    egress = snapshot.policies_on_client(EGRESS)
    if not ingress and not egress:
        return snapshot
    peers = [*_peers(ingress, INGRESS), *_peers(egress, EGRESS)]
    by_namespace = any(peer.namespaces is not None for _, peer in peers)
    dns = reader.read_optional(r.PODS, DNS_NAMESPACE, Pod.from_json, labels=_query(DNS_LABELS)) if egress else None
    own = dict.fromkeys((snapshot.namespace, snapshot.client_namespace))
    around = _namespaces(reader, own) if by_namespace else Around()
    meant = {name for policy, peer in _peers(ingress, INGRESS) for name in around.meant_namespaces(peer, policy) or ()}
    return replace(snapshot, around=replace(_pods(reader, around, meant), dns=(dns.result() if dns else None) or ()))


def _query(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _peers(policies: Iterable[NetworkPolicy], direction: str) -> Iterator[tuple[NetworkPolicy, PolicyPeer]]:
    for policy in policies:
        for rule in policy.rules(direction):
            for peer in rule.peers:
                yield policy, peer


def _namespaces(reader: Reader, own: Iterable[str]) -> Around:
    """All namespaces' labels; if not those, the labels of the Service's own, the client's and the DNS's."""
    metas = reader.read_optional(r.NAMESPACES, None, Meta.from_json).result()
    if metas is not None:
        return Around({meta.name: meta.labels for meta in metas}, is_whole=True)
    asked = {name: reader.namespace_labels(name) for name in dict.fromkeys((*own, DNS_NAMESPACE))}
    return Around({name: labels for name, answer in asked.items() if (labels := answer.result()) is not None})


def _pods(reader: Reader, around: Around, namespaces: set[str]) -> Around:
    """The pods of so few namespaces; of more, none: then a policy is taken to mean somebody."""
    if len(namespaces) > MOST_NAMESPACES:
        return around
    asked: dict[str, Future[tuple[Pod, ...] | None]] = {
        name: reader.read_optional(r.PODS, name, Pod.from_json) for name in sorted(namespaces)
    }
    answers = {name: answer.result() for name, answer in asked.items()}
    pods = tuple(pod for found in answers.values() for pod in found or () if not pod.is_finished)
    return replace(around, pods=pods, read=frozenset(name for name, found in answers.items() if found is not None))
