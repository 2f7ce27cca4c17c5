"""Turn pictures into the target's style: a file or a folder of them, each of the same name, size and format.

The exit code is 0 where all went well and 3 where some files could not be read; these are listed, and all others done.
What is there already is left out, so that an interrupted command goes on when it is given again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gan.commands.generate import checked_device
from gan.errors import UserError, at_least
from gan.progress import counting

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor

    from gan.data.files import File

SOME_UNREADABLE = 3  # exit code
TARGETS = 500  # pictures of the target that a palette is made of
LISTED = 20  # unreadable files that are named
SHEET = 512  # pixels that pictures of a comparison have at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder or checkpoint file of a translator")
    parser.add_argument("input", type=Path, help="picture or video, or folder with pictures and folders of "
                        "them")  # fmt: skip
    parser.add_argument("output", type=Path, help="file, or folder for files of the same names; made if missing")
    parser.add_argument("--direction", choices=("a2b", "b2a"), default="a2b", help="b2a of model=cyclegan goes back "
                        "from the style to photographs (default: %(default)s)")  # fmt: skip
    parser.add_argument("--strength", type=float, default=1.0, help="0 leaves pictures as they are, 1 is all of the "
                        "style (default: %(default)s)")  # fmt: skip
    parser.add_argument("--cell", type=int, default=1, metavar="PIXELS", help="pixel art: a side of the cells of one "
                        "colour (default: %(default)s)")  # fmt: skip
    parser.add_argument("--palette", metavar="COLOURS", help="pixel art: so many colours, those that tell most of the "
                        "target; or a picture, or a text of hexadecimal colours, with the palette")  # fmt: skip
    parser.add_argument("--compare", type=Path, metavar="DIR", help="also write sheets of input and output, side by "
                        "side")  # fmt: skip
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="a side of the parts that large pictures are taken "
                        "in; they fit without seams (default: by the memory there is)")  # fmt: skip
    parser.add_argument("--average", type=float, metavar="WIDTH", help="one of model.power_averages, as in 0.05")
    parser.add_argument("--checkpoint", default="best", help="best, last or a file (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="write over files that exist")


def run(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.strength <= 1:
        raise UserError(f"--strength {arguments.strength}: from 0 to 1")
    if arguments.tile is not None and arguments.tile < 64:
        raise UserError(f"--tile {arguments.tile}: at least 64 pixels")
    at_least("--cell", arguments.cell, 1)
    found = work(arguments.input, arguments.output)
    todo = [(file, target) for file, target in found if arguments.force or not target.exists()]
    if len(todo) < len(found):
        print(f"{len(found) - len(todo)} files exist already and stay; --force writes over them")
    if not todo:
        return 0

    from gan import video
    from gan.data.decode import ImageError
    from gan.data.files import content
    from gan.model_io import load_translator
    from gan.picture_files import convert

    network, config = load_translator(arguments.run, arguments.checkpoint, arguments.average, arguments.direction)
    network.to(checked_device(arguments.device))
    palette = chosen_palette(arguments.palette, config, Path(arguments.run)) if arguments.palette else None
    finish = Finish(arguments.cell, palette, arguments.strength)
    translator = Pictures(network, int(config["data"]["channels"]), arguments.tile, finish)
    broken = []
    try:
        with counting(f"translating into {arguments.output}", len(todo)) as advance:
            for file, target in todo:
                try:
                    if is_video(file.name):
                        video.convert(Path(file.path), target, translator)
                        continue
                    before = convert(content(file), target, translator)
                    if arguments.compare:
                        save_sheet(before, target, sheet_of(arguments, target))
                except ImageError as error:
                    broken.append(f"{file.path}: {error}")
                finally:
                    advance(1)
    except OSError as error:
        raise UserError(
            f"{error.filename or arguments.output}: cannot be written ({error.strerror}); what is there is whole, "
            "and the same command goes on"
        ) from error
    for line in broken[:LISTED]:
        print(line, file=sys.stderr)
    if broken:
        print(f"{len(broken)} of {len(todo)} files could not be read", file=sys.stderr)
    return SOME_UNREADABLE if broken else 0


def is_video(name: str) -> bool:
    from gan.video import ENDINGS

    return os.path.splitext(name)[1].lower() in ENDINGS


def work(source: Path, target: Path) -> list[tuple[File, Path]]:
    """Which file becomes which.

    Raises:
        UserError: there is no picture, or what is written would be read.
    """
    from gan.data.files import File, find

    if source.is_file():
        target = target / source.name if target.is_dir() else target
        if os.path.realpath(target) == os.path.realpath(source):
            raise UserError(f"{target}: is the input itself; give another file")
        return [(File(source.name, str(source.parent), False, (source.stat().st_size, 0)), target)]
    inside = Path(os.path.realpath(target)), Path(os.path.realpath(source))
    if inside[0] == inside[1] or inside[1] in inside[0].parents:
        raise UserError(f"{target}: lies in the input folder, where it would be translated in turn; give another")
    if target.is_file():
        raise UserError(f"{target}: is a file; a folder becomes a folder")
    return [(file, target / file.name) for file in find([str(source)])]


def chosen_palette(given: str, config: dict[str, Any], run: Path) -> np.ndarray:
    """The palette of a file, or so many colours of the set that was learnt from."""
    from gan import model_io
    from gan.metrics.pixels import rgb
    from gan.pixel_art import MOST, palette_of, read_palette

    if not given.isdecimal():
        return read_palette(given)
    if not 2 <= int(given) <= MOST:
        raise UserError(f"--palette {given}: from 2 to {MOST} colours")
    return palette_of(rgb(model_io.data(config, run).reals(TARGETS)).round().byte(), int(given))


class Finish(NamedTuple):
    """What is done with a translation: a grid, a palette, and how much of it is seen."""

    cell: int
    palette: np.ndarray | None
    strength: float

    def __call__(self, before: Image.Image, after: Tensor) -> Image.Image:
        """RGB of the picture as it was, and of its translation, uint8 (3, H, W)."""
        from PIL import Image

        from gan.pixel_art import snap

        if self.cell > 1 or self.palette is not None:
            after = snap(after, self.cell, self.palette)
        picture = Image.fromarray(after.permute(1, 2, 0).contiguous().numpy())
        return Image.blend(before, picture, self.strength) if self.strength < 1 else picture


class Pictures:
    """RGB or RGBA picture -> the same translated; alpha stays as it is."""

    def __init__(self, network: Any, channels: int, tile: int | None, finish: Finish) -> None:
        self.network = network
        self.channels = channels
        self.tile = tile
        self.finish = finish

    def __call__(self, picture: Image.Image) -> Image.Image:
        import numpy as np
        import torch

        from gan.data.decode import unpremultiply
        from gan.tiles import fitting_memory, translate

        mode = {1: "L", 3: "RGB", 4: "RGBa"}[self.channels]  # the last is premultiplied
        given = picture.convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
        pixels = np.array(given).reshape(picture.height, picture.width, -1)
        tile = self.tile or fitting_memory(self.network)
        done = translate(self.network, torch.from_numpy(pixels).permute(2, 0, 1), tile)
        if self.channels == 4:
            done = torch.from_numpy(unpremultiply(done.numpy())[:3])
        result = self.finish(picture.convert("RGB"), done.expand(3, -1, -1))
        if picture.mode == "RGBA":
            result.putalpha(picture.getchannel("A"))
        return result


def sheet_of(arguments: argparse.Namespace, target: Path) -> Path:
    """Where the comparison goes: the same name below another folder, as PNG."""
    inside = arguments.input.is_dir()
    name = target.relative_to(arguments.output) if inside else Path(target.name)
    return Path(arguments.compare) / name.with_name(name.name + ".png")


def save_sheet(before: Image.Image, target: Path, path: Path) -> None:
    """Input and output side by side, no larger than is good to look at."""
    from PIL import Image

    from gan.data.decode import open_upright
    from gan.runs import write_atomically

    both = [picture.convert("RGBA") for picture in (before, open_upright(target))]
    for picture in both:
        picture.thumbnail((SHEET, SHEET))
    sheet = Image.new("RGB", (2 * both[0].width + 4, both[0].height), "white")
    for index, picture in enumerate(both):
        sheet.paste(picture, (index * (both[0].width + 4), 0), picture)
    write_atomically(path, lambda file: sheet.save(file, "PNG"))
