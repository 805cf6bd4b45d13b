"""Token files rotate; what is sent follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_svcprobe.access.authorization import Authorization
from kubectl_svcprobe.access.kubeconfig import Access
from kubectl_svcprobe.errors import AccessError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_file_is_read_again_after_a_minute(tmp_path: Path) -> None:
    file, clock = tmp_path / "token", Clock()
    authorization = Authorization(Access("https://h", token_file=str(file)), clock)
    file.write_text(" first\n\n")
    assert authorization() == "Bearer first"
    file.write_text("second")
    clock.now += 59
    assert authorization() == "Bearer first"
    clock.now += 1
    assert authorization() == "Bearer second"


def test_the_last_token_serves_while_the_file_is_away(tmp_path: Path) -> None:
    file, clock = tmp_path / "token", Clock()
    authorization = Authorization(Access("https://h", token_file=str(file)), clock)
    file.write_text("first")
    assert authorization() == "Bearer first"
    file.unlink()
    clock.now += 61
    assert authorization() == "Bearer first"
    file.write_text("second")
    assert authorization() == "Bearer second"


def test_an_inline_token_serves_where_the_file_cannot_be_read(tmp_path: Path) -> None:
    access = Access("https://h", token="inline", token_file=str(tmp_path / "none"))
    assert Authorization(access)() == "Bearer inline"


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file or directory"), ("", "read empty token"), (" \n", "read empty token")]
)
def test_no_token_at_all_is_an_error(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(AccessError, match=message):
        Authorization(Access("https://h", token_file=str(tmp_path / "token")))()


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX: y", "a\x00", "tökén", "a\x7f"])
def test_a_token_that_no_header_can_carry_is_an_error_that_does_not_show_it(token: str) -> None:
    with pytest.raises(AccessError) as error:
        Authorization(Access("https://h", token=token))()
    assert token not in str(error.value)


def test_nobody_sends_nothing() -> None:
    assert Authorization(Access("https://h"))() == ""
