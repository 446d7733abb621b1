"""The generated files in a family's folder: dockerfiles/ and versions.schema.json."""

import difflib

from kiln import console, paths, render, schema
from kiln.matrix import Matrix

SCHEMA = "versions.schema.json"


def write(matrix: Matrix) -> str:
    """Bring the generated files up to date and return a line for each that changed.

    Releases of which too little is known get no Dockerfile, and a line each on standard error.
    """
    for reason in render.lacks(matrix):
        console.say(f"not rendered: {reason}")
    changed = [f"{render.FOLDER}/{name}" for name in render.write(matrix, matrix.folder / render.FOLDER)]
    if _schema(matrix) != schema.text():
        paths.write_whole(matrix.folder / SCHEMA, schema.text())
        changed.append(SCHEMA)
    return "\n".join([*changed, f"{len(changed)} of {len(render.files(matrix)) + 1} generated files changed"])


def drift(matrix: Matrix) -> str:
    """Return what differs between the generated files and what they should be."""
    difference = difflib.unified_diff(
        _schema(matrix).splitlines(keepends=True), schema.text().splitlines(keepends=True),
        SCHEMA, f"generated/{SCHEMA}",
    )  # fmt: skip
    return render.drift(matrix, matrix.folder / render.FOLDER) + "".join(difference)


def _schema(matrix: Matrix) -> str:
    path = matrix.folder / SCHEMA
    return path.read_bytes().decode("utf-8", errors="replace") if path.exists() else ""
