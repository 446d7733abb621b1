"""A change to a family is shown as a whole, and written as a whole or not at all."""

import pytest

from kiln import paths, proposal
from kiln.errors import CatalogError, UpdateError
from kiln.proposal import Proposal
from tests.unit import family as f


@pytest.fixture
def file(tmp_path):
    """Return a family's file, with its generated files beside it."""
    (tmp_path / "mine").mkdir()
    path = f.write(tmp_path / "mine" / "versions.json", f.family())
    proposal.make(path, path.read_text()).write()
    return path


def second(file):
    """Return a proposal to add a release."""
    text = f.write(
        file.parent.parent / "new.json", f.family(releases=[f.release("3.13.6"), f.release("3.13.5")])
    ).read_text()
    return proposal.make(file, text)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_copy_is_where_everything_happens(file):
    """Until it is written, the folder stays as it is; then it holds just what was proposed."""
    before = content(file.parent)
    made = second(file)
    assert content(file.parent) == before
    made.write()
    after = content(file.parent)
    assert after == dict(made.after)
    kinds = ("alpine3.24/slim", "trixie/full", "trixie/slim")
    assert after.keys() - before.keys() == {f"dockerfiles/3.13.5/{kind}/Dockerfile" for kind in kinds}


def test_the_difference(file):
    """What people write is shown line by line, what is generated is counted."""
    lines = second(file).difference.splitlines()
    assert lines[:2] == ["--- versions.json", "+++ versions.json"]
    assert '+          "file": "Python-3.13.6.tar.xz",' in lines
    assert lines[-2:] == ["dockerfiles: 3 added", "dockerfiles: 3 changed"]


def test_nothing_is_written_over_another_change(file):
    """Neither over that file nor beside it."""
    made = second(file)
    file.write_text(file.read_text() + "\n")
    before = content(file.parent)
    with pytest.raises(UpdateError, match=r"versions\.json: was changed by someone else; nothing was written"):
        made.write()
    assert content(file.parent) == before


def test_what_cannot_be_written_to_its_end_is_taken_back(file, monkeypatch):
    """As on a full disk."""
    made, before, write = second(file), content(file.parent), paths.write_whole
    left = [3]

    def full(path, text, **options):
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "No space left on device")
        write(path, text, **options)

    monkeypatch.setattr(paths, "write_whole", full)
    with pytest.raises(OSError, match="No space"):
        made.write()
    assert content(file.parent) == before


def test_what_leads_to_no_family_changes_nothing(file):
    """And says what is wrong with it."""
    before = content(file.parent)
    text = f.write(file.parent.parent / "new.json", f.family(releases=[])).read_text()
    with pytest.raises(CatalogError, match="found no release"):
        proposal.make(file, text)
    assert content(file.parent) == before


def test_files_that_go_take_empty_folders_along(file):
    """And are counted, not shown."""
    name = "packages/old/start"
    paths.write_whole(file.parent / name, "x")
    made = Proposal(file=file, before={name: b"x"}, after={})
    assert made.difference == "packages/old: 1 removed"
    made.write()
    assert not (file.parent / "packages").exists()
