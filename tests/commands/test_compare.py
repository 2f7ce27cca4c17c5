"""`gan compare`: options that differ, the best scores, and time without pauses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from gan.commands.compare import differing_options, find_runs, load, short
from gan.common.errors import UserError
from gan.run import run_folder

LINES = [
    {"images": 0, "time": 0, "eval/kid_x1000_lite0": 0.9, "eval/recall_lite0": 0.0},
    {"images": 100, "time": 10, "loss/discriminator": 1.0},
    {"images": 200, "time": 900, "loss/discriminator": 1.0, "time/images_per_second": 50.0},  # after a long pause
    {"images": 200, "time": 901, "eval/kid_x1000_lite0": 0.2, "eval/recall_lite0": 0.3},
    {"images": 300, "time": 910, "loss/discriminator": 1.0, "time/images_per_second": 25.0},
    {"images": 300, "time": 911, "eval/kid_x1000_lite0": 0.4, "eval/recall_lite0": 0.5},
]


def make(folder: Path, config: dict[str, Any], lines: list[dict[str, Any]] = LINES) -> Path:
    folder.mkdir(parents=True)
    (folder / run_folder.CONFIG).write_text(yaml.safe_dump({"objective": "eval/kid_x1000_lite0", **config}))
    (folder / run_folder.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_scores_are_of_the_best_evaluation_and_pauses_are_excluded(tmp_path: Path) -> None:
    run = load(make(tmp_path / "a", {}))
    assert run.scores == {"eval/kid_x1000_lite0": 0.2, "eval/recall_lite0": 0.3}
    assert run.clock == [0, 2, 4, 4, 8, 8]


def test_options_that_differ_together_are_shown_once(tmp_path: Path) -> None:
    first = {"seed": 0, "data": {"seed": 0, "size": 64}, "model": {"lr": 1e-4}, "logger": {"a": 1}}
    second = {"seed": 1, "data": {"seed": 1, "size": 64}, "model": {"lr": 2e-4}, "logger": {"a": 2}}
    found = [load(make(tmp_path / name, config)) for name, config in (("a", first), ("b", second))]
    assert differing_options(found) == ["model.lr", "seed"]


def test_headings_are_the_shortest_unique_names() -> None:
    names = ["model.generator.lr", "model.discriminator.lr", "seed", "loss._target_"]
    assert [short(name, names) for name in names] == ["generator.lr", "discriminator.lr", "seed", "loss"]


def test_the_command(tmp_path: Path, gan_command: Any) -> None:
    for seed in range(2):
        make(tmp_path / "sweep" / str(seed), {"seed": seed})
    out = gan_command("compare", "sweep", "--out", "curves.png").stdout.splitlines()
    assert out[0].split() == ["run", "seed", "kid_x1000_lite0", "recall_lite0", "images", "seen", "images/s", "time"]
    assert out[2].split() == ["sweep/1", "1", "0.2", "0.3", "300", "50", "0:08"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
    rows = [json.loads(line) for line in gan_command("compare", "sweep/0", "sweep/1", "--json").stdout.splitlines()]
    assert rows[1]["seed"] == 1 and rows[1]["seconds"] == 8.0
    assert "exists already" in gan_command("compare", "sweep", "--out", "curves.png", check=2).stderr


def test_bad_input(tmp_path: Path, gan_command: Any) -> None:
    with pytest.raises(UserError, match="neither a run folder"):
        find_runs([str(tmp_path)])
    make(tmp_path / "a", {}, [{"images": 0, "time": 0}])
    assert "no curves" in gan_command("compare", "a", "--out", "x.png", check=2).stderr
    (tmp_path / "a" / run_folder.CONFIG).write_text("{")
    assert "cannot be read" in gan_command("compare", "a", check=2).stderr
