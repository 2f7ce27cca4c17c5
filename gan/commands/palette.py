"""Make a palette from images, convert palette files of other programs, and list the palettes of old machines.

PALETTE is a name that `gan palette list` prints, an image, or a file of GIMP (.gpl), Lospec (.hex), Paint Shop Pro
(.pal), Photoshop (.act), Adobe Swatch Exchange (.ase) or Aseprite (.aseprite, .ase).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands import options
from gan.commands.options import add_command
from gan.utils.colors import COLORS
from gan.utils.errors import UserError, writing
from gan.utils.files import refuse_existing
from gan.utils.output import counted, first_few, one_line, print_aligned, print_line

SUFFIXES = (".gpl", ".hex", ".pal", ".act", ".ase", ".aseprite", ".png")  # of gan.pixel_art.palettes.WRITERS
FILE = "palette file, whose suffix sets the format: " + ", ".join(SUFFIXES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    make = add_command(parts, "make", "compute a palette from images")
    make.add_argument("images", metavar="IMAGES", type=options.existing_path, help="image, or folder of images")
    make.add_argument("out", metavar="OUTPUT", type=palette_file, help=FILE)
    make.add_argument("-n", "--colors", type=int, default=16, help="number of colors (default: %(default)s)")
    options.add_force(make, "overwrite an existing file")
    convert = add_command(parts, "convert", "write a palette in another format")
    convert.add_argument("palette", metavar="PALETTE", help="name or file of a palette")
    convert.add_argument("out", metavar="OUTPUT", type=palette_file, help=FILE)
    options.add_force(convert, "overwrite an existing file")
    add_command(parts, "list", "list the palettes of old machines")


def palette_file(text: str) -> Path:
    if Path(text).suffix.lower() not in SUFFIXES:
        raise UserError(f"{one_line(text)}: is not a palette file; the name must end with {', '.join(SUFFIXES)}")
    return Path(text)


def run(arguments: argparse.Namespace) -> None:
    if arguments.part == "list":
        palettes = [(name, colors.split()) for name, colors in COLORS.items()]
        rows = [(name, str(len(colors)), first_few(colors, 8, " ")) for name, colors in palettes]
        print_aligned(("palette", "colors", ""), rows, right=("colors",))
        return
    refuse_existing([arguments.out], arguments.force)

    from gan.pixel_art.palettes import check_colors, read_palette, write_palette

    if arguments.part == "make":
        check_colors(arguments.colors, "-n")
        from gan.translation.fitted_maps import palette_of_folder

        palette = palette_of_folder(str(arguments.images), arguments.colors)
    else:
        palette = read_palette(arguments.palette)
    with writing(arguments.out):
        write_palette(palette, arguments.out)
    print_line(f"{arguments.out}: {counted(len(palette), 'color')}")
