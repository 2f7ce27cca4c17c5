"""In a training step, all tensors are on the device, and the host never waits for it.

`tests.card_step` runs the steps on fake tensors of a simulated GPU, in its own process.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from gan.run.paths import CONF
from tests.card_step import FAULTS
from tests.conftest import ROOT, command
from tests.recipes import RECIPES

MAX_CONVOLUTIONS = 500  # forward convolutions of a step with all lazy penalties; r3gan at 256 pixels has the most
PLAIN = "model.discriminator.norm=none"  # gradient penalties refuse BatchNorm
PENALTIES = {
    "approximate_r1": PLAIN, "approximate_r2": PLAIN, "gradient_penalty": PLAIN, "lecam": "", "r1": PLAIN, "r2": PLAIN,
    "r1_lazy": PLAIN, "rotation": "",
}  # fmt: skip
OF_RECIPES = {
    "blurred_content", "cycle", "lut_regularization", "patch_nce", "patch_nce_fast", "path_length", "r1_texture",
    "reconstruction",
}  # fmt: skip
VARIANTS = [
    *RECIPES,
    *(f"dcgan loss={path.stem}" for path in sorted((CONF / "loss").glob("*.yaml"))),
    *(f"dcgan augment={path.stem}" for path in sorted((CONF / "augment").glob("*.yaml"))),
    *(f"dcgan penalty=[{name}] {options}".strip() for name, options in PENALTIES.items()),
    "cyclegan penalty=[cycle,identity]",
    "stylegan2 model.micro_batch=32",
    "cyclegan model.micro_batch=8",
]


@functools.cache
def steps(*words: str) -> dict[str, dict[str, Any]]:
    """Return the report of each variant."""
    printed = command(["-m", "tests.card_step", *words], ROOT).stdout
    reports = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return {report.pop("variant"): report for report in reports}


def test_every_penalty_has_a_variant() -> None:
    files = {path.stem for path in (CONF / "penalty").glob("*.yaml")}
    assert files == {*PENALTIES, *OF_RECIPES, "identity"}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str) -> None:
    found = steps("--faults", "dcgan")
    clean, faulty = found["dcgan"], found[f"dcgan {fault}"]
    assert not (clean["waits"] or clean["elsewhere"])
    assert faulty["waits"] or faulty["elsewhere"]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_stays_on_the_device(variant: str) -> None:
    found = steps(*VARIANTS)[variant]
    assert (found["waits"], found["elsewhere"]) == ({}, {})
    assert 0 < found["convolutions"] <= MAX_CONVOLUTIONS


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["r3gan", "stylegan2_ada"])
def test_a_step_at_256_pixels_stays_on_the_device(recipe: str) -> None:
    found = steps("--size", "256", "r3gan", "stylegan2_ada")[recipe]
    assert (found["waits"], found["elsewhere"]) == ({}, {})
    assert 0 < found["convolutions"] <= MAX_CONVOLUTIONS
