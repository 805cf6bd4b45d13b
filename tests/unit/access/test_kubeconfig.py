"""Which server, as whom, in which namespace: files as kubectl reads them."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from kubectl_svcprobe.access.kubeconfig import load
from kubectl_svcprobe.errors import AccessError
from tests.unit.access.connection_cases import CREDENTIALS, PEM, REFUSED, SERVERS
from tests.unit.access.kubeconfig_cases import CONTEXTS, IN_A_POD, MALFORMED, MERGING, WHICH_FILE, Case, placed
from tests.unit.access.kubeconfigs import kubeconfig

CASES = [*WHICH_FILE, *MERGING, *CONTEXTS, *SERVERS, *CREDENTIALS, *REFUSED, *MALFORMED]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_kubeconfig_means_what_it_means_to_kubectl(case: Case, tmp_path: Path) -> None:
    if isinstance(case.expected, str):
        with pytest.raises(AccessError) as error:
            case.load(tmp_path)
        assert str(error.value) == placed(case.expected, tmp_path)
        return
    access = case.load(tmp_path)
    for name, value in case.expected.items():
        expected = placed(value, tmp_path) if isinstance(value, str) else value
        assert (name, getattr(access, name)) == (name, expected)


def test_relative_paths_start_from_the_file_that_holds_them(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "ca.crt").touch()
    (tmp_path / "a" / "config").write_text(kubeconfig({"certificate-authority": "../b/ca.crt"}, users=[]))
    (tmp_path / "b" / "config").write_text(
        kubeconfig(user={"tokenFile": "./ca.crt"}, clusters=[], contexts=[], current_context="")
    )
    names = os.pathsep.join(str(tmp_path / place / "config") for place in ("a", "b"))
    access = load(None, None, {"KUBECONFIG": names})
    assert access.ca is not None
    assert Path(access.ca.file).resolve() == tmp_path / "b" / "ca.crt"
    assert Path(access.token_file) == tmp_path / "b" / "ca.crt"


def test_a_relative_kubeconfig_counts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "config").write_text(kubeconfig(user={"tokenFile": "token"}))
    monkeypatch.chdir(tmp_path)
    assert load("config", None, {}).token_file == str(tmp_path / "token")


def test_a_path_through_a_file_is_an_error_not_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    with pytest.raises(AccessError, match="not a directory"):
        load(None, None, {"KUBECONFIG": str(tmp_path / "config" / "config")})


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="is a directory"):
        load(str(tmp_path), None, {})


SECRET = "hunter2hunter2"
LEAKS = {
    "token": kubeconfig(user={"token": SECRET}),
    "password": kubeconfig(user={"username": "jane", "password": SECRET}),
    "key": kubeconfig(
        user={"client-certificate-data": PEM, "client-key-data": base64.b64encode(SECRET.encode()).decode()}
    ),
    "a token that looks like an alias": kubeconfig(user={"token": "X"}).replace('"X"', "*" + SECRET),
    "a token that looks like a tag": kubeconfig(user={"token": "X"}).replace('"X"', f"!{SECRET} a"),
    "a token in a broken line": f"users: [{{token: {SECRET}: {SECRET}: ]",
    "a token of the wrong type": kubeconfig(user={"token": [SECRET]}),
    "data that is not base64": kubeconfig(user={"client-certificate-data": f"?{SECRET}", "client-key-data": PEM}),
    "a user that is only a string": kubeconfig(users=[SECRET]),
    "a URL with a password": kubeconfig({"server": f"https://jane:{SECRET}@10.0.0.1"}),
    "a URL with a password that is no URL": kubeconfig({"server": f"https://jane:{SECRET}/x@10.0.0.1"}),
    "a host with a password": kubeconfig({"server": f"jane:{SECRET}@10.0.0.1/path"}),
    "two ways to log in": kubeconfig(user={"token": SECRET, "username": "jane", "password": SECRET}),
}


@pytest.mark.parametrize("content", LEAKS.values(), ids=LEAKS)
def test_no_secret_shows(content: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(content)
    try:
        shown = repr(load(str(tmp_path / "config"), None, {}))
    except AccessError as error:
        shown = repr(error) + str(error)
    assert SECRET not in shown
    assert base64.b64encode(SECRET.encode()).decode() not in shown


@pytest.mark.parametrize("case", IN_A_POD, ids=lambda case: case.name)
def test_inside_a_pod_the_service_account_serves(case: Case, tmp_path: Path) -> None:
    test_a_kubeconfig_means_what_it_means_to_kubectl(case, tmp_path)
