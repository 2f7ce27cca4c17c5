"""The `gan` command itself: version, `python -m gan`, and the completion in a shell."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gan.cli import COMMANDS, SHELLS, main
from tests.conftest import ROOT


def test_version_and_python_m_need_no_slow_import() -> None:
    words = [sys.executable, "-X", "importtime", "-m", "gan", "--version"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and re.fullmatch(r"retro-gan(, not installed| \d+\.\d+.*)\n", run.stdout)
    imported = {line.split("|")[-1].strip() for line in run.stderr.splitlines()}
    assert not imported & {"torch", "hydra", "numpy", "shtab"} and "gan.commands.train" not in imported


def test_help_lists_train_first(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert [name for name in re.findall(r"^    (\w+) ", said, re.M) if name in COMMANDS] == list(COMMANDS)


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
            ["evaluate", ".", "--images", "x"],
            "gan evaluate: --images: give a whole number, not 'x'; gan evaluate --help shows",
        ),
        (["interpolate", ".", "--fps"], "gan interpolate: --fps: expected one argument; gan interpolate --help shows"),
        (["data", "."], "gan data: .: no such command; choose from check, unscale, pack, cache; gan data --help"),
        (["generate", ".", "seeds=0-3"], "gan generate seeds=0-3: no such argument; write --seeds 0-3"),
        (["edit", ".", "brightness=1"], "gan edit brightness=1: no such argument; write --set brightness=1"),
        (["--versoin"], "gan --versoin: no such option; did you mean --version"),
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1


def test_other_files_of_a_run_are_no_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").touch()
    assert main(["generate", str(tmp_path / "config.yaml")]) == 2
    assert f"is not a checkpoint; give the run folder, such as {tmp_path}\n" in capsys.readouterr().err


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "gan train data.root=FOLDER minutes=10" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and all(name in said for name in (*COMMANDS, "model=dcgan", "truncation"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash")
@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("gan tra", "train translate"),
        ("gan train experiment", "experiment=few_shot"),
        ("gan train --co", "--code --config-dir"),
        ("gan generate run --tr", "--truncation"),
    ],
)
def test_bash_completes(typed: str, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    (tmp_path / "gan.bash").write_text(capsys.readouterr().out)
    count = len(typed.split())
    script = f"source gan.bash; COMP_WORDS=({typed}); COMP_CWORD={count - 1}; _shtab_gan; echo ${{COMPREPLY[@]}}"
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(found)
