"""Published weights: each kind of file gives the networks it was made from, and hostile files give an error alone."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import gan
from gan.cli import main
from gan.editing.space import Space
from gan.models.published.read import read
from gan.networks.resnet_translator import Generator as Resnet
from gan.networks.stylegan2 import Generator as Style
from gan.networks.unet import Generator as UNet
from gan.utils.errors import UserError
from tests.conftest import ROOT
from tests.models import published_files as files


def same(path: Path, atol: float = 0.0, **networks: nn.Module) -> Any:
    """Check that a file gives these networks, and return its result."""
    result = read(path)
    found = result.networks(path)
    assert found.keys() == networks.keys()
    for role, network in networks.items():
        weights = found[role].state_dict()
        assert weights.keys() == network.state_dict().keys()
        for name, value in network.state_dict().items():
            torch.testing.assert_close(weights[name], value, rtol=0, atol=atol)
    return result


def saved(path: Path, content: Any, zip_format: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zip_format)
    return path


@pytest.mark.parametrize(("classes", "architecture"), [(0, "resnet"), (3, "orig")])
@pytest.mark.parametrize("kind", ["ada", "tensorflow", "rosinality", "rosinality, older format"])
def test_stylegan2(kind: str, classes: int, architecture: str, tmp_path: Path) -> None:
    if "rosinality" in kind and classes:
        pytest.skip("that code has no classes")
    generator, discriminator = files.styled(classes, architecture)
    path = tmp_path / "file"
    if kind == "ada":
        files.write_ada(path, generator, discriminator)
    elif kind == "tensorflow":
        files.write_tensorflow(path, generator, discriminator)
    else:
        saved(path, files.rosinality(generator, discriminator), "older" not in kind)
    atol = 1e-6 if kind == "tensorflow" else 0.0  # 1 is added to biases
    result = same(path, atol, generator=generator, discriminator=discriminator)
    assert result.generator["border"] == "zeros" and result.generator["center"]
    assert result.discriminator["architecture"] == architecture and result.classes == ["0", "1", "2"][:classes]
    assert result.discriminator["mbstd_group_size"] == (2 if kind == "ada" else 4)


@pytest.mark.parametrize("classes", [0, 4])
def test_r3gan(classes: int, tmp_path: Path) -> None:
    generator, discriminator = files.r3gans(classes)
    result = same(files.write_r3gan(tmp_path / "r3.pkl", generator, discriminator), generator=generator,
                  discriminator=discriminator)  # fmt: skip
    assert result.images == 1000 and result.generator["full_stages"] == 2 and len(result.classes) == classes


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("antialias", [True, False])
def test_residual_translator(norm: str, antialias: bool, tmp_path: Path) -> None:
    network = Resnet(width=4, n_blocks=2, norm=norm, antialias=antialias, taps=3 if antialias else 4)
    for module in files.filled(network).modules():
        if norm == "batch" and isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module is not network.to_image:
            nn.init.zeros_(module.bias)
    for dropout in (False, True):
        path = saved(tmp_path / "latest_net_G.pth", files.resnet(network, dropout), not dropout)
        assert same(path, generator=network).origin.startswith("CycleGAN")


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_u_net(norm: str, tmp_path: Path) -> None:
    network = files.filled(UNet(width=4, depth=5, norm=norm))
    same(saved(tmp_path / "latest_net_G.pth", files.u_net(network)), generator=network)
    parallel = {f"module.{name}": value for name, value in files.u_net(network).items()}
    same(saved(tmp_path / "parallel.pth", parallel), generator=network)


@pytest.mark.parametrize("zip_format", [True, False])
def test_networks_may_share_storages(zip_format: bool, tmp_path: Path) -> None:
    generator, discriminator = files.styled()
    content = files.rosinality(generator, discriminator)
    content["g"] = content["g_ema"]
    same(saved(tmp_path / "tied.pt", content, zip_format), generator=generator, discriminator=discriminator)


def test_the_center_is_that_of_the_file() -> None:
    generator, _ = files.styled(classes=3)
    space = Space(generator)
    w = space.fixed_sample(2, torch.tensor([1]))
    assert space.statistics[0].shape == (3, 8) and space.statistics[1].shape == (3, 1)
    torch.testing.assert_close(space.truncate(w, 0.25, torch.tensor([1, 1])), generator.center.lerp(w, 0.25))


def refused(path: Path, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(path).networks(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    generator, discriminator = files.styled()
    with files.made_up("training.networks.Generator", kind=files.Network):
        tree = files.module_tree({"synthesis.input.weight": torch.ones(1)}, {}, files.Network)
        path.write_bytes(pickle.dumps({"G_ema": tree}))
    refused(path, "is StyleGAN3; gan import reads StyleGAN2")
    refused(saved(path, {"GAN": {}, "version": "1.0"}), "lucidrains")
    refused(saved(path, {"state_dict": {}, "lr": 1}), "is a file of another program, with state_dict, lr")
    refused(saved(path, {"w": torch.ones(2)}), "is a file of another program, with w")
    refused(files.write_tensorflow(path, generator, discriminator, version=3), "is StyleGAN or Progressive GAN")
    refused(files.write_tensorflow(path, generator, discriminator, nonlinearity="relu"), "another nonlinearity")
    attributes = {"synthesis.b8.conv0.activation": "relu"}
    refused(files.write_ada(path, generator, discriminator, **attributes), "activation=relu")
    attributes = {"mapping.fc0.bias_gain": 0.1}
    refused(files.write_ada(path, generator, discriminator, **attributes), "bias_gain=0.1")
    del generator.stages[1].layers[0].modulated.style.bias
    refused(files.write_ada(path, generator, discriminator), "another architecture (stages.1.layers.0.modulated.style")
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    refused(path, "is damaged, or no file of StyleGAN2")
    refused(tmp_path / "none.pkl", "none.pkl: cannot be read (No such file or directory)")


# ---- the command


@pytest.mark.parametrize("classes", [0, 3])
def test_command(classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    generator, discriminator = files.styled(classes)
    files.write_ada(Path("net.pkl"), generator, discriminator)
    assert main(["import", "net.pkl", "out", "--license", "other", "--trained-on", "Maps"]) == 0
    assert "add the text of the license" in capsys.readouterr().out
    card = Path("out/README.md").read_text()
    assert "license: other" in card and "imported from a file of StyleGAN2-ADA" in card and "Maps" in card
    model = gan.load("out")
    assert isinstance(model.generator, Style) and model.classes == ["0", "1", "2"][:classes]
    with torch.no_grad():
        w = Space(generator).from_z(*model.sample_z([5]))
        wanted = generator.synthesis(generator.center.lerp(w, 0.5))
    pixels = model.generate([5], truncation=0.5).pixels.float()
    assert (pixels / 127.5 - 1 - wanted.clamp(-1, 1)).abs().max() < 0.01
    assert main(["import", "net.pkl", "out", "--license", "mit"]) == 2  # keeps what is there
    assert main(["import", "net.pkl", "g", "--license", "mit", "--no-discriminator", "--no-samples"]) == 0
    assert set(json.loads(Path("g/config.json").read_text())["model"]) == {"_target_", "generator"}
    assert {path.name for path in Path("g").iterdir()} == {"README.md", "config.json", "model.safetensors"}


def test_command_with_a_translator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network = files.filled(Resnet(width=4, n_blocks=1))
    saved(Path("latest_net_G.pth"), files.resnet(network))
    assert main(["import", "latest_net_G.pth", "out", "--license", "bsd-2-clause"]) == 0
    images = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    found = gan.load("out").of_pixels(images)[0]
    with torch.no_grad():
        wanted = network(images / 127.5 - 1)[0]
    assert (found / 127.5 - 1 - wanted).abs().max() < 0.01


# ---- hostile files

TOUCH = "touch ran"
CALLS = {  # what a pickle may call, with its arguments
    "os.system": (TOUCH,), "posix.system": (TOUCH,), "subprocess.Popen": (["touch", "ran"],), "pty.spawn": (TOUCH,),
    "subprocess.getoutput": (TOUCH,), "builtins.eval": ("open('ran', 'w')",), "builtins.exec": ("open('ran', 'w')",),
    "builtins.__import__": ("antigravity",), "builtins.open": ("ran", "w"), "pathlib.Path.touch": ("ran",),
    "runpy.run_path": ("ran.py",), "torch.load": ("ran.pt",), "torch.hub.load": ("x", "y"), "shutil.copy": ("a", "ran"),
    "torch.utils.cpp_extension.load": ("x", ["y"]), "numpy.load": ("ran", None, True), "pickle.loads": (b"cos\n",),
    "_pickle.loads": (b"x",), "marshal.loads": (b"c",), "types.FunctionType": (b"c", {}), "types.CodeType": (0,) * 16,
    "importlib.import_module": ("ran",), "code.interact": (), "timeit.timeit": ("open('ran', 'w')",),
    "torch.storage._load_from_bytes": (b"cos\nsystem\n(S'touch ran'\ntR.",), "numpy.f2py.compile": ("x",),
    "torch._utils._rebuild_parameter": ("x",), "functools.partial": ("x",), "operator.methodcaller": ("x",),
    "collections.OrderedDict": ([["a", 1]],), "torch_utils.persistence._reconstruct_persistent_obj":
    ({"type": "class", "version": 6, "module_src": "open('ran', 'w')", "class_name": "X", "state": {}},),
}  # fmt: skip


def pickled(value: Any) -> bytes:
    """Return a value as opcodes, without the protocol and the STOP."""
    return pickle.dumps(value, 2)[2:-1]


def calls() -> dict[str, bytes]:
    """Return the opcodes of calls by name, in each way in which a pickle can make them."""
    made = {}
    for path, arguments in CALLS.items():
        module, _, name = path.rpartition(".")
        names, values = f"{module}\n{name}\n".encode(), b"".join(map(pickled, arguments))
        known = b"c" + names
        stack = b"".join(b"X" + struct.pack("<I", len(part)) + part.encode() for part in (module, name)) + b"\x93"
        made |= {
            f"{path} reduce": known + b"(" + values + b"tR",
            f"{path} stack_global": stack + b"(" + values + b"tR",
            f"{path} newobj": known + b"(" + values + b"t\x81",
            f"{path} newobj_ex": known + b"(" + values + b"t}\x92",
            f"{path} inst": b"(" + values + b"i" + names,
            f"{path} obj": b"(" + known + values + b"o",
            f"{path} build": known + b")R" + b"(" + values + b"tb",
            f"{path} chain": known + b"(" + values + b"tR" + b"(" + values + b"tR" + b"(" + values + b"tR",
        }
    return made


def hostile() -> dict[str, bytes]:
    """Return files by name: calls, and values that exceed limits."""
    found = {name: b"\x80\x02" + code + b"." for name, code in calls().items()}
    some = {name: code for name, code in calls().items() if name.startswith(("os.system", "builtins.exec"))}
    for name, code in some.items():
        found[f"{name} as a weight"] = b"\x80\x02}X\x0e\x00\x00\x00model.1.weight" + code + b"s."
        found[f"{name} as a module"] = b"\x80\x02}X\x05\x00\x00\x00G_ema" + code + b"s."
        found[f"{name} as a size"] = (
            b"\x80\x02}X\x0e\x00\x00\x00model.1.weightctorch._utils\n_rebuild_tensor_v2\n("
            + code
            + b"K\x00K\x01\x85K\x01"
            b"\x85tRs."
        )
        found[f"{name} as a key"] = b"\x80\x02}" + code + b"K\x01s."
        found[f"{name} as a persistent id"] = b"\x80\x02" + code + b"Q."
    text = {"BINBYTES8": b"\x8e", "BINUNICODE8": b"\x8d", "BYTEARRAY8": b"\x96"}
    found |= {f"huge {name}": code + struct.pack("<Q", 2**40) for name, code in text.items()}
    found |= {f"{name} of 2 GB": code + struct.pack("<I", 2**31 - 1) for name, code in
              {"BINBYTES": b"B", "BINUNICODE": b"X", "LONG4": b"\x8b", "BINSTRING": b"T"}.items()}  # fmt: skip
    found |= {
        "a persistent id as text": b"Pa\n.",
        "an extension": b"\x82\x01.",
        "a buffer": b"\x80\x05\x97.",
        "a large memo": b"Nr\xff\xff\xff\xff.",
        "a memo with a huge number": b"Np" + b"9" * 4000 + b"\n.",
        "a number with many digits": b"I" + b"9" * 10**6 + b"\n.",
        "many dicts": b"}" * 3_000_000 + b".",
        "many tuples": b")" + b"\x85" * 3_000_000 + b".",
        "many marks": b"(" * 3_000_000 + b".",
        "many strings": (b"X\x00\x00\x10\x00" + b"a" * 2**20) * 40 + b".",
        "wide characters": b"X" + struct.pack("<I", 30 << 20) + "\U0001f600".encode() + b"a" * ((30 << 20) - 4) + b".",
        "a list in itself": b"]q\x00h\x00a.",
        "lists that double": b"]q\x00" + b"]q\x01(h\x00h\x00eq\x00" * 5000 + b".",
        "names that double": b"X\x01\x00\x00\x00aq\x00" + b"h\x00h\x00\x93q\x00" * 60 + b".",
        "a key of doubling tuples": b"}" + b")q\x00" + b"h\x00\x86q\x00h\x00" * 60 + b"Ns.",
        "numbers with equal hashes": b"}(" + b"".join(
            b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little") + b"N" for n in range(30_000)) + b"u.",
        "no value": b".",
        "nothing on the stack": b"0.",
        "no bytes": b"",
    }  # fmt: skip
    return found | archives() | shapes()


def in_zip(name: str, content: bytes, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def archives() -> dict[str, bytes]:
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(60_000):
            archive.writestr(f"x/data/{number:060}", b"")
    storage = pickled("model.1.weight") + b"ctorch._utils\n_rebuild_tensor_v2\n((" + pickled("storage")
    storage += b"ctorch\nFloatStorage\n" + pickled("0") + pickled("cpu") + pickled(2**31 - 1) + b"tQK\x00"
    storage = b"\x80\x02}" + storage + pickled((2**31 - 1,)) + b"K\x01\x85tRs."
    return {
        "a ZIP bomb": in_zip("x/data.pkl", bytes(300 << 20), compression=zipfile.ZIP_DEFLATED),
        "a ZIP of a text": in_zip("readme.txt", b"x"),
        "a ZIP with a call": in_zip("x/data.pkl", b"cos\nsystem\n(S'touch ran'\ntR."),
        "a ZIP with names of other folders": in_zip("../../data.pkl", b"N."),
        "a ZIP of many files": many.getvalue(),
        "a ZIP without its storage": in_zip("x/data.pkl", storage),
    }


SIZES: dict[str, tuple[Any, Any]] = {
    "a stride of 0": ((2**40,), (0,)),
    "a negative size": ((-1,), (1,)),
    "a huge size": ((2**31, 2**31), (2**31, 1)),
    "too few strides": ((2, 2), (1,)),
    "a size of text": (("2",), (1,)),
    "overlapping rows": ((4, 4), (1, 1)),
    "more than its storage": ((5,), (1,)),
    "gaps": ((2,), (3,)),
}


class Odd:
    """Saved as a tensor of another size than its storage of four numbers."""

    def __init__(self, size: Any, strides: Any) -> None:
        self.arguments = (torch.zeros(4)._typed_storage(), 0, size, strides, False, {})

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, self.arguments


@pytest.mark.parametrize("name", SIZES)
def test_tensors_that_do_not_fit(name: str, tmp_path: Path) -> None:
    for zipped in (True, False):  # torch.load refuses these, and with gaps the other weights are missing
        refused(saved(tmp_path / "file", {"model.1.weight": Odd(*SIZES[name])}, zipped), str(tmp_path / "file"))
    with files.made_up("torch_utils.persistence._reconstruct_persistent_obj"):
        module = files.Persistent({"_parameters": {"w": Odd(*SIZES[name])}})
        (tmp_path / "module").write_bytes(pickle.dumps({"G_ema": module}))
    refused(tmp_path / "module", "(a tensor ")


def shapes() -> dict[str, bytes]:
    """Return files with tensors that describe more than their memory has, and modules without an end."""
    found = {}
    for name, (size, strides) in SIZES.items():
        buffer = io.BytesIO()
        torch.save({"model.1.weight": Odd(size, strides)}, buffer)
        found[name] = buffer.getvalue()
    wide = files.ada_generator(files.styled()[0])
    wide["synthesis.b4.const"] = torch.zeros(60_000, 4, 4)
    loop: dict[str, Any] = {"_parameters": {}, "_buffers": {}, "x": 1}
    with files.made_up("torch_utils.persistence._reconstruct_persistent_obj"):
        module = files.Persistent(loop)
        loop["_modules"] = {"a" * 50: files.Persistent({"_parameters": {"w": torch.ones(2)}})}
        loop["_modules"] |= {str(n): loop["_modules"]["a" * 50] for n in range(2000)}
        found["thousands of modules"] = pickle.dumps({"G_ema": module})
        tree = files.module_tree(wide, {}, files.Persistent)
        found["a huge network"] = pickle.dumps({"G_ema": tree})
    return found | shared_storages() | endless_components()


class Storage:
    """Saved as a storage of numbers, which is a file of torch.save in a pickle."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> Any:
        return torch.storage._load_from_bytes, (self.data,)


