"""Hostile checkpoints: no code in them runs, and each is refused in one line and with little memory."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.inference import blueprint, loading
from gan.run.checkpoint_file import load
from gan.run.config import CONF

from .checkpoints import DCGAN, LUT, STYLEGAN2, Bomb, checkpoint, configuration
from .conftest import SECRET, Cage

pytestmark = pytest.mark.slow

Change = Callable[[dict[str, Any]], Any]
STEM = "ema.module.stem.0.weight"


def generator(**options: Any) -> Change:
    """Replace options of the generator in a checkpoint's configuration; None removes an option."""

    def change(state: dict[str, Any]) -> None:
        node = state["config"]["model"]["generator"]
        node |= options
        for name in [name for name, value in options.items() if value is None]:
            del node[name]

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


def nested(depth: int, kind: type = dict) -> Any:
    made: Any = 1
    for _ in range(depth):
        made = {"a": made} if kind is dict else [made]
    return made


def laughs() -> Any:
    """Return a tensor of a hundred million values that needs no memory."""
    made: Any = ["ha"] * 100
    for _ in range(4):
        made = [made] * 100
    return made


def nan(state: dict[str, Any]) -> None:
    state["state_dict"][STEM][0, 0, 0, 0] = torch.nan


def cast(dtype: torch.dtype) -> Change:
    def change(state: dict[str, Any]) -> None:
        state["state_dict"][STEM] = state["state_dict"][STEM].to(dtype)

    return change


