"""`gan recognize`: fit and predict on folders of classes, and errors."""

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torchvision.transforms.functional import pil_to_tensor

import gan
from gan.data.builtin.retro import CLASSES, draw
from gan.images.convert import to_float
from gan.recognition.classifier import load
from tests.conftest import Train
from tests.security.checkpoints import BATCH_NORM, write_run


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 60 built-in images, with a sub-folder for each of two classes."""
    root = tmp_path_factory.mktemp("kinds")
    for index in range(120):
        kind = CLASSES[index % 4]
        if kind in ("poster", "neon"):
            (root / kind).mkdir(exist_ok=True)
            Image.fromarray(draw(1, index, 16, 16)).save(root / kind / f"{index // 16}_{index}.png")
    return root


@pytest.mark.slow
def test_classifiers_are_fitted_and_predict(runs: Path, kinds: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / "dcgan")
    said = gan_command(
        "recognize", "fit", run, str(kinds), "--split", "prefix", "--folds", "3", "--out", "found"
    ).stdout
    for name in ("discriminator", "untrained network", "pixels", "most frequent class"):
        assert f"\n{name}" in said
    about = json.loads((tmp_path / "found" / "classifier.json").read_bytes())
    assert about["classes"] == ["neon", "poster"] and about["images"] == 60 and about["split"] == "prefix"
    table = about["scores"]["discriminator"]["confusion"]
    assert sum(map(sum, table)) == 60 and (table[0][0] + table[1][1]) / 60 > 0.8
    assert {"weight", "bias"} < load_file(tmp_path / "found" / "classifier.safetensors").keys()

    (kinds / "neon" / "broken.png").write_bytes(b"no picture")
    done = gan_command("recognize", "predict", run, str(kinds), "--recognition", "found", check=3)
    (kinds / "neon" / "broken.png").unlink()
    assert done.stderr.count("broken.png: not a PNG") == 1
    rows = list(csv.DictReader(StringIO(done.stdout)))
    right = [row["class"] == row["file"].partition("/")[0] for row in rows]
    assert len(rows) == 60 and sum(right) > 54 and all(0.5 <= float(row["probability"]) <= 1 for row in rows)
    one = gan_command("recognize", "predict", run, str(kinds / rows[7]["file"]), "--recognition", "found").stdout
    assert next(iter(csv.DictReader(StringIO(one))))["probability"] == rows[7]["probability"]
    classes_are_set(run, gan_command, tmp_path)


def classes_are_set(run: str, gan_command: Train, tmp_path: Path) -> None:
    """Classes of a classifier can be used as attributes in edits, and unknown names are refused."""
    options = ["--seeds", "0-5", "--recognition", "found", "--set"]
    for folder, value in (("neon", 2), ("same", 0), ("poster", -2)):
        gan_command("edit", run, "--out", folder, *options, f"neon={value}")
    classifier = load(run, folder=tmp_path / "found")
    neon, same, poster = (
        torch.stack([pil_to_tensor(Image.open(tmp_path / folder / f"{seed}.png")) for seed in range(6)])
        for folder in ("neon", "same", "poster")
    )
    with torch.no_grad():
        less, as_was, more = (classifier.log_odds(0, to_float(images)) for images in (poster, same, neon))
    assert (less < as_was).all() and (as_was < more).all()
    assert torch.equal(same, gan.load(run).generate(list(range(6))).pixels)
    error = gan_command("edit", run, "--out", "no", *options, "map=1", check=2).stderr
    assert "neon, poster, brightness" in error and error.count("\n") == 1


@pytest.mark.slow
def test_fit_and_predict_use_whole_images_and_any_class_names(gan_command: Train, kinds: Path, tmp_path: Path) -> None:
    """Whole images are used although the run was trained on crops, and class names may contain special characters."""
    table = "".join(f"{path.parent.name}/{path.name},{'$a_{$' if path.parent.name == 'neon' else '../../猫'}\n"
                    for path in sorted(kinds.rglob("*.png")))  # fmt: skip
    (tmp_path / "table.csv").write_text("file,label\n" + table, encoding="utf-8")
    write_run(tmp_path / "windows", BATCH_NORM, root=str(kinds), fit="random_crop")
    options = ["--labels", "table.csv", "--no-baselines", "--folds", "3"]
    said = gan_command("recognize", "fit", "windows", str(kinds), *options).stdout
    assert "note" not in said
    rows = list(csv.DictReader(StringIO(gan_command("recognize", "predict", "windows", str(kinds)).stdout)))
    classes = {"neon": "$a_{$", "poster": "../../猫"}
    assert sum(row["class"] == classes[row["file"].partition("/")[0]] for row in rows) > 50


@pytest.mark.slow
def test_errors_are_one_line(runs: Path, kinds: Path, gan_command: Train, tmp_path: Path) -> None:
    run, data = str(runs / "dcgan"), str(kinds)
    gan_command("recognize", "fit", run, data, "--no-baselines", "--folds", "3", "--out", "there")
    for words, said in (
        (["fit", run, str(kinds / "neon")], "sub-folder"),
        (["fit", run, data, "--folds", "40", "--out", "new"], "than the 40 --folds: neon 30, poster 30; leave them"),
        (["fit", run, data, "--out", "there"], "use --force to overwrite"),
        (["fit", run, data, "--no-baselines", "--out", "there/classifier.json/in"], "cannot be written"),
        (["predict", run, data, "--recognition", "new"], "fit one with gan recognize fit"),
        (["predict", str(runs / "stylegan2"), data, "--recognition", "there"], "belongs to another run or checkpoint"),
    ):
        error = gan_command("recognize", *words, check=2).stderr
        assert said in error and error.count("\n") == 1, (words, error)
    assert not (tmp_path / "new").exists() and not (runs / "dcgan" / "recognition").exists()
