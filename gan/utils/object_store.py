"""Read and write objects in object storage, such as s3://BUCKET/PATH, with fsspec. No torch.

An object appears only when its upload is complete.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan.utils.errors import UserError, causes, install, to_line
from gan.utils.files import replace, temporary

# Scheme, which is also the name of our extra -> library that fsspec needs, and its options.
SCHEMES: dict[str, tuple[str, dict[str, Any]]] = {
    "s3": ("s3fs", {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 4}}}),
    "gs": ("gcsfs", {}),
}
ADDRESS = re.compile(rf"({'|'.join(SCHEMES)})://[a-z0-9][\w.-]{{1,221}}(/[\w@=+-][\w.@=+-]*)+/?", re.ASCII)
SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL", re.IGNORECASE)  # in names of environment variables
USER_INFO = re.compile(r"(://)\S*@|[^\s/@'\"]+:(?!//)[^\s@'\"]*@")  # user:password@ in an address
PARAMETERS = re.compile(r"\?\S*=\S*")  # such as a signature


class StoreError(Exception):
    """An object cannot be read or written. The message is the reason, without credentials."""


class Missing(StoreError):
    """There is no such object."""


def check_address(option: str, text: str) -> str:
    """Return an address without a trailing slash; raise UserError if it is not valid."""
    if not ADDRESS.fullmatch(text) or ".." in text:
        said = without_keys(option)
        raise UserError(f"{said}: is not the URL of a folder in object storage; give one such as s3://BUCKET/runs/NAME")
    return text.rstrip("/")


def check_library(address: str) -> None:
    """Raise UserError if the library for an address is not installed."""
    scheme = address.partition("://")[0]
    library = SCHEMES[scheme][0]
    if find_spec(library) is None:
        raise UserError(f"{address}: needs the {library} library: {install(scheme)}")


@contextmanager
def explained() -> Iterator[None]:
    """Turn any exception into a StoreError, because libraries and networks raise many kinds."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.__cause__ is None:
            raise  # the disk of this machine is full
        raise (Missing if isinstance(error, FileNotFoundError) else StoreError)(explain(error)) from error
    except Exception as error:
        raise StoreError(explain(error)) from error


class Store:
    """A folder in object storage. Its methods raise StoreError.

    Args:
        address: such as s3://BUCKET/PATH.

    Raises:
        UserError: the address is not valid, or its library is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = check_address(address, address)
        check_library(self.address)
        import fsspec

        scheme, _, self.root = self.address.partition("://")
        options = SCHEMES[scheme][1]
        self.files: Any = fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True, **options)

    @explained()
    def list(self) -> dict[str, str]:
        """Return the tags of the objects in the folder and its subfolders by name. A tag changes with the content."""
        try:
            objects = self.files.find(self.root, detail=True)
        except FileNotFoundError as error:
            if error.__cause__ is not None:
                raise
            return {}
        return {path[len(self.root) + 1 :]: tag_in(about) for path, about in objects.items() if path != self.root}

    @explained()
    def tag_of(self, name: str) -> str:
        return tag_in(self.files.info(f"{self.root}/{name}"))

    def upload(self, path: Path, name: str) -> None:
        """Upload a file; raise FileNotFoundError if there is no such file."""
        with open(path, "rb"), explained():
            self.files.put_file(str(path), f"{self.root}/{name}")

    def download(self, name: str, path: Path) -> None:
        """Download an object, atomically; raise OSError if the file cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = temporary(path)
        try:
            with explained():
                self.files.get_file(f"{self.root}/{name}", str(partial))
            replace(partial, path)
        except OSError as error:
            error.filename = str(path)  # which fsspec may leave out
            raise
        finally:
            partial.unlink(missing_ok=True)

    @explained()
    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.files.rm_file(f"{self.root}/{name}")


def tag_in(about: dict[str, Any]) -> str:
    """Return the tag from the description that fsspec gives of an object in S3 or Google Cloud Storage."""
    return str(next((about[key] for key in ("ETag", "etag", "md5Hash") if about.get(key)), ""))


@contextmanager
def stored_at(name: str) -> Iterator[None]:
    """Turn a StoreError into a UserError that begins with the name of the option or the address."""
    try:
        yield
    except StoreError as error:
        raise UserError(f"{name}: {error}") from error


def explain(error: BaseException) -> str:
    """Return the reason for an error: the code of the service, whose text may have keys, or else the message."""
    for cause in causes(error):
        response = getattr(cause, "response", None)  # of an error of S3
        if isinstance(response, dict) and (code := response.get("Error", {}).get("Code")):
            return f"the service refuses it with {to_line(code)}; check the credentials and the URL"
    return to_line(without_keys(str(error).strip()) or type(error).__name__)


def without_keys(text: str) -> str:
    secrets = [value for name, value in os.environ.items() if SECRET.search(name) and len(value) >= 8]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return PARAMETERS.sub("?***", USER_INFO.sub(r"\1***@", text))
