"""A new run: its checked configuration, the options that follow from others, and its folder. No torch.

Values are checked by the constructors of the parts that use them. Here only what costs nothing is checked, before torch
is imported: missing paths and libraries, and options without effect.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, read_write

from gan import kinds
from gan.config.compose import check_options, compose, literals
from gan.config.overrides import first_alternative, is_group, key_of, value_of, without
from gan.looks import is_table
from gan.runs import lock, run_folder
from gan.settings import IMAGE_PATHS
from gan.utils.errors import UserError, install, path_hint, reason
from gan.utils.files import write_bytes
from gan.utils.object_store import check_address, check_library
from gan.utils.option_values import is_remote, quote, with_home
from gan.utils.output import print_line
from gan.utils.processes import global_rank, num_external_ranks
from gan.utils.untrusted import MAX_OPTION

PATHS = tuple(f"data.{name}" for name in IMAGE_PATHS)
NETWORKS = ("model.generator.", "model.discriminator.")  # prefixes of the options of networks
HUGGING_FACE = "gan.data.sources.huggingface.data_module"
DEFAULT = "retro"  # the data of conf/train.yaml, which needs no path
STARTS = ("freeze.generator", "freeze.discriminator")  # options that need init_from; 0 is "not set"
LOCKS = {run_folder.LOCK, run_folder.DECISION, run_folder.REMOTE}  # files of a run that starts


def words_of_new_run(typed: list[str]) -> tuple[list[str], DictConfig]:
    """Return the overrides of a new run, with its locked folder, and the configuration that Hydra composes of them."""
    typed, cfg = complete(typed)
    folder = create_folder(folder_of(cfg, "run"), is_named(typed))
    overrides = with_folder(typed, folder, None)
    with read_write(cfg.hydra):
        cfg.hydra.run.dir = str(folder)
        cfg.hydra.overrides.task = [word for word in overrides if not key_of(word).startswith("hydra")]
    return overrides, cfg


def complete(typed: list[str]) -> tuple[list[str], DictConfig]:
    """Return the overrides with the options that follow from them, and the checked configuration of a new run."""
    typed = with_data(typed)
    cfg = checked_configuration(typed)
    if cfg.init_from:
        from gan.config.init_from import with_networks

        typed = with_networks(typed, cfg)
        cfg = checked_configuration(typed)
    if not is_named(typed) and num_external_ranks() > 1:
        raise UserError("under torchrun or SLURM all ranks need one folder: add hydra.run.dir=runs/NAME resume=auto")
    return typed, cfg


def checked_configuration(overrides: list[str]) -> DictConfig:
    cfg = compose(overrides)
    check_options(cfg)
    check(literals(cfg))
    return cfg


# ---- checks


def check(values: Mapping[str, Any], resumed: bool = False) -> None:
    """Raise UserError if a path or a library is missing, or an option would have no effect.

    Args:
        values: `gan.config.compose.literals` of the configuration.
        resumed: whether the run is resumed; its folders may have been moved.
    """
    if missing := [name for name, value in values.items() if value == "???" and name.startswith("data.")]:
        words = " ".join(f"{name}={'FOLDER' if name in PATHS else 'VALUE'}" for name in missing)
        raise UserError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; add {words}")
    if values.get("data._target_") == HUGGING_FACE and find_spec("datasets") is None:
        raise UserError(f"data=huggingface needs the datasets library: {install('hub')}")
    moved = " (if you have moved it, add its new path and resume_force=true)" if resumed else ""
    for name, path, what in paths(values):
        if not os.path.exists(path):
            raise UserError(f"{name}={path}: there is no such {what}{path_hint(path)}{moved}")
    for name, value in values.items():  # with larger ones it would train, but the run could not be read again
        limit = MAX_OPTION if name.startswith((*NETWORKS, "data.batch_size")) else (1 << 63) - 1
        if isinstance(value, int | float) and limit < abs(value) < math.inf:
            raise UserError(f"{name}={value}: is out of range: the largest number is {limit:,}")
    if values.get("init_from") == "":
        raise UserError("init_from=: give a run, checkpoint or shared model, or null to train from scratch")
    used = [name for name in STARTS if values.get(name, 0) != 0]
    if used and not resumed and not values.get("init_from"):
        raise UserError(f"{used[0]}={values[used[0]]}: has an effect only with init_from=RUN")


def paths(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield option, path and kind of each path that the data reads; raise UserError if it is the folder of a run."""
    if not str(values.get("data._target_")).startswith("gan.data.") or values.get("data._target_") == HUGGING_FACE:
        return
    for name in PATHS:
        for root in listed(values.get(name)):
            if is_remote(root):
                check_library(check_address(f"{name}={root}", root))
            elif run_folder.is_run(Path(with_home(root))):
                raise UserError(f"{name}={root}: is the folder of a run; give a folder of images")
            else:
                yield name, with_home(root), "folder or zip archive"
    for word in filter(is_table, listed(values.get("data.style"))):
        yield "data.style", with_home(word), "color table"
    if isinstance(labels := values.get("data.labels"), str):
        yield "data.labels", with_home(labels), "table of labels"