class Flat:
    """Saved as a tensor of all numbers of a storage."""

    def __init__(self, storage: Storage, count: int) -> None:
        self.arguments = (storage, 0, (count,), (1,), False, {})

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, self.arguments


def shared_storages() -> dict[str, bytes]:
    """Return files whose tensors take a hundred times the memory of the file."""
    numbers = torch.zeros(2_000_000)
    archive, older = io.BytesIO(), io.BytesIO()
    torch.save(numbers.untyped_storage(), archive)
    torch.save(numbers._typed_storage(), older, _use_new_zipfile_serialization=False)
    deflated = io.BytesIO()
    with zipfile.ZipFile(archive) as stored, zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as other:
        for member in stored.infolist():
            other.writestr(member.filename, stored.read(member))
    found = {}
    for name, data in (("a deflated storage", deflated.getvalue()), ("one storage of many names", older.getvalue())):
        one = Storage(data)
        parameters = {f"synthesis.b4.{n}": Flat(one, len(numbers)) for n in range(100)}
        with files.made_up("torch_utils.persistence._reconstruct_persistent_obj"):
            module = files.Persistent({"_parameters": parameters | {"synthesis.b4.const": Flat(one, len(numbers))}})
            found[name] = pickle.dumps({"G_ema": module})
        found[f"{name} in a state dict"] = pickle.dumps(parameters)
    return found


