"""Hostile folders of shared models: each is refused in one line, and no code runs."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from gan.export import share
from gan.export.share import write
from gan.models.loading import load_discriminator
from gan.models.shared_model import CONFIG, WEIGHTS
from gan.utils.errors import UserError

from .checkpoints import DCGAN, Bomb, checkpoint
from .conftest import Cage

pytestmark = pytest.mark.slow

GENERATE = ["generate", "shared", "--out", "out", "--seeds", "0"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a sound shared model with its discriminator."""
    path = tmp_path_factory.mktemp("made") / "run.ckpt"
    torch.save(checkpoint(DCGAN, ("a", "b")), path)
    return share.collect(path, name="shared", license="mit", discriminator=True, samples=False)


@pytest.fixture
def shared(files: dict[str, bytes], cage: Cage) -> Path:
    write(cage.folder / "shared", files)
    return cage.folder / "shared"


def test_a_sound_one(shared: Path, cage: Cage) -> None:
    cage.run(*GENERATE, check=0)


def change(folder: Path, *keys: str, to: Any) -> None:
    """Set a value in config.json; a callable is applied to the old one, and None removes the key."""
    about = json.loads((folder / CONFIG).read_text())
    node = about
    for key in keys[:-1]:
        node = node[key]
    if to is None:
        node.pop(keys[-1])
    else:
        node[keys[-1]] = to(node[keys[-1]]) if callable(to) else to
    (folder / CONFIG).write_text(json.dumps(about))


def forge(folder: Path, content: bytes) -> None:
    """Replace the weights, with the right checksum."""
    (folder / WEIGHTS).write_bytes(content)
    change(folder, "sha256", to=hashlib.sha256(content).hexdigest())


