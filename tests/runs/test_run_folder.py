"""The run folder: atomic writes, and selection of the newest undamaged checkpoint."""

import hashlib
import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gan.runs import checkpoints, run_folder
from gan.runs.metrics import Log, Objective, cut_metrics, read_metrics
from gan.utils.errors import UserError
from gan.utils.files import write_atomically, write_json
from tests.conftest import full_disk


def save(run: Path, images: int, data: bytes = b"x" * 1000) -> Path:
    path = checkpoints.checkpoint_path(run, images)
    write_json(checkpoints.sidecar(path), {"sha256": hashlib.sha256(data).hexdigest(), "images": images})
    write_atomically(path, lambda file: file.write(data))
    return path


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with full_disk(100), pytest.raises(OSError):
        write_atomically(path, lambda file: file.write(b"x" * 1000))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_torn_at_any_byte_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, torn = save(tmp_path, 100), save(tmp_path, 200)
    whole = torn.read_bytes()
    for length in range(len(whole)):
        torn.write_bytes(whole[:length])
        assert checkpoints.find_checkpoint(tmp_path, "last") == good
        assert "images-000000200.ckpt is damaged" in capsys.readouterr().out
    torn.write_bytes(whole)
    assert checkpoints.find_checkpoint(tmp_path, "last") == torn


def test_best_and_last_and_files_are_found(tmp_path: Path) -> None:
    first, second = save(tmp_path, 100), save(tmp_path, 200)
    assert checkpoints.find_checkpoint(tmp_path, "best") == second  # nothing was evaluated
    scored(tmp_path, 200, 100)
    assert checkpoints.find_checkpoint(tmp_path, "best") == first
    assert checkpoints.find_checkpoint(tmp_path, "last") == second
    assert checkpoints.find_checkpoint(tmp_path, str(first)) == first
    assert checkpoints.find_checkpoint(second) == second
    first.write_bytes(b"torn")
    assert checkpoints.find_checkpoint(tmp_path, "best") == second


def test_only_damaged_checkpoints_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = save(tmp_path, 100)
    only.write_bytes(b"torn")
    with pytest.raises(UserError, match=r"no undamaged checkpoint; images-000000100.ckpt is damaged \([^)]*\)$"):
        checkpoints.find_checkpoint(tmp_path, "best")
    save(tmp_path, 200).write_bytes(b"torn")
    with pytest.raises(UserError, match=r"images-000000200.ckpt is damaged \("):
        checkpoints.find_checkpoint(tmp_path, "last")
    assert capsys.readouterr().out == ""


def test_metrics_are_cut_and_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / run_folder.METRICS
    lines = [json.dumps({"images": images, "eval/kid": images / 10}) for images in (10, 20, 30)]
    path.write_text("\n".join(lines) + '\n{"images": 40, "ev')
    cut_metrics(path, 20)
    assert [line["images"] for line in read_metrics(path)] == [10, 20]


METRIC = {"precision_recall": {"_scores_": {"density": ["density", "higher", 3]}}}
TRANSLATOR = {"model": {"_target_": "gan.training.translation.CycleGAN"}}  # of an older run


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([3, 1, 2], {}, 1),
        ([], {}, math.inf),
        ([1, math.nan], {}, 1),
        ([3, 1, 2], TRANSLATOR, 0),
        ([3, 1, 2], {"init_from": "zoo:tiles32"}, 0),
        ([3, 1, 2], {"objective": "eval/density_lite0", "metric": METRIC}, 3),
        ([math.nan], {"objective": "eval/density_lite0", "metric": METRIC}, -math.inf),
        ([-3, -1], {"objective": "eval/ssim", **TRANSLATOR}, 0),
        ([3, 1, 2], {"objective": "eval/mine", "metric": {"mine": {"_scores_": {"mine": 3}}}}, 1),  # damaged
    ],
)
def test_the_best_value_of_the_objective(values: list[float], options: dict[str, Any], expected: float) -> None:
    objective = Objective.of({"objective": "eval/kid", "kind": "unknown"} | options)
    lines = [{"images": i, objective.name: value} for i, value in enumerate([0, *values])]  # untrained
    assert objective.best(lines) == expected
    assert Log(lines, objective).best.get(objective.name, expected) == expected


def scored(run: Path, images: int, best: int | None) -> Path:
    """Write a checkpoint and its sidecar with the best checkpoint, as training does."""
    path = save(run, images)
    record = None if best is None else {"checkpoint": checkpoints.checkpoint_path(run, best).name, "images": best}
    write_json(checkpoints.sidecar(path), checkpoints.read_sidecar(path) | {"bytes": 1000, "best": record})
    return path


