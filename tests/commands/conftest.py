"""Runs shared by the commands on latents: one without a mapping network and one with."""

from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, command

STYLE = ["model=stylegan2", "model.generator.latent_dim=8", "model.generator.width=4", "model.generator.max_channels=8"]
STYLE += ["model.discriminator.width=4", "model.discriminator.max_channels=8"]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs dcgan and stylegan2, trained on the built-in classes at 16 pixels.

    The discriminator of dcgan has BatchNorm, whose statistics are stored with a classifier.
    """
    folder = tmp_path_factory.mktemp("trained")
    shared = ["data.labels=true", "data.split=file", "images=16"]
    dcgan = [*TINY, "model.discriminator.norm=batch", "penalty=[]"]
    stylegan2 = [*(option for option in TINY if not option.startswith("model.")), *STYLE]
    for name, options in (("dcgan", dcgan), ("stylegan2", stylegan2)):
        own = [option for option in options if not option.startswith("data.split")]
        command([str(ROOT / "train.py"), *own, *shared, f"hydra.run.dir={name}"], folder)
    return folder
