"""What the loggers of servers share: the id of the run, and whether a server answers."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit

from gan.common.errors import UserError, to_line
from gan.common.files import write_json
from gan.common.untrusted import read_json
from gan.run.run_folder import LOGGERS
from gan.run.secrets import hide

WAIT = 10.0  # seconds for a server to answer


def read_id(run: Path, logger: str) -> str | None:
    """Return the id of a run in a logger's server, from the untrusted run folder; None if there is none."""
    value = read_ids(run).get(logger)
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", value) else None


def write_id(run: Path, logger: str, value: str) -> None:
    """Write the id of a run, which a resumed run reads."""
    write_json(run / LOGGERS, read_ids(run) | {logger: value})


def read_ids(run: Path) -> dict[str, Any]:
    """Return the content of the file of ids; empty if there is none or it cannot be read."""
    try:
        found = read_json(run / LOGGERS)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_answers(logger: str, address: str, instead: str) -> None:
    """Raise UserError if no web server answers at an address.

    Args:
        address: may contain USER:PASSWORD@, which are sent as basic authentication.
        instead: what the user can do, such as "start it".
    """
    try:
        urllib.request.urlopen(request_of(address), timeout=WAIT).close()
    except urllib.error.HTTPError:  # it answers
        return
    except (OSError, ValueError, HTTPException) as error:
        cause = hide(to_line(getattr(error, "reason", error)))
        raise UserError(f"logger={logger}: {hide(address)} does not answer ({cause}); {instead}") from error


def request_of(address: str) -> urllib.request.Request:
    """Return the request of an address, in which urllib accepts no USER:PASSWORD@."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)))
    if at:
        request.add_unredirected_header("Authorization", f"Basic {b64encode(unquote_to_bytes(user)).decode()}")
    return request
