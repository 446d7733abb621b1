"""What Kiln writes in a family's folder: dockerfiles/, versions.schema.json, and the form of its own file."""

import difflib
from pathlib import Path

from kiln import catalog, console, paths, render, schema
from kiln.matrix import Matrix

SCHEMA = "versions.schema.json"


def write(matrix: Matrix) -> str:
    """Bring the generated files up to date and return a line for each that changed.

    The family's own file stays what it says, and gets the form that Kiln writes it in: keys sorted, one value a line.
    Releases of which too little is known get no Dockerfile, and a line each on standard error.
    """
    for reason in render.lacks(matrix):
        console.say(f"not rendered: {reason}")
    changed = [f"{render.FOLDER}/{name}" for name in render.write(matrix, matrix.folder / render.FOLDER)]
    texts = _texts(matrix)
    for path in (path for path, (before, after) in texts.items() if before != after):
        # A link stays a link, and a file as readable as it was.
        target = path.resolve()
        paths.write_whole(target, texts[path][1], mode=target.stat().st_mode & 0o777 if target.exists() else 0o644)
        changed.append(path.name)
    return "\n".join([*changed, f"{len(changed)} of {len(render.files(matrix)) + len(texts)} generated files changed"])


def drift(matrix: Matrix) -> str:
    """Return what differs between the generated files and what they should be."""
    lines = [
        difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), path.name, f"generated/{path.name}"
        )
        for path, (before, after) in _texts(matrix).items()
    ]
    return render.drift(matrix, matrix.folder / render.FOLDER) + "".join(line for each in lines for line in each)


def _texts(matrix: Matrix) -> dict[Path, tuple[str, str]]:
    """Return what the family's file and its schema hold, and what they should."""
    file = matrix.file.read_text("utf-8")
    return {
        matrix.file: (file, catalog.dumps(catalog.loads(file, str(matrix.file)))),
        matrix.folder / SCHEMA: (_schema(matrix), schema.text()),
    }


def _schema(matrix: Matrix) -> str:
    path = matrix.folder / SCHEMA
    return path.read_bytes().decode("utf-8", errors="replace") if path.exists() else ""