def endless_components() -> dict[str, bytes]:
    state: dict[str, Any] = {"version": 4, "static_kwargs": {}, "variables": [("lod", 0)]}
    with files.made_up("dnnlib.tflib.network.Network", kind=files.Network):
        network = files.Network(state)
        state["components"] = {f"c{n}": network for n in range(2000)}
        return {"components that are the network itself": pickle.dumps((network, network, network))}


RUN = """
import encodings.cp437, json, os, resource, sys
from pathlib import Path
from gan.models.published.read import read
from gan.utils.errors import UserError

for sound in Path().iterdir():
    if sound.is_file():
        read(sound).networks(sound)  # imports what reading needs
seen = []
runs = {"exec", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "import", "marshal.loads", "os.fork",
        "pickle.find_class", "socket.connect", "os.remove", "os.rename", "shutil.copyfile"}
def watch(event, arguments):
    wrote = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if wrote or event in runs:
        seen.append(f"{event} {arguments}"[:200])
sys.addaudithook(watch)
start, wrong = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
for path in sorted(Path("files").iterdir()):
    try:
        read(path).networks(path)
        if not path.name.startswith("changed"):
            wrong.append(f"{path.name}: was read")
    except UserError as error:
        if "\\n" in str(error) or len(str(error)) > 400:
            wrong.append(f"{path.name}: {error}")
    except BaseException as error:
        wrong.append(f"{path.name}: {type(error).__name__} {error}"[:300])
more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
print(json.dumps({"wrong": wrong, "seen": seen, "memory": more // 1024}))
"""


