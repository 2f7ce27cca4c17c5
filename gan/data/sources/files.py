"""Image files in folders and zip archives: list them, read them, and find their classes."""

from __future__ import annotations

import csv
import functools
import io
import os
import posixpath
import stat
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gan.data.decoding.decode import Decoder
from gan.data.decoding.pool import CRASHED, parallel_map
from gan.data.decoding.reader import MAX_PIXELS, PHONE, ImageError, read_first_frame
from gan.utils.errors import UserError, path_hint, reason, to_line
from gan.utils.output import first_few, print_line
from gan.utils.untrusted import parse_json, read_bytes

_OLD = (".pcx", ".ppm", ".pgm", ".pbm", ".pnm")  # of old programs and games
_NEW = (".webp", ".avif", *PHONE)
SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".tif", ".tiff", *_OLD, *_NEW))
CLUTTER: frozenset[str] = frozenset(("__macosx", "thumbs.db", "desktop.ini", "@eadir"))  # created by operating systems
GRID, IN_RECORD = "grid.png", b'"kind":"grid"'  # name of the file that --grid writes, and part of its record
MAX_LISTED = 3  # grids
MAX_BYTES = 1 << 29  # maximum size of a file, which is read into memory before its header is checked
MAX_TABLE = 128 << 20  # maximum size of a table of labels in bytes; enough for some millions of files
PIECE = 1 << 20  # bytes of an archive's member to read at a time
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # other methods can expand a few bytes to gigabytes


class File(NamedTuple):
    """One image file."""

    name: str  # path relative to its root, with "/" as the separator
    root: str  # folder or zip archive
    archived: bool
    stamp: tuple[int, int]  # size in bytes, and modification time in ns or the checksum of an archive's member

    @property
    def path(self) -> str:
        return os.path.join(self.root, self.name)

    @property
    def shown(self) -> str:
        """The path for messages, in one line and without control characters."""
        return self.path if self.path.isprintable() else repr(self.path)


def find(roots: Sequence[str], suffixes: Collection[str] = SUFFIXES) -> list[File]:
    """Return the images of the folders and zip archives `roots`: sorted in each root by the bytes of their names.

    Files that count as images are those of `scan`, in folders with the extensions `suffixes`. Archives are not
    unpacked, so that member names which point outside the archive do no harm; `content` rejects them. Grids that the
    program wrote are left out.
    """
    real = [os.path.realpath(root) for root in roots]
    if doubled := next((root for number, root in enumerate(roots) if real[number] in real[:number]), None):
        raise UserError(f"data.root: {doubled!r} is listed twice; list each folder once")
    files: list[File] = []
    for root in roots:
        archived = os.path.isfile(root) and root.lower().endswith(".zip")
        images = without_grids(_members(root) if archived else scan(root, suffixes))
        if not images:
            known = ", ".join(sorted(suffixes))
            raise UserError(f"no image in {root!r}: use a folder or zip archive with files of type {known}")
        files += images
    return files


def without_grids(files: list[File]) -> list[File]:
    """Return the files without the grids of `--grid`, which show other images of the folder, and print their names."""
    grids = tuple(file for file in files if is_grid(file))
    report_grids(grids)
    return [file for file in files if file not in grids]


def is_grid(file: File) -> bool:
    """Return whether a file is a grid that the program wrote: its record says so, which PNG has before the pixels.

    Only files with the name of such grids are opened, because a folder may have many thousands of images.
    """
    if posixpath.basename(file.name) != GRID:
        return False
    with suppress(ImageError):  # reported when the image is decoded
        return IN_RECORD in content(file).partition(b"IDAT")[0]
    return False


@functools.cache
def report_grids(grids: tuple[File, ...]) -> None:
    """Print the grids that are left out, once for each folder, which some commands list twice."""
    if grids:
        names = first_few([file.shown for file in grids], MAX_LISTED)
        print_line(f"skipped: {names}, written by --grid; to use a grid as an image, rename it")


def single(path: Path) -> File:
    return File(path.name, str(path.parent), False, (path.stat().st_size, 0))


def content(file: File) -> bytes:
    """Return all bytes of a file; raise ImageError if it cannot be read."""
    if file.stamp[0] > MAX_BYTES:
        raise ImageError(f"{file.stamp[0]:,} bytes are more than the limit of {MAX_BYTES:,}")
    try:
        return _member(file) if file.archived else read_bytes(Path(file.path), MAX_BYTES)
    except ImageError:
        raise
    except Exception as error:  # damaged, encrypted or unusually compressed members raise nearly anything
        raise ImageError(reason(error) if isinstance(error, OSError) else to_line(error)) from error


