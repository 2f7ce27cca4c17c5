"""Train tiny recipes on two ranks, and save the weights of each: python -m tests.recipes_on_ranks FOLDER RECIPE ..."""

import sys
import warnings
from itertools import product
from pathlib import Path


def main(out: Path, recipes: list[str]) -> None:
    # Not at the top: processes that decode images import this module again, and torch takes seconds.
    import torch

    from gan.training import EXPECTED_WARNINGS
    from gan.training.trainer import DDPPerNetwork  # noqa: F401  (registers DDP)
    from gan.utils.processes import DDP
    from tests.recipes import build, fit

    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message)
    for recipe, (precision, channels) in product(recipes, (("32-true", 3), ("bf16-mixed", 4))):
        options = f"data.channels={channels}", f"trainer.precision={precision}"
        ddp = {"devices": 2, "strategy": DDP, "precision": precision}
        module = fit(build(recipe, *options), 4, **ddp)
        torch.save(module.state_dict(), out / f"{recipe}-{precision}-{module.trainer.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
