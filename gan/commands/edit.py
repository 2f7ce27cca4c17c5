"""Change images of a trained run through its latents: one PNG a seed."""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands.directions import FILE
from gan.commands.generate import choose_model, chosen_model, parse_seeds, refuse_existing
from gan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder or checkpoint file")
    parser.add_argument("--seeds", default="0-15", help="as in 0-15,42 (default: %(default)s)")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="attributes and directions, as in brightness=0.5 sefa0=2",
    )
    parser.add_argument("--directions", type=Path, metavar="FILE", help=f"(default: RUN/directions/{FILE})")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for SEED.png; made if missing")
    parser.add_argument("--class", dest="label", metavar="NAME", help="of models trained with data.labels")
    choose_model(parser)
    parser.add_argument("--force", action="store_true", help="write over files that exist")


def run(arguments: argparse.Namespace) -> None:
    seeds, settings = parse_seeds(arguments.seeds), parse_settings(arguments.settings)
    out: Path = arguments.out
    targets = [out / f"{seed}.png" for seed in seeds]
    refuse_existing(out, targets, arguments.force)
    file = arguments.directions or Path(arguments.run) / "directions" / FILE
    if arguments.directions and not file.is_file():
        raise UserError(f"{file}: there is no such file")

    from gan.images import save_png
    from gan.latent import store
    from gan.latent.space import Space
    from gan.metrics.attributes import ATTRIBUTES

    model = chosen_model(arguments)
    vectors = store.read(file, model.generator)[0] if settings.keys() - ATTRIBUTES.keys() and file.is_file() else {}
    if unknown := [name for name in settings if name not in ATTRIBUTES and name not in vectors]:
        others = ", ".join(vectors) or f"what gan directions {arguments.run} finds"
        raise UserError(f"--set {unknown[0]}: there are {', '.join(ATTRIBUTES)}, and {others}")
    space = Space(model.generator)
    z, labels = model.latents_of(seeds, arguments.label)
    points = space.of(z, labels)
    for name, value in settings.items():
        if name not in ATTRIBUTES:
            points = points + value * vectors[name]
    if attributes := {name: value for name, value in settings.items() if name in ATTRIBUTES}:
        points = model.edit(points, labels, **attributes)
    try:
        for picture, path in zip(space.draw(points, labels), targets, strict=True):
            save_png(picture, path)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); what is there is whole") from error


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
