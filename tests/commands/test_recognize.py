"""`gan recognize`: fit and predict on folders of classes, and errors."""

from __future__ import annotations

import csv
import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torchvision.io import read_image

import gan
from gan.cli import main
from gan.commands.recognize import Results
from gan.data.builtin.retro import CLASSES, draw
from gan.images.convert import to_float
from gan.recognition.classifier import load
from gan.recognition.protocol import measure
from tests.conftest import Train
from tests.interrupted import Interrupted


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
    with Image.open(tmp_path / "found" / "confusion.png") as picture:
        assert min(picture.size) > 200

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
        torch.stack([read_image(str(tmp_path / folder / f"{seed}.png")) for seed in range(6)])
        for folder in ("neon", "same", "poster")
    )
    with torch.no_grad():
        less, as_was, more = (classifier.log_odds(0, to_float(images)) for images in (poster, same, neon))
    assert (less < as_was).all() and (as_was < more).all()
    assert torch.equal(same, gan.load(run).generate(list(range(6))).pixels)
    error = gan_command("edit", run, "--out", "no", *options, "map=1", check=2).stderr
    assert "neon, poster, brightness" in error and error.count("\n") == 1


@pytest.mark.slow
def test_the_classes_of_the_run_and_notes(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / "stylegan2")
    said = gan_command(
        "recognize", "fit", run, "--no-baselines", "--classifier", "svm", "--out", "own", "--folds", "3"
    ).stdout
    assert "of 4 classes" in said and "pixels" not in said
    assert "its results are biased if the classes are the same" in said  # the run was trained with these very classes
    images = [str(runs / "stylegan2" / "samples" / "reals.png"), "--recognition", "own"]
    assert gan_command("recognize", "predict", run, *images).stdout.startswith("file,class,score")


@pytest.mark.slow
def test_fit_and_predict_use_whole_images_and_any_class_names(
    train: Train, gan_command: Train, kinds: Path, tmp_path: Path
) -> None:
    """Whole images are used although the run was trained on crops, and class names may contain special characters."""
    table = "".join(f"{path.parent.name}/{path.name},{'$a_{$' if path.parent.name == 'neon' else '../../猫'}\n"
                    for path in sorted(kinds.rglob("*.png")))  # fmt: skip
    (tmp_path / "table.csv").write_text("file,label\n" + table, encoding="utf-8")
    train("data=folder", f"data.root={kinds}", "data.fit=random_crop", "images=8", "hydra.run.dir=windows")
    options = ["--labels", "table.csv", "--no-baselines", "--folds", "3"]
    said = gan_command("recognize", "fit", "windows", str(kinds), *options).stdout
    assert "note" not in said
    rows = list(csv.DictReader(StringIO(gan_command("recognize", "predict", "windows", str(kinds)).stdout)))
    classes = {"neon": "$a_{$", "poster": "../../猫"}
    assert sum(row["class"] == classes[row["file"].partition("/")[0]] for row in rows) > 50


@pytest.mark.slow
def test_errors_are_one_line(runs: Path, kinds: Path, gan_command: Train, tmp_path: Path) -> None:
    run, data = str(runs / "dcgan"), str(kinds)
    (tmp_path / "one" / "kind").mkdir(parents=True)
    Image.new("RGB", (16, 16)).save(tmp_path / "one" / "kind" / "a.png")
    said = gan_command(
        "recognize", "fit", run, data, "--no-baselines", "--folds", "3", "--out", "there", "--split", "folder"
    ).stdout
    assert "groups of --split folder, which are split by file instead: neon, poster\n" in said
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "classifier.json").write_text("[]")
    shutil.copy(tmp_path / "there" / "classifier.safetensors", tmp_path / "odd")
    for words, said in (
        (["fit", run, "one"], "there is only one, 'kind'"),
        (["fit", run, str(kinds / "neon")], "sub-folder"),
        (["fit", run, data, "--labels", "none.csv"], "No such file"),
        (
            ["fit", run, data, "--folds", "40", "--out", "new"],
            "fewer than two classes have at least 40 images, one for each of --folds: neon 30, poster 30; add",
        ),
        (["fit", run, data, "--folds", "2"], "--folds"),
        (["fit", run, data, "--out", "there"], "use --force to overwrite"),
        (["fit", run, data, "--no-baselines", "--out", "there/classifier.json/in"], "cannot be written"),
        (["predict", run, data, "--recognition", "new"], "fit one with gan recognize fit"),
        (["predict", run, data, "--recognition", "odd"], "its classifier cannot be read"),
        (["predict", str(runs / "stylegan2"), data, "--recognition", "there"], "belongs to another run or checkpoint"),
        (["predict", run, "none", "--recognition", "there"], "no folder"),
    ):
        error = gan_command("recognize", *words, check=2).stderr
        assert said in error and error.count("\n") == 1, (words, error)
    assert not (tmp_path / "new").exists() and not (runs / "dcgan" / "recognition").exists()