def _member(file: File) -> bytes:
    """Return all bytes of an archive's member, up to the limit: the size in the archive's directory may be wrong."""
    outside = file.name.startswith(("/", "..")) or os.path.splitdrive(file.name)[0]
    if outside or posixpath.normpath(file.name) != file.name:
        raise ImageError("its name points outside the archive")
    archive = _archive(file.root, os.stat(file.root).st_mtime_ns, os.getpid())
    member = archive.getinfo(file.name)
    if member.compress_type not in COMPRESSIONS:
        raise ImageError(f"compression method {member.compress_type} is not supported; create an archive with deflate")
    data = bytearray()
    with archive.open(member) as opened:
        while piece := opened.read(PIECE):
            data += piece
            if len(data) > MAX_BYTES:
                raise ImageError(f"more bytes than the limit of {MAX_BYTES:,}")
    return bytes(data)


@functools.lru_cache(maxsize=4)
def _archive(path: str, time: int, process: int) -> zipfile.ZipFile:
    """Return an archive opened by this process, because forked processes would share the position in the file."""
    return zipfile.ZipFile(path)


class ImageFiles:
    """Image files, as a source for `cache.load_images`."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.files = find(roots)
        self.where = ", ".join(roots)
        self.title = f"decoding {self.where}"
        self.identity: Any = sorted(os.path.abspath(root) for root in roots)
        self.keys = [os.path.abspath(file.root) + "/" + file.name for file in self.files]
        self.names = [file.name for file in self.files]
        self.stamps = [list(file.stamp) for file in self.files]

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files}  # workers need no other attributes

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return read_labels(option, self.names)

    def content(self, index: int) -> bytes:
        return content(self.files[index])

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        return decoder(BytesIO(data))


# ---- folders


def scan(root: str | os.PathLike[str], suffixes: Collection[str] = SUFFIXES) -> list[File]:
    """Return the images below a folder, in the same order on every machine: sorted by the bytes of their names.

    An image is a regular file with one of `suffixes` in upper or lower case. Hidden names, CLUTTER and broken links are
    skipped. Links to files and folders are followed, but each folder is read once, so that loops end. Each linked file
    counts once, under its own name if that is below `root`, so that it cannot be on both sides of a split. Names that
    are invalid in the file system's encoding are kept as in Python (surrogateescape).

    Raises:
        UserError: a folder is missing or cannot be read, or there is no image.
    """
    entries = []
    for name in _walk(os.fspath(root)):
        if os.path.splitext(name)[1].lower() not in suffixes:
            continue
        with suppress(OSError):  # a link to nowhere, or a file that was removed
            path = os.path.join(root, name)
            status = os.lstat(path)
            link = stat.S_ISLNK(status.st_mode)
            status = os.stat(path) if link else status
            if stat.S_ISREG(status.st_mode):
                entries.append((link, os.fsencode(name), name, status))
    files = []
    taken: set[tuple[int, int]] = set()
    for link, _, name, status in sorted(entries, key=lambda entry: entry[:2]):  # links last
        identity = status.st_dev, status.st_ino
        if not link or identity not in taken:
            taken.add(identity)
            files.append(File(name, os.fspath(root), False, (status.st_size, status.st_mtime_ns)))
    return sorted(files, key=lambda file: os.fsencode(file.name))


def _walk(root: str) -> Iterator[str]:
    """Yield the paths of all files from the root, with "/". Each folder is read once."""
    seen: set[tuple[int, int]] = set()
    with suppress(OSError):  # os.walk reports what is wrong with the root
        seen.update((status.st_dev, status.st_ino) for status in map(os.stat, Path(os.path.realpath(root)).parents))
    pending = [root]  # links to folders are read last, so that folders keep their own names
    while pending:
        for folder, folders, names in os.walk(pending.pop(0), onerror=_refuse):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = [name for name in folders if not is_hidden(name)]
            pending += filter(os.path.islink, (os.path.join(folder, name) for name in folders))
            prefix = "" if folder == root else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
            yield from (prefix + name for name in names if not is_hidden(name))
        pending.sort(key=os.fsencode)


def is_hidden(name: str) -> bool:
    """Return whether a part of a path is hidden or clutter. Paths that point outside are reported instead."""
    return any(part.lower() in CLUTTER or (part.strip(".") and part.startswith(".")) for part in name.split("/"))


def _refuse(error: OSError) -> None:
    if isinstance(error, FileNotFoundError):
        kind = "file" if os.path.splitext(error.filename)[1] else "folder"
        hint = path_hint(error.filename) or ": check the path"
        raise UserError(f"there is no {kind} {error.filename!r}{hint}") from error
    raise UserError(f"folder {error.filename!r} cannot be read ({reason(error)})") from error


# ---- archives


def _members(archive: str) -> list[File]:
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = {info.filename: info for info in opened.infolist()}  # the last member with a name counts
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{archive!r} cannot be read as a zip archive ({error})") from error
    images = [name for name in infos if posixpath.splitext(name)[1].lower() in SUFFIXES and not is_hidden(name)]
    images.sort(key=os.fsencode)
    return [File(name, archive, True, (infos[name].file_size, infos[name].CRC)) for name in images]


# ---- classes


def read_labels(option: bool | str, names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the names of the classes, and the label (index of the class) of each file.

    Classes of a table are sorted as numbers if all are integers, other classes by the bytes of their names.

    Args:
        option: False for no classes; True if sub-folders are classes, with all images below them; or the path of a
            table: CSV with the columns file and label, with or without a header, or JSON: {file: label},
            [{"file": ..., "label": ...}], or {"labels": [[file, label], ...]} as in StyleGAN's datasets.
        names: paths of the files from the data folder, with "/" as the separator.
    """
    if option is False:
        return [], [0] * len(names)
    of_files = _from_folders(names) if option is True else _from_table(str(option), names)
    classes = set(of_files)
    if len(classes) < 2:
        only = f"only one, {next(iter(classes))!r}" if classes else "none"
        raise UserError(f"data.labels needs two or more classes, such as sub-folders, but there is {only}")
    whole = option is not True and all(name.lstrip("-").isdecimal() for name in classes)
    ordered = sorted(classes, key=int) if whole else sorted(classes, key=os.fsencode)
    labels = {name: label for label, name in enumerate(ordered)}
    return ordered, [labels[name] for name in of_files]


