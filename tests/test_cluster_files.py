"""The files of docs/cluster, as the programs that read them parse them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "cluster"


def test_trainjob() -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models")
    given = yaml.safe_load((FOLDER / "trainjob.yaml").read_text())
    assert missing(given, models.TrainerV1alpha1TrainJob.from_dict(given).to_dict()) == []


def missing(given: Any, parsed: Any, path: str = "") -> list[str]:
    """Return the paths of values that a parser has left out or changed."""
    if isinstance(given, dict) and isinstance(parsed, dict):
        return [line for key in given for line in missing(given[key], parsed.get(key), f"{path}.{key}")]
    if isinstance(given, list) and isinstance(parsed, list) and len(given) == len(parsed):
        pairs = enumerate(zip(given, parsed, strict=True))
        return [line for n, (one, other) in pairs for line in missing(one, other, f"{path}[{n}]")]
    return [] if given == parsed else [path]


def test_sky() -> None:
    sky = pytest.importorskip("sky")
    task = sky.Task.from_yaml(str(FOLDER / "sky.yaml"))
    (resources,) = task.resources
    assert task.num_nodes == 1 and resources.use_spot and resources.accelerators == {"A100": 8}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_sbatch_passes_its_options_on(tmp_path: Path) -> None:
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\nfor word; do echo $word; done\n")
    srun.chmod(0o755)
    variables = {"SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run = subprocess.run(
        ["bash", FOLDER / "slurm.sbatch", "data.root=a b"], env=variables, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [
        "python", "train.py", "trainer.num_nodes=2", "trainer.devices=4", "hydra.run.dir=runs/big", "resume=auto",
        "data.root=a b",
    ]  # fmt: skip
