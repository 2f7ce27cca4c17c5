"""Turn pictures into the target's style: a file or a folder of them, each of the same name, size and format.

The exit code is 0 where all went well and 3 where some files could not be read, or did not fit into memory; these are
listed, and all others done.
What is there already is left out, so that an interrupted command goes on when it is given again.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands.generate import checked_device, choose_model
from gan.common.errors import UserError, at_least, reason
from gan.common.progress import counting

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor

    from gan.data.decoding.pool import IsolatedProcess
    from gan.data.sources.files import File

SOME_UNREADABLE = 3  # exit code
TARGETS = 500  # pictures of the target that a palette is made of
LARGER = 4  # times than what training saw, above which pictures have details of another size
LISTED = 20  # unreadable files that are named
PIXEL, SNAPPED_PIXEL = 40, 120  # bytes of memory that a pixel takes at most, in both processes; measured
SHEET = 512  # pixels that pictures of a comparison have at most


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder or checkpoint file of a translator")
    parser.add_argument("input", type=Path, help="picture or video, or folder with such and folders of them")
    parser.add_argument("output", help="folder for files of the same names, made if missing; or of one picture a file, "
                        "whose ending says the format")  # fmt: skip
    parser.add_argument("--direction", choices=("a2b", "b2a"), default="a2b", help="b2a of model=cyclegan goes back "
                        "from the style to photographs (default: %(default)s)")  # fmt: skip
    parser.add_argument("--strength", type=float, default=1.0, help="0 leaves pictures as they are, 1 is all of the "
                        "style (default: %(default)s)")  # fmt: skip
    parser.add_argument("--cell", type=int, default=1, metavar="PIXELS", help="pixel art: a side of the cells of one "
                        "color (default: %(default)s)")  # fmt: skip
    parser.add_argument("--palette", metavar="COLORS", help="pixel art: so many colors, those that tell most of the "
                        "target; or a picture, or a text of hexadecimal colors, with the palette")  # fmt: skip
    parser.add_argument("--compare", type=Path, metavar="DIR", help="also write sheets of input and output, side by "
                        "side")  # fmt: skip
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="a side of the parts that large pictures are taken "
                        "in; they fit without seams (default: by the memory there is)")  # fmt: skip
    parser.add_argument("--max-pixels", type=int, metavar="N", help="width x height, of all frames of an animation "
                        "together, above which a file is refused (default: 64 million, or what fits)")  # fmt: skip
    choose_model(parser)
    parser.add_argument("--force", action="store_true", help="write over files that exist")


def run(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.strength <= 1:
        raise UserError(f"--strength {arguments.strength}: from 0 to 1")
    if arguments.palette and arguments.strength < 1:
        raise UserError("--palette --strength: what is blended has other colors; give one of them")
    if arguments.tile is not None and arguments.tile < 64:
        raise UserError(f"--tile {arguments.tile}: at least 64 pixels")
    at_least("--cell", arguments.cell, 1)
    if arguments.max_pixels is not None:
        at_least("--max-pixels", arguments.max_pixels, 1)
    found = work(arguments.input, arguments.output)
    if arguments.compare:
        refuse_inside(arguments.compare, arguments.input, "--compare ")
    todo = [each for each in found if arguments.force or not done(*each, arguments.compare)]
    if len(todo) < len(found):
        print(f"{len(found) - len(todo)} files exist already and stay; --force writes over them")
    if not todo:
        return 0

    from gan.common.memory import available
    from gan.common.size import pair
    from gan.data.decoding.pool import IsolatedProcess
    from gan.inference.loading import load_translator
    from gan.inference.tiling import fitting_memory

    network, config = load_translator(arguments.run, arguments.checkpoint, arguments.average, arguments.direction)
    network.to(checked_device(arguments.device))
    palette = chosen_palette(arguments, config) if arguments.palette else None
    tile = arguments.tile or fitting_memory(network)
    translator = Pictures(network, config["data"]["channels"], tile, arguments.cell, palette, arguments.strength)
    arguments.max_pixels = arguments.max_pixels or most_pixels(available(), translator.snaps)
    if translator.snaps and any(format_of(target) == "JPEG" for _, target in todo):
        print("note: JPEG keeps neither cells nor colors exactly; an OUTPUT or files that end in .png would")
    try:
        with counting(f"translating into {arguments.output}", len(todo)) as advance, IsolatedProcess() as apart:
            broken, side = convert_all(todo, translator, arguments, advance, apart)
    except OSError as error:
        raise UserError(
            f"{error.filename or arguments.output}: cannot be written ({reason(error)}); what is there is whole, "
            "and the same command goes on"
        ) from error
    seen = max(pair(config["data"]["size"]))
    if side > LARGER * seen and config["data"].get("fit") != "patches":
        print(f"note: pictures of {side} pixels a side, and training saw them made small, as {seen}: grain, dots and "
              "strokes are then not of their size; data.fit=patches trains on parts as they are")  # fmt: skip
    for line in broken[:LISTED]:
        print(line, file=sys.stderr)
    if broken:
        print(f"{len(broken)} of {len(todo)} files could not be translated", file=sys.stderr)
    return SOME_UNREADABLE if broken else 0


def most_pixels(memory: int, snaps: bool) -> int:
    """Pixels of an image that fit beside the network, which takes half of the memory: never more than training reads.

    Args:
        memory: bytes that there are.
        snaps: pixel art is made of them.
    """
    from gan.data.decoding.reader import MAX_PIXELS

    return max(1, min(MAX_PIXELS, memory // 2 // (SNAPPED_PIXEL if snaps else PIXEL)))


def done(file: File, target: Path, sheets: Path | None) -> bool:
    """Whether a file has become what it is to become, with its sheet where there are to be such."""
    return target.exists() and (sheets is None or is_video(file.name) or sheet_of(file, sheets).exists())


def sheet_of(file: File, sheets: Path) -> Path:
    return sheets / f"{file.name}.png"


def convert_all(
    todo: list[tuple[File, Path]],
    translator: Pictures,
    arguments: argparse.Namespace,
    advance: Callable[[int], None],
    apart: IsolatedProcess,
) -> tuple[list[str], int]:
    """A line for each file that could not be read, taken into memory, or written for a reason of its own; and the
    largest side of the pictures that were translated. `apart` reads the images."""
    from gan.data.decoding.errors import ImageError, TooLarge
    from gan.images import video
    from gan.images.files import read_file, read_first, write

    broken, side, sheets, most = [], 0, arguments.compare, arguments.max_pixels
    for file, target in todo:
        kind = format_of(target) if arguments.input.is_file() else None  # else that of the file, whatever its name
        lossless = translator.palette is not None and (kind or format_of(target)) == "WEBP"  # JPEG cannot be
        exact = {"lossless": True} if lossless else {}
        try:
            if is_video(file.name):
                video.convert(Path(file.path), target, translator, most)
            elif target.exists() and not arguments.force:
                save_sheet(apart(read_first, file.path, most), apart(read_first, target, most), sheet_of(file, sheets))
            else:
                before = write(apart(read_file, file, kind, most), target, translator, kind, **exact)
                side = max(side, *before.shape[:2])
                if sheets and (arguments.force or not sheet_of(file, sheets).exists()):
                    save_sheet(before, apart(read_first, target, most), sheet_of(file, sheets))
        except TooLarge as error:
            broken.append(f"{file.shown}: {error}; --max-pixels sets another")
        except ImageError as error:
            broken.append(f"{file.shown}: {error}")
        except UserError as error:  # of a video
            if arguments.input.is_file():
                raise
            broken.append(str(error))
        except MemoryError:
            broken.append(f"{file.shown}: does not fit into memory; a smaller --tile may help")
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            broken.append(f"{file.shown}: {reason(error)}")
        advance(1)
    return broken, side


def is_video(name: str) -> bool:
    from gan.images.video import CONTAINERS

    return os.path.splitext(name)[1].lower() in CONTAINERS


def work(source: Path, output: str) -> list[tuple[File, Path]]:
    """Which file becomes which.

    Raises:
        UserError: there is no picture, or what is written would be read.
    """
    from gan.data.sources.files import find, single
    from gan.data.sources.folder import SUFFIXES
    from gan.images.video import CONTAINERS

    target = Path(output)
    if source.is_file():
        folder = target.is_dir() or output.endswith(os.sep) or not target.suffix
        target = target / source.name if folder else target
        if not folder and not format_of(target) and not is_video(source.name):
            raise UserError(f"{target}: its ending is of no format that can be written")
        files = [(single(source), target)]
    else:
        refuse_inside(target, source)
        if target.is_file():
            raise UserError(f"{target}: is a file; a folder becomes a folder")
        files = [(file, target / file.name) for file in find([str(source)], SUFFIXES | CONTAINERS.keys())]
    read = {os.path.realpath(file.path) for file, _ in files}
    for _, path in files:
        if os.path.realpath(path) in read:
            raise UserError(f"{path}: is an input itself; give another file or folder")
    return files


def refuse_inside(folder: Path, source: Path, option: str = "") -> None:
    """UserError where a folder is the one that is read, or lies in it."""
    inside, outside = Path(os.path.realpath(folder)), Path(os.path.realpath(source))
    if inside == outside or outside in inside.parents:
        raise UserError(f"{option}{folder}: lies in the input folder, and would be read in turn; give another")


def format_of(path: Path) -> str | None:
    """Pillow's name of what a file's ending says, None where it says nothing."""
    from PIL import Image

    from gan.data.decoding.reader import FORMATS

    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind if kind in FORMATS else None


def chosen_palette(arguments: argparse.Namespace, config: dict[str, Any]) -> np.ndarray:
    """The palette of a file, or so many colors of the set whose look is taken on."""
    from gan.images.pixel_art import MAX_COLORS, fit_palette, read_palette
    from gan.inference import loading
    from gan.metrics.color_transfer import opaque

    given = arguments.palette
    if not given.isdecimal():
        return read_palette(given)
    if not 2 <= int(given) <= MAX_COLORS:
        raise UserError(f"--palette {given}: from 2 to {MAX_COLORS} colors")
    data = loading.data(config, Path(arguments.run))
    images = data.reals(TARGETS) if arguments.direction == "a2b" else data.inputs(TARGETS)
    return fit_palette(opaque(images).expand(-1, 3, -1, -1), int(given))


@dataclass(frozen=True)
class Pictures:
    """RGB or RGBA picture -> the same translated; alpha stays as it is."""

    network: Any
    channels: int  # of the network
    tile: int  # pixels a side of the parts that a picture is taken in
    cell: int  # pixels a side of pixel art's cells
    palette: np.ndarray | None
    strength: float

    def __call__(self, picture: Image.Image) -> Image.Image:
        from PIL import Image

        result = Image.fromarray(self.translated(picture).permute(1, 2, 0).contiguous().numpy())
        if self.strength < 1:
            result = Image.blend(picture.convert("RGB"), result, self.strength)
        if picture.mode == "RGBA":
            result.putalpha(picture.getchannel("A"))
        return result

    def translated(self, picture: Image.Image) -> Tensor:
        """All of the style: RGB, uint8 (3, H, W)."""
        import numpy as np
        import torch

        from gan.data.decoding.color import unpremultiply
        from gan.images.pixel_art import to_pixel_art
        from gan.inference.tiling import translate

        mode = {1: "L", 3: "RGB", 4: "RGBa"}[self.channels]  # the last is premultiplied
        given = picture.convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
        if picture.mode == "RGBA" and mode != "RGBa":  # colors that nobody sees are not shown to the network
            given.paste("white", (0, 0), picture.getchannel("A").point(lambda alpha: 255 * (alpha == 0)))
        pixels = np.array(given).reshape(picture.height, picture.width, -1)
        done = translate(self.network, torch.from_numpy(pixels).permute(2, 0, 1), self.tile)
        if self.channels == 4:
            done = torch.from_numpy(unpremultiply(done.numpy())[:3])
        done = done.expand(3, -1, -1)
        if not self.snaps:
            return done
        alpha = torch.from_numpy(np.array(picture.getchannel("A"))) if picture.mode == "RGBA" else None
        return to_pixel_art(done, self.cell, self.palette, alpha)

    @property
    def snaps(self) -> bool:
        """Whether pixel art is made."""
        return self.cell > 1 or self.palette is not None


def save_sheet(before: np.ndarray, after: np.ndarray, path: Path) -> None:
    """Input and output, uint8 (H, W, 3 or 4), side by side, no larger than is good to look at."""
    from PIL import Image

    from gan.common.files import write_atomically

    both = [Image.fromarray(pixels).convert("RGBA") for pixels in (before, after)]
    for picture in both:
        picture.thumbnail((SHEET, SHEET))
    sheet = Image.new("RGB", (2 * both[0].width + 4, both[0].height), "white")
    for index, picture in enumerate(both):
        sheet.paste(picture, (index * (both[0].width + 4), 0), picture)
    write_atomically(path, lambda file: sheet.save(file, "PNG"))
