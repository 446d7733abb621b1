"""What a download concludes from headers; the transfers themselves are in tests/engine."""

import errno
from pathlib import Path

import pytest

from kiln.download import range_of, retry_after, validator
from kiln.store import DiskError, digest, disk_errors
from kiln.transfer import Lines, size

EPOCH_DATE = "Thu, 01 Jan 1970 00:01:40 GMT"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7", 7.0), (" 7 ", 7.0), ("", 0.0), ("soon", 0.0), ("-3", 0.0), (EPOCH_DATE, 40.0)],
)
def test_retry_after_is_a_number_or_a_date(value: str, expected: float) -> None:
    """Seconds come back for both forms of the header, nothing for what is neither."""
    assert retry_after(value, now=60.0) == expected


def test_a_date_that_has_passed_asks_for_no_wait() -> None:
    """The wait is never negative."""
    assert retry_after(EPOCH_DATE, now=200.0) == 0.0


@pytest.mark.parametrize(
    ("etag", "modified", "expected"),
    [('"a"', "date", '"a"'), ('W/"a"', "date", "date"), ("", "date", "date"), ('W/"a"', "", ""), ("", "", "")],
)
def test_a_weak_etag_does_not_validate_a_range(etag: str, modified: str, expected: str) -> None:
    """Two bodies of one weak ETag may differ in bytes, so the date counts instead."""
    assert validator(etag, modified) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 5-9/10", (5, 10)), ("bytes 5-9/*", (5, -1)), ("bytes */10", (-1, 10)),
        ("", (-1, -1)), ("lines 1-2/3", (-1, 3)),
    ],
)  # fmt: skip
def test_a_content_range_gives_start_and_total(value: str, expected: tuple[int, int]) -> None:
    """What the header does not tell is -1."""
    assert range_of(value) == expected


def test_a_digest_is_that_of_the_content(tmp_path: Path) -> None:
    """The sha256 of no bytes is well known."""
    path = tmp_path / "empty"
    path.touch()
    assert digest(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "disk is full"), (errno.EACCES, "permissions")],
)
def test_a_disk_that_refuses_is_a_clear_error(tmp_path: Path, code: int, words: str) -> None:
    """The message names the path, the cause and the remedy."""
    path = tmp_path / "file"
    with pytest.raises(DiskError, match=words) as caught, disk_errors(path):
        raise OSError(code, "refused")
    assert str(caught.value).startswith(f"{path}: ")
    assert "KILN_HOME" in str(caught.value)


def test_a_copy_that_the_disk_refuses_names_the_copy(tmp_path: Path) -> None:
    """The source is well; the remedy is the caller's, and a folder that is not there yet has room too."""
    with pytest.raises(DiskError, match="name another folder") as caught, disk_errors(tmp_path, "name another folder"):
        raise OSError(errno.ENOSPC, "refused", "source", None, str(tmp_path / "missing" / "copy"))
    assert str(caught.value).startswith(f"{tmp_path}/missing/copy: the disk is full")


def test_lines_come_at_quarters() -> None:
    """A line is due when another quarter is here."""
    lines = Lines("x", 1_000_000, 0, 0.0)
    assert [lines.update(200_000, 3.0), lines.update(250_000, 4.0)] == ["", "x: 25% of 1.0 MB, 62.5 kB/s"]


def test_lines_do_not_flood() -> None:
    """On a fast link, quarters pass without a line of their own."""
    lines = Lines("x", 1000, 0, 0.0)
    assert [lines.update(done, done / 1000) for done in range(0, 1001, 50)] == [""] * 21


def test_lines_show_life_on_a_slow_link() -> None:
    """Ten seconds without a line are enough, whatever came; an unknown total is left out."""
    assert Lines("x", 0, 0, 0.0).update(1000, 10.0) == "x: 1.0 kB, 0.1 kB/s"


@pytest.mark.parametrize(("value", "expected"), [(22_856_016, "22.9 MB"), (1500, "1.5 kB")])
def test_sizes_are_as_people_say_them(value: int, expected: str) -> None:
    """Megabytes are of 10^6 bytes."""
    assert size(value) == expected
