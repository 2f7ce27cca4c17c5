"""Hostile checkpoints: no code in them runs, and each is refused in one line and with little memory."""

import io
import os
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from .checkpoints import DCGAN, STYLEGAN2, Bomb, checkpoint
from .conftest import SECRET, Cage

pytestmark = pytest.mark.slow

Change = Callable[[dict[str, Any]], Any]
STEM = "ema.module.stem.0.weight"


def generator(**options: Any) -> Change:
    """Replace options of the generator in a checkpoint's configuration."""

    def change(state: dict[str, Any]) -> None:
        state["config"]["model"]["generator"] |= options

    return change


def put(*path: str, value: Any) -> Change:
    def change(state: dict[str, Any]) -> None:
        for name in path[:-1]:
            state = state[name]
        state[path[-1]] = value() if callable(value) else value

    return change


def without(*path: str) -> Change:
    def change(state: dict[str, Any]) -> None:
        for name in path[:-1]:
            state = state[name]
        del state[path[-1]]

    return change


def nested(depth: int) -> Any:
    made: Any = 1
    for _ in range(depth):
        made = {"a": made}
    return made


def network(name: str, **options: Any) -> Change:
    """Replace the generator in a checkpoint's configuration by that of a module of gan.networks."""
    return put("config", "model", "generator", value={"_target_": f"gan.networks.{name}.Generator", **options})


def nan(state: dict[str, Any]) -> None:
    for value in state["state_dict"].values():
        if value.is_floating_point():
            value.fill_(torch.nan)


FORGED: dict[str, tuple[Change, str]] = {
    "weights nan": (nan, "not finite"),
    "weights extra": (put("state_dict", "ema.module.more", value=torch.zeros(1)), "do not fit its configuration"),
    "weights missing": (without("state_dict", STEM), "do not fit its configuration"),
    "weights of another shape": (put("state_dict", STEM, value=torch.zeros(3, 3)), "do not fit its configuration"),
    "weights sparse": (put("state_dict", STEM, value=lambda: torch.zeros(8, 32).to_sparse()), "not a dense CPU tensor"),
    "config none": (put("config", value=None), "configuration"),
    "config deep": (
        put("config", "model", "generator", "width", value=lambda: nested(200)),
        "configuration is not valid",
    ),
    "config with a tensor": (put("config", "more", value=torch.zeros(3)), "configuration is not valid"),
    "classes of others": (put("classes", value=["a", "b", "c"]), "classes"),
    "width a billion": (generator(width=10**9), "out of range"),
    "width large": (generator(width=3000), "describes a larger network"),
    "unet deep": (network("unet", depth=60_000), "describes a larger network"),
    "network of os": (generator(_target_="os.system"), "names os.system"),
    "network beside": (generator(_target_="gan.networks.dcgan.torch.load"), "names gan.networks.dcgan.torch.load"),
    "network a discriminator": (generator(_target_="gan.networks.dcgan.Discriminator"), "only classes of gan itself"),
    "network with code in it": (generator(width={"_target_": "os.system", "command": "touch ../canary"}), "os.system"),
    "an older format": (put("format", value=1), "checkpoint format 1, but this version reads format 4"),
}


def forge(change: Change, path: Path) -> None:
    made = checkpoint(DCGAN, ["cat", "dog"])
    changed = change(made)
    with warnings.catch_warnings(action="ignore"):  # of sparse tensors
        torch.save(made if changed is None else changed, path)


@pytest.mark.parametrize("name", FORGED)
def test_what_was_forged_is_refused(name: str, cage: Cage) -> None:
    change, said = FORGED[name]
    forge(change, cage.folder / "forged.ckpt")
    error = cage.run("generate", "forged.ckpt", "--out", "out", "--seeds", "0")
    assert "forged.ckpt" in error and said in error
    assert not (cage.folder / "out").exists()