def listed(value: object) -> list[str]:
    """Return the texts of an option that is a list, one value, or not set."""
    return list(map(str, value if isinstance(value, list) else [] if value is None else [value]))


# ---- the data group, which follows from the paths


def with_data(typed: list[str], quiet: bool = False) -> list[str]:
    """Return the overrides with `data=` added, if they give paths of data and neither they nor an experiment set it.

    Print a line that names the choice, unless `quiet`.
    """
    paths = [path for path in PATHS if value_of(typed, path) not in (None, "", "null")]
    if not paths or any(key_of(word) == "data" for word in typed):
        return typed
    name = "folder"
    if groups := [first_alternative(word) for word in typed if is_group(key_of(word))]:
        cfg = compose(groups)
        if cfg.hydra.runtime.choices.data != DEFAULT:
            return typed
        name = kinds.of_class(str(cfg.model.get("_target_"))).data
    if name == "folder" and paths[0] != "data.root":
        raise UserError(f"{paths[0]}: is an option of models that translate; add model=style")
    if not quiet:
        print_line(f"using data={name}, because {paths[0]} is set")
    return [f"data={name}", *typed]


# ---- the folder


def is_named(typed: list[str]) -> bool:
    return value_of(typed, "hydra.run.dir") is not None


def folder_of(cfg: DictConfig, mode: str) -> Path:
    """Return the folder in a composed configuration; mode is "run" or "sweep". With debug=NAME it ends in _debug-NAME.

    A folder that was typed stays as it is.
    """
    HydraConfig.instance().set_config(cfg)  # for ${hydra:...} in the folder's name
    name, debug = str(cfg.hydra[mode].dir), cfg.hydra.runtime.choices.debug
    typed = any(key_of(word) == f"hydra.{mode}.dir" for word in cfg.hydra.overrides.hydra)
    return Path(name if typed or debug in (None, "null") else f"{name}_debug-{debug}")


def create_folder(folder: Path, named: bool) -> Path:
    """Create and lock a run folder, and return its path.

    A folder that the user has named must be empty. Otherwise a suffix makes the name unique.
    """
    if global_rank() != 0:
        return folder
    if named:
        if folder.exists() and not (folder.is_dir() and holds_nothing(folder)):
            raise UserError(f"{folder}: exists and is not empty; use another folder, or resume={folder}")
        lock.make(folder)
        lock.acquire(folder)
        return folder
    free, attempt = folder, 1
    while True:
        try:
            lock.make(free, exist_ok=False)
            lock.acquire(free)
            return free
        except FileExistsError:
            attempt += 1
            free = folder.with_name(f"{folder.name}-{attempt}")
        except OSError as error:
            raise UserError(f"{free}: cannot be created ({reason(error)}); use hydra.run.dir=FOLDER") from error


def holds_nothing(folder: Path) -> bool:
    """Return whether a folder is empty, except for locks and the record of a run, complete or not.

    One file of the record may be the user's own. They are written in this order, and the first is only appended to.
    """
    names = {path.name for path in folder.iterdir()} - LOCKS
    return any(names == set(run_folder.RECORD[:count]) for count in range(len(run_folder.RECORD) + 1))


def with_folder(overrides: list[str], run: Path, checkpoint: Path | None) -> list[str]:
    kept = without(overrides, "hydra.run.dir", "resume")
    return [*kept, f"hydra.run.dir={quote(run)}", f"resume={quote(checkpoint) if checkpoint else 'null'}"]


def write_yaml(path: Path, value: object) -> None:
    write_bytes(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode())
