"""What a fork changes: references as Docker reads them, labels, and every text at once."""

import json
import shutil

import pytest
from msgspec.structs import replace

from kiln import catalog, family, fork, fork_wish, generated, paths, readme
from kiln.errors import CatalogError, ForkError
from kiln.fork_wish import wish
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

SOURCE = "https://example.org/kiln/images"
LABELS = {
    "authors": "The Kiln maintainers", "documentation": f"{SOURCE}#readme", "licenses": "PSF-2.0", "source": SOURCE,
    "title": "python", "url": SOURCE, "vendor": "Kiln",
}  # fmt: skip


def labels(**known):
    return {f"org.opencontainers.image.{name}": value for name, value in known.items()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a family with labels and a package, generated files and documents, all up to date."""
    folder = tmp_path_factory.mktemp("made")
    text = catalog.dumps(f.load(folder, f.family(labels=labels(**LABELS), packages={"uvicorn": UVICORN})))
    (folder / "versions.json").write_text(text)
    (folder / "docs").mkdir()
    (folder / "docs/use.md").write_text("<!-- kiln:run -->\n<!-- /kiln:run -->\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILN_HOME", str(tmp_path_factory.mktemp("kiln")))
        bring(folder)
    return folder


@pytest.fixture
def ours(made, tmp_path, monkeypatch):
    """Return the family in a folder of the test, without git."""
    monkeypatch.setattr(fork, "dirty", lambda *_: "")
    return family.load(shutil.copytree(made, tmp_path / "family"))


def bring(folder):
    """Return the family of a folder after `generate` and `readme`."""
    found = family.load(folder)
    generated.write(found)
    readme.write(found)
    return found


@pytest.mark.parametrize(
    ("reference", "registry", "repository"),
    [
        ("ghcr.io/me/python", "ghcr.io", "me/python"), ("localhost:5000/me/python", "localhost:5000", "me/python"),
        ("localhost/python", "localhost", "python"), ("me/python", "", "me/python"),
        ("docker.io/me/python", "", "me/python"), ("index.docker.io/me/python", "", "me/python"),
        ("a.b:8/c/d/e", "a.b:8", "c/d/e"),
    ],
)  # fmt: skip
def test_a_reference_is_read_as_docker_reads_it(reference, registry, repository):
    """A first part with a dot or a port, or localhost, is a registry."""
    wanted = wish(reference)
    assert (wanted.registry, wanted.repository) == (registry, repository)


@pytest.mark.parametrize(
    "reference",
    [
        "", "python", "docker.io/python", "/python", "me/", "Me/python", "me/python:3", "me/python@sha256:0", "me//python",
        "https://ghcr.io/me/python", "ghcr.io/", "ghcr.io/me/python/", "me/py thon", "-x/python", "localhost:x/me/python",
        "me/python\n", f"me/{'x' * 300}",
    ],
)  # fmt: skip
def test_a_bad_reference_is_one_line(reference):
    """With an example of a good one."""
    with pytest.raises(ForkError, match=r"such as ghcr\.io/me/python, or me/python on Docker Hub") as caught:
        wish(reference)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("git@git.example.org:me/images.git", "https://git.example.org/me/images"),
        ("ssh://git@git.example.org:2222/me/images.git", "https://git.example.org/me/images"),
        ("https://me:secret@git.example.org:8443/me/images.git", "https://git.example.org:8443/me/images"),
        ("http://git.example.org/me/images/", "http://git.example.org/me/images"),
        ("git://git.example.org/me/images", "https://git.example.org/me/images"),
        ("/srv/images", ""), ("../images", ""), ("file:///srv/images", ""), ("", ""), ("C:/images", ""),
        ("https://git.example.org:x/me", ""), ("https://[::1/me", ""),
    ],
)  # fmt: skip
def test_a_remote_is_shown_as_people_find_it(remote, url):
    """Without credentials; a folder of this machine is no address."""
    assert fork_wish.address(remote) == url


def test_labels_say_what_is_true_of_the_fork(ours):
    """By git's remote; who answers for the images is somebody's to say."""
    found = fork_wish.labels(ours, wish("ghcr.io/me/snakes"), "git@git.example.org:me/images.git")
    mine = "https://git.example.org/me/images"
    assert found == labels(
        documentation=f"{mine}#readme", licenses="PSF-2.0", source=mine, title="snakes", url=mine, vendor="me"
    )
    found = fork_wish.labels(ours, wish("me/python", source="https://x.example/y", vendor="Me", authors="Me too"), "")
    other = "https://x.example/y"
    assert found == labels(
        authors="Me too", documentation=f"{other}#readme", licenses="PSF-2.0", source=other, title="python", url=other,
        vendor="Me",
    )  # fmt: skip


@pytest.mark.parametrize("origin", ["", "/srv/images", f"{SOURCE}.git", "git@example.org:kiln/images"])
def test_what_nobody_knows_is_left_out(ours, origin):
    """A clone of the original says nothing of where the fork will be."""
    found = fork.make(ours, wish("me/python"), origin)
    assert found.new.catalog.labels == labels(licenses="PSF-2.0", title="python", vendor="me")
    assert "org.opencontainers.image.authors, org.opencontainers.image.documentation" in found.left()


def test_all_that_names_the_repository_changes(ours):
    """And afterwards nothing has drifted; a second time nothing changes."""
    found = fork.make(ours, wish("ghcr.io/me/snakes"), "")
    found.write()
    for path in ours.folder.rglob("*"):
        if path.is_file() and path.name != "versions.schema.json":
            assert "kiln/python" not in path.read_text("utf-8"), path
    again = bring(ours.folder)
    assert again.repository == "ghcr.io/me/snakes"
    assert generated.write(again).startswith("0 of ")
    assert readme.write(again).startswith("0 of ")
    twice = fork.make(again, wish("ghcr.io/me/snakes"), "")
    assert twice.changes == {}
    assert twice.plan() == "ghcr.io/me/snakes: nothing to change"


def test_a_fork_that_says_more_later_keeps_the_rest(ours):
    """The labels that its owner has written by now are not taken for the old family's."""
    fork.make(ours, wish("me/snakes", source="https://x.example/y", authors="Me"), "").write()
    mine = bring(ours.folder)
    found = fork.make(mine, wish("me/snakes", vendor="Mine"), "https://elsewhere.example/z")
    assert set(found.changes) >= {"versions.json"}
    assert found.new.catalog.labels == mine.catalog.labels | labels(vendor="Mine")


def test_what_still_names_the_old_family_is_listed(ours):
    """Prose that somebody wrote is theirs to write anew; longer names are others."""
    page = ours.folder / "docs/prose.md"
    page.write_text(f"Pull kiln/python:3\nor kiln/uvicorn.\nmy/kiln/python kiln/pythons\nFrom {SOURCE}.\n")
    found = fork.make(ours, wish("me/snakes"), "")
    assert found.spoken == ["docs/prose.md:1", "docs/prose.md:2", "docs/prose.md:4"]
    assert "write anew what still names kiln/python: docs/prose.md:1, " in found.left()
    assert "docs/prose.md" not in found.changes


def test_figures_of_other_images_go(ours):
    """Those that the fork measures itself stay."""
    folder = ours.folder / "benchmarks"
    folder.mkdir()
    (folder / "results.json").write_text('{"figures": {}}')
    (folder / "results.svg").write_text("<svg/>")
    found = fork.make(ours, wish("me/snakes"), "")
    assert found.changes["benchmarks/results.json"] is found.changes["benchmarks/results.svg"] is None
    assert "benchmarks/results.json, benchmarks/results.svg" in found.plan()
    found.write()
    assert not folder.exists()
    folder.mkdir()
    (folder / "results.json").write_text('{"figures": {}}')
    assert "benchmarks/results.json" not in fork.make(bring(ours.folder), wish("me/snakes"), "").changes


def test_nothing_is_written_before_all_is_known(ours):
    """A document that cannot be rewritten, or a family that cannot be, leaves everything as it is."""
    before = {path: path.read_bytes() for path in ours.folder.rglob("*") if path.is_file()}
    with pytest.raises(CatalogError, match="name of the Python images' own repository me/uvicorn"):
        fork.make(ours, wish("me/uvicorn"), "")
    fork.make(ours, wish("me/snakes"), "")
    assert {path: path.read_bytes() for path in ours.folder.rglob("*") if path.is_file()} == before


def test_the_familys_file_is_written_last(ours, monkeypatch):
    """So the same command carries on where it was interrupted."""
    written = []
    monkeypatch.setattr(paths, "write_whole", lambda path, *_, **__: written.append(path.name))
    fork.make(ours, wish("me/snakes"), "").write()
    assert written[-1] == "versions.json"
    assert len(written) > 5


def test_what_cannot_be_written_to_its_end_is_taken_back(ours, monkeypatch):
    """A full disk at the last file leaves the family as it was."""
    before = {path: path.read_bytes() for path in ours.folder.rglob("*") if path.is_file()}
    real, done = paths.write_whole, []

    def write(path, content, **options):
        if path.name == "versions.json" and "versions.json" not in done:
            done.append(path.name)
            raise OSError(28, "No space left on device")
        real(path, content, **options)

    monkeypatch.setattr(paths, "write_whole", write)
    with pytest.raises(OSError, match="No space left"):
        fork.make(ours, wish("me/snakes"), "").write()
    assert {path: path.read_bytes() for path in ours.folder.rglob("*") if path.is_file()} == before


def test_the_plan_is_for_people(ours):
    """What the family's file becomes, and which files change, many of one kind as their number."""
    text = fork.make(ours, wish("localhost:5000/me/snakes"), "").plan()
    assert text.startswith("kiln/python becomes localhost:5000/me/snakes\n--- versions.json\n")
    assert '+  "registry": "localhost:5000",' in text
    assert " files in dockerfiles/, " in text
    assert "README.md, docs/dockerhub.md, docs/use.md" in text


def test_what_is_left_fits_the_family(ours):
    """GitHub is spoken of if there is something for it, and the registry is named."""
    found = fork.make(ours, wish("ghcr.io/me/snakes", authors="Me", source="https://x.example/y"), "")
    text = found.left()
    assert "docker login ghcr.io\n" in text
    assert f"./run invoke build --versions {ours.folder} --all --push" in text
    assert "GitHub" not in text
    assert "labels" not in text
    (ours.folder / ".github").mkdir()
    assert "REGISTRY_PASSWORD" in found.left()
    assert "docker login\n" in fork.make(ours, wish("me/snakes"), "").left()


def test_a_family_keeps_what_is_not_of_its_repository(ours):
    """Releases, targets and packages are as they were."""
    text = fork.make(ours, wish("me/snakes"), "").changes["versions.json"]
    known = json.loads((ours.file).read_text())
    found = json.loads(text)
    assert {key for key in found if found[key] != known[key]} == {"labels", "repository"}
    assert replace(ours.catalog, labels={}, repository="me/snakes") == replace(
        catalog.loads(text, "f"), labels={}
    )  # fmt: skip
