"""The rules about what is wrong with a run: each applies, is in docs/problems.md and has options that exist."""

from pathlib import Path
from typing import Any

import pytest

from gan.runs.health import RULES, findings, page_of, values_of_curve
from gan.runs.metrics import Log, Objective
from tests.pages import exists

KID = "eval/kid_x1000_lite0"
RATES = {f"{name}_{network}": 1e-4 for name in ("half_lr", "double_lr", "recipe_lr") for network in
         ("generator", "discriminator")}  # fmt: skip
SEEN = {
    "diverged": {"worse": 3.5, "best_at": 0.9},
    "skipped updates": {"skipped": 0.02},
    "learning rate": {"network": "generator", "rate": 1 / 30},
    "mode collapse": {"diversity": 0.1},
    "class collapse": {"class": "ships", "class_diversity": 0.1},
    "no progress": {"untrained": 0.97},
    "small batches": {"batch": 2, "group": 4},
    "few images": {"files": 20},
    "copies": {"copies": 0.6},
    "one class dominates": {"largest_class": 0.95, "folders": 2},
    "wrong crop": {"cut": 0.5, "shape": "[32,64]", "fit": "crop"},
    "enlarged pixel art": {"enlarged": 1.0},
    "duplicates": {"duplicates": 0.5},
    "constant border": {"constant": 0.6},
    "inverted colors": {"inverted": 0.5},
    "washed-out colors": {"colors": 0.3},
    "too strong": {"accuracy": 0.995},
    "too weak": {"accuracy": 0.5},
    "overfitting": {"overfitting": 0.8, "overfitting_bound": 0.6},
    "maximal augmentation": {"augment": 0.8, "max_probability": 0.8},
    "checkered texture": {"checkered": 20.0},
    "noise": {"noise": 60.0},
    "best long ago": {"best_at": 0.3, "worse": 1.5},
    "too short": {"images": 6000},
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_applies_alone_and_is_explained(name: str) -> None:
    values: dict[str, Any] = {"images": 60_000, **SEEN[name]}
    assert [finding.name for finding in findings(values)] == [name]
    anchor = page_of(name).partition("#")[2]
    assert f'<a id="{anchor}"></a>' in Path("docs/problems.md").read_text()
    words = [word.format(**values, **RATES, run="runs/a", more_images=1) for word in RULES[name].options.split()]
    assert all(exists(word) for word in words)


def test_a_run_without_values_has_no_finding() -> None:
    assert not list(findings({}))


def log(*scores: tuple[int, float]) -> Log:
    return Log([{"images": images, "seconds": images / 100, KID: score} for images, score in scores], Objective(KID))


def test_the_curve_is_continued_as_a_power_of_the_images() -> None:
    curve = log((0, 900), (10_000, 400), (20_000, 300), (40_000, 225))
    values = values_of_curve(curve, Objective(KID))
    assert values == pytest.approx({"images": 40_000, "worse": 1, "best_at": 1, "untrained": 0.25, "doubled": 0.75})
    values = values_of_curve(log((0, 900), (10_000, 100), (20_000, 300), (40_000, 400)), Objective(KID))
    assert values["worse"] == 4 and values["best_at"] == 0.25 and values["doubled"] > 1


def test_scores_that_no_power_describes_tell_only_the_images() -> None:
    for curve, objective in (
        (log((10_000, 5), (20_000, -1)), Objective(KID)),  # as near as other real images
        (log((10_000, 0.2), (20_000, 0.4)), Objective(KID, sign=-1)),
    ):
        assert values_of_curve(curve, objective) == {"images": 20_000}
    assert values_of_curve(log(), Objective(KID)) == {}
    assert "doubled" not in values_of_curve(log((10_000, 5), (10_000, 4)), Objective(KID))  # evaluated twice
    assert values_of_curve(log((10_000, 1e-9), (10_001, 1e9)), Objective(KID))["doubled"] == 16
