"""Why an image may not be pushed."""

import pytest

from kiln import publish, records
from kiln.records import Record, Result
from tests.unit import family as f

DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KILN_HOME", str(tmp_path))


def record(**changes):
    facts = {
        "id": "3.13.5-slim-trixie", "platform": "linux/amd64", "repository": "kiln/python", "reference": "kiln/python:x",
        "digest": DIGEST, "size": 1, "inputs": "", "base": "", "source": "", "quick": False, "built": "", "seconds": 1.0,
    }  # fmt: skip
    return Record(**facts | changes)


def tested(*failed):
    records.save_result(
        Result(id="x", platform="linux/amd64", digest=DIGEST, tests="", passed=1, failed=failed, tested="")
    )


def test_what_passed_may_be_pushed():
    """Built and tested on every platform."""
    tested()
    assert not publish.reason([record()], ["linux/amd64"])


@pytest.mark.parametrize(
    ("failed", "platforms", "reason"),
    [
        (None, ["linux/amd64"], "linux/amd64 was not tested"),
        (["test_size", "test_ssl"], ["linux/amd64"], "linux/amd64 failed test_size, test_ssl"),
        ([], ["linux/amd64", "linux/arm64"], "linux/arm64 was not built"),
    ],
)
def test_what_holds_an_image_back(failed, platforms, reason):
    """Each cause is named with its platform."""
    if failed is not None:
        tested(*failed)
    assert publish.reason([record()], platforms) == reason


def test_what_a_pushed_image_lacks_is_said(tmp_path):
    """A tag that covers a part of the platforms, or a quick build, is never silent."""
    image = f.expand(tmp_path, f.family()).images[0]
    assert publish.caveat(image, [record(), record(platform="linux/arm64")]) == ""
    assert publish.caveat(image, [record(quick=True)]) == (
        " (without linux/arm64, which the matrix offers; not optimised (--quick))"
    )
    both = [record(), record(platform="linux/arm64", profile_guided=False)]
    assert publish.caveat(image, both) == " (not profile-guided on linux/arm64)"


@pytest.mark.parametrize(
    ("reason", "advised"),
    [
        ("docker push: failed with exit code 1: manifest invalid: manifest invalid", True),
        (
            "docker push: failed with exit code 1: unsupported media type application/vnd.oci.image.layer.v1.tar+zstd",
            True,
        ),
        ("docker push: failed with exit code 1: denied: requested access to the resource is denied", False),
    ],
)
def test_a_registry_that_knows_no_zstd(reason, advised):
    """What it refuses may be the layers, and the family can have others."""
    assert ("needs `compression` in versions.json to be gzip" in publish.advice(reason)) == advised
