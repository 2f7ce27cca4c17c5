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
from gan.common.files import file_name
from gan.latent import store
from gan.latent.space import Space

from .checkpoints import DCGAN, STYLEGAN2, checkpoint
from .conftest import Cage

pytestmark = pytest.mark.slow

LATENT = 8
NAMES = [
    "../../escaped",
    "/tmp/escaped",
    "..",
    ".",
    ".hidden",
    "a\\..\\b",
    "C:\\x",
    "nul\0in",
    "con",
    "x" * 300,
    "sub/../../y",
]
NAMES += ["\x1b[2J", "sub/fine", "fine", "", " ", "x.", "../x", "\u202egnp"]
Made = tuple[dict[str, Tensor], dict[str, Any]]


@pytest.fixture
def models(cage: Cage) -> Cage:
    """Return the cage with the checkpoints dcgan.ckpt (without classes), classes.ckpt and stylegan2.ckpt."""
    for name, options, classes in (("dcgan", DCGAN, ()), ("classes", DCGAN, ("a", "b")), ("stylegan2", STYLEGAN2, ())):
        torch.save(checkpoint(options, classes), cage.folder / f"{name}.ckpt")
    return cage


def write(cage: Cage, vectors: dict[str, Tensor], model: str = "dcgan", **about: Any) -> Path:
    """Write a file like `gan project` for a model in the cage; metadata can be replaced, or removed with None."""
    space = Space(gan.load(cage.folder / f"{model}.ckpt").generator)
    said = {"space": space.name, "generator": store.fingerprint(space.generator), "labels": "{}"} | about
    path = cage.folder / "x.safetensors"
    text = json.dumps({name: value for name, value in said.items() if value is not None})
    save_file(vectors, path, {"about": text})
    return path


def edit(model: str = "dcgan", *more: str) -> list[str]:
    return ["edit", f"{model}.ckpt", "--latents", "x.safetensors", "--out", "out", *more]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_stay_in_the_folder(name: str, models: Cage) -> None:
    write(models, {name: torch.zeros(LATENT)})
    models.run(*edit(), check=0)
    assert [path for path in (models.folder / "out").rglob("*") if path.is_file()] == [
        models.folder / "out" / file_name(name, ".png")
    ]


def test_names_do_not_meet(models: Cage) -> None:
    write(models, {name: torch.full((LATENT,), float(n)) for n, name in enumerate(NAMES)})
    models.run(*edit(), check=0)
    assert len([path for path in (models.folder / "out").rglob("*") if path.is_file()]) == len(NAMES)


def test_a_name_that_is_another_ones_folder(models: Cage) -> None:
    write(models, {"a": torch.zeros(LATENT), "a.png/b": torch.zeros(LATENT)})
    assert "cannot be written" in models.run(*edit())


