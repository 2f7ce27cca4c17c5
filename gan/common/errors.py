"""The exceptions that users see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """An error that a user can cause and mend: one line that says what, where and what to do."""


class Diverged(UserError):
    """Losses or weights are no longer finite; a sweep counts such a run as infinitely bad."""


def at_least(name: str, value: object, least: int) -> int:
    """`value` if it is a whole number of at least `least`; UserError that names the option otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(f"{name}={value}: a whole number of at least {least}")
    return value


LONGEST = 600  # letters of what is said of an error


def shown(error: object) -> str:
    """A message as it is printed: in one line, control characters spelled out, the middle of a long one left out."""
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in " ".join(str(error).split()))
    if len(line) <= LONGEST:
        return line
    half = (LONGEST - 5) // 2
    return f"{line[:half]} ... {line[-half:]}"


def reason(error: OSError) -> str:
    """Why the system refused: its own words where it has some, else those of whoever raised the error."""
    return error.strerror or shown(error) or type(error).__name__


def of_system(error: OSError) -> str:
    """`path: no space left on device` of an error that nobody has said more about."""
    return f"{error.filename or 'a file'}: {reason(error).lower()}"


@contextmanager
def writing(what: object, then: str = "") -> Iterator[None]:
    """UserError that names a path where the file system does not take what is written to it.

    Args:
        then: what else there is to be said, such as that what is there is whole.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{what}: cannot be written ({reason(error)}){then}") from error


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    known = list(choices)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(known)}" if len(known) < 20 else "see python train.py --help"
