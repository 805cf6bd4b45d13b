"""Who would undo an edit by hand, and behind which commands that is said."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.facts.model import Meta, ObjectRef
from kubectl_svcprobe.ownership import changed_by, kept_by, owner_note, with_owner_notes

WEB = ObjectRef("Deployment", "shop", "web")
KUBECTL = Kubectl("here", "/home/me/k c")

COMMANDS = [
    (KUBECTL.patch("shop", "service", "web", {"spec": {"selector": {"app": "web"}}}), ("service", "web")),
    (KUBECTL("shop", "scale", "deployment", "web", "--replicas", "1"), ("deployment", "web")),
    (KUBECTL("shop", "scale", "deployment/web", "--replicas=1"), ("deployment", "web")),
    (KUBECTL("shop", "rollout", "undo", "deployment/web"), ("deployment", "web")),
    (
        KUBECTL("shop", "set", "resources", "deployment", "web", "-c", "web", "--limits", "memory=1Gi"),
        ("deployment", "web"),
    ),
    (KUBECTL("shop", "edit", "deployment", "web"), ("deployment", "web")),
    (KUBECTL("shop", "describe", "deployment", "web"), ("", "")),
    (KUBECTL("shop", "logs", "web-1", "--previous"), ("", "")),
    (KUBECTL("shop", "scale"), ("", "")),
    (KUBECTL("shop"), ("", "")),
    ("add a label to it:", ("", "")),
    ("kubectl scale deployment", ("", "")),
]


@pytest.mark.parametrize(("command", "expected"), COMMANDS)
def test_what_a_command_changes(command: str, expected: tuple[str, str]) -> None:
    assert changed_by(command) == expected


def test_a_keeper_is_named_once_below_the_commands_that_change_what_it_keeps() -> None:
    known = {WEB: Meta("shop", "web", labels={"argocd.argoproj.io/instance": "shop"})}
    scale, undo = KUBECTL("shop", "scale", "deployment", "web"), KUBECTL("shop", "rollout", "undo", "deployment/web")
    note = owner_note(WEB, known[WEB])
    assert note == "deployment/web is kept by Argo CD application shop, which may undo this: change it there too"
    assert list(with_owner_notes(["do:", scale, undo], known)) == ["do:", scale, undo, note]
    assert list(with_owner_notes([scale], {WEB: Meta("shop", "web")})) == [scale]
    assert list(with_owner_notes([scale], {})) == [scale]


def test_a_label_of_argo_cd_will_do() -> None:
    assert kept_by(Meta("", "", labels={"argocd.argoproj.io/instance": "shop"})) == "Argo CD application shop"
