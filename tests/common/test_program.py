"""Messages name the command that the user typed, and further processes start with the same words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gan.common import program
from gan.common.errors import did_you_mean


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    program.started_as(program.COMMAND)


def test_the_command_that_was_typed_is_named() -> None:
    assert program.train_command() == "gan train"
    program.started_as(program.SCRIPT)
    assert program.train_command() == "python train.py"
    assert did_you_mean("zzz", map(str, range(30))) == "see python train.py --help"


def test_options_that_must_be_typed_again_are_named() -> None:
    program.started_as(program.COMMAND, "--code=my code", "--config-dir=mine")
    assert program.train_command() == "gan train '--code=my code' --config-dir=mine"


def test_words_of_further_processes() -> None:
    assert program.child_words() == ["train"]
    program.started_as(program.SCRIPT, "--code=my code")
    assert program.child_words() == ["--code=my code"]


def test_extras_of_an_installed_package() -> None:
    assert program.install("sweep") == "pip install 'retro-gan[sweep]'"
