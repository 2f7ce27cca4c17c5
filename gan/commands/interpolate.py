"""Go from image to image through the latents of a trained run: a GIF, WebP, APNG or video."""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands.generate import choose_model, chosen_model, listed_seeds
from gan.errors import UserError, at_least

SLOWEST, FASTEST = 0.1, 1000  # frames a second


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder or checkpoint file")
    parser.add_argument("--seeds", default="0-3", help="to come by, as in 0-3,42 (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help=".gif, .webp, .png, .mp4, .webm ...")
    parser.add_argument("--frames", type=int, default=30, help="from one seed to the next (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=25, help="frames a second (default: %(default)s)")
    parser.add_argument("--loop", action="store_true", help="from the last seed on to the first")
    parser.add_argument("--scale", type=int, default=1, help="by which pixels are enlarged (default: %(default)s)")
    parser.add_argument(
        "--space", default="", metavar="z|w", help="z along the sphere, w straight; w where there is one, if not given"
    )
    parser.add_argument("--truncation", type=float, default=1.0, help="below 1 likelier and less varied images, in w")
    parser.add_argument(
        "--class",
        dest="label",
        metavar="NAME",
        help="of models trained with data.labels; else in w each seed's own, in z that of the first",
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

    from gan import animation

    animation.check(arguments.out)
    model = chosen_model(arguments)
    frames = model.interpolate(
        seeds, arguments.frames, arguments.loop, arguments.space, arguments.truncation, arguments.label
    )
    try:
        animation.save(frames, arguments.out, arguments.rate, arguments.scale)
    except OSError as error:
        raise UserError(f"{arguments.out}: cannot be written ({error.strerror})") from error
    print(f"{arguments.out}: {len(frames)} frames, {len(frames) / arguments.rate:.1f} s")
