"""A run that was not trained, with scores, and its shared folder."""

import getpass
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from gan import api
from gan.export import share
from gan.models import shared_files
from gan.runs import run_folder
from tests.conftest import ROOT
from tests.security.checkpoints import DCGAN, checkpoint, write_run

CLASSES = ("poster", "neon sign|*")
USER = "a-user-name"
SCORE = {"metric": "kid_x1000", "row": "generated", "images": 50, "real": 60, "extractor": "lite0", "resize": "128x128"}
SCORE |= {"generator": "EMA", "ema": None, "seeds": [0, 49], "checkpoint": "images-000000064.ckpt", "images_seen": 64}
SCORE |= {"source": f"/home/{USER}/run", "reference": f"/home/{USER}/run:val", "time": "2026-01-01T00:00:00+0000"}
LINES = [
    {**SCORE, "value": 5.0},
    {**SCORE, "value": 4.5},  # measured again
    {**SCORE, "value": 1.0, "row": "blurred"},
    {**SCORE, "value": 2.0, "images_seen": 32},
    {**SCORE, "value": 3.0, "ema": 0.05},
    {**SCORE, "value": float("nan")},
]


def loaded(folder: Path, options: Any = DCGAN, classes: tuple[str, ...] = ()) -> Any:
    """Return the model of made.ckpt, a checkpoint in the folder that was not trained."""
    torch.save(checkpoint(options, classes), folder / "made.ckpt")
    return api.load(folder / "made.ckpt")


def private_words(folder: Path) -> list[bytes]:
    """Return what no file that is given to others has: paths, and names of the user, the machine and the checkpoint."""
    words = [str(ROOT), str(folder), str(Path.home()), getpass.getuser(), socket.gethostname(), "made.ckpt"]
    return [word.encode() for word in words if len(word) > 2]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with a checkpoint of a class-conditional DCGAN at 64 images."""
    made = tmp_path_factory.mktemp(USER) / "run"
    write_run(made, DCGAN, CLASSES, root=str(made))
    (made / run_folder.EVALUATION).write_text("".join(json.dumps(line) + "\n" for line in LINES) + "[]\nbroken\n")
    return made


@pytest.fixture(scope="session")
def files(run: Path) -> dict[str, bytes]:
    """Return the files of the shared run, with its discriminator."""
    return share.collect(run, name="shared", license="cc-by-4.0", trained_on="Old *cards*", discriminator=True)


@pytest.fixture
def shared(files: dict[str, bytes], tmp_path: Path) -> Path:
    """Return the folder of the shared run."""
    shared_files.write(tmp_path / "shared", files)
    return tmp_path / "shared"
