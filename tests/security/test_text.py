"""The third door: text from files is printed without control characters, so it forges no line and no title."""

import json
import zipfile
from collections.abc import Callable

import pytest
import torch
from PIL import Image

from gan.models.shared_model import CONFIG
from gan.runs import checkpoints, run_folder
from gan.utils.files import write_json

from .checkpoints import LATENT, checkpoint, write_latents, write_run, write_shared
from .conftest import Cage

pytestmark = pytest.mark.slow

EVIL = "x\x1b[2J\x1b]0;owned\x07\nforged line"
OUT = ("--out", "out", "--seeds", "0")


def network(cage: Cage) -> str:
    made = checkpoint()
    made["config"]["model"]["generator"]["_target_"] = EVIL
    torch.save(made, cage.folder / "forged.ckpt")
    return cage.run("generate", "forged.ckpt", *OUT)


def shared_model(cage: Cage) -> str:
    path = write_shared(cage.folder / "shared") / CONFIG
    write_json(path, json.loads(path.read_text()) | {"kind": EVIL})
    return cage.run("generate", "shared", *OUT)


def sidecar(cage: Cage) -> str:
    path = checkpoints.sidecar(write_run(cage.folder / "run"))
    write_json(path, json.loads(path.read_text()) | {"images": EVIL})
    return cage.run("generate", "run", *OUT)


def metrics(cage: Cage) -> str:
    write_run(cage.folder / "run")
    line = json.dumps({"images": 16, f"eval/{EVIL}": 1.0, "eval/kid_x1000_lite0": 1.0})
    with open(cage.folder / "run" / run_folder.METRICS, "a") as file:
        file.write(line + "\n")
    return cage.run("compare", "run", check=0)


def name_of_a_run(cage: Cage) -> str:
    write_run(cage.folder / EVIL.replace("/", ""))
    said = cage.run("compare", EVIL, check=0) + cage.run("generate", EVIL, *OUT, check=0)
    words = ("--frames", "2", "--out", f"out/{EVIL}.gif".replace("[2J\x1b]0;", ""))
    said += cage.run("directions", EVIL, "--out", "out/directions", check=0)
    return said + cage.run("interpolate", EVIL, *words, check=0)


def latents(cage: Cage) -> str:
    write_latents(cage.folder, {EVIL: torch.zeros(LATENT), "../../escaped": torch.zeros(LATENT)})
    return cage.run("edit", "dcgan.ckpt", "--latents", "x.safetensors", "--out", "out", check=0)


def archive(cage: Cage) -> str:
    Image.new("RGB", (8, 8)).save(cage.folder / "0.png")
    with zipfile.ZipFile(cage.folder / "in.zip", "w") as file:
        for index in range(6):
            file.write(cage.folder / "0.png", f"{index % 2}{EVIL}/{index}.png")
        file.writestr(f"a.{EVIL}", b"")
    return cage.run("data", "check", "in.zip", check=0)


@pytest.mark.parametrize(
    "surface", [network, shared_model, sidecar, metrics, name_of_a_run, latents, archive], ids=lambda f: f.__name__
)
def test_text_of_files_is_printed_in_one_line(surface: Callable[[Cage], str], cage: Cage) -> None:
    said = surface(cage)
    assert "\x1b" not in said and "\x07" not in said
    assert not any(line.startswith("forged") for line in said.splitlines())
