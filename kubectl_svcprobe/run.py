"""What one run has to work with: the user's wishes, the connection, and where words go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kubectl_svcprobe import diagnose
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.facts.client import ClientWish
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.probe.podspec import DEFAULT_IMAGE, Timing


@dataclass(frozen=True)
class Options:
    """What the user asked for. `inside` is the pod (and `container` its container) that asks instead of a probe pod."""

    probe: bool = True
    through_api_server: bool = False
    inside: str = ""
    container: str = ""
    from_here: bool = True
    image: str = DEFAULT_IMAGE
    node: str = ""
    ports: tuple[str, ...] = ()
    scheme: str = ""
    path: str | None = None
    samples: int = 0
    keep_pod: bool = False
    trace: bool = False
    one_pod: bool = False
    client: ClientWish = field(default_factory=ClientWish)
    all_nodes: bool = False
    timing: Timing = field(default_factory=Timing)
    choice: diagnose.Choice = field(default_factory=diagnose.Choice)


@dataclass(frozen=True)
class Run:
    """The same for every Service of a run.

    `say` is told what is being waited for; `note` gets what the user must know beside the report.
    """

    cluster: ClusterApi
    options: Options
    kubectl: Kubectl
    interrupts: Interrupts
    say: Callable[[str], None]
    note: Callable[[str], None]
