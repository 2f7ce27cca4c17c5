"""Write a folder with a trained model to share: weights, configuration, model card and samples.

The folder contains no paths, user names or code. Commands that use a trained model, and gan.load, accept it as a run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands import options
from gan.export import card
from gan.models.shared_model import CARD, refuse_existing
from gan.utils.errors import UserError
from gan.utils.output import one_line, print_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write; a new or empty one")
    parser.add_argument("--license", required=True, type=str.lower, metavar="NAME", help="license of the "
                        "model: an identifier of the Hugging Face Hub, such as cc-by-4.0 or mit, or other")  # fmt: skip
    parser.add_argument("--trained-on", type=one_line, metavar="NAME", help="name of the training images for the "
                        "model card, as in 'Posters of the 1920s' or USER/NAME of a dataset on the Hub")  # fmt: skip
    parser.add_argument("--discriminator", action="store_true", help="also share the discriminator, for gan recognize")
    parser.add_argument("--fp16", action="store_true", help="store weights in fp16, which halves the size of the "
                        "file; pixels may differ by 1 level (of 255) from those of the run")  # fmt: skip
    parser.add_argument("--delta", metavar="BASE", help="store only the weights that differ from those of zoo:NAME or "
                        "hf://USER/NAME, from which the run started; gan blend adds them with a weight")  # fmt: skip
    parser.add_argument("--no-samples", action="store_true", help="write no samples.png; that of a translator shows "
                        "some of your photographs")  # fmt: skip
    options.add_weights(parser)
    options.add_force(parser, "overwrite the model in a folder that is not empty, and keep its other files")


def run(arguments: argparse.Namespace) -> None:
    out = arguments.folder
    if Path(arguments.run).resolve() == out.resolve():
        raise UserError(f"{out}: is the model itself; give another folder")
    refuse_existing(out, arguments.force)

    from gan.export import share

    files = share.collect(
        arguments.run,
        name=out.resolve().name or "model",
        license=arguments.license,
        trained_on=arguments.trained_on,
        checkpoint=arguments.checkpoint,
        discriminator=arguments.discriminator,
        half=arguments.fp16,
        samples=not arguments.no_samples,
        delta=arguments.delta,
        device=options.prepare_device(arguments),
    )
    share.write(out, files)
    size = sum(map(len, files.values()))
    print_line(f"{out}: {', '.join(files)}, {size / 1e6:.1f} MB; {CARD} tells how to use it")
    if arguments.license == card.OTHER:
        print_line(f"note: add the text of the license as {out / 'LICENSE'}, and its name to {out / 'README.md'}")
