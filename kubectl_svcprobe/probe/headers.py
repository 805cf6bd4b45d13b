"""The headers of an answer by which proxies, servers of gRPC and single pods give themselves away. Pure."""

from __future__ import annotations

import re

#: Asked for with every transfer, in this order.
PROXY_HEADERS = ("server", "l5d-proxy-error", "x-envoy-upstream-service-time")

#: Asked for in samples only: by them applications say, by custom, which of their pods answered.
TELLING_HEADERS = ("x-pod-name", "x-pod", "x-hostname", "x-host", "x-served-by", "x-backend", "x-instance", "x-server")

#: https://grpc.io/docs/guides/status-codes/, by number.
GRPC_CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED "
    "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
)
GRPC_STATUS = {str(number): name for number, name in enumerate(GRPC_CODES.split(" "))}


def headers_of(probe_scheme: str, is_sample: bool) -> tuple[str, ...]:
    """The headers that curl is told to write, in their order."""
    grpc = ("grpc-status",) if probe_scheme == "grpc" or is_sample else ()
    return (*PROXY_HEADERS, *grpc, *(TELLING_HEADERS if is_sample else ()))


def printable(header: str) -> str:
    """A header's value as it may be shown; nothing where an old curl has written its own option."""
    text = re.sub(r"[^ -~]+", " ", header)[:80].strip()
    return "" if text.startswith("%header") else text


def grpc_detail(status: str) -> str:
    """What a `grpc-status` means; empty for what is none."""
    return f"gRPC status {status} ({GRPC_STATUS[status]})" if status in GRPC_STATUS else ""
