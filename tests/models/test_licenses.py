"""A shared model never has a wider license than the models from which its weights come."""

import shutil
from pathlib import Path

import pytest
import torch

import gan
from gan.export import share
from gan.models import address, card, shared_files
from gan.models.loading import licenses_of, load_state
from gan.models.shared_model import CARD, WEIGHTS
from gan.runs import checkpoint_file
from gan.settings import CREDIT, FREE, LICENSES, permits
from gan.training.initial_weights import start_from
from gan.utils.errors import UserError
from tests.security.checkpoints import DCGAN, checkpoint
from tests.training.test_initial_weights import of_dcgan


@pytest.mark.parametrize(
    ("start", "license", "permitted"),
    [
        ("cc0-1.0", "mit", True),
        ("mit", "cc0-1.0", False),
        ("mit", "cc-by-4.0", True),
        ("cc-by-4.0", "mit", True),  # the card names the start
        ("cc-by-4.0", "unlicense", False),
        ("mit", "gpl-3.0", True),
        ("gpl-3.0", "mit", False),
        ("gpl-3.0", "gpl-3.0", True),
        ("cc-by-sa-4.0", "cc-by-4.0", False),
        ("other", "mit", False),
        ("unknown", "cc0-1.0", False),
    ],
)
def test_which_license_a_start_permits(start: str, license: str, permitted: bool) -> None:
    assert permits(start, license) == permitted
    assert set(LICENSES.values()) == {"", FREE, CREDIT}


def write_start(folder: Path, license: str) -> Path:
    """Write a shared model under a license, and return its folder."""
    torch.save(checkpoint(DCGAN), folder.parent / "own.ckpt")
    files = share.collect(folder.parent / "own.ckpt", name="start", license=license, samples=False)
    shared_files.write(folder, files)
    return folder


def run_from(start: Path, path: Path) -> Path:
    """Write the checkpoint of a run that started from a model, and return its path."""
    module = of_dcgan()
    start_from(module, start)
    state = checkpoint(DCGAN)
    state["config"] |= {name: module.config[name] for name in (checkpoint_file.LICENSES,)}
    torch.save(state, path)
    return path


def shared_card(run: Path, license: str, **options: bool) -> str:
    return share.collect(run, name="x", license=license, samples=False, **options)[CARD].decode()


def test_a_run_says_the_license_of_its_start_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run_from(write_start(tmp_path / "start", "gpl-3.0"), tmp_path / "first.ckpt")
    lines = [line for line in capsys.readouterr().out.splitlines() if "gpl-3.0" in line]
    assert lines == ["start: its weights are under gpl-3.0; share this model under it only"]
    shutil.rmtree(tmp_path / "start")  # a start may go away
    second = run_from(first, tmp_path / "second.ckpt")
    for run in (first, second):
        with pytest.raises(UserError, match=r"weights come from start, under gpl-3\.0; .* --relicense"):
            shared_card(run, "mit")
        assert "license: gpl-3.0" in shared_card(run, "gpl-3.0")
        assert "license: mit" in shared_card(run, "mit", relicense=True)
        with pytest.raises(UserError, match=r"under gpl-3\.0"):
            shared_files.checked_license(licenses_of(gan.load(run).config), "cc-by-4.0")


def test_weights_that_need_attribution_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_from(write_start(tmp_path / "start", "cc-by-4.0"), tmp_path / "run.ckpt")
    assert "start: its weights are under cc-by-4.0; if you share this model" in capsys.readouterr().out
    assert "come from start (cc-by-4.0)" in shared_card(run, "mit")
    run = run_from(write_start(tmp_path / "free", "cc0-1.0"), tmp_path / "run.ckpt")
    assert "under" not in capsys.readouterr().out and "come from" not in shared_card(run, "mit")


def test_a_run_of_an_older_version_has_the_name_of_its_start(tmp_path: Path) -> None:
    state = checkpoint(DCGAN)
    for number, start in enumerate(("zoo:start64", str(tmp_path / "0.ckpt"), str(tmp_path / "2.ckpt"))):
        state["config"]["init_from"] = start
        torch.save(state, tmp_path / f"{number}.ckpt")
    found = [licenses_of(load_state(tmp_path / f"{number}.ckpt")["config"]) for number in range(3)]
    license = card.license_of(address.zoo_folder("zoo:start64"))
    assert found == [{"zoo:start64": license}, {"zoo:start64": license}, {"2.ckpt": "unknown"}]  # 2 starts from itself
    assert licenses_of({"init_from": "hf://me/x"}) == {"hf://me/x": "unknown"}  # no download
    assert licenses_of({"init_from": None}) == {}


def test_a_delta_and_a_blend_have_the_licenses_of_their_parts(tmp_path: Path) -> None:
    license = card.license_of(address.zoo_folder("zoo:start64"))
    files = share.collect(address.zoo_folder("zoo:start64"), name="x", license=license, samples=False)
    delta = share.without_base(files, "zoo:start64")
    shared_files.write(tmp_path / "delta", delta | {CARD: files[CARD].replace(license.encode(), b"cc0-1.0", 1)})
    found = licenses_of(load_state(tmp_path / "delta" / WEIGHTS)["config"])
    assert found == {"delta": "cc0-1.0", "zoo:start64": license}
    blended = gan.load("zoo:start64").blend(gan.load(tmp_path / "delta"), weight=0.5)
    assert licenses_of(blended.config) == found
    with pytest.raises(UserError, match="the licenses of the models are not known, or permit none"):
        shared_files.checked_license({"a": "gpl-3.0", "b": "cc-by-nc-4.0"}, None)
    assert shared_files.checked_license({"a": "cc0-1.0", "b": "mit"}, None) == "mit"


@pytest.mark.parametrize(
    "text", ["", "---\n", "---\nlicense: [mit]\n---\n", "---\n- mit\n---\n", "---\nlicense: me\n---\n"]
)
def test_a_card_without_a_valid_license(text: str, tmp_path: Path) -> None:
    assert card.license_of(tmp_path) == "unknown"
    (tmp_path / CARD).write_text(text)
    assert card.license_of(tmp_path) == "unknown"
