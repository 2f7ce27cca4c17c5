"""Imports between packages have no cycles, and the help of commands needs no torch."""

import ast
import functools
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from gan.cli import COMMANDS

ROOT = Path(__file__).parent.parent
LOWER = ("losses", "penalties", "augment", "networks", "metrics", "editing")
MAY_IMPORT_HYDRA = {"compose.py", "init_from.py", "launch.py", "mistakes.py", "new_run.py", "overrides.py", "resume.py"}
MAY_IMPORT_HYDRA |= {"secrets.py", "search.py", "sweep.py", "fit.py", "train.py"}


@functools.cache
def import_nodes(file: Path) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in import_nodes(file):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif node.module:
            names.add(node.module)
    return names


def test_parts_know_neither_lightning_nor_hydra_nor_the_layers_above() -> None:
    above = ("lightning", "hydra", "omegaconf", "gan.training", "gan.commands", "gan.runs", "gan.config")
    for part in LOWER:
        for file in (ROOT / "gan" / part).glob("*.py"):
            assert not [name for name in imported(file) if name.startswith(above)], file


def test_hydra_stays_where_it_belongs() -> None:
    for file in (ROOT / "gan").rglob("*.py"):
        if file.name not in MAY_IMPORT_HYDRA:
            assert not [name for name in imported(file) if name.split(".")[0] in ("hydra", "omegaconf")], file


def test_no_file_needs_another_that_needs_it() -> None:
    """Imports inside functions and for types are included."""
    files = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in (ROOT / "gan").rglob("*.py")}
    needed = {name: wanted(file) & files.keys() for name, file in files.items()}
    TopologicalSorter(needed).prepare()  # raises CycleError, which names a circle


def test_no_package_needs_another_that_needs_it() -> None:
    """Packages are the files and folders directly in gan/."""
    needed: dict[str, set[str]] = {}
    for file in (ROOT / "gan").rglob("*.py"):
        room = ".".join(file.relative_to(ROOT).with_suffix("").parts[:2])
        rooms = {".".join(name.split(".")[:2]) for name in wanted(file) if name.startswith("gan.")}
        needed.setdefault(room, set()).update(rooms - {room})
    there = {name: rooms & needed.keys() for name, rooms in needed.items()}
    TopologicalSorter(there).prepare()


def wanted(file: Path) -> set[str]:
    """Return the modules that a file imports: for `from gan.runs import run_folder`, gan.runs.run_folder."""
    parts = (node for node in import_nodes(file) if isinstance(node, ast.ImportFrom) and node.module)
    return imported(file) | {f"{node.module}.{alias.name}" for node in parts for alias in node.names}


@pytest.mark.parametrize(
    "command",
    [["train.py", "--help"], ["-m", "gan.cli", "--help"], *(["-m", "gan.cli", name, "--help"] for name in COMMANDS)],
    ids=" ".join,
)
def test_help_does_not_import_torch(command: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "usage" in run.stdout.lower() or "python train.py" in run.stdout
    imported = {line.split("|")[-1].strip() for line in run.stderr.splitlines()}
    assert not imported & {"torch", "lightning"}
    commands = {name for name in COMMANDS if f"gan.commands.{name}" in imported}
    asked = {*command, *(["directions"] if "edit" in command else []), *(["train"] if "train.py" in command else [])}
    assert commands <= asked  # none but the one that is asked for


def test_processes_that_read_images_do_not_import_torch() -> None:
    """Each such process would take seconds to start."""
    sources = [f"gan.data.sources.{path.stem}" for path in (ROOT / "gan/data/sources").glob("[a-z]*.py")]
    names = ["data.decoding.cache", "data.checks", "data.pairs", "looks.registry", "images.files"]
    modules = ", ".join([*(f"gan.{name}" for name in names), *sources])
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'gradio' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_weights_are_never_loaded_as_code() -> None:
    for file in (ROOT / "gan").rglob("*.py"):
        source = file.read_text()
        assert "weights_only=False" not in source and "pickle.load" not in source, file
        assert source.count("torch.load(") == source.count("weights_only=True"), file
