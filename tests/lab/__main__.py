"""The lab's commands: python -m tests.lab up, run -- COMMAND…, down …"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import cache, prerequisites, workstation
from .families import FAMILIES
from .lab import Lab
from .layout import CURL_STAND_IN, DELAY, LOAD_BALANCERS, MASQUERADE, PROXY_MODES, LabError, Layout, default_home
from .life import NotRunningError, stop
from .progress import Progress

DESCRIPTION = "A real Kubernetes with several nodes on this machine."


def full_path(text: str) -> Path:
    return Path(text).resolve()


def milliseconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)(ms|s)", text)
    delay = int(found[1]) * (1000 if found[2] == "s" else 1) if found else 0
    if not 1 <= delay <= 60_000:
        raise argparse.ArgumentTypeError(f"{text} is no delay from 1ms to 60s")
    return delay


def up(options: argparse.Namespace) -> int:
    begin = Lab.ensure if options.reuse else Lab.start
    lab = begin(
        options.nodes, options.home, proxy_mode=options.proxy_mode, load_balancer=options.load_balancer,
        family=options.family, masquerade=options.masquerade,
    )  # fmt: skip
    print(lab.kubeconfig)
    return 0


def down(options: argparse.Namespace) -> int:
    stop(Layout(options.home))
    return 0


def describe(programs: dict[str, int | None]) -> str:
    return ", ".join(name if code is None else f"{name} ENDED with code {code}" for name, code in programs.items())


def status(options: argparse.Namespace) -> int:
    lab = Lab(options.home)
    found = lab.status()
    settings = lab.settings
    print(f"home           {lab.layout.home}")
    print(f"kubeconfig     {lab.kubeconfig}")
    print(f"up             {found['uptime']} s, {found['memory'] / 2**30:.2f} GiB")
    print(f"proxy mode     {settings.proxy_mode}")
    print(f"family         {settings.family}")
    print(f"masquerade     {settings.masquerade}")
    print(f"load balancer  {found['load_balancer']}")
    print(f"broken         {', '.join(found['broken']) or 'nothing'}")
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=False).stdout.split()[1]
    print(f"{CURL_STAND_IN} holds this machine's curl {version}")
    for name, code in found["components"].items():
        print(f"{name:24} {'runs' if code is None else f'ENDED with code {code}'}")
    for node, programs in found["nodes"].items():
        print(f"{node:24} {'off' if programs is None else describe(programs)}")
    return 0


def build(options: argparse.Namespace) -> int:
    progress = Progress()
    prerequisites.ensure(progress)
    print(cache.image_store(progress).parent.parent)
    return 0


def run(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise LabError("run: no command given")
    lab = Lab(options.home)
    sys.stdout.flush()
    workstation.become(lab.layout, lab.settings, lab.supervisor, command)
    return 127


def shell(options: argparse.Namespace) -> int:
    options.command = [os.environ.get("SHELL", "/bin/sh")]
    return run(options)


def break_(options: argparse.Namespace) -> int:
    if options.delay and options.what != "slow":
        raise LabError("only a slow link has a delay")
    how = {"flush": options.flush, "wait": not options.no_wait, "delay": options.delay or DELAY}
    Lab(options.home).break_(options.what, options.node, options.other, **how)
    return 0


def mend(options: argparse.Namespace) -> int:
    Lab(options.home).mend(options.what, options.node, options.other)
    return 0


def load_balancer(options: argparse.Namespace) -> int:
    Lab(options.home).load_balancer(options.mode)
    return 0


def user(options: argparse.Namespace) -> int:
    print(Lab(options.home).user(options.user, options.group, options.namespace))
    return 0


def add_faults(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    breaking = commands.add_parser("break", help="break something, until it is mended")
    breaking.add_argument("--flush", action="store_true", help="kube-proxy: its rules go too")
    breaking.add_argument("--no-wait", action="store_true", help="node: do not wait until the cluster misses it")
    breaking.set_defaults(do=break_)
    mending = commands.add_parser("mend", help="undo a break")
    mending.set_defaults(do=mend)
    for command in (breaking, mending):
        command.add_argument("what", choices=("node", "kube-proxy", "path", "slow", "coredns", "pool"))
        command.add_argument("node", nargs="?", help="for node, kube-proxy, path and slow: which")
        command.add_argument("other", nargs="?", help="for path and slow: the other end")
    breaking.add_argument("delay", nargs="?", type=milliseconds, help=f"for slow: each way, as 50ms or 2s; {DELAY}ms")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.lab", description=DESCRIPTION)
    top.add_argument("--home", type=full_path, default=default_home(), help="where this lab keeps its state")
    commands = top.add_subparsers(dest="name", required=True)
    adding = commands.add_parser("up", help="start a lab and print the path of its kubeconfig")
    adding.add_argument("--nodes", type=int, default=3, help="0 starts just the API server")
    adding.add_argument("--proxy-mode", choices=PROXY_MODES, default="iptables")
    adding.add_argument("--load-balancer", choices=LOAD_BALANCERS, default="on")
    adding.add_argument("--family", choices=[*FAMILIES], default="ipv4", help="of nodes, pods and Services")
    adding.add_argument(
        "--masquerade",
        choices=MASQUERADE,
        default="off",
        help="who gets the node's address: no pod; pods on their way out of their network; and on their way to Services",
    )
    adding.add_argument("--reuse", action="store_true", help="be content with a lab that runs already")
    adding.set_defaults(do=up)
    for name, do, text in (
        ("down", down, "stop it and remove what it kept"),
        ("status", status, "what runs"),
        ("build", build, "build what the lab is made of"),
        ("shell", shell, "a shell on the user's machine of the lab"),
    ):
        commands.add_parser(name, help=text).set_defaults(do=do)
    add_faults(commands)
    balancing = commands.add_parser("load-balancer", help="switch the load balancer of a running lab")
    balancing.add_argument("mode", choices=LOAD_BALANCERS)
    balancing.set_defaults(do=load_balancer)
    minting = commands.add_parser("user", help="print the path of a kubeconfig for a user without any rights yet")
    minting.add_argument("user")
    minting.add_argument("--group", action="append", default=[])
    minting.add_argument("--namespace", default="default")
    minting.set_defaults(do=user)
    running = commands.add_parser("run", help="run a command on the user's machine of the lab")
    running.add_argument("command", nargs=argparse.REMAINDER)
    running.set_defaults(do=run)
    return top


def end_orderly(number: int, _: FrameType | None) -> NoReturn:
    """So that a start that is cut short takes the half-started lab away."""
    raise SystemExit(128 + number)


def main() -> int:
    options = parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_orderly)
    try:
        code: int = options.do(options)
        return code
    except NotRunningError as error:
        print(error, file=sys.stderr)
        return 3
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
