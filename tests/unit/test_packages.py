"""Package images: their cells, ids and tags, from the matrix alone; bad entries are one clear line."""

import shutil

import pytest

from kiln import packages
from kiln.errors import CatalogError, RenderError, SelectionError
from tests.unit import family as f

UVICORN = {
    "command": ["start"],
    "description": "An ASGI server",
    "port": 80,
    "pythons": ["3.13"],
    "requirements": ["uvicorn[standard]"],
    "targets": ["trixie", "alpine3.24"],
    "test": {"imports": ["uvicorn"], "kind": "http"},
    "variants": ["full", "slim"],
    "versions": ["0.9.0", "0.18.3"],
}


def expand(tmp_path, releases=("3.13.5",), **changes):
    data = f.family(releases=[f.release(version) for version in releases], packages={"uvicorn": {**UVICORN, **changes}})
    return f.expand(tmp_path, data)


def test_each_version_is_on_each_python_target_and_variant(tmp_path):
    """A target that has only some of the variants has only these; newer versions come first."""
    assert [image.id for image in expand(tmp_path).packages] == [
        "uvicorn:py3.13.5-trixie-0.18.3", "uvicorn:py3.13.5-slim-trixie-0.18.3", "uvicorn:py3.13.5-alpine3.24-0.18.3",
        "uvicorn:py3.13.5-trixie-0.9.0", "uvicorn:py3.13.5-slim-trixie-0.9.0", "uvicorn:py3.13.5-alpine3.24-0.9.0",
    ]  # fmt: skip


def test_tags_are_multi_pys_and_those_of_the_target(tmp_path):
    """The default target goes without saying; `latest` is the highest version, not the last listed."""
    found = {image.id: image.tags.specific for image in expand(tmp_path).packages}
    assert found["uvicorn:py3.13.5-slim-trixie-0.18.3"][8:] == (
        "py3.13.5-slim-0.18.3", "py3.13.5-slim-0.18", "py3.13.5-slim-latest", "py3.13.5-slim-LATEST",
        "py3.13-slim-0.18.3", "py3.13-slim-0.18", "py3.13-slim-latest", "py3.13-slim-LATEST",
    )  # fmt: skip
    assert found["uvicorn:py3.13.5-trixie-0.9.0"][-2:] == ("py3.13-0.9.0", "py3.13-0.9")
    assert "py3.13-alpine-latest" in found["uvicorn:py3.13.5-alpine3.24-0.18.3"]


def test_prereleases_are_no_latest(tmp_path):
    """Nor are they the newest of their minor version; and `0.18` is not given where it is a version itself."""
    found = expand(tmp_path, versions=["0.19.0rc1", "0.18.4rc1", "0.18", "0.18.3"])
    tags = {image.installed.version: set(image.tags.specific) for image in found.select(["uvicorn:py3.13-[0l]*"])}
    assert tags["0.18.3"] >= {"py3.13-latest", "py3.13-0.18.3"}
    assert not any(tag.endswith(("latest", "0.19")) for tag in tags["0.19.0rc1"])
    assert "py3.13-0.18" in tags["0.18"]
    assert "py3.13-0.18" not in tags["0.18.3"]


def test_a_kept_release_has_its_full_version_only(tmp_path):
    """A series means its newest release; another one is named in full."""
    found = expand(tmp_path, ("3.13.5", "3.13.18"), pythons=["3.13", "3.13.5"], variants=["slim"], targets=["trixie"])
    assert [image.id for image in found.packages][:2] == [
        "uvicorn:py3.13.18-slim-trixie-0.18.3",
        "uvicorn:py3.13.5-slim-trixie-0.18.3",
    ]
    assert not any(tag.startswith("py3.13-") for tag in found.packages[1].tags)


def test_they_are_built_on_ours(tmp_path):
    """The image is that of its variant, the tree is installed in the full one, where there is one."""
    found = {image.id: image.installed for image in expand(tmp_path).packages}
    slim, alpine = found["uvicorn:py3.13.5-slim-trixie-0.9.0"], found["uvicorn:py3.13.5-alpine3.24-0.9.0"]
    assert (slim.python, slim.builder) == ("3.13.5-slim-trixie", "3.13.5-trixie")
    assert (alpine.python, alpine.builder) == ("3.13.5-alpine3.24", "3.13.5-alpine3.24")
    assert slim.defaults == ("3.13.5", "0.18.3")


def test_globs_find_them_by_tag_and_by_name(tmp_path):
    """Their repository is beside that of Python."""
    found = expand(tmp_path)
    image = found.select(["uvicorn:py3.13-slim-latest"])[0]
    assert found.select(["py3.13-slim-latest"]) == (image,)
    assert found.repository_of(image) == "kiln/uvicorn"
    assert found.repository_of(found.images[0]) == "kiln/python"
    with pytest.raises(SelectionError, match=r"near it are: uvicorn:py3\.13-slim"):
        found.select(["uvicorn:py3.13-slim-lates"])


