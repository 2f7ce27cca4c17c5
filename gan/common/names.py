"""Convert names from data to safe file names and to printable text.

With these functions, no name makes a command write outside of its folder, and no control character reaches the
terminal.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_PART = 255  # bytes of a file's or folder's name on common file systems
MAX_PATH = 1024  # bytes of all parts together
MAX_CLEANED = 80  # maximum number of characters that a cleaned name keeps
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?", re.IGNORECASE)
FORBIDDEN = re.compile(r'[\\:*?"<>|]')  # on Windows, where the first two also change the folder
CLEANED = re.compile(r".*~[0-9a-f]{20}")  # names that `cleaned` returns
INVISIBLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators
BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # control the direction of text
MAX_LINE = 2000  # characters


def file_name(name: str, suffix: str = "") -> str:
    """Return a safe relative path for a name from data, with a suffix such as ".png".

    A name that is safe on every system stays unchanged, including "/" between its parts. Other names keep only harmless
    characters and get a digest, so that different names give different paths.
    """
    return name + suffix if is_safe(name, suffix) else cleaned(name) + suffix


def is_safe(name: str, suffix: str = "") -> bool:
    """Return whether a name is a valid path below a folder on every system, and not a cleaned name of `file_name`."""
    if any(unicodedata.category(letter) in INVISIBLE for letter in name) or not BIDIRECTIONAL.isdisjoint(name):
        return False
    if FORBIDDEN.search(name) or CLEANED.fullmatch(name):
        return False
    *folders, last = name.split("/")
    parts = [*folders, last + suffix]
    if any(len(part.encode()) > MAX_PART for part in parts) or len((name + suffix).encode()) > MAX_PATH:
        return False
    return all(map(_is_plain, [*folders, last])) and not any(map(RESERVED.fullmatch, parts))


def _is_plain(part: str) -> bool:
    """Return whether a part of a path is safe: not empty, hidden, "." or "..", and not shortened by Windows."""
    return bool(part) and not part.startswith(".") and not part.endswith((".", " "))


def cleaned(name: str) -> str:
    """Return the harmless characters of a name, followed by a digest of the whole name."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    kept = re.sub(r"[^\w.-]+", "_", name)[:MAX_CLEANED].strip("._")
    while len(kept.encode()) > MAX_PART // 2:
        kept = kept[:-1]
    return f"{kept or '_'}~{digest}"


def one_line(text: object) -> str:
    """Return text in one line for a terminal: control characters are escaped, and long text is truncated."""
    line = "".join(
        letter if unicodedata.category(letter) not in INVISIBLE and letter not in BIDIRECTIONAL else ascii(letter)[1:-1]
        for letter in str(text)[: MAX_LINE + 1]
    )
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 3] + "..."


def is_text(value: str) -> bool:
    """Return whether a string can be encoded."""
    try:
        value.encode("utf-8", "surrogateescape")  # names of folders may have any bytes
    except UnicodeEncodeError:
        return False
    return True
