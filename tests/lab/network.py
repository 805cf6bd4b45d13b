"""The lab's network: a bridge in the control plane's namespace, and namespaces for the nodes, for the workstation (the
user's machine) and for a server outside the cluster. Nothing is connected to any other network: every default route
ends at an `unreachable` one, so that a connect to a foreign address fails at once instead of waiting.

Everything here runs inside the lab, whose own network namespace is the control plane's.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence

from .families import IPV6, Family
from .layout import LabError, minimal_environment

Families = Sequence[Family]

WORKSTATION, OUTSIDE = "workstation", "outside"
SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.icmp_ratelimit=0",  # every refused connect hears of it
)
IPV6_SYSCTLS = (
    "net.ipv6.conf.all.forwarding=1",
    "net.ipv6.conf.default.accept_dad=0",  # addresses serve at once
    "net.ipv6.icmp.ratelimit=0",
)
NOWHERE = {"ip": "unreachable default", "ip6": "unreachable ::/0"}


def command(argv: Sequence[str], stdin: str | None = None) -> None:
    result = subprocess.run(argv, input=stdin, env=minimal_environment(), capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"{' '.join(argv)} failed: {result.stderr.strip()}")


def within(namespace: str, argv: Sequence[str]) -> list[str]:
    """Not `ip netns exec`: that mounts another /sys, which hides the cgroup tree from a kubelet."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *argv]


def ip_batch(
    lines: Iterable[str], namespace: str | None = None, family: Family | None = None, force: bool = False
) -> None:
    """All of them, or up to the first that fails; with `force`, all that do not fail, and no error."""
    argv = ["ip", *(["-6"] if family is IPV6 else []), *(["-force"] if force else []), "-batch", "-"]
    argv = within(namespace, argv) if namespace else argv
    try:
        command(argv, "\n".join(lines) + "\n")
    except LabError:
        if not force:
            raise


def set_sysctls(families: Families, namespace: str | None = None) -> None:
    argv = ["sysctl", "-q", "-w", *SYSCTLS, *(IPV6_SYSCTLS if IPV6 in families else ())]
    command(within(namespace, argv) if namespace else argv)


def make_bridge(families: Families) -> None:
    set_sysctls(families)
    ip_batch(
        [
            "link set lo up",
            "link add br0 type bridge",
            *(f"addr add {family.api}/{family.link_length} dev br0" for family in families),
            "link set br0 up",
            *(f"route add {NOWHERE[family.match]}" for family in families),
        ]
    )


def connect(namespace: str, addresses: Iterable[str], routes: Iterable[str], families: Families) -> None:
    """Make a namespace and lay its link to the bridge; addresses with the length of their prefix."""
    port = f"to-{namespace}"
    command(["ip", "netns", "add", namespace])
    set_sysctls(families, namespace)
    ip_batch(
        [
            f"link add {port} type veth peer name eth0 netns {namespace}",
            f"link set {port} master br0",
            f"link set {port} up",
        ]
    )
    ip_batch(
        [
            "link set lo up",
            "link set eth0 up",
            *(f"addr add {address} dev eth0" for address in addresses),
            *(f"route add {route}" for route in routes),
        ],
        namespace,
    )


def make_network(nodes: Sequence[str], families: Families) -> None:
    make_bridge(families)
    if nodes:
        ip_batch(f"route add {family.pods_of(node)} via {family.node(node)}" for family in families for node in nodes)
    nowhere = [NOWHERE[family.match] for family in families]
    own = [f"{family.workstation}/{family.link_length}" for family in families]
    connect(WORKSTATION, own, nowhere, families)
    own = [f"{family.outside}/{family.link_length}" for family in families]
    connect(OUTSIDE, own, [*(f"{family.pods} via {family.api}" for family in families), *nowhere], families)
    for node in nodes:
        connect_node(node, nodes, families)


def connect_node(node: str, nodes: Sequence[str], families: Families) -> None:
    """A node routes pods of other nodes to these, and nothing else anywhere.

    The addresses of Services need a route too, for what the node itself sends: kube-proxy changes them after that.
    """
    routes = []
    for family in families:
        routes += [f"{family.pods_of(other)} via {family.node(other)}" for other in nodes if other != node]
        routes += [f"{family.services} via {family.api}", NOWHERE[family.match]]
    connect(node, [f"{family.node(node)}/{family.link_length}" for family in families], routes, families)


def disconnect_node(node: str) -> None:
    """The namespace itself lives on until its last process has ended; its link is gone at once."""
    command(["ip", "link", "del", f"to-{node}"])
    command(["ip", "netns", "del", node])


def table(name: str, content: str = "") -> str:
    """Whole at once, and whether one was there before or not."""
    named = f"table inet {name}"
    return f"{named}\ndelete {named}\n" + (f"{named} {{\n{content}}}\n" if content else "")


def put_table(node: str, name: str, content: str = "") -> None:
    """In place of the former one of that name; without content there is none."""
    command(within(node, ["nft", "-f", "-"]), table(name, content))


def cut_path(node: str, other: str, families: Families) -> None:
    """No packet from or to a pod of the other node passes this one; between the nodes themselves all is as it was.

    As where an overlay's packets are lost on the way: traffic that a node sends to the other's pods is lost as well.
    """
    content = ""
    for hook, fields in (("input", "s"), ("forward", "sd"), ("output", "d")):
        rules = "".join(
            f" {family.match} {field}addr {family.pods_of(other)} counter drop;"
            for family in families
            for field in fields
        )
        content += f"chain {hook} {{ type filter hook {hook} priority -10;{rules} }}\n"
    put_table(node, f"path-{other}", content)


def mend_path(node: str, other: str) -> None:
    put_table(node, f"path-{other}")


def masquerade(node: str, families: Families) -> None:
    """What leaves the pods' network gets the node's address, as most clusters have it."""
    rules = "".join(f" {f.match} saddr {f.pods} {f.match} daddr != {f.pods} masquerade;" for f in families)
    put_table(node, "lab-masquerade", f"chain out {{ type nat hook postrouting priority srcnat;{rules} }}\n")
