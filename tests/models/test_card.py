"""The metadata of cards follows the rules of the Hugging Face Hub, whose validator needs a network.

The rules: huggingface/hub-docs, modelcard.md and docs/hub/repositories-licenses.md, and the patterns in the validator's
messages, as in embeddings-benchmark/mteb#1111 and huggingface/huggingface_hub#4218.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from gan.demo import space
from gan.models import card
from gan.models.card import MeasuredScore
from gan.models.shared_model import CARD, GENERATOR, TRANSLATOR
from gan.settings import LICENSES

hub = pytest.importorskip("huggingface_hub")
IDENTIFIER = re.compile(r"(?:[\w-]+/)?[\w.-]+", re.ASCII)  # of datasets and models
TASKS = ("unconditional-image-generation", "image-to-image")
SCORES = [MeasuredScore("kid_x1000", 4.5, "held-out", {"extractor": "lite0", "seeds": [0, 49]})]
NAMES = ("no: name", "'\"", "---", "- x", "{", "x\\")
TRAINED_ON = (None, "Posters of the 1920s", "me/posters", "m.e/posters", "Плакаты: 1920", "a --- b")


def about(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "images": 5,
        "classes": ["a: b", "---"],
        "data": {"size": [8, 9], "channels": 3},
        "model": {"_target_": "gan.training.module.GAN", "generator": {"_target_": "gan.networks.dcgan.Generator"}},
        **more,
    }


def check_license(front: dict[str, Any]) -> None:
    assert front["license"] in LICENSES
    if front["license"] == "other":
        assert re.fullmatch(r"[a-z0-9.-]+", front["license_name"])
        assert front["license_link"] in ("LICENSE", "LICENSE.md")
    else:
        assert "license_name" not in front and "license_link" not in front


def check_names(front: dict[str, Any]) -> None:
    assert all(isinstance(tag, str) and tag for tag in front["tags"])
    assert all(IDENTIFIER.fullmatch(name) for name in front.get("datasets", []))


@pytest.mark.parametrize("license", LICENSES)
def test_the_license(license: str) -> None:
    front, _ = card.split(card.compose(about(GENERATOR), "x", license, None, [], ""))
    check_license(front)
    assert front["license"] == license


@pytest.mark.parametrize("kind", [GENERATOR, TRANSLATOR])
@pytest.mark.parametrize(("name", "trained_on"), [*zip(NAMES, TRAINED_ON, strict=True)])
def test_the_metadata(kind: str, name: str, trained_on: str | None) -> None:
    text = card.compose(about(kind, base="hf://me/base@v1"), name, "other", trained_on, SCORES, "")
    front, _ = card.split(text)
    check_license(front)
    check_names(front)
    assert front["pipeline_tag"] in TASKS and front["library_name"] == "retro-gan"
    assert front["base_model"] == "me/base"
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert isinstance(model["name"], str) and result["task"]["type"] in TASKS
    assert IDENTIFIER.fullmatch(result["dataset"]["type"]) and isinstance(result["dataset"]["name"], str)
    for metric in result["metrics"]:
        assert isinstance(metric["type"], str) and isinstance(metric["value"], float)
    read = hub.ModelCard(text).data  # raises ValueError for a model index that is not valid
    assert read.model_name == name and len(read.eval_results) == len(SCORES)


@pytest.mark.parametrize("license", ["mit", "other"])
def test_the_metadata_of_a_space(license: str, tmp_path: Path) -> None:
    text = card.compose(about(TRANSLATOR), "x", license, "me/photographs", SCORES, "")
    read = hub.SpaceCard(space.with_page({CARD: text.encode()}, "no: name", tmp_path)[CARD].decode())
    front = read.data.to_dict()
    check_license(front)
    check_names(front)
    assert front["title"] == "no: name" and front["sdk"] == "gradio" and front["app_file"] == "app.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", front["sdk_version"]) and re.fullmatch(r"3\.\d+", front["python_version"])
    assert "model-index" not in front and read.text.startswith("\n# x")