@pytest.fixture
def sound(tmp_path: Path) -> dict[str, Path]:
    """Return a file of each kind."""
    generator, discriminator = files.styled()
    checkpoint = files.rosinality(generator, discriminator)
    return {
        "ada": files.write_ada(tmp_path / "sound", generator, discriminator),
        "tensorflow": files.write_tensorflow(tmp_path / "tf", generator, discriminator),
        "zip": saved(tmp_path / "zip", checkpoint),
        "older format": saved(tmp_path / "older", checkpoint, False),
        "r3gan": files.write_r3gan(tmp_path / "r3", *files.r3gans()),
    }


@pytest.mark.slow
def test_hostile_and_damaged_files(sound: dict[str, Path], tmp_path: Path) -> None:
    """Each of these files gives an error in one line, runs nothing, writes nothing, and takes little memory."""
    folder = tmp_path / "files"
    folder.mkdir()
    written = hostile()
    numbers = torch.Generator().manual_seed(0)
    for kind, path in sound.items():
        data = path.read_bytes()
        for part in range(1, 12):
            written[f"{kind}, {part} of 12 parts"] = data[: len(data) * part // 12]
        for number in range(8):
            changed = bytearray(data)
            for place in torch.randint(len(data), (4,), generator=numbers).tolist():
                changed[place] ^= 0xFF
            written[f"changed {kind} {number}"] = bytes(changed)
    for name, data in written.items():
        (folder / name.replace("/", "_")).write_bytes(data)
    with open(folder / "a sparse file", "wb") as file:
        file.truncate(3 << 30)
    before = set(tmp_path.rglob("*"))
    result = subprocess.run([sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True,
                            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    report = json.loads(result.stdout.splitlines()[-1])
    assert len(written) >= 200 and report["wrong"] == [] and report["seen"] == []
    assert set(tmp_path.rglob("*")) == before
    assert report["memory"] < 150  # MB, so that the process has less than 500 with torch for CPUs
