"""Which images are tested: the recorded ones, less those that were tested before."""

import hashlib
import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from kiln import bake, records, render
from kiln.errors import SelectionError
from kiln.image import Image
from kiln.matrix import Matrix
from kiln.records import Record
from tests.images import expect

_FOLDER = Path(__file__).parent


class Case(Struct, frozen=True, kw_only=True, dict=True):
    """One image on one platform, to be held against what the matrix says of it."""

    image: Image
    platform: str
    native: bool
    """Whether the platform is the engine's own."""
    reference: str
    labels: dict[str, str]
    lean: bool = False
    """Whether pip has no bytecode."""
    record: Record | None = None
    """None for an image that somebody named; its result is not stored."""

    @property
    def id(self) -> str:
        """Return the image's id, with the platform where it is not the engine's own."""
        return self.image.id if self.native else f"{self.image.id}-{bake.slug(self.platform)}"

    @property
    def tests(self) -> str:
        """Return a digest of the tests and of what they expect of this image."""
        found = hashlib.sha256()
        for path in sorted(_FOLDER.glob("*.py")):
            found.update(f"{path.name}\n".encode() + path.read_bytes())
        image = msgspec.to_builtins(self.image, enc_hook=str)
        # Which tags an image has changes with every release, and nothing in it; so does where the family lies.
        image.pop("tags")
        (image["installed"] or {}).pop("family", None)
        found.update(json.dumps([image, self.labels, self.lean, self.platform], sort_keys=True).encode())
        return found.hexdigest()

    @property
    def passed_before(self) -> bool:
        """Tell whether these very bytes passed these very tests."""
        result = records.result(self.record.digest) if self.record else None
        return result is not None and not result.failed and result.passed > 0 and result.tests == self.tests


def recorded(
    matrix: Matrix, found: Sequence[Record], *, globs: Sequence[str], platforms: Sequence[str], native: str
) -> list[Case]:
    """Return the recorded builds that globs and platforms choose, in the matrix's order.

    Raises SelectionError that says what to type if there is none.
    """
    chosen = matrix.select(globs) if globs else matrix.everything
    cases = [
        Case(
            image=image, platform=record.platform, native=record.platform == native,
            reference=record.reference, labels=expect.labels(image, matrix.catalog),
            lean=render.lean(image, matrix.catalog), record=record,
        )
        for image in chosen
        for record in found
        if record.id == image.id and (not platforms or record.platform in platforms)
    ]  # fmt: skip
    if not cases:
        raise SelectionError(_nothing(found, globs, platforms))
    return cases


def named(matrix: Matrix, reference: str, image_id: str, platform: str, *, native: str) -> Case:
    """Return the case of any image of the engine that is to pass for an image of the matrix."""
    image = matrix.get(image_id) or matrix.select([image_id])[0]
    return Case(
        image=image, platform=platform, native=platform == native, reference=reference,
        labels=expect.labels(image, matrix.catalog), lean=render.lean(image, matrix.catalog),
    )  # fmt: skip


def _nothing(found: Iterable[Record], globs: Sequence[str], platforms: Sequence[str]) -> str:
    """Return what to type when no recorded image is chosen."""
    words = " ".join([*map(shlex.quote, globs), *(f"--platform {shlex.quote(name)}" for name in platforms)])
    names = sorted({f"{record.id} ({record.platform})" for record in found})
    if not names:
        return f"no image is recorded here; build one first: ./run invoke build {words}".rstrip()
    return f"no recorded image matches {words}; recorded: {', '.join(names)}; build it: ./run invoke build {words}"
