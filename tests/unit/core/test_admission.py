"""What the API server's admission says of a pod that it refuses, and what helps against it."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import Meta, ObjectRef
from kubectl_svcprobe.facts.workload import Workload
from kubectl_svcprobe.rules.admission import refusal
from tests.unit.core.build import snapshot

WEB = Workload(ObjectRef("Deployment", "shop", "web"), Meta("shop", "web"), replicas=2)
EVIDENCE = Evidence(snapshot())

POD_SECURITY = (
    'pods "web-5c9-" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container'
    ' "web" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "web" must set'
    ' securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "web" must set securityContext.'
    'runAsNonRoot=true), seccompProfile (pod or container "web" must set securityContext.seccompProfile.type to '
    '"RuntimeDefault" or "Localhost")'
)
RESTRICTED = (
    '{"spec":{"template":{"spec":{"securityContext":{"runAsNonRoot":true,"runAsUser":65534,"seccompProfile":'
    '{"type":"RuntimeDefault"}},"containers":[{"name":"web","securityContext":{"allowPrivilegeEscalation":false,'
    '"capabilities":{"drop":["ALL"]}}}]}}}}'
)

MESSAGES = [
    (
        'pods "x" is forbidden: exceeded quota: small, requested: count/pods=1, used: count/pods=4, limited: count/pods=4',
        "quota small admits no more (4 of 4 pods used)",
        'patch resourcequota small --type merge -p \'{"spec":{"hard":{"count/pods":"7"}}}\'',
    ),
    (
        'pods "x" is forbidden: exceeded quota: cpus, requested: requests.cpu=1m, used: requests.cpu=2, limited: requests.cpu=2',
        "quota cpus admits no more (2 of 2 requests.cpu used)",
        "describe resourcequota cpus",
    ),
    (
        'pods "x" is forbidden: failed quota: cpus: must specify limits.cpu for: web; requests.memory for: web',
        "quota cpus demands that they say their limits.cpu and requests.memory",
        "set resources deployment web --limits cpu=500m --requests memory=128Mi",
    ),
    (
        'pods "x" is forbidden: error looking up service account shop/robot: serviceaccount "robot" not found',
        "there is no service account robot",
        "create serviceaccount robot",
    ),
    (
        'admission webhook "policy.example.com" denied the request: no',
        "admission webhook policy.example.com refuses them",
        "edit deployment web",
    ),
    (
        'Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post '
        '"https://policy.guard.svc:443/validate?timeout=10s": no endpoints available for service "policy"',
        "admission webhook policy.example.com does not answer",
        "kubectl svcprobe policy -n guard",
    ),
    (
        'Internal error occurred: failed calling webhook "policy.example.com": timeout',
        "admission webhook policy.example.com does not answer",
        "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
    ),
    (POD_SECURITY, 'Pod Security "restricted" does not admit them', f"patch deployment web -p '{RESTRICTED}'"),
    (
        'pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
        'Pod Security "baseline" does not admit them',
        "edit deployment web",
    ),
    (
        'pods "x" is forbidden: maximum cpu usage per Container is 500m, but limit is 2',
        "a LimitRange admits at most 500m cpu",
        "set resources deployment web --requests=cpu=500m --limits=cpu=500m",
    ),
    (
        'pods "x" is forbidden: minimum memory usage per Container is 100Mi, but request is 10Mi',
        "a LimitRange admits no less than 100Mi memory",
        "set resources deployment web --requests=memory=100Mi",
    ),
    (
        'pods "x" is forbidden: no PriorityClass with name urgent was found',
        "there is no PriorityClass urgent",
        'patch deployment web --type merge -p \'{"spec":{"template":{"spec":{"priorityClassName":null}}}}\'',
    ),
]


@pytest.mark.parametrize(("message", "gist", "command"), MESSAGES)
def test_a_refusal_is_read_and_answered_by_a_command(message: str, gist: str, command: str) -> None:
    found = refusal(message)
    assert found is not None
    assert found.gist == gist
    lines = list(found.fix(EVIDENCE, WEB))
    assert [line for line in lines if line.removeprefix("kubectl -n shop ") == command], lines


def test_a_message_of_a_kind_that_is_not_known_is_none() -> None:
    assert refusal("the moon is full") is None
