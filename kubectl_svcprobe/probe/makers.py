"""Who made an answer: the application, or a mesh's proxy in its place. Pure.

Envoy, as a proxy of Istio, calls itself in the header `server` of every answer that passes through it, and says in
`x-envoy-upstream-service-time` how long the application took: an answer without that is its own ("HTTP header
manipulation" in Envoy's documentation). Linkerd's proxy puts `l5d-proxy-error` into an answer of its own.
"""

from __future__ import annotations

import re

from kubectl_svcprobe.probe.observe import Observation
from kubectl_svcprobe.probe.results import PathResult

#: How Envoy calls itself.
ENVOY = re.compile(r"envoy", re.I)


def made_by(seen: Observation) -> str:
    """The proxy whose own answer this is, as far as its headers tell; empty for the application's."""
    if seen.proxy_error:
        return "Linkerd's proxy"
    is_envoy = bool(ENVOY.search(seen.server)) and seen.http_status >= 400 and not seen.is_passed_on
    return "Envoy" if is_envoy else ""


def answered_by(result: PathResult) -> str:
    """The same of all that was answered on a path."""
    makers = {made_by(seen) for seen in result.good}
    return makers.pop() if len(makers) == 1 else ""
