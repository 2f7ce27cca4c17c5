"""Check a folder of images before training, restore enlarged pixel art, and pack images as shards."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gan.commands import options, outputs
from gan.commands.options import add_command
from gan.data import checks
from gan.data.decoding.decode import Decoder
from gan.data.decoding.pool import cores, parallel_map
from gan.data.shards import pack as pack_shards
from gan.data.sources.files import decode_all, find
from gan.pixel_art.cells import Unscaled
from gan.pixel_art.cells import unscale as unscale_file
from gan.settings import add_size, parse_size
from gan.translation import translate_files
from gan.utils.errors import UserError, at_least, train_command, writing
from gan.utils.files import refuse_existing
from gan.utils.output import counted, counting, first_few, one_line, print_line
from gan.utils.processes import available_memory

MAX_UNSCALED = 1024  # pixels of a cell
MAX_LINES = 10  # of each list in the printed report; --json has all
SHEET_IMAGES = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    check = add_command(parts, "check", "report on a folder of images and suggest options; changes no files")
    check.add_argument("roots", nargs="+", metavar="FOLDER", help="folder or zip archive of images")
    add_size(check, "training size", "suggested from the images")
    check.add_argument("--sheet", type=Path, metavar="PNG", help="file for a contact sheet of the training images")
    check.add_argument("--json", action="store_true", help="print the whole report as JSON")
    options.add_force(check, "overwrite an existing sheet")
    unscale = add_command(parts, "unscale", "write enlarged pixel art at its own size, also if it was blurred or saved "
                          "as JPEG")  # fmt: skip
    unscale.add_argument("input", type=options.existing_path, metavar="INPUT", help="image, or folder of images")
    unscale.add_argument("output", metavar="OUTPUT", help="folder for PNG files with the same names, created if "
                        "missing; or, for a single image, a PNG file")  # fmt: skip
    unscale.add_argument("--cell", type=float, metavar="PIXELS", help="side of the enlarged pixels, as in 4 or 3.5 "
                        "(default: found in each image)")  # fmt: skip
    unscale.add_argument("--uneven", action="store_true", help="cells differ in size, as image generators draw them")
    options.add_force(unscale)
    cutting = add_command(parts, "cut", "cut sheets of sprites, or files of Aseprite, into images")
    cutting.add_argument("input", type=options.existing_path, metavar="SHEET", help="image or .aseprite file, or "
                         "folder of them; sub-folders are kept")  # fmt: skip
    cutting.add_argument("output", type=Path, metavar="OUTPUT", help="folder for PNG files, new or empty; tags of "
                         "Aseprite become sub-folders")  # fmt: skip
    cutting.add_argument("--cell", type=partial(parse_size, option="--cell"), metavar="SIZE", help="size of the "
                         "cells, as in 16 or 24x16 (height x width; default: cut at transparent pixels)")  # fmt: skip
    cutting.add_argument("--margin", type=int, default=0, help="pixels around all cells (default: %(default)s)")
    cutting.add_argument("--spacing", type=int, default=0, help="pixels between cells (default: %(default)s)")
    cutting.add_argument("--gap", type=int, default=0, help="without --cell: parts with at most this number of "
                         "transparent pixels between them are one image (default: %(default)s)")  # fmt: skip
    cutting.add_argument("--layers", action="store_true", help="Aseprite: cut each layer, with sub-folders of their "
                         "names, instead of the visible image")  # fmt: skip
    options.add_force(cutting)
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


def run(arguments: argparse.Namespace) -> int | None:
    parts: dict[str, Callable[[argparse.Namespace], int | None]]
    parts = {"check": check, "unscale": unscale, "cut": cut, "pack": pack}
    return parts[arguments.part](arguments)


def check(arguments: argparse.Namespace) -> int | None:
    if arguments.sheet:
        for root in arguments.roots:
            translate_files.refuse_inside(arguments.sheet, Path(root), "--sheet ")
        refuse_existing([arguments.sheet], arguments.force, "--sheet ")
    with redirect_stdout(sys.stderr):  # keep standard output for the report
        files = find(arguments.roots)
        with counting("decoding " + ", ".join(arguments.roots), len(files)) as advance:
            facts = checks.inspect_files(files, advance)
        report = {"folder": arguments.roots} | checks.summarize(files, facts, arguments.size)
        if "suggestion" in report:
            report["suggestion"]["command"] = checks.command(arguments.roots, report["suggestion"])
            if arguments.sheet:
                draw_sheet(files, facts, report["suggestion"], arguments.sheet)
    print(json.dumps(report, indent=2) if arguments.json else as_text(report))
    return None if report["readable"] else outputs.SOME_UNREADABLE


def draw_sheet(files: Sequence[Any], facts: Sequence[Any], suggestion: dict[str, Any], path: Path) -> None:
    """Save a contact sheet of evenly spaced images, decoded with the suggested options."""
    import torch

    from gan.images.convert import grid, save_png

    decoder = Decoder(tuple(suggestion["size"]), **{name: suggestion[name] for name in ("channels", "fit", "resample")})
    good = [file for file, fact in zip(files, facts, strict=True) if not fact.error]
    chosen = [good[int(row)] for row in np.linspace(0, len(good) - 1, min(SHEET_IMAGES, len(good))).round()]
    decoded = (image.pixels for image in decode_all(decoder, chosen))
    images = np.stack([pixels for pixels in decoded if pixels is not None])  # (N, C, H, W)
    with writing(f"--sheet {path}"):
        save_png(grid(torch.from_numpy(images)), path)
    print_line(f"contact sheet: {path}")


def as_text(report: dict[str, Any]) -> str:
    """Return the report as text."""
    lines = [f"{', '.join(report['folder'])}: {counted(report['files'], 'image')}, {report['readable']:,} readable"]
    lines += listed("cannot be read", [f"{path!r}: {reason}" for path, reason in report["unreadable"].items()])
    if "suggestion" not in report:
        return "\n".join(lines)
    lines += [
        f"formats: {counts(report['formats'])}",
        f"sizes (width x height): {counts(report['sizes'])}",
        f"with transparent pixels: {report['transparent']:,}; gray: {report['gray']:,}; "
        f"pixel art: {report['sprites']:,}",
    ]
    found = report["enlarged"]
    if found["images"] > checks.MIN_ENLARGED * found["searched"]:
        among = f" of {found['searched']:,} searched images" if found["searched"] < report["readable"] else ""
        folders = report["folder"] if len(report["folder"]) == 1 else ["FOLDER"]
        title = f"enlarged pixel art: {found['images']:,}{among} ({counts(found['sizes'])})"
        lines += [f"{title}; restore it with {shlex.join(['gan', 'data', 'unscale', *folders, 'OUTPUT'])}"]
    if report["animations"]:
        lines += [f"animations: {len(report['animations']):,}; data.frames=all gives {report['images']:,} images"]
    if report["classes"]:
        lines += [f"sub-folders: {counts(report['classes'])}"]
    lines += listed("blank images, of one color", [repr(path) for path in report["blank"]])
    for kind, meaning in (("exact", "identical"), ("near", "nearly identical")):
        groups = report["duplicates"][kind]
        title = f"groups of {meaning} images ({counted(sum(map(len, groups)), 'image')} in all)"
        lines += listed(title, [" = ".join(repr(path) for path in group[:4]) for group in groups], len(groups))
    suggestion = report["suggestion"]
    height, width = suggestion["size"]
    lines += listed(f"smaller than {height}x{width} (height x width)", [repr(path) for path in report["smaller"]])
    lines += ["suggested:"]
    shown = suggestion | {
        "size": f"[{height},{width}]",
        "split": suggestion["split"] or "null",
        "labels": str(suggestion["labels"]).lower(),
    }
    lines += [f"  data.{name}={shown[name]}: {reason}" for name, reason in suggestion["reasons"].items()]
    if start := suggestion["start"]:
        lines += [f"on a CPU, the command starts from the weights of {start}; on a GPU, leave init_from and freeze out"]
    if suggestion["images"] < checks.TOO_FEW:
        few = f"{suggestion['images']:,} images are too few for training, which would copy them"
        lines += [f"{few}: collect a hundred, or use gan translate --fit"]
    return "\n".join([*lines, "", suggestion["command"]])


def listed(title: str, lines: Sequence[str], count: int | None = None) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - MAX_LINES:,} more (--json has all)"] if len(lines) > MAX_LINES else []
    title = f"{title}: {len(lines) if count is None else count:,}"
    return [title, *(f"  {line}" for line in lines[:MAX_LINES]), *more]


def counts(table: dict[str, int]) -> str:
    """Return a table as text, such as "PNG 12, JPEG 3". Its names are those of files."""
    return first_few([f"{one_line(name)} {count:,}" for name, count in table.items()], MAX_LINES)


def cut(arguments: argparse.Namespace) -> None:
    from gan.assets.cut import Cutting, cut_all

    for name in ("margin", "spacing", "gap"):
        at_least(f"--{name}", vars(arguments)[name], 0)
    out = arguments.output
    if not arguments.force and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            f"{out}: is not an empty folder; use --force to write into it and overwrite files of the same name"
        )
    how = Cutting(arguments.cell, arguments.margin, arguments.spacing, arguments.gap, arguments.layers)
    with writing(out):
        numbers = list(cut_all(arguments.input, out, how))
    print_line(f"{out}: {counted(sum(numbers), 'image')} of {counted(len(numbers), 'sheet')}")


def pack(arguments: argparse.Namespace) -> None:
    height, width = arguments.size
    decoding = {name: vars(arguments)[name] for name in ("channels", "fit", "resample", "frames")}
    decoder = Decoder(arguments.size, **decoding)
    written = pack_shards(arguments.roots, arguments.out, decoder, arguments.labels)
    words = ["data=stream", f"data.root={arguments.out}", f"data.size=[{height},{width}]"]
    words += [f"data.channels={arguments.channels}"]
    print(f"{written:,} images in {arguments.out}; to train on them:\n\n" + train_command(*words))


def unscale(arguments: argparse.Namespace) -> int:
    if arguments.cell is not None and not 2 <= arguments.cell <= MAX_UNSCALED:
        raise UserError(f"--cell {arguments.cell:g}: give 2 to {MAX_UNSCALED} pixels")
    planned = translate_files.plan(arguments.input, arguments.output, suffix=".png")
    images = [(file, target) for file, target in planned if not translate_files.is_video(target.name)]
    if not images:
        raise UserError(f"{arguments.input}: contains no images; videos are not supported")
    todo = outputs.to_write(images, arguments.force)
    if not todo:
        return 0
    limit = translate_files.max_pixels(available_memory() // cores(), True)
    unscaler = partial(unscale_file, side=arguments.cell, is_uneven=arguments.uneven, max_pixels=limit)
    results: list[Unscaled] = []
    crashed = Unscaled("the process crashed, took too long or ran out of memory on it")
    with writing(arguments.output, outputs.RERUN), counting(f"writing into {arguments.output}", len(todo)) as advance:
        for part in parallel_map(unscaler, todo, lambda task: crashed):
            results += part
            advance(len(part))
    print(summary(results))
    failed = [f"{file.shown}: {one.error}" for (file, _), one in zip(todo, results, strict=True) if one.error]
    return outputs.report_failed(failed, len(todo), "read")


def summary(results: Sequence[Unscaled]) -> str:
    """Return a line such as "200 images restored (4x 180, 3x 20); 5 images without a grid written at the same size"."""
    factors = Counter(one.factor for one in results if one.factor)
    rest = sum(not one.error and not one.factor for one in results)
    lines = []
    if factors:
        lines.append(f"{counted(factors.total(), 'image')} restored ({counts(dict(factors.most_common()))})")
    if rest:
        lines.append(f"{counted(rest, 'image')} without a grid written at the same size")
    return "; ".join(lines) or "no image restored"
