"""Interpolate between images of a trained run in latent space: a GIF, WebP, APNG or video."""

from __future__ import annotations

import argparse
from functools import partial

from gan.commands import options, outputs
from gan.settings import FPS, FRAMES, SCALE, TRUNCATION, parse_seeds
from gan.utils import digest
from gan.utils.errors import UserError, writing
from gan.utils.files import refuse_existing
from gan.utils.output import print_line

OUT = "interpolation.gif"  # in the run folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    images = parser.add_mutually_exclusive_group()
    options.add_seeds(images, "0-3", "seeds of the images to interpolate", partial(parse_seeds, twice=True))
    options.add_latents(images)
    options.add_out(parser, "file ending in .gif, .webp, .png, .mp4, .webm ...", metavar="FILE", default=OUT)
    FRAMES.add_to(parser)
    FPS.add_to(parser)
    SCALE.add_to(parser)
    parser.add_argument("--loop", action="store_true", help="also interpolate from the last image to the first")
    parser.add_argument("--space", default="", metavar="z|w", help="spherical in z or linear in w (default: w if the "
                        "model has a mapping network)")  # fmt: skip
    TRUNCATION.add_to(parser)
    options.add_seamless(parser)
    options.add_palette(parser, "the frames")
    options.add_class(parser, "in w the class of each seed, in z the class of the first seed")
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser, "overwrite an existing file")


def run(arguments: argparse.Namespace) -> None:
    seeds = arguments.seeds
    arguments.out = outputs.out_in_run(arguments.run, arguments.out, OUT)
    refuse_existing([arguments.out], arguments.force)
    options.check_palette(arguments)
    if arguments.latents and (arguments.space or arguments.label or arguments.truncation != 1):
        raise UserError("--space, --truncation and --class cannot be used with --latents")

    from gan.editing import vector_files
    from gan.editing.space import Space
    from gan.images import video
    from gan.records.provenance import records_of
    from gan.records.record import compact
    from gan.utils.video_state import Video

    model = options.load_model(arguments)
    length = arguments.frames, arguments.loop
    names = ("truncation", "frames", "loop", "fps", "scale", "dither", "autocontrast")
    about = {name: vars(arguments)[name] for name in names}
    about |= {"kind": "interpolation", "class": arguments.label}
    if arguments.space != Space(model.generator).name:
        about["space"] = arguments.space
    if arguments.latents:
        _, latents, labels = vector_files.stack_latents(arguments.latents, model.generator)
    count = len(latents if arguments.latents else seeds) - 1 + arguments.loop
    pixels = (count * arguments.frames + 1) * model.shape[1] * model.shape[2]
    video.check(arguments.out, pixels, arguments.scale)
    if arguments.latents:
        frames = model.interpolate_latents(latents, labels, *length)
        about["latents"] = [digest.of_tensor(each) for each in latents]
    else:
        about["seeds"] = compact(seeds)
        frames = model.interpolate(seeds, *length, arguments.space, arguments.truncation, arguments.label)
    palette = options.palette_of(arguments.palette, lambda: frames.pixels)
    shown = options.in_palette(frames.pixels, palette, arguments, Video())
    about["palette"] = palette
    text = None if arguments.no_metadata else records_of(model, **about).text()
    with writing(arguments.out):
        video.save(shown, arguments.out, arguments.fps, arguments.scale, text)
    print_line(f"{arguments.out}: {len(frames)} frames, {len(frames) / arguments.fps:.1f} s")
