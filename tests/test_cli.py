"""The `gan` command itself: version, `python -m gan`, and mistakes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gan.cli import COMMANDS, main
from tests.conftest import ROOT


def test_version_and_python_m_need_no_slow_import() -> None:
    words = [sys.executable, "-X", "importtime", "-m", "gan", "--version"]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and re.fullmatch(r"retro-gan(, not installed| \d+\.\d+.*)\n", run.stdout)
    imported = {line.split("|")[-1].strip() for line in run.stderr.splitlines()}
    assert not imported & {"torch", "hydra", "numpy"} and "gan.commands.train" not in imported


@pytest.mark.skipif(sys.platform == "win32", reason="the shell closes the stream")
def test_closed_streams_are_no_error() -> None:
    for closed in (">&-", ">&- 2>&-"):
        assert subprocess.run(f"{sys.executable} -m gan zoo {closed}", cwd=ROOT, shell=True).returncode == 0


def test_help_lists_train_first(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert [name for name in re.findall(r"^    (\w+)", said, re.M) if name in COMMANDS] == list(COMMANDS)


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "gan train data.root=FOLDER minutes=10" in capsys.readouterr().err


MISTAKES = [
    (["generate", "runs/frist", "--out", "x"], "no such run folder or checkpoint; did you mean runs/first?"),
    (["generate", "runs/empty", "--out", "x"], "no checkpoint in runs/empty/checkpoints"),
    (["generate", "runs/first", "--out", "x", "--checkpoint", "best.ckpt"], "checkpoint best.ckpt: no such file"),
    (["project", "runs/first", "pixs"], "there is no folder 'pixs'; did you mean pics?"),
    (["evaluate", "runs/frist"], "did you mean runs/first?"),
    (["generat", "runs/first"], "gan: generat: no such command; did you mean generate"),
    (["generate"], "gan generate: give RUN; gan generate --help shows the arguments"),
    (["generate", ".", "--trunkation", "1"], "gan generate --trunkation: no such option; did you mean --truncation?"),
    (["directions", ".", "--pca", "x"], "gan directions: --pca: give a whole number, not 'x'"),
    (["generate", ".", "seeds=0-3"], "gan generate seeds=0-3: no such argument; write --seeds 0-3"),
    (["--versoin"], "gan --versoin: no such option; did you mean --version"),
    (["translate", "look:film", "a.png", ""], "gan translate: an argument is empty"),
    (["translate", "look:film", "--strength", "1", "none.png", "out.png"], "there is no file 'none.png'"),
    (["translate", "pics", "look:film", "out"], "look:film: give it first"),
    (["generate", ".", "--num", "16"], "gan generate --num: no such option; for 16 images, write --seeds 0-15"),
    (
        ["export", "runs/first/checkpoints/images-000000100.ckpt", "--to", "tiled", "--out", "x"],
        "--to tiled: give a folder of images",
    ),
]


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/first/checkpoints", "runs/empty", "pics"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs/first/checkpoints/images-000000100.ckpt").touch()
    return tmp_path


@pytest.mark.parametrize(("typed", "said"), MISTAKES, ids=[" ".join(typed) for typed, _ in MISTAKES])
def test_a_mistake_is_one_line(typed: list[str], said: str, inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(typed) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("error: ") and said in error


@pytest.mark.slow
def test_mistakes_do_not_import_torch(inside: Path) -> None:
    code = (
        "import json, sys\nfrom gan.cli import main\nfor typed in json.loads(sys.argv[1]):\n"
        "    assert main(typed) == 2 and 'torch' not in sys.modules, typed"
    )
    subprocess.run([sys.executable, "-c", code, json.dumps([typed for typed, _ in MISTAKES])], check=True, cwd=inside)
