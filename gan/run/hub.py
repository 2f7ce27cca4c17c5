"""Models on the Hugging Face Hub, in place of a run: hf://USER/NAME or hf://USER/NAME@REVISION.

Only model.safetensors and config.json are downloaded, into the cache of huggingface_hub, after a check of their sizes.
No torch.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from gan.common.errors import UserError, install, to_line
from gan.common.untrusted import MAX_JSON
from gan.run.shared_folder import CONFIG, WEIGHTS

SCHEME = "hf://"
NAME = r"[A-Za-z0-9][\w.-]{0,95}"
ADDRESS = re.compile(rf"{SCHEME}({NAME}/{NAME})(?:@([\w.-][\w./-]{{0,200}}))?", re.ASCII)
LIMITS = {CONFIG: MAX_JSON, WEIGHTS: 4 << 30}  # maximum sizes in bytes
MIB = 1 << 20


def download(address: str) -> Path:
    """Return the folder of a model on the Hub, in the cache of huggingface_hub. Without a connection, the cached one.

    Raises:
        UserError: the address is not valid, huggingface_hub is not installed, there is no such model, a file is too
            large, or the download fails.
    """
    found = ADDRESS.fullmatch(address)
    if found is None or ".." in address:
        raise UserError(f"{address}: is not the name of a model; give hf://USER/NAME or hf://USER/NAME@REVISION")
    try:
        import huggingface_hub as hub
        from huggingface_hub import errors
    except ImportError as error:
        raise UserError(f"{address}: needs the huggingface_hub library: {install('hub')}") from error
    repository, revision = found[1], found[2]
    at = f" at revision {revision}" if revision else ""
    try:
        return fetch(hub, address, repository, revision)
    except UserError:
        raise
    except errors.GatedRepoError as error:
        raise UserError(
            f"{address}: its author must grant you access; request access at https://huggingface.co/{repository}, then "
            "run hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{address}: has no revision {revision}; give a branch, tag or commit of it") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(f"{address}: no such model, or it is private; check the name, or run hf auth login") from error
    except errors.EntryNotFoundError as error:
        raise UserError(
            f"{address}: was not shared by retro-gan; it has no {CONFIG} or {WEIGHTS}{at}; give a model written by "
            "gan share"
        ) from error
    except Exception as error:  # networks, proxies and disks raise many kinds of error
        reason = to_line((str(error).strip() or type(error).__name__).splitlines()[0])
        raise UserError(f"{address}: cannot be downloaded ({reason}); try again, or give a local folder") from error


def fetch(hub: Any, address: str, repository: str, revision: str | None) -> Path:
    """Return the folder of one revision with both files, downloaded or from the cache."""
    try:
        sizes, commit = measure(hub, address, repository, revision)
    except OSError as error:
        if getattr(error, "response", None) is not None:  # the Hub has answered
            raise
        return cached(hub, address, repository, revision, error)
    except Exception as error:
        if not type(error).__module__.startswith("httpx"):
            raise
        return cached(hub, address, repository, revision, error)
    for name, size in sizes.items():
        if size is None or size > LIMITS[name]:
            shown = "an unknown size" if size is None else f"{size:,} bytes"
            raise UserError(f"{address}: its {name} has {shown}; the limit is {LIMITS[name]:,} bytes")
    if not isinstance(hub.try_to_load_from_cache(repository, WEIGHTS, revision=commit), str):
        report(f"downloading {address}, {(sizes[WEIGHTS] or 0) / MIB:.1f} MiB")
    config = Path(hub.hf_hub_download(repository, CONFIG, revision=revision))  # also records the commit in the cache
    hub.hf_hub_download(repository, WEIGHTS, revision=config.parent.name)  # of the same commit
    return config.parent


def measure(hub: Any, address: str, repository: str, revision: str | None) -> tuple[dict[str, int | None], str]:
    """Return the size of each file on the Hub, and the commit of the revision, so that both files belong together."""
    sizes: dict[str, int | None] = {}
    for name in LIMITS:
        found = hub.get_hf_file_metadata(hub.hf_hub_url(repository, name, revision=revision))
        sizes[name], revision = found.size, found.commit_hash
        if not re.fullmatch(r"[0-9a-f]{40}", str(revision)):
            endpoint = os.environ.get("HF_ENDPOINT", "the Hub")
            raise UserError(f"{address}: {endpoint} returned no commit; check HF_ENDPOINT")
    return sizes, str(revision)


def cached(hub: Any, address: str, repository: str, revision: str | None, error: Exception) -> Path:
    """Return the folder in the cache, because the Hub cannot be reached."""
    paths = [hub.try_to_load_from_cache(repository, name, revision=revision) for name in LIMITS]
    if not all(isinstance(path, str) for path in paths):
        reason = to_line((str(error).strip() or type(error).__name__).splitlines()[0])
        raise UserError(f"{address}: is not in the cache, and the Hub cannot be reached ({reason})") from error
    report(f"{address}: the Hub cannot be reached; using the copy in the cache")
    return Path(paths[0]).parent


def report(text: str) -> None:
    """Print a line to stderr, because standard output may be a table or JSON."""
    print(text, file=sys.stderr, flush=True)
