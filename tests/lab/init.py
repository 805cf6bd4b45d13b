"""The first process of a PID namespace: starts what it is told, reaps orphans, and takes all with it.

    init.py COMMAND…    run COMMAND and end with it (the whole lab)
    init.py             obey JSON lines on standard input until that closes (a node)

Run as a script by its path, with nothing but the standard library: once started it must not need a file, because a
node's mounts may hide the interpreter's.
"""

import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any, NoReturn


def spawn(argv: list[str], log: str | None, environment: dict[str, str], cwd: str = "/", inherit: bool = False) -> int:
    """Without a log, what it says goes where our own errors go."""
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        os.chdir(cwd)
        if not inherit:
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if log else 2
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error}\n".encode())
    os._exit(127)


def reap(running: dict[str, int], ended: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        if pid in running.values():
            ended[pid] = os.waitstatus_to_exitcode(status)


def await_socket(path: str, seconds: float) -> None:
    """Until somebody listens there, or in vain: what needs the socket will say so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(path) == 0:
                return
        time.sleep(0.05)


class Obedient:
    """A node's first process: `start`, `run` (to its end), `stop`, `list`, `await` a socket; a line answers each."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.ended: dict[int, int] = {}
        self.selector = selectors.DefaultSelector()
        self.wakeup, write_end = os.pipe()
        for descriptor in (self.wakeup, write_end):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(self.wakeup, selectors.EVENT_READ)

    def pause(self) -> None:
        """Until a child has ended."""
        for key, _ in self.selector.select():
            if key.fd == self.wakeup:
                os.read(self.wakeup, 4096)
        reap(self.running, self.ended)

    def wait(self, pid: int) -> int:
        while pid not in self.ended:
            self.pause()
        return self.ended.pop(pid)

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        name = order.get("name", "")
        if order["do"] == "await":
            await_socket(order["path"], order["seconds"])
            return {}
        if order["do"] == "list":
            return {name: self.ended.get(pid) for name, pid in self.running.items()}
        if order["do"] == "stop":
            pid = self.running[name]
            if pid not in self.ended:
                os.kill(pid, order.get("signal", signal.SIGTERM))
                self.wait(pid)
            self.ended.pop(pid, None)
            del self.running[name]
            return {}
        self.running[name] = pid = spawn(order["argv"], order["log"], order["environment"])
        if order["do"] == "start":
            return {}
        code = self.wait(pid)
        del self.running[name]
        return {"code": code}

    def answer(self, line: bytes) -> dict[str, Any]:
        try:
            return self.obey(json.loads(line))
        except Exception as error:  # an order that cannot be carried out must not end the node
            return {"error": f"{type(error).__name__}: {error}"}

    def serve(self) -> None:
        """Until the other end of standard input is closed."""
        self.selector.register(0, selectors.EVENT_READ)
        pending = b""
        while True:
            ready = {key.fd for key, _ in self.selector.select()}
            if self.wakeup in ready:
                os.read(self.wakeup, 4096)
                reap(self.running, self.ended)
            if 0 not in ready:
                continue
            received = os.read(0, 1 << 16)
            if not received:
                return
            *lines, pending = (pending + received).split(b"\n")
            self.selector.unregister(0)  # while an order is carried out, only children wake us
            for line in lines:
                os.write(1, json.dumps(self.answer(line)).encode() + b"\n")
            self.selector.register(0, selectors.EVENT_READ)


def end_with(argv: list[str], cwd: str) -> NoReturn:
    pid = spawn(argv, None, dict(os.environ), cwd, inherit=True)
    while True:
        ended, status = os.wait()
        if ended == pid:
            raise SystemExit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    if sys.argv[1:]:
        end_with(sys.argv[2:], sys.argv[1])
    Obedient().serve()
