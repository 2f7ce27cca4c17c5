"""Keep secrets out of files and loggers: passwords and tokens in options, and values from the environment. No torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.resolvers import oc

MISSING = "???"  # OmegaConf's mark of an option that must be set
MIN_LENGTH = 8  # characters of an environment variable's value to look for in text
WORDS = "token|secret|passwo?r?d|passphrase|credential"
KEYS = "(api|access|private|write|secret)_?key"
OPTION = re.compile(rf".*({WORDS})s?|(.*_)?{KEYS}s?", re.IGNORECASE)
VARIABLE = re.compile(rf".*({WORDS}|{KEYS}).*|(.*_)?keys?(_.*)?", re.IGNORECASE)
USER_INFO = re.compile(r"(\w+://)[^/@\s'\"]+@")  # user:password@ in an address
PARAMETER = re.compile(rf"([?&;](?:[\w.-]*(?:{WORDS}|{KEYS})s?|key)=)(?!\*\*\*)[^&;#\s'\"]+", re.IGNORECASE)
# NAME:VALUE in a dictionary of Hydra's grammar; a value that is a container or an interpolation does not match.
PAIR = re.compile(
    r"""([{,]\s*['"]?([\w.-]+)['"]?\s*:\s*)('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\s'"{}\[\],$][^{}\[\],$]*)"""
)

_reads: list[tuple[str, str]] = []  # environment variables that interpolations have just read, with their values


def hide(value: Any, option: str = "") -> Any:
    """Return plain containers and text without secrets.

    The value of an environment variable whose name says that it is secret becomes ${oc.env:NAME}. The value of an
    option such as `token` or `api_key` becomes ???, so that a resumed run asks for it. Users and passwords in addresses
    are removed, and values of parameters such as ?api_key= become ***.

    Args:
        option: dotted name of the option with this value.
    """
    if isinstance(value, dict):
        return {name: hide(inside, str(name)) for name, inside in value.items()}
    if isinstance(value, list):
        return [hide(inside, option) for inside in value]
    if not isinstance(value, str):
        return value
    value = name_variables(value)
    if value and "${" not in value and OPTION.fullmatch(option.rpartition(".")[2]):
        return MISSING
    return PARAMETER.sub(r"\1***", USER_INFO.sub(r"\1", value))


def conceal(word: str) -> str:
    """Return a word of the command line whose secrets are replaced with ${oc.env:NAME}, so that no library writes them.

    The value of an option such as `api_key`, and an address with a password or a token, move to a new environment
    variable, which child processes inherit. The run uses the same value as was typed.
    """
    key, separator, value = word.partition("=")
    if not separator or word.startswith("-"):
        return hide(word) if word.startswith("-") and separator else name_variables(word)
    option = key.lstrip("+~").rpartition(".")[2]
    if value[:1] in ("[", "{"):
        return name_variables(f"{key}={PAIR.sub(conceal_pair, value)}")
    if is_secret(option, value):
        return f"{key}={move(option, value)}"
    return name_variables(word)


def conceal_pair(pair: re.Match[str]) -> str:
    """Return NAME:VALUE of a dictionary with a secret value moved to an environment variable."""
    begin, name, value = pair.groups()
    return begin + (move(name, value.strip()) if is_secret(name, value.strip()) else value)


def is_secret(option: str, value: str) -> bool:
    """Return whether an option's value, as typed and outside of a container, is secret or contains a secret."""
    if not value or value in ("null", MISSING) or "${" in value:
        return False
    return bool(OPTION.fullmatch(option) or USER_INFO.search(value) or PARAMETER.search(value))


def move(option: str, value: str) -> str:
    """Set a new environment variable to the value of an option, and return the interpolation that reads it."""
    value = value[1:-1] if value[0] in "'\"" and value[0] == value[-1] else value
    first = re.sub(r"\W", "_", f"RETRO_GAN_{option.upper()}")
    names = (first, *(f"{first}_{n}" for n in range(2, 1000)))  # several loggers may have a token
    name = next(name for name in names if os.environ.get(name) in (None, "", value))
    os.environ[name] = value
    return f"${{oc.env:{name}}}"


def hide_in_override(word: str) -> str:
    """Return an override KEY=VALUE, or another word of a command line, without secrets.

    A container with a secret that `conceal` has not moved becomes ???.
    """
    key, separator, value = word.partition("=")
    if not separator:
        return str(hide(word))
    option = key.lstrip("+~-")
    if value[:1] in ("[", "{"):
        plain = parsed(f"x={name_variables(value)}")
        return f"{hide(key)}={MISSING if plain is None or hide(plain, option) != plain else name_variables(value)}"
    return f"{hide(key)}={hide(value, option)}"


def parsed(override: str) -> Any:
    """Return the value of an override as plain containers of text; None if Hydra cannot parse it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return plain(OverridesParser.create().parse_override(override).value())
    except (HydraException, RecursionError):
        return None


def plain(value: Any) -> Any:
    """Return the containers of Hydra's parser with text in place of its quoted strings."""
    if isinstance(value, dict):
        return {str(name): plain(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [plain(inside) for inside in value]
    return str(value) if not isinstance(value, int | float | None) else value


def name_variables(text: str) -> str:
    """Return text in which the value of each secret environment variable is ${oc.env:NAME}."""
    for name, secret in secret_variables():
        text = text.replace(secret, f"${{oc.env:{name}}}")
    return text


def secret_variables() -> list[tuple[str, str]]:
    """Return the environment variables that are secret by their name, longest value first."""
    found = [
        (name, value)
        for name, value in os.environ.items()
        if len(value) >= MIN_LENGTH and VARIABLE.fullmatch(name) and not os.path.exists(value)
    ]
    return sorted(found, key=lambda pair: -len(pair[1]))


# ---- interpolations of the environment


def resolve(node: Any) -> Any:
    """Return a configuration as resolved plain containers, in which text from the environment stays ${oc.env:NAME}.

    A path that exists is not a secret and is resolved, so that commands find the images of a run.
    """
    if isinstance(node, DictConfig):
        return {str(key): resolve_item(node, key) for key in node}
    if isinstance(node, ListConfig):
        return [resolve_item(node, index) for index in range(len(node))]
    return node


def resolve_item(parent: DictConfig | ListConfig, key: Any) -> Any:
    if OmegaConf.is_missing(parent, key):
        return MISSING
    with environment_reads() as found:
        value = parent[key]
    if isinstance(value, str):
        for name, text in found:
            if text and not os.path.exists(os.path.expanduser(value)):
                value = value.replace(text, f"${{oc.env:{name}}}")
        return value
    return resolve(value)


def unresolved(overrides: ListConfig) -> list[str]:
    """Return Hydra's list of overrides as they were typed; reading its items would resolve interpolations."""
    words = OmegaConf.to_container(overrides, resolve=False)
    assert isinstance(words, list)
    return [str(word) for word in words]


@contextmanager
def environment_reads() -> Iterator[list[tuple[str, str]]]:
    """Yield a list that gets the names and values of the environment variables that interpolations read."""
    _reads.clear()
    found: list[tuple[str, str]] = []
    yield found
    found += _reads


def env(name: str, *default: Any) -> Any:
    """OmegaConf's resolver oc.env, which notes what it reads."""
    value = oc.env(name, *default)
    if name in os.environ:
        _reads.append((name, str(value)))
    return value
