"""Models on the Hugging Face Hub: download and upload with huggingface_hub. No torch."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from gan.models.shared_model import CARD, CONFIG, LIBRARY, LICENSE, SAMPLES, WEIGHTS
from gan.utils.errors import UserError, install, reason
from gan.utils.untrusted import MAX_JSON

HUB = "hf://"
NAME = r"[A-Za-z0-9][\w.-]{0,95}"
REPOSITORY = re.compile(rf"{NAME}/{NAME}", re.ASCII)
ADDRESS = re.compile(rf"{HUB}({NAME}/{NAME})(?:@([\w.-][\w./-]{{0,200}}))?", re.ASCII)
LIMITS = {CONFIG: MAX_JSON, WEIGHTS: 4 << 30}  # maximum sizes of the files of a model on the Hub, in bytes
MODEL_FILES = (WEIGHTS, CONFIG, CARD, SAMPLES, LICENSE)  # files that are uploaded, and no others
SPACE_FILES = ("app.py", "requirements.txt")  # and these of a Space
OF_A_NEW_REPOSITORY = {".gitattributes", CARD, LICENSE}  # files that the pages of the Hub write


def library(what: str) -> Any:
    """Return huggingface_hub; raise UserError if it is not installed. `what` needs it."""
    try:
        import huggingface_hub.errors
    except ImportError as error:
        raise UserError(f"{what}: needs the huggingface_hub library: {install('hub')}") from error
    return huggingface_hub


# ---- download


def download(address: str) -> Path:
    """Return the folder of a model on the Hub in the cache of huggingface_hub; without a connection, an older copy."""
    parts = ADDRESS.fullmatch(address)
    if parts is None or ".." in address:
        raise UserError(f"{address}: is not the name of a model; give hf://USER/NAME or hf://USER/NAME@REVISION")
    hub = library(address)
    repository, revision = parts[1], parts[2]
    try:
        urls = {name: hub.hf_hub_url(repository, name, revision=revision) for name in LIMITS}
        sizes: dict[str, Any] = {name: hub.get_hf_file_metadata(url).size for name, url in urls.items()}
    except hub.errors.HfHubHTTPError as error:
        raise failed(address, error) from error
    except Exception:  # networks and proxies raise many kinds of error
        sizes = {}  # the cache may have a copy
    for name, size in sizes.items():
        if size is None or size > LIMITS[name]:
            raise UserError(f"{address}: its {name} is too large; the limit is {LIMITS[name]:,} bytes")
    # Lines go to stderr, because standard output may be a table or JSON.
    if sizes and not isinstance(hub.try_to_load_from_cache(repository, WEIGHTS, revision=revision), str):
        print(f"downloading {address}, {sizes[WEIGHTS] / (1 << 20):.1f} MiB", file=sys.stderr, flush=True)
    try:
        config = Path(hub.hf_hub_download(repository, CONFIG, revision=revision, local_files_only=not sizes))
        hub.hf_hub_download(repository, WEIGHTS, revision=config.parent.name, local_files_only=not sizes)
    except Exception as error:  # networks, proxies and disks raise many kinds of error
        raise failed(address, error) from error
    with suppress(Exception):  # the card has the license; a model without one, or with a huge one, has none here
        if sizes and hub.get_hf_file_metadata(hub.hf_hub_url(repository, CARD, revision=revision)).size <= MAX_JSON:
            hub.hf_hub_download(repository, CARD, revision=config.parent.name)
    if not sizes:
        print(f"{address}: the Hub cannot be reached; using the copy in the cache", file=sys.stderr)
    return config.parent


def failed(address: str, error: Exception) -> UserError:
    return UserError(f"{address}: cannot be downloaded; check the name, or run hf auth login ({reason(error)})")


# ---- upload


def repository(text: str) -> str:
    """Return the name of a repository; raise UserError if it is not USER/NAME."""
    name = text.removeprefix(HUB)
    if REPOSITORY.fullmatch(name) is None or ".." in name or "--" in name:
        raise UserError(f"{text}: is not the name of a repository; give USER/NAME, as in me/posters")
    return name


def log_in() -> Any:
    """Return the interface of huggingface_hub; raise UserError if the user has no token."""
    hub = library("the Hugging Face Hub")
    if hub.get_token() is None:
        raise UserError("the Hugging Face Hub needs a token with write access; run hf auth login, or set HF_TOKEN")
    return hub.HfApi()


def upload(api: Any, folder: Path, repository: str, private: bool = False, space: bool = False) -> str:
    """Upload the files of `sizes_of`, and return the URL of their page. A repository is created if there is none.

    Args:
        api: result of `log_in`.
        private: refuse to upload to a public repository.
        space: the repository is a Space, which runs app.py.
    """
    where: dict[str, Any] = {"repo_id": repository, "repo_type": "space" if space else "model"}
    try:
        sdk = "gradio" if space else None
        url = api.create_repo(**where, private=private or None, space_sdk=sdk, exist_ok=True)
        refuse_other(api.repo_info(**where), repository, private)
        # A samples.png of an earlier model is removed, as in `gan.models.shared_files.write`.
        api.upload_folder(**where, folder_path=folder, allow_patterns=[*sizes_of(folder, space)],
                          delete_patterns=[SAMPLES], commit_message=f"Upload a model of {LIBRARY}")  # fmt: skip
    except UserError:
        raise
    except Exception as error:  # networks, proxies and disks raise many kinds of error
        advice = "check the connection, the name and the token"
        raise UserError(f"{repository}: cannot be uploaded; {advice} ({reason(error)})") from error
    return str(url)


def refuse_other(about: Any, repository: str, private: bool) -> None:
    """Raise UserError if a repository has the files of another program, or is public although it should be private."""
    card = about.card_data or {}
    files = {file.rfilename for file in about.siblings or ()} - OF_A_NEW_REPOSITORY
    if files and LIBRARY not in (card.get("library_name"), *(card.get("tags") or ())):
        raise UserError(f"{repository}: has files of another program, such as {min(files)}; give another name")
    if private and not about.private:
        raise UserError(f"{repository}: exists and is public; give another name, or make it private on its page")


def sizes_of(folder: Path, space: bool = False) -> dict[str, int]:
    """Return the sizes in bytes of the files of a folder that `upload` uploads, by name. Links are left out."""
    files = (folder / name for name in MODEL_FILES + SPACE_FILES * space)
    return {path.name: path.stat().st_size for path in files if path.is_file() and not path.is_symlink()}
