"""Tags move only to images whose tests passed, on every platform that was asked for."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kiln import oci, paths, process, records
from kiln.console import say
from kiln.engine import Engine
from kiln.errors import KilnError
from kiln.image import Image
from kiln.matrix import Matrix
from kiln.plan import Wanted
from kiln.records import Record


def push(wanted: Iterable[Wanted], built: Collection[Record], matrix: Matrix, engine: Engine) -> tuple[str, bool]:
    """Test what was built, then push every image all of whose wanted platforms passed, with all its tags.

    A tag that several of the wanted images share moves once all of these passed. Returns what was
    pushed and what was not, as text, and whether anything was held back.
    """
    asked: dict[str, tuple[Image, list[str]]] = {}
    for one in wanted:
        asked.setdefault(one.image.id, (one.image, []))[1].append(one.platform)
    tested = _test(built, matrix)
    found = {name: [record for record in built if record.id == name] for name in asked}
    obstacles = {name: reason(found[name], platforms) or tested for name, (_, platforms) in asked.items()}
    lines = [f"not pushed: {name}: {obstacle}" for name, obstacle in obstacles.items() if obstacle]
    for images, tags in bundles([image for image, _ in asked.values()]):
        stopped = [image.id for image in images if obstacles[image.id]]
        if not stopped:
            lines.append(_bundle(images, tags, found, matrix, engine))
        elif len(images) > 1:
            lines.append(f"not pushed: {', '.join(tags)}: {', '.join(stopped)} shares them and is held back")
    return "\n".join(lines), any(line.startswith("not pushed") for line in lines)


def _bundle(
    images: Sequence[Image], tags: Sequence[str], found: Mapping[str, list[Record]], matrix: Matrix, engine: Engine
) -> str:
    """Push what some images share, and return how that went."""
    repository, subject = matrix.repository_of(images[0]), images[0].id if len(images) == 1 else ", ".join(tags)
    problem = _pushed(tags, [record for image in images for record in found[image.id]], repository, engine)
    if problem:
        return f"not pushed: {subject}: {problem}"
    notes = "".join(caveat(image, found[image.id]) for image in images) + absent(images, tags, matrix)
    return f"pushed {repository}: {', '.join(tags)}{notes}"


def bundles(images: Sequence[Image]) -> list[tuple[list[Image], list[str]]]:
    """Return what is pushed as one: the tags that the same images have, and these."""
    owners: dict[tuple[str, str], list[Image]] = {}
    for image in images:
        for tag in image.tags:
            owners.setdefault((_family(image), tag), []).append(image)
    groups: dict[tuple[str, ...], tuple[list[Image], list[str]]] = {}
    for (_, tag), sharing in owners.items():
        groups.setdefault(tuple(image.id for image in sharing), (sharing, []))[1].append(tag)
    return list(groups.values())


def _family(image: Image) -> str:
    """Return what decides an image's repository in the family's registry."""
    return image.installed.name if image.installed else ""


def absent(images: Sequence[Image], tags: Collection[str], matrix: Matrix) -> str:
    """Return what whoever pushed tags must know of them: images of the matrix that share them and are not there."""
    names = {image.id for image in images}
    others = [
        image.id
        for image in matrix.everything
        if image.id not in names and _family(image) == _family(images[0]) and not set(tags).isdisjoint(image.tags)
    ]
    return f" (without {', '.join(others)}, which the matrix puts under the same tags)" if others else ""


def reason(built: Collection[Record], platforms: Iterable[str]) -> str:
    """Return why an image may not be pushed for some platforms, or nothing if it may."""
    missing = set(platforms) - {record.platform for record in built}
    if missing:
        return f"{', '.join(sorted(missing))} was not built"
    for record in built:
        result = records.result(record.digest)
        if result is None:
            return f"{record.platform} was not tested"
        if result.failed:
            return f"{record.platform} failed {', '.join(result.failed)}"
    return ""


def caveat(image: Image, pushed: Iterable[Record]) -> str:
    """Return what whoever pushed an image must know of it: platforms that its tags now lack, a quick build."""
    found = list(pushed)
    lacking = [platform for platform in image.platforms if platform not in {record.platform for record in found}]
    notes = [f"without {', '.join(lacking)}, which the matrix offers"] if lacking else []
    notes += ["not optimised (--quick)"] if any(record.quick for record in found) else []
    plain = [record.platform for record in found if not (record.quick or record.profile_guided)]
    notes += [f"not profile-guided on {', '.join(plain)}"] if plain else []
    return f" ({'; '.join(notes)})" if notes else ""


def _test(built: Iterable[Record], matrix: Matrix) -> str:
    """Run the image tests of what was built; how they ended is read from the stored results.

    Returns why those do not count, or nothing.
    """
    globs = sorted({record.id for record in built})
    if not globs:
        return ""
    command = [sys.executable, "-m", "pytest", "tests/images", "--versions", str(matrix.file), *globs]
    code = subprocess.run(command, cwd=paths.ROOT, check=False).returncode
    # pytest: 0 for passed, 1 for failed; everything else has not tested.
    return "" if code in (0, 1) else f"its tests ended with exit code {code}"


def _pushed(tags: Sequence[str], built: Sequence[Record], repository: str, engine: Engine) -> str:
    """Push what was built as one image or index, under some tags; return why that failed, or nothing."""
    say(f"pushing {built[0].id}: {', '.join(tags)}")
    try:
        with _source(built, engine) as source:
            for tag in tags:
                name = f"{repository}:{tag}"
                if name != source:
                    process.run(engine.docker("tag", source, name), env=engine.env)
                process.run(engine.docker("push", "--quiet", name), env=engine.env)
    except KilnError as error:
        return f"{error}{advice(str(error))}"
    return ""


def advice(reason: str) -> str:
    """Return what to do about a registry's refusal, where it may be that it does not know zstd."""
    if re.search(r"manifest.?invalid|media.?type|unsupported", reason, re.IGNORECASE):
        return "; a registry that knows no zstd layers needs `compression` in versions.json to be gzip"
    return ""


@contextmanager
def _source(built: Sequence[Record], engine: Engine) -> Iterator[str]:
    """Give what is pushed, as the engine knows it: an image, or an index of several platforms.

    The index takes the image's tags for as long as it takes; then the engine's own platform has its name again.
    """
    if len(built) == 1:
        yield built[0].reference
        return
    kept = [(f"{record.reference}-kept", record.reference) for record in built]
    for name, reference in kept:
        process.run(engine.docker("tag", reference, name), env=engine.env)
    try:
        yield _index(built, engine)
    finally:
        for name, reference in kept:
            process.run(engine.docker("tag", name, reference), env=engine.env)
            process.run(engine.docker("rmi", name), env=engine.env)


def _index(built: Sequence[Record], engine: Engine) -> str:
    """Make the engine hold one index of an image's platforms, and return its digest."""
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as folder:
        archives = [Path(folder, f"{number}.tar") for number in range(len(built))]
        for record, archive in zip(built, archives, strict=True):
            process.run(engine.docker("save", "--output", archive, record.reference), env=engine.env)
        layout = Path(folder, "index")
        index = oci.compose(archives, layout)
        process.run(["tar", "--create", "--file", Path(folder, "index.tar"), "--directory", layout, "."])
        process.run(engine.docker("load", "--quiet", "--input", Path(folder, "index.tar")), env=engine.env)
    return index.digest
