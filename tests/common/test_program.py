"""Messages name the command that the user typed, and further processes start with the same words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gan.common import errors
from gan.common.errors import did_you_mean


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    errors.started_as(errors.COMMAND)


def test_the_command_that_was_typed_is_named() -> None:
    assert errors.train_command() == "gan train"
    errors.started_as(errors.SCRIPT)
    assert errors.train_command() == "python train.py"
    assert did_you_mean("zzz", map(str, range(30))) == "see python train.py --help"


def test_options_that_must_be_typed_again_are_named() -> None:
    errors.started_as(errors.COMMAND, "--code=my code", "--config-dir=mine")
    assert errors.train_command() == "gan train '--code=my code' --config-dir=mine"


def test_words_of_further_processes() -> None:
    assert errors.child_words() == ["train"]
    errors.started_as(errors.SCRIPT, "--code=my code")
    assert errors.child_words() == ["--code=my code"]


def test_extras_of_an_installed_package() -> None:
    assert errors.install("sweep") == "pip install 'retro-gan[sweep]'"
