"""In a training step, all tensors are on the device, the host never waits for it, and the batch fits into its memory.

`tests.card_step` runs the steps on fake tensors of a simulated GPU, in its own process.
"""

import json
from typing import Any

import pytest

from gan.config.paths import CONF
from tests.card_step import FAULTS
from tests.conftest import ROOT, command
from tests.recipes import RECIPES

PARTS = 3  # processes that share the variants, because all of them take minutes
MAX_CONVOLUTIONS = 500  # forward convolutions of a step with all lazy penalties; r3gan at 256 pixels has the most
MAX_GIB = 22  # peak of a whole batch; a GPU with 24 GiB has that much free
DIVIDED = ("r3gan",)  # recipes whose batch of 64 pixels needs micro-batches; test_memory counts them
OF_RECIPES = {
    "blurred_content", "cycle", "lut_regularization", "patch_nce", "patch_nce_fast", "path_length", "r1_texture",
    "reconstruction", "reconstruction_texture", "identity",
}  # fmt: skip
PENALTIES = sorted({path.stem for path in (CONF / "penalty").glob("*.yaml")} - OF_RECIPES)
VARIANTS = [
    *RECIPES,
    *(f"dcgan loss={path.stem}" for path in sorted((CONF / "loss").glob("*.yaml"))),
    *(f"dcgan augment={path.stem}" for path in sorted((CONF / "augment").glob("*.yaml"))),
    *(f"dcgan penalty=[{name}]" for name in PENALTIES),
    "dcgan model.generator.upsampling=nearest",
    "dcgan model.discriminator.norm=spectral",
    "dcgan model.discriminator.norm=batch penalty=[rotation]",
    "cyclegan penalty=[cycle,identity]",
    "stylegan2 model.micro_batch=32",
    "cyclegan model.micro_batch=8",
]


def steps(*words: str) -> dict[str, dict[str, Any]]:
    """Return the report of each variant."""
    printed = command(["-m", "tests.card_step", *words], ROOT).stdout
    reports = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return {report.pop("variant"): report for report in reports}


@pytest.mark.slow
def test_faults_are_found() -> None:
    found = steps("--faults", "dcgan")
    clean = found["dcgan"]
    assert not (clean["waits"] or clean["elsewhere"])
    for fault in FAULTS:
        faulty = found[f"dcgan {fault}"]
        assert faulty["waits"] or faulty["elsewhere"], fault


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [*(VARIANTS[part::PARTS] for part in range(PARTS)), ["--size", "256", "r3gan", "stylegan2_ada"]],
    ids=[*(f"64-{part}" for part in range(PARTS)), "256"],
)
def test_a_step_stays_on_the_device(words: list[str]) -> None:
    found = steps(*words)
    assert len(found) == len(words) - 2 * words.count("--size")
    assert {name: step for name, step in found.items() if step["waits"] or step["elsewhere"]} == {}
    counts = {name: step["convolutions"] for name, step in found.items()}
    assert {name: count for name, count in counts.items() if not 0 < count <= MAX_CONVOLUTIONS} == {}
    if "--size" not in words:
        assert {name for name, step in found.items() if not 0 < step["gib"] <= MAX_GIB} == {*DIVIDED} & {*words}
