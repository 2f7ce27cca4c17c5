"""Image files in folders and zip archives, as one list: what is where, and the bytes of each."""

from __future__ import annotations

import functools
import os
import posixpath
import stat
import zipfile
from collections.abc import Collection, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

from gan.common.errors import UserError
from gan.data.decoding.decode import DecodedImage, Decoder
from gan.data.decoding.errors import ImageError
from gan.data.decoding.reader import header
from gan.data.sources import labels
from gan.data.sources.folder import CLUTTER, SUFFIXES, scan

MAX_BYTES = 1 << 29  # of one file: what it takes in memory before its pixels are judged
PIECE = 1 << 20  # bytes that are unpacked at a time
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # a few bytes of the others can become gigabytes


class File(NamedTuple):
    """One image file."""

    name: str  # path below its root, "/" between the parts
    root: str  # folder or zip archive
    archived: bool
    stamp: tuple[int, int]  # size in bytes; modification time in ns, or of an archive's member the checksum

    @property
    def path(self) -> str:
        return os.path.join(self.root, self.name)

    @property
    def shown(self) -> str:
        """The path in one line, and such that it moves no cursor."""
        return self.path if self.path.isprintable() else repr(self.path)


def find(roots: Sequence[str], suffixes: Collection[str] = SUFFIXES) -> list[File]:
    """The images below each folder or in each zip archive of `roots`, in that order, each sorted by the bytes of names.

    What counts as an image is `folder.scan`'s rule, with the endings `suffixes`; in archives with its own. Nothing is
    unpacked: names in an archive that lead out of it are harmless, and `content` refuses them.

    Raises UserError where a root is missing, can't be read, is in the list twice, or holds no image.
    """
    doubled = [root for root in roots if [os.path.realpath(r) for r in roots].count(os.path.realpath(root)) > 1]
    if doubled:
        raise UserError(f"data.root: {doubled[0]!r} is there twice; each folder once")
    files: list[File] = []
    for root in roots:
        if os.path.isfile(root) and root.lower().endswith(".zip"):
            files += _members(root)
        else:
            files += [File(name, root, False, _stamp(os.path.join(root, name))) for name in scan(root, suffixes)]
    return files


def single(path: Path) -> File:
    """A file by itself."""
    return File(path.name, str(path.parent), False, (path.stat().st_size, 0))


def content(file: File) -> bytes:
    """All bytes of a file; ImageError where it can't be read."""
    if file.stamp[0] > MAX_BYTES:
        raise ImageError(f"{file.stamp[0]:,} bytes are more than the limit of {MAX_BYTES:,}")
    try:
        return _member(file) if file.archived else _bytes(file.path)
    except ImageError:
        raise
    except Exception as error:  # members that are damaged, encrypted or packed in an unknown way raise nearly anything
        reason = error.strerror if isinstance(error, OSError) else None
        raise ImageError(reason or " ".join(str(error).split())) from error


def _bytes(path: str) -> bytes:
    """All bytes of a regular file, whatever it was when it was found: a pipe would be waited for, a device not end."""
    with open(path, "rb", buffering=0, opener=_without_waiting) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ImageError("it is no file any more")
        return _limited(opened)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _member(file: File) -> bytes:
    """All bytes of an archive's member, and no more than its entry says, which what is packed need not agree with."""
    beyond = file.name.startswith(("/", "..")) or os.path.splitdrive(file.name)[0]
    if beyond or posixpath.normpath(file.name) != file.name:
        raise ImageError("its name leads out of the archive")
    archive = _archive(file.root, os.stat(file.root).st_mtime_ns, os.getpid())
    member = archive.getinfo(file.name)
    if member.compress_type not in PACKINGS:
        raise ImageError(f"its packing, number {member.compress_type}, is not read; make the archive anew with deflate")
    with archive.open(member) as opened:
        return _limited(opened)


def _limited(opened: IO[bytes]) -> bytes:
    data = bytearray()
    while piece := opened.read(PIECE):
        data += piece
        if len(data) > MAX_BYTES:
            raise ImageError(f"more bytes than the limit of {MAX_BYTES:,}")
    return bytes(data)


def _members(archive: str) -> list[File]:
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = {info.filename: info for info in opened.infolist()}  # the last of a name counts
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{archive!r} can't be read as a zip archive ({error})") from error
    images = sorted((name for name in infos if _is_image(name)), key=os.fsencode)
    if not images:
        raise UserError(f"no image in {archive!r} ({len(infos)} other files)")
    return [File(name, archive, True, (infos[name].file_size, infos[name].CRC)) for name in images]


def _stamp(path: str) -> tuple[int, int]:
    """Size and time of a file; of one that has gone since the scan, zeros: reading it gives the reason."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _is_image(name: str) -> bool:
    """The rule of `folder.scan` for a member of an archive; names that lead out of it stay, to be reported."""
    hidden = any(part.lower() in CLUTTER or (part.strip(".") and part.startswith(".")) for part in name.split("/"))
    return not hidden and posixpath.splitext(name)[1].lower() in SUFFIXES


@functools.lru_cache(maxsize=4)
def _archive(path: str, time: int, process: int) -> zipfile.ZipFile:
    """An open archive of this process: processes that share a file also share its position."""
    return zipfile.ZipFile(path)


class ImageFiles:
    """Files as a source of pictures for `cache.decoded`."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.files = find(roots)
        self.where = ", ".join(roots)
        self.title = f"decoding {self.where}"
        self.identity: Any = sorted(os.path.abspath(root) for root in roots)
        self.keys = [os.path.abspath(file.root) + "/" + file.name for file in self.files]
        self.names = [file.name for file in self.files]
        self.stamps = [list(file.stamp) for file in self.files]

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files}  # what processes need

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return labels.read(option, self.names)

    def content(self, index: int) -> bytes:
        return content(self.files[index])

    def count(self, data: bytes, decoder: Decoder) -> int:
        return header(BytesIO(data), decoder.max_pixels).frames

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[DecodedImage]:
        return decoder(BytesIO(data))


def mode(source: Any, index: int) -> str:
    """Pillow's mode of a file of a source; empty where it cannot be read."""
    try:
        return header(BytesIO(source.content(index))).mode
    except ImageError:
        return ""
