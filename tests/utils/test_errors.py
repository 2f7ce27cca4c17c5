"""Printed errors are one line of limited length, and never "None"."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan.cli import main
from gan.utils import errors
from gan.utils.errors import (
    MAX_LENGTH,
    UserError,
    describe_os_error,
    did_you_mean,
    fraction,
    path_hint,
    reason,
    to_line,
    writing,
)
from gan.utils.output import one_line


@pytest.mark.parametrize(
    ("error", "said"),
    [(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
     (OSError("broken\ndata stream"), "broken data stream"), (FileNotFoundError(), "FileNotFoundError")],
)  # fmt: skip
def test_a_reason_is_never_none(error: OSError, said: str) -> None:
    assert reason(error) == said
    with pytest.raises(UserError, match=said) as caught, writing("out.png"):
        raise error
    assert "None" not in str(caught.value)
    assert describe_os_error(error) == f"a file: {said.lower()}"


def test_a_line_of_text_has_no_control_characters() -> None:
    assert one_line("a\nb\x1b[2J\ud800\u202e") == "a\\nb\\x1b[2J\\ud800\\u202e"
    assert one_line("Straße 写真") == "Straße 写真"
    assert len(one_line("x" * 10**6)) <= 2000


def test_a_long_message_keeps_both_ends() -> None:
    line = to_line("begin\n" + "x" * 4000 + "\x1b[2J end")
    assert line.startswith("begin x") and line.endswith("[2J end") and " ... " in line
    assert len(line) <= MAX_LENGTH and line.isprintable()
    assert to_line("a  b\n c") == "a b c"


def test_an_error_of_the_system_in_a_command_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "file"))

    monkeypatch.setattr("gan.commands.compare.run", full)
    assert main(["compare", "run"]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'file'}: no space left on device\n"


@pytest.mark.parametrize("value", ["abc", None, -0.1, 1.1, float("nan"), True])
def test_fraction(value: object) -> None:
    assert fraction("a", 0) == 0 and fraction("a", 1) == 1 and fraction("a", 0.5, below_one=True) == 0.5
    with pytest.raises(UserError, match=f"a.b={value}: must be a number from 0 to 1"):
        fraction("a.b", value)
    with pytest.raises(UserError, match="less than 1"):
        fraction("a.b", 1, below_one=True)


@pytest.fixture
def restored() -> Iterator[None]:
    yield
    errors.started_as(errors.COMMAND)


@pytest.mark.usefixtures("restored")
def test_the_command_that_was_typed_is_named() -> None:
    assert errors.train_command() == "gan train" and errors.child_words() == ["train"]
    errors.started_as(errors.SCRIPT, "--code=my code")
    assert errors.train_command() == "python train.py '--code=my code'" and errors.child_words() == ["--code=my code"]
    assert did_you_mean("zzz", map(str, range(30))) == "see python train.py '--code=my code' --help"


def test_a_missing_path_has_a_hint(tmp_path: Path) -> None:
    (tmp_path / "runs" / "First").mkdir(parents=True)
    assert path_hint(tmp_path / "runs" / "frist") == f"; did you mean {tmp_path}/runs/First?"
    assert path_hint(tmp_path / "rums" / "a") == f"; did you mean {tmp_path}/runs?"
    assert path_hint(tmp_path / "photographs") == ""
    (tmp_path / "my frames").mkdir()
    assert path_hint(tmp_path / "my") == f"; a path with spaces needs quotes: '{tmp_path}/my frames'"
