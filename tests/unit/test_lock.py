"""Locks: which ones a family needs, when one no longer fits, and what uv is told and says."""

import pypi_simple  # noqa: F401 - TLS cannot be imported where sockets are forbidden
import pytest

from kiln import lock, lock_orphans, paths
from kiln.errors import LockError, SelectionError
from tests.unit import family as f
from tests.unit.test_packages import UVICORN


def expand(tmp_path, releases=("3.13.6", "3.13.5", "3.12.1"), **changes):
    changed = {
        **UVICORN,
        "pythons": ["3.13", "3.12", "3.13.5"],
        "requirements": ["uvicorn[standard]", "h11"],
        **changes,
    }
    data = f.family(releases=[f.release(version) for version in releases], packages={"uvicorn": changed})
    return f.expand(tmp_path, data)


def write(cells):
    for cell in cells:
        paths.write_whole(cell.path, f"{cell.head}uvicorn==1 \\\n    --hash=sha256:0\n")


def test_a_lock_is_for_a_version_on_a_series(tmp_path):
    """It serves all targets and variants, and all releases of the series from the oldest on."""
    found = {str(cell.path.relative_to(tmp_path)): cell for cell in lock.cells(expand(tmp_path))}
    assert list(found) == [
        "packages/uvicorn/locks/0.18.3/py3.13.txt", "packages/uvicorn/locks/0.18.3/py3.12.txt",
        "packages/uvicorn/locks/0.9.0/py3.13.txt", "packages/uvicorn/locks/0.9.0/py3.12.txt",
    ]  # fmt: skip
    cell = found["packages/uvicorn/locks/0.18.3/py3.13.txt"]
    assert (cell.title, cell.python) == ("uvicorn 0.18.3 on Python 3.13", "3.13.5")
    assert cell.requirements == ("uvicorn[standard]==0.18.3", "h11")


def test_a_family_with_its_locks_is_in_order(tmp_path):
    """The lock of an image is found by the image."""
    family = expand(tmp_path)
    write(lock.cells(family))
    assert lock.check(family) == []
    assert lock.read(family.packages[0]).endswith("--hash=sha256:0\n")


def test_a_missing_lock_is_named_with_its_remedy(tmp_path):
    """In the words of the command that writes it."""
    family = expand(tmp_path)
    write(lock.cells(family)[1:])
    message = f"uvicorn 0.18.3 on Python 3.13: has no lock; run: ./run invoke lock --versions {tmp_path} uvicorn"
    assert lock.check(family) == [message]
    with pytest.raises(LockError) as caught:
        lock.read(family.packages[0])
    assert str(caught.value) == message


def test_a_lock_of_other_requirements_no_longer_fits(tmp_path):
    """One extra more, and it has to be written again."""
    write(lock.cells(expand(tmp_path, versions=["0.9.0"])))
    found = lock.check(expand(tmp_path, versions=["0.9.0"], requirements=["uvicorn"]))
    assert found[0] == (
        "uvicorn 0.9.0 on Python 3.13: its lock is of other requirements; "
        f"run: ./run invoke lock --versions {tmp_path} uvicorn"
    )
    assert len(found) == 2


def test_a_lock_serves_newer_releases_of_its_series_and_no_older_ones(tmp_path):
    """So that an update of Python changes no lock."""
    write(lock.cells(expand(tmp_path, ("3.13.5",), pythons=["3.13"])))
    assert lock.check(expand(tmp_path, ("3.13.6",), pythons=["3.13"])) == []
    assert "other requirements" in lock.check(expand(tmp_path, ("3.13.4",), pythons=["3.13"]))[0]


@pytest.mark.parametrize("text", ["", "x", "# Made by hand\n# h11\n# Python 3.13.5 and later of 3.13\n"])
def test_a_file_that_is_no_lock_does_not_fit(tmp_path, text):
    """Whatever is in it."""
    family = expand(tmp_path, versions=["0.9.0"], pythons=["3.12"])
    paths.write_whole(lock.cells(family)[0].path, text)
    assert "other requirements" in lock.check(family)[0]


REMEDY = "`invoke lock` did not write it, so delete it yourself"


def left(path):
    return f"{path}: is the lock of nothing in the family; `invoke lock` removes it"


