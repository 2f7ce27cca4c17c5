"""A command that fails before its first training step leaves no folder behind; what was there before stays."""

import os
import signal
from pathlib import Path

import pytest

from gan.config.new_run import create_folder
from gan.runs import lock
from gan.utils.errors import UserError
from tests.conftest import ROOT, TINY, Train, run_python

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
    fail(Path("deep/runs/a"), True, "samples/reals.png", "events.out.tfevents.1", "metrics.jsonl", ".remote.json")
    fail(Path("runs/b"), False)
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_and_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "runs" / "old").mkdir(parents=True)
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "overrides.yaml").write_text("old")  # of a run that was killed
    fail(Path("runs/new"), True)
    fail(Path("before"), True)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["old"]
    assert (tmp_path / "before" / "overrides.yaml").read_text() == "old"


@pytest.mark.parametrize("file", ["notes.txt", "checkpoints/images-000000064.ckpt", ".lock"])
def test_a_folder_with_other_files_is_kept(file: str, tmp_path: Path) -> None:
    """It may be the user's, a checkpoint that was downloaded, or the lock of another process."""
    fail(Path("a"), True, ".remote.json", file)
    assert {"config.yaml", ".remote.json"} <= {path.name for path in (tmp_path / "a").iterdir()}


def test_a_folder_is_kept_after_a_step(tmp_path: Path) -> None:
    fail(Path("a"), True, after_step=True)
    assert (tmp_path / "a" / "config.yaml").exists()


@pytest.mark.slow
def test_a_late_error_leaves_nothing(train: Train, tmp_path: Path) -> None:
    assert "norm=spectral" in train("images=8", LATE, check=2).stderr
    train("images=8", LATE, "hydra.run.dir=b/c", check=2)
    train("images=8", "trainer.devices=2", LATE, check=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "torch"), (signal.SIGTERM, "lightning"), (signal.SIGINT, "environment.jsonl"),
     (signal.SIGTERM, "environment.jsonl"), (signal.SIGHUP, "environment.jsonl")],
)  # fmt: skip
def test_a_signal_before_training_leaves_nothing(number: signal.Signals, moment: str, tmp_path: Path) -> None:
    """The program sends the signal to itself when it imports a slow package, or when it opens a file of the run."""
    code = (
        "import os, runpy, sys\ndef watch(event, args):\n"
        f"    if event in ('import', 'open') and str(args[0]).rpartition('/')[2] == {moment!r}:\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "sys.addaudithook(watch)\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    )
    found = run_python(["-c", code, str(ROOT / "train.py"), *TINY, "images=8"], tmp_path)
    assert found.returncode in (128 + number, -number), found.stderr
    assert list(tmp_path.iterdir()) == [] and os.getcwd() == str(tmp_path)
