"""Why a pod could not be created: the messages of the API server's admission, read; and what helps against each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.workload import Workload

QUOTA = re.compile(r"exceeded quota: (\S+), requested: (\S+), used: (\S+), limited: (\S+)")
QUOTA_ASKS = re.compile(r"failed quota: (\S+): must specify (.+)")
ACCOUNT = re.compile(r'serviceaccount "([^"]+)" not found')
WEBHOOK_SAYS = re.compile(r'admission webhook "([^"]+)" denied the request')
WEBHOOK_DOWN = re.compile(r'failed calling webhook "([^"]+)"')
WEBHOOK_URL = re.compile(r"https://([a-z0-9-]+)\.([a-z0-9-]+)\.svc[:/?]")
POD_SECURITY = re.compile(r'violates PodSecurity "([^":]+)')
LIMIT_RANGE = re.compile(
    r"(minimum|maximum) (cpu|memory) usage per (Container|Pod) is ([^,\s]+), but (limit|request) is ([^,\s]+)"
)
PRIORITY = re.compile(r"no PriorityClass with name (\S+) was found")

#: What each violation of the `restricted` level needs; others are not known here.
HARMLESS = ("allowPrivilegeEscalation != false", "unrestricted capabilities", "runAsNonRoot != true", "seccompProfile")
USUAL = {
    "requests.cpu": "100m",
    "cpu": "100m",
    "requests.memory": "128Mi",
    "memory": "128Mi",
    "limits.cpu": "500m",
    "limits.memory": "256Mi",
}


@dataclass(frozen=True)
class Refusal:
    """Why pods are refused, in few words, and the lines of a fix."""

    gist: str
    fix: Callable[[Evidence, Workload], Iterator[str]]


def refusal(message: str) -> Refusal | None:
    """What a message means; None where it is of a kind that is not known."""
    for pattern, read in _READERS:
        if found := pattern.search(message):
            return read(found, message)
    return None


def _quota(found: re.Match[str], message: str) -> Refusal:
    name = found[1]
    asked, used, limited = (_pairs(found[place]) for place in (2, 3, 4))
    full = [f"{used.get(key, '?')} of {value} {key.removeprefix('count/')} used" for key, value in limited.items()]

    def fix(ev: Evidence, workload: Workload) -> Iterator[str]:
        namespace = workload.ref.namespace
        if not all(value.isdigit() for pairs in (asked, used, limited) for value in pairs.values()):
            yield ev.kubectl(namespace, "describe", "resourcequota", name)
            yield "make room by removing what is not needed, or raise the quota"
            return
        missing = max(1, workload.replicas - workload.ready_replicas)
        hard = {key: str(int(used.get(key, "0")) + int(asked.get(key, "1")) * (missing + 1)) for key in limited}
        yield ev.kubectl.patch(namespace, "resourcequota", name, {"spec": {"hard": hard}})
        yield f"this raises the quota to what {workload.ref} needs, and one to spare; or make room"

    return Refusal(f"quota {name} admits no more ({', '.join(full)})", fix)


def _pairs(text: str) -> dict[str, str]:
    """`pods=4,cpu=2` as a mapping."""
    return {key: value for key, _, value in (part.partition("=") for part in text.split(","))}


def _quota_asks(found: re.Match[str], message: str) -> Refusal:
    name, asked = found[1], re.findall(r"((?:limits|requests)\.(?:cpu|memory)|cpu|memory)\b", found[2])

    def fix(ev: Evidence, workload: Workload) -> Iterator[str]:
        flags: list[str] = []
        for flag in ("limits", "requests"):
            words = [w for w in dict.fromkeys(asked) if w.startswith(flag) or (flag == "requests" and "." not in w)]
            if words:
                flags += [f"--{flag}", ",".join(f"{w.rpartition('.')[2]}={USUAL[w]}" for w in words)]
        yield ev.kubectl(
            workload.ref.namespace, "set", "resources", workload.ref.kind.lower(), workload.ref.name, *flags
        )
        yield "this gives every container of it these; choose what the application needs"

    what = " and ".join(dict.fromkeys(asked)) or "resources"
    return Refusal(f"quota {name} demands that they say their {what}", fix)


def _account(found: re.Match[str], message: str) -> Refusal:
    name = found[1]

    def fix(ev: Evidence, workload: Workload) -> Iterator[str]:
        yield ev.kubectl(workload.ref.namespace, "create", "serviceaccount", name)
        yield f"this makes an account without rights of its own; the name stands in the pod template of {workload.ref}"

    return Refusal(f"there is no service account {name}", fix)


def _webhook_says(found: re.Match[str], message: str) -> Refusal:
    def fix(ev: Evidence, workload: Workload) -> Iterator[str]:
        yield f"do what its message asks for in the pod template of {workload.ref}:"
        yield ev.kubectl(workload.ref.namespace, "edit", workload.ref.kind.lower(), workload.ref.name)

    return Refusal(f"admission webhook {found[1]} refuses them", fix)


def _webhook_down(found: re.Match[str], message: str) -> Refusal:
    behind = WEBHOOK_URL.search(message)

    def fix(ev: Evidence, workload: Workload) -> Iterator[str]:
        if behind:
            yield f"the webhook is Service {behind[1]} in {behind[2]}; look at that one:"
            yield ev.kubectl.svcprobe(behind[2], behind[1])
        else:
            yield ev.kubectl("", "get", "validatingwebhookconfigurations,mutatingwebhookconfigurations")

    return Refusal(f"admission webhook {found[1]} does not answer", fix)


def _pod_security(found: re.Match[str], message: str) -> Refusal:
    violations = message[found.end() :].partition(": ")[2]
    containers = list(dict.fromkeys(re.findall(r'containers? ((?:"[^"]+"(?:, )?)+)', violations)))
    names = list(dict.fromkeys(name for group in containers for name in re.findall(r'"([^"]+)"', group)))
    parts = re.split(r"\), |\)$", violations)
    is_harmless = all(part.startswith(HARMLESS) for part in parts if part)

    def fix(ev: Evidence, workload: Workload) -> Iterator[str]:
        kind, name = workload.ref.kind.lower(), workload.ref.name
        if not (is_harmless and names):
            yield f"give up what it names in the pod template of {workload.ref}, or run it in another namespace:"
            yield ev.kubectl(workload.ref.namespace, "edit", kind, name)
            return
        body = {"spec": {"template": {"spec": _restricted(names)}}}
        yield ev.kubectl.strategic_patch(workload.ref.namespace, kind, name, body)
        yield "this takes privileges from its containers; an application that has to be root will not start then"

    return Refusal(f'Pod Security "{found[1]}" does not admit them', fix)


def _restricted(names: list[str]) -> dict[str, Any]:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{"name": name, "securityContext": security} for name in names],
    }


def _limit_range(found: re.Match[str], message: str) -> Refusal:
    which, resource, bound = found[1], found[2], found[4]

    def fix(ev: Evidence, workload: Workload) -> Iterator[str]:
        flags = [f"--requests={resource}={bound}", *([f"--limits={resource}={bound}"] if which == "maximum" else [])]
        yield ev.kubectl(
            workload.ref.namespace, "set", "resources", workload.ref.kind.lower(), workload.ref.name, *flags
        )
        yield f"this gives every container of it the {which} that the LimitRange admits"

    return Refusal(f"a LimitRange admits {'at most' if which == 'maximum' else 'no less than'} {bound} {resource}", fix)


def _priority(found: re.Match[str], message: str) -> Refusal:
    def fix(ev: Evidence, workload: Workload) -> Iterator[str]:
        body = {"spec": {"template": {"spec": {"priorityClassName": None}}}}
        yield ev.kubectl.patch(workload.ref.namespace, workload.ref.kind.lower(), workload.ref.name, body)
        yield "this gives its pods the usual priority; or create the PriorityClass"

    return Refusal(f"there is no PriorityClass {found[1]}", fix)


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], Refusal]], ...] = (
    (QUOTA, _quota),
    (QUOTA_ASKS, _quota_asks),
    (ACCOUNT, _account),
    (WEBHOOK_DOWN, _webhook_down),
    (WEBHOOK_SAYS, _webhook_says),
    (POD_SECURITY, _pod_security),
    (LIMIT_RANGE, _limit_range),
    (PRIORITY, _priority),
)
