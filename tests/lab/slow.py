"""A slow link from one node to another: a device of its own whose packets wait before they go on.

    python -m tests.lab.slow DEVICE MILLISECONDS     in the node's network namespace

What can be asked of every kernel is a `tun` device; netem, made for this, is not in each.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence

from . import network
from .component import Component
from .families import IPV4, Family, node_index
from .layout import CHECKOUT, Layout

SET_DEVICE, IS_TUN, WITHOUT_HEADER = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
QUEUE = 10_000  # packets; what comes then is lost, as on a real link
#: Preferences of routing rules: what has waited goes the ordinary way, and what has not, goes waiting.
WAITED, WAITING = 80, 90


def device(other: str) -> str:
    return f"slow-{node_index(other)}"


def rules(other: str, family: Family) -> list[str]:
    """For `ip rule`, after add or del: what is for the other node and its pods waits, once."""
    destinations = (family.pods_of(other), family.node(other))
    waiting = [f"pref {WAITING} to {destination} lookup {table(other)}" for destination in destinations]
    return [f"pref {WAITED} iif {device(other)} lookup main", *waiting]


def table(other: str) -> int:
    """A routing table of its own."""
    return 100 + node_index(other)


def begin(node: str, other: str, delay: int, families: Sequence[Family], layout: Layout) -> Component:
    """`delay` in ms, for what the node sends to the other one; returns when it is in force."""
    program = network.within(node, ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m", __name__])
    waiting = Component(f"slow-{node}-{other}", [*program, device(other), str(delay)], layout.logs)
    show = network.within(node, ["ip", "link", "show", device(other)])
    waiting.await_state(lambda: not subprocess.run(show, capture_output=True, check=False).returncode)
    # What a node sends in its own name comes back to it, and is masqueraded by the address of the device it leaves by.
    network.command(network.within(node, ["sysctl", "-q", "-w", f"net.ipv4.conf.{device(other)}.accept_local=1"]))
    own = [f"addr add {family.node(node)}/{32 if family is IPV4 else 128} dev {device(other)}" for family in families]
    network.ip_batch([*own, f"link set {device(other)} up"], node)
    for family in families:
        route = f"route add default dev {device(other)} src {family.node(node)} table {table(other)}"
        network.ip_batch([route, *(f"rule add {rule}" for rule in rules(other, family))], node, family)
    # Connection tracking has seen them, and would take a second sight for another connection.
    passed = f'iifname "{device(other)}" notrack'
    network.put_table(node, device(other), f"chain in {{ type filter hook prerouting priority raw; {passed}; }}\n")
    return waiting


def end(node: str, other: str, waiting: Component, families: Sequence[Family]) -> None:
    """Its device and routes go with the program. A node that was off and on again has nothing of it any more."""
    for family in families:
        network.ip_batch([f"rule del {rule}" for rule in rules(other, family)], node, family, force=True)
    network.put_table(node, device(other))
    waiting.process.terminate()
    waiting.process.wait()


def open_device(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, SET_DEVICE, struct.pack("16sH", name.encode(), IS_TUN | WITHOUT_HEADER))
    return descriptor


def delay_packets(descriptor: int, delay: float) -> None:
    """`delay` in seconds, the same for each packet: they stay in their order."""
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([descriptor], [], [], timeout)[0]:
            packet = os.read(descriptor, 1 << 16)
            if len(waiting) < QUEUE:
                waiting.append((time.monotonic() + delay, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(descriptor, waiting.popleft()[1])


if __name__ == "__main__":
    delay_packets(open_device(sys.argv[1]), int(sys.argv[2]) / 1000)
