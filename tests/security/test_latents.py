"""Hostile files of latents and directions are refused in one line, or their names stay in the output folder."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor

import gan
from gan.editing import vector_files
from gan.editing.space import Space

from .checkpoints import DCGAN, checkpoint
from .conftest import Cage

pytestmark = pytest.mark.slow

LATENT = 8
NAMES = ["../../escaped", "/tmp/escaped", "..", "C:\\x", "nul\0in", "con", "x" * 300, "\x1b[2J", "sub/fine", ""]
Made = tuple[dict[str, Tensor], dict[str, Any]]


@pytest.fixture
def models(cage: Cage) -> Cage:
    """Return the cage with the checkpoints dcgan.ckpt (without classes) and classes.ckpt."""
    for name, options, classes in (("dcgan", DCGAN, ()), ("classes", DCGAN, ("a", "b"))):
        torch.save(checkpoint(options, classes), cage.folder / f"{name}.ckpt")
    return cage


def write(cage: Cage, vectors: dict[str, Tensor], model: str = "dcgan", **about: Any) -> Path:
    """Write a file like `gan project` for a model in the cage; metadata can be replaced, or removed with None."""
    space = Space(gan.load(cage.folder / f"{model}.ckpt").generator)
    said = {"space": space.name, "generator": vector_files.fingerprint(space.generator), "labels": "{}"} | about
    path = cage.folder / "x.safetensors"
    text = json.dumps({name: value for name, value in said.items() if value is not None})
    save_file(vectors, path, {"about": text})
    return path


def edit(model: str = "dcgan", *more: str) -> list[str]:
    return ["edit", f"{model}.ckpt", "--latents", "x.safetensors", "--out", "out", *more]


def test_names_do_not_meet(models: Cage) -> None:
    write(models, {name: torch.full((LATENT,), float(n)) for n, name in enumerate(NAMES)})
    models.run(*edit(), check=0)
    assert len([path for path in (models.folder / "out").rglob("*") if path.is_file()]) == len(NAMES)


def test_a_name_that_is_another_ones_folder(models: Cage) -> None:
    write(models, {"a": torch.zeros(LATENT), "a.png/b": torch.zeros(LATENT)})
    assert "cannot be written" in models.run(*edit())


USES: dict[str, list[str]] = {
    "edit": edit(),
    "interpolate": ["interpolate", "dcgan.ckpt", "--latents", "x.safetensors", "--out", "out/x.gif"],
}


@pytest.mark.parametrize("use", USES)
def test_vectors_of_another_kind(use: str, models: Cage) -> None:
    write(models, {"a": torch.zeros(1 << 20)})
    assert "x.safetensors: its vectors must be float32 and have one shape, (8,)" in models.run(*USES[use])


ABOUT: dict[str, tuple[dict[str, Any], str]] = {
    "space a list": ({"space": ["z"]}, "or latent space"),
    "labels missing": ({"labels": None}, "give a file of latents of images"),
    "labels deep": ({"labels": "[" * 100_000}, "labels cannot be read"),
    "labels a number": ({"labels": 3}, "labels cannot be read"),
    "of another model": ({"generator": "0"}, "to another model"),
}


@pytest.mark.parametrize("what", ABOUT)
def test_what_it_says_of_them(what: str, models: Cage) -> None:
    about, said = ABOUT[what]
    write(models, {"a": torch.zeros(LATENT)}, **about)
    error = models.run(*edit())
    assert "x.safetensors" in error and said in error


@pytest.mark.parametrize("about", ["", "[]", "[" * 100_000, "\\ud800"])
def test_metadata_that_is_no_json(about: str, models: Cage) -> None:
    save_file({"a": torch.zeros(LATENT)}, models.folder / "x.safetensors", {"about": about})
    assert "x.safetensors" in models.run(*edit())


def raw(header: bytes, data: bytes = bytes(64), length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(first: int, last: int, dtype: str = "F32", shape: str = "[8]") -> str:
    return f'{{"dtype": "{dtype}", "shape": {shape}, "data_offsets": [{first}, {last}]}}'


def entries() -> bytes:
    """A valid file of a hundred thousand vectors that belongs to no model."""
    return save({f"{n}": torch.zeros(LATENT) for n in range(100_000)})


RAW: dict[str, Callable[[], bytes]] = {
    "overlapping": lambda: raw(f'{{"a": {entry(0, 32)}, "b": {entry(16, 48)}}}'.encode(), bytes(48)),
    "out of range": lambda: raw(f'{{"a": {entry(0, 1 << 40, shape=f"[{1 << 38}]")}}}'.encode()),
    "shape that overflows": lambda: raw(f'{{"a": {entry(0, 32, shape=f"[{1 << 62}, 4]")}}}'.encode()),
    "deep": lambda: raw(b"[" * 1_000_000),
    "header of 90 MB": lambda: raw(b'{"__metadata__": {"about": "' + b"x" * 90_000_000 + b'"}}'),
    "header longer than the file": lambda: raw(b"{}", length=1 << 60),
    "a pickle": lambda: b"\x80\x04cos\nsystem\n(S'touch ../canary'\ntR.",
    "a hundred thousand": entries,
}


@pytest.mark.parametrize("what", RAW)
def test_files_that_are_not_whole(what: str, models: Cage) -> None:
    (models.folder / "x.safetensors").write_bytes(RAW[what]())
    assert "x.safetensors" in models.run(*edit())


def test_a_pipe_is_no_file(models: Cage) -> None:
    os.mkfifo(models.folder / "x.safetensors")
    assert "x.safetensors" in models.run(*edit())


@pytest.mark.parametrize("what", ["digests", "vectors", "options", "scores", "pipe"])
def test_a_folder_that_was_planted_for_gan_project(what: str, models: Cage) -> None:
    """Results of an interrupted command are validated before the command is resumed."""
    from PIL import Image

    Image.new("RGB", (16, 16)).save(models.folder / "image.png")
    words = ["project", "dcgan.ckpt", "image.png", "--out", "out", "--starts", "1", "--steps", "10"]
    models.run(*words, check=0)
    (models.folder / "out" / "image.png.png").unlink()
    file = models.folder / "out" / "latents.safetensors"
    (found, _, about), _ = vector_files.read_latents(file, gan.load(models.folder / "dcgan.ckpt").generator)
    if what == "scores":
        (models.folder / "out" / "scores.csv").write_bytes(b"other\n\xff\n,,,,\n\0")
        models.run(*words, check=0)
        (models.folder / "out" / "scores.csv").write_text("file,psnr,ssim,perceptual\nimage.png\nx,1,2,3,4,5\n")
        models.run(*words, check=0)
        return
    if what == "pipe":
        file.unlink()
        os.mkfifo(file)
    else:
        vectors = {"../../x": torch.zeros(3)} if what == "vectors" else found
        planted = {"digests": "[1]", "options": "\x1b[2J"}
        save_file(
            vectors, file, {"about": json.dumps(about | {name: planted[name] for name in planted if name == what})}
        )
    assert "latents.safetensors" in models.run(*words)
