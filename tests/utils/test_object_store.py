"""Addresses of object storage, and what is printed when a service fails."""

import errno
from pathlib import Path

import pytest

from gan.utils import object_store
from gan.utils.errors import UserError
from gan.utils.object_store import Store, StoreError, check_address, explain, explained
from gan.utils.option_values import is_remote

SECRET = "AKIA0123456789SECRET"


@pytest.mark.parametrize(
    "text", ["s3://bucket/a", "s3://bucket/runs/a.b_c/", "gs://bucket/a=1/b@2", "s3://my.bucket/a"]
)
def test_addresses(text: str) -> None:
    assert is_remote(text) and check_address("remote", text) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    ["s3://bucket", "s3://", "s3:///a", "s4://bucket/a", "s3://key:secret@bucket/a", "s3://bucket/../a", "s3://bucket/a/..",
     "s3://bucket/a b", "s3://bucket//a", "s3://bucket/a?versionId=1", "bucket/a", "s3://bucket/.hidden"],
)  # fmt: skip
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is not the URL of a folder in object storage; give one such as s3://"):
        check_address("remote=...", text)


def test_a_path_is_no_address() -> None:
    assert not is_remote("runs/a") and not is_remote("hf://user/name") and not is_remote(None) and not is_remote("s3")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "find_spec", lambda library: None)
    with pytest.raises(UserError, match=r"gs://bucket/a: needs the gcsfs library: pip install 'retro-gan\[gs\]'"):
        Store("gs://bucket/a")


def service_error(code: str) -> Exception:
    """Return what s3fs raises for an error of the service, whose text has a key."""
    exceptions = pytest.importorskip("botocore.exceptions")
    answer = {"Error": {"Code": code, "Message": f"refused AWSAccessKeyId={SECRET}"}}
    error = OSError(22, f"refused {SECRET}")
    error.__cause__ = exceptions.ClientError(answer, "PutObject")
    return error


def test_errors_of_services_are_explained_without_their_text() -> None:
    with pytest.raises(StoreError) as caught, explained():
        raise service_error("ExpiredToken")
    assert str(caught.value) == "the service refuses it with ExpiredToken; check the credentials and the URL"


def test_other_errors_have_their_message() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    assert explain(exceptions.NoCredentialsError()) == "Unable to locate credentials"
    assert explain(PermissionError()) == "PermissionError"


def test_an_unknown_error_does_not_show_a_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert explain(ValueError(f"bad signature {SECRET}")) == "bad signature ***"


@pytest.mark.parametrize(
    "text",
    ["s3://AKIA:PASS/WORD@bucket/a", "s3://bucket/a?X-Amz-Signature=PASS", "Invalid endpoint: user:PASS@host:9",
     "remote=s3://PASS@bucket/a"],
)  # fmt: skip
def test_secrets_in_addresses_are_not_shown(text: str) -> None:
    assert "PASS" not in explain(ValueError(text))
    with pytest.raises(UserError) as refused:
        check_address(text, text)
    assert "PASS" not in str(refused.value)
    assert str(refused.value).startswith(text.partition("//")[0]) or "//" not in text


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def get_file(self, source: str, target: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    store = Store.__new__(Store)
    store.root, store.files = "bucket/a", Full()
    with pytest.raises(OSError, match="No space left") as full:
        store.download("config.yaml", tmp_path / "config.yaml")
    assert full.value.filename == str(tmp_path / "config.yaml")