FORGED: dict[str, tuple[Change, str]] = {
    "weights nan": (nan, "not finite"),
    "weights inf": (put("state_dict", "ema.module.to_image.weight", value=torch.full((8, 3, 4, 4), torch.inf)), ""),
    "weights extra": (put("state_dict", "ema.module.more", value=torch.zeros(1)), "has an unexpected more"),
    "weights missing": (without("state_dict", STEM), "has no stem.0.weight"),
    "weights of another shape": (put("state_dict", STEM, value=torch.zeros(3, 3)), "(3, 3)"),
    "weights scalar": (put("state_dict", STEM, value=torch.zeros(())), "()"),
    "weights int": (cast(torch.int64), "int64"),
    "weights complex": (cast(torch.complex64), "complex64"),
    "weights float8": (cast(torch.float8_e4m3fn), "float8"),
    "weights bool": (cast(torch.bool), "bool"),
    "weights a list": (put("state_dict", STEM, value=[1.0]), "not a dense CPU tensor"),
    "weights a text": (put("state_dict", STEM, value="weights"), "not a dense CPU tensor"),
    "weights none": (put("state_dict", STEM, value=None), "not a dense CPU tensor"),
    "weights sparse": (put("state_dict", STEM, value=lambda: torch.zeros(8, 32).to_sparse()), "not a dense CPU tensor"),
    "weights meta": (put("state_dict", STEM, value=lambda: torch.zeros(8, device="meta")), "not a dense CPU tensor"),
    "weights none of all": (put("state_dict", value={}), "has no"),
    "weights a list of all": (put("state_dict", value=[1]), "state_dict"),
    "weights a text of all": (put("state_dict", value="x"), "state_dict"),
    "weights a tensor of all": (put("state_dict", value=torch.zeros(3)), "state_dict"),
    "weights numbered": (put("state_dict", value={1: torch.zeros(1)}), "state_dict"),
    "config a list": (put("config", value=[1, 2]), "configuration"),
    "config none": (put("config", value=None), "configuration"),
    "config a tensor": (put("config", value=torch.zeros(3)), "configuration"),
    "config deep": (put("config", "model", "generator", "width", value=lambda: nested(200)), "too deep"),
    "config deep lists": (put("config", "model", "more", value=lambda: nested(200, list)), "too deep"),
    "config laughs": (put("config", "model", "more", value=laughs), "too large"),
    "config huge text": (put("config", "more", value="x" * 10_000_000), "too long"),
    "config huge key": (put("config", "x" * 10_000_000, value=1), ""),
    "config huge number": (put("config", "more", value=2**70), "too large"),
    "config with a tensor": (put("config", "more", value=torch.zeros(3)), "Tensor"),
    "config with a number for a name": (put("config", "model", value={1: 2}), "keys that are not strings"),
    "config without model": (without("config", "model"), "no configuration of"),
    "config without generator": (without("config", "model", "generator"), "no configuration of generator"),
    "config model a text": (put("config", "model", value="dcgan"), "no configuration of"),
    "config model a list": (put("config", "model", value=["generator"]), "no configuration of"),
    "config generator a text": (put("config", "model", "generator", value="dcgan"), "no configuration of"),
    "config without data": (without("config", "data"), "no configuration of data"),
    "config data size a text": (put("config", "data", "size", value="big"), "data.size"),
    "config data size huge": (put("config", "data", "size", value=10**9), "data.size"),
    "config data size missing": (without("config", "data", "size"), "data.size"),
    "config data channels": (put("config", "data", "channels", value=2), "channels"),
    "config data channels a text": (put("config", "data", "channels", value="3"), "channels"),
    "config data of another size": (put("config", "data", "size", value=32), "does not fit its images"),
    "images a text": (put("images", value="64"), "number of images is not valid"),
    "images a tensor": (put("images", value=torch.tensor(64)), "number of images is not valid"),
    "images none": (put("images", value=None), "number of images is not valid"),
    "images nan": (put("images", value=float("nan")), "number of images is not valid"),
    "images huge": (put("images", value=2**70), "number of images is not valid"),
    "images below zero": (put("images", value=-1), "number of images is not valid"),
    "classes a text": (put("classes", value="cats"), "classes"),
    "classes numbers": (put("classes", value=[1, 2]), "classes"),
    "classes a number": (put("classes", value=3), "classes"),
    "classes nested": (put("classes", value=[["a"]]), "classes"),
    "classes many": (put("classes", value=lambda: [f"{n}" for n in range(200_000)]), "classes"),
    "classes long": (put("classes", value=["x" * 10_000_000]), "classes"),
    "classes of others": (put("classes", value=["a", "b", "c"]), "classes"),
    "class counts of others": (put("state_dict", "class_counts", value=torch.ones(3)), "classes"),
    "class counts a text": (put("state_dict", "class_counts", value="3"), "classes"),
    "class counts nan": (put("state_dict", "class_counts", value=torch.tensor([torch.nan, 1])), "classes"),
    "width a billion": (generator(width=10**9), "out of range"),
    "width large": (generator(width=60_000), "do not fit its configuration"),
    "width negative": (generator(width=-4), "cannot be built"),
    "width a fraction": (generator(width=0.5), "cannot be built"),
    "width infinite": (generator(width=float("inf")), "out of range"),
    "width a text": (generator(width="4"), "cannot be built"),
    "width none": (generator(width=None, size=None), "cannot be built"),
    "width a list": (generator(width=[4] * 1000), "1,000 values"),
    "width nested lists": (generator(width=[[4]]), "is not a number, a text or a list"),
    "latent a billion": (generator(latent_dim=10**9), "out of range"),
    "size a billion": (generator(size=[10**9, 10**9]), "out of range"),
    "size large": (generator(size=[32768, 32768]), ""),
    "size a text": (generator(size="16"), "cannot be built"),
    "size from the environment": (generator(size="${oc.env:SECRET_TOKEN}"), "cannot be built"),
    "text huge": (generator(width="x" * 50_000), "a string that is too long"),
    "option unknown": (generator(whatever=1), "cannot be built"),
    "unet deep": (generator(_target_="gan.networks.unet.Generator", depth=10**9), "out of range"),
    "unet deep enough": (
        generator(
            _target_="gan.networks.unet.Generator",
            size=None,
            latent_dim=None,
            full_size_channels=None,
            upsampling=None,
            max_multiple=None,
            classes=None,
            depth=60_000,
        ),
        "layers and weights",
    ),
    "resnet long": (
        generator(
            _target_="gan.networks.resnet_translator.Generator",
            size=None,
            latent_dim=None,
            full_size_channels=None,
            upsampling=None,
            max_multiple=None,
            classes=None,
            n_blocks=60_000,
        ),
        "layers and weights",
    ),
    "mapping long": (
        generator(
            _target_="gan.networks.stylegan2.Generator",
            full_size_channels=None,
            upsampling=None,
            max_multiple=None,
            mapping_layers=60_000,
        ),
        "weights",
    ),
    "table large": (
        generator(
            _target_="gan.networks.lut.Generator",
            size=None,
            latent_dim=None,
            full_size_channels=None,
            upsampling=None,
            max_multiple=None,
            classes=None,
            lut_size=60_000,
        ),
        "",
    ),
    "both ways deep": (put("config", "model", "generator", value=lambda: both_ways(20)), "too deep"),
    "both ways of one": (generator(_target_="gan.networks.bidirectional.Bidirectional"), "cannot be built"),
    "network of os": (generator(_target_="os.system"), "names os.system"),
    "network beside": (generator(_target_="gan.networks.dcgan.torch.load"), "names gan.networks.dcgan.torch.load"),
    "network inside": (generator(_target_="gan.networks.stylegan2.Mapping"), "only classes of gan itself"),
    "network a discriminator": (generator(_target_="gan.networks.dcgan.Discriminator"), "only classes of gan itself"),
    "network of nowhere": (generator(_target_="gan.networks.nowhere.Generator"), "only classes of gan itself"),
    "network of a module": (generator(_target_="gan.networks.dcgan"), "only classes of gan itself"),
    "network with lines": (generator(_target_="a\nb\x1b[2J"), "a\\nb\\x1b[2J"),
    "network of halves of letters": (generator(_target_="\ud800"), "only classes of gan itself"),
    "network a number": (generator(_target_=3), "only classes of gan itself"),
    "network none": (generator(_target_=None), "only classes of gan itself"),
    "network a data set": (generator(_target_="gan.data.module.ImageDataModule"), "only classes of gan itself"),
    "network with code in it": (generator(width={"_target_": "os.system", "command": "touch ../canary"}), "os.system"),
    "network that is partial": (generator(_partial_=True, size=None), "cannot be built"),
    "no format": (without("format"), "checkpoint format unknown"),
    "an older format": (put("format", value=1), "checkpoint format 1, but this version reads format 3"),
    "format a text": (put("format", value="2"), "checkpoint format unknown"),
    "format a tensor": (put("format", value=torch.tensor(2)), "checkpoint format unknown"),
    "format huge": (put("format", value=2**80), "checkpoint format unknown"),
    "another version": (without("images"), "it has no images"),
    "another version's names": (lambda state: {"generator": state["state_dict"], "epoch": 3}, "it has no state_dict"),
    "a list": (lambda state: [1, 2, 3], "not a checkpoint"),
    "a tensor": (lambda state: torch.zeros(3), "not a checkpoint"),
    "a number": (lambda state: 3, "not a checkpoint"),
    "an ordered dictionary of weights": (lambda state: OrderedDict(state["state_dict"]), "not a checkpoint"),
}