def test_platforms_are_chosen_from_the_python_images(tmp_path):
    """Where nothing is left, the package is named with what to do."""
    found = expand(tmp_path, platforms=["linux/arm64"])
    assert {image.platforms for image in found.packages} == {("linux/arm64",)}
    assert {image.target_name for image in found.packages} == {"trixie"}
    with pytest.raises(CatalogError, match=r"packages\['uvicorn'\]: no Python image has its pythons"):
        expand(tmp_path, platforms=["linux/s390x"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"requirements": ["uvicorn==1"]}, ".requirements[0]: found 'uvicorn==1'; write name and extras alone"),
        ({"requirements": ["Uvi_Corn"]}, ".requirements[0]: found 'Uvi_Corn'; write the name as uvi-corn"),
        ({"requirements": ["a b"]}, ".requirements[0]: found 'a b', which pip does not take"),
        ({"requirements": []}, ".requirements: found an empty list"),
        ({"versions": ["1.0+local"]}, ".versions[0]: found '1.0+local', which no tag can be"),
        ({"versions": ["new"]}, ".versions[0]: found 'new', not a PEP 440 version"),
        ({"versions": ["1.0", "1.0"]}, ".versions[1]: found '1.0' a second time"),
        ({"pythons": ["3"]}, ".pythons[0]: found '3'; write a series"),
        ({"pythons": ["3.9"]}, ".pythons[0]: found '3.9', which no release has"),
        ({"targets": ["woody"]}, ".targets[0]: found unknown 'woody'"),
        ({"variants": ["fat"]}, ".variants[0]: found unknown 'fat'"),
        ({"platforms": ["linux/vax"]}, ".platforms[0]: found unknown 'linux/vax'"),
        ({"environment": {"1A": "x"}}, ".environment['1A']: found no name of a variable"),
        ({"environment": {"A": "$(id)"}}, ".environment.A: found '$' in '$(id)'"),
        ({"command": [" "]}, ".command[0]: found an empty word"),
        ({"test": {"kind": "http", "imports": ["a;b"]}}, ".test.imports[0]: found ';'"),
        ({"test": {"kind": "http", "imports": ["a-b"]}}, ".test.imports[0]: found 'a-b'; write a module's name"),
        ({"test": {"kind": "ftp", "imports": ["a"]}}, ".test.kind: Invalid enum value 'ftp'"),
        ({"port": 0}, ".port: Expected int >= 1"),
    ],
)  # fmt: skip
def test_bad_entries_are_one_line(tmp_path, change, message):
    """The line says where, what and what to do."""
    with pytest.raises(CatalogError) as caught:
        expand(tmp_path, **change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_http_needs_a_port(tmp_path):
    """The test would not know where to ask."""
    data = f.family(packages={"uvicorn": {key: value for key, value in UVICORN.items() if key != "port"}})
    with pytest.raises(CatalogError, match=r"\.port: found none"):
        f.expand(tmp_path, data)


def test_a_package_cannot_take_pythons_repository(tmp_path):
    """Its images would be pushed over those of Python."""
    with pytest.raises(CatalogError, match="own repository kiln/python"):
        f.expand(tmp_path, f.family(packages={"python": UVICORN}))


def test_what_gets_into_an_image_is_the_familys_own(tmp_path):
    """Lock, `start` and example decide it; nothing else that lies there, and not where that is."""
    image, digests = expand(tmp_path, command=["start"]).packages[0], []
    folder = tmp_path / "packages/uvicorn"
    (folder / "example").mkdir(parents=True)
    for name in ("start", "example/main.py", "documentation.md", "start"):
        (folder / name).write_text(f"{name} {len(digests)}")
        digests.append(packages.context_digest(image, "lock"))
    assert len(set(digests)) == 3
    assert digests[1] == digests[2]
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere / "packages/uvicorn")
    assert packages.context_digest(expand(elsewhere, command=["start"]).packages[0], "lock") == digests[-1]


def test_a_start_script_that_is_not_there_is_one_line(tmp_path):
    """Before an image is built that could not be started; another command needs none."""
    with pytest.raises(RenderError, match=r"its command is the script .*packages/uvicorn/start, which is not there"):
        packages.context_digest(expand(tmp_path, command=["start"]).packages[0], "lock")
    assert packages.context_digest(expand(tmp_path, command=["python3", "-m", "uvicorn"]).packages[0], "lock")


def test_versions_may_be_empty_where_the_index_fills_them_in(tmp_path):
    """Only with `keep`; until then there are no images of it, and everything else is there."""
    empty = {**UVICORN, "versions": [], "keep": 3}
    found = f.expand(tmp_path, f.family(packages={"uvicorn": empty, "other": UVICORN}))
    assert {image.installed.name for image in found.packages} == {"other"}
    del empty["keep"]
    with pytest.raises(
        CatalogError, match=r"versions: found an empty list; name at least one, or set `keep` and run `invoke"
    ):
        f.load(tmp_path, f.family(packages={"uvicorn": empty}))
