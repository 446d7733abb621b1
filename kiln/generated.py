"""The generated files of a checkout: dockerfiles/ and versions.schema.json."""

import difflib

from kiln import catalog, paths, render
from kiln.matrix import Matrix

SCHEMA = "versions.schema.json"


def write(matrix: Matrix) -> str:
    """Bring the generated files up to date and return a line for each that changed."""
    changed = [f"{render.FOLDER}/{name}" for name in render.write(matrix, paths.ROOT / render.FOLDER)]
    if _schema() != catalog.schema():
        paths.write_whole(paths.ROOT / SCHEMA, catalog.schema())
        changed.append(SCHEMA)
    return "\n".join([*changed, f"{len(changed)} of {len(matrix.images) + 1} generated files changed"])


def drift(matrix: Matrix) -> str:
    """Return what differs between the generated files and what they should be."""
    schema = difflib.unified_diff(
        _schema().splitlines(keepends=True), catalog.schema().splitlines(keepends=True),
        SCHEMA, f"generated/{SCHEMA}",
    )  # fmt: skip
    return render.drift(matrix, paths.ROOT / render.FOLDER) + "".join(schema)


def _schema() -> str:
    path = paths.ROOT / SCHEMA
    return path.read_text(encoding="utf-8") if path.exists() else ""
