"""Models on a Hugging Face Hub, which runs on the loopback."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import gan
from gan.models import address, card, hub, shared_files
from gan.models.hub import download
from gan.models.shared_model import CARD, CONFIG, SAMPLES, WEIGHTS
from gan.utils.errors import UserError
from tests.conftest import Train, environment
from tests.loopback_hub import COMMIT, TOKEN, Hub, serving

huggingface_hub = pytest.importorskip("huggingface_hub")
PROGRAM = """
import json, sys
from gan.utils.errors import UserError
from gan.models.hub import download
for address in sys.argv[1:]:
    try:
        print(json.dumps(str(download(address))))
    except UserError as error:
        print(json.dumps(f"error: {error}"))
assert "torch" not in sys.modules
"""


def python(words: list[str], server: Hub | None, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    endpoint = server.address if server else "http://127.0.0.1:9"  # nobody listens there
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    own |= {"HF_TOKEN": TOKEN}
    return subprocess.run(
        [sys.executable, *words], env=environment() | own, cwd=folder, capture_output=True, text=True, check=check
    )


def downloaded(server: Hub | None, folder: Path, *addresses: str) -> list[str]:
    """Return the printed results of `download`, in a process that never imports torch."""
    lines = python(["-c", PROGRAM, *addresses], server, folder).stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith('"')]


@pytest.mark.parametrize(
    "name", ["", "user", "user/name/file", "../x", "user/name@../../x", "user/na me", "user/name?x"]
)
def test_addresses_that_are_none(name: str) -> None:
    with pytest.raises(UserError, match="give hf://USER/NAME"):
        download(f"hf://{name}")
    assert address.locate("runs/x") == "runs/x" and address.locate(Path("hf:/x")) == Path("hf:/x")


@pytest.mark.slow
def test_download(files: dict[str, bytes], tmp_path: Path) -> None:
    models = {"me/cards": {**files, "evil.py": b"x"}, "me/half": {CONFIG: files[CONFIG]}, "me/huge": files}
    with serving(models, {f"me/huge/{WEIGHTS}": 1 << 40}) as server:
        found, again, tagged = downloaded(server, tmp_path, "hf://me/cards", "hf://me/cards", f"hf://me/cards@{COMMIT}")
        assert found == again == tagged
        assert sorted(path.name for path in Path(found).iterdir()) == [
            CARD,
            CONFIG,
            WEIGHTS,
        ]
        gets = [request for request in server.requests if request.startswith("GET") and request != "GET "]
        assert sorted(gets) == [f"GET {CARD}", f"GET {CONFIG}", f"GET {WEIGHTS}"]  # once, and no other file
        server.requests.clear()
        none, half, huge, revision = downloaded(
            server, tmp_path, "hf://me/none", "hf://me/half", "hf://me/huge", "hf://me/cards@v9"
        )
        for text in (none, half, revision):
            assert "cannot be downloaded; check the name, or run hf auth login (" in text
        assert "the limit is 4,294,967,296 bytes" in huge
        assert not {f"GET {CONFIG}", f"GET {WEIGHTS}"} & set(server.requests)
    assert downloaded(None, tmp_path, "hf://me/cards") == [found]  # without a connection
    (missing,) = downloaded(None, tmp_path, "hf://me/other")
    assert "hf://me/other: cannot be downloaded" in missing


@pytest.mark.slow
def test_commands_and_python_take_an_address(
    files: dict[str, bytes], shared: Path, gan_command: Train, tmp_path: Path
) -> None:
    with serving({"me/cards": files}, {}) as server:
        words = ["-m", "gan.cli", "generate", "hf://me/cards@v1", "--seeds", "0-1"]
        done = python(words, server, tmp_path)
        assert done.stderr == "downloading hf://me/cards@v1, 0.0 MiB\n" and "current folder" in done.stdout
        load = 'import gan; gan.load("hf://me/cards").sample(2).save("python")\n'
        load += 'gan.Model.from_pretrained("me/cards", revision="v1").sample(2).save("pretrained")'
        python(["-c", load], server, tmp_path)
        wrong = python(["-m", "gan.cli", "generate", "hf://me/none"], server, tmp_path, check=False)
        assert wrong.returncode == 2 and len(wrong.stderr.splitlines()) == 1
    gan_command("generate", str(shared), "--seeds", "0-1", "--out", "own")
    for name in ("0.png", "1.png"):
        expected = (tmp_path / "own" / name).read_bytes()
        assert (tmp_path / "generated" / name).read_bytes() == expected
        for folder in ("python", "pretrained"):
            with Image.open(tmp_path / "own" / name) as one, Image.open(tmp_path / folder / name) as other:
                assert one.tobytes() == other.tobytes()  # Python writes no metadata


# ---- upload

OTHER = {"config.json": b"{}", "pytorch_model.bin": b"x"}  # files of another program
OURS = {CARD: b"---\nlibrary_name: retro-gan\nlicense: mit\n---\n", SAMPLES: b"of an earlier model", "notes.txt": b"x"}


@pytest.fixture
def server() -> Iterator[Hub]:
    with serving({"me/other": OTHER, "me/ours": dict(OURS)}, {}) as server:
        yield server


def log_in(server: Hub, token: str = TOKEN) -> Any:
    return huggingface_hub.HfApi(endpoint=server.address, token=token)


@pytest.fixture
def folder(files: dict[str, bytes], tmp_path: Path) -> Path:
    """Return a shared model with a license, and with files that are not uploaded."""
    shared_files.write(tmp_path / "cards", {name: files[name] for name in (WEIGHTS, CONFIG, CARD)})
    for name in ("LICENSE", ".env", ".git/config", ".cache/huggingface/x", "a [b]/c.txt", "raw/LICENSE", "photo.png"):
        (tmp_path / "cards" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cards" / name).write_text(name)
    (tmp_path / "id_rsa").write_text("private")
    (tmp_path / "cards" / "app.py").symlink_to(tmp_path / "id_rsa")
    (tmp_path / "cards" / "requirements.txt").write_text("retro-gan[demo]")
    return tmp_path / "cards"


@pytest.mark.parametrize(("repository", "kind"), [("me/new", ""), ("me/ours", ""), ("me/new", "spaces/")])
def test_an_upload_has_the_files_of_the_model_only(server: Hub, folder: Path, repository: str, kind: str) -> None:
    url = hub.upload(log_in(server), folder, repository, space=bool(kind))
    assert url == f"{server.address}/{kind}{repository}"
    found = server.models[f"{kind}{repository}"]
    new = {name: found[name] for name in found if name not in (".gitattributes", "notes.txt")}
    # No samples.png of an earlier model, no file that gan share did not write, and no link.
    assert set(new) == {WEIGHTS, CONFIG, CARD, "LICENSE"} | ({"requirements.txt"} if kind else set())
    assert all(data == (folder / name).read_bytes() for name, data in new.items())
    assert hub.sizes_of(folder, bool(kind)) == {name: len(data) for name, data in new.items()}
    assert ("notes.txt" in found) == (repository == "me/ours") and not server.private


def test_a_private_repository_stays_private(server: Hub, folder: Path) -> None:
    for _ in range(2):
        hub.upload(log_in(server), folder, "me/hidden", private=True)
    assert server.private == {"me/hidden"}


@pytest.mark.parametrize(
    ("repository", "options", "expected"),
    [
        ("me/other", {}, "me/other: has files of another program, such as config.json; give another name"),
        ("me/ours", {"private": True}, "me/ours: exists and is public"),
        (
            "me/new.git",
            {},
            r"me/new.git: cannot be uploaded; .*Repo_id cannot end by",
        ),
    ],
)
def test_an_upload_is_refused(
    server: Hub, folder: Path, repository: str, options: dict[str, Any], expected: str
) -> None:
    before = dict(server.models["me/ours"]), dict(server.models["me/other"])
    with pytest.raises(UserError, match=expected) as error:
        hub.upload(log_in(server), folder, repository, **options)
    assert "\n" not in str(error.value)
    assert before == (server.models["me/ours"], server.models["me/other"])


def test_errors_of_the_hub_are_one_line(server: Hub, folder: Path) -> None:
    with pytest.raises(UserError, match=r"me/new: cannot be uploaded; .*401"):
        hub.upload(log_in(server, "wrong"), folder, "me/new")
    (folder / CARD).write_text("---\nlicense: mine\n---\n")
    with pytest.raises(UserError, match='"license" must be one of'):
        hub.upload(log_in(server), folder, "me/new")
    with pytest.raises(UserError, match=r"cannot be uploaded; .*(refused|attempts failed)"):
        hub.upload(huggingface_hub.HfApi(endpoint="http://127.0.0.1:9", token=TOKEN), folder, "me/new")


def test_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UserError, match="needs a token with write access; run hf auth login"):
        hub.log_in()


@pytest.mark.parametrize("name", ["", "me", "me/a/b", "me/a b", "../a", "me/a--b", "me/..", "me/a@v1"])
def test_names_that_are_no_repository(name: str) -> None:
    with pytest.raises(UserError, match="give USER/NAME"):
        hub.repository(name)
    assert hub.repository("hf://me/cards") == "me/cards"


def test_a_dry_run_needs_no_network(
    run: Path, gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "library", lambda what: pytest.fail("the library is used"))
    shown = gan_command("share", str(run), "--push", "me/cards", "--dry-run", "--license", "mit").stdout.splitlines()
    sizes = {name: size for size, _, name in (line.split(maxsplit=2) for line in shown if " bytes  " in line)}
    written = {path.name: f"{path.stat().st_size:,}" for path in (tmp_path / "cards").iterdir()}
    assert sizes == written and shown[-1] == "dry run: nothing was uploaded"
    assert "gan generate hf://me/cards" in (tmp_path / "cards" / CARD).read_text()
    for words in (["--dry-run"], ["out", "--private"], []):
        assert "--push USER/NAME" in gan_command("share", str(run), *words, "--license", "mit", check=2).stderr
    wrong = gan_command("share", str(run), "out", "--license", "gpl3", check=2).stderr
    assert "--license gpl3: the Hugging Face Hub has no such license; did you mean gpl or lgpl or gpl-3.0?" in wrong


def test_push_and_load(
    server: Hub, run: Path, shared: Path, gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "log_in", lambda: log_in(server))
    model = gan.load(run)
    assert model.push_to_hub("me/cards", license="MIT", trained_on="cards") == f"{server.address}/me/cards"
    pushed = server.models["me/cards"]
    assert set(pushed) == {".gitattributes", WEIGHTS, CONFIG, CARD, SAMPLES}
    front, text = card.split(pushed[CARD].decode())
    assert front["license"] == "mit" and "# cards" in text and 'gan.load("hf://me/cards")' in text
    asked: list[str] = []
    monkeypatch.setattr(address, "download", lambda text: asked.append(text) or shared)
    for found in (gan.Model.from_pretrained("me/cards", "v1"), gan.Model.from_pretrained(shared)):
        assert torch.equal(found.sample(2).tensor, model.sample(2).tensor)
    assert asked == ["hf://me/cards@v1"]
    with pytest.raises(UserError, match="license=mine: the Hugging Face Hub has no such license"):
        model.push_to_hub("me/cards", license="mine")
    *listed, url = gan_command("share", str(run), "--license", "mit", "--push", "me/more").stdout.splitlines()
    assert url == f"{server.address}/me/more"
    assert {line.split()[-1] for line in listed if " bytes  " in line} == {WEIGHTS, CONFIG, CARD, SAMPLES}
    assert server.models["me/more"].pop(".gitattributes") == b""
    assert server.models["me/more"] == {path.name: path.read_bytes() for path in (tmp_path / "more").iterdir()}
