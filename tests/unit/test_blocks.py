"""The blocks that name images: they fit whatever the family has, and name nothing that it has not."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from kiln import catalog, matrix, readme
from kiln.results import Results
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

SLIM = {"slim": {"description": "little"}}
DISTROLESS = {"distroless": {"description": "less"}, "distroless-debug": {"description": "a shell"}}


def narrow(*names, variants=(), **changes):
    """Return a family with some targets, and their variants where some are given."""
    data = f.family(**changes)
    data["targets"] = {name: data["targets"][name] for name in names}
    for release in data["releases"]:
        release["targets"] = list(names)
    for target in data["targets"].values() if variants else ():
        target |= {"variants": {name: {} for name in variants}, "default_variant": variants[0]}
    data["variants"] |= DISTROLESS
    return data


WORKER = {key: value for key, value in UVICORN.items() if key != "port"}
WORKER["test"] = {"kind": "worker", "imports": ["uvicorn"]}
FAMILIES = {
    "all": f.family(packages={"uvicorn": UVICORN}),
    "only Alpine": narrow("alpine3.24"),
    "only full": narrow("trixie", variants=["full"]),
    "only distroless": narrow("trixie", variants=["distroless"]),
    "distroless": narrow("trixie", variants=["full", "slim", "distroless", "distroless-debug"]),
    "free-threaded": narrow("trixie", releases=[f.release("3.14.1", flavours=["default", "freethreaded"])]),
    "only free-threaded": narrow("trixie", releases=[f.release("3.14.1", flavours=["freethreaded"])]),
    "a prerelease": narrow("trixie", releases=[f.release("3.16.0a1")]),
    "a worker": f.family(packages={"uvicorn": WORKER}),
    "two packages": f.family(packages={"a": WORKER, "uvicorn": UVICORN}),
    "Windows": f.windows(),
    "a registry": f.family(registry="localhost:5000", repository="me/snakes"),
}


@cache
def blocks(name, folder=Path("/nowhere")):
    """Return a family by its name here, and its blocks; `folder` is where its documents are."""
    family = matrix.expand(catalog.loads(json.dumps(FAMILIES[name]), name), folder / "versions.json")
    return family, readme.blocks(readme.pages(family, Results(repository=family.repository, images={})))


@pytest.mark.parametrize("name", FAMILIES)
def test_blocks_name_images_of_the_family_alone(name):
    """Each image that a block names is one, by a tag that it has."""
    family, texts = blocks(name)
    tags = {f"{family.repository_of(image)}:{tag}" for image in family.everything for tag in image.tags}
    places = sorted({*family.repositories, "kiln/python", "kiln/uvicorn"}, key=len, reverse=True)
    named = set(re.findall(rf"(?:{'|'.join(map(re.escape, places))}):[\w.-]+", "\n".join(texts.values())))
    assert named
    assert named <= tags


@pytest.mark.parametrize("name", FAMILIES)
def test_blocks_have_no_hole(name):
    """Fences pair up, and no two empty lines follow each other."""
    _, texts = blocks(name)
    for block, text in texts.items():
        assert text.count("```") % 2 == 0, block
        assert "\n\n\n" not in text, block
        assert "None" not in text, block


def test_what_a_family_lacks_is_not_spoken_of(tmp_path):
    """Neither in the README's blocks nor with a link to a document that is not there."""
    _, texts = blocks("only Alpine")
    for word in ("distroless", "free-threaded", "AS build", "`full`", "docs/"):
        assert word not in texts["use"], word
    assert not texts["packages"].strip()
    assert "has no `distroless` image" in texts["distroless-build"]
    _, texts = blocks("distroless")
    assert "docs/" not in texts["use"]
    # Without pip, nothing is installed in it.
    assert "RUN pip" not in blocks("only distroless")[1]["use"]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/distroless.md").touch()
    _, texts = blocks("distroless", tmp_path)
    assert "](docs/distroless.md)" in texts["use"]


def test_packages_are_listed_with_their_pages():
    """And the first that listens on a port is the example."""
    _, texts = blocks("two packages")
    assert "| [`kiln/a`](packages/a/README.md) | " in texts["packages"]
    assert "docker run --rm -p 8000:80 kiln/uvicorn:py3.13-" in texts["packages"]
    assert "[uvicorn](../packages/uvicorn/README.md)" in texts["package-use"]


def test_every_document_of_a_family_may_have_blocks(tmp_path):
    """A README must have one, for nothing would keep it up to date."""
    family = f.expand(tmp_path, f.family())
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs/mine.md"
    page.write_text("# Mine\n\n<!-- kiln:run -->\n<!-- /kiln:run -->\n")
    assert "docs/mine.md" in readme.write(family)
    assert "docker run --rm -it kiln/python:3.13.5-slim-trixie" in page.read_text()
