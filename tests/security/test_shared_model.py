"""Hostile folders of shared models: each is refused in one line, and no code runs.

tests/security/test_reader.py has a config.json that is none, and tests/security/test_weights.py forged weights.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from gan.models.loading import load_discriminator
from gan.models.shared_model import CONFIG, DELTA, WEIGHTS
from gan.utils.errors import UserError

from .checkpoints import write_shared
from .conftest import Cage
from .test_weights import forge

pytestmark = pytest.mark.slow

GENERATE = ["generate", "shared", "--out", "out", "--seeds", "0"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shared(tmp_path_factory.mktemp("made") / "shared")


@pytest.fixture
def shared(sound: Path, cage: Cage) -> Path:
    return shutil.copytree(sound, cage.folder / "shared")


def change(folder: Path, *keys: str, to: Any) -> None:
    """Set a value in config.json; None removes the key."""
    about = json.loads((folder / CONFIG).read_text())
    node = about
    for key in keys[:-1]:
        node = node[key]
    if to is None:
        node.pop(keys[-1])
    else:
        node[keys[-1]] = to
    (folder / CONFIG).write_text(json.dumps(about))


GENERATOR = ("model", "generator")
TARGET = (*GENERATOR, "_target_")
CHANGES: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "a function of the system": (TARGET, "os.system", "only classes of gan itself"),
    "a helper of a network": (TARGET, "gan.networks.dcgan.nn", "only classes of gan itself"),
    "a class that is nested": ((*GENERATOR, "width"), {"_target_": "os.system"}, "only classes of gan itself"),
    "a network of someone": (TARGET, "theirs.Generator", "--code DIR"),
    "a huge width": ((*GENERATOR, "width"), 10**9, "out of range"),
    "a folder to read": (("data", "root"), "/etc", "unknown key data.root"),
    "many patches": (("data", "patches_per_image"), 10**8, "data.patches_per_image"),
    "another number of classes": (("classes",), ["a", "b", "c"], "do not match"),
    "another library": (("library",), "transformers", "was not written by gan share"),
    "a newer format": (("format",), 3, "install a newer retro-gan"),
    "a delta without a base": (("format",), 2, "has no base of type str"),
    "another checksum": (("sha256",), "0" * 64, "checksum"),
    "deep nesting": ((*GENERATOR, "x"), json.loads("[" * 50 + "]" * 50), "too deep"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_configuration(name: str, shared: Path, cage: Cage) -> None:
    keys, value, message = CHANGES[name]
    change(shared, *keys, to=value)
    assert message in cage.run(*GENERATE)


@pytest.mark.parametrize("base", ["/etc", "s3://bucket/run", "zoo:../..", "zoo:start64"])
def test_the_base_of_a_delta(base: str, shared: Path, cage: Cage) -> None:
    about = json.loads((shared / CONFIG).read_text())
    about |= {"format": DELTA, "base": base, "base_sha256": "0" * 64, "kept": [[], "generator.stem.0.weight"]}
    (shared / CONFIG).write_text(json.dumps(about))
    expected = {"zoo:start64": "is a delta of another version", "zoo:../..": "no such model"}
    assert expected.get(base, "the base of a delta must be zoo:NAME") in cage.run(*GENERATE)


def test_a_truncated_download(shared: Path, cage: Cage) -> None:
    (shared / WEIGHTS).write_bytes((shared / WEIGHTS).read_bytes()[:5000])
    assert "cannot be read as safetensors" in cage.run(*GENERATE)


def test_a_discriminator_that_does_not_fit(shared: Path) -> None:
    load_discriminator(shared)
    tensors = load((shared / WEIGHTS).read_bytes())
    forge(shared, save(tensors | {"discriminator.extra": torch.ones(1)}))
    with pytest.raises(UserError, match="do not fit its configuration"):
        load_discriminator(shared)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
@pytest.mark.parametrize("target", ["../../outside/precious", "/dev/zero", "nowhere"])
def test_links_that_lead_out(name: str, target: str, shared: Path, cage: Cage) -> None:
    (shared / name).unlink()
    (shared / name).symlink_to(target)
    said = cage.run(*GENERATE)
    assert "a link leads out of shared" in said or "has no file" in said


def test_a_missing_file_and_a_pipe(shared: Path, cage: Cage) -> None:
    (shared / CONFIG).unlink()
    assert f"has no file {CONFIG}" in cage.run(*GENERATE)
    os.mkfifo(shared / CONFIG)
    assert f"has no file {CONFIG}" in cage.run(*GENERATE)


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
