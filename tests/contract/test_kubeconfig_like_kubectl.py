"""The same files, flags and variables mean the same to kubectl: `kubectl config view --minify --raw --flatten`.

That command shows which context, cluster and user are chosen, not what kubectl does with them; for that see
`test_requests_like_kubectl`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kubectl_svcprobe.access.kubeconfig import Access, Pem, load
from kubectl_svcprobe.errors import AccessError
from tests.contract.kubectl import kubectl, last_line, needs_kubectl
from tests.sockets.certificates import certificates
from tests.unit.access.connection_cases import CREDENTIALS, SERVERS
from tests.unit.access.kubeconfig_cases import CONTEXTS, MALFORMED, MERGING, WHICH_FILE, Case
from tests.unit.access.kubeconfigs import kubeconfig

pytestmark = needs_kubectl

_NO_CONTEXT = "error: current-context must exist in order to minify"
#: `config view` treats a missing file as an empty one and needs a cluster to show; other commands do neither
_OTHERWISE = {"a missing file in the flag", "a context without its cluster falls to the default"}
#: `config view` shows what other commands refuse
_SEEN_LATER = {
    "a context without its user",
    *(case.name for case in (*SERVERS, *CREDENTIALS) if isinstance(case.expected, str)),
}


@pytest.mark.parametrize(
    "case", [*WHICH_FILE, *MERGING, *CONTEXTS, *SERVERS, *CREDENTIALS, *MALFORMED], ids=lambda case: case.name
)
def test_kubectl_chooses_the_same(case: Case, tmp_path: Path) -> None:
    ours = _ours(case, tmp_path)
    shown = _shown(case, tmp_path)
    if case.name in _OTHERWISE:
        assert isinstance(shown, str)
    elif shown == _NO_CONTEXT:
        assert isinstance(ours, Access)
        assert ours.context == ""
    elif isinstance(shown, str):
        assert isinstance(ours, str), f"kubectl refuses: {shown}"
    elif case.name not in _SEEN_LATER:
        assert isinstance(ours, Access)
        _assert_same(ours, shown)


def test_kubectl_reads_the_same_files_from_the_same_places(tmp_path: Path) -> None:
    made = certificates()
    (tmp_path / "ca.crt").write_bytes(made.authority.certificate.read_bytes())
    (tmp_path / "jane.crt").write_bytes(made.client.certificate.read_bytes())
    key = base64.b64encode(made.client.key.read_bytes()).decode()
    cluster = {"certificate-authority": "ca.crt", "tls-server-name": "api.example"}
    user = {"client-certificate": "./jane.crt", "client-key-data": key}
    case = Case("files", {"config": kubeconfig(cluster, user, {"namespace": "shop"})}, {})
    ours, shown = _ours(case, tmp_path), _shown(case, tmp_path)
    assert isinstance(ours, Access)
    assert not isinstance(shown, str)
    assert ours.client_key
    _assert_same(ours, shown)


def _ours(case: Case, directory: Path) -> Access | str:
    try:
        return case.load(directory)
    except AccessError as error:
        return str(error)


def _shown(case: Case, directory: Path) -> dict[str, Any] | str:
    """What kubectl prints, or its error."""
    flags = [f"--kubeconfig={case.kubeconfig.replace('DIR', str(directory))}"] if case.kubeconfig else []
    if case.context:
        flags.append(f"--context={case.context}")
    environ = {name: value.replace("DIR", str(directory)) for name, value in case.environ.items()}
    done = kubectl(
        "config", "view", "--minify", "--raw", "--flatten", "-o", "json", *flags,
        home=directory / "nobody", environ=environ,
    )  # fmt: skip
    if done.returncode:
        return last_line(done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _assert_same(ours: Access, shown: dict[str, Any]) -> None:
    context = shown["contexts"][0]
    cluster = (shown["clusters"] or [{"cluster": {}}])[0]["cluster"]
    user = (shown.get("users") or [{"user": {}}])[0]["user"]
    assert ours.context == context["name"]
    assert ours.namespace == context["context"].get("namespace", "default")
    written = cluster.get("server", "")
    assert not written or ours.server.endswith(written.partition("?")[0].rstrip("/"))
    if ours.server.startswith("http://"):
        return  # where kubectl would leave the rest unused
    assert ours.tls_server_name == cluster.get("tls-server-name", "")
    assert ours.insecure == cluster.get("insecure-skip-tls-verify", False)
    assert (ours.token, ours.username, ours.password) == tuple(
        user.get(key, "") for key in ("token", "username", "password")
    )
    assert _encoded(ours.ca) == cluster.get("certificate-authority-data", "")
    assert _encoded(ours.client_certificate) == user.get("client-certificate-data", "")
    if ours.client_certificate:
        assert _encoded(ours.client_key) == user.get("client-key-data", "")


def _encoded(pem: Pem | None) -> str:
    if pem is None:
        return ""
    return base64.b64encode(pem.data or Path(pem.file).read_bytes()).decode()


def test_load_is_not_told_of_the_environment_it_runs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(kubeconfig())
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert load(None, None, {}).source == ""
