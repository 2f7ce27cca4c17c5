"""What `gan` does, a file a command, each read only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add_command(commands: Any, name: str, meaning: str) -> argparse.ArgumentParser:
    """A sub-parser whose meaning stands in the list of commands and on its own page."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=meaning, description=meaning)
    return parser
