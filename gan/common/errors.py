"""Exceptions that users see, and their text."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from gan.common.program import train_command

EPSILON = 2**-52
MAX_LENGTH = 600  # characters of a printed message


class UserError(Exception):
    """An error that users can fix. Its message is one line: what is wrong, where, and what to do."""


class Diverged(UserError):
    """Losses or weights are no longer finite. A sweep gives such a job the objective inf."""


def at_least(name: str, value: object, minimum: int) -> int:
    """Return `value` if it is an integer of at least `minimum`; otherwise raise UserError with the option's name."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise UserError(f"{name}={shown(value)}: must be an integer of at least {minimum}")
    return value


def shown(value: object) -> str:
    """Return a value for messages. Text that looks like a number has quotes."""
    return repr(value) if isinstance(value, str) and value.lstrip("-").isdecimal() else str(value)


def fraction(name: str, value: object, below_one: bool = False) -> float:
    """Return `value` if it is a number in 0..1, less than 1 with `below_one`; otherwise raise UserError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 - below_one * EPSILON:
        return value
    raise UserError(f"{name}={value}: must be a number from 0 to 1" + ", and less than 1" * below_one)


def choice(name: str, value: object, choices: Collection[str]) -> str:
    """Return `value` if it is one of the choices; otherwise raise UserError with the option's name."""
    if not isinstance(value, str) or value not in choices:
        raise UserError(f"{name}={shown(value)}: unknown; use {', '.join(choices)}")
    return value


def switch(name: str, value: object) -> bool:
    """Return `value` if it is True or False; otherwise raise UserError with the option's name."""
    if not isinstance(value, bool):
        raise UserError(f"{name}={value}: must be true or false")
    return value


def to_line(error: object) -> str:
    """Return a message in one line: control characters are escaped, and the middle of a long message is omitted."""
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in " ".join(str(error).split()))
    if len(line) <= MAX_LENGTH:
        return line
    half = (MAX_LENGTH - 5) // 2
    return f"{line[:half]} ... {line[-half:]}"


def reason(error: OSError) -> str:
    """Return the system's message of an OSError; if there is none, the text or type of the exception."""
    return error.strerror or to_line(error) or type(error).__name__


def describe_os_error(error: OSError) -> str:
    """Return a line such as `path: no space left on device` for an OSError."""
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


def did_you_mean(name: str, choices: Iterable[str], otherwise: str | None = None, n: int = 3) -> str:
    """Return a hint: `did you mean X or Y?`, with at most `n` names.

    If no choice is similar, return `otherwise`, or if it is None, all choices if they are few.
    """
    known = {each.lower(): each for each in choices}
    near = difflib.get_close_matches(name.strip().lower(), known, n=n, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(known[each] for each in near)}?"
    if otherwise is not None:
        return otherwise
    return f"choose from {', '.join(known.values())}" if len(known) < 20 else f"see {train_command()} --help"
