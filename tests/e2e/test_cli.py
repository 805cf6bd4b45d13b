"""The command line: what can be asked, and the forms in which the answer comes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pexpect
import pytest
import yaml

from kubectl_svcprobe.progress import FRAMES
from tests.e2e.cluster import Namespace, deployment, service
from tests.e2e.command import Answer, kubectl_svcprobe, svcprobe
from tests.lab import Lab

pytestmark = pytest.mark.lab

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema.json"
PROBE_PODS = "app.kubernetes.io/managed-by=kubectl-svcprobe"


@pytest.fixture(scope="module")
def web(namespace: Namespace) -> Namespace:
    """`web` works, `typo` selects nothing, and `silent` accepts connections without a word."""
    silent = deployment("silent")
    container = silent["spec"]["template"]["spec"]["containers"][0]
    container.update(args=None, command=["nc", "-ll", "-p", "8080", "-e", "sleep", "3600"], readinessProbe=None)
    full = service(type="NodePort", sessionAffinity="ClientIP")
    full["metadata"].update(labels={"team": "shop"}, annotations={"example.test/owner": "shop@example.test"})
    typo = service("typo")
    typo["spec"]["selector"] = {"app": "wbe"}
    namespace.apply(deployment(replicas=2), silent, full, typo, service("silent"))
    namespace.roll_out("web")
    namespace.roll_out("silent")
    namespace.kubectl("wait", "--for=jsonpath={.spec.clusterIP}", "service/web", "--timeout=10s")
    return namespace


def ask(web: Namespace, *arguments: str) -> Answer:
    return svcprobe(web.lab, *arguments, "-n", web.name)


# --- forms of the answer


def test_json_is_as_published(web: Namespace) -> None:
    schema = json.loads(SCHEMA.read_text())
    for arguments in (["web"], ["typo"], ["nosuch"], ["web", "typo"], [], ["web", "--no-probe"]):
        jsonschema.validate(json.loads(ask(web, *arguments).stdout), schema)


def test_yaml_says_what_json_says(web: Namespace) -> None:
    as_json = json.loads(kubectl_svcprobe(web.lab, "typo", "-n", web.name, "-o", "json").stdout)
    as_yaml = yaml.safe_load(kubectl_svcprobe(web.lab, "typo", "-n", web.name, "-o", "yaml").stdout)
    for document in (as_json, as_yaml):
        del document["reports"][0]["taken"]
    assert as_yaml == as_json


def test_names_are_those_of_what_is_broken(web: Namespace) -> None:
    answer = kubectl_svcprobe(web.lab, "-n", web.name, "-o", "name")
    assert (answer.code, answer.stdout) == (1, "service/typo\n")
    assert web.kubectl("get", *answer.stdout.split(), "-o", "name") == answer.stdout


def test_the_first_line_is_the_summary(web: Namespace) -> None:
    for name, symbol in (("web", "✔"), ("typo", "✖"), ("nosuch", "?")):
        report = ask(web, name).report
        first = kubectl_svcprobe(web.lab, name, "-n", web.name).stdout.splitlines()[0]
        assert first.startswith(f"{symbol} ")
        assert report.summary.startswith(first.removeprefix(f"{symbol} "))


def test_wide_holds_all_that_kubectl_get_and_describe_show(web: Namespace) -> None:
    wide = kubectl_svcprobe(web.lab, "web", "-n", web.name, "-o", "wide").stdout
    shown = web.kubectl("get", "service", "web", "-o", "wide", "--no-headers").split()
    name, kind, cluster_ip, _external_ip, ports, _age, selector = shown
    values = [name, kind, cluster_ip, *re.split(r"[:/]", ports), selector]
    for line in web.kubectl("describe", "service", "web").splitlines():
        key, _, value = line.partition(":")
        if key not in ("Events", "Annotations", "Namespace"):
            values += re.split(r"[\s,]+|/TCP", value)
    values += ["example.test/owner", "shop@example.test", web.name]
    missing = {value for value in values if value and value not in wide} - {"<unset>", "<none>"}
    assert not missing, wide


def test_wide_shows_events_like_describe(web: Namespace) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web-noted"},
        "involvedObject": {"apiVersion": "v1", "kind": "Service", "name": "web", "namespace": web.name},
        "type": "Normal",
        "reason": "Noted",
        "message": "somebody was here",
        "lastTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    web.apply(event)
    wide = kubectl_svcprobe(web.lab, "web", "--no-probe", "-n", web.name, "-o", "wide").stdout
    assert re.search(r"Normal Noted .*somebody was here", wide)


# --- which Service


@pytest.mark.parametrize(
    "target", ["web", "svc/web", "service/web", "services/web", "web:80", "web:http", "svc/web:http"]
)
def test_a_service_may_be_given_in_several_ways(web: Namespace, target: str) -> None:
    answer = ask(web, target, "--no-probe")
    assert (answer.code, answer.report.json["service"]["name"]) == (0, "web")
    assert [port["port"] for port in answer.report.json["service"]["ports"]] == [80]


def test_several_services_are_one_document(web: Namespace) -> None:
    answer = ask(web, "web", "typo")
    assert [(r.json["service"]["name"], r.verdict) for r in answer.reports] == [("web", "ok"), ("typo", "broken")]
    assert answer.code == 1
    assert ask(web, "svc", "web", "typo", "--no-probe").code == 1
    assert ask(web, "web", "nosuch", "--no-probe").code == 3
    assert ask(web, "typo", "nosuch", "--no-probe").code == 1, "what is known to be broken weighs more"


def test_namespace_context_and_kubeconfig_are_found_like_kubectl_finds_them(web: Namespace, tmp_path: Path) -> None:
    config = yaml.safe_load(web.lab.kubeconfig.read_text())
    context = config["contexts"][0]["context"]
    config["contexts"] = [
        {"name": "here", "context": {**context, "namespace": web.name}},
        {"name": "elsewhere", "context": {**context, "namespace": "kube-system"}},
    ]
    config["current-context"] = "elsewhere"
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config))
    by_flag = svcprobe(web.lab, "web", "--no-probe", "--kubeconfig", str(file), "--context", "here")
    by_variable = svcprobe(web.lab, "web", "--no-probe", "--context", "here", env={"KUBECONFIG": str(file)})
    current = svcprobe(web.lab, "--kubeconfig", str(file))
    assert (by_flag.code, by_variable.code) == (0, 0)
    assert by_flag.report.json["service"]["namespace"] == web.name
    assert [r.json["service"]["name"] for r in current.reports] == ["kube-dns"]
    pasted = svcprobe(web.lab, "typo", "--kubeconfig", str(file), "--context", "here").report.finding("SVC201")["fix"]
    assert f"--kubeconfig {file} --context here" in " ".join(
        pasted
    ) or f"--context here --kubeconfig {file}" in " ".join(pasted)

    wrong = kubectl_svcprobe(web.lab, "web", "--context", "nosuch")
    theirs = web.lab.run(["kubectl", "get", "services", "--context", "nosuch"], check=False)
    assert (wrong.code, wrong.stdout) == (3, "")
    assert wrong.stderr == theirs.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "--nonsense"),
        (["web", "-o", "nonsense"], "nonsense"),
        (["web", "--timeout", "soon"], "soon"),
        (["Web"], "Web"),
        (["configmap/web"], "configmap/web"),
        (["web:81"], "80"),
        (["--dry-run"], "--dry-run"),
        (["explain", "SVC000"], "SVC000"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_understood_is_usage(web: Namespace, arguments: list[str], said: str) -> None:
    namespace = [] if arguments[0] == "explain" else ["-n", web.name]
    answer = kubectl_svcprobe(web.lab, *arguments, *namespace)
    assert (answer.code, answer.stdout) == (2, "")
    assert said in answer.stderr


def test_help_version_and_pages_need_no_cluster(lab: Lab) -> None:
    nowhere = {"KUBECONFIG": "/nonexistent"}
    assert "kubectl svcprobe explain" in kubectl_svcprobe(lab, "--help", env=nowhere).stdout
    assert re.fullmatch(r"kubectl-svcprobe \d+\.\d+.*\n", kubectl_svcprobe(lab, "--version", env=nowhere).stdout)
    page = kubectl_svcprobe(lab, "explain", "svc201", env=nowhere)
    assert (page.code, page.stdout.split()[0]) == (0, "SVC201")


# --- how it is tried


def test_no_probe_starts_no_pod(web: Namespace) -> None:
    answer = ask(web, "web", "--no-probe")
    assert answer.report.json["probe"] is None
    assert set(answer.report.outcomes("ClusterIP").values()) == {"not-run"}
    assert set(answer.report.outcomes("NodePort", "this machine").values()) == {"answered"}


def test_no_from_here_tries_nothing_from_this_machine(web: Namespace) -> None:
    report = ask(web, "web", "--no-from-here").report
    assert {path["outcome"] for path in report.paths(vantage="this machine")} <= {"not-run"}
    assert set(report.outcomes("NodePort", "probe pod").values()) == {"answered"}


def test_the_pod_runs_on_the_node_that_is_asked_for(web: Namespace) -> None:
    for node in ("node-1", "node-3"):
        assert ask(web, "web", "--node", node).report.json["probe"]["node"] == node
    nowhere = kubectl_svcprobe(web.lab, "web", "-n", web.name, "--node", "node-9")
    assert (nowhere.code, nowhere.stdout) == (2, "")
    assert nowhere.stderr == "error: there is no node node-9; there is node-1, node-2 and node-3\n"


def test_findings_are_chosen_by_code_or_name(web: Namespace) -> None:
    skipped = ask(web, "typo", "--skip", "svc201")
    assert (skipped.code, skipped.report.codes) == (0, [])
    assert skipped.report.summary == "typo: nothing found; left out: SVC201 selector-matches-no-pod."
    only = ask(web, "typo", "--only", "SVC301,selector-matches-no-pod")
    assert (only.code, only.report.codes, only.report.skipped) == (
        1,
        ["SVC201"],
        {"all but SVC201 and SVC301": "--only"},
    )
    unknown = kubectl_svcprobe(web.lab, "typo", "--only", "SVC999", "-n", web.name)
    assert (unknown.code, unknown.stdout) == (2, "")
    assert "no finding has the code SVC999" in unknown.stderr


def test_path_chooses_what_is_asked_for_and_fail_on_what_counts(web: Namespace) -> None:
    error = ["web", "--path", "/echo?msg=no&code=500"]
    answer = ask(web, *error)
    assert (answer.code, answer.report.verdict, answer.report.codes) == (0, "warning", ["SVC704"])
    assert {p["request"] for p in answer.report.paths()} == {"GET /echo?msg=no&code=500"}
    assert {p["http_status"] for p in answer.report.paths()} == {500}
    assert ask(web, *error, "--fail-on", "warning").code == 1
    assert ask(web, "typo", "--fail-on", "never").code == 0


def test_timeout_bounds_each_request(web: Namespace) -> None:
    started = time.monotonic()
    report = ask(web, "silent", "--path", "/", "--timeout", "1s").report
    assert report.codes == ["SVC702"]
    assert time.monotonic() - started < 12
    assert all(path["milliseconds"] < 1500 for path in report.paths())


def test_an_image_may_come_from_the_environment(web: Namespace) -> None:
    answer = svcprobe(web.lab, "web", "-n", web.name, env={"KUBECTL_SVCPROBE_IMAGE": "lab.test/curl:1"})
    assert (answer.code, answer.report.json["probe"]["image"]) == (0, "lab.test/curl:1")


def test_verbose_shows_every_request(web: Namespace) -> None:
    stderr = ask(web, "web", "-v").stderr
    verbs = [line.split()[0] for line in stderr.splitlines()]
    assert set(verbs) == {"GET", "POST", "DELETE"}
    assert f"/api/v1/namespaces/{web.name}/services/web 200" in stderr


# --- the pod


def test_the_manifest_is_one_that_a_strict_namespace_admits(web: Namespace) -> None:
    answer = kubectl_svcprobe(web.lab, "web", "--dry-run", "-n", web.name)
    assert (answer.code, answer.stderr) == (0, "")
    with Namespace.fresh(web.lab, "test-cli-strict", "pod-security.kubernetes.io/enforce=restricted") as strict:
        manifest = yaml.safe_load(answer.stdout)
        manifest["metadata"]["namespace"] = strict.name
        command = ["kubectl", "create", "--dry-run=server", "-f", "-"]
        done = strict.lab.run(command, input=json.dumps(manifest))
        assert done.stdout == f"pod/{manifest['metadata']['name']} created (server dry run)\n"
        assert not done.stderr
    assert web.names("pods", "-l", PROBE_PODS) == []


def test_a_pod_that_is_kept_goes_with_cleanup(web: Namespace) -> None:
    answer = ask(web, "web", "--keep-pod")
    name = answer.report.json["probe"]["pod"]
    assert name in answer.stderr
    assert ask(web, "web").code == 0, "the next run leaves alone what was kept on purpose"
    assert web.names("pods", "-l", PROBE_PODS) == [name]
    cleaned = kubectl_svcprobe(web.lab, "cleanup", "-n", web.name)
    assert (cleaned.code, cleaned.stdout) == (0, f"pod {web.name}/{name} removed\n")
    web.until("pods", lambda pods: not pods, PROBE_PODS)
    assert web.names("pods", "-l", "app=web"), "and nothing else went"


# --- terminals


def on_terminal(web: Namespace, *arguments: str, columns: int = 100, env: dict[str, str] | None = None) -> str:
    """All that a terminal is sent."""
    command, *rest = web.lab.argv(["kubectl", "svcprobe", *arguments, "-n", web.name])
    surroundings = {**web.lab.environment(), "TERM": "xterm-256color", **(env or {})}
    for name in ("NO_COLOR", "COLUMNS"):
        if not env or name not in env:
            surroundings.pop(name, None)
    child = pexpect.spawn(command, rest, env=surroundings, dimensions=(50, columns), encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    child.close()
    return str(child.before)


def settled(screen: str) -> list[str]:
    """The lines that stay, without colour."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen)
    return [line.rpartition("\r\x1b[K")[2] for line in plain.replace("\r\n", "\n").split("\n")]


