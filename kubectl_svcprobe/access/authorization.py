"""The `Authorization` header."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

from kubectl_svcprobe.access.kubeconfig import Access
from kubectl_svcprobe.errors import AccessError

#: seconds after which a token file is read again, as in client-go (transport/token_source.go)
_TOKEN_PERIOD = 60.0


class Authorization:
    """The header's value for the next request; safe to call from several threads.

    A token file is read again every minute, since service account tokens rotate. While it cannot be read, the last
    token serves on.
    """

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._clock = clock
        self._token = access.token
        self._read_at: float | None = None

    def __call__(self) -> str:
        """Empty for a user without token and password; AccessError for a token that cannot be sent."""
        if self._access.token_file:
            self._refresh()
        if self._token:
            return "Bearer " + _sendable(self._token)
        if self._access.username or self._access.password:
            pair = f"{self._access.username}:{self._access.password}"
            return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        return ""

    def _refresh(self) -> None:
        now = self._clock()
        if self._read_at is not None and now - self._read_at < _TOKEN_PERIOD:
            return
        try:
            self._token = _read(self._access.token_file)
            self._read_at = now
        except AccessError:
            if not self._token:
                raise


def _read(file: str) -> str:
    try:
        token = Path(file).read_text("utf-8", "replace").strip()
    except OSError as error:
        raise AccessError(f"error: open {file}: {(error.strerror or 'cannot be read').lower()}") from None
    if not token:
        raise AccessError(f'error: read empty token from file "{file}"')
    return token


def _sendable(token: str) -> str:
    """The token, unless it would break the header: HTTP libraries then quote it in their error."""
    if token.isascii() and token.isprintable():
        return token
    raise AccessError('Unable to connect to the server: net/http: invalid header field value for "Authorization"')
