"""List the images of a folder in the same order on every machine."""

import heapq
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

from gan.common.errors import UserError, reason
from gan.common.output import counted

_OLD = (".tga", ".pcx", ".ppm", ".pgm", ".pbm", ".pnm")  # of old programs and games
SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", *_OLD))
CLUTTER: frozenset[str] = frozenset(("__macosx", "thumbs.db", "desktop.ini", "@eadir"))  # created by operating systems


def scan(root: str | os.PathLike[str], suffixes: Collection[str] = SUFFIXES) -> list[str]:
    """Return the images below `root`: relative paths with "/", sorted by their bytes.

    An image is a regular file with one of `suffixes` in upper or lower case. Hidden names, CLUTTER and broken links are
    skipped. Links to files and folders are followed, but each folder is read once, so that loops end. Each linked file
    counts once, under its own name if that is below `root`. Names that are invalid in the file system's encoding are
    kept as in Python (surrogateescape).

    Raises:
        UserError: a folder is missing or cannot be read, or there is no image.
    """
    files: list[str] = []
    links: list[tuple[bytes, str, os.DirEntry[str]]] = []
    taken: set[tuple[int, int]] = set()  # device and inode
    others = 0
    for name, entry, device in _walk(os.fspath(root)):
        if not _is(entry.is_file):
            continue
        if os.path.splitext(entry.name)[1].lower() not in suffixes:
            others += 1
        elif entry.is_symlink():
            links.append((os.fsencode(name), name, entry))
        else:
            files.append(name)
            taken.add((device, entry.inode()))
    for _, name, entry in sorted(links, key=lambda link: link[0]):
        status = entry.stat()  # the status of its target, cached by is_file
        if (status.st_dev, status.st_ino) not in taken:
            files.append(name)
            taken.add((status.st_dev, status.st_ino))
    if not files:
        raise no_image(root, others, suffixes)
    return sorted(files, key=os.fsencode)


def check_images(root: str | os.PathLike[str], most: int = 100_000) -> None:
    """Raise UserError, as `scan` does, if a folder has no image. Stop at the first image, or after `most` other files.

    A folder of another million files is left to `scan`.
    """
    others = 0
    for _, entry, _ in _walk(os.fspath(root)):
        if _is(entry.is_file):
            if os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                return
            others += 1
        if others == most:
            return
    raise no_image(root, others)


def no_image(root: str | os.PathLike[str], others: int, suffixes: Collection[str] = SUFFIXES) -> UserError:
    """Return the error for a folder without an image."""
    where, known = os.fspath(root), ", ".join(sorted(suffixes))
    found = counted(others, "other file") if others else "it is empty"
    return UserError(f"no image in {where!r} ({found}): use a folder with files of type {known}")


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is skipped."""
    return name.startswith(".") or name.lower() in CLUTTER


def _walk(root: str) -> Iterator[tuple[str, os.DirEntry[str], int]]:
    """Yield all files: path from the root, entry, and device of the folder. Each folder is read once."""
    seen = _above(root)
    own = [(root, "")]  # folders to read: path, and prefix of the names in it
    linked: list[tuple[bytes, str, str]] = []  # a heap, read last, so that folders keep their own names
    while own or linked:
        folder, prefix = own.pop() if own else heapq.heappop(linked)[1:]
        entries, status = _read(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if is_hidden(entry.name):
                continue
            name = prefix + entry.name
            if not _is(entry.is_dir):
                yield name, entry, status.st_dev
            elif entry.is_symlink():
                heapq.heappush(linked, (os.fsencode(name), entry.path, name + "/"))
            else:
                own.append((entry.path, name + "/"))


def _above(root: str) -> set[tuple[int, int]]:
    """Return device and inode of each parent folder of `root`."""
    found = set()
    with suppress(OSError, ValueError):  # _read reports what is wrong with the root
        for parent in Path(os.path.realpath(root)).parents:
            status = os.stat(parent)
            found.add((status.st_dev, status.st_ino))
    return found


def _read(folder: str) -> tuple[list[os.DirEntry[str]], os.stat_result]:
    try:
        with os.scandir(folder) as entries:
            return list(entries), os.stat(folder)
    except FileNotFoundError as error:
        kind = "file" if os.path.splitext(folder)[1] else "folder"
        raise UserError(f"there is no {kind} {folder!r}: check the path") from error
    except NotADirectoryError as error:
        raise UserError(f"{folder!r} is a file: use the folder that contains it") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        why = reason(error) if isinstance(error, OSError) else error
        raise UserError(f"folder {folder!r} cannot be read ({why}): fix its permissions, or move it away") from error


def _is(query: Callable[[], bool]) -> bool:
    """Return the result of a query of a DirEntry; False for a link that is circular or cannot be followed."""
    try:
        return query()
    except OSError:
        return False
