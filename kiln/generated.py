"""The generated files of a checkout: dockerfiles/ and versions.schema.json."""

import difflib

from kiln import paths, render, schema
from kiln.matrix import Matrix

SCHEMA = "versions.schema.json"


def write(matrix: Matrix) -> str:
    """Bring the generated files up to date and return a line for each that changed."""
    changed = [f"{render.FOLDER}/{name}" for name in render.write(matrix, paths.ROOT / render.FOLDER)]
    if _schema() != schema.text():
        paths.write_whole(paths.ROOT / SCHEMA, schema.text())
        changed.append(SCHEMA)
    return "\n".join([*changed, f"{len(changed)} of {len(render.files(matrix)) + 1} generated files changed"])


def drift(matrix: Matrix) -> str:
    """Return what differs between the generated files and what they should be."""
    difference = difflib.unified_diff(
        _schema().splitlines(keepends=True), schema.text().splitlines(keepends=True),
        SCHEMA, f"generated/{SCHEMA}",
    )  # fmt: skip
    return render.drift(matrix, paths.ROOT / render.FOLDER) + "".join(difference)


def _schema() -> str:
    path = paths.ROOT / SCHEMA
    return path.read_bytes().decode("utf-8", errors="replace") if path.exists() else ""
