"""What is read of the cluster's own parts once something has failed that they may be the reason of. All of it optional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError
from kubectl_svcprobe.facts.dataplane import recognize
from kubectl_svcprobe.facts.endpoint import EndpointSlice
from kubectl_svcprobe.facts.json_fields import strings
from kubectl_svcprobe.facts.reader import Reader, pool, workload_parser
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import Pod

NAMESPACE = "kube-system"

#: ConfigMaps that tell the dataplane.
CONFIG_MAPS = ("kube-proxy", "cilium-config")


def look_at_proxies(cluster: ClusterApi, snapshot: Snapshot) -> Snapshot:
    """The dataplane, and kube-proxy's pods; what may not be read leaves it unknown."""
    with pool() as threads:
        reader = Reader(cluster, threads)
        daemons = reader.read_optional(r.DAEMON_SETS, NAMESPACE, workload_parser(r.DAEMON_SETS.kind))
        pods = reader.read_optional(r.PODS, NAMESPACE, Pod.from_json, labels="k8s-app=kube-proxy")
        found = {name: threads.submit(_config_map, cluster, name) for name in CONFIG_MAPS}
        config_maps = {name: data for name, read in found.items() if (data := read.result()) is not None}
        names = [daemon.meta.name for daemon in daemons.result() or ()]
        dataplane = recognize(snapshot.nodes, names, config_maps)
        return replace(snapshot, dataplane=dataplane, proxy_pods=pods.result())


def look_at_dns(cluster: ClusterApi, snapshot: Snapshot) -> Snapshot:
    """The cluster DNS: what is behind its Service, and the pods and Deployment that are to be."""
    with pool() as threads:
        reader = Reader(cluster, threads)
        behind = "kubernetes.io/service-name=kube-dns"
        slices = reader.read_optional(r.ENDPOINT_SLICES, NAMESPACE, EndpointSlice.from_json, labels=behind)
        pods = reader.read_optional(r.PODS, NAMESPACE, Pod.from_json, labels="k8s-app=kube-dns")
        parse = workload_parser(r.DEPLOYMENTS.kind)
        workloads = reader.read_optional(r.DEPLOYMENTS, NAMESPACE, parse, labels="k8s-app=kube-dns")
        return replace(
            snapshot, dns_slices=slices.result(), dns_pods=pods.result(), dns_workloads=workloads.result() or ()
        )


def _config_map(cluster: ClusterApi, name: str) -> Mapping[str, str] | None:
    try:
        return strings(cluster.get(r.CONFIG_MAPS, NAMESPACE, name), "data")
    except AccessError:
        return None
