"""Names that come from data, as names of files: no string that a file holds leads a command out of its folder.

Also such names in text: a control character in one could write over a terminal's lines.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST_PART = 255  # bytes of a file's or folder's name, on all file systems that are in use
LONGEST = 1024  # bytes of all parts together
KEPT = 80  # characters of a name that is cleaned
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?", re.IGNORECASE)
FORBIDDEN = re.compile(r'[\\:*?"<>|]')  # by Windows, where the first two also lead elsewhere
CLEANED = re.compile(r".*~[0-9a-f]{20}")  # what `file_name` itself makes
UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # the direction of what follows
LONGEST_LINE = 2000  # characters


def file_name(name: str, suffix: str = "") -> str:
    """A relative path below any folder for a name that comes from data, with a suffix such as ".png".

    A name that is safe on every system stays as it is, with "/" between its parts. Of every other one what is harmless
    stays, and a digest follows, so that two names never give one file.
    """
    return name + suffix if is_safe(name, suffix) else cleaned(name) + suffix


def is_safe(name: str, suffix: str = "") -> bool:
    """Whether a name can be a path below a folder, on every system, and is not one that `file_name` has cleaned."""
    if any(unicodedata.category(letter) in UNSEEN for letter in name) or not TURNING.isdisjoint(name):
        return False
    if FORBIDDEN.search(name) or CLEANED.fullmatch(name):
        return False
    *folders, last = name.split("/")
    parts = [*folders, last + suffix]
    if any(len(part.encode()) > LONGEST_PART for part in parts) or len((name + suffix).encode()) > LONGEST:
        return False
    return all(map(_is_plain, [*folders, last])) and not any(map(RESERVED.fullmatch, parts))


def _is_plain(part: str) -> bool:
    """Not empty, not hidden, "." or "..", and without what Windows cuts off at the end."""
    return bool(part) and not part.startswith(".") and not part.endswith((".", " "))


def cleaned(name: str) -> str:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    kept = re.sub(r"[^\w.-]+", "_", name)[:KEPT].strip("._")
    while len(kept.encode()) > LONGEST_PART // 2:
        kept = kept[:-1]
    return f"{kept or '_'}~{digest}"


def one_line(text: object) -> str:
    """Text for one line of a terminal: control characters are spelled out, and too many letters are left out."""
    line = "".join(
        letter if unicodedata.category(letter) not in UNSEEN and letter not in TURNING else ascii(letter)[1:-1]
        for letter in str(text)[: LONGEST_LINE + 1]
    )
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 3] + "..."
