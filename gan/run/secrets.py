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
WORDS = r"(token|secret|passwo?r?d|passphrase|credentials?|((api|access|private|write|secret)_?)key)"
OPTION = re.compile(rf"(.*_)?{WORDS}", re.IGNORECASE)
VARIABLE = re.compile(rf"(.*_)?({WORDS}|key)(_.*)?", re.IGNORECASE)
USER_INFO = re.compile(r"(\w+://)[^/@\s'\"]+@")  # user:password@ in an address

_reads: list[tuple[str, str]] = []  # environment variables that interpolations have just read, with their values


def hide(value: Any, option: str = "") -> Any:
    """Return plain containers and text without secrets.

    The value of an environment variable whose name says that it is secret becomes ${oc.env:NAME}. The value of an
    option such as `token` or `api_key` becomes ???, so that a resumed run asks for it. Users and passwords in addresses
    are removed.

    Args:
        option: dotted name of the option with this value.
    """
    if isinstance(value, dict):
        return {name: hide(inside, str(name)) for name, inside in value.items()}
    if isinstance(value, list):
        return [hide(inside, option) for inside in value]
    if not isinstance(value, str):
        return value
    for name, secret in secret_variables():
        value = value.replace(secret, f"${{oc.env:{name}}}")
    if value and "${" not in value and OPTION.fullmatch(option.rpartition(".")[2]):
        return MISSING
    return USER_INFO.sub(r"\1", value)


def conceal(word: str) -> str:
    """Return a word of the command line whose secret is replaced with ${oc.env:NAME}, so that no library writes it.

    The value of an option such as `api_key` moves to a new environment variable, which child processes inherit.
    """
    key, _, value = word.partition("=")
    option = key.lstrip("+~").rpartition(".")[2]
    if not OPTION.fullmatch(option) or not value or value == "null" or value[0] in "[{" or "${" in value:
        return word if word.startswith("-") else str(hide(word))
    name = f"RETRO_GAN_{option.upper()}"
    os.environ[name] = value[1:-1] if value[0] in "'\"" and value[0] == value[-1] else value
    return f"{key}=${{oc.env:{name}}}"


def hide_in_override(word: str) -> str:
    """Return an override KEY=VALUE, or another word of a command line, without secrets."""
    key, separator, value = word.partition("=")
    return f"{hide(key)}{separator}{hide(value, key.lstrip('+~-'))}" if separator else str(hide(word))


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
