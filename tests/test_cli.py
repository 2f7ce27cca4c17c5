"""The `gan` command itself: version, `python -m gan`, and mistakes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from gan.cli import COMMANDS, main
from tests.conftest import ROOT


def test_version_and_python_m_need_no_slow_import() -> None:
    words = [sys.executable, "-X", "importtime", "-m", "gan", "--version"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and re.fullmatch(r"retro-gan(, not installed| \d+\.\d+.*)\n", run.stdout)
    imported = {line.split("|")[-1].strip() for line in run.stderr.splitlines()}
    assert not imported & {"torch", "hydra", "numpy"} and "gan.commands.train" not in imported


def test_help_lists_train_first(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert [name for name in re.findall(r"^    (\w+)", said, re.M) if name in COMMANDS] == list(COMMANDS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate"], "gan generate: give RUN; gan generate --help shows the arguments"),
        (
            ["generate", ".", "--trunkation", "1"],
            "gan generate --trunkation: no such option; did you mean --truncation?",
        ),
        (["generate", ".", "more"], "gan generate more: no such argument; see gan generate --help"),
        (
            ["generate", ".", "--best", "x"],
            "gan generate: --best: give a whole number, not 'x'; gan generate --help shows",
        ),
        (["interpolate", ".", "--fps"], "gan interpolate: --fps: expected one argument; gan interpolate --help shows"),
        (["data", "."], "gan data: .: no such command; choose from check, unscale, pack; gan data --help"),
        (["generate", ".", "seeds=0-3"], "gan generate seeds=0-3: no such argument; write --seeds 0-3"),
        (["--versoin"], "gan --versoin: no such option; did you mean --version"),
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "gan train data.root=FOLDER minutes=10" in capsys.readouterr().err
