"""The lines at the start of a resumed run and at the end of a run, and the warning about the disk."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from gan.training import disk
from gan.training.next_steps import describe_gain, describe_resumed, describe_time, next_steps
from tests.conftest import Train

from .test_module import model


def test_a_resumed_run_says_where_it_goes_on() -> None:
    sidecar = {"images": 50_000, "seconds": 200.0}
    assert describe_resumed(sidecar, 112_000, None) == "resumes at 50,000 of 112,000 images, after 3:20 of training"
    assert describe_resumed(sidecar, None, 5) == "resumes at 50,000 images, after 3:20 of 5:00 of training"
    assert describe_resumed({"images": 9, "seconds": None}, 10, None) == "resumes at 9 of 10 images"


def test_the_time_of_each_part_is_listed() -> None:
    said = describe_time(112_000, 290, {"evaluation": 15.2, "grids": 6, "health": 0.4})
    assert said == "112,000 images in 4:50 of training, 0:15 of evaluation, 0:06 of grids"


def test_a_translator_says_what_training_has_gained() -> None:
    kid = "eval/kid_x1000_lite0"
    assert describe_gain("the color map", kid, True, 30.0, 20.0, 1200) == (
        "training gained: kid_x1000_lite0 on held-out images was 30 with the color map, and is 20 at 1,200 images"
    )
    nothing = "training did not improve on the color map: kid_x1000_lite0 on training images was 30 before training"
    last = "; the best checkpoint is the color map"
    assert describe_gain("the color map", kid, False, 30.0, 31.0, 0) == f"{nothing} and 31 at best after that{last}"
    chance = f"{nothing} and 29 at best after that, which can be chance{last}"
    assert describe_gain("the color map", kid, False, 30.0, 29.0, 0) == chance
    assert describe_gain("the color map", kid, False, 30.0, math.inf, 0) == f"{nothing}{last}"


def test_commands_fit_the_run(tmp_path: Path) -> None:
    assert next_steps(tmp_path, translates=False, tensorboard=False) == [
        f"gan compare {tmp_path} --out {tmp_path}/curves.png"
    ]
    run = tmp_path / "a run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("images-000000008.ckpt", "images-000000008.json"):
        (run / "checkpoints" / name).touch()
    generate, compare, board = next_steps(run, translates=False, tensorboard=True)
    assert generate == f"gan generate '{run}' --grid"
    assert (compare, board) == (f"gan compare '{run}' --out '{run}/curves.png'", f"tensorboard --logdir '{run}'")
    assert next_steps(run, translates=True, tensorboard=False)[0] == f"gan translate '{run}' PATH translated"


def test_a_disk_that_is_too_small_is_reported_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = disk.checkpoint_bytes(model())
    assert each > 3 * sum(p.nbytes for p in model().generator.parameters())

    def free(amount: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=amount))

    free(4 * each)
    assert disk.warning(model(), tmp_path, keep=2, keep_interval=None, images=None) is None
    free(4 * each - 1)
    assert "4 checkpoints" in str(disk.warning(model(), tmp_path, keep=2, keep_interval=None, images=None))
    free(8 * each)
    assert "14 checkpoints" in str(disk.warning(model(), tmp_path, keep=2, keep_interval=10, images=100))


@pytest.mark.slow
def test_a_run_ends_with_commands_that_work(train: Train, gan_command: Train, tmp_path: Path) -> None:
    lines = train("images=8", "hydra.run.dir=runs/a").stdout.splitlines()[-4:]
    assert lines[0].startswith("runs/a: 8 images in 0:0") and "of training" in lines[0]
    assert lines[1:] == [
        "gan generate runs/a --grid",
        "gan compare runs/a --out runs/a/curves.png",
        "tensorboard --logdir runs/a",
    ]
    for line in lines[1:3]:
        gan_command(*line.split()[1:])
    assert "resumes at 8 of 16 images" in train("resume=runs/a", "images=16").stdout
    assert "gan generate" not in train("-m", "seed=0,1", "images=4").stdout
