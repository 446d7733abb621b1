"""What was built and tested is kept, one file each, and read back as it was."""

import pytest

from kiln import paths, records
from kiln.errors import BuildError
from kiln.records import Record, Result

RECORD = Record(
    id="3.13.5-slim-trixie", platform="linux/amd64", repository="kiln/python",
    reference="kiln/python:3.13.5-slim-trixie", digest=f"sha256:{'d' * 64}", size=50_000_000, inputs="1",
    base="registry", source="python.org", quick=False, built="2026-11-21T00:00:00Z", seconds=1.5,
)  # fmt: skip
RESULT = Result(
    id=RECORD.id, platform=RECORD.platform, digest=RECORD.digest, tests="t", passed=30, failed=(),
    tested="2026-11-21T00:00:01Z",
)  # fmt: skip


def test_records_are_found_by_id_and_platform():
    """The last build of an image on a platform is kept, each repository's apart."""
    records.save(RECORD)
    assert records.find("kiln/python", RECORD.id, "linux/amd64") == RECORD
    assert records.find("kiln/python", RECORD.id, "linux/arm64") is None
    assert records.every("kiln/python") == [RECORD]
    assert records.every("other/python") == []


def test_results_are_found_by_digest():
    """A result is the image's bytes', whatever it is called."""
    assert records.result(RECORD.digest) is None
    records.save_result(RESULT)
    assert records.result(RECORD.digest) == RESULT


def test_a_file_of_another_version_counts_as_none():
    """A record that cannot be read is built again, without a traceback."""
    records.save(RECORD)
    (path,) = paths.folder("records", "kiln-python").glob("*.json")
    for text in ("{", "[]", '{"id": 1}', ""):
        path.write_text(text)
        assert records.every("kiln/python") == []


def test_a_digest_that_is_none_is_an_error():
    """A digest names a file, so nothing else may."""
    with pytest.raises(BuildError, match="not the digest of an image"):
        records.result("../../etc/passwd")
