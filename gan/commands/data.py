"""Check a folder of images before training, restore enlarged pixel art, pack images as shards, and manage the cache."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from gan.commands import options, unscale
from gan.commands.options import add_command
from gan.commands.unscale import add_unscale
from gan.common.errors import UserError, to_line, writing
from gan.common.progress import counting
from gan.common.table import counted
from gan.networks.grid import base_grid
from gan.run.run_folder import is_run
from gan.settings import parse_size

MAX_LINES = 10  # of each list in the printed report; --json has all
SHEET_IMAGES = 64
SHEET = "gan data check"  # in the sheet's metadata, so that a later check may replace it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", required=True, metavar="COMMAND")
    check = add_command(parts, "check", "report on a folder of images and suggest options; changes no files")
    check.add_argument("roots", nargs="+", metavar="FOLDER", help="folder or zip archive of images")
    options.add_size(check, "training size", "suggested from the images")
    check.add_argument("--sheet", type=Path, metavar="PNG", help="file for a contact sheet of the training images; "
                       "the sheet of an earlier check is replaced")  # fmt: skip
    check.add_argument("--json", action="store_true", help="print the whole report as JSON")
    add_unscale(parts)
    pack = add_command(parts, "pack", "write images as shards for data=stream")
    pack.add_argument("roots", nargs="+", metavar="FOLDER", help="folder or zip archive of images")
    options.add_out(pack, "folder of the shards; new or empty")
    options.add_size(pack, "size of the images", default="64")
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
    if arguments.part == "unscale":
        return unscale.run(arguments)
    if arguments.part == "check":
        return check(arguments)
    if arguments.part == "pack":
        pack_shards(arguments)
    elif arguments.clear:
        clear_cache()
    else:
        list_cache()
    return None


def check(arguments: argparse.Namespace) -> int | None:
    from gan.data.checks.report import command, inspect_files, others, summarize
    from gan.data.sources.files import find

    size = parse_size(arguments.size) if arguments.size else None
    if size:
        base_grid(size)  # which the networks accept
    for root in arguments.roots:
        if is_run(Path(root)):
            raise UserError(f"{root}: is the folder of a run; give a folder of images")
    if arguments.sheet:
        check_sheet(arguments.sheet, arguments.roots)
    with redirect_stdout(sys.stderr):  # keep standard output for the report
        files = find(arguments.roots)
        with counting("decoding " + ", ".join(arguments.roots), len(files)) as advance:
            facts = inspect_files(files, advance)
        report = {"folder": arguments.roots, "others": others(arguments.roots)} | summarize(files, facts, size)
        if "suggestion" in report:
            report["suggestion"]["command"] = command(arguments.roots, report["suggestion"])
            if arguments.sheet:
                draw_sheet(files, facts, report["suggestion"], arguments.sheet)
    print(json.dumps(report, indent=2) if arguments.json else as_text(report))
    return None if report["readable"] else options.SOME_UNREADABLE


def check_sheet(path: Path, roots: Sequence[str]) -> None:
    """Raise UserError if a contact sheet would replace another file, or would be an image of the checked folders."""
    from gan.images.files import software_of

    if path.exists() and software_of(path) != SHEET:
        raise UserError(f"--sheet {path}: exists already and is not a contact sheet of this command; give another name")
    for root in roots:
        if Path(root).is_dir() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
            raise UserError(f"--sheet {path}: is in {root} and would be read as an image; give a path outside of it")


def draw_sheet(files: Sequence[Any], facts: Sequence[Any], suggestion: dict[str, Any], path: Path) -> None:
    """Save a contact sheet of evenly spaced images, decoded with the suggested options; RGBA is on a checkerboard."""
    import numpy as np
    import torch

    from gan.data.decoding.decode import Decoder
    from gan.data.decoding.pool import CRASHED, parallel_map
    from gan.data.first_frame import Decoded, decode
    from gan.images.convert import grid, save_png

    decoder = Decoder(tuple(suggestion["size"]), **{name: suggestion[name] for name in ("channels", "fit", "resample")})
    good = [file for file, fact in zip(files, facts, strict=True) if not fact.error]
    chosen = [good[int(row)] for row in np.linspace(0, len(good) - 1, min(SHEET_IMAGES, len(good))).round()]
    parts = parallel_map(partial(decode, decoder), chosen, lambda file: Decoded(error=CRASHED))
    found = [image.pixels for part in parts for image in part if image.pixels is not None]
    images = np.stack(found)  # (N, C, H, W)
    if decoder.channels == 4:
        rows, columns = np.indices(images.shape[2:])
        board = np.where((rows // 4 + columns // 4) % 2, 170, 220)
        images = (images[:, :3] + board * (255 - images[:, 3:].astype(np.int64)) // 255).astype(np.uint8)
    with writing(f"--sheet {path}"):
        save_png(grid(torch.from_numpy(images)), path, {"Software": SHEET})
    print(f"contact sheet: {path}")


def as_text(report: dict[str, Any]) -> str:
    """Return the report as text."""
    lines = [f"{', '.join(report['folder'])}: {counted(report['files'], 'image')}, {report['readable']:,} readable"]
    lines += listed("cannot be read", [f"{path!r}: {reason}" for path, reason in report["unreadable"].items()])
    if report["others"]:
        lines += [f"other files, which are ignored: {counts(report['others'])}"]
    if "suggestion" not in report:
        return "\n".join(lines)
    sides, shape = report["sides"], report["height_to_width"]
    lines += [
        f"formats: {counts(report['formats'])}",
        f"modes: {counts(report['modes'])}",
        f"sizes (width x height): {counts(report['sizes'])}",
        "width {min:g} to {max:g}, median {median:g}".format(**sides["width"])
        + "; height {min:g} to {max:g}, median {median:g}".format(**sides["height"]),
        "height / width: " + ", ".join(f"{value:g} ({quantile})" for quantile, value in shape.items()),
        f"with transparent pixels: {report['transparent']:,}; gray: {report['gray']:,}; "
        f"pixel art: {report['sprites']:,}",
    ]
    lines += enlarged(report)
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
        "flip": str(suggestion["flip"]).lower(),
        "split": suggestion["split"] or "null",
        "labels": str(suggestion["labels"]).lower(),
    }
    lines += [f"  data.{name}={shown[name]}: {reason}" for name, reason in suggestion["reasons"].items()]
    if start := suggestion["start"]:
        lines += [f"on a CPU, if your images are similar to those of `gan zoo {start}`, add init_from=zoo:{start}"]
    return "\n".join([*lines, "", suggestion["command"]])


def enlarged(report: dict[str, Any]) -> list[str]:
    """Return the lines about enlarged pixel art."""
    found = report["enlarged"]
    if not found["images"]:
        return []
    among = f" of {found['searched']:,} searched images" if found["searched"] < report["readable"] else ""
    folders = report["folder"] if len(report["folder"]) == 1 else ["FOLDER"]
    return [
        f"enlarged pixel art: {found['images']:,}{among} ({counts(found['sizes'])}); restore it with "
        + shlex.join(["gan", "data", "unscale", *folders, "OUTPUT"])
    ]


def listed(title: str, lines: Sequence[str], count: int | None = None) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - MAX_LINES:,} more (--json has all)"] if len(lines) > MAX_LINES else []
    title = f"{title}: {len(lines) if count is None else count:,}"
    return [title, *(f"  {line}" for line in lines[:MAX_LINES]), *more]


def counts(table: dict[str, int]) -> str:
    """Return a table as text, such as "PNG 12, JPEG 3". A long table ends with the number of omitted entries."""
    shown = list(table.items())[:MAX_LINES]
    rest = [f"{len(table) - MAX_LINES:,} more"] if len(table) > MAX_LINES else []
    return ", ".join([*(f"{name} {count:,}" for name, count in shown), *rest])


def pack_shards(arguments: argparse.Namespace) -> None:
    from gan.data.checks.report import train_command
    from gan.data.decoding.decode import Decoder
    from gan.data.decoding.pool import cores
    from gan.data.shards.pack import pack

    size = parse_size(arguments.size)
    decoding = {name: getattr(arguments, name) for name in ("channels", "fit", "resample", "frames")}
    written = pack(arguments.roots, arguments.out, Decoder(size, **decoding), arguments.labels, cores())
    words = ["data=stream", f"data.root={arguments.out}", f"data.size=[{size[0]},{size[1]}]"]
    words += [f"data.channels={arguments.channels}"]
    print(f"{written:,} images in {arguments.out}; to train on them:\n\n" + train_command(words))


def list_cache() -> None:
    from gan.data.decoding import cache_index

    entries = cache_index.listing()
    print(
        f"{cache_index.folder()}: {sum(entry.size for entry in entries) / 1e6:,.1f} MB of pixels in {len(entries)} sets"
    )
    for entry in entries:
        height, width, channels = entry.about.get("shape", (0, 0, 0))
        where = to_line(", ".join(map(str, entry.about.get("source", ["unfinished"]))))
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        print(
            f"  {entry.size / 1e6:10,.1f} MB  {entry.items:9,} images  {height}x{width}x{channels}"
            f"  last used {day}  {where}"
        )
    print(f"  {cache_index.part_size(cache_index.FEATURES) / 1e6:10,.1f} MB  features of real images")
    print(f"  {cache_index.part_size(cache_index.SHARDS) / 1e6:10,.1f} MB  shards of data=stream")
    print(f"  {cache_index.part_size(cache_index.RUNS) / 1e6:10,.1f} MB  runs in object storage")


def clear_cache() -> None:
    from gan.data.decoding import cache_index

    size = cache_index.total_size()
    cache_index.clear()
    print(f"{cache_index.folder()}: {size / 1e6:,.1f} MB removed")