def _from_folders(names: Sequence[str]) -> list[str]:
    folders = [name.partition("/")[0] if "/" in name else None for name in names]
    if None in folders and any(folders):
        stray = names[folders.index(None)]
        raise UserError(f"{stray!r} is not in a class folder: move it into one, or out of the folder")
    return [folder for folder in folders if folder is not None]


def _from_table(path: str, names: Sequence[str]) -> list[str]:
    table: dict[str, str] = {}
    try:
        for file, label in _rows(path):
            if table.setdefault(file, label) != label:
                raise ValueError(f"{file!r} has two labels, {table[file]!r} and {label!r}")
        if missing := [name for name in names if name not in table]:
            raise ValueError(
                f"{len(missing)} of {len(names)} images are missing, such as {missing[0]!r}; "
                "use paths relative to data.root, with / between folders"
            )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        why = f"cannot be read as a table of files and labels ({reason(error)})"
        raise UserError(f"data.labels={path}: {why}") from error
    return [table[name] for name in names]


def _rows(path: str) -> Iterator[tuple[str, str]]:
    text = read_bytes(Path(path), MAX_TABLE).decode("utf-8-sig", "surrogateescape")
    if path.lower().endswith(".json"):
        table: Any = parse_json(text)
        table = table["labels"] if isinstance(table, dict) and isinstance(table.get("labels"), list) else table
        rows = table.items() if isinstance(table, dict) else table
    else:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        if rows and [cell.strip().lower() for cell in rows[0]] == ["file", "label"]:
            del rows[0]
    for number, row in enumerate(rows, 1):
        pair = [row["file"], row["label"]] if isinstance(row, dict) else row
        if len(pair) != 2 or any(isinstance(cell, list | dict) for cell in pair):
            raise ValueError(f"entry {number} is not a file and a label")
        yield str(pair[0]).strip(), str(pair[1]).strip()


# ---- the first image of a file, in other processes


class Decoded(NamedTuple):
    """A decoded image."""

    pixels: np.ndarray | None = None  # uint8 (C, H, W); None if the file could not be read
    error: str = ""  # why the file could not be read
    size: tuple[int, int] = (0, 0)  # width and height of the upright image in the file
    mode: str = ""  # RGB or RGBA


def first_image(file: File, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return the first image of a file, upright and in sRGB; raise ImageError if it cannot be read."""
    return read_first_frame(BytesIO(content(file)), max_pixels)


def decode(decoder: Decoder, file: File) -> Decoded:
    try:
        image = first_image(file, decoder.max_pixels)
        return Decoded(decoder.fit_image(image).copy(), "", image.size, image.mode)
    except ImageError as error:
        return Decoded(error=str(error))


def decode_all(decoder: Decoder, files: Sequence[File]) -> Iterator[Decoded]:
    """Yield the first image of each file, decoded on all cores."""
    for part in parallel_map(functools.partial(decode, decoder), files, lambda file: Decoded(error=CRASHED)):
        yield from part
