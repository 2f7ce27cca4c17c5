"""Old names of commands and options give errors with the new names, which exist."""

from __future__ import annotations

import pytest

from gan.cli import COMMANDS, build_parser
from gan.commands import renamed
from tests.conftest import Train


@pytest.mark.parametrize(("old", "new"), renamed.OPTIONS.items())
def test_an_old_option_is_answered_with_the_new_one(old: str, new: str, gan_command: Train) -> None:
    for word in (old, f"{old}=1"):
        assert gan_command("evaluate", "RUN", word, check=2).stderr == f"error: {old} is now {new}\n"


def test_an_old_command_is_answered_with_the_new_one(gan_command: Train) -> None:
    assert gan_command("recognise", "fit", "RUN", check=2).stderr == "error: recognise is now recognize\n"
    assert set(renamed.COMMANDS.values()) <= COMMANDS.keys() and not renamed.COMMANDS.keys() & COMMANDS.keys()


def test_new_names_exist_and_old_ones_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (*([name, "--help"] for name in COMMANDS), ["recognize", "fit", "--help"]):
        with pytest.raises(SystemExit):
            build_parser(words).parse_args(words)
    said = capsys.readouterr().out.split()
    options = {word.strip("[],;:()") for word in said}
    assert set(renamed.OPTIONS.values()) <= options and not renamed.OPTIONS.keys() & options
