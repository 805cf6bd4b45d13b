"""The lab's commands: python -m tests.lab up, run -- COMMAND…, down …"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from . import cache, prerequisites, workstation
from .lab import Lab, NotRunningError, stop
from .layout import CURL_STAND_IN, LOAD_BALANCERS, PROXY_MODES, LabError, Layout, default_home
from .progress import Progress


def up(options: argparse.Namespace) -> int:
    lab = Lab.start(options.nodes, options.home, options.proxy_mode, options.load_balancer)
    print(lab.kubeconfig)
    return 0


def down(options: argparse.Namespace) -> int:
    stop(Layout(options.home))
    return 0


def status(options: argparse.Namespace) -> int:
    lab = Lab(options.home)
    found = lab.status()
    settings = lab.settings
    print(f"home           {lab.layout.home}")
    print(f"kubeconfig     {lab.kubeconfig}")
    print(f"up             {found['uptime']} s, {found['memory'] / 2**30:.2f} GiB")
    print(f"proxy mode     {settings.proxy_mode}")
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=False).stdout.split()[1]
    print(f"{CURL_STAND_IN} holds this machine's curl {version}")
    for name, code in found["components"].items():
        print(f"{name:24} {'runs' if code is None else f'ENDED with code {code}'}")
    for node, programs in found["nodes"].items():
        said = "off" if programs is None else ", ".join(name if code is None else f"{name} ENDED ({code})" for name, code in programs.items())
        print(f"{node:24} {said}")
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


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.lab", description="A real Kubernetes with several nodes on this machine.")
    top.add_argument("--home", type=lambda text: Path(text).resolve(), default=default_home(), help="where this lab keeps its state")
    commands = top.add_subparsers(dest="name", required=True)
    adding = commands.add_parser("up", help="start a lab and print the path of its kubeconfig")
    adding.add_argument("--nodes", type=int, default=3, help="0 starts just the API server")
    adding.add_argument("--proxy-mode", choices=PROXY_MODES, default="iptables")
    adding.add_argument("--load-balancer", choices=LOAD_BALANCERS, default="on")
    adding.set_defaults(do=up)
    for name, do, text in (
        ("down", down, "stop it and remove what it kept"),
        ("status", status, "what runs"),
        ("build", build, "build what the lab is made of"),
        ("shell", shell, "a shell on the user's machine of the lab"),
    ):
        commands.add_parser(name, help=text).set_defaults(do=do)
    running = commands.add_parser("run", help="run a command on the user's machine of the lab")
    running.add_argument("command", nargs=argparse.REMAINDER)
    running.set_defaults(do=run)
    return top


def main() -> int:
    options = parser().parse_args()
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
