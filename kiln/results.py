"""How the published images' tests ended: `results.json`, committed beside the README.

It is written from what this machine stored, merged with what other machines found before, so that
the README can be checked in a fresh clone, which has no records of its own.
"""

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from kiln import records
from kiln.errors import ReadmeError
from kiln.matrix import Matrix
from kiln.records import Record, Result

FILE = "results.json"
_ABOUT = "Written by `invoke readme` from stored test results; README.md shows them."


class Outcome(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the tests of one image on one platform ended."""

    digest: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
    """Of the platform's manifest."""
    size: Annotated[int, Meta(gt=0)]
    """Bytes to pull: config and compressed layers."""
    tested: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]
    """When, in UTC; such texts compare as times do."""
    passed: Annotated[int, Meta(ge=0)]
    failed: Annotated[int, Meta(ge=0)]
    quick: bool
    """Whether it was a quick build."""


class Results(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All outcomes of one repository, by image id and platform."""

    repository: str
    images: dict[str, dict[str, Outcome]]
    about: str = msgspec.field(default=_ABOUT, name="$comment")

    def get(self, image_id: str, platform: str) -> Outcome | None:
        """Return the outcome of an image on a platform, or nothing if it was not tested."""
        return self.images.get(image_id, {}).get(platform)


def load_results(path: Path) -> Results:
    """Return what a file holds; a file that is missing holds no results."""
    return parse_results(read_results(path), str(path))


def read_results(path: Path) -> str:
    """Return a file's text, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ReadmeError(f"{path}: cannot be read ({error}); restore it with git") from None


def parse_results(text: str, name: str) -> Results:
    """Return the results of a file's text; `name` is for the error."""
    if not text:
        return Results(repository="", images={})
    try:
        return msgspec.json.decode(text, type=Results)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ReadmeError(f"{name}: does not hold results ({error}); restore it with git, or delete it") from None


def dumps_results(results: Results) -> str:
    """Return the text of the file: keys sorted, one value a line."""
    return json.dumps(msgspec.to_builtins(results), indent=2, sort_keys=True) + "\n"


def local(repository: str) -> list[tuple[Record, Result]]:
    """Return what this machine built of a repository, with how its tests ended where they ran."""
    pairs = [(record, records.result(record.digest)) for record in records.every(repository)]
    return [(record, result) for record, result in pairs if result is not None]


def merge_results(committed: Results, matrix: Matrix, found: Iterable[tuple[Record, Result]] = ()) -> Results:
    """Return the results that belong to a matrix: committed ones, and newer ones in their place.

    A quick build's result never takes the place of a published build's, however new it is. Results
    of another repository, as a fork has them from its origin, say nothing of this one's images.
    """
    mine = committed.images if committed.repository == matrix.repository else {}
    kept: dict[str, dict[str, Outcome]] = {image_id: dict(platforms) for image_id, platforms in mine.items()}
    for record, result in found:
        if record.repository == matrix.repository and result.passed + len(result.failed):
            platforms = kept.setdefault(record.id, {})
            platforms[record.platform] = _better(platforms.get(record.platform), _outcome(record, result))
    return Results(repository=matrix.repository, images=_current(kept, matrix))


def _current(images: dict[str, dict[str, Outcome]], matrix: Matrix) -> dict[str, dict[str, Outcome]]:
    """Return the outcomes of images and platforms that the matrix still has."""
    found = {
        image.id: {name: images[image.id][name] for name in image.platforms if name in images[image.id]}
        for image in matrix.images
        if image.id in images
    }
    return {image_id: platforms for image_id, platforms in found.items() if platforms}


def _better(old: Outcome | None, new: Outcome) -> Outcome:
    """Return the outcome that counts: of a published build before a quick one, then the newer."""
    if old is None:
        return new
    return max(old, new, key=lambda outcome: (not outcome.quick, outcome.tested))


def _outcome(record: Record, result: Result) -> Outcome:
    return Outcome(
        digest=record.digest, size=record.size, tested=_utc(result.tested), passed=result.passed,
        failed=len(result.failed), quick=record.quick,
    )  # fmt: skip


def _utc(text: str) -> str:
    """Return an ISO time to the second, in UTC; one without a zone is taken for UTC."""
    when = datetime.datetime.fromisoformat(text)
    aware = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
    return aware.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
