"""Nothing in a lab reaches, or waits for, any other network."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.layout import AGNHOST_IMAGE, UNREACHABLE
from tests.lab_tests.machine import members, namespaces

pytestmark = pytest.mark.lab

CONNECT = ("busybox", "nc", "-w", "10", UNREACHABLE, "80")


def refused_at_once(command: Sequence[str]) -> None:
    began = time.monotonic()
    result = subprocess.run([*command, *CONNECT], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert result.returncode, "connected"
    assert "nreachable" in result.stderr or "No route" in result.stderr
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("place", ["node-1", "node-2", "workstation", "outside"])
def test_a_foreign_address_is_unreachable_from(lab: Lab, place: str) -> None:
    refused_at_once(["nsenter", f"--net=/proc/{lab.supervisor}/root/run/netns/{place}"])


def test_a_foreign_address_is_unreachable_from_the_control_plane(lab: Lab) -> None:
    refused_at_once(["nsenter", "--net", f"--target={lab.supervisor}"])


def test_a_foreign_address_is_unreachable_from_a_pod(lab: Lab) -> None:
    lab.kubectl("run", "caller", f"--image={AGNHOST_IMAGE}", "--restart=Never")
    lab.kubectl("wait", "--for=condition=Ready", "pod/caller", "--timeout=30s")
    began = time.monotonic()
    called = lab.run(["kubectl", "exec", "caller", "--", *CONNECT[1:]], check=False)
    assert called.returncode
    assert "nreachable" in called.stderr or "No route" in called.stderr
    assert time.monotonic() - began < 1
    lab.kubectl("delete", "pod", "caller", "--now")


def environment(process: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/environ").read_bytes()
    return b""  # it has ended


def test_no_process_of_the_lab_is_in_the_machines_network_or_knows_a_proxy(lab: Lab) -> None:
    processes = members(lab)
    machine = namespaces({1}, "net") or {str(Path("/proc/self/ns/net").readlink())}
    assert not machine & namespaces(processes, "net")
    for process in processes:
        assert b"_proxy=" not in environment(process).lower()


def test_the_lab_has_no_device_but_its_own(lab: Lab) -> None:
    """A veth pair whose other end were the machine's would show in the machine's list, and no other kind leads out."""
    own = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    command = ["nsenter", "--net", f"--target={lab.supervisor}", "ip", "-o", "link"]
    control_plane = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    devices = {line.split(": ")[1].split("@")[0] for line in control_plane.splitlines()}
    assert devices == {"lo", "br0", "to-workstation", "to-edge", "to-outside", "to-node-1", "to-node-2"}
    assert not [device for device in devices - {"lo"} if f": {device}" in own]
