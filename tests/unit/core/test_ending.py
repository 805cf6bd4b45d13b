"""How a run ends: its exit code, and what a signal does while something in the cluster is ours."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from kubectl_svcprobe.__main__ import main
from kubectl_svcprobe.cli import run
from kubectl_svcprobe.errors import (
    ApiError,
    Conflict,
    ExitCode,
    Forbidden,
    Gone,
    Interrupted,
    Invalid,
    NotFound,
    Unauthorized,
    api_error,
)
from kubectl_svcprobe.interrupts import SIGNALS, Interrupts
from kubectl_svcprobe.progress import Progress
from kubectl_svcprobe.render.terminal import Paper
from kubectl_svcprobe.report import Finding, Report, ServiceFacts, Severity, Verdict
from kubectl_svcprobe.session import Session

VERDICTS = {
    Severity.ERROR: Verdict.BROKEN,
    Severity.UNKNOWN: Verdict.UNKNOWN,
    Severity.WARNING: Verdict.WARNING,
    Severity.INFO: Verdict.OK,
}


def report(*severities: Severity) -> Report:
    findings = tuple(Finding("SVC201", "x", severity, "service/web", "", "", (), ()) for severity in severities)
    worst = min(severities, key=lambda s: s.rank, default=Severity.INFO)
    return Report(ServiceFacts("shop", "web", True), VERDICTS[worst], "", "", findings=findings)


ERROR, UNKNOWN, WARNING, INFO = Severity.ERROR, Severity.UNKNOWN, Severity.WARNING, Severity.INFO

CODES = [
    ("fine", [report()], (0, 0, 0)),
    ("information", [report(INFO)], (0, 0, 0)),
    ("a warning", [report(WARNING)], (0, 1, 0)),
    ("an error", [report(ERROR)], (1, 1, 0)),
    ("could not tell", [report(UNKNOWN)], (3, 3, 3)),
    ("could not tell, and a warning", [report(UNKNOWN, WARNING)], (3, 1, 3)),
    ("an error decides", [report(UNKNOWN, ERROR)], (1, 1, 0)),
    ("one of several", [report(), report(ERROR), report(WARNING)], (1, 1, 0)),
    ("one of several could not be told", [report(), report(UNKNOWN)], (3, 3, 3)),
    ("nothing at all", [], (0, 0, 0)),
]


@pytest.mark.parametrize(("reports", "expected"), [c[1:] for c in CODES], ids=[c[0] for c in CODES])
def test_the_exit_code(reports: list[Report], expected: tuple[int, int, int]) -> None:
    for fail_on, code in zip(("error", "warning", "never"), expected, strict=True):
        session = Session({"fail_on": fail_on}, Paper(), Interrupts(), Progress(io.StringIO()))
        assert session.exit_code(reports) == code


def test_exit_codes_are_what_scripts_rely_on() -> None:
    codes = {code.name: code.value for code in ExitCode}
    assert codes == {"OK": 0, "FINDINGS": 1, "USAGE": 2, "UNKNOWN": 3, "SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (422, Invalid),
        (400, ApiError),
        (500, ApiError),
    ],
)
def test_a_refusal_s_kind_is_its_status(status: int, kind: type[ApiError]) -> None:
    assert type(api_error(status, "Reason", "message")) is kind


def test_every_exit_code_has_its_sentence() -> None:
    assert all(code.meaning.endswith(".") for code in ExitCode)


# signals, sent to this very process

interrupted = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def attentive() -> Iterator[None]:
    """No signal is ignored, whatever started the tests (nohup, or a shell's `&`)."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def interrupts(told: list[str]) -> Iterator[Interrupts]:
    with Interrupts(lambda: told.append("patience")) as found:
        yield found


@contextmanager
def raises(number: int) -> Iterator[None]:
    with pytest.raises(Interrupted) as caught:
        yield
    assert caught.value.exit_code == 128 + number


@interrupted
def test_a_signal_is_raised_at_once_where_nothing_is_ours(interrupts: Interrupts, number: int) -> None:
    with raises(number):
        send(number)


@interrupted
def test_a_signal_waits_until_what_is_ours_is_gone(interrupts: Interrupts, number: int) -> None:
    done = []
    with raises(number), interrupts.held():
        send(number)
        done.append("removed")
    assert done == ["removed"]


@interrupted
def test_a_signal_breaks_into_what_allows_it(interrupts: Interrupts, number: int) -> None:
    done = []
    with raises(number), interrupts.held():
        try:
            with interrupts.allowed():
                send(number)
                done.append("waited on")
        finally:
            done.append("removed")
    assert done == ["removed"]


def test_a_signal_that_waits_breaks_in_as_soon_as_it_may(interrupts: Interrupts) -> None:
    done = []
    with raises(signal.SIGINT), interrupts.held():
        send(signal.SIGINT)
        try:
            with interrupts.allowed():
                done.append("never here")
        finally:
            done.append("removed")
    assert done == ["removed"]


def test_whoever_presses_again_is_told_and_the_removal_goes_on(interrupts: Interrupts, told: list[str]) -> None:
    done = []
    with raises(signal.SIGINT), interrupts.held():
        try:
            with interrupts.allowed():
                send(signal.SIGINT)
        finally:
            send(signal.SIGINT)
            send(signal.SIGTERM)
            done.append("removed")
    assert done == ["removed"]
    assert told == ["patience", "patience"]


def test_twice_while_held_is_once(interrupts: Interrupts, told: list[str]) -> None:
    with raises(signal.SIGTERM), interrupts.held():
        send(signal.SIGTERM)
        send(signal.SIGINT)
    assert told == ["patience"]


def test_after_what_allows_it_a_signal_waits_again(interrupts: Interrupts) -> None:
    done = []
    with raises(signal.SIGINT), interrupts.held():
        with interrupts.allowed():
            pass
        send(signal.SIGINT)
        done.append("removed")
    assert done == ["removed"]


def test_after_what_held_it_a_signal_is_raised_at_once(interrupts: Interrupts) -> None:
    with interrupts.held():
        pass
    with raises(signal.SIGINT):
        send(signal.SIGINT)


def test_an_error_is_not_replaced_by_a_signal_that_waited(interrupts: Interrupts) -> None:
    def fail() -> None:
        send(signal.SIGINT)
        raise KeyError

    with pytest.raises(KeyError), interrupts.held():
        fail()
    with raises(signal.SIGINT), interrupts.held():
        pass


def test_a_signal_whose_exception_was_lost_is_not_lost(interrupts: Interrupts, told: list[str]) -> None:
    """As in a destructor, whose exceptions Python only reports."""
    with raises(signal.SIGINT), interrupts.held(), interrupts.allowed(), suppress(Interrupted):
        send(signal.SIGINT)
    with raises(signal.SIGINT):
        send(signal.SIGTERM)
    assert told == []


def test_after_an_error_a_signal_is_raised_at_once(interrupts: Interrupts) -> None:
    with pytest.raises(KeyError), interrupts.held():
        raise KeyError
    with raises(signal.SIGTERM):
        send(signal.SIGTERM)


@pytest.fixture(params=[signal.SIG_DFL, signal.SIG_IGN], ids=["not ignored", "ignored"])
def before(request: pytest.FixtureRequest) -> Iterator[signal.Handlers]:
    """What the signals do when the program starts."""
    handlers = {number: signal.signal(number, request.param) for number in SIGNALS}
    yield request.param
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_afterwards_signals_do_what_they_did_before(before: signal.Handlers) -> None:
    with Interrupts():
        is_ours = {signal.getsignal(number) != before for number in SIGNALS}
    assert is_ours == {before is not signal.SIG_IGN}, "nohup means it"
    assert {signal.getsignal(number) for number in SIGNALS} == {before}


class Terminal(io.StringIO):
    """Its user presses Ctrl-C while the first text is written."""

    def write(self, text: str) -> int:
        if not self.tell():
            super().write(text)
            send(signal.SIGINT)
            return len(text)
        return super().write(text)


def test_a_note_about_patience_may_come_in_the_middle_of_another() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    with raises(signal.SIGTERM), Interrupts(lambda: progress.note("patience")) as interrupts, interrupts.held():
        send(signal.SIGTERM)
        progress.note("asked")
    assert terminal.getvalue() == "asked\npatience\n"


class Closed(io.StringIO):
    """Whoever read it has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize("arguments", [["explain", "SVC201"], ["--help"]], ids=" ".join)
def test_a_reader_who_leaves_is_no_finding(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    assert run(arguments) == 0


def test_ctrl_c_while_the_program_is_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr("kubectl_svcprobe.cli.run", lambda arguments: send(signal.SIGINT))
    monkeypatch.setattr(os, "_exit", codes.append)
    main()
    assert codes == [130]
