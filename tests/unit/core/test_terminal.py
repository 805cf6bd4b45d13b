"""Text on terminals: harmless, no wider than it may be, coloured only where that is wanted; and what spins meanwhile."""

from __future__ import annotations

import io
import os
import pty
import re
import threading
import unicodedata
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.explain import find, page
from kubectl_svcprobe.progress import Progress
from kubectl_svcprobe.render.terminal import Paper, clean, cleaned, cut, ended
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules import RULES
from kubectl_svcprobe.rules.rule import Rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("two\nlines", "two lines"),
        ("two \r\n\n\t lines", "two lines"),
        ("a\x0bb\x0cc\u2028d\u2029e", "a b c d e"),
        ("\x1b[2J\x1b]0;title\x07", "�[2J�]0;title�"),
        ("a\x00b\x7fc\x9bd\x85e", "a�b�c�d�e"),
        ("gnp.\u202egpj.exe", "gnp.�gpj.exe"),
        ("\u200e\u200f\u061c\u2066x\u2069\ufeff", "����x��"),
        ("two  spaces stay", "two  spaces stay"),
        ("naïve → ✔", "naïve → ✔"),
    ],
)
def test_nothing_that_a_terminal_acts_on(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text())
def test_no_text_keeps_a_control_character(text: str) -> None:
    cleaned_text = clean(text)
    assert not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in cleaned_text)
    assert not any(unicodedata.bidirectional(letter) in ("LRE", "RLE", "LRO", "RLO", "PDF") for letter in cleaned_text)
    assert clean(cleaned_text) == cleaned_text


@dataclass(frozen=True)
class _Inner:
    word: str
    number: int = 3


@dataclass(frozen=True)
class _Outer:
    inner: tuple[_Inner, ...]
    pairs: dict[str, str]
    severity: Severity = Severity.ERROR
    nothing: None = None
    flag: bool = True


def test_every_string_is_cleaned_however_deep() -> None:
    value = _Outer((_Inner("a\x1b"), _Inner("b")), {"k\x00": "v\x07"})
    assert cleaned(value) == _Outer((_Inner("a�"), _Inner("b")), {"k�": "v�"})
    assert cleaned(value).severity is Severity.ERROR


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 5, "short"),
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "abcde…hijk"),
        ("abcdefghijk", 9, "abcd…hijk"),
        ("abcdefghijk", 3, "a…k"),
        ("abcdefghijk", 0, "a…k"),
    ],
)
def test_a_name_is_cut_in_its_middle(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected


@given(st.text(max_size=40), st.integers(3, 40))
def test_what_is_cut_is_no_wider(text: str, width: int) -> None:
    assert len(cut(text, width)) <= width
    assert len(cut(text, width)) == min(len(text), width)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two …"),
        ("one two three four", 3, "one two …"),
        ("one", 3, "one"),
    ],
)
def test_a_sentence_ends_at_a_word(text: str, width: int, expected: str) -> None:
    assert ended(text, width) == expected


def test_lines_are_wrapped_at_words_and_keep_their_indent() -> None:
    assert Paper(40).wrapped("aaaa " * 12, "first ", "      ") == [
        "first aaaa aaaa aaaa aaaa aaaa aaaa aaaa",
        "      aaaa aaaa aaaa aaaa aaaa",
    ]
    assert Paper(100).wrapped("", "first ") == ["first"]


def test_a_word_that_may_be_pasted_stays_whole_and_paper_is_never_too_narrow() -> None:
    word = "https://example.com/" + "x-" * 40
    assert Paper(40).wrapped(f"see {word}") == ["see", word]
    assert Paper(10).wrapped("aaaa " * 8) == ["aaaa aaaa aaaa aaaa aaaa aaaa aaaa aaaa"]


@pytest.mark.parametrize(
    ("symbol", "code"), [("✔", "32"), ("✖", "31"), ("!", "33"), ("?", "35"), ("–", "2"), ("x", "")]
)
def test_colour_repeats_what_a_symbol_says(symbol: str, code: str) -> None:
    assert Paper(colour=True).paint("text", symbol) == (f"\x1b[{code}mtext\x1b[0m" if code else "text")
    assert Paper().paint("text", symbol) == "text"


def test_bold() -> None:
    assert Paper(colour=True).bold("x") == "\x1b[1mx\x1b[0m"
    assert Paper().bold("x") == "x"


# pages


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_can_be_read_on_any_paper(rule: Rule) -> None:
    for width in (60, 100):
        text = page(rule, Paper(width))
        lines = text.splitlines()
        assert lines[0] == f"{rule.code}  {rule.name} · {rule.severity.value}"
        assert all(len(line) <= width for line in lines if "https://" not in line)
        assert not re.search(r"\*\*|`", text)
        assert lines[-1] == f"Source: {rule.source}"
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
    assert ("these are its consequences" in text) == bool(rule.explains)


def test_a_page_s_paragraphs_are_apart() -> None:
    lines = page(find("SVC605"), Paper(1000)).splitlines()
    assert lines[1::2] == [""] * len(lines[1::2])
    assert lines[2].startswith("What. ")
    assert lines[-3] == "Where it is found, these are its consequences: SVC611."


@pytest.mark.parametrize("word", ["SVC201", "svc201", "selector-matches-no-pod", "Selector-Matches-No-Pod"])
def test_a_page_is_found_by_code_or_name(word: str) -> None:
    assert find(word).code == "SVC201"


def test_there_is_no_page_for_an_unknown_code() -> None:
    with pytest.raises(UsageError, match=r"no finding has the code SVC999; there are SVC101, .* and SVC908"):
        find("SVC999")


# progress


def test_a_pipe_gets_notes_and_no_spinner() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.say("reading")
        progress.note("a note")
        progress.note("two\n  lines")
        progress.say("more")
    assert stream.getvalue() == "a note\ntwo\n  lines\n"


def test_a_note_acts_on_no_terminal() -> None:
    stream = io.StringIO()
    Progress(stream).note("pod \x1b[2J is still there")
    assert stream.getvalue() == "pod �[2J is still there\n"


def test_a_reader_who_has_left_is_no_error() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        stream.close()
        progress.note("nobody reads this")
        progress.say("nor this")


class _Terminal(io.StringIO):
    """A terminal in memory that says when so many frames were drawn."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.drawn = threading.Event()
        self._left = frames

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._left -= any(letter in text for letter in "⠋⠙⠹⠸")
        if self._left <= 0:
            self.drawn.set()
        return super().write(text)


def test_on_a_terminal_it_spins_and_leaves_no_trace() -> None:
    stream = _Terminal(2)
    with Progress(stream) as progress:
        progress.say("reading\x1b")
        assert stream.drawn.wait(10)
        progress.note("a note")
    written = stream.getvalue()
    assert "⠋ reading�" in written
    assert "\r\x1b[Ka note\n" in written
    assert written.endswith("\r\x1b[K")


def test_it_can_be_closed_and_go_on() -> None:
    stream = _Terminal(1)
    with Progress(stream) as progress:
        progress.say("first")
        assert stream.drawn.wait(10)
        progress.close()
        stream.drawn.clear()
        progress.say("second")
        assert stream.drawn.wait(10)
    assert stream.getvalue().index("first") < stream.getvalue().index("second")


def test_a_real_terminal_is_recognized() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream, Progress(stream) as progress:
        progress.say("reading")
        assert os.read(ours, 1024).startswith(b"\r\x1b[K")
    os.close(ours)