def both_ways(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"_target_": "gan.networks.lut.Generator"}
    for _ in range(depth):
        inner = {"_target_": "gan.networks.bidirectional.Bidirectional", "a2b": inner, "b2a": inner}
    return inner


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
    "generate": ["generate", "forged.ckpt", "--out", "out"],
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
EVERYWHERE: dict[str, Change] = {
    "nan": lambda state: (
        [value.fill_(torch.nan) for value in state["state_dict"].values() if value.is_floating_point()] and None
    ),
    "a list": lambda state: [1],
    "no state": put("state_dict", value=None),
    "no weights": put("state_dict", value={}),
    "no config": put("config", value={}),
    "no networks": put("config", "model", value={}),
    "no data": without("config", "data"),
    "no images": put("images", value="all"),
    "another version": without("config"),
}


@pytest.mark.parametrize("what", [*EVERYWHERE, "a bomb"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_in_one_line(command: str, what: str, cage: Cage) -> None:
    from PIL import Image

    for path in ("image.png", "images/a/0.png", "images/b/1.png"):
        (cage.folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(cage.folder / path)
    (cage.folder / "run").mkdir()
    change = EVERYWHERE.get(what, lambda state: {**state, "more": Bomb(cage.canary)})
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
    "empty": lambda source, target: None,
    "lists in lists": deep,
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name: str, cage: Cage) -> None:
    zipped(ARCHIVES[name], cage.folder / "forged.ckpt")
    assert "forged.ckpt" in cage.run("generate", "forged.ckpt", "--out", "out")


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_torn(share: float, cage: Cage) -> None:
    whole = io.BytesIO()
    torch.save(checkpoint(), whole)
    (cage.folder / "torn.ckpt").write_bytes(whole.getvalue()[: int(share * whole.tell())])
    assert "torn.ckpt" in cage.run("generate", "torn.ckpt", "--out", "out")


def test_weights_that_share_their_numbers_do_not_fill_the_memory(cage: Cage) -> None:
    """A file of a thousand bytes declares a tensor of gigabytes with the configured shape."""
    made = checkpoint()
    made["config"]["model"]["generator"]["width"] = 4096
    network = blueprint.plan(loading.network_builder(made["config"], "generator", Path("x")), "x")
    made["state_dict"] = {
        f"ema.module.{name}": torch.zeros((), dtype=value.dtype).expand(value.shape)
        for name, value in network.state_dict().items()
    }
    torch.save(made, cage.folder / "forged.ckpt")
    assert (cage.folder / "forged.ckpt").stat().st_size < 100_000
    assert "more memory than the file" in cage.run("generate", "forged.ckpt", "--out", "out")


@pytest.mark.parametrize("protocol", range(6))
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
    "getattr": (getattr, "", "join"),
    "torch.load": (torch.load, "other.ckpt"),
    "torch.hub": (torch.hub.load, "someone/something", "model"),
    "bytes": (bytearray, 1 << 40),
    "import": (__import__, "antigravity"),
    "environment": (os.getenv, "SECRET_TOKEN"),
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_called(name: str, cage: Cage) -> None:
    torch.save({**checkpoint(), "x": Call(*CALLS[name])}, cage.folder / "forged.ckpt")
    assert SECRET not in cage.run("generate", "forged.ckpt", "--out", "out")


@pytest.mark.parametrize("what", ["a folder", "a pipe", "nothing", "a text", "an image"])
def test_what_is_no_checkpoint(what: str, cage: Cage) -> None:
    path = cage.folder / "x.ckpt"
    if what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a text":
        path.write_text("hello\n" * 100)
    elif what == "an image":
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    assert "x.ckpt" in cage.run("generate", "x.ckpt", "--out", "out")


def test_what_a_translator_cannot_be(cage: Cage) -> None:
    from PIL import Image

    Image.new("RGB", (16, 16)).save(cage.folder / "image.png")
    made = checkpoint(LUT)
    torch.save(made, cage.folder / "lut.ckpt")
    cage.run("translate", "lut.ckpt", "image.png", "out/done.png", check=0)
    assert "use gan translate" in cage.run("generate", "lut.ckpt", "--out", "out")
    made["config"]["data"]["channels"] = 4
    torch.save(made, cage.folder / "alpha.ckpt")
    assert "does not fit its images" in cage.run("translate", "alpha.ckpt", "image.png", "out/other.png")
    torch.save(checkpoint(DCGAN), cage.folder / "dcgan.ckpt")
    both = checkpoint(DCGAN)
    node = both["config"]["model"]["generator"]
    both["config"]["model"]["generator"] = {
        "_target_": "gan.networks.bidirectional.Bidirectional",
        "a2b": node,
        "b2a": node,
    }
    weights = {name: value for name, value in both["state_dict"].items() if name.startswith("ema.module.")}
    for name, value in weights.items():
        for direction in ("a2b", "b2a"):
            both["state_dict"][f"ema.module.{direction}.{name.removeprefix('ema.module.')}"] = value
        del both["state_dict"][name]
    torch.save(both, cage.folder / "both.ckpt")
    assert "does not translate images" in cage.run("translate", "both.ckpt", "image.png", "out/other.png")


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
        "gan.data.decoding.cache.clear",
        "gan.data.module.Path",
        "gan.training.module.GAN",
        "gan.networks.dcgan.Generator",
    ],
)
def test_data_of_a_checkpoint_is_one_of_ours(target: str, cage: Cage) -> None:
    made = checkpoint()
    made["config"]["data"]["_target_"] = target
    torch.save(made, cage.folder / "forged.ckpt")
    assert f"names {target} as its data" in cage.run("evaluate", "forged.ckpt", "--images", "8")


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("model/*.yaml")))
def test_every_model_is_known_before_it_is_built(name: str) -> None:
    """With the options for a CPU, the planned network has the same weights as the network, which fits its images."""
    data = ["data=retro"]
    if name in ("cut", "cyclegan", "fastcut", "lut"):
        data = ["data=unpaired", "data.a=a", "data.b=b"]
    elif name.startswith("pix2pix"):
        data = ["data=paired", "data.root=pairs"]
    config = configuration([f"model={name}", *data, "data.size=64"])
    translates = data != ["data=retro"]
    for role, check in (("generator", loading.check_generator), ("discriminator", loading.check_discriminator)):
        build = loading.network_builder(config, role, Path("x"))
        plan = blueprint.plan(build, "x")
        torch.manual_seed(0)
        network = build()
        assert {key: value.shape for key, value in plan.state_dict().items()} == {
            key: value.shape for key, value in network.state_dict().items()
        }
        blueprint.check_weights(plan, network.state_dict(), Path("x"))
        if role == "generator" or not translates:
            check(network.eval(), (3, 64, 64))


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    torch.save(checkpoint(), tmp_path / "x.ckpt")
    load(tmp_path / "x.ckpt")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    blueprint.plan(loading.network_builder(checkpoint()["config"], "generator", tmp_path), "x")
    torch.set_rng_state(before)
    blueprint.plan(loading.network_builder(configuration(DCGAN), "generator", tmp_path), "x")
    assert torch.equal(torch.get_rng_state(), before)