@pytest.mark.parametrize("name", ["many lists", "keys of one hash"])
def test_pickles_that_are_slow_or_large_are_refused(name: str, cage: Cage) -> None:
    keys = b"".join(b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little") + b"N" for n in range(40_000))
    pickles = {"many lists": b"](" + b"]" * 9_000_000 + b"e.", "keys of one hash": b"}(" + keys + b"u."}
    with zipfile.ZipFile(cage.folder / "forged.ckpt", "w") as archive:
        archive.writestr("forged/data.pkl", b"\x80\x02" + pickles[name])
        archive.writestr("forged/version", "3\n")
    error = cage.run("generate", "forged.ckpt", "--out", "out", "--seeds", "0")
    assert "forged.ckpt: refused; not a checkpoint of this program (it has " in error


@pytest.mark.parametrize("call", [b"c__builtin__\nbytearray\n(J\x00\x00\x00\x70tR.", b"ccollections\nCounter\n(]tR."])
@pytest.mark.parametrize("member", ["forged/data.pkl", "forged/DATA.PKL"])
def test_calls_of_containers_are_refused(call: bytes, member: str, cage: Cage) -> None:
    with zipfile.ZipFile(cage.folder / "forged.ckpt", "w") as archive:
        archive.writestr(member, b"\x80\x02" + call)
        archive.writestr("forged/version", "3\n")
    error = cage.run("generate", "forged.ckpt", "--out", "out", "--seeds", "0")
    assert "forged.ckpt: refused; not a checkpoint of this program (it has a call of " in error


def test_an_unmodified_checkpoint_generates_images(cage: Cage) -> None:
    for name, options in (("dcgan", DCGAN), ("stylegan2", STYLEGAN2)):
        torch.save(checkpoint(options, ["cat", "dog"]), cage.folder / f"{name}.ckpt")
        cage.run("generate", f"{name}.ckpt", "--out", f"out/{name}", "--seeds", "0", check=0)
        assert (cage.folder / "out" / name / "0.png").is_file()
    half = checkpoint(DCGAN)
    half["state_dict"] = {
        name: value.bfloat16() if value.is_floating_point() else value for name, value in half["state_dict"].items()
    }
    torch.save(half, cage.folder / "half.ckpt")
    cage.run("generate", "half.ckpt", "--out", "out/half", "--seeds", "0", check=0)


COMMANDS: dict[str, list[str]] = {
    "edit": ["edit", "forged.ckpt", "--out", "out"],
    "directions": ["directions", "forged.ckpt", "--out", "out"],
    "interpolate": ["interpolate", "forged.ckpt", "--out", "out/way.gif"],
    "project": ["project", "forged.ckpt", "image.png", "--out", "out"],
    "translate": ["translate", "forged.ckpt", "image.png", "out/done.png"],
    "predict": ["recognize", "predict", "forged.ckpt", "image.png", "--recognition", "out"],
    "fit": ["recognize", "fit", "forged.ckpt", "images", "--out", "out"],
    "evaluate": ["evaluate", "forged.ckpt", "--images", "8"],
    "generate --checkpoint": ["generate", "run", "--checkpoint", "forged.ckpt", "--out", "out"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_in_one_line(command: str, cage: Cage) -> None:
    for path in ("image.png", "images/a/0.png", "images/b/1.png"):
        (cage.folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(cage.folder / path)
    (cage.folder / "run").mkdir()
    for change in (put("more", value=Bomb(cage.canary)), put("state_dict", value={}), lambda state: [1]):
        forge(change, cage.folder / "forged.ckpt")
        assert "forged.ckpt" in cage.run(*COMMANDS[command])


def zipped(change: Callable[[zipfile.ZipFile, zipfile.ZipFile], None], path: Path) -> None:
    """Write the archive of a checkpoint again."""
    whole = io.BytesIO()
    torch.save(checkpoint(), whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        change(source, target)


def copied(source: zipfile.ZipFile, target: zipfile.ZipFile, **options: Any) -> None:
    for member in source.infolist():
        target.writestr(member.filename, source.read(member), **options)


def bomb(source: zipfile.ZipFile, target: zipfile.ZipFile) -> None:
    copied(source, target)
    target.writestr("archive/data/zeros", bytes(200 << 20), zipfile.ZIP_DEFLATED)


def deep(source: zipfile.ZipFile, target: zipfile.ZipFile) -> None:
    """Write a configuration of 200,000 nested lists, which Python's pickler cannot write."""
    lists = b"]" * 200_000 + b"a" * 199_999
    parts = b"(X\x0a\0\0\0state_dict}X\x06\0\0\0config}X\x01\0\0\0a" + lists + b"sX\x06\0\0\0imagesK\x01u."
    for member in source.infolist():
        pickled = member.filename.endswith("/data.pkl")
        target.writestr(member.filename, b"\x80\x02}" + parts if pickled else source.read(member))


ARCHIVES: dict[str, Callable[[zipfile.ZipFile, zipfile.ZipFile], None]] = {
    "zeros, packed": bomb,
    "all packed": lambda source, target: copied(source, target, compress_type=zipfile.ZIP_DEFLATED),
    "members that lead out": lambda source, target: target.writestr("../../escaped", b"x"),
    "lists in lists": deep,
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name: str, cage: Cage) -> None:
    zipped(ARCHIVES[name], cage.folder / "forged.ckpt")
    assert "forged.ckpt" in cage.run("generate", "forged.ckpt", "--out", "out")


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("form", ["zip", "zip, in state_dict", "legacy", "pickle", "tar"])
def test_code_does_not_run(form: str, protocol: int, cage: Cage) -> None:
    path, made, code = cage.folder / "bomb.ckpt", checkpoint(), Bomb(cage.canary)
    if form == "pickle":
        path.write_bytes(pickle.dumps({"x": code}, protocol))
    elif form == "tar":
        with tarfile.open(path, "w") as archive:
            for name in ("sys_info", "pickle", "storages", "tensors"):
                content = pickle.dumps(code, protocol)
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        (made["state_dict"] if "state_dict" in form else made)["x"] = code
        torch.save(made, path, pickle_protocol=protocol, _use_new_zipfile_serialization=form != "legacy")
    error = cage.run("generate", "bomb.ckpt", "--out", "out")
    assert "refused" in error and "bomb.ckpt" in error


class Call:
    """An object whose pickle calls a function with arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


CALLS: dict[str, Any] = {
    "eval": (eval, "__import__('os').system('touch ../canary')"),
    "torch.load": (torch.load, "other.ckpt"),
    "bytes": (bytearray, 1 << 40),
    "import": (__import__, "antigravity"),
    "environment": (os.getenv, "SECRET_TOKEN"),
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_called(name: str, cage: Cage) -> None:
    torch.save({**checkpoint(), "x": Call(*CALLS[name])}, cage.folder / "forged.ckpt")
    assert SECRET not in cage.run("generate", "forged.ckpt", "--out", "out")


def test_the_folder_that_is_read_is_printed(cage: Cage) -> None:
    made = checkpoint()
    made["config"]["data"] |= {"root": "../outside", "labels": False, "_target_": "gan.data.module.ImageDataModule"}
    torch.save(made, cage.folder / "forged.ckpt")
    said = cage.run("evaluate", "forged.ckpt", "--images", "8", "--extractor", "random_conv")
    assert "reading data.root=../outside, as forged.ckpt says" in said


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "gan.runs.lock.remove",
        "gan.training.module.GAN",
    ],
)
def test_data_of_a_checkpoint_is_one_of_ours(target: str, cage: Cage) -> None:
    made = checkpoint()
    made["config"]["data"]["_target_"] = target
    torch.save(made, cage.folder / "forged.ckpt")
    assert f"names {target} as its data" in cage.run("evaluate", "forged.ckpt", "--images", "8")
