"""docs/targets.md: every form of SERVICE, right and wrong, as the test on the lab holds them."""

from __future__ import annotations

import shlex

from tests.e2e import targets
from tests.e2e.targets import Row
from tools.docs.markdown import head, table, text

INTRODUCTION = """\
A Service is given by whatever is at hand: its name, an address in a log, the Deployment that does not answer. The report
says in its line `Asked for` (in JSON, `target`) how the word led to the Service:

```
$ kubectl svcprobe 'http://app:s3cret@explain.shop/hostname?x=1#top'
✔ explain works: every path it offers answers.

Asked for  http://explain.shop/hostname?x=1 is service shop/explain, port 80 (the user and password in it are
           not used)
Service    shop/explain · ClusterIP · 10.96.53.87 · http 80 → 8080/TCP
Selector   app=web → 1 pod, 1 ready (deployment/web)

PATH       TARGET                                    RESULT    TIME    FROM
Endpoints  web-c7d7dd899-mrkjf :8080                 ✔ 200     5 ms    probe pod, node-1
ClusterIP  10.96.53.87:80                            ✔ 200     5 ms    probe pod, node-1
DNS        explain · explain.shop.svc.cluster.local  ✔ 200     14 ms   probe pod, node-1

GET /hostname?x=1 on every path. Probe pod shop/svcprobe-kasbgc, labelled only as ours, gone again after 1.3 s.
```

Each row below was given to the installed command on a real cluster (`tests/e2e/test_targets.py`).
"""

NOTES = """\
## Notes

- **A URL** also says how to ask: its scheme, port and path are probed, and only that port. `ws` and `wss` are asked by
  HTTP and HTTPS, databases and brokers by a connection in silence. Without a port it means its scheme's. A fragment is
  dropped, since no client sends it. A user and a password are neither used nor shown. A flag that says otherwise
  (`--path`, `--scheme`) is an error.
- **A host of an Ingress or route** leads to the Service that the path of the URL goes to. TLS may end there, so the
  URL's scheme and port are not taken for the Service's; its path is.
- **Several Services** behind a workload, a pod, a route or a shared address are all reported, in order, each once. With a
  port, those that have it.
- **`-n` and a word with a namespace** must agree, as kubectl wants it of a manifest; else the exit code is 2. Addresses
  belong to the cluster and hosts to the world: their owner is found in any namespace, and `-n` is where to look if other
  namespaces may not be read.
- **`POD.SERVICE`** is looked up as Service `POD` in the namespace `SERVICE` first, as the cluster's DNS reads it.
- **A kind in front, apart,** goes for all that follow, as with kubectl: `kubectl svcprobe deploy web db`.
- **A Service called like a subcommand** is `svc/explain`.
- **A name that the cluster does not know** is asked of this machine's DNS, and its addresses are looked up in turn.
- **What may not be looked at** is named: `whose address 10.96.0.9 is cannot be told; could not look: services of other
  namespaces (forbidden)`. [permissions.md](permissions.md) has what is read for which form.

## Exit codes of what is wrong

2 where the word cannot be understood or contradicts the Service or a flag, 3 where it is understood and leads to none.
"""


def page() -> str:
    """All rows, with examples for what each cluster chooses for itself."""
    lines = [*head("What SERVICE may be", "`tests/e2e/targets/words.yaml`"), INTRODUCTION]
    right, wrong = (_filled(which) for which in ("right", "wrong"))
    for title in dict.fromkeys(row.title for row in right):
        lines += [f"## {title}", ""]
        lines += table(
            ["`kubectl svcprobe …`", "Service", "What is said"], [_right(r) for r in right if r.title == title]
        )
    lines += ["## What is wrong, and what is said then", ""]
    for title in dict.fromkeys(row.title for row in wrong):
        rows = [row for row in wrong if row.title == title]
        lines += [f"### {title} (exit code {rows[0].code})", ""]
        lines += table(["`kubectl svcprobe …`", "What is said"], [_wrong(row) for row in rows])
    return text([*lines, NOTES])


def _filled(which: str) -> list[Row]:
    return [row.filled(targets.examples()) for row in targets.rows(which)]


def _given(row: Row) -> str:
    """The words; `-n shop` is left out, since the page is read as if that were the context's namespace."""
    flags = row.flags.replace("-n shop", "").split()
    return f"`{shlex.join([row.give, *flags])}`"


def _right(row: Row) -> tuple[str, str, str]:
    return _given(row), ", ".join(f"`{word}`" for word in row.leads.split()), row.asked


def _wrong(row: Row) -> tuple[str, str]:
    said = row.says or (f"{row.begins}…" if row.begins else f"? {row.reports}")
    return _given(row), said
