"""Check a folder of images before training, restore enlarged pixel art, pack images as shards, and manage the cache."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from gan.commands import options
from gan.commands.options import add_command
from gan.settings import add_palette, add_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    check = add_command(parts, "check", "report on a folder of images and suggest options; changes no files")
    check.add_argument("roots", nargs="+", metavar="FOLDER", help="folder or zip archive of images")
    add_size(check, "training size", "suggested from the images")
    check.add_argument("--sheet", type=Path, metavar="PNG", help="file for a contact sheet of the training images; "
                       "the sheet of an earlier check is replaced")  # fmt: skip
    check.add_argument("--json", action="store_true", help="print the whole report as JSON")
    unscale = add_command(parts, "unscale", "write enlarged pixel art at its own size, also if it was blurred or saved "
                          "as JPEG")  # fmt: skip
    unscale.add_argument("input", type=options.existing_path, metavar="INPUT", help="image, or folder of images")
    unscale.add_argument("output", metavar="OUTPUT", help="folder for PNG files with the same names, created if "
                        "missing; or, for a single image, a PNG file")  # fmt: skip
    unscale.add_argument("--cell", type=float, metavar="PIXELS", help="side of the enlarged pixels, as in 4 or 3.5 "
                        "(default: found in each image)")  # fmt: skip
    add_palette(unscale, "the images")
    options.add_max_pixels(unscale)
    options.add_force(unscale)
    pack = add_command(parts, "pack", "write images as shards for data=stream")
    pack.add_argument("roots", nargs="+", metavar="FOLDER", help="folder or zip archive of images")
    options.add_out(pack, "folder of the shards; new or empty")
    add_size(pack, "size of the images", default="64")
    pack.add_argument("--channels", type=int, default=3, help="1, 3 or 4 (default: %(default)s)")
    pack.add_argument("--fit", default="crop", help="crop, pad or stretch (default: %(default)s)")
    pack.add_argument("--resample", default="auto", help="resampling filter, as data.resample (default: %(default)s)")
    pack.add_argument("--frames", default="first", help="first or all frames of an animation (default: %(default)s)")
    pack.add_argument("--labels", default=False, nargs="?", const=True, metavar="TABLE",
                      help="use sub-folders as classes, or a CSV or JSON file of files and labels")  # fmt: skip
    cache = add_command(parts, "cache", "list or clear the cache of decoded images")
    what = cache.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the sets of decoded images, the most recent first; "
                      "the default")  # fmt: skip
    what.add_argument("--clear", action="store_true", help="remove all sets; they are decoded again when needed")


def run(arguments: argparse.Namespace) -> int | None:
    from gan.commands import data_parts

    part: Callable[[argparse.Namespace], int | None] = getattr(data_parts, arguments.part)
    return part(arguments)
