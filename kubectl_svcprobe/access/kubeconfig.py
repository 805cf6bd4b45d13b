"""The kubeconfig, resolved to kubectl's rules: which server, as whom, in which namespace.

    kubectl                                              here
    KUBECONFIG is a list, the first file wins            the same
    --kubeconfig names one file, which must exist        the same
    no current-context: http://localhost:8080            the same, and $KUBERNETES_MASTER before it
    the default server, inside a pod: service account    the same
    credentials and TLS files only for https://          the same
    certificates both as file and as data: an error      the same
    no credentials: asks for user name and password      asks nobody; the server then says 401 or 403
    a context whose user does not exist: asks too        an error
    runs exec plugins, auth providers, proxy-url,        refused by name: to go on without them would mean
    impersonates (as, as-uid, as-groups, …)              acting as somebody else, or on another way

Sources: client-go tools/clientcmd (client_config.go, validation.go, loader.go) and rest/url_utils.go.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from kubectl_svcprobe.access.kubeconfig_file import Entry, Kubeconfig, merge, read
from kubectl_svcprobe.errors import AccessError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER = "in-cluster"

_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")
_NOBODY = Entry("", {}, "")


@dataclass(frozen=True)
class Pem:
    """Certificates or a key in PEM form: the name of a file, or the content itself."""

    file: str = ""
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Access:
    """Everything a connection needs; a repr of it shows no secret."""

    server: str  #: with scheme, without a trailing slash
    namespace: str = "default"
    context: str = ""  #: empty where no context was chosen
    source: str = ""  #: the file that names the server, or `IN_CLUSTER`; empty for the default server
    ca: Pem | None = None  #: None means the system's certificate authorities
    insecure: bool = False
    tls_server_name: str = ""
    client_certificate: Pem | None = None
    client_key: Pem | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""  #: wins over `token`, and is read again every minute: such tokens rotate
    username: str = ""
    password: str = field(default="", repr=False)


def load(
    kubeconfig: str | None,
    context: str | None,
    environ: Mapping[str, str],
    *,
    service_account: Path = SERVICE_ACCOUNT,
) -> Access:
    """What kubectl would connect to with `--kubeconfig` and `--context`; AccessError where it would fail."""
    config = _read_all(kubeconfig, environ)
    default = environ.get("KUBERNETES_MASTER") or "http://localhost:8080"
    access = select(config, context, default)
    if not _in_cluster_possible(environ, service_account):
        return access
    namespace = _chosen_namespace(config, context) or _in_cluster_namespace(environ, service_account)
    if access.source:
        return replace(access, namespace=namespace)
    return _in_cluster(environ, service_account, namespace)


def select(config: Kubeconfig, context: str | None, default_server: str = "http://localhost:8080") -> Access:
    """One context of a merged kubeconfig, with its cluster and user."""
    name = context or config.current_context
    if name and name not in config.contexts:
        raise AccessError(f"Error in configuration: context was not found for specified context: {name}")
    chosen = config.contexts.get(name, _NOBODY)
    cluster = config.clusters.get(chosen.text("cluster"), _NOBODY)
    user = _user(config, chosen)
    _check_user(user)
    if cluster.text("proxy-url"):
        raise _not_yet(f'cluster "{cluster.name}" in {cluster.file} asks for a proxy (proxy-url)')
    url = _server_url(cluster.text("server") or default_server, cluster)
    access = Access(
        server=url.geturl(),
        namespace=chosen.text("namespace") or "default",
        context=name,
        source=cluster.file if cluster.text("server") else "",
    )
    # client-go reads credentials and TLS settings only for a secure server: they cannot leak to another
    return _secured(access, cluster, user) if url.scheme == "https" else access


def _read_all(kubeconfig: str | None, environ: Mapping[str, str]) -> Kubeconfig:
    if kubeconfig:
        config = read(kubeconfig)
        if config is None:
            raise AccessError(f"error: stat {kubeconfig}: no such file or directory")
        return config
    names = environ.get("KUBECONFIG") or os.path.join(_home(environ), ".kube", "config")  # noqa: PTH118
    files = (read(name) for name in names.split(os.pathsep) if name)
    return merge(file for file in files if file is not None)


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or environ.get("USERPROFILE") or ""


def _user(config: Kubeconfig, context: Entry) -> Entry:
    name = context.text("user")
    if name and name not in config.users:
        raise AccessError(f'error: user "{name}" of context "{context.name}" in {context.file} does not exist')
    return config.users.get(name, _NOBODY)


def _check_user(user: Entry) -> None:
    """What kubectl refuses of any user, and what it would do that is not done here."""
    for key in _IMPERSONATION:
        if user.fields.get(key):
            raise _not_yet(f'user "{user.name}" in {user.file} asks to impersonate ({key})')
    if user.text("token") and (user.text("username") or user.text("password")):
        raise AccessError(
            f"error: more than one authentication method found for {user.name}; "
            "found [token basicAuth], only one is allowed"
        )
    if user.text("tokenFile") and (user.text("username") or user.text("password")):
        raise AccessError("error: username/password or bearer token may be set, but not both")


def _server_url(server: str, cluster: Entry) -> SplitResult:
    """The URL, defaulted as client-go does: without a scheme it is http, whatever the TLS settings say."""
    if "@" in server:  # before any error that quotes the URL
        raise _not_yet(f'the server of cluster "{cluster.name}" in {cluster.file} has credentials in its URL')
    try:
        url = urlsplit(server)
        if not url.scheme or not url.netloc:
            url = urlsplit("http://" + server)
            if url.path not in ("", "/"):
                raise AccessError(f'error: host must be a URL or a host:port pair: "{server}"')
        url.port  # noqa: B018  raises ValueError
    except ValueError as error:
        raise AccessError(f'error: the server of cluster "{cluster.name}" is not a valid URL: {error}') from None
    if url.scheme not in ("http", "https"):
        raise AccessError(f'Unable to connect to the server: unsupported protocol scheme "{url.scheme}"')
    return url._replace(path=url.path.rstrip("/"), query="", fragment="")


def _secured(access: Access, cluster: Entry, user: Entry) -> Access:
    ca, insecure = _pem(cluster, "certificate-authority"), cluster.flag("insecure-skip-tls-verify")
    if insecure and ca:
        raise AccessError("error: specifying a root certificates file with the insecure flag is not allowed")
    _check_plugins(user)
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    if certificate and not key:
        raise AccessError(
            f"error: client-key-data or client-key must be specified for {user.name} "
            "to use the clientCert authentication method."
        )
    token_file = user.path("tokenFile")
    if token_file and not user.text("token"):
        _check_readable(token_file, "")
    return replace(
        access,
        ca=ca,
        insecure=insecure,
        tls_server_name=cluster.text("tls-server-name"),
        client_certificate=certificate,
        client_key=key if certificate else None,
        token=user.text("token"),
        token_file=token_file,
        username=user.text("username"),
        password=user.text("password"),
    )


def _check_plugins(user: Entry) -> None:
    if user.fields.get("exec"):
        what = f'user "{user.name}" in {user.file} uses an exec credential plugin'
        raise AccessError(f"error: {what}, which kubectl svcprobe does not run yet")
    if user.fields.get("auth-provider"):
        raise _not_yet(f'user "{user.name}" in {user.file} uses an auth provider (auth-provider)')


def _pem(entry: Entry, key: str) -> Pem | None:
    """The file under `key` or the content under `key`-data; AccessError if both are there."""
    file, encoded = entry.path(key), entry.text(key + "-data")
    if file and encoded:
        raise AccessError(f"error: {key}-data and {key} are both specified for {entry.name}; only one is allowed")
    if file:
        _check_readable(file, f"unable to read {key} {file} for {entry.name} due to ")
        return Pem(file=file)
    return Pem(data=_decoded(encoded, entry, key)) if encoded else None


def _decoded(encoded: str, entry: Entry, key: str) -> bytes:
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        why = f'{key}-data of "{entry.name}" is not valid base64'
        raise AccessError(f'error: error loading config file "{entry.file}": {why}') from None


def _check_readable(file: str, why: str) -> None:
    try:
        Path(file).open("rb").close()
    except OSError as error:
        raise AccessError(f"error: {why}open {file}: {(error.strerror or 'cannot be read').lower()}") from None


def _in_cluster_possible(environ: Mapping[str, str], service_account: Path) -> bool:
    known = environ.get("KUBERNETES_SERVICE_HOST") and environ.get("KUBERNETES_SERVICE_PORT")
    return bool(known) and (service_account / "token").is_file()


def _in_cluster(environ: Mapping[str, str], service_account: Path, namespace: str) -> Access:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    authorities = service_account / "ca.crt"
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace,
        source=IN_CLUSTER,
        ca=Pem(file=str(authorities)) if authorities.is_file() else None,
        token_file=str(service_account / "token"),
    )


def _chosen_namespace(config: Kubeconfig, context: str | None) -> str:
    return config.contexts.get(context or config.current_context, _NOBODY).text("namespace")


def _in_cluster_namespace(environ: Mapping[str, str], service_account: Path) -> str:
    """Also the namespace of a context that names none, for a kubectl inside a pod."""
    if environ.get("POD_NAMESPACE"):
        return environ["POD_NAMESPACE"]
    try:
        return (service_account / "namespace").read_text().strip() or "default"
    except OSError:
        return "default"


def _not_yet(what: str) -> AccessError:
    return AccessError(f"error: {what}, which kubectl svcprobe does not support yet")
