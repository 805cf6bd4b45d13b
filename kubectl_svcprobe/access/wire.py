"""What the API server writes: objects, Status, warnings, lines of a watch. Bytes to values, no connection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_svcprobe.errors import AccessError, ApiError, api_error

Object = dict[str, Any]

#: client-go's words for a refusal that is not a Status object (apimachinery, api/errors `NewGenericServerResponse`)
_GENERIC = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", "the server does not allow access to the requested resource"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    409: ("Conflict", "the server reported a conflict"),
    410: ("Gone", "the resource version is too old"),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: (
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
    ),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
}
_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


def decode(content: bytes, path: str) -> Object:
    """One JSON object; AccessError if the server wrote anything else."""
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AccessError(f"error: the server's answer to {path} is not a JSON object; is it a Kubernetes API server?")
    return value


def refusal(status: int, content: bytes) -> ApiError:
    """The error for a response outside 2xx."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if isinstance(body, dict) and body.get("kind") == "Status" and body.get("message"):
        return status_error(body, status)
    text = content.decode("utf-8", "replace").strip()[:200]
    reason, message = _GENERIC.get(status, ("", ""))
    if status == 403 and text:
        message = text
    if not reason and status >= 500:
        reason = "InternalError"
        message = f"an error on the server ({json.dumps(text)}) has prevented the request from succeeding"
    unknown = f"the server responded with the status code {status} but did not return more information"
    return api_error(status, reason, message or unknown)


def status_error(status: Object, code: int = 0) -> ApiError:
    """The error that a Status object stands for."""
    return api_error(int(status.get("code") or code), str(status.get("reason") or ""), str(status.get("message") or ""))


def warnings(headers: Iterable[str]) -> list[str]:
    """The texts of `Warning` headers (RFC 7234 §5.5: code, agent, quoted text)."""
    return [re.sub(r"\\(.)", r"\1", text) for header in headers for text in _WARNING.findall(header)]


def events(lines: Iterable[bytes]) -> Iterator[tuple[str, Object]]:
    """The events of a watch; an ERROR event is raised (410 as `Gone`)."""
    for line in lines:
        event = decode(line, "a watch")
        kind, item = str(event.get("type")), event.get("object")
        if not isinstance(item, dict):
            raise AccessError("error: the server sent a watch event without an object")
        if kind == "ERROR":
            raise status_error(item, 500)
        yield kind, item


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The complete lines of a stream, each as soon as it is complete; an unfinished last line is dropped."""
    pending: list[bytes] = []
    for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        pending.append(first)
        for following in rest:
            line = b"".join(pending)
            pending = [following]
            if line.strip():
                yield line
