"""The files of docs/cluster, as the programs that read them parse them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "cluster"


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