@pytest.mark.slow
def test_classes_that_are_too_small_are_left_out(runs: Path, kinds: Path, gan_command: Train, tmp_path: Path) -> None:
    """One folder with one image does not end the command."""
    shutil.copytree(kinds, tmp_path / "uneven")
    for folder, count in (("a single one", 1), ("b", 2), ("zebra", 2)):
        (tmp_path / "uneven" / folder).mkdir()
        for index in range(count):
            Image.fromarray(draw(1, 4 * index, 16, 16)).save(tmp_path / "uneven" / folder / f"{index}.png")
    words, options = ["recognize", "fit", str(runs / "dcgan")], ["--no-baselines", "--folds", "3", "--out"]
    said = gan_command(*words, "uneven", *options, "uneven-found").stdout
    note = (
        "note: classes with fewer than 3 images (--folds) are left out, with their images: a single one 1, b 2, zebra 2"
    )
    assert note in said and "60 images of 2 classes" in said
    about = json.loads((tmp_path / "uneven-found" / "classifier.json").read_bytes())
    assert about["classes"] == ["neon", "poster"] and about["images"] == 60
    without = gan_command(*words, str(kinds), *options, "found").stdout
    assert said.partition("60 images of 2 classes; ")[2] == without.partition("60 images of 2 classes; ")[2]
    rows = list(csv.DictReader(StringIO(gan_command("recognize", "predict", str(runs / "dcgan"), str(kinds),
                                                    "--recognition", "uneven-found").stdout)))  # fmt: skip
    assert sum(row["class"] == row["file"].partition("/")[0] for row in rows) > 50


def test_results_depend_on_their_keys_and_may_be_damaged(tmp_path: Path) -> None:
    results = Results(tmp_path, "network", "3")
    assert not results.values and results.get("a", lambda: [0.1, 1 / 3]) == [0.1, 1 / 3]
    assert Results(tmp_path, "network", "3").get("a", lambda: 2) == [0.1, 1 / 3]
    assert not Results(tmp_path, "network", "4").values
    results.path.write_text('{"a"')
    assert Results(tmp_path, "network", "3").get("a", lambda: 2) == 2


@pytest.mark.slow
def test_an_interrupted_fit_is_resumed(
    runs: Path, kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["recognize", "fit", str(runs / "dcgan"), str(kinds), "--folds", "3", "--out", str(tmp_path / "found")]
    with monkeypatch.context() as patch:
        patch.setattr("gan.recognition.protocol.measure", Interrupted(measure, 2))
        assert main(words) == 130
        patch.setattr("gan.recognition.protocol.measure", Interrupted(measure, 4))
        assert main(words) == 0
    on = capsys.readouterr().out.partition("60 images of 2 classes; ")
    assert "resuming with 2 results of an interrupted command" in on[0]
    assert main([*words, "--force"]) == 0
    assert capsys.readouterr().out.partition("60 images of 2 classes; ")[2] == on[2]
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == [
        "classifier.json",
        "classifier.safetensors",
        "confusion.png",
    ]