def weights(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors, with the right checksum."""
    tensors = load((folder / WEIGHTS).read_bytes())
    edit(tensors)
    forge(folder, save(tensors))


GENERATOR = ("model", "generator")
TARGET = (*GENERATOR, "_target_")
CHANGES: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "a function of the system": (TARGET, "os.system", "only classes of gan itself"),
    "a class of torch": (TARGET, "torch.hub.load", "only classes of gan itself"),
    "a class of gan that is no network": (TARGET, "gan.runs.lock.Lock", "only classes of gan itself"),
    "a helper of a network": (TARGET, "gan.networks.dcgan.nn", "only classes of gan itself"),
    "a class that is nested": ((*GENERATOR, "width"), {"_target_": "os.system"}, "only classes of gan itself"),
    "a network of someone": (TARGET, "theirs.Generator", "--code DIR"),
    "no class": (TARGET, 3, "only classes of gan itself"),
    "a huge width": ((*GENERATOR, "width"), 10**9, "out of range"),
    "a width that is too large": ((*GENERATOR, "width"), 3000, "do not fit its configuration"),
    "a width that is no number": ((*GENERATOR, "width"), float("nan"), "out of range"),
    "an option that does not exist": ((*GENERATOR, "depth_of_hell"), 3, "cannot be built"),
    "many channels": (("data", "channels"), 5, "channels"),
    "a data source": (("data", "_target_"), "gan.data.module.ImageDataModule", "unknown key data._target_"),
    "a folder to read": (("data", "root"), "/etc", "unknown key data.root"),
    "many patches": (("data", "patches_per_image"), 10**8, "data.patches_per_image"),
    "a fit that is a list": (("data", "fit"), ["crop"], "data.fit"),
    "a missing key": (("images",), None, "has no images"),
    "a missing network": (GENERATOR, None, "has no model.generator"),
    "a missing size": (("data", "size"), None, "has no data.size"),
    "negative images": (("images",), -1, "number of images"),
    "huge images": (("images",), 10**30, "too large"),
    "images that are no number": (("images",), "many", "has no images of type int"),
    "classes that are no names": (("classes",), [1, 2], "classes is not valid"),
    "another number of classes": (("classes",), ["a", "b", "c"], "do not match"),
    "an unknown kind": (("kind",), "agent", "has kind agent"),
    "another library": (("library",), "transformers", "was not written by gan share"),
    "a newer format": (("format",), 2, "install a newer retro-gan"),
    "a format that is text": (("format",), "1", "has format '1'"),
    "another checksum": (("sha256",), "0" * 64, "checksum"),
    "deep nesting": (("model", "generator", "x"), json.loads("[" * 50 + "]" * 50), "too deep"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_configuration(name: str, shared: Path, cage: Cage) -> None:
    keys, value, message = CHANGES[name]
    change(shared, *keys, to=value)
    assert message in cage.run(*GENERATE)


TEXTS = {
    "nothing": b"", "no JSON": b"{", "a list": b"[]", "a number": b"3", "null": b"null", "brackets": b"[" * 100_000,
    "zeros": b"\0" * 50, "another encoding": b"\xff\xfe{}", "a model of transformers": b'{"model_type": "bert"}',
    "a large file": b" " * (2 << 20) + b"{}", "a pickle": pickle.dumps({"a": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_config_json_that_is_none(name: str, shared: Path, cage: Cage) -> None:
    (shared / CONFIG).write_bytes(TEXTS[name])
    assert CONFIG in cage.run(*GENERATE)


def header(length: int, text: bytes = b"{}") -> bytes:
    return struct.pack("<Q", length) + text


WRONG_FILES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda good: b"",
    "seven bytes": lambda good: good[:7],
    "a truncated header": lambda good: good[:100],
    "truncated tensors": lambda good: good[:-1],
    "bytes after the tensors": lambda good: good + b"\0",
    "a header that is too long": lambda good: header(1 << 62),
    "a header of 30 MB that is none": lambda good: header(30 << 20, b" " * (30 << 20)),
    "no tensors": lambda good: header(2),
    "a shape with an overflow": lambda good: forged(b'{"generator.x":{"dtype":"F32","shape":[4294967296,4294967296],'
                                                    b'"data_offsets":[0,4]}}', b"0000"),
    "a huge shape": lambda good: forged(b'{"generator.x":{"dtype":"F32","shape":[1099511627776],"data_offsets":'
                                        b'[0,4398046511104]}}', b"0000"),
    "tensors that overlap": lambda good: forged(b'{"generator.x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                                                b'"generator.y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
                                                b"0000"),
    "an unknown type": lambda good: forged(b'{"generator.x":{"dtype":"OBJ","shape":[1],"data_offsets":[0,4]}}',
                                           b"0000"),
    "a zip archive": lambda good: b"PK\x03\x04" + b"\0" * 100,
}  # fmt: skip


def forged(text: bytes, data: bytes) -> bytes:
    return header(len(text), text) + data


@pytest.mark.parametrize("name", WRONG_FILES)
def test_weights_that_are_no_safetensors(name: str, shared: Path, cage: Cage) -> None:
    forge(shared, WRONG_FILES[name]((shared / WEIGHTS).read_bytes()))
    assert WEIGHTS in cage.run(*GENERATE)


def test_a_truncated_download(shared: Path, cage: Cage) -> None:
    (shared / WEIGHTS).write_bytes((shared / WEIGHTS).read_bytes()[:5000])
    assert "cannot be read as safetensors" in cage.run(*GENERATE)


def test_a_pickle_in_place_of_the_weights(shared: Path, cage: Cage) -> None:
    forge(shared, pickle.dumps(Bomb(cage.canary)))
    cage.run(*GENERATE)
    torch.save({"a": Bomb(cage.canary)}, shared / WEIGHTS)
    forge(shared, (shared / WEIGHTS).read_bytes())
    cage.run(*GENERATE)


TENSORS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "a missing weight": (lambda t: t.pop(first(t)), "do not fit its configuration"),
    "an extra weight": (lambda t: t.update({"generator.extra": torch.ones(1)}), "do not fit its configuration"),
    "another shape": (lambda t: t.update({first(t): torch.ones(3)}), "do not fit its configuration"),
    "not a number": (lambda t: t[first(t)].fill_(float("nan")), "not finite"),
    "negative counts": (lambda t: t["class_counts"].neg_(), "do not match"),
    "no counts": (lambda t: t.pop("class_counts"), "do not match"),
    "counts for more classes": (lambda t: t.update(class_counts=torch.ones(10_000)), "do not match"),
}


def first(tensors: dict[str, torch.Tensor]) -> str:
    """Return the name of a weight of the generator."""
    return next(name for name in sorted(tensors) if name.startswith("generator.") and name.endswith("weight"))


@pytest.mark.parametrize("name", TENSORS)
def test_weights_that_do_not_fit(name: str, shared: Path, cage: Cage) -> None:
    edit, message = TENSORS[name]
    weights(shared, edit)
    assert message in cage.run(*GENERATE)


def test_a_discriminator_that_does_not_fit(shared: Path, cage: Cage) -> None:
    load_discriminator(shared)
    weights(shared, lambda t: t.update({"discriminator.extra": torch.ones(1)}))
    with pytest.raises(UserError, match="do not fit its configuration"):
        load_discriminator(shared)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
@pytest.mark.parametrize("target", ["../../outside/precious", "/etc/passwd", "/dev/zero", "nowhere"])
def test_links_that_lead_out(name: str, target: str, shared: Path, cage: Cage) -> None:
    (shared / name).unlink()
    (shared / name).symlink_to(target)
    said = cage.run(*GENERATE)
    assert "a link leads out of shared" in said or "has no file" in said


def test_a_pipe(shared: Path, cage: Cage) -> None:
    (shared / WEIGHTS).unlink()
    os.mkfifo(shared / WEIGHTS)
    assert "has no file" in cage.run(*GENERATE)


def test_one_file_alone(shared: Path, cage: Cage) -> None:
    (shared / CONFIG).unlink()
    assert f"has no file {CONFIG}" in cage.run(*GENERATE)
    assert "error" in cage.run("generate", f"shared/{WEIGHTS}", "--out", "out", "--seeds", "0")


def test_links_within_the_cache_of_the_hub(shared: Path, cage: Cage) -> None:
    snapshot = cage.folder / "models--a--b" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot.parent.parent / "blobs").mkdir()
    for name in (WEIGHTS, CONFIG):
        (shared / name).rename(snapshot.parent.parent / "blobs" / name)
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    path = str(snapshot.relative_to(cage.folder))
    cage.run("generate", path, "--out", "out", "--seeds", "0", check=0)


def test_code_beside_the_model_does_not_run(shared: Path, cage: Cage) -> None:
    (shared / "theirs.py").write_text(f"open({str(cage.canary)!r}, 'w')\nclass Generator: pass\n")
    change(shared, *TARGET, to="theirs.Generator")
    assert "--code DIR" in cage.run(*GENERATE)
    cage.run(*GENERATE, "--code", "shared")  # the folder of a model, even if it is named
    (shared / "__init__.py").write_text("")
    change(shared, *TARGET, to="shared.theirs.Generator")
    cage.run(*GENERATE, "--code", ".")
