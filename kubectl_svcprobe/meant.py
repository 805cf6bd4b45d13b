"""From the words of the command line to the Services that are inspected, and how each is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kubectl_svcprobe.errors import SvcprobeError, UsageError
from kubectl_svcprobe.facts.found import Found
from kubectl_svcprobe.facts.resolve import Resolver
from kubectl_svcprobe.run import Options
from kubectl_svcprobe.target import Target

#: The schemes of URLs that are not about a path.
WITHOUT_PATH = ("grpc", "tcp", "udp")


@dataclass(frozen=True)
class Meant:
    """A Service that is meant, and the options with what the word itself says of them."""

    found: Found
    options: Options
    note: str = ""

    @property
    def service(self) -> tuple[str, str, str]:
        """Namespace, name and port."""
        return self.found.namespace, self.found.name, self.found.port


def services_meant(
    resolver: Resolver, targets: tuple[Target, ...], options: Options
) -> Iterator[Meant | SvcprobeError]:
    """What each word leads to, in their order and each once; in place of one that leads nowhere, why."""
    seen: set[tuple[str, str, str, str, str | None]] = set()
    for target in targets:
        try:
            own = with_its_words(options, target)
            every = resolver.resolve(target)
        except SvcprobeError as error:
            yield error
            continue
        for found in every:
            asked = replace(own, scheme=options.scheme) if found.is_behind_route else own
            key = found.namespace, found.name, found.port, asked.scheme, asked.path
            if key not in seen:
                seen.add(key)
                yield Meant(found, asked, _note(target, found))


def with_its_words(options: Options, target: Target) -> Options:
    """The options with the scheme and the path of a URL. Raises UsageError where a flag says otherwise."""
    scheme = "" if options.scheme == "auto" else options.scheme
    if target.scheme and scheme and target.scheme != scheme:
        raise UsageError(f"error: {target.word} and --scheme {scheme} contradict each other; leave one of them out")
    if target.path is not None and options.path is not None and target.path != options.path:
        raise UsageError(f"error: {target.word} and --path {options.path} contradict each other; leave one of them out")
    if target.scheme in WITHOUT_PATH and options.path is not None:
        raise UsageError(f"error: --path is for HTTP, and {target.word} asks for no path; leave one of them out")
    path = options.path if target.path is None else target.path
    return replace(options, scheme=target.scheme or options.scheme, path=path)


def _note(target: Target, found: Found) -> str:
    """How the word led there, in a line; nothing where it was the Service's name."""
    how = found.how
    if target.is_url and not how:
        how = f"{target.word} is service {found.namespace}/{found.name}"
    if target.is_url and found.port and f"port {found.port}" not in how:
        how += f", port {found.port}"
    return how + (" (the user and password in it are not used)" if target.has_userinfo else "")