def listing(run: Path) -> list[str]:
    return sorted(path.name for path in (run / run_folder.CHECKPOINTS).iterdir())


def test_the_newest_checkpoint_knows_the_best(tmp_path: Path) -> None:
    scored(tmp_path, 100, None)
    assert checkpoints.best(tmp_path) is None
    new = scored(tmp_path, 200, 200)
    scored(tmp_path, 300, 200)
    assert checkpoints.best(tmp_path) == new and checkpoints.find_checkpoint(tmp_path) == new
    checkpoints.remove(new)
    assert checkpoints.find_checkpoint(tmp_path) == checkpoints.checkpoint_path(tmp_path, 300)


def test_damaged_checkpoints_are_set_aside_and_never_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, torn, short = scored(tmp_path, 100, 100), scored(tmp_path, 200, 100), scored(tmp_path, 50, None)
    torn.write_bytes(b"y" * 1000)  # of the right size
    short.write_bytes(b"x")
    assert checkpoints.repair(tmp_path) == old
    said = capsys.readouterr().out.splitlines()
    assert checkpoints.list_checkpoints(tmp_path) == [old]
    (aside,) = (tmp_path / run_folder.CHECKPOINTS).glob("set-aside-*")
    assert sorted(path.suffix for path in aside.iterdir()) == [".ckpt", ".ckpt", ".json", ".json"]
    assert "images-000000200.ckpt: damaged, its checksum differs" in said[0] and str(aside) in said[1]


def test_partial_files_of_killed_saves_are_removed(tmp_path: Path) -> None:
    whole = scored(tmp_path, 100, None)
    samples = tmp_path / run_folder.SAMPLES
    samples.mkdir()
    gone, alive = 2**22 + 1, 1  # above the greatest number of a process, and the first of all
    for folder in (tmp_path, whole.parent, samples):
        (folder / f".{'0' * 16}.{gone}.tmp").touch()
    (samples / f".{'1' * 16}.{alive}.tmp").touch()  # of gan evaluate, which is at work
    (tmp_path / ".of.somebody.else.tmp").touch()
    write_json(whole.with_name("images-000000200.json"), {"sha256": "", "images": 200})
    checkpoints.repair(tmp_path)
    assert listing(tmp_path) == [whole.name, checkpoints.sidecar(whole).name]
    assert [path.name for path in tmp_path.glob(".*")] == [".of.somebody.else.tmp"]
    assert [path.name for path in samples.iterdir()] == [f".{'1' * 16}.{alive}.tmp"]


@pytest.mark.parametrize("step", ["os.replace", "Path.unlink of the sidecar", "Path.unlink of the rest"])
def test_an_interrupted_removal_leaves_no_partial_checkpoint(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a removal is killed before any of its three steps, `repair` leaves a complete checkpoint or none."""
    old, new = scored(tmp_path, 100, None), scored(tmp_path, 200, None)
    steps = {"os.replace": 0, "Path.unlink of the sidecar": 1, "Path.unlink of the rest": 2}
    done = 0

    def until(call: Any) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            nonlocal done
            if done == steps[step]:
                raise KeyboardInterrupt
            done += 1
            return call(*args, **options)

        return counted

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", until(os.replace))
        patched.setattr(Path, "unlink", until(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            checkpoints.remove(old)
    assert checkpoints.repair(tmp_path) == new
    left = [old.name, checkpoints.sidecar(old).name] if step == "os.replace" else []
    assert listing(tmp_path) == sorted([*left, new.name, checkpoints.sidecar(new).name])


def test_a_folder_without_an_undamaged_checkpoint_stays_unchanged(tmp_path: Path) -> None:
    torn = scored(tmp_path, 100, 100)
    torn.write_bytes(b"torn")
    before = listing(tmp_path)
    assert checkpoints.repair(tmp_path) is None
    assert listing(tmp_path) == before


def test_choices_are_read_from_any_path(tmp_path: Path) -> None:
    (tmp_path / run_folder.OVERRIDES).write_text(
        yaml.safe_dump(["seed=1", r"data.root='~/it\'s (1), [x]'", "loss=hinge"])
    )
    assert run_folder.read_choices(tmp_path) == {"seed": 1, "data.root": "~/it's (1), [x]", "loss": "hinge"}


def test_the_revision_of_another_repository_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment is often inside of the user's own repository."""
    assert run_folder.git_revision() is None or len(str(run_folder.git_revision())) >= 40
    monkeypatch.setattr(run_folder, "__file__", str(tmp_path / "site-packages" / "gan" / "runs" / "run_folder.py"))
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=False)
    assert run_folder.git_revision() is None
