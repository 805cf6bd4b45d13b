"""docs/probe-pod.yaml: the pod for a small example Service, made by the code that makes real ones."""

from __future__ import annotations

from typing import Any

import yaml

from kubectl_svcprobe.facts.endpoint import EndpointSlice
from kubectl_svcprobe.facts.model import Service
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.exposure import Vantage
from kubectl_svcprobe.probe.plan import Wishes, make_plan
from kubectl_svcprobe.probe.podspec import PodOptions, manifest
from kubectl_svcprobe.probe.ways import find_paths
from tools.docs.markdown import GENERATED

NAMESPACE = "default"

COMMENT = f"""\
# {GENERATED.strip("<!-> ").format(source="`kubectl_svcprobe/probe/podspec.py`")}
#
# The probe pod for the NodePort Service default/devops with one endpoint on one node. Where something fails, a second pod
# repeats it; that one has an init container, as below, which waits 5 s.
"""


def manifests() -> str:
    """The pod, with its init container."""
    snapshot = example()
    plan = make_plan(snapshot, find_paths(snapshot), Wishes())
    options = PodOptions("svcprobe-x7k2pq", NAMESPACE, preferred_nodes=("node-1",), settle=True)
    pod = manifest(plan.from_vantage(Vantage.POD), options)
    return COMMENT + str(yaml.dump(pod, Dumper=_WithoutAliases, sort_keys=False, width=120))


class _WithoutAliases(yaml.SafeDumper):
    """Repeats what occurs twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def example() -> Snapshot:
    """What would be read of such a cluster."""
    return Snapshot(
        NAMESPACE,
        "devops",
        taken="2026-01-01T00:00:00Z",
        service=Service.from_json(
            {
                "metadata": {"namespace": NAMESPACE, "name": "devops"},
                "spec": {
                    "type": "NodePort",
                    "clusterIPs": ["10.96.0.20"],
                    "selector": {"app": "devops"},
                    "ports": [{"protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 31567}],
                },
            }
        ),
        slices=(
            EndpointSlice.from_json(
                {
                    "metadata": {"name": "devops-x2j4k", "labels": {"kubernetes.io/service-name": "devops"}},
                    "addressType": "IPv4",
                    "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
                    "endpoints": [{"addresses": ["10.244.1.7"], "nodeName": "node-1", "conditions": {"ready": True}}],
                }
            ),
        ),
        nodes=(
            Node.from_json(
                {
                    "metadata": {"name": "node-1"},
                    "status": {
                        "addresses": [{"type": "InternalIP", "address": "172.30.0.11"}],
                        "conditions": [{"type": "Ready", "status": "True"}],
                    },
                }
            ),
        ),
        kubernetes=Service.from_json(
            {"metadata": {"namespace": "default", "name": "kubernetes"}, "spec": {"clusterIPs": ["10.96.0.1"]}}
        ),
    )
