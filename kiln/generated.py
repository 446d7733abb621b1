"""What Kiln writes in a family's folder: dockerfiles/, versions.schema.json, and parts of files that people write."""

import difflib
import re
from pathlib import Path

from kiln import catalog, console, paths, render, schema
from kiln.image import PACKAGES
from kiln.matrix import Matrix

SCHEMA = "versions.schema.json"
START = "templates/scaffold/start.j2"
"""Below Kiln's own folder: has the text that all start scripts of packages share."""
_SHARED = re.compile(r"^# From here .*?^# To here\.$", re.MULTILINE | re.DOTALL)


def write(matrix: Matrix) -> str:
    """Bring the generated files up to date and return a line for each that changed.

    The family's own file stays what it says, and gets the form that Kiln writes it in: keys sorted, one value a line.
    The start script of a package gets the text of Kiln's between the two lines that name it, if it has them.
    Releases of which too little is known get no Dockerfile, and a line each on standard error.
    """
    for reason in render.lacks(matrix):
        console.say(f"not rendered: {reason}")
    changed = [f"{render.FOLDER}/{name}" for name in render.write(matrix, matrix.folder / render.FOLDER)]
    texts = _texts(matrix)
    for path in (path for path, (before, after) in texts.items() if before != after):
        # A link stays a link, and a file as readable as it was.
        target = path.resolve()
        text = texts[path][1].encode("utf-8", errors="surrogateescape")
        paths.write_whole(target, text, mode=target.stat().st_mode & 0o777 if target.exists() else 0o644)
        changed.append(_name(path, matrix))
    return "\n".join([*changed, f"{len(changed)} of {len(render.files(matrix)) + len(texts)} generated files changed"])


def drift(matrix: Matrix) -> str:
    """Return what differs between the generated files and what they should be."""
    lines: list[str] = []
    for path, (before, after) in _texts(matrix).items():
        name, sides = _name(path, matrix), (before.splitlines(keepends=True), after.splitlines(keepends=True))
        lines += difflib.unified_diff(*sides, name, f"generated/{name}")
    return render.drift(matrix, matrix.folder / render.FOLDER) + "".join(lines)


def _texts(matrix: Matrix) -> dict[Path, tuple[str, str]]:
    """Return what the family's file, its schema and its packages' start scripts hold, and what they should."""
    file = matrix.file.read_text("utf-8")
    scripts = [matrix.folder / PACKAGES / name / "start" for name in matrix.catalog.packages or {}]
    found = {path: path.read_bytes().decode("utf-8", errors="surrogateescape") for path in scripts if path.is_file()}
    (shared,) = _SHARED.findall((paths.ROOT / START).read_text("utf-8"))
    return {
        **{path: (text, _SHARED.sub(lambda _: shared, text)) for path, text in found.items()},
        matrix.file: (file, catalog.dumps(catalog.loads(file, str(matrix.file)))),
        matrix.folder / SCHEMA: (_schema(matrix), schema.text()),
    }


def _name(path: Path, matrix: Matrix) -> str:
    return path.relative_to(matrix.folder).as_posix()


def _schema(matrix: Matrix) -> str:
    path = matrix.folder / SCHEMA
    return path.read_bytes().decode("utf-8", errors="replace") if path.exists() else ""
