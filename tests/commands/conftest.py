"""Runs shared by the commands on latents: one without a mapping network and one with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, command

STYLE = ["model=stylegan2", "model.generator.latent_dim=8", "model.generator.width=4", "model.generator.max_channels=8"]
STYLE += ["model.discriminator.width=4", "model.discriminator.max_channels=8"]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs dcgan and stylegan2, trained on the built-in classes at 16 pixels."""
    folder = tmp_path_factory.mktemp("trained")
    shared = ["data.labels=true", "data.split=file", "images=16"]
    for name, options in (("dcgan", TINY), ("stylegan2", [*(o for o in TINY if not o.startswith("model.")), *STYLE])):
        own = [option for option in options if not option.startswith("data.split")]
        command([str(ROOT / "train.py"), *own, *shared, f"hydra.run.dir={name}"], folder)
    return folder