VECTORS: dict[str, tuple[dict[str, Tensor], str]] = {
    "float64": ({"a": torch.zeros(LATENT).double()}, "float64"),
    "float16": ({"a": torch.zeros(LATENT).half()}, "float16"),
    "bfloat16": ({"a": torch.zeros(LATENT).bfloat16()}, "bfloat16"),
    "int64": ({"a": torch.zeros(LATENT).long()}, "int64"),
    "bool": ({"a": torch.zeros(LATENT).bool()}, "bool"),
    "too short": ({"a": torch.zeros(LATENT - 1)}, "(7,)"),
    "too long": ({"a": torch.zeros(LATENT + 1)}, "(9,)"),
    "a number": ({"a": torch.zeros(())}, "()"),
    "of layers": ({"a": torch.zeros(6, LATENT)}, "(6, 8)"),
    "of three axes": ({"a": torch.zeros(1, 1, LATENT)}, "(1, 1, 8)"),
    "without numbers": ({"a": torch.zeros(0)}, "(0,)"),
    "none": ({}, "is empty"),
    "nan": ({"a": torch.full((LATENT,), torch.nan)}, "not finite"),
    "inf": ({"a": torch.full((LATENT,), torch.inf)}, "not finite"),
    "one of many": ({"a": torch.zeros(LATENT), "b": torch.full((LATENT,), -torch.inf)}, "b is not finite"),
}
USES: dict[str, list[str]] = {
    "edit": edit(),
    "interpolate": ["interpolate", "dcgan.ckpt", "--latents", "x.safetensors", "--out", "out/x.gif"],
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("what", VECTORS)
def test_vectors_of_another_kind(what: str, use: str, models: Cage) -> None:
    vectors, said = VECTORS[what]
    write(models, vectors)
    error = models.run(*USES[use])
    assert "x.safetensors" in error and said in error


ABOUT: dict[str, tuple[dict[str, Any], str]] = {
    "space unknown": ({"space": "q"}, "latent space 'q'"),
    "space missing": ({"space": None}, "latent space"),
    "space another": ({"space": "w"}, "need a mapping network"),
    "space a list": ({"space": ["z"]}, "not text"),
    "labels missing": ({"labels": None}, "contains no latents of images"),
    "labels no JSON": ({"labels": "{"}, "labels cannot be read"),
    "labels a list": ({"labels": "[1]"}, "not a JSON object"),
    "labels a number": ({"labels": 3}, "not text"),
    "labels deep": ({"labels": "[" * 100_000}, "labels cannot be read"),
    "labels where there are no classes": ({"labels": '{"a": 0}'}, "no classes"),
    "of another model": ({"generator": "0"}, "to another model"),
}
LABELS = [
    "{}",
    '{"b": 0}',
    '{"a": 2}',
    '{"a": -1}',
    '{"a": 1.5}',
    '{"a": "0"}',
    '{"a": null}',
    '{"a": true}',
    '{"a": [0]}',
]
LABELS += ['{"a": NaN}', '{"a": 1e300}', f'{{"a": {2**70}}}']


@pytest.mark.parametrize("what", ABOUT)
def test_what_it_says_of_them(what: str, models: Cage) -> None:
    about, said = ABOUT[what]
    write(models, {"a": torch.zeros(LATENT)}, **about)
    error = models.run(*edit())
    assert "x.safetensors" in error and said in error


@pytest.mark.parametrize("labels", LABELS)
def test_labels_are_of_classes(labels: str, models: Cage) -> None:
    write(models, {"a": torch.zeros(LATENT)}, "classes", labels=labels)
    assert "label of a is" in models.run(*edit("classes"))


def test_latents_of_two_shapes(models: Cage) -> None:
    layers = gan.load(models.folder / "stylegan2.ckpt").generator.num_ws
    write(models, {"a": torch.zeros(LATENT), "b": torch.zeros(layers, LATENT)}, "stylegan2")
    assert "different shapes" in models.run(*edit("stylegan2"))
    write(models, {"a": torch.zeros(LATENT)}, "stylegan2", space="z")
    assert "this generator needs vectors of w" in models.run(*edit("stylegan2"))


def test_directions_are_no_latents_and_latents_no_directions(models: Cage) -> None:
    path = write(models, {"sefa0": torch.zeros(LATENT)})
    directions = ["edit", "dcgan.ckpt", "--directions", "x.safetensors", "--out", "out", "--set", "sefa0=1"]
    assert "contains latents of images" in models.run(*directions)
    write(models, {"sefa0": torch.zeros(LATENT)}, labels=None)
    assert "contains no latents" in models.run(*edit())
    models.run(*directions, "--seeds", "0", check=0)
    write(models, {"sefa0": torch.full((LATENT,), torch.nan)}, labels=None)
    assert "not finite" in models.run(*directions)
    path.write_bytes(b"")
    assert "x.safetensors" in models.run(*directions)


@pytest.mark.parametrize("about", ["", "{", "[]", "3", "null", '"x"', "[" * 100_000, '{"space": {"z": 1}}', "\\ud800"])
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
    "the same twice": lambda: raw(f'{{"a": {entry(0, 32)}, "b": {entry(0, 32)}}}'.encode(), bytes(32)),
    "out of range": lambda: raw(f'{{"a": {entry(0, 1 << 40, shape=f"[{1 << 38}]")}}}'.encode()),
    "backwards": lambda: raw(f'{{"a": {entry(32, 0)}}}'.encode()),
    "below zero": lambda: raw(f'{{"a": {entry(-32, 0)}}}'.encode()),
    "more than 64 bits": lambda: raw(f'{{"a": {entry(0, 1 << 70)}}}'.encode()),
    "shape that overflows": lambda: raw(f'{{"a": {entry(0, 32, shape=f"[{1 << 62}, 4]")}}}'.encode()),
    "unknown type": lambda: raw(f'{{"a": {entry(0, 32, "F33")}}}'.encode()),
    "a gap": lambda: raw(f'{{"a": {entry(32, 64)}}}'.encode()),
    "a name twice": lambda: raw(f'{{"a": {entry(0, 32)}, "a": {entry(32, 64)}}}'.encode()),
    "more than it says": lambda: raw(f'{{"a": {entry(0, 32)}}}'.encode(), bytes(1000)),
    "no JSON": lambda: raw(b"x" * 100),
    "deep": lambda: raw(b"[" * 1_000_000),
    "a list": lambda: raw(b"[]"),
    "header of 90 MB": lambda: raw(b'{"__metadata__": {"about": "' + b"x" * 90_000_000 + b'"}}'),
    "header longer than the file": lambda: raw(b"{}", length=1 << 60),
    "header shorter than it is": lambda: raw(b'{"a": 1}', length=3),
    "no header": lambda: raw(b"", b""),
    "four bytes": lambda: b"\1\0\0\0",
    "empty": lambda: b"",
    "a pickle": lambda: b"\x80\x04cos\nsystem\n(S'touch ../canary'\ntR.",
    "a hundred thousand": entries,
}


@pytest.mark.parametrize("what", RAW)
def test_files_that_are_not_whole(what: str, models: Cage) -> None:
    (models.folder / "x.safetensors").write_bytes(RAW[what]())
    for use in USES.values():
        assert "x.safetensors" in models.run(*use)


@pytest.mark.parametrize("what", ["a folder", "a pipe", "nothing"])
def test_what_is_no_file(what: str, models: Cage) -> None:
    path = models.folder / "x.safetensors"
    if what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    assert "x.safetensors" in models.run(*edit())


@pytest.mark.parametrize("what", ["labels", "digests", "vectors", "options", "scores", "pipe"])
def test_a_folder_that_was_planted_for_gan_project(what: str, models: Cage) -> None:
    """Results of an interrupted command are validated before the command is resumed."""
    from PIL import Image

    Image.new("RGB", (16, 16)).save(models.folder / "image.png")
    words = ["project", "dcgan.ckpt", "image.png", "--out", "out", "--starts", "1", "--steps", "10"]
    models.run(*words, check=0)
    (models.folder / "out" / "image.png.png").unlink()
    file = models.folder / "out" / "latents.safetensors"
    found, _, about = store.read(file, gan.load(models.folder / "dcgan.ckpt").generator)
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
        planted = {"labels": "[", "digests": "[1]", "options": "\x1b[2J"}
        save_file(
            vectors, file, {"about": json.dumps(about | {name: planted[name] for name in planted if name == what})}
        )
    assert "latents.safetensors" in models.run(*words)
