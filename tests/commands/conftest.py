"""Runs shared by the commands on latents: one without a mapping network and one with. They were not trained."""

from pathlib import Path

import pytest

from gan.data.builtin.retro import CLASSES
from tests.security.checkpoints import BATCH_NORM, STYLEGAN2, write_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs dcgan and stylegan2, of the built-in classes at 16 pixels.

    The discriminator of dcgan has BatchNorm, whose statistics are stored with a classifier.
    """
    folder = tmp_path_factory.mktemp("runs")
    for name, options in (("dcgan", BATCH_NORM), ("stylegan2", STYLEGAN2)):
        write_run(folder / name, options, CLASSES, labels=True, split="file")
    return folder
