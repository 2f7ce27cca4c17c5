"""`gan doctor`: findings with commands, and runs that can be examined only in part."""

import json
from pathlib import Path

from PIL import Image

from gan.commands import doctor
from gan.runs import health
from tests.conftest import Train
from tests.made_run import KID, made


def test_a_run_without_its_images(tmp_path: Path, gan_command: Train) -> None:
    """Its checkpoint is damaged and its images were moved, but the log and the options still tell something."""
    made(tmp_path / "a")
    output = gan_command("doctor", "a").stdout
    assert "2. mode collapse" in output and "docs/problems.md#mode-collapse" in output
    assert "the run is short" in output and "gan train resume=a images=12000" in output
    assert "the images of the run were not examined" in output
    found = json.loads(gan_command("doctor", "a", "--json").stdout)
    assert [finding["name"] for finding in found["findings"]] == ["too short", "mode collapse"]
    assert found["findings"][1]["command"] == "gan train loss=hinge data.root=/home/jane/scans augment=ada seed=1"
    assert found["values"]["diversity"] == 0.1


def test_bad_input(tmp_path: Path, gan_command: Train) -> None:
    assert "neither a run folder" in gan_command("doctor", ".", check=2).stderr
    (made(tmp_path / "damaged") / "overrides.yaml").write_text("3")
    output = gan_command("doctor", "damaged").stdout
    assert "mode collapse" in output and "gan train" not in output and "overrides.yaml cannot be read" in output
    made(tmp_path / "b" / "1"), made(tmp_path / "b" / "2")
    assert "has several runs" in gan_command("doctor", "b", check=2).stderr
    made(tmp_path / "c", lines=[])
    for file in (tmp_path / "c" / "checkpoints").iterdir():
        file.unlink()
    output = gan_command("doctor", "c").stdout
    assert "nothing found; there are too few scores" in output and "no checkpoint" in output


def test_a_healthy_run_says_what_to_expect(tmp_path: Path) -> None:
    lines = [{"images": n * 10_000, "seconds": n * 100.0, KID: 400 * n**-0.5} for n in (1, 2, 4)]
    diagnosis = doctor.examine(made(tmp_path / "a", lines=lines))
    assert not list(health.findings(diagnosis.values))
    assert doctor.expectation(diagnosis).startswith("expect kid_x1000_lite0 141 in place of 200 after 6:40 more")


def test_a_remedy_without_the_option_of_the_model_has_no_command(tmp_path: Path) -> None:
    diagnosis = doctor.examine(made(tmp_path / "a"))
    assert doctor.command(health.RULES["checkered texture"], diagnosis) == ""
    assert doctor.command(health.RULES["too weak"], diagnosis) == ""  # its learning rate is unknown


def test_a_run_of_few_images(tmp_path: Path, train: Train, gan_command: Train) -> None:
    """Everything is there: the checkpoint generates, its images are read, and the rates are those of the recipe."""
    (tmp_path / "images").mkdir()
    for n in range(12):
        Image.effect_noise((24, 16), 90).convert("RGB").save(tmp_path / "images" / f"{n}.png")
    train(
        "data=folder",
        "data.root=images",
        "model.discriminator_optimizer.lr=1e-2",
        "images=64",
        "hydra.run.dir=runs/a",
    )
    found = json.loads(gan_command("doctor", "runs/a", "--json").stdout)
    assert not found["notes"] and found["values"]["files"] == 12 and found["values"]["cut"] > 0.2
    commands = {finding["name"]: finding["command"] for finding in found["findings"]}
    assert "model.discriminator_optimizer.lr=0.0006" in commands["learning rate"]
    assert commands["few images"].endswith("experiment=few_shot")
