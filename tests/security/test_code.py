"""A checkpoint and a run folder that name classes: nothing is imported but gan, and what --code on this command line
names. The import of any other module would leave a trace."""

import sys
from collections.abc import Iterator

import pytest
import torch

from gan.config import paths
from gan.config.resume import read_overrides
from gan.utils import code
from gan.utils.errors import UserError
from tests.security.checkpoints import DCGAN, checkpoint
from tests.security.conftest import Cage

pytestmark = pytest.mark.slow

NETS = """
import torch
from torch import nn
from torch.nn import Linear
from gan.networks.dcgan import Generator


class Net(Generator):
    pass


class NoNetwork:
    def __init__(self, **options):
        raise SystemExit("it was built")


def function(**options):
    raise SystemExit("it was called")
"""


@pytest.fixture(autouse=True)
def folders(cage: Cage, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`mine` is the user's code. The current folder, its parent and the import path have modules that leave a trace."""
    monkeypatch.setattr(code, "_folders", [])
    monkeypatch.setattr(sys, "path", [*sys.path, str(cage.folder / "installed")])
    trace = f"open({str(cage.canary)!r}, 'w')\nfrom torch.nn import Linear as Net\n"
    files = {"mine/own_mine.py": NETS, "installed/evil_installed.py": trace, "evil_here.py": trace}
    for name, text in (files | {"mine/sub/evil_sub.py": trace}).items():
        (cage.folder / name).parent.mkdir(exist_ok=True)
        (cage.folder / name).write_text(text)
    yield
    sys.modules.pop("own_mine", None)


def names(target: object, cage: Cage) -> None:
    """Write a checkpoint that names a class as its generator."""
    made = checkpoint(DCGAN)
    made["config"]["model"]["generator"]["_target_"] = target
    torch.save(made, cage.folder / "named.ckpt")


GENERATE = ("generate", "named.ckpt", "--out", "out", "--seeds", "0")


@pytest.mark.parametrize("target", ["own_mine.Net", "evil_here.Net", "evil_installed.Net"])
def test_without_the_option_nothing_is_imported(target: str, cage: Cage) -> None:
    names(target, cage)
    module = target.partition(".")[0]
    assert f"if {module} is your own code, add --code DIR" in cage.run(*GENERATE)
    assert module not in sys.modules


@pytest.mark.parametrize(
    "target",
    ["evil_installed.Net", "own_mine.torch.load", "own_mine.Generator", "own_mine.NoNetwork", "mine.own_mine.Net"],
)
def test_with_the_option_only_networks_of_the_folder_are_built(target: str, cage: Cage) -> None:
    names(target, cage)
    said = cage.run(*GENERATE, "--code", "mine")
    assert f"named.ckpt: names {target} as its generator; " in said or "own_mine.torch cannot be imported" in said


def test_networks_inside_networks_as_well(cage: Cage) -> None:
    inner = {"_target_": "evil_installed.Net"}
    made = checkpoint(DCGAN)
    made["config"]["model"]["generator"] = {"_target_": "gan.networks.translator_layers.Bidirectional", "a2b": inner}
    torch.save(made, cage.folder / "named.ckpt")
    assert "names evil_installed.Net as its generator.a2b" in cage.run(*GENERATE, "--code", "mine")


def test_data_may_not_name_other_code(cage: Cage) -> None:
    made = checkpoint(DCGAN)
    made["config"]["data"]["source"] = {"_target_": "evil_installed.Net"}
    torch.save(made, cage.folder / "named.ckpt")
    words = ("evaluate", "named.ckpt", "--images", "8", "--extractor", "random_conv")
    assert "names evil_installed.Net as its data.source" in cage.run(*words, "--code", "mine")


def test_a_network_of_the_folder_generates_images(cage: Cage) -> None:
    names("own_mine.Net", cage)
    cage.run(*GENERATE, "--code", "mine", check=0)
    assert (cage.folder / "out" / "0.png").is_file()


@pytest.mark.parametrize(
    "word", ["model.generator._target_=own_mine.Net", "+x._target_=own_mine.Net", "hydra.searchpath=[file://mine]"]
)
def test_a_run_folder_names_no_classes_even_then(word: str, cage: Cage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of this command line extend what a *typed* configuration may name, not what a run folder may."""
    monkeypatch.setattr(paths, "_own", [])
    code.add(cage.folder / "mine")
    paths.use(cage.folder / "mine")
    (cage.folder / "overrides.yaml").write_text(f"- {word}\n")
    with pytest.raises(UserError, match=r"is refused|where files are written"):
        read_overrides(cage.folder / "overrides.yaml", typed=[])
    assert "own_mine" not in sys.modules
