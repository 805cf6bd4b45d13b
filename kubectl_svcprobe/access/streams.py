"""Two more web sockets to a pod: a few bytes through a forwarded port, and a command run in a container.

The channels are those of `v4.channel.k8s.io` (kubelet/pkg/cri/streaming/{portforward,remotecommand}/websocket.go).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from kubectl_svcprobe.access.seam import Executed, Forwarded

#: A forwarded port's two channels begin with its number, in two bytes.
_NUMBER_BYTES = 2

#: Channels of a command.
_STDOUT, _STDERR, _STATUS = 1, 2, 3

#: What a server may write to the standard error of a command, and to a channel of complaints, before it is cut off.
_WORDS_BYTES = 8192


def exchange(connection: Any, content: bytes, timeout: float, limit: int) -> Forwarded:
    """Send a few bytes to the one port of a port-forward, and read until `limit` bytes, its end, or `timeout` seconds."""
    answer, complaint = b"", b""
    skipped = {0: _NUMBER_BYTES, 1: _NUMBER_BYTES}
    try:
        connection.send_binary(b"\0" + content)
    except Exception as error:
        if not _is_of_the_connection(error):
            raise
        return Forwarded(b"", is_ended=True)
    for channel, piece in _pieces(connection, timeout):
        if channel not in skipped:
            continue
        rest = piece[skipped[channel] :]
        skipped[channel] = max(0, skipped[channel] - len(piece))
        if channel == 0:
            answer += rest[: limit - len(answer)]
        elif rest:
            complaint += rest[:_WORDS_BYTES]
        if complaint or len(answer) >= limit:
            return Forwarded(answer, complaint.decode("utf-8", "replace").strip())
    return Forwarded(answer, is_ended=not connection.connected)


def output(connection: Any, timeout: float, limit: int) -> Executed:
    """All that a command writes until it ends; cut off at `limit` bytes, or after `timeout` seconds."""
    stdout, stderr = bytearray(), bytearray()
    for channel, piece in _pieces(connection, timeout):
        if channel == _STDOUT:
            stdout += piece[: limit - len(stdout)]
        elif channel == _STDERR:
            stderr += piece[: _WORDS_BYTES - len(stderr)]
        elif channel == _STATUS:
            code, problem = _ending(piece)
            return Executed(bytes(stdout), stderr.decode("utf-8", "replace"), code, problem)
    why = "it did not end in time" if connection.connected else "the connection to it ended"
    return Executed(bytes(stdout), stderr.decode("utf-8", "replace"), None, why)


def _ending(content: bytes) -> tuple[int | None, str]:
    """The Status that ends a command: its exit code, or why it did not run (apimachinery, `NonZeroExitCodeReason`)."""
    try:
        status = json.loads(content)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        return None, "it ended without a status"
    if status.get("status") == "Success":
        return 0, ""
    causes = (status.get("details") or {}).get("causes") or []
    for cause in causes if status.get("reason") == "NonZeroExitCode" else []:
        if isinstance(cause, dict) and cause.get("reason") == "ExitCode" and str(cause.get("message")).isdigit():
            return int(cause["message"]), ""
    return None, str(status.get("message") or "it could not be run")


def _pieces(connection: Any, timeout: float) -> Iterator[tuple[int, bytes]]:
    """Channel and content of each frame, until the connection or the time is over."""
    until = time.monotonic() + timeout
    while (left := until - time.monotonic()) > 0:
        try:
            connection.settimeout(left)
            frame = connection.recv_frame()
        except Exception as error:
            if not _is_of_the_connection(error):
                raise
            connection.connected = _is_late(error)
            return
        if frame.opcode == frame.OPCODE_CLOSE:
            connection.connected = False
            return
        if frame.opcode == frame.OPCODE_BINARY and frame.data:
            yield frame.data[0], bytes(frame.data[1:])


def _is_of_the_connection(error: Exception) -> bool:
    import websocket

    return isinstance(error, (websocket.WebSocketException, OSError))


def _is_late(error: Exception) -> bool:
    """Whether the time was over, rather than the connection."""
    import websocket

    return isinstance(error, (websocket.WebSocketTimeoutException, TimeoutError))
