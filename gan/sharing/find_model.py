"""Find the model that made an image, by the digest of its weights.

A record has the number of images that the model had seen, so only checkpoints with that number are loaded. Their
digests are kept in the cache.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gan.common.errors import UserError
from gan.common.files import write_atomically
from gan.common.table import counted, first_few
from gan.common.untrusted import read_json
from gan.data.decoding import cache_index
from gan.inference.construct import section
from gan.inference.loading import load_generator
from gan.inference.resolve import checkpoint_of
from gan.run import checkpoints, zoo
from gan.run.run_folder import CHECKPOINTS, find_runs, is_run
from gan.run.shared_folder import read_about, weights_of
from gan.sharing.provenance import model_hash
from gan.sharing.record import Record

RUNS = "runs"
MAX_LISTED = 5


class Found(NamedTuple):
    """The model that a record names.

    Attributes:
        network: the generator, or the translator of one direction, in eval mode on the CPU.
        state: the contents of its checkpoint.
        path: the checkpoint, or the file of weights of a shared model.
    """

    network: Any
    state: dict[str, Any]
    path: Path

    @property
    def run(self) -> Path:
        """The run folder of the checkpoint; the folder of a file that is in no run."""
        return next(filter(is_run, self.path.parents), self.path.parent)


def find(record: Record, image: Path, given: str | Path | None = None) -> Found:
    """Return the model of a record.

    Args:
        image: the file with the record. The runs in the folders above it are searched, those in ./runs, and the models
            that come with the package.
        given: a run, a folder of runs, a checkpoint or another model, in which to search instead.

    Raises:
        UserError: the model is not there.
    """
    runs = list(runs_near(image)) if given is None else runs_in(Path(given))
    paths = list(dict.fromkeys(path for run in runs for path in at(run, record["images"])))
    if given is None:
        paths += zoo_models(record["images"])
    elif not runs:  # a checkpoint, or a model in another format
        paths = [checkpoint_of(given)]
    for path in paths:
        with suppress(UserError):  # damaged, or of another version: it is not the model
            if (found := match(path, record)) is not None:
                return found
    raise UserError(missing(record, runs, paths, given))


def runs_in(folder: Path) -> list[Path]:
    """Return the runs in a path, as `gan.run.run_folder.find_runs`; none if it is no folder that can be read."""
    try:
        return find_runs(folder)
    except OSError:
        return []


def runs_near(image: Path) -> Iterator[Path]:
    """Yield the run that an image is in, then the runs in `runs` here and in the folders above the image, once each."""
    above = list(Path(os.path.abspath(image)).parents)
    seen = set()
    for run in (*filter(is_run, above), *(run for folder in (Path(), *above) for run in runs_in(folder / RUNS))):
        if (real := os.path.realpath(run)) not in seen:
            seen.add(real)
            yield run


def zoo_models(images: int) -> list[Path]:
    """Return the weights of the models of the zoo that have seen a number of images."""
    folders = [zoo.folder_of(name) for name in zoo.names()]
    return [weights_of(folder) for folder in folders if read_about(folder)["images"] == images]


def at(run: Path, images: int) -> list[Path]:
    """Return the checkpoints of a run after a number of images, including those in `set-aside-*`."""
    name = checkpoints.checkpoint_path(run, images).name
    found = [run / CHECKPOINTS / name, *sorted((run / CHECKPOINTS).glob(f"set-aside-*/{name}"))]
    return [path for path in found if path.is_file()]


def match(path: Path, record: Record) -> Found | None:
    """Return the network of a checkpoint whose digest is that of a record; None if no network has it."""
    kept = cached(path)
    if kept is None:
        kept = [list(row) for row in networks(path)]
        keep(path, kept)
    for digest, ema, part in kept:
        if digest == record["model"]:
            network, state = load_generator(path, ema)
            network = getattr(network, part) if part in ("a2b", "b2a") else network
            return Found(network.eval(), state, path) if model_hash(network) == digest else None
    return None


def networks(path: Path) -> Iterator[tuple[str, float | None, str]]:
    """Yield digest, EMA width and direction of each network of a checkpoint that makes images."""
    network, state = load_generator(path, None)
    widths = section(state["config"], ("model",), path).get("power_ema") or ()
    for ema in (None, *(each for each in widths if isinstance(each, float))):
        if ema is not None:
            network, _ = load_generator(path, ema)
        for part in ("a2b", "b2a") if hasattr(network, "b2a") else ("",):
            yield model_hash(getattr(network, part) if part else network), ema, part


def missing(record: Record, runs: list[Path], paths: list[Path], given: str | Path | None) -> str:
    """Return the message that the model is not there, with what is there instead."""
    seen = f"{record['images']:,} images"
    short = record["model"][:8]
    if len(runs) == 1 and not paths:
        there = [f"{checkpoints.images_of(path):,}" for path in checkpoints.list_checkpoints(runs[0])]
        have = f"it has checkpoints at {first_few(there, MAX_LISTED)} images" if there else "it has no checkpoint"
        if given is not None:
            return f"{given}: has no checkpoint at {seen}; {have}; leave --model out to search all runs and the zoo"
        return f"{runs[0]}: the checkpoint at {seen} is gone; {have}; give a copy of the checkpoint with --model"
    if given is not None:
        return f"{given}: did not make the image (model {short}, after {seen}); give its run with --model"
    number = counted(len(runs), "run")
    where = f"not found in the {number} searched" if runs else "not found; there are no runs to search"
    return f"the model that made the image (model {short}, after {seen}) was {where}; give --model RUN"


# ---- digests in the cache, by the checksum of the checkpoint


def cache_file(path: Path) -> Path | None:
    """Return the file for the digests of a checkpoint; None if the checkpoint has no checksum."""
    try:
        checksum = str(checkpoints.read_sidecar(path)["sha256"])
    except (OSError, ValueError):
        return None
    name = re.fullmatch("[0-9a-f]{64}", checksum)
    return cache_index.folder() / cache_index.MODELS / f"{checksum}.json" if name else None


def cached(path: Path) -> list[list[Any]] | None:
    """Return rows of digest, EMA width and direction from the cache; None if they are not there."""
    file = cache_file(path)
    try:
        rows: Any = read_json(file) if file is not None else None
        return [[str(digest), None if ema is None else float(ema), str(part)] for digest, ema, part in rows]
    except (OSError, ValueError, TypeError):
        return None


def keep(path: Path, rows: list[list[Any]]) -> None:
    """Write rows into the cache, if it can be written."""
    if (file := cache_file(path)) is not None:
        with suppress(OSError):
            write_atomically(file, lambda opened: opened.write(json.dumps(rows).encode()))
