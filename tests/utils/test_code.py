"""--code: only classes defined in modules directly in the folders are the user's own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan.utils import code
from gan.utils.errors import UserError

NETS = """
import torch
from torch.nn import Linear
from torch import nn as layers

class Net(layers.Module): pass
def build(): pass
"""


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts without folders, and its modules are forgotten."""
    monkeypatch.setattr(code, "_folders", [])
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "own_nets.py": NETS,
        "own_package/__init__.py": "from own_package.inner import Net",
        "own_package/inner.py": NETS,
        "own_spaces/nets.py": NETS,
        "own_package/spaces/nets.py": NETS,
        "own_run/__init__.py": "",
        "own_run/nets.py": NETS,
        "own_run/overrides.yaml": "[]",
        "own_package/received/__init__.py": NETS,
        "own_package/received/checkpoints/a.ckpt": "",
        "json.py": "raise SystemExit('json.py was imported')",
        "own_broken.py": "import no_such_module_here",
        ".venv/own_installed/__init__.py": NETS,
    }
    for name, text in files.items():
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "code"


def test_classes_of_the_folder_are_own(folder: Path) -> None:
    assert code.own_class("own_nets.Net") is None and "own_nets" not in sys.modules
    code.add(folder)
    for target in ("own_nets.Net", "own_package.Net", "own_package.inner.Net"):
        found = code.own_class(target)
        assert isinstance(found, type) and found.__name__ == "Net", target


@pytest.mark.parametrize(
    "target",
    ["own_nets.Linear",  # imported there, but defined elsewhere
     "own_nets.build", "own_nets.nothing", "own_nets", "os.system", "gan.networks.dcgan.Generator",
     "json.JSONDecoder",  # the one of Python comes first
     "own_spaces.nets.Net", "own_package.spaces.nets.Net",  # a folder without __init__.py
     "own_run.nets.Net", "own_package.received.Net",  # a run folder
     "own_installed.Net",  # deeper in the folder
     "__main__.Net", "..own_nets.Net", "own_nets/../x.Net", "", "a\nb.c", "\ud800.Net"],
)  # fmt: skip
def test_other_names_are_not(target: str, folder: Path) -> None:
    code.add(folder)
    assert code.own_class(target) is None


def test_a_module_of_the_folder_must_be_importable(folder: Path) -> None:
    code.add(folder)
    with pytest.raises(UserError, match=r"own_broken cannot be imported \(ModuleNotFoundError: No module named 'no_su"):
        code.own_class("own_broken.Net")
    with pytest.raises(UserError, match=r"own_nets\.layers cannot be imported"):
        code.own_class("own_nets.layers.Linear")


def test_the_folder_must_exist_and_hold_no_installed_packages(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        code.add(tmp_path / "nowhere")
    with pytest.raises(UserError, match="contains installed packages; give a folder that contains only your code"):
        code.add(Path(pytest.__file__).parent.parent)
    assert not code._folders


def test_installed_modules_stay_first(folder: Path) -> None:
    code.add(folder)
    code.add(folder)
    assert sys.path[-1] == str(folder) and sys.path.count(str(folder)) == 1


def test_the_advice_names_the_module_and_the_option(folder: Path) -> None:
    assert code.advice("nets.Net") == "if nets is your own code, add --code DIR, the folder that contains it"
    code.add(folder)
    assert code.advice("nets.Net").startswith(f"--code {folder} has no module nets")
