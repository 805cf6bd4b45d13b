"""Exit codes, and the messages of kubelet, registries and scheduler, in few words. Pure text, no objects."""

from __future__ import annotations

import re

#: What an exit code means, as shells and container runtimes use it; 128 and more is a signal.
EXIT_CODES = {
    126: "its command cannot be executed",
    127: "its command was not found",
    132: "an illegal instruction",
    134: "aborted",
    135: "a bus error",
    136: "an arithmetic error",
    137: "killed",
    139: "a segmentation fault",
    141: "a broken pipe",
    143: "asked to end",
}


def exit_in_words(code: int) -> str:
    """`127, its command was not found`; just the number where it says no more."""
    if code == 0:
        return "0, as if its work were done"
    return f"{code}, {EXIT_CODES[code]}" if code in EXIT_CODES else str(code)


#: What a registry or the kubelet says of an image, the more telling first, and what that means.
IMAGES = (
    (r"toomanyrequests|too many requests|\b429\b|rate limit", "the registry's rate limit is reached"),
    (
        r"pull access denied|insufficient_scope|unauthorized|authentication required|no basic auth|\b40[13]\b|denied",
        "the registry refuses it: a wrong name, or no pull secret that is good for it",
    ),
    (r"InvalidImageName|invalid reference format", "its name is not a valid one"),
    (r"ErrImageNeverPull", "it is not on the node, and imagePullPolicy Never forbids to pull it"),
    (r"no match for platform|exec format|no matching manifest", "it is not made for the node's processor"),
    (r"not found|manifest unknown|name unknown|does not exist|\b404\b", "the registry has no such image or tag"),
    (r"x509|certificate", "the registry's certificate is not trusted by the node"),
    (r"no such host|server misbehaving|lookup ", "the registry's name does not resolve on the node"),
    (
        r"i/o timeout|deadline exceeded|connection refused|no route|unreachable|EOF|reset",
        "the node does not reach the registry",
    ),
)


def image_trouble(reason: str, message: str) -> str:
    """Why an image cannot be had; empty where the message does not tell."""
    said = f"{reason} {message}"
    return next((meaning for pattern, meaning in IMAGES if re.search(pattern, said, re.IGNORECASE)), "")


def config_trouble(message: str) -> str:
    """What is not there, if that is what the kubelet says; else its message."""
    if found := re.search(r'(configmap|secret|serviceaccount|persistentvolumeclaim) "([^"]+)" not found', message):
        return f"there is no {found[1]} {found[2]}"
    if found := re.search(r"couldn't find key (\S+) in (ConfigMap|Secret) [^/\s]+/(\S+)", message):
        return f"there is no key {found[1]} in {found[2].lower()} {found[3].rstrip('.,')}"
    return message


SCHEDULER = (
    (r"Insufficient (\S+)", r"too little \1 left"),
    (r"node\(s\) had untolerated taint\(?s?\)? ?\{?([^:}]*)(?:: ?([^}]*))?\}?", r"taint \1 not tolerated"),
    (r"node\(s\) didn't match Pod's node affinity/selector", "not the node selector or affinity that it wants"),
    (r"node\(s\) were unschedulable", "cordoned"),
    (r"node\(s\) didn't match pod anti-affinity rules", "a pod there that it may not stand beside"),
    (r"node\(s\) didn't match pod affinity rules", "no pod there that it wants to stand beside"),
    (r"node\(s\) didn't match pod topology spread constraints.*", "one too many there for its spread constraints"),
    (r"node\(s\) didn't have free ports for the requested pod ports", "its host port is taken"),
    (r"node\(s\) had volume node affinity conflict", "its volume is elsewhere"),
    (r"Too many pods", "full of pods"),
    (r"pod has unbound immediate PersistentVolumeClaims", "its volume claim is not bound"),
    (r'persistentvolumeclaim "([^"]+)" not found', r"there is no volume claim \1"),
)


def scheduling_in_words(message: str) -> str:
    """`3 of 3 nodes: too little cpu left`; what is not known stays as it was said."""
    said = re.split(r"\.? (?:no new claims to deallocate|preemption:)", message)[0].strip().rstrip(".")
    nodes = re.match(r"0/(\d+) nodes are available: (.*)", said)
    clauses = re.split(r", (?=\d+ )", nodes[2]) if nodes else [said]
    return ", ".join(_clause(clause.rstrip("."), nodes[1] if nodes else "") for clause in clauses)


def _clause(clause: str, total: str) -> str:
    number, text = re.match(r"(?:(\d+) )?(.*)", clause, re.DOTALL).groups()  # type: ignore[union-attr]
    for pattern, meaning in SCHEDULER:
        if found := re.fullmatch(pattern, text.strip()):
            text = found.expand(meaning)
            break
    return f"{number} of {total} node{'s' * (total != '1')}: {text}" if number and total else text


def probe_answer(message: str, timeout: int) -> str:
    """What the kubelet's readiness probe met, by the message of its event; the message itself where it is of no known kind."""
    said = re.sub(r"^(Readiness|Startup|Liveness) probe (failed|errored)[^:]*:? ?", "", message.strip())
    if status := re.search(r"statuscode: (\d+)", said):
        return f"was answered with {status[1]}"
    if "connection refused" in said:
        return "was refused, so nothing listens there"
    if re.search(r"deadline exceeded|i/o timeout|timed out after|timeout:", said):
        return f"was not answered within {timeout} s"
    if "malformed HTTP response" in said or "server gave HTTP response to HTTPS client" in said:
        return "was answered in another protocol"
    if status := re.search(r'responded with "(\w+)"', said):
        return f"was answered with {status[1]}"
    first = said.splitlines()[0].rstrip(": ") if said else ""
    return f"failed: {first}" if first else "failed"
