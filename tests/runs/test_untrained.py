"""A command that fails before its first training step leaves no folder behind; what was there before stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gan.config.new_run import create_folder
from gan.runs import lock
from gan.utils.errors import UserError
from tests.conftest import ROOT, TINY, Train, environment

LATE = "model.discriminator.norm=batch"  # found when the parts are instantiated: R1 needs a discriminator without it


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fail(folder: Path, named: bool, *files: str, after_step: bool = False) -> None:
    with pytest.raises(UserError), lock.removed_unless_trained():
        run = create_folder(folder, named)
        for name in ("config.yaml", *files):
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text("text")
        if after_step:
            lock.trained()
        raise UserError("late")


def test_a_new_folder_and_its_parents_are_removed(tmp_path: Path) -> None:
    fail(Path("deep/runs/a"), True, "samples/reals.png", "events.out.tfevents.1", "metrics.jsonl")
    fail(Path("runs/b"), False)
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "runs" / "old").mkdir(parents=True)
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "overrides.yaml").write_text("old")  # of a run that was killed
    fail(Path("runs/new"), True)
    fail(Path("before"), True)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["old"]
    assert (tmp_path / "before" / "overrides.yaml").read_text() == "old"


def test_files_of_the_user_in_a_new_folder_stay(tmp_path: Path) -> None:
    """They may be written while the program starts."""
    mine = ["notes.txt", "samples/mine.png", "checkpoints/notes.txt", "more/config.yaml"]
    ours = ["metrics.jsonl", "metrics.csv", "events.out.tfevents.1", "samples/reals.png"]
    fail(Path("a"), True, *ours, "checkpoints/images-000000000.ckpt", *mine)
    assert sorted(str(path.relative_to("a")) for path in Path("a").rglob("*") if path.is_file()) == sorted(mine)


def test_a_folder_is_kept_after_a_step_or_with_a_checkpoint(tmp_path: Path) -> None:
    fail(Path("a"), True, after_step=True)
    fail(Path("b"), True, "checkpoints/images-000000100.ckpt")
    fail(Path("c"), True, ".lock")  # another process has taken it over
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    assert (tmp_path / "a" / "config.yaml").exists() and (tmp_path / "c" / "config.yaml").exists()


def test_a_run_that_was_downloaded_keeps_its_record(tmp_path: Path) -> None:
    fail(Path("runs/a"), True, "checkpoints/images-000000064.ckpt", ".remote.json")
    assert (tmp_path / "runs" / "a" / ".remote.json").exists()
    fail(Path("runs/b"), True, ".remote.json")
    assert not (tmp_path / "runs" / "b").exists()


def test_jobs_that_fail_are_removed_and_others_stay(tmp_path: Path) -> None:
    with lock.removed_unless_trained():
        sweep = create_folder(Path("sweep"), named=True)
        for job, steps in (("0", False), ("1", True), ("2", False)):
            folder = sweep / job
            folder.mkdir()
            lock.start_job(folder)
            lock.acquire(folder)
            (folder / "config.yaml").write_text("text")
            if steps:
                lock.trained()
        lock.release()
    assert [path.name for path in sweep.iterdir() if path.is_dir()] == ["1"]


@pytest.mark.slow
def test_a_late_error_leaves_nothing(train: Train, tmp_path: Path) -> None:
    assert "norm=spectral" in train("images=8", LATE, check=2).stderr
    train("images=8", LATE, "hydra.run.dir=b/c", check=2)
    train("-m", "seed=0,1", "images=8", LATE, check=2)
    train("images=8", "trainer.devices=2", LATE, check=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_only_the_job_that_failed_is_removed_from_a_sweep(train: Train, tmp_path: Path) -> None:
    train("-m", "model.discriminator.norm=none,batch", "images=8", "hydra.sweep.dir=s", check=2)
    kept = [".jobs", "0", "multirun.yaml", "results.csv", "sweep.yaml"]
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == kept
    assert list((tmp_path / "s" / "0" / "checkpoints").glob("*.ckpt"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["torch", "lightning", "environment.jsonl"])
def test_a_signal_before_training_leaves_nothing(moment: str, number: signal.Signals, tmp_path: Path) -> None:
    """The program sends the signal to itself when it imports a slow package, or when it opens a file of the run."""
    code = (
        "import os, runpy, sys\ndef watch(event, args):\n"
        f"    if event in ('import', 'open') and str(args[0]).rpartition('/')[2] == {moment!r}:\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "sys.addaudithook(watch)\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    )
    words = [sys.executable, "-c", code, str(ROOT / "train.py"), *TINY, "images=8"]
    found = subprocess.run(words, cwd=tmp_path, env=environment() | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert found.returncode in (128 + number, -number), found.stderr
    assert list(tmp_path.iterdir()) == [] and os.getcwd() == str(tmp_path)
