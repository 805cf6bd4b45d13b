"""The rows of `kubeconfig_cases` that are about one cluster and one user: servers, credentials, and what is refused."""

from __future__ import annotations

import base64

from tests.unit.access.kubeconfig_cases import NO_FILE, Case, one
from tests.unit.access.kubeconfigs import SERVER, contexts

PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()

SERVERS = [
    one("a path stays, its last slash goes", {"server": "https://h/k8s/c1"}, cluster={"server": "https://h/k8s/c1/"}),
    one("query and fragment go", {"server": "https://h"}, cluster={"server": "https://h/?a=b#c"}),
    one("without a scheme it is http", {"server": "http://10.0.0.1:6443"}, cluster={"server": "10.0.0.1:6443"}),
    one("also a name", {"server": "http://localhost:6443"}, cluster={"server": "localhost:6443"}),
    one(
        "also with TLS settings",
        {"server": "http://10.0.0.1:6443", "insecure": False},
        cluster={"server": "10.0.0.1:6443", "insecure-skip-tls-verify": True},
    ),
    one(
        "without a scheme but with a path",
        'error: host must be a URL or a host:port pair: "10.0.0.1/k8s"',
        cluster={"server": "10.0.0.1/k8s"},
    ),
    one(
        "another scheme",
        'Unable to connect to the server: unsupported protocol scheme "ftp"',
        cluster={"server": "ftp://h"},
    ),
    one(
        "an impossible port",
        "error: the server of cluster \"c\" is not a valid URL: Port could not be cast to integer value as 'x'",
        cluster={"server": "https://h:x"},
    ),
    one(
        "credentials in the URL",
        'error: the server of cluster "c" in DIR/config has credentials in its URL, '
        "which kubectl svcprobe does not support yet",
        cluster={"server": "https://jane:pw@h"},
    ),
    one("no server", {"server": "http://localhost:8080", "source": ""}, cluster={"server": None}),
]

CREDENTIALS = [
    one("token", {"token": "t", "token_file": ""}, user={"token": "t"}),
    one("password", {"username": "jane", "password": "pw"}, user={"username": "jane", "password": "pw"}),
    one("none over http", {"token": "", "username": ""}, cluster={"server": "http://h"}, user={"token": "t"}),
    one(
        "plugins do not matter over http",
        {"server": "http://h"},
        cluster={"server": "http://h"},
        user={"exec": {"command": "login"}},
    ),
    one(
        "token and password",
        "error: more than one authentication method found for u; found [token basicAuth], only one is allowed",
        user={"token": "t", "username": "jane"},
    ),
    one(
        "token file and password",
        "error: username/password or bearer token may be set, but not both",
        user={"tokenFile": "config", "username": "jane"},
    ),
    one("a missing token file", f"error: open DIR/none: {NO_FILE}", user={"tokenFile": "none"}),
    one("a missing token file beside a token", {"token": "t"}, user={"tokenFile": "none", "token": "t"}),
    one("tls-server-name", {"tls_server_name": "api"}, cluster={"tls-server-name": "api"}),
    one("insecure", {"insecure": True, "ca": None}, cluster={"insecure-skip-tls-verify": True}),
    one(
        "insecure with an authority",
        "error: specifying a root certificates file with the insecure flag is not allowed",
        cluster={"insecure-skip-tls-verify": True, "certificate-authority-data": PEM},
    ),
    one(
        "a missing authority",
        f"error: unable to read certificate-authority DIR/ca.crt for c due to open DIR/ca.crt: {NO_FILE}",
        cluster={"certificate-authority": "ca.crt"},
    ),
    one(
        "an authority as file and as data",
        "error: certificate-authority-data and certificate-authority are both specified for c; only one is allowed",
        cluster={"certificate-authority": "ca.crt", "certificate-authority-data": PEM},
    ),
    one(
        "a certificate without a key",
        "error: client-key-data or client-key must be specified for u to use the clientCert authentication method.",
        user={"client-certificate-data": PEM},
    ),
    one("a key without a certificate", {"client_key": None}, user={"client-key-data": PEM}),
    one(
        "data that is not base64",
        'error: error loading config file "DIR/config": client-key-data of "u" is not valid base64',
        user={"client-certificate-data": PEM, "client-key-data": "???"},
    ),
]

REFUSED = [
    one(
        "exec",
        'error: user "u" in DIR/config uses an exec credential plugin, which kubectl svcprobe does not run yet',
        user={"exec": {"command": "aws"}},
    ),
    one(
        "auth-provider",
        'error: user "u" in DIR/config uses an auth provider (auth-provider), '
        "which kubectl svcprobe does not support yet",
        user={"auth-provider": {"name": "oidc"}},
    ),
    *(
        one(
            key,
            f'error: user "u" in DIR/config asks to impersonate ({key}), which kubectl svcprobe does not support yet',
            user={"token": "t", key: value},
        )
        for key, value in (
            ("as", "jane"),
            ("as-uid", "1"),
            ("as-groups", ["admins"]),
            ("as-user-extra", {"reason": ["x"]}),
        )
    ),
    one(
        "impersonation over http too",
        'error: user "u" in DIR/config asks to impersonate (as), which kubectl svcprobe does not support yet',
        cluster={"server": "http://h"},
        user={"as": "jane"},
    ),
    one(
        "proxy-url",
        'error: cluster "c" in DIR/config asks for a proxy (proxy-url), which kubectl svcprobe does not support yet',
        cluster={"proxy-url": "http://proxy:3128"},
    ),
    Case("not of another context", {"config": contexts(a="https://a")}, {"server": "https://a"}, context="a"),
    one("disable-compression is harmless", {"server": SERVER}, cluster={"disable-compression": True}),
    one("unknown keys", {"token": "t"}, cluster={"a": 1}, user={"token": "t", "b": 2}, context={"c": 3}, d=4),
]
