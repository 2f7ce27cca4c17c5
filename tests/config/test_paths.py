"""--config-dir: the user's own configurations are used beside ours, and never in place of ours without a word."""

from pathlib import Path

import pytest
import yaml

from gan.config import paths
from gan.config.compose import compose
from gan.config.help import whole_page
from gan.config.mistakes import message_of
from gan.config.resume import read_overrides
from gan.utils.errors import UserError

MINE = "# @package _global_\n# My experiment\ndefaults:\n  - override /loss: mine\n  - _self_\nimages: 777\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "_own", [])
    folder = tmp_path / "it's my conf"
    for name, text in {"experiment/mine.yaml": MINE, "loss/mine.yaml": "# My loss\n_target_: mylosses.Mine\n"}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    return folder


def test_own_files_are_composed_with_ours(folder: Path) -> None:
    paths.use(folder)
    cfg = compose(["experiment=mine", "seed=3"])
    assert (cfg.images, cfg.seed, cfg.loss._target_) == (777, 3, "mylosses.Mine")
    page = whole_page()
    assert "experiment=mine" in page and "My experiment" in page and "experiment=quick" in page


def test_without_the_option_they_are_unknown(folder: Path) -> None:
    with pytest.raises(Exception) as caught:
        compose(["experiment=mine"])
    line = message_of(caught.value)
    assert line is not None and line.startswith("experiment=mine: no such experiment; choose from few_shot")
    assert line.endswith("for your own, add --config-dir DIR")


@pytest.mark.parametrize("name", ["train.yaml", "loss/hinge.yaml"])
def test_the_name_of_one_of_our_files_is_refused(name: str, folder: Path) -> None:
    (folder / name).write_text("seed: 1")
    with pytest.raises(UserError, match=f"{name} has the name of a file of retro-gan; rename it"):
        paths.use(folder)
    assert paths.own() == []


def test_a_run_needs_the_option_again(folder: Path, tmp_path: Path) -> None:
    stored = tmp_path / "overrides.yaml"
    stored.write_text(yaml.safe_dump(["experiment=mine", "seed=1"]))
    with pytest.raises(UserError, match=r"no such file in conf/experiment; if it is your own, add --config-dir DIR"):
        read_overrides(stored, [])
    paths.use(folder)
    assert read_overrides(stored, []) == ["experiment=mine", "seed=1"]
