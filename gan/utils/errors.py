"""Exceptions that users see, their text, and what to type instead."""

from __future__ import annotations

import difflib
import math
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from gan.utils.output import one_line

SCRIPT = "python train.py"
COMMAND = "gan train"
_started = [COMMAND]  # the command for training that the user typed, and its options that must be typed again
_repeated: list[Callable[[], list[str]]] = [list]  # returns the overrides that must be typed again to resume


def started_as(command: str, *flags: str) -> None:
    """Record the command for training that the user typed, SCRIPT or COMMAND, and its --code and --config-dir."""
    _started[:] = [command, *flags]


def train_command(*words: str) -> str:
    """Return the command for training as a user types it, with --code and --config-dir, which must be typed again."""
    return " ".join([_started[0], *map(shlex.quote, [*_started[1:], *words])])


def repeat(overrides: Callable[[], list[str]]) -> None:
    """Record a function that returns the overrides which must be typed again to resume this run."""
    _repeated[:] = [overrides]


def resume_command(run: Path) -> str:
    """Return the command that continues this run, with all that must be typed again."""
    return train_command(f"resume={run}", *_repeated[0]())


def child_words() -> list[str]:
    """Return the words of this command line before the overrides, for the processes that Lightning starts."""
    return [*(["train"] if _started[0] == COMMAND else []), *_started[1:]]


def install(extra: str) -> str:
    """Return the command that installs the optional packages of an extra, such as "sweep".

    It also works for an installed checkout, so the package index need not have retro-gan.
    """
    return f"pip install 'retro-gan[{extra}]'"


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
    limit = math.nextafter(1, 0) if below_one else 1
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= limit:
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
    """Return a message in one line: as `one_line`, and spaces and line breaks become one space."""
    return one_line(" ".join(str(error).split()), MAX_LENGTH)


def reason(error: BaseException) -> str:
    """Return the message of an error of the system, of YAML or of another library; if it has none, its type."""
    words = getattr(error, "strerror", None) or getattr(error, "problem", None) or error
    return to_line(words) or type(error).__name__


def causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # a re-raised exception can be its own context
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def describe_os_error(error: OSError) -> str:
    """Return a line such as `path: no space left on device` for an OSError."""
    return f"{error.filename or 'a file'}: {reason(error).lower()}"


@contextmanager
def writing(what: object, then: str = "") -> Iterator[None]:
    """Turn an OSError into a UserError that names the path that could not be written, and ends with `then`."""
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


MAX_NAMES = 10_000  # names of a folder that are compared


def path_hint(path: str | os.PathLike[str]) -> str:
    """Return a hint such as `; did you mean runs/first?` for a missing path; an empty string if none is similar.

    A path that ends where another one has a space was probably typed without quotes.
    """
    missing = Path(path)
    while not missing.parent.exists() and missing != missing.parent:
        missing = missing.parent
    try:
        with os.scandir(missing.parent) as entries:
            names = {entry.name.lower(): entry.name for entry in islice(entries, MAX_NAMES)}
    except OSError:
        return ""
    if begun := [name for name in names.values() if name.startswith(f"{missing.name} ")]:
        return f"; a path with spaces needs quotes: {shlex.quote(str(missing.parent / begun[0]))}"
    near = difflib.get_close_matches(missing.name.lower(), names, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(str(missing.parent / names[name]) for name in near)}?" if near else ""
