"""Go from image to image through the latents of a trained run: a GIF, WebP, APNG or video."""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands.edit import stored
from gan.commands.generate import choose_model, chosen_model, listed_seeds
from gan.common.errors import UserError, at_least, writing

SLOWEST, FASTEST = 0.1, 1000  # frames a second


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder or checkpoint file")
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--seeds", default="0-3", help="to come by, as in 0-3,42 (default: %(default)s)")
    images.add_argument("--latents", type=Path, metavar="FILE", help="to come by, of images, in the order of their "
                        "names, as gan project writes them")  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help=".gif, .webp, .png, .mp4, .webm ...")
    parser.add_argument("--frames", type=int, default=30, help="from one image to the next (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=25, help="frames a second (default: %(default)s)")
    parser.add_argument("--loop", action="store_true", help="from the last image on to the first")
    parser.add_argument("--scale", type=int, default=1, help="by which pixels are enlarged (default: %(default)s)")
    parser.add_argument(
        "--space", default="", metavar="z|w", help="z along the sphere, w straight; w where there is one, if not given"
    )
    parser.add_argument("--truncation", type=float, default=1.0, help="below 1 likelier and less varied images, in w")
    parser.add_argument(
        "--class",
        dest="label",
        metavar="NAME",
        help="to draw, of models trained with data.labels; else in w each seed's own, in z that of the first",
    )
    choose_model(parser)
    parser.add_argument("--force", action="store_true", help="write over a file that exists")


def run(arguments: argparse.Namespace) -> None:
    seeds = listed_seeds(arguments.seeds)
    if arguments.out.exists() and not arguments.force:
        raise UserError(f"{arguments.out}: exists already; --force writes over it")
    for name in ("frames", "scale"):
        at_least(f"--{name}", getattr(arguments, name), 1)
    if not SLOWEST <= arguments.rate <= FASTEST:
        raise UserError(f"--rate {arguments.rate}: from {SLOWEST} to {FASTEST} frames a second")
    if arguments.latents and (arguments.space or arguments.label or arguments.truncation != 1):
        raise UserError("--space, --truncation, --class: of images that were projected they are known")

    from gan.images import animation

    animation.check(arguments.out)
    model = chosen_model(arguments)
    length = arguments.frames, arguments.loop
    if arguments.latents:
        _, points, labels = stored(arguments.latents, model)
        frames = model.between(points, labels, *length)
    else:
        frames = model.interpolate(seeds, *length, arguments.space, arguments.truncation, arguments.label)
    with writing(arguments.out):
        animation.save(frames, arguments.out, arguments.rate, arguments.scale)
    print(f"{arguments.out}: {len(frames)} frames, {len(frames) / arguments.rate:.1f} s")
