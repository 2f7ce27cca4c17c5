"""Train a GAN. `gan train` and train.py are this module. No torch and no Hydra at import: workers import it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gan.config import paths
from gan.runs import ranks
from gan.utils import errors, processes
from gan.utils.errors import UserError
from gan.utils.output import escape_unprintable, print_line, shows_bars
from gan.utils.processes import safe_path, skip_during_imports

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Parser(argparse.ArgumentParser):
    """A parser of a part of the command line. Its errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that are ours. Hydra reads the others."""
    parser.add_argument("--code", action="append", default=[], metavar="DIR", help="folder with your own networks, "
                        "losses and other parts, which a configuration may name")  # fmt: skip
    parser.add_argument("--config-dir", "-cd", action="append", default=[], metavar="DIR", help="folder with your own "
                        "configurations: experiment=NAME reads DIR/experiment/NAME.yaml")  # fmt: skip


def main(words: Sequence[str], command: str = errors.COMMAND) -> None:
    """Train as a command line says, and exit with code 2 after an error that users can fix, 130 or 143 after a signal.

    Args:
        words: overrides, and flags of Hydra and of `add_arguments`.
        command: the command that the user typed before them.
    """
    from gan.config.launch import errors_in_one_line, launch

    escape_unprintable()
    ranks.hold_slurm_signal()
    with processes.as_keyboard_interrupt(), safe_path(), errors_in_one_line():
        launch(train, take_flags(words, command))


def take_flags(words: Sequence[str], command: str) -> list[str]:
    """Use the folders of --code and --config-dir, and return the other words; raise UserError if one cannot be used."""
    parser = Parser(add_help=False, allow_abbrev=False)
    add_arguments(parser)
    flags, rest = parser.parse_known_args(words)
    if flags.code:
        from gan.utils import code  # other runs do not need it

        for folder in flags.code:
            code.add(folder)
    if len(flags.config_dir) > 1:
        raise UserError(f"--config-dir {flags.config_dir[-1]}: give --config-dir once")
    paths.use(*map(Path, flags.config_dir))
    typed = [*(f"--code={folder}" for folder in flags.code), *(f"--config-dir={each}" for each in flags.config_dir)]
    errors.started_as(command, *typed)
    return rest


def train(cfg: DictConfig) -> float:
    """Train a model, and return the objective of a sweep. This is Hydra's job."""
    from gan.config.launch import errors_in_one_line, start_run

    with errors_in_one_line():
        if shows_bars():
            print_line("starting ...")  # the imports below take seconds, on a busy machine a minute
        with skip_during_imports():
            import torch  # imported late, so that errors in options are printed quickly
            from hydra.utils import instantiate

            from gan.training.fit import fit
            from gan.utils.digest import seed_of

        run = start_run(cfg)
        torch.manual_seed(seed_of(cfg.seed, "weights"))
        return fit(cfg, instantiate(cfg.model), instantiate(cfg.data), instantiate(cfg.trainer), run)
