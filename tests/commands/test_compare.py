"""`gan compare`: options that differ, the best scores, and time without pauses."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from gan.runs import run_folder
from gan.runs.comparison import MAX_LABEL, differing_options, find_named, labels, load
from gan.utils.errors import UserError

LINES = [
    {"images": 0, "seconds": 0, "eval/kid_x1000_lite0": 0.9, "eval/recall_lite0": 0.0},
    {"images": 100, "seconds": 10, "loss/discriminator": 1.0},
    {"images": 200, "seconds": 12, "loss/discriminator": 1.0},
    {"images": 200, "seconds": 12, "eval/kid_x1000_lite0": 0.2, "eval/recall_lite0": 0.3},
    {"images": 300, "seconds": 16, "eval/kid_x1000_lite0": 0.4, "eval/recall_lite0": 0.5},
]


def make(folder: Path, config: dict[str, Any], lines: list[dict[str, Any]] = LINES) -> Path:
    folder.mkdir(parents=True)
    (folder / run_folder.OVERRIDES).touch()
    (folder / run_folder.ENVIRONMENT).touch()
    (folder / run_folder.CONFIG).write_text(yaml.safe_dump({"objective": "eval/kid_x1000_lite0", **config}))
    (folder / run_folder.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_scores_are_of_the_best_evaluation(tmp_path: Path) -> None:
    run = load(make(tmp_path / "a", {}))
    assert run.scores == {"eval/kid_x1000_lite0": 0.2, "eval/recall_lite0": 0.3}
    assert run.log.seconds == 16


def test_options_that_differ_together_are_shown_once(tmp_path: Path) -> None:
    first = {"seed": 0, "data": {"seed": 0, "size": 64}, "model": {"lr": 1e-4}, "logger": {"a": 1}}
    second = {"seed": 1, "data": {"seed": 1, "size": 64}, "model": {"lr": 2e-4}, "logger": {"a": 2}}
    found = [load(make(tmp_path / name, config)) for name, config in (("a", first), ("b", second))]
    assert differing_options(found) == ["model.lr", "seed"]


def test_the_command(tmp_path: Path, gan_command: Any) -> None:
    for seed in range(2):
        make(tmp_path / "sweep" / str(seed), {"seed": seed})
    out = gan_command("compare", "sweep", "--out", "curves.png").stdout.splitlines()
    assert out[0].split() == ["run", "seed", "kid_x1000_lite0", "recall_lite0", "images", "seen", "images/s", "time"]
    assert out[2].split() == ["sweep/1", "1", "0.2", "0.3", "300", "18.8", "0:16"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
    rows = [json.loads(line) for line in gan_command("compare", "sweep/0", "sweep/1", "--json").stdout.splitlines()]
    assert rows[1]["seed"] == 1 and rows[1]["seconds"] == 16.0
    assert "exists already" in gan_command("compare", "sweep", "--out", "curves.png", check=2).stderr


def test_bad_input(tmp_path: Path, gan_command: Any) -> None:
    with pytest.raises(UserError, match="neither a run folder"):
        find_named([str(tmp_path)])
    make(tmp_path / "b", {}, [{"images": 0}])
    assert "b: never trained" in gan_command("compare", "b", check=2).stderr
    make(tmp_path / "a", {}, [{"images": 8}])
    assert "no curves" in gan_command("compare", "a", "--out", "x.png", check=2).stderr
    (tmp_path / "a" / run_folder.CONFIG).write_text("{")
    assert "cannot be read" in gan_command("compare", "a", check=2).stderr


def test_typed_options_are_shown_if_they_explain_all_differences(tmp_path: Path) -> None:
    """A recipe changes many options of the configuration, whose names tell less than `model=`."""

    def of(name: str, typed: list[str], **config: Any) -> Any:
        folder = make(tmp_path / name, config)
        (folder / run_folder.OVERRIDES).write_text(yaml.safe_dump(typed))
        return load(folder)

    first = of("a", ["model=dcgan", "seed=0"], seed=0, model={"width": 32, "generator": {"_target_": "gan.A"}})
    second = of("b", ["model=fastgan"], seed=0, model={"width": 64, "generator": {"_target_": "gan.B"}})
    third = of("c", ["model=fastgan", "seed=1"], seed=1, model={"width": 64, "generator": {"_target_": "gan.B"}})
    assert differing_options([first, second]) == ["model"]
    assert differing_options([first, second, third]) == ["model", "seed"]
    assert [third.option(name) for name in ("model", "seed")] == ["fastgan", 1]
    edited = of("d", ["model=dcgan"], seed=0, model={"width": 48, "generator": {"_target_": "gan.A"}})
    assert differing_options([first, edited]) == ["model.width"]  # the user has edited a file of conf/


def test_labels_are_the_options_that_differ(tmp_path: Path) -> None:
    def of(name: str, **config: Any) -> Any:
        return load(make(tmp_path / name, config))

    runs = [of("0", seed=0, model={"a_long_name": {"lr": 1e-4}, "b_long_name": {"lr": 2e-4}}),
            of("1", seed=1, model={"a_long_name": {"lr": 1e-4}, "b_long_name": {"lr": 1e-4}}),
            of("2", seed=1, model={"a_long_name": {"lr": 2e-4}, "b_long_name": {"lr": 1e-4}})]  # fmt: skip
    names = differing_options(runs)
    assert labels(runs, names)[0] == "0  a_long_name.lr=0.0001, b_long_name.lr=0.0002, seed=0"
    assert labels(runs[:1], []) == ["0"]
    wide = [of(f"w{n}", **{f"option{m}": "x" * 30 if m else n for m in range(9)}) for n in range(2)]
    made = labels(wide, sorted(wide[0].config))
    assert all(len(label) <= MAX_LABEL for label in made) and made[0] != made[1]


def sweep(tmp_path: Path, **config: Any) -> None:
    """Two recipes with three seeds: their scores are 1 to 3 and 4 to 6, and the last has none."""
    for number in range(6):
        lines = [{"images": 100, "seconds": 1, "eval/kid_x1000_lite0": number + 1, "eval/recall_lite0": 0.1 * number}]
        folder = make(
            tmp_path / "sweep" / str(number), {"seed": number % 3, **config}, lines if number < 5 else [{"images": 9}]
        )
        choice = [f"model={('dcgan', 'ls_gan')[number // 3]}", f"seed={number % 3}"]
        (folder / run_folder.OVERRIDES).write_text(yaml.safe_dump(choice))


def test_runs_are_sorted_and_seeds_are_combined(tmp_path: Path, gan_command: Any) -> None:
    sweep(tmp_path, metric={"kid": {"_scores_": {"kid_x1000": ["KID", "lower", 2]}}})
    out = gan_command("compare", "sweep").stdout.split("mean ± standard deviation over seeds:\n")
    assert [line.split()[0] for line in out[0].splitlines()[1:7]] == [f"sweep/{number}" for number in range(6)]
    assert [line.split()[:5] for line in out[1].splitlines()] == [
        ["model", "runs", "kid_x1000_lite0", "recall_lite0"], ["dcgan", "3", "2.0", "±", "1.0"],
        ["ls_gan", "2", "4.50", "±", "0.71"],
    ]  # fmt: skip
    rows = list(csv.DictReader(gan_command("compare", "sweep", "--csv").stdout.splitlines()))
    assert float(rows[0]["eval/kid_x1000_lite0"]) == 2 and float(rows[0]["eval/kid_x1000_lite0 sd"]) == 1
    latex = gan_command("compare", "sweep", "--latex").stdout
    assert r"ls\_gan & 2 & 4.50 $\pm$ 0.71" in latex and "& KID &" in latex and r"\bottomrule" in latex
    assert "| dcgan | 3 | 2.0 ± 1.0 |" in gan_command("compare", "sweep", "--markdown").stdout
    single = gan_command("compare", "sweep/0", "sweep/3", "--csv").stdout.splitlines()
    assert single[1].startswith("sweep/0,dcgan,1")  # no seed differs: a row per run


def test_the_best_run_is_first_if_higher_is_better(tmp_path: Path, gan_command: Any) -> None:
    metric = {"prdc": {"_scores_": {"recall": ["recall", "higher", 2]}}}
    sweep(tmp_path, objective="eval/recall_lite0", metric=metric)
    out = gan_command("compare", "sweep").stdout.splitlines()
    assert [line.split()[0] for line in out[1:7]] == [f"sweep/{number}" for number in (4, 3, 2, 1, 0, 5)]


def test_options_that_change_with_the_seed_are_not_combined(tmp_path: Path, gan_command: Any) -> None:
    for number in range(2):
        make(tmp_path / "sweep" / str(number), {"seed": number, "model": {"lr": number}})
    assert "over seeds" not in gan_command("compare", "sweep").stdout
