"""Exceptions that users see, and their text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MAX_LENGTH = 600  # characters of a printed message


class UserError(Exception):
    """An error that a user can cause and fix; one line: what is wrong, where, and what to do."""


class Diverged(UserError):
    """Losses or weights are no longer finite. A sweep gives such a run the objective inf."""


def at_least(name: str, value: object, minimum: int) -> int:
    """`value`, if it is an integer of at least `minimum`; otherwise raise UserError with the option's name."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise UserError(f"{name}={value}: must be an integer of at least {minimum}")
    return value


def to_line(error: object) -> str:
    """A message in one line: control characters are escaped, the middle of a long message is left out."""
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in " ".join(str(error).split()))
    if len(line) <= MAX_LENGTH:
        return line
    half = (MAX_LENGTH - 5) // 2
    return f"{line[:half]} ... {line[-half:]}"


def reason(error: OSError) -> str:
    """The system's message of an OSError; the exception's own text or type if there is none."""
    return error.strerror or to_line(error) or type(error).__name__


def describe_os_error(error: OSError) -> str:
    """`path: no space left on device`, for an OSError that no other code has explained."""
    return f"{error.filename or 'a file'}: {reason(error).lower()}"


@contextmanager
def writing(what: object, then: str = "") -> Iterator[None]:
    """Turn an OSError into a UserError that names the path that could not be written.

    Args:
        then: appended to the message, for example that existing files are unchanged.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{what}: cannot be written ({reason(error)}){then}") from error


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """`did you mean X or Y?`; all choices if none is similar and they are few."""
    known = list(choices)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose from {', '.join(known)}" if len(known) < 20 else "see python train.py --help"
