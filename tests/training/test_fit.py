"""What a run says about its objective."""

import pytest

from tests.conftest import TINY, Train

SMALL = [option for option in TINY if not option.startswith(("callback.health", "callback.evaluate"))]
WITHOUT_SCORES = (*SMALL, "images=8", "callback=[progress,samples,checkpoint]", "hydra.run.dir=a", "hydra.sweep.dir=b")


@pytest.mark.slow
def test_only_a_sweep_needs_scores(train: Train) -> None:
    assert "objective=" not in train(*WITHOUT_SCORES, tiny=False).stdout
    said = train("-m", *WITHOUT_SCORES, "seed=1", tiny=False).stdout
    assert "objective=eval/kid_x1000_random_conv: not logged; add evaluate to callback=" in said
    said = train("images=8", "objective=eval/kid_x1000_lite0", "hydra.run.dir=c").stdout
    assert "objective=eval/kid_x1000_lite0: not logged; choose from " in said
