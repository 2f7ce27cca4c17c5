"""The second door, for safetensors and published weights: sizes are checked, nothing is unpickled, and the weights must
fit. tests/security/test_checkpoint.py has checkpoints."""

import hashlib
import json
import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from gan.metrics.extractors import extractor
from gan.models.shared_model import CONFIG, WEIGHTS
from gan.utils.errors import UserError

from .checkpoints import DCGAN, LATENT, Bomb, checkpoint, write_classifier, write_latents, write_shared
from .conftest import Cage

pytestmark = pytest.mark.slow

EDIT = ("edit", "dcgan.ckpt", "--latents", "x.safetensors", "--out", "out")
PREDICT = ("recognize", "predict", "model.ckpt", "image.png", "--recognition", "classifier")
GENERATE = ("generate", "shared", "--out", "out", "--seeds", "0")


def forge(shared: Path, content: bytes) -> None:
    """Replace the weights of a shared model, with the right checksum."""
    (shared / WEIGHTS).write_bytes(content)
    about = json.loads((shared / CONFIG).read_text()) | {"sha256": hashlib.sha256(content).hexdigest()}
    (shared / CONFIG).write_text(json.dumps(about))


def of_latents(cage: Cage, content: bytes) -> str:
    write_latents(cage.folder, {"a": torch.zeros(LATENT)})
    (cage.folder / "x.safetensors").write_bytes(content)
    return cage.run(*EDIT)


def of_classifier(cage: Cage, content: bytes) -> str:
    write_classifier(cage.folder)
    (cage.folder / "classifier" / "classifier.safetensors").write_bytes(content)
    return cage.run(*PREDICT)


def of_shared(cage: Cage, content: bytes) -> str:
    forge(write_shared(cage.folder / "shared"), content)
    return cage.run(*GENERATE)


def raw(header: bytes, data: bytes = bytes(64), length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(first: int, last: int, shape: str = "[8]", dtype: str = "F32") -> str:
    return f'{{"dtype": "{dtype}", "shape": {shape}, "data_offsets": [{first}, {last}]}}'


FILES: dict[str, Callable[[], bytes]] = {
    "truncated": lambda: save({"weight": torch.zeros(100)})[:200],
    "overlapping": lambda: raw(f'{{"a": {entry(0, 32)}, "b": {entry(16, 48)}}}'.encode(), bytes(48)),
    "a huge shape": lambda: raw(f'{{"a": {entry(0, 1 << 40, shape=f"[{1 << 38}]")}}}'.encode()),
    "a shape that overflows": lambda: raw(f'{{"a": {entry(0, 32, shape=f"[{1 << 62}, 4]")}}}'.encode()),
    "an unknown type": lambda: raw(f'{{"a": {entry(0, 4, dtype="OBJ")}}}'.encode()),
    "deep": lambda: raw(b"[" * 1_000_000),
    "a header of 90 MB": lambda: raw(b" " * (90 << 20)),
    "a header longer than the file": lambda: raw(b"{}", length=1 << 60),
    "a pickle": lambda: b"\x80\x04cos\nsystem\n(S'touch ../canary'\ntR.",
    "a zip archive": lambda: b"PK\x03\x04" + b"\0" * 100,
    "tensors of something else": lambda: save({f"{n}": torch.zeros(LATENT) for n in range(100_000)}),
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("surface", [of_latents, of_classifier, of_shared])
def test_safetensors(surface: Callable[[Cage, bytes], str], what: str, cage: Cage) -> None:
    said = surface(cage, FILES[what]())
    assert ".safetensors" in said or "classifier" in said


def test_files_that_were_not_forged_are_read(cage: Cage) -> None:
    write_classifier(cage.folder)
    assert "image.png," in cage.run(*PREDICT, check=0)
    write_latents(cage.folder, {"a": torch.zeros(LATENT)})
    cage.run(*EDIT, check=0)
    write_shared(cage.folder / "shared")
    cage.run(*GENERATE, "--force", check=0)


PUBLISHED: dict[str, Callable[[Path, Path], object]] = {
    "a pickle": lambda path, canary: path.write_bytes(pickle.dumps(Bomb(canary))),
    "a checkpoint": lambda path, canary: torch.save({"x": Bomb(canary)}, path),
    "a pipe": lambda path, canary: os.mkfifo(path),
    "a text": lambda path, canary: path.write_text("weights"),
}


def images(cage: Cage) -> tuple[str, ...]:
    """Make two folders of images, and return the words that compare them."""
    for n in range(6):
        for name in ("real", "made"):
            (cage.folder / name).mkdir(exist_ok=True)
            Image.effect_noise((16, 16), 50 + n).convert("RGB").save(cage.folder / name / f"{n}.png")
    return "evaluate", "made", "--reference", "real", "--extractor"


@pytest.mark.parametrize("what", PUBLISHED)
def test_published_weights_are_checked_before_they_are_read(what: str, cage: Cage) -> None:
    PUBLISHED[what](cage.folder / "weights.pth", cage.canary)
    error = cage.run(*images(cage), "inception", "--weights", "weights.pth")
    assert "weights" in error and "inception" in error


def test_weights_that_were_swapped_run_nothing(cage: Cage, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file is replaced after the check, its code does not run."""
    pytest.importorskip("torch_fidelity")
    path = cage.folder / "weights.pth"
    torch.save({"x": Bomb(cage.canary)}, path)
    monkeypatch.setattr("gan.metrics.pretrained.find", lambda *_: path)
    with pytest.raises(UserError, match="cannot be created"):
        extractor("inception")
    assert not cage.canary.exists()


OWN = """
import torch
class Raises:
    def __init__(self): raise ValueError('of\\nlines')
class Fine:
    name = 'fine'
    def __call__(self, x): return x.float().mean((2, 3))
"""
NOT_EXTRACTORS = ["os.system", "sys.exit", "lite1", "../x.Y", "x\n.Y", "mine.Raises", "mine.Missing"]


@pytest.fixture
def own(cage: Cage, monkeypatch: pytest.MonkeyPatch) -> Cage:
    """Return the cage with the user's modules in the current folder."""
    (cage.folder / "mine.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return cage


@pytest.mark.parametrize("name", NOT_EXTRACTORS, ids=ascii)
def test_what_is_no_extractor(name: str, own: Cage) -> None:
    assert "extractor " in own.run(*images(own), name)


def test_an_extractor_of_the_user_is_used(own: Cage) -> None:
    assert "generated" in own.run(*images(own), "mine.Fine", check=0)


@pytest.mark.parametrize("what", ["digests", "vectors", "pipe"])
def test_results_planted_for_gan_project_are_checked(what: str, cage: Cage) -> None:
    torch.save(checkpoint(DCGAN), cage.folder / "dcgan.ckpt")
    Image.new("RGB", (16, 16)).save(cage.folder / "image.png")
    words = ("project", "dcgan.ckpt", "image.png", "--out", "out", "--starts", "1", "--steps", "10")
    cage.run(*words, check=0)
    (cage.folder / "out" / "image.png").unlink()
    file = cage.folder / "out" / "latents.safetensors"
    tensors = {"../../x": torch.zeros(3)} if what == "vectors" else load(file.read_bytes())
    write_latents(cage.folder, tensors, **({"digests": "[1]"} if what == "digests" else {}))
    (cage.folder / "x.safetensors").rename(file)
    if what == "pipe":
        file.unlink()
        os.mkfifo(file)
    assert "latents.safetensors" in cage.run(*words)
