"""Two families in one checkout and one outside of any: each command is about the family that is named, and its folder."""

import json
import shutil
import subprocess
import sys
import uuid

import pytest

from kiln import engine as engines
from kiln import family, records
from tests.clone import Clone
from tests.engine.command import FAMILY, SLIM, docker, environment, error_of, summary

THEIRS = "tests/fixtures/official-python/2024-10-18"
OURS = {"dockerfiles", "docs", "packages", "README.md", "results.json", "versions.json", "versions.schema.json"}


class Place:
    """A family's folder, with the checkout whose commands are used on it."""

    def __init__(self, clone, folder):
        self.clone, self.folder = clone, folder
        shutil.copytree(FAMILY.parent, folder)
        data = json.loads((folder / "versions.json").read_text("utf-8"))
        data["repository"] = f"kiln-test-{uuid.uuid4().hex[:8]}/python"
        self.name, self.file = data["repository"], folder / "versions.json"
        self.file.write_text(json.dumps(data), "utf-8")

    def run(self, *words, cwd=None):
        """Run a command on the family, which is named from the folder that the command is typed in."""
        return self.clone.invoke(words[0], "--versions", str(self.folder), *words[1:], cwd=cwd)

    def forget(self):
        """Remove the images that were built, and their records."""
        for repository in family.load(self.folder).repositories:
            for record in records.every(repository):
                docker(engines.bring(), "rmi", "--force", record.reference, check=False)
                records._record(repository, record.id, record.platform).unlink()  # noqa: SLF001 - Kiln itself never forgets

    def files(self):
        """Return what is in the folder, by path."""
        return {path: path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("clone") / "checkout")


@pytest.fixture(scope="module")
def places(clone, tmp_path_factory):
    """Return a second family in the checkout and one outside, generated, all of it committed."""
    found = {
        "inside": Place(clone, clone.folder / "second"),
        "outside": Place(clone, tmp_path_factory.mktemp("outside") / "family"),
    }
    for place in found.values():
        for words in (("generate",), ("readme",)):
            done = place.run(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        assert {path.name for path in place.folder.iterdir()} == OURS
    assert {path.split("/")[0] for path in clone.changed()} == {"second"}
    clone.commit()
    yield found
    for place in found.values():
        place.forget()


@pytest.fixture(params=["inside", "outside"])
def place(request, places):
    """Return one of both; what a command writes to it, and nothing else, may change."""
    mine = places[request.param]
    (other,) = (one for one in places.values() if one is not mine)
    before = other.files()
    yield mine
    assert other.files() == before
    assert [path for path in mine.clone.changed() if not path.startswith("second/")] == []


READING = {
    "generate --check": "", "readme --check": "", "lock --check": "looked at", "library": "Directory: dockerfiles/",
    "matrix": "images", "matrix --json": '"id"', "doctor": "engine", "update uvicorn": "versions.json:",
    "bench.cli --runs 1 --json {folder}/figures.json": "kept in", "build --dry-run *slim-trixie": "plan: ",
    "sources *slim-trixie": ".tar.xz", "readme --template templates/pages/status.md.j2": "{name}",
}  # fmt: skip


@pytest.mark.parametrize("words", READING)
def test_reading_commands(place, words):
    """What they print is of the family, and they write nothing to anybody's folder."""
    before = place.files()
    done = place.run(*words.format(folder=place.folder).split())
    assert READING[words].format(name=place.name) in done.stdout, done.stdout + done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    (place.folder / "figures.json").unlink(missing_ok=True)
    assert place.files() == before


def test_imports_borrow_from_the_named_family(place):
    """Which has systems of Debian alone, and so no lists of packages for others."""
    done = place.run(
        "import.docker-library", "--source", f"{THEIRS}/versions.json", "--parents", f"{THEIRS}/parents.json"
    )
    assert "the family has no target of alpine to take the lists of packages from" in error_of(done)


@pytest.mark.parametrize("words", [("generate",), ("readme",), ("lock",)], ids=" ".join)
def test_writing_commands_change_what_has_drifted(place, words):
    """In the family's folder, and a second time nothing."""
    before = place.files()
    dockerfile = next(place.folder.glob("dockerfiles/*/trixie/slim/Dockerfile"))
    lock = next(place.folder.glob("packages/*/locks/*/*.txt"))
    damaged = {"generate": dockerfile, "readme": place.folder / "README.md", "lock": lock}[words[0]]
    damaged.write_text("<!-- kiln:status -->\n<!-- /kiln:status -->\n")
    done = place.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert damaged.read_bytes() != b"<!-- kiln:status -->\n<!-- /kiln:status -->\n"
    assert {path for path, text in place.files().items() if before.get(path) != text} <= {damaged}
    damaged.write_bytes(before[damaged])


def test_relative_names_are_those_of_the_folder_that_a_command_is_typed_in(place):
    """A file or its folder."""
    for name in (".", "versions.json"):
        done = place.clone.invoke("generate", "--versions", name, "--check", cwd=place.folder)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_images_are_built_for_the_named_family(place):
    """Under its repository; the line to test them names the family."""
    done = place.run("build", "--quick", SLIM)
    assert list(summary(done)) == [SLIM], done.stdout + done.stderr
    assert f"{place.name}:{SLIM}" in done.stdout
    assert f"test it:  ./run nox -s test-images -- --versions {place.folder} {SLIM}" in done.stdout


def test_packages_are_built_from_the_familys_folder_and_tested(places):
    """How the tests ended goes into its results."""
    place = places["outside"]
    done = place.run("build", "--quick", SLIM, "uvicorn:*-slim-*")
    built = list(summary(done))
    assert built[0] == SLIM, done.stdout + done.stderr
    assert built[1].startswith("uvicorn:")
    command = [sys.executable, "-m", "pytest", "tests/images", "-q", "-n", "2", "--versions", str(place.folder), *built]
    tested = subprocess.run(
        command, cwd=place.clone.folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    judged = place.run("stale", "--json")
    assert [one["id"] for one in json.loads(judged.stdout)] == built, judged.stderr
    assert place.run("readme").returncode == 0
    assert list(json.loads((place.folder / "results.json").read_text())["images"]) == [SLIM]
    assert [path for path in place.clone.changed() if not path.startswith("second/")] == []


@pytest.mark.parametrize("words", [("generate",), ("readme",), ("lock",), ("fork", "me/snakes")], ids=" ".join)
def test_a_second_family_in_one_folder_is_refused(place, words):
    """By each command that would overwrite the first one's files; what only reads may be tried."""
    other = place.folder / "other.json"
    other.write_bytes(place.file.read_bytes())
    before = place.files()
    done = place.clone.invoke(words[0], "--versions", str(other), *words[1:])
    assert error_of(done) == (
        f"error: {other}: its folder holds the files of versions.json, which would be overwritten; "
        "move other.json to a folder of its own"
    )
    assert place.files() == before
    assert place.clone.invoke("matrix", "--versions", str(other)).returncode == 0
    other.unlink()


@pytest.mark.parametrize("words", [("generate",), ("readme",), ("build",), ("lock",), ("update",)], ids=" ".join)
def test_a_file_that_is_not_there_is_one_line(clone, tmp_path, words):
    """As is a folder without one."""
    for name in (tmp_path, tmp_path / "none.json"):
        done = clone.invoke(words[0], "--versions", str(name))
        assert "no such file; run from the checkout or name the file with --versions" in error_of(done)
    assert list(tmp_path.iterdir()) == []
