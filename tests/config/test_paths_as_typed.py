"""A path works as it is typed on a shell, whatever characters it has; lists and sweeps keep their meaning."""

import os
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gan.config.compose import compose
from gan.config.overrides import as_typed, stored
from gan.utils.errors import UserError
from gan.utils.option_values import without_home

NAMES = [
    "plain", " leading and trailing ", "both'\"", "a=b", "[x],[y]", "(old)", "back\\slash", "end\\", "$x{y}", "~tilde",
    "~", "日本", "1977", "-x", "'quoted'", "new\nline", "choice(a,b)", "a[1", "\udcff",
]  # fmt: skip


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "pics").mkdir(parents=True)
    return tmp_path


def values(word: str) -> object:
    """Return the value that Hydra parses; a list of alternatives for a sweep."""
    parsed = OverridesParser.create().parse_override(word)
    if not parsed.is_sweep_override():
        return parsed.value()
    again = [f"data.root={each}" for each in parsed.sweep_string_iterator()]  # as Hydra's sweeper passes them to jobs
    return {values(each) if isinstance(values(each), str) else tuple(values(each)) for each in again}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("option", ["data.root", "data.labels", "init_from", "resume", "hydra.run.dir"])
def test_an_existing_path_wins(name: str, option: str, inside: Path) -> None:
    (inside / name).mkdir()
    absolute = option not in ("resume", "hydra.run.dir")
    (word,) = as_typed([f"{option}={name}"])
    if name == "~":  # a shell expands it
        assert values(word) == str(inside / "home")
    elif option == "hydra.run.dir" and name == "'quoted'":
        assert values(word) == "quoted"  # Hydra's quotes
    else:
        assert values(word) == (str(inside / name) if absolute else name)
    assert as_typed([word]) == [word]  # stored, and read again
    if absolute and name != "~":
        assert values(as_typed([f"+{option}={inside / name}"], sweep=True)[0]) == values(word)


@pytest.mark.parametrize("name", ["plain", "with space", "ümlaut", "1977", "a=b", "-x"])
def test_existing_paths_in_a_list_and_a_sweep(name: str, inside: Path) -> None:
    (inside / name).mkdir()
    (inside / "other").mkdir()
    own, other = str(inside / name), str(inside / "other")
    assert values(as_typed([f"data.root=[{name},other]"])[0]) == [own, other]
    assert values(as_typed([f"data.root=[other, {own}]"])[0]) == [other, own]
    assert values(as_typed([f"data.root={own},other"], sweep=True)[0]) == {own, other}
    if name.isascii() and "=" not in name:  # otherwise lists of a sweep need Hydra's quotes
        assert values(as_typed([f"data.root=[{own}],[other,{own}]"], sweep=True)[0]) == {(own,), (other, own)}


def test_a_comma_is_a_sweep_only_where_no_file_has_it(inside: Path) -> None:
    for name in ("a", "b"):
        (inside / name).mkdir()
    typed = ["data.root=a,b"]
    assert values(as_typed(typed, sweep=True)[0]) == {str(inside / "a"), str(inside / "b")}
    assert as_typed(typed) == typed  # Hydra's error says how to write a list
    (inside / "a,b").mkdir()
    assert values(as_typed(typed, sweep=True)[0]) == str(inside / "a,b")


def test_tilde_is_the_home_folder(inside: Path) -> None:
    home = str(inside / "home")
    assert values(as_typed(["data.root=~/pics"])[0]) == f"{home}/pics"
    assert values(as_typed(["data.root=[~/pics,~/other]"])[0]) == [f"{home}/pics", f"{home}/other"]
    assert values(as_typed(["hydra.run.dir=~/runs/new (1)"])[0]) == f"{home}/runs/new (1)"
    assert values(as_typed(["resume=~/pics"])[0]) == f"{home}/pics"


def test_words_interpolations_and_urls_keep_their_meaning(inside: Path) -> None:
    (inside / "true").mkdir()
    (inside / "s3:").mkdir()
    kept = ["data.labels=true", "resume=auto", "data.root=null", "init_from=", "data.root=s3://bucket/x"]
    kept += ["hydra.run.dir=runs/${model}", "data.root=${oc.env:PICS}", "loss=hinge"]
    assert as_typed(kept, sweep=True) == kept
    assert values(as_typed(["data.labels=./true"])[0]) == str(inside / "true")


def test_a_path_that_hydra_cannot_read_is_named_as_typed() -> None:
    for name in ("my pics (1)", "a=b=(c)", "[old] pics", "new [", "it's"):
        assert values(as_typed([f"data.root={name}"])[0]) == name
        assert values(as_typed([f"hydra.run.dir=runs/{name}"])[0]) == f"runs/{name}"
    assert compose(as_typed(["hydra.run.dir=runs/[1],x"])).hydra.run.dir == "runs/[1],x"


def test_a_path_with_an_interpolation_is_refused(inside: Path) -> None:
    (inside / "${x}").mkdir()
    with pytest.raises(UserError, match="is not supported; rename it, or use a link to it"):
        as_typed(["data.root=${x}"])
    (inside / "link").symlink_to("${x}")
    assert values(as_typed(["data.root=link"])[0]) == str(inside / "link")


def test_the_name_of_the_user_is_not_stored(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = os.environ["HOME"]
    assert without_home(f"{home}/pics") == "~/pics"
    assert without_home(home) == "~"
    assert without_home(f"{home}s/x") == f"{home}s/x"
    assert without_home({"a": [f"{home}/x", 3, None], "b": f"/y{home}"}) == {"a": ["~/x", 3, None], "b": f"/y{home}"}
    word = as_typed([f"data.root=[{home}/pics,{inside}]"])[0]
    assert stored(word) == f"data.root=['~/pics','{inside}']"
    assert as_typed([stored(word)]) == [word]
    assert stored("model.generator.width=8") == "model.generator.width=8"
    monkeypatch.setenv("HOME", "/")
    assert without_home("/data/x") == "/data/x"


def test_a_style_is_a_path_only_if_it_is_a_color_table(inside: Path) -> None:
    for name in ("film", "my look.cube", "clut.cube"):
        (inside / name).touch()
    for text, value in (
        ("film", "film"),
        ("my look.cube", str(inside / "my look.cube")),
        ("[fade,clut.cube,halftone:cell=6]", ["fade", str(inside / "clut.cube"), "halftone:cell=6"]),
        ("none.cube", "none.cube"),
    ):
        (word,) = as_typed([f"data.style={text}"])
        assert OverridesParser.create().parse_override(word).value() == value
        assert as_typed([word]) == [word]
    (word,) = as_typed(["data.style=film,my look.cube"], sweep=True)
    first, second = OverridesParser.create().parse_override(word).sweep_string_iterator()
    assert first == "film" and "my look.cube" in second
