"""A Space: its requirements, and its page, which runs here."""

import io
import json
import tomllib
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from PIL import Image

import gan
from gan.demo import space
from gan.models.shared_model import CARD, CONFIG, WEIGHTS
from tests.conftest import ROOT, Train
from tests.security.checkpoints import write_shared
from tests.served_demo import served

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_versions_are_those_of_the_package() -> None:
    (gradio,) = map(Requirement, PROJECT["optional-dependencies"]["demo"])
    assert gradio.name == "gradio" and str(gradio.specifier) == f">={space.FRONT['sdk_version'].removesuffix('.0')}"
    assert space.FRONT["python_version"] in SpecifierSet(PROJECT["requires-python"])


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, "retro-gan[demo]==1.2"),
        ({"url": "file:///home/me/clone", "dir_info": {"editable": True}}, "retro-gan[demo]==1.2"),
        (
            {"url": "https://example.org/retro-gan", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"retro-gan[demo] @ git+https://example.org/retro-gan@{COMMIT}",
        ),
    ],
)
def test_the_requirement(origin: dict[str, Any] | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = SimpleNamespace(version="1.2", read_text=lambda name: origin and json.dumps(origin))
    monkeypatch.setattr(space, "distribution", lambda name: installed)
    assert space.requirement() == expected
    assert Requirement(expected).extras == {"demo"}


@pytest.mark.skipif(find_spec("gradio") is None, reason="gradio")
@pytest.mark.slow
def test_the_page_runs_in_a_folder_of_its_own(
    gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = gan.load(write_shared(tmp_path / "model"))
    gan_command("share", "model", "cards", "--license", "mit", "--space")
    folder = tmp_path / "cards"
    assert {path.name for path in folder.iterdir()} >= {WEIGHTS, CONFIG, CARD, "app.py", "requirements.txt"}
    last = (folder / "requirements.txt").read_text().splitlines()[-1]
    assert Requirement(last).name == "retro-gan" and distribution("retro-gan").version in last
    (folder / "requirements.txt").write_text("mine")
    gan_command("share", "model", "cards", "--license", "mit", "--space", "--force")
    assert (folder / "requirements.txt").read_text() == "mine"
    monkeypatch.setenv("SPACE_TITLE", "Old cards")
    with served("app.py", folder=folder) as page:
        front = page.get("/")
        assert front.status == 200 and b"Old cards" in front.body
        (image,), _ = page.call("generate", "3", "any class", 1, False)
        with Image.open(io.BytesIO(page.read(image["image"]))) as made:
            assert made.tobytes() == model.sample(1, seed=3)[0].tobytes()
