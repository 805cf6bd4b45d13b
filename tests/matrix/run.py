"""The matrix on a lab: all of it applied together, awaited once, and looked at four at a time."""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from tests.e2e.cluster import Namespace, as_list, until
from tests.e2e.command import Answer, svcprobe
from tests.lab import Lab

from .cell import BY_NAME, NAMESPACE, Cell, servers

#: How many Services are looked at at a time.
LOOKED_AT = 4


@dataclass(frozen=True)
class Seen:
    """What the command said of a cell."""

    cell: Cell
    answer: Answer

    @cached_property
    def paths(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """The outcomes of each kind from each vantage; what is not tried counts as seen too."""
        found: dict[tuple[str, str], list[str]] = {}
        for path in self.answer.report.paths():
            if path["kind"] != "Control":
                outcomes = found.setdefault((path["kind"], path["vantage"]), [])
                if path["outcome"] not in outcomes:
                    outcomes.append(path["outcome"])
        return {key: tuple(outcomes) for key, outcomes in found.items()}

    @property
    def families(self) -> set[str]:
        """Of all addresses that were asked, or would have been."""
        return {
            f"IPv{ipaddress.ip_address(path['target'].rpartition(':')[0].strip('[]')).version}"
            for path in self.answer.report.paths()
            if path["kind"] not in BY_NAME and path["kind"] != "Control"
        }

    @property
    def told(self) -> list[str]:
        """What is not as it has to be."""
        try:
            report = self.answer.report
        except ValueError:
            return [f"no report: {self.answer.stdout}{self.answer.stderr}"]
        expected, told = self.cell.expected, []
        for what, seen, wanted in (
            ("exit code", str(self.answer.code), str(expected.exit)),
            ("verdict", report.verdict, expected.verdict),
            ("findings", ", ".join(report.codes), ", ".join(expected.codes)),
        ):
            if seen != wanted:
                told.append(f"{what} {seen or 'none'} instead of {wanted or 'none'}: {report.summary}")
        for kind, vantage in sorted({*self.paths, *expected.paths}):
            seen, wanted = (", ".join(sorted(of.get((kind, vantage), ()))) for of in (self.paths, expected.paths))
            if seen != wanted:
                told.append(f"{kind} from {vantage}: {seen or 'not mentioned'} instead of {wanted or 'no mention'}")
        if expected.families and self.families != expected.families:
            told.append(
                f"addresses of {', '.join(sorted(self.families))} instead of {', '.join(sorted(expected.families))}"
            )
        said = json.dumps(report.json, ensure_ascii=False)
        told += [f"nowhere says {text!r}" for text in expected.says if text not in said]
        return told + ([f"standard error: {self.answer.stderr.strip()}"] if self.answer.stderr else [])


@contextlib.contextmanager
def made(lab: Lab, cells: Sequence[Cell]) -> Iterator[None]:
    """All of them, in a namespace of their own, once they serve."""
    with Namespace.fresh(lab, NAMESPACE) as namespace:
        objects = [*servers(cells), *(item for cell in cells for item in cell.objects)]
        lab.kubectl("apply", "-f", "-", input=json.dumps(as_list(tuple(objects))))
        await_all(namespace, cells)
        yield


def await_all(namespace: Namespace, cells: Sequence[Cell]) -> None:
    """Every server is available, and every load balancer has its addresses."""
    namespace.kubectl("wait", "--for=condition=Available", "deployments", "--all", "--timeout=60s")
    balanced = {cell.name: cell.await_balancer for cell in cells if cell.await_balancer}

    def have_addresses(services: list[dict[str, object]]) -> bool:
        found = {item["metadata"]["name"]: item["status"]["loadBalancer"].get("ingress", ()) for item in services}  # type: ignore[index]
        return all(len(found.get(name, ())) == count for name, count in balanced.items())

    if balanced:
        until(namespace.lab, f"/api/v1/namespaces/{NAMESPACE}/services", have_addresses)


@contextlib.contextmanager
def look(lab: Lab, cells: Sequence[Cell]) -> Iterator[dict[str, Future[Seen]]]:
    """What is said of each, by its name, as soon as it is."""
    with made(lab, cells), ThreadPoolExecutor(LOOKED_AT) as pool:
        futures = {
            cell.name: pool.submit(lambda cell: Seen(cell, svcprobe(lab, cell.name, "-n", NAMESPACE)), cell)
            for cell in cells
        }
        try:
            yield futures
        finally:
            pool.shutdown(cancel_futures=True)
