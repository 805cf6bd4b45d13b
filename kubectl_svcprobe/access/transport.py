"""One request to the API server: headers in, status checked, errors of the transport in kubectl's words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import urlencode

from kubectl_svcprobe.access import forwarding, unreachable, wire
from kubectl_svcprobe.access.authorization import Authorization
from kubectl_svcprobe.access.kubeconfig import Access
from kubectl_svcprobe.access.wire import Object
from kubectl_svcprobe.errors import AccessError

Query = list[tuple[str, str]]
OnRequest = Callable[[str, str, int, int], None]

#: seconds, as client-go's dialer
_CONNECT_TIMEOUT = 30.0
_CHUNK = 1 << 16


def query(**parameters: object) -> Query:
    """Query parameters without those that are empty or None."""
    return [(name, str(value)) for name, value in parameters.items() if value not in (None, "")]


class Transport:
    """Sends requests through an `ApiClient`, whose connections are shared by all threads."""

    def __init__(
        self,
        client: Any,
        client_error: type[Exception],
        access: Access,
        request_timeout: float,
        on_request: OnRequest | None,
    ) -> None:
        self._client = client
        self._client_error = client_error
        self._server = access.server
        self._server_name = access.tls_server_name
        self._proxy: str = client.configuration.proxy or ""
        self._authorization = Authorization(access)
        self._read_timeout = request_timeout or None
        self._connect_timeout = min(_CONNECT_TIMEOUT, request_timeout or _CONNECT_TIMEOUT)
        self._on_request = on_request
        self.warnings: list[str] = []

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def peek(self, path: str, timeout: float, limit: int) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name, and the first bytes of whatever answers at a path; no redirect is followed.

        The answer is another program's, so neither its status nor its body is taken for the API server's own.
        """
        request = self._request("GET", path, [], None)
        with self._explained():
            response = self._client.call_api(*request, _request_timeout=(self._connect_timeout, timeout))
        try:
            with self._explained():
                body = bytes(response.response.read(limit, decode_content=False))
        except AccessError:
            # Its headers have come, and they are an answer.
            body = b""
        finally:
            response.response.close()
        self._note(request, response, len(body))
        return int(response.status), {name.lower(): value for name, value in response.headers.items()}, body

    def content(
        self, method: str, path: str, query: Query | None = None, body: Object | None = None, patch: str = ""
    ) -> bytes:
        """The whole answer; `ApiError` if the status is not 2xx. `patch` is the kind of patch that the body is."""
        request = self._request(method, path, query or [], body, patch)
        return self._content(request, self._call(request, self._read_timeout))

    def stream(self, path: str, query: Query, timeout: float) -> Generator[bytes, None, None]:
        """The answer in pieces, each as it arrives, until it ends or is silent for `timeout` seconds.

        A connection that breaks also ends it, as in client-go: whoever watches must be able to start again anyway.
        """
        request = self._request("GET", path, query, None)
        response = self._call(request, timeout)
        try:
            if not _succeeded(response):
                self._content(request, response)
            self._note(request, response, 0)
            yield from _pieces(response)
        finally:
            response.response.close()

    def web_socket(self, path: str, query: Query, timeout: float) -> Any:
        """A web socket, which whoever asked for it closes; `ApiError` if the server does not switch to one."""
        from websocket import WebSocketBadStatusException, WebSocketException

        path = f"{path}?{urlencode(query)}"
        headers = {"User-Agent": self._client.user_agent, **self._authorized()}
        context = self._client.rest_client.pool_manager.connection_pool_kw.get("ssl_context")
        try:
            connection = forwarding.open_socket(
                self._server + path, headers, context, self._server_name, self._proxy, timeout
            )
        except WebSocketBadStatusException as error:
            self._tell("GET", path, error.status_code, 0)
            raise wire.refusal(error.status_code, _without_credentials(error.resp_body or b"", headers)) from None
        except (WebSocketException, OSError) as error:
            raise unreachable.explain(error, self._server, self._proxy) from None
        self._tell("GET", path, int(connection.getstatus()), 0)
        return connection

    def _request(self, method: str, path: str, query: Query, body: Object | None, patch: str = "") -> Any:
        return self._client.param_serialize(
            method, path, query_params=query, header_params=self._headers(body, patch), body=body
        )

    def _headers(self, body: Object | None, patch: str) -> dict[str, str]:
        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = f"application/{patch}+json" if patch else "application/json"
        return {**headers, **self._authorized()}

    def _authorized(self) -> dict[str, str]:
        # the server's URL decides, as in client-go: credentials never travel in the clear
        authorization = self._authorization() if self._server.startswith("https://") else ""
        return {"Authorization": authorization} if authorization else {}

    def _call(self, request: Any, read_timeout: float | None) -> Any:
        with self._explained():
            response = self._client.call_api(*request, _request_timeout=(self._connect_timeout, read_timeout))
        for text in wire.warnings(response.headers.getlist("Warning")):
            if text not in self.warnings:
                self.warnings.append(text)
        return response

    def _content(self, request: Any, response: Any) -> bytes:
        with self._explained():
            content = bytes(response.read())
        self._note(request, response, len(content))
        if not _succeeded(response):
            raise wire.refusal(response.status, _without_credentials(content, request[2]))
        return content

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (HTTPError, OSError, self._client_error) as error:
            raise unreachable.explain(error, self._server, self._proxy) from None

    def _note(self, request: Any, response: Any, size: int) -> None:
        self._tell(request[0], request[1].removeprefix(self._server), response.status, size)

    def _tell(self, method: str, path: str, status: int, size: int) -> None:
        if self._on_request:
            self._on_request(method, path, status, size)


def _without_credentials(content: bytes, headers: dict[str, str]) -> bytes:
    """A refusal as it may be shown: some gateways answer with a page that repeats the request's headers."""
    credentials = headers.get("Authorization", "").partition(" ")[2]
    return content.replace(credentials.encode(), b"***") if credentials else content


def _succeeded(response: Any) -> bool:
    return 200 <= int(response.status) <= 299


def _pieces(response: Any) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    try:
        yield from response.response.stream(_CHUNK)
    except (HTTPError, OSError):
        return
