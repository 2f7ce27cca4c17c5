"""The user's own code: folders given with --code on this command line, which are therefore trusted.

Configurations and checkpoints may name classes of modules in these folders. Other modules stay refused: a file that
may come from an untrusted source must not select what is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from gan.utils.errors import UserError

RECORDS = ("overrides.yaml", "environment.jsonl")  # files of a run folder (`gan.runs.run_folder`)
SHARED = ("model.safetensors", "config.json")  # files of a shared model (`gan.models.shared_model`)
_folders: list[str] = []


def add(folder: str | os.PathLike[str]) -> None:
    """Add a folder to the end of the import path, and accept classes of the modules in it.

    It is added at the end, so that a file named like a module of Python or of a library does not replace it.
    """
    path = os.path.realpath(os.path.expanduser(folder))
    if not os.path.isdir(path):
        raise UserError(f"--code {folder}: no such folder")
    if path in {os.path.realpath(found) for found in sysconfig.get_paths().values()}:
        raise UserError(f"--code {folder}: contains installed packages; give a folder that contains only your code")
    if path not in _folders:
        _folders.append(path)
    if path not in sys.path:
        sys.path.append(path)


def is_own(module: str) -> bool:
    """Return whether a module is, or is in a package, directly in one of the folders, and an import finds it there.

    A folder without `__init__.py` is not a package here. Otherwise every folder below one of the folders would be a
    package, also a run folder from someone else. Modules in run folders and shared models are refused for the same
    reason. Nothing is imported.
    """
    top, *inner = module.split(".")
    if not _folders or not top.isidentifier():
        return False
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # "__main__"
        return False
    for folder in _folders:
        own = PathFinder.find_spec(top, [folder])
        if spec is not None and own is not None and _places(spec) == _places(own):
            specs = [spec]
            for name in inner:
                if (spec := PathFinder.find_spec(name, specs[-1].submodule_search_locations or [])) is None:
                    break
                specs.append(spec)
            return all(_is_code(spec, folder) for spec in specs)
    return False


def _places(spec: ModuleSpec) -> set[str]:
    """Return the file of a module, or the folders of a package."""
    return {os.path.realpath(place) for place in spec.submodule_search_locations or [spec.origin or ""]}


def _is_code(spec: ModuleSpec, code: str) -> bool:
    """Return whether a module has a file, and no folder from there up to the folder of --code is that of a model."""
    if spec.origin is None:
        return False
    parents = {*Path(spec.origin).parents, *Path(os.path.realpath(spec.origin)).parents}
    return not any(_is_model(parent, code) for parent in parents if parent.is_relative_to(code))


def _is_model(folder: Path, code: str) -> bool:
    """Return whether a folder has the files of a run or a shared model.

    In the folder of --code itself, checkpoints may be the user's.
    """
    if any((folder / name).exists() for name in RECORDS) or all((folder / name).exists() for name in SHARED):
        return True
    return str(folder) != code and any(folder.glob("checkpoints/*.ckpt"))


def own_class(target: str) -> Any:
    """Return the class with a dotted name, if it is defined in the user's own code; None for other names."""
    module, _, name = target.rpartition(".")
    if not all(part.isidentifier() for part in target.split(".")) or not is_own(module):
        return None
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # the user's code may raise anything
        raise UserError(f"--code: {module} cannot be imported ({type(error).__name__}: {error})") from error
    return found if isinstance(found, type) and is_own(found.__module__) else None


def advice(target: str) -> str:
    """Return how to make a class known that is not part of gan, as the end of an error message."""
    top = target.partition(".")[0]
    if not _folders:
        return f"if {top} is your own code, add --code DIR, the folder that contains it"
    return f"{described()} has no module {top}, or another module of that name is imported first"


def described() -> str:
    """Return the options --code of this command line, for messages."""
    return " ".join(f"--code {folder}" for folder in _folders)
