"""Commands that use a trained model import only what they need, so that they start quickly."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import environment

SLOW = {"lightning", "torchvision", "torchmetrics", "skimage", "matplotlib", "scipy", "hydra", "omegaconf", "sympy"}
PROGRAM = "import sys; from gan.cli import main; code = main(sys.argv[1:]); print(*sys.modules); sys.exit(code)"


def imported(*words: str, folder: Path) -> set[str]:
    """Return the packages and torch's compiler that a new process imports for a `gan` command."""
    command = [sys.executable, "-c", PROGRAM, *words]
    run = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=True)
    modules = run.stdout.splitlines()[-1].split()
    return {name.split(".")[0] for name in modules} | ({"torch._dynamo"} & set(modules))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["generate", "--seeds", "0", "--grid", "--out", "out"],
        ["interpolate", "--frames", "2", "--out", "out.gif"],
        ["edit", "--seeds", "0", "--set", "brightness=1", "--out", "out"],
    ],
    ids=lambda words: words[0],
)
def test_commands_import_no_slow_package(words: list[str], runs: Path, tmp_path: Path) -> None:
    assert not imported(words[0], str(runs / "stylegan2"), *words[1:], folder=tmp_path) & {*SLOW, "torch._dynamo"}


@pytest.mark.slow
def test_translations_import_no_slow_package(tmp_path: Path) -> None:
    Image.effect_noise((40, 30), 90).convert("RGB").save(tmp_path / "photo.png")
    assert not imported("translate", "zoo:press", "photo.png", "out", folder=tmp_path) & {*SLOW, "torch._dynamo"}


def test_the_package_imports_nothing_slow() -> None:
    program = "import gan, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in run.stdout.split()} & {*SLOW, "torch", "numpy", "PIL", "yaml"}
