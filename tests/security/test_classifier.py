"""Hostile classifiers, extractors and weights: none of their code runs, and each is refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save, save_file
from torch import Tensor

from gan.editing.vector_files import fingerprint
from gan.metrics.extractors import extractor
from gan.models.loading import load_discriminator
from gan.recognition.classifier import LayerFeatures
from gan.utils.errors import UserError

from .checkpoints import DCGAN, Bomb, checkpoint
from .conftest import Cage

pytestmark = pytest.mark.slow

PREDICT = ["recognize", "predict", "model.ckpt", "image.png", "--recognition", "classifier"]
EDIT = ["edit", "model.ckpt", "--recognition", "classifier", "--set", "cat=1", "--seeds", "0", "--out", "out"]
BATCH_NORM = [*DCGAN, "model.discriminator.norm=batch", "penalty=[]"]  # its statistics are stored with a classifier


class Parts:
    """The two files of a classifier, which tests change before writing them."""

    def __init__(self, cage: Cage) -> None:
        torch.save(checkpoint(BATCH_NORM), cage.folder / "model.ckpt")
        Image.new("RGB", (16, 16)).save(cage.folder / "image.png")
        self.folder = cage.folder / "classifier"
        self.folder.mkdir()
        network, *_ = load_discriminator(cage.folder / "model.ckpt")
        size = LayerFeatures(network)(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)).shape[1]
        self.tensors: dict[str, Any] = {"weight": torch.randn(size, 2), "bias": torch.zeros(2)}
        self.tensors |= {f"statistics.{name}": value.clone() for name, value in network.named_buffers()}
        self.about: Any = {"classes": ["cat", "dog"], "classifier": "logistic", "discriminator": fingerprint(network)}

    def write(self) -> None:
        save_file(self.tensors, self.folder / "classifier.safetensors")
        (self.folder / "classifier.json").write_text(json.dumps(self.about))


@pytest.fixture
def parts(cage: Cage) -> Parts:
    return Parts(cage)


def tensor(name: str, value: Callable[[Tensor], Tensor] | None) -> Callable[[Parts], None]:
    """Return a change that replaces or removes a tensor of the file."""

    def change(parts: Parts) -> None:
        found = next(key for key in parts.tensors if key.startswith(name))
        if value is None:
            del parts.tensors[found]
        else:
            parts.tensors[found] = value(parts.tensors[found]).contiguous()

    return change


def said(name: str, value: Any) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts.about[name] = value
        if value is None:
            del parts.about[name]

    return change


def whole(value: Any) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts.about = value

    return change


DAMAGED: dict[str, Callable[[Parts], None]] = {
    "weight missing": tensor("weight", None),
    "weight of three axes": tensor("weight", lambda x: x[None]),
    "weight short": tensor("weight", lambda x: x[:-1]),
    "statistics short": tensor("statistics", lambda x: x[:-1]),
    "classes three": said("classes", ["cat", "dog", "cow"]),
    "classes by name": said("classes", {"cat": 0, "dog": 1}),
    "discriminator another": said("discriminator", "0"),
    "a list": whole([]),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_what_does_not_fit_is_refused(what: str, parts: Parts, cage: Cage) -> None:
    DAMAGED[what](parts)
    parts.write()
    assert "classifier" in cage.run(*PREDICT)


def test_what_is_not_forged_predicts(parts: Parts, cage: Cage) -> None:
    parts.write()
    assert "image.png,cat," in cage.run(*PREDICT, check=0) or "image.png,dog," in cage.run(*PREDICT, check=0)
    cage.run(*EDIT, check=0)


@pytest.mark.parametrize("name", ["../../escaped", "a\nb", "a,b", "\udcff"], ids=ascii)
def test_names_of_classes_are_any(name: str, parts: Parts, cage: Cage) -> None:
    parts.about["classes"] = [name, name + " and another"]
    parts.write()
    cage.run(*PREDICT, check=0)


RAW: dict[str, tuple[str, Callable[[], bytes]]] = {
    "deep": ("classifier.json", lambda: b"[" * 200_000),
    "torn": ("classifier.safetensors", lambda: save({"weight": torch.zeros(100)})[:200]),
    "long header": ("classifier.safetensors", lambda: (90 << 20).to_bytes(8, "little") + b" " * (90 << 20)),
    "a pickle": ("classifier.safetensors", lambda: b"\x80\x04cos\nsystem\n(S'touch ../canary'\ntR."),
}


@pytest.mark.parametrize("what", RAW)
def test_files_that_are_not_whole(what: str, parts: Parts, cage: Cage) -> None:
    parts.write()
    name, content = RAW[what]
    (parts.folder / name).write_bytes(content())
    assert "classifier" in cage.run(*PREDICT)


@pytest.mark.parametrize("name", ["classifier.json", "classifier.safetensors"])
def test_a_pipe_is_no_file(name: str, parts: Parts, cage: Cage) -> None:
    parts.write()
    path = parts.folder / name
    path.unlink()
    os.mkfifo(path)
    assert "contains no classifier" in cage.run(*PREDICT)


NOT_EXTRACTORS = [
    "os.system",
    "os.getcwd",
    "os.environ",
    "os.path",
    "sys.exit",
    "builtins.exit",
    "pathlib.Path",
    "a.b",
    "nowhere.X",
]
NOT_EXTRACTORS += [
    "lite1",
    "",
    " ",
    " lite0",
    "lite0 ",
    "../x",
    "../x.Y",
    "x/y.Z",
    "/tmp/x.Y",
    ".",
    "..",
    ".X",
    "os.",
    "a..b",
]
NOT_EXTRACTORS += [
    "x\0.Y",
    "x\n.Y",
    "http://x.y",
    "subprocess.Popen",
    "io.StringIO",
    "mine.function",
    "mine.Needs",
    "mine.Raises",
]
NOT_EXTRACTORS += ["mine.Missing", "broken.X", "quits.X", "syntax.X", "mine.Nameless", "mine.Named", "lite0,os.system"]


@pytest.fixture
def own(cage: Cage, monkeypatch: pytest.MonkeyPatch) -> Cage:
    """Return the cage with custom modules and two folders of images."""
    for n in range(6):
        for name in ("real", "made"):
            (cage.folder / name).mkdir(exist_ok=True)
            Image.effect_noise((16, 16), 50 + n).convert("RGB").save(cage.folder / name / f"{n}.png")
    (cage.folder / "mine.py").write_text(
        "import torch\n"
        "def function(): return 1\n"
        "class Needs:\n    def __init__(self, x): pass\n"
        "class Raises:\n    def __init__(self): raise ValueError('of\\nlines')\n"
        "class Nameless: pass\n"
        "class Named:\n    name = 3\n    def __call__(self, x): return x\n"
        "class Fails:\n    name = 'fails'\n    def __call__(self, x): raise KeyError('x')\n"
        "class Wrong:\n    name = 'wrong'\n    def __call__(self, x): return 'x'\n"
        "class Nan:\n    name = 'nan'\n    def __call__(self, x): return x.float().mean((2, 3)) * torch.nan\n"
        "class Same:\n    name = 'same'\n    def __call__(self, x): return torch.ones(len(x), 3)\n"
        "class One:\n    name = 'one'\n    def __call__(self, x): return x.float().mean((1, 2, 3))[:, None]\n"
        "class Fine:\n    name = 'fine'\n    def __call__(self, x): return x.float().mean((2, 3))\n"
    )
    (cage.folder / "broken.py").write_text("raise RuntimeError('on\\nimport')")
    (cage.folder / "quits.py").write_text("import sys; sys.exit(0)")
    (cage.folder / "syntax.py").write_text("class X(")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("mine", "broken", "quits", "syntax"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return cage


@pytest.mark.parametrize("name", NOT_EXTRACTORS, ids=ascii)
def test_what_is_no_extractor(name: str, own: Cage) -> None:
    said = own.run("evaluate", "made", "--reference", "real", "--extractor", name)
    assert ("extractor " if name else "an argument is empty") in said


@pytest.mark.parametrize("name", ["mine.Fails", "mine.Wrong", "mine.Nan"])
def test_what_extractors_give(name: str, own: Cage) -> None:
    own.run("evaluate", "made", "--reference", "real", "--extractor", name)


@pytest.mark.parametrize("name", ["mine.Fine", "mine.Same", "mine.One", "random_conv"])
def test_the_users_own_goes_on_working(name: str, own: Cage) -> None:
    assert "generated" in own.run("evaluate", "made", "--reference", "real", "--extractor", name, check=0)


@pytest.mark.parametrize(
    "what", ["a pickle", "a checkpoint", "a text", "a folder", "a pipe", "nothing", "without rights"]
)
def test_weights_are_checked_before_they_are_read(what: str, own: Cage) -> None:
    path = own.folder / "weights.pth"
    if what == "a pickle":
        path.write_bytes(pickle.dumps(Bomb(own.canary)))
    elif what == "a checkpoint":
        torch.save({"x": Bomb(own.canary)}, path)
    elif what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what != "nothing":
        path.write_text("weights")
    words = ["evaluate", "made", "--reference", "real", "--extractor", "inception", "--weights", "weights.pth"]
    error = own.run(*words)
    assert "weights" in error and "inception" in error


def test_weights_that_were_swapped_run_nothing(own: Cage, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file is replaced after the check, its code does not run."""
    pytest.importorskip("torch_fidelity")
    path: Path = own.folder / "weights.pth"
    torch.save({"x": Bomb(own.canary)}, path)
    monkeypatch.setattr("gan.metrics.pretrained.find", lambda *_: path)
    with pytest.raises(UserError, match="cannot be created"):
        extractor("inception")
    assert not own.canary.exists()


KINDS: dict[str, Callable[[int], Image.Image]] = {
    "constant": lambda n: Image.new("RGB", (16, 16), "teal"),
    "a pixel": lambda n: Image.new("RGB", (1, 1), (n, 0, 0)),
    "four pixels": lambda n: Image.new("RGB", (2, 2), (n, 0, 0)),
    "clear": lambda n: Image.new("RGBA", (16, 16)),
    "a row": lambda n: Image.new("RGB", (64, 1)),
}


@pytest.mark.parametrize(("count", "extractor"), [(1, "lite0"), (2, "random_conv"), (8, "lite0")])
@pytest.mark.parametrize("kind", KINDS)
def test_images_that_no_run_should_give(kind: str, count: int, extractor: str, cage: Cage) -> None:
    """One image, equal images, and tiny images give numbers or a one-line error."""
    for n in range(count):
        for name in ("real", "made"):
            (cage.folder / name).mkdir(exist_ok=True)
            KINDS[kind](n).save(cage.folder / name / f"{n}.png")
    try:
        cage.run("evaluate", "made", "--reference", "real", "--extractor", extractor, "--statistics")
    except AssertionError as error:
        assert "assert 0 == 2" in str(error) and count > 1  # there were numbers