def test_locks_of_versions_and_pythons_that_left_are_of_nothing(tmp_path):
    """The next `invoke lock` removes them."""
    write(lock.cells(expand(tmp_path)))
    family = expand(tmp_path, ("3.13.5",), versions=["0.18.3"], pythons=["3.13"])
    gone = ("0.18.3/py3.12", "0.9.0/py3.12", "0.9.0/py3.13")
    assert lock.check(family) == [left(f"packages/uvicorn/locks/{name}.txt") for name in gone]
    assert lock.write(family, []) == ("0 of 1 locks written, 1 kept, 3 removed", [])
    assert not (tmp_path / "packages/uvicorn/locks/0.9.0").exists()
    assert lock.check(family) == []


def test_locks_of_packages_that_left_are_of_nothing(tmp_path):
    """The same where no package is left; what people wrote in the folder is theirs to delete."""
    write(lock.cells(expand(tmp_path, ("3.13.5",), versions=["0.9.0"], pythons=["3.13"])))
    celery = tmp_path / "packages/celery/locks/1/py3.13.txt"
    paths.write_whole(celery, lock.TITLE)
    paths.write_whole(tmp_path / "packages/uvicorn/start", "#!/bin/sh\n")
    family = f.expand(tmp_path, f.family())
    assert lock.check(family) == [
        left("packages/celery/locks/1/py3.13.txt"), left("packages/uvicorn/locks/0.9.0/py3.13.txt"),
    ]  # fmt: skip
    assert len(lock_orphans.dropped(family)) == 2
    assert lock.write(family, []) == ("0 of 0 locks written, 0 kept, 2 removed", [])
    assert not (tmp_path / "packages/celery").exists()
    assert lock_orphans.dropped(family) == [
        "packages/uvicorn: uvicorn is no package of the family; delete the folder, or add the package again"
    ]


def test_only_the_locks_of_a_named_package_are_looked_at(tmp_path):
    """As those of others may be somebody's work in progress."""
    write(lock.cells(expand(tmp_path)))
    paths.write_whole(tmp_path / "packages/celery/locks/1/py3.13.txt", lock.TITLE)
    assert lock.check(expand(tmp_path), ["uvicorn"]) == []
    lock.write(expand(tmp_path), ["uvicorn"])
    assert (tmp_path / "packages/celery/locks/1/py3.13.txt").exists()


def test_a_file_that_somebody_else_wrote_is_named_and_stays(tmp_path):
    """Only what `invoke lock` made is its to remove."""
    own = tmp_path / "packages/uvicorn/locks/1/py3.13.txt"
    paths.write_whole(own, "h11\n")
    family = f.expand(tmp_path, f.family())
    assert lock.check(family) == [
        f"packages/uvicorn/locks/1/py3.13.txt: is the lock of nothing in the family; {REMEDY}"
    ]
    assert lock.write(family, []) == ("0 of 0 locks written, 0 kept, 0 removed", [])
    assert own.exists()


def test_an_unknown_package_is_named_with_those_that_are_there(tmp_path):
    """As a glob that matches nothing is."""
    with pytest.raises(SelectionError, match="'nginx' is no package of the family; name some of: uvicorn"):
        lock.cells(expand(tmp_path), ["nginx"])


def test_uv_is_told_of_pips_settings():
    """It does not read them itself; what the user set for uv stays."""
    pip = {"index-url": "https://example.org/a", "extra-index-url": "https://example.org/b", "proxy": "http://p:1"}
    found = lock.settings(pip, {"https_proxy": "http://mine:1", "SSL_CERT_FILE": "/x"})
    assert found == {
        "UV_DEFAULT_INDEX": "https://example.org/a", "UV_INDEX": "https://example.org/b",
        "UV_INDEX_STRATEGY": "unsafe-best-match", "HTTP_PROXY": "http://p:1",
    }  # fmt: skip
    assert lock.settings({}, {"SSL_CERT_FILE": "/x"}) == {}


def test_uvs_reason_is_one_line_without_credentials():
    """Neither is its hint, which is for users of uv."""
    text = (
        "error: No solution found for split (markers: sys_platform == 'linux')\n"
        "  cause: Because x==9 is not at https://me:secret@example.org/x?t=1,\n"
        "         your wish fails.\n\nhint: Use another Python.\n"
    )
    assert lock.reason(text) == "No solution found: Because x==9 is not at https://example.org/x your wish fails."
    assert len(lock.reason("word " * 1000)) == 600


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# x\nh11==1 ; python_version < '3.14' \\\n    --hash=sha256:0\n", ""),
        ("h11==1\nuvicorn==2 \\\n    --hash=sha256:0\n", "h11==1"),
        ("h11 @ https://example.org/h11.whl \\\n    --hash=sha256:0\n", "h11"),
    ],
)
def test_a_lock_has_hashes_and_no_urls(text, found):
    """The first requirement that has none, or one, is named."""
    assert lock.unfit(text) == found
