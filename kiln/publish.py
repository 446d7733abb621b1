"""Tags move only to images whose tests passed, on every platform that was built."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from kiln import oci, paths, process, records
from kiln.console import say
from kiln.engine import Engine
from kiln.matrix import Image, Matrix
from kiln.records import Record


def push(built: Sequence[Record], matrix: Matrix, engine: Engine, versions: str) -> tuple[str, bool]:
    """Test what was built, then push every image all of whose platforms passed, with all its tags.

    Returns what was pushed and what was not, as text, and whether anything was held back.
    """
    _test(built, versions)
    by_image: dict[str, list[Record]] = {}
    for record in built:
        by_image.setdefault(record.id, []).append(record)
    lines, held_back = [], False
    plan = {image_id: reason(found) for image_id, found in by_image.items()}
    for image_id, obstacle in plan.items():
        image = matrix.get(image_id)
        if image is None or obstacle:
            held_back = True
            lines.append(f"not pushed: {image_id}: {obstacle or 'it is not in the matrix any more'}")
            continue
        say(f"pushing {image_id}: {', '.join(image.tags)}")
        _push(image, by_image[image_id], matrix.repository, engine)
        lines.append(f"pushed {matrix.repository}: {', '.join(image.tags)}")
    return "\n".join(lines), held_back


def reason(built: Iterable[Record]) -> str:
    """Return why an image may not be pushed, or nothing if it may."""
    for record in built:
        result = records.result(record.digest)
        if result is None:
            return f"{record.platform} was not tested"
        if result.failed:
            return f"{record.platform} failed {', '.join(result.failed)}"
        if record.quick:
            return f"{record.platform} is a --quick build"
    return ""


def _test(built: Iterable[Record], versions: str) -> None:
    """Run the image tests of what was built; how they ended is read from the stored results."""
    globs = sorted({record.id for record in built})
    if globs:
        command = [sys.executable, "-m", "pytest", "tests/images", "--versions", str(Path(versions).absolute()), *globs]
        subprocess.run(command, cwd=paths.ROOT, check=False)


def _push(image: Image, built: Sequence[Record], repository: str, engine: Engine) -> None:
    """Push one image under all its tags: its manifest, or an index where it has several platforms."""
    source = built[0].reference if len(built) == 1 else _index(image, built, repository, engine)
    for tag in image.tags:
        name = f"{repository}:{tag}"
        if name != source:
            process.run(engine.docker("tag", source, name), env=engine.env)
        process.run(engine.docker("push", "--quiet", name), env=engine.env)


def _index(image: Image, built: Sequence[Record], repository: str, engine: Engine) -> str:
    """Make the engine hold one index of an image's platforms, and return its reference."""
    name = f"{repository}:{image.id}"
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as folder:
        archives = [Path(folder, f"{number}.tar") for number in range(len(built))]
        for record, archive in zip(built, archives, strict=True):
            process.run(engine.docker("save", "--output", archive, record.reference), env=engine.env)
        layout = Path(folder, "index")
        oci.compose(archives, layout)
        process.run(["tar", "--create", "--file", Path(folder, "index.tar"), "--directory", layout, "."])
        process.run(engine.docker("load", "--quiet", "--input", Path(folder, "index.tar")), env=engine.env)
    return name
