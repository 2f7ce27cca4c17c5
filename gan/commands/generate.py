"""Draw images from a trained run: one PNG a seed, the same bytes for a seed whatever else is drawn with it."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gan.common.errors import UserError, writing
from gan.common.progress import counting

if TYPE_CHECKING:
    from gan.model import Model

BATCH = 256  # images in memory at a time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder or checkpoint file")
    parser.add_argument("--seeds", default="0-15", help="as in 0-15,42 (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for SEED.png; made if missing")
    parser.add_argument("--grid", action="store_true", help="also write grid.png with all of them")
    parser.add_argument(
        "--truncation",
        type=float,
        default=1.0,
        help="below 1 likelier and less varied images, of models with a mapping",
    )
    parser.add_argument(
        "--class",
        dest="label",
        metavar="NAME",
        help="to draw, of models trained with data.labels; else each seed has its own",
    )
    choose_model(parser)
    parser.add_argument("--force", action="store_true", help="write over files that exist")


def run(arguments: argparse.Namespace) -> None:
    seeds = parse_seeds(arguments.seeds)
    out = arguments.out
    refuse_existing(out, [out / f"{seed}.png" for seed in seeds] + [out / "grid.png"] * arguments.grid, arguments.force)

    import torch

    from gan.images.convert import grid, save_png

    model = chosen_model(arguments)
    pictures = []
    with writing(out, "; what is there is whole"):
        with counting(f"drawing into {out}", len(seeds)) as advance:
            for first in range(0, len(seeds), BATCH):
                part = seeds[first : first + BATCH]
                for seed, picture in zip(part, model.draw(part, arguments.truncation, arguments.label), strict=True):
                    save_png(picture, out / f"{seed}.png")
                    if arguments.grid:
                        pictures.append(picture)
                advance(len(part))
        if pictures:
            save_png(grid(torch.stack(pictures)), out / "grid.png")


def choose_model(parser: argparse.ArgumentParser) -> None:
    """The options by which a command picks what a run has trained."""
    parser.add_argument("--average", type=float, metavar="WIDTH", help="one of model.power_ema, as in 0.05")
    parser.add_argument("--checkpoint", default="best", help="best, last or a file (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")


def chosen_model(arguments: argparse.Namespace) -> Model:
    """What RUN and the options of `choose_model` say, on its device."""
    import gan

    return gan.load(arguments.run, arguments.checkpoint, arguments.average).to(checked_device(arguments.device))


def in_run(run: str, out: Path | None, name: str) -> Path:
    """The folder given as --out, or that of a name in a run's; UserError where neither is there."""
    if out is None and not Path(run).is_dir():
        raise UserError(f"{run}: is no run folder; say where with --out DIR")
    return out or below(Path(run), Path(run) / name)


def below(folder: Path, path: Path) -> Path:
    """A path in a run folder; UserError where a link in it leads elsewhere, as it may in one that comes from others."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise UserError(f"{path}: a link leads out of {folder}; nothing is written there")
    return path


def refuse_existing(out: Path, files: list[Path], force: bool) -> None:
    """UserError where a folder cannot be made, or one of its files would be written over."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; give a folder")
    if not force and (there := [path for path in files if path.exists()]):
        raise UserError(f"{there[0]}: exists already ({len(there)} of {len(files)} files do); --force writes over them")


def parse_seeds(text: str) -> list[int]:
    """ "0-3,42,1" -> [0, 1, 2, 3, 42], each once, in the order given."""
    return list(dict.fromkeys(listed_seeds(text)))


def listed_seeds(text: str) -> list[int]:
    """ "0-3,42,1" -> [0, 1, 2, 3, 42, 1]."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not found:
            raise UserError(f"--seeds {text}: {part!r} is neither a whole number nor a range; write it as in 0-15,42")
        first, last = int(found.group(1)), int(found.group(2) or found.group(1))
        if last < first or last - first >= 10_000_000:
            raise UserError(f"--seeds {text}: the range {part!r} is empty or longer than ten million")
        seeds += range(first, last + 1)
    return seeds


def checked_device(name: str) -> str:
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: torch cannot use it here") from error
    return name
