"""The lab's network: a bridge in the control plane's namespace, and namespaces for the nodes, for the workstation (the
user's machine) and for a server outside the cluster. Nothing is connected to any other network: every default route
ends at an `unreachable` one, so that a connect to a foreign address fails at once instead of waiting.

Everything here runs inside the lab, whose own network namespace is the control plane's.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence

from .layout import (
    API_ADDRESS,
    OUTSIDE_ADDRESS,
    POD_NET,
    SERVICE_NET,
    WORKSTATION_ADDRESS,
    LabError,
    minimal_environment,
    node_address,
    node_index,
)

WORKSTATION, OUTSIDE = "workstation", "outside"
SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.icmp_ratelimit=0",  # every refused connect hears of it
)


def command(argv: Sequence[str], stdin: str | None = None) -> None:
    result = subprocess.run(argv, input=stdin, env=minimal_environment(), capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"{' '.join(argv)} failed: {result.stderr.strip()}")


def within(namespace: str, argv: Sequence[str]) -> list[str]:
    """Not `ip netns exec`: that mounts another /sys, which hides the cgroup tree from a kubelet."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *argv]


def ip_batch(lines: Iterable[str], namespace: str | None = None) -> None:
    argv = ["ip", "-batch", "-"]
    command(within(namespace, argv) if namespace else argv, "\n".join(lines) + "\n")


def set_sysctls(namespace: str | None = None) -> None:
    argv = ["sysctl", "-q", "-w", *SYSCTLS]
    command(within(namespace, argv) if namespace else argv)


def make_bridge() -> None:
    set_sysctls()
    ip_batch(
        [
            "link set lo up",
            "link add br0 type bridge",
            f"addr add {API_ADDRESS}/24 dev br0",
            "link set br0 up",
            "route add unreachable default",
        ]
    )


def connect(namespace: str, address: str, routes: Iterable[str] = ()) -> None:
    """Make a namespace and lay its link to the bridge."""
    port = f"to-{namespace}"
    command(["ip", "netns", "add", namespace])
    ip_batch(
        [
            f"link add {port} type veth peer name eth0 netns {namespace}",
            f"link set {port} master br0",
            f"link set {port} up",
        ]
    )
    set_sysctls(namespace)
    ip_batch(
        ["link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up", *(f"route add {r}" for r in routes)],
        namespace,
    )


def make_network(nodes: Sequence[str]) -> None:
    make_bridge()
    if nodes:
        ip_batch(f"route add {POD_NET}.{node_index(node)}.0/24 via {node_address(node)}" for node in nodes)
    connect(WORKSTATION, WORKSTATION_ADDRESS, ["unreachable default"])
    connect(OUTSIDE, OUTSIDE_ADDRESS, [f"{POD_NET}.0.0/16 via {API_ADDRESS}", "unreachable default"])
    for node in nodes:
        connect_node(node, nodes)


def connect_node(node: str, nodes: Sequence[str]) -> None:
    """A node routes pods of other nodes to these, and nothing else anywhere.

    The addresses of Services need a route too, for what the node itself sends: kube-proxy changes them after that.
    """
    others = [f"{POD_NET}.{node_index(other)}.0/24 via {node_address(other)}" for other in nodes if other != node]
    connect(node, node_address(node), [*others, f"{SERVICE_NET} via {API_ADDRESS}", "unreachable default"])


def disconnect_node(node: str) -> None:
    """The namespace itself lives on until its last process has ended; its link is gone at once."""
    command(["ip", "link", "del", f"to-{node}"])
    command(["ip", "netns", "del", node])


def path_table(other: str, content: str = "") -> str:
    """Whole at once, and whether one was there before or not."""
    name = f"table ip path-{other}"
    return f"{name}\ndelete {name}\n" + (f"{name} {{\n{content}}}\n" if content else "")


def cut_path(node: str, other: str) -> None:
    """No packet from or to a pod of the other node passes this one; between the nodes themselves all is as it was.

    As where an overlay's packets are lost on the way: traffic that a node sends to the other's pods is lost as well.
    """
    pods = f"{POD_NET}.{node_index(other)}.0/24"
    content = ""
    for hook, fields in (("input", "s"), ("forward", "sd"), ("output", "d")):
        rules = "".join(f" ip {field}addr {pods} counter drop;" for field in fields)
        content += f"chain {hook} {{ type filter hook {hook} priority -10;{rules} }}\n"
    command(within(node, ["nft", "-f", "-"]), path_table(other, content))


def mend_path(node: str, other: str) -> None:
    command(within(node, ["nft", "-f", "-"]), path_table(other))
