"""A fault as data: a file of this folder, loaded. What the keys mean stands in README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

FOLDER = Path(__file__).parent

#: Which namespaces belong to faults.
LABEL = "svcprobe-tests=faults"

#: In no namespace, or needed by the others: made first.
CLUSTER_WIDE = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}
FIRST = {"ResourceQuota", "LimitRange", *CLUSTER_WIDE}


@dataclass(frozen=True)
class Expectation:
    """What the command has to say; which of several verdicts, depends on the cluster."""

    exit: int
    verdicts: tuple[str, ...]
    codes: tuple[str, ...] = ()
    information: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    outcomes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    confidence: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, said: Mapping[str, Any]) -> Expectation:
        verdict = said["verdict"]
        return cls(
            exit=said["exit"],
            verdicts=tuple(verdict) if isinstance(verdict, list) else (verdict,),
            codes=tuple(said.get("codes", ())),
            information=tuple(said.get("information", ())),
            says=tuple(map(str, said.get("says", ()))),
            outcomes={kind: tuple(outcomes) for kind, outcomes in said.get("outcomes", {}).items()},
            confidence=said.get("confidence", {}),
        )


#: What a repaired Service is expected to be, unless the file says otherwise.
HEALTHY: Mapping[str, Any] = {"exit": 0, "verdict": "ok", "codes": []}


@dataclass(frozen=True)
class Repair:
    """What the printed fix has to bring about: `commands` of it are run, then `awaited` comes, then this is expected."""

    commands: int
    awaited: Mapping[str, Any]
    expect: Expectation

    @classmethod
    def load(cls, said: Any) -> Repair | None:
        if not said:
            return None
        said = {} if said is True else said
        expect = {**HEALTHY, **said.get("expect", {})}
        return cls(said.get("commands", 1), said.get("await", {}), Expectation.load(expect))


@dataclass(frozen=True)
class Fault:
    """One file."""

    name: str
    cause: str
    objects: tuple[Object, ...]
    run: tuple[str, ...]
    expect: Expectation
    source: str = ""
    rows: tuple[str, ...] = ()
    awaited: Mapping[str, Any] = field(default_factory=dict)
    needs_certificate: bool = False
    breaks: tuple[Mapping[str, Any], ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    then_awaited: Mapping[str, Any] = field(default_factory=dict)
    repair: Repair | None = None

    @classmethod
    def load(cls, file: Path) -> Fault:
        said, *objects = yaml.safe_load_all(file.read_text(encoding="utf-8"))
        return cls(
            name=file.relative_to(FOLDER).with_suffix("").as_posix(),
            cause=said["cause"],
            objects=tuple(item for item in objects if item),
            run=tuple(map(str, said["run"])),
            expect=Expectation.load(said["expect"]),
            source=said.get("source", ""),
            rows=tuple(said.get("rows", ())),
            awaited=said.get("await", {}),
            needs_certificate=said.get("certificate", False),
            breaks=tuple(said.get("break", ())),
            before=tuple(said.get("before", ())),
            after=tuple(said.get("after", ())),
            then_awaited=said.get("then_await", {}),
            repair=Repair.load(said.get("fixed", False)),
        )

    @property
    def group(self) -> str:
        """The folder: healthy, pairs, cluster; none for a single fault."""
        return self.name.rpartition("/")[0]

    @property
    def namespace(self) -> str:
        return "fault-" + self.name.replace("/", "-")

    @property
    def command(self) -> list[str]:
        """What `kubectl svcprobe` is given: in its own namespace, unless another is asked for."""
        return [*self.run, *(() if "-n" in self.run else ("-n", self.namespace))]

    @property
    def namespaces(self) -> list[str]:
        """Its own, and those that its objects ask for beside it."""
        others = {item["metadata"]["namespace"] for item in self.objects if "namespace" in item["metadata"]}
        others |= {item["metadata"]["name"] for item in self.objects if item["kind"] == "Namespace"}
        return [self.namespace, *(f"{self.namespace}-{other}" for other in sorted(others))]

    @property
    def surroundings(self) -> list[Object]:
        """What has to be there first: the namespaces, and a quota, which admits everything until it is known."""
        return [*self._made_namespaces(), *self._placed(item for item in self.objects if item["kind"] in FIRST)]

    @property
    def rest(self) -> list[Object]:
        return self._placed(item for item in self.objects if item["kind"] not in {*FIRST, "Namespace"})

    @property
    def cluster_wide(self) -> list[str]:
        """What does not go away with the namespaces, as `kubectl delete` names it."""
        return [f"{o['kind'].lower()}/{o['metadata']['name']}" for o in self.objects if o["kind"] in CLUSTER_WIDE]

    def _made_namespaces(self) -> list[Object]:
        said = {item["metadata"]["name"]: item for item in self.objects if item["kind"] == "Namespace"}
        made = []
        for name in self.namespaces:
            own = said.get(name.removeprefix(f"{self.namespace}-"), {"metadata": {}})["metadata"]
            labels = {**own.get("labels", {}), **dict([LABEL.split("=")])}
            metadata = {**own, "name": name, "labels": labels}
            made.append({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        return made

    def _placed(self, objects: Iterable[Object]) -> list[Object]:
        return [item if item["kind"] in CLUSTER_WIDE else self._in_namespace(item) for item in objects]

    def _in_namespace(self, item: Object) -> Object:
        other = item["metadata"].get("namespace")
        namespace = f"{self.namespace}-{other}" if other else self.namespace
        return {**item, "metadata": {**item["metadata"], "namespace": namespace}}


def load_all(folder: Path = FOLDER) -> list[Fault]:
    """Every fault, those of one thing first, and those that break the cluster last."""
    order = ["", "pairs", "healthy", "cluster"]
    faults = [Fault.load(file) for file in sorted(folder.rglob("*.yaml"))]
    return sorted(faults, key=lambda fault: (order.index(fault.group), fault.name))


def some_of_each(faults: Sequence[Fault]) -> list[Fault]:
    """So many as a test run has time for: of one thing each that shows a finding which none before has, those that are
    repaired first; every other healthy one, every third pair; and of those that break the cluster, which take longest, one
    for each thing that breaks.
    """
    of = {group: [fault for fault in faults if fault.group == group] for group in ("", "pairs", "healthy", "cluster")}
    taken = [*of["healthy"][::2], *of["pairs"][::3]]
    shown: set[str] = set()
    for fault in sorted(of[""], key=lambda fault: not fault.repair):
        codes = {*fault.expect.codes, *fault.expect.information}
        if not codes <= shown:
            taken.append(fault)
            shown |= codes
    broken = {tuple(str(thing["what"]) for thing in fault.breaks): fault for fault in reversed(of["cluster"])}
    return [fault for fault in faults if fault in taken or fault in broken.values()]
