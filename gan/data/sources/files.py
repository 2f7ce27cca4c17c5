"""List image files in folders and zip archives, and read their bytes."""

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

MAX_BYTES = 1 << 29  # maximum size of a file, which is read into memory before its header is checked
PIECE = 1 << 20  # bytes read at a time
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

    Files that count as images are those of `folder.scan`, in folders with the extensions `suffixes`. Archives are not
    unpacked, so that member names which point outside the archive do no harm; `content` rejects them.

    Raises:
        UserError: a root is missing, cannot be read, is listed twice, or has no image.
    """
    doubled = [root for root in roots if [os.path.realpath(r) for r in roots].count(os.path.realpath(root)) > 1]
    if doubled:
        raise UserError(f"data.root: {doubled[0]!r} is listed twice; list each folder once")
    files: list[File] = []
    for root in roots:
        if os.path.isfile(root) and root.lower().endswith(".zip"):
            files += _members(root)
        else:
            files += [File(name, root, False, _stamp(os.path.join(root, name))) for name in scan(root, suffixes)]
    return files


def single(path: Path) -> File:
    """Return the `File` of one path."""
    return File(path.name, str(path.parent), False, (path.stat().st_size, 0))


def content(file: File) -> bytes:
    """Return all bytes of a file; raise ImageError if it cannot be read."""
    if file.stamp[0] > MAX_BYTES:
        raise ImageError(f"{file.stamp[0]:,} bytes are more than the limit of {MAX_BYTES:,}")
    try:
        return _member(file) if file.archived else _bytes(file.path)
    except ImageError:
        raise
    except Exception as error:  # damaged, encrypted or unusually compressed members raise nearly anything
        reason = error.strerror if isinstance(error, OSError) else None
        raise ImageError(reason or " ".join(str(error).split())) from error


def _bytes(path: str) -> bytes:
    """Return all bytes of a regular file. Pipes and devices are refused, because reading them may never end."""
    with open(path, "rb", buffering=0, opener=_open_nonblocking) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ImageError("it is no longer a regular file")
        return _read_limited(opened)


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _member(file: File) -> bytes:
    """Return all bytes of an archive's member, up to the limit: the size in the archive's directory may be wrong."""
    outside = file.name.startswith(("/", "..")) or os.path.splitdrive(file.name)[0]
    if outside or posixpath.normpath(file.name) != file.name:
        raise ImageError("its name points outside the archive")
    archive = _archive(file.root, os.stat(file.root).st_mtime_ns, os.getpid())
    member = archive.getinfo(file.name)
    if member.compress_type not in COMPRESSIONS:
        raise ImageError(
            f"compression method {member.compress_type} is not supported; create the archive again with deflate"
        )
    with archive.open(member) as opened:
        return _read_limited(opened)


def _read_limited(opened: IO[bytes]) -> bytes:
    data = bytearray()
    while piece := opened.read(PIECE):
        data += piece
        if len(data) > MAX_BYTES:
            raise ImageError(f"more bytes than the limit of {MAX_BYTES:,}")
    return bytes(data)


def _members(archive: str) -> list[File]:
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = {info.filename: info for info in opened.infolist()}  # the last member with a name counts
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{archive!r} cannot be read as a zip archive ({error})") from error
    images = sorted((name for name in infos if is_image(name)), key=os.fsencode)
    if not images:
        raise UserError(f"no image in {archive!r} ({len(infos)} other files)")
    return [File(name, archive, True, (infos[name].file_size, infos[name].CRC)) for name in images]


def _stamp(path: str) -> tuple[int, int]:
    """Return size and modification time of a file; zeros if it no longer exists, which reading it reports."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def is_image(name: str) -> bool:
    """Return whether a member of an archive is an image, by the rules of `folder.scan`.

    Members whose names point outside the archive are included, so that they are reported.
    """
    hidden = any(part.lower() in CLUTTER or (part.strip(".") and part.startswith(".")) for part in name.split("/"))
    return not hidden and posixpath.splitext(name)[1].lower() in SUFFIXES


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
        return labels.read(option, self.names)

    def content(self, index: int) -> bytes:
        return content(self.files[index])

    def count(self, data: bytes, decoder: Decoder) -> int:
        return header(BytesIO(data), decoder.max_pixels).frames

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[DecodedImage]:
        return decoder(BytesIO(data))


def mode(source: Any, index: int) -> str:
    """Return Pillow's mode of a file of a source; an empty string if it cannot be read."""
    try:
        return header(BytesIO(source.content(index))).mode
    except ImageError:
        return ""
