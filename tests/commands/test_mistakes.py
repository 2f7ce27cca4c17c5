"""Misspelled commands and missing runs are answered in one line, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gan.cli import main

MISTAKES = [
    (["generate", "runs/frist", "--out", "x"], "no such run folder or checkpoint; did you mean runs/first?"),
    (["generate", "runs/empty", "--out", "x"], "no checkpoint in runs/empty/checkpoints"),
    (["generate", "runs/first", "--out", "x", "--checkpoint", "best.ckpt"], "--checkpoint best.ckpt: no such file"),
    (["project", "runs/first", "pixs"], "there is no folder 'pixs'; did you mean pics?"),
    (["translate", "runs/first", "nowhere", "out"], "there is no folder 'nowhere'"),
    (["recognize", "predict", "runs/first", "nowhere"], "there is no folder 'nowhere'"),
    (["evaluate", "runs/frist"], "did you mean runs/first?"),
    (["generat", "runs/first"], "did you mean generate"),
]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/first/checkpoints", "runs/empty", "pics"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs/first/checkpoints/images-000000100.ckpt").touch()
    return tmp_path


@pytest.mark.parametrize(("typed", "said"), MISTAKES, ids=[" ".join(typed) for typed, _ in MISTAKES])
def test_a_mistake_is_one_line(typed: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
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
