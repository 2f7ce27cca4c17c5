"""Change images of a trained run, or such as gan project has found, through their latents: one PNG each."""

from __future__ import annotations

import argparse
import math
import operator
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gan.commands.data import parse_size
from gan.commands.directions import FILE, FOLDER, classes
from gan.commands.generate import choose_model, chosen_model, parse_seeds, refuse_existing
from gan.commands.resumable import Findings
from gan.common.errors import UserError, writing
from gan.common.names import file_name
from gan.common.progress import counting
from gan.run.run_folder import RECOGNITION

if TYPE_CHECKING:
    from torch import Tensor

    from gan.model import Model

GROUP = 32  # images that are edited and saved together
DIRECTION = r"(sefa|pca)\d+"  # how gan directions names what it finds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder or checkpoint file")
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--seeds", default="0-15", help="as in 0-15,42 (default: %(default)s)")
    images.add_argument("--latents", type=Path, metavar="FILE", help="of images, as gan project writes them")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="attributes, directions and classes, as in brightness=0.5 sefa0=2 poster=1",
    )
    parser.add_argument(
        "--mix",
        nargs="+",
        default=[],
        metavar="SEED:LAYERS",
        help="layers 4 to 8 of seed 12, as in 12:4-8, or a share of the way to it, as in 12:0.5; before what is set",
    )
    parser.add_argument("--size", metavar="HxW", help="of the images, as in 96x64 (height x width)")
    parser.add_argument("--directions", type=Path, metavar="FILE", help=f"(default: RUN/{FOLDER}/{FILE})")
    parser.add_argument("--recognition", type=Path, metavar="DIR", help="of what gan recognize fit has learned with "
                        f"this run, whose classes can be set too (default: RUN/{RECOGNITION})")  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="for the PNGs; made if missing")
    parser.add_argument("--class", dest="label", metavar="NAME", help="to draw, of models trained with data.labels; "
                        "else each seed has its own")  # fmt: skip
    choose_model(parser)
    parser.add_argument("--force", action="store_true", help="write over files that exist")


def run(arguments: argparse.Namespace) -> None:
    seeds, settings = parse_seeds(arguments.seeds), parse_settings(arguments.settings)
    mixes = [parse_mix(word) for word in arguments.mix]
    size = parse_size(arguments.size) if arguments.size else None
    out: Path = arguments.out
    file = arguments.directions or Path(arguments.run) / FOLDER / FILE
    if arguments.directions and not file.is_file():
        raise UserError(f"{file}: there is no such file")
    if arguments.latents and arguments.label:
        raise UserError("--class: of images that were projected it is known")

    from gan.evaluation.generator import digest_of
    from gan.images.convert import save_png
    from gan.inference.tiling import memory_errors
    from gan.latent.position import POSITIONS
    from gan.latent.store import fingerprint
    from gan.recognition.classifier import WEIGHTS

    model = chosen_model(arguments)
    learn(model, settings.keys() - {*model.attributes, *POSITIONS}, file, arguments)
    if unknown := [name for name in settings if name not in {*model.attributes, *POSITIONS, *model.vectors}]:
        others = ", ".join(model.vectors) or f"what gan directions {arguments.run} finds"
        raise UserError(f"--set {unknown[0]}: there are {', '.join([*model.attributes, *POSITIONS])}, and {others}")
    if arguments.latents:
        names, points, labels = stored(arguments.latents, model)
    else:
        names = list(map(str, seeds))
        points, labels = model.points(seeds, arguments.label)
    files = [file_name(name, ".png") for name in names]
    for mix in mixes:
        points = mixed(model, points, *mix, arguments.label)
    learned = file, recognition(arguments) / WEIGHTS
    findings = Findings(out, arguments, fingerprint(model.generator), digest_of(points).hex(), str(labels), *learned)
    if not findings.begun:
        refuse_existing(out, [out / name for name in files], arguments.force)

    def save(part: slice) -> int:
        kinds = None if labels is None else labels[part]
        pictures = model.drawn(model.edit(points[part], kinds, **settings), kinds, size)
        findings.write()  # before the first file, so that files are known to be this command's
        for picture, name in zip(pictures, files[part], strict=True):
            save_png(picture, out / name)
        return len(pictures)

    try:
        with memory_errors(), writing(out, "; what is there is whole"):
            in_groups(out, files, save, findings)
    except MemoryError as error:
        hint = "; give a smaller --size" if size else ""
        raise UserError(f"images do not fit into memory{hint}") from error


def in_groups(out: Path, files: list[str], save: Callable[[slice], int], findings: Findings) -> None:
    """Save images a group at a time, but for those that the command had saved before it was interrupted."""
    with counting(f"drawing into {out}", len(files)) as advance:
        for first in range(0, len(files), GROUP):
            part = slice(first, first + GROUP)
            if not all((out / name).exists() for name in files[part]):
                findings.values.pop(files[first], None)
            advance(findings.take(files[first], partial(save, part), partial(operator.eq, len(files[part]))))
    findings.done()


def learn(model: Model, names: set[str], directions: Path, arguments: argparse.Namespace) -> None:
    """Let a model know what directions and classes were found for its run, where names are of such."""
    from gan.latent import store

    found = {name for name in names if re.fullmatch(DIRECTION, name)}
    if names - found:
        folder = recognition(arguments)
        if arguments.recognition or folder.is_dir():
            model.attributes = classes(arguments, folder) | model.attributes
    if (found or arguments.directions) and directions.is_file():
        model.vectors |= store.read_directions(directions, model.generator)


def recognition(arguments: argparse.Namespace) -> Path:
    """Where a classifier would lie."""
    return arguments.recognition or Path(arguments.run) / RECOGNITION


def stored(path: Path, model: Model) -> tuple[list[str], Tensor, Tensor | None]:
    """Names, points and labels of what `gan project` has written."""
    import torch

    from gan.latent import store

    (vectors, _, _), kinds = store.read_latents(path, model.generator)
    labels = torch.tensor([kinds[name] for name in vectors]) if kinds else None
    return list(vectors), torch.stack(list(vectors.values())), labels


def mixed(model: Model, points: Tensor, seed: int, layers: tuple[int, int] | float, label: str | None) -> Tensor:
    """Points with some layers of a seed, or a share of the way to it."""
    from gan.latent import mixing
    from gan.latent.space import Space

    space, other = Space(model.generator), model.points([seed], label)[0][0]
    if isinstance(layers, float):
        return mixing.between(space, points, other, layers)
    return mixing.mixed(space, points, other, *layers)


def parse_mix(word: str) -> tuple[int, tuple[int, int] | float]:
    """ "12:4-8" -> (12, (4, 8)); "12:3" -> (12, (3, 3)); "12:0.5" -> (12, 0.5)."""
    found = re.fullmatch(r"(\d+):(?:(\d+)(?:-(\d+))?|(\d*\.\d+))", word)
    if not found:
        raise UserError(f"--mix {word}: write SEED:LAYERS, as in 12:4-8, or SEED:SHARE, as in 12:0.5")
    seed, first, last, share = found.groups()
    return int(seed), float(share) if share else (int(first), int(last or first))


def parse_settings(words: list[str]) -> dict[str, float]:
    """["sefa0=2", "pca1=-.5"] -> {"sefa0": 2.0, "pca1": -0.5}."""
    settings = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            settings[name] = float(value)
        except ValueError:
            raise UserError(f"--set {word}: write it as NAME=VALUE, as in sefa0=2") from None
        if not math.isfinite(settings[name]):
            raise UserError(f"--set {word}: a finite number")
    return settings
