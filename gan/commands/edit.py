"""Change images of a trained run, or such as gan project has found, through their latents: one PNG each."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gan.commands.data import parse_size
from gan.commands.directions import FILE, FOLDER
from gan.commands.generate import choose_model, chosen_model, parse_seeds, refuse_existing
from gan.errors import UserError
from gan.runs import RECOGNITION

if TYPE_CHECKING:
    from torch import Tensor

    from gan.latent.attributes import Attribute
    from gan.latent.space import Space
    from gan.model import Model


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
    parser.add_argument("--recognition", type=Path, metavar="DIR", help="of what gan recognise fit has learnt with "
                        f"this run, whose classes can be set too (default: RUN/{RECOGNITION})")  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="for the PNGs; made if missing")
    parser.add_argument("--class", dest="label", metavar="NAME", help="of models trained with data.labels")
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
    if not arguments.latents:
        refuse_existing(out, [out / f"{seed}.png" for seed in seeds], arguments.force)

    from gan.images import save_png
    from gan.latent import store
    from gan.latent.position import POSITIONS
    from gan.latent.space import Space

    model = chosen_model(arguments)
    vectors = {}
    if settings.keys() - {*model.attributes, *POSITIONS} and file.is_file():
        vectors = store.read(file, model.generator).vectors
    if settings.keys() - {*model.attributes, *POSITIONS, *vectors}:
        model.attributes = classes(arguments) | model.attributes
    known = {*model.attributes, *POSITIONS}
    if unknown := [name for name in settings if name not in known and name not in vectors]:
        others = ", ".join(vectors) or f"what gan directions {arguments.run} finds"
        raise UserError(f"--set {unknown[0]}: there are {', '.join([*model.attributes, *POSITIONS])}, and {others}")
    space = Space(model.generator)
    if arguments.latents:
        names, points, labels = stored(arguments.latents, model, space)
        refuse_existing(out, [out / f"{name}.png" for name in names], arguments.force)
    else:
        names = list(map(str, seeds))
        z, labels = model.latents_of(seeds, arguments.label)
        points = space.of(z, labels)
    for mix in mixes:
        points = mixed(model, space, points, *mix)
    for name, value in settings.items():
        if name in vectors:
            points = points + value * vectors[name]
    points = model.edit(points, labels, **{name: value for name, value in settings.items() if name in known})
    try:
        for picture, name in zip(model.drawn(points, labels, size), names, strict=True):
            save_png(picture, out / f"{name}.png")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); what is there is whole") from error


def classes(arguments: argparse.Namespace) -> dict[str, Attribute]:
    """Those of the run's classifier as attributes; none where it has none."""
    folder = arguments.recognition or Path(arguments.run) / RECOGNITION
    if not arguments.recognition and not folder.is_dir():
        return {}

    from gan.recognition import classifier

    return classifier.load(arguments.run, arguments.checkpoint, folder, arguments.device).attributes()


def stored(path: Path, model: Model, space: Space) -> tuple[list[str], Tensor, Tensor | None]:
    """Names, points of the space and labels of what `gan project` has written."""
    import torch

    from gan.latent import store

    vectors, theirs, about = store.read(path, model.generator)
    if "labels" not in about:
        raise UserError(f"{path}: holds no latents of images; gan project writes such")
    classes = json.loads(about["labels"])
    labels = torch.tensor([classes[name] for name in vectors]) if classes else None
    points = torch.stack(list(vectors.values()))
    return list(vectors), points if theirs.name == space.name else space.of(points, labels), labels


def mixed(model: Model, space: Space, points: Tensor, seed: int, layers: tuple[int, int] | float) -> Tensor:
    """Points with some layers of a seed, or a share of the way to it."""
    from gan.latent import mixing

    z, label = model.latents_of([seed])
    other = space.of(z, label)[0]
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
    return settings