def test_a_terminal_sees_what_is_waited_for_and_a_pipe_does_not(web: Namespace) -> None:
    screen = on_terminal(web, "web")
    assert any(frame in screen for frame in FRAMES)
    assert "probe pod" in screen
    assert not any(frame in line for line in settled(screen) for frame in FRAMES), "nothing of it stays"
    piped = kubectl_svcprobe(web.lab, "web", "-n", web.name)
    assert piped.stderr == ""
    assert "\x1b" not in piped.stdout
    assert "\r" not in piped.stdout


def test_colour_repeats_what_the_words_say_and_can_be_turned_off(web: Namespace) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*m")
    assert colour.search(on_terminal(web, "typo"))
    for off in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert not colour.search(on_terminal(web, "typo", env=off))
    assert not colour.search(on_terminal(web, "typo", "--no-color"))
    assert any(line.startswith("✖ typo is down") for line in settled(on_terminal(web, "typo")))


def test_a_narrow_terminal_is_enough(web: Namespace) -> None:
    for arguments in (["web"], ["typo"], []):
        lines = settled(on_terminal(web, *arguments, columns=60))
        commands = [line for line in lines if re.search(r"\b(kubectl|curl) ", line)]
        too_long = [line for line in lines if len(line) > 60 and line not in commands]
        assert not too_long


def test_a_reader_that_leaves_early_is_no_error(web: Namespace) -> None:
    script = f"kubectl svcprobe web typo -n {web.name} | head -n 1"
    done = web.lab.run(["bash", "-c", script], check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("✔ web works")


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left(web: Namespace) -> Iterator[None]:
    """After all of this no probe pod is there."""
    yield
    web.until("pods", lambda pods: not pods, PROBE_PODS)
