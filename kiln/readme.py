"""README.md, the pages of images, tables of contents and `results.json`: kept up to date, and compared, as a whole."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kiln import bench_page, bench_plot, bench_results, markdown, paths, toc
from kiln.bench_results import Measured
from kiln.errors import ReadmeError
from kiln.image import PACKAGES
from kiln.matrix import Matrix
from kiln.page_facts import facts
from kiln.page_model import Facts
from kiln.pages import Pages
from kiln.results import FILE, Results, dumps_results, local, merge_results, parse_results, read_results

README = "README.md"
BLOCKS = (
    "status", "tags", "platforms", "sizes", "bench", "run", "use", "packages", "package-use", "distroless-run",
    "distroless-build", "distroless-debug",
)  # fmt: skip
"""What a document may have between two markers, each by a template in `templates/readme/`."""
PAGES = {"docs/dockerhub.md": "pages/official.md.j2"}
"""Whole pages that are kept in the family's folder, each with its template."""
FIRST = "pages/readme.md.j2"
"""The template of the first `README.md` of a family; afterwards only its blocks are rewritten."""
PACKAGE = "pages/package.md.j2"
"""The template of `packages/<name>/README.md`, of which each package has one."""

Figures = Mapping[str, Measured]
Texts = dict[str, tuple[str, str]]
"""By the file's name: what it holds, and what belongs there."""


def read(path: Path) -> str:
    """Return a document with its line ends as they are."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ReadmeError(f"{path}: cannot be read ({error.strerror}); restore it with git") from None
    except UnicodeDecodeError as error:
        raise ReadmeError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def pages(matrix: Matrix, results: Results, figures: Figures | None = None) -> Pages:
    """Return what renders the pages that are kept in the family's folder: their links name the default branch."""
    values = {
        "bench": bench_page.values(figures or {}), "documents": _documents(matrix.folder),
        "packages": [_example(name, facts(matrix, results, {}, name)) for name in _packages(matrix)],
    }  # fmt: skip
    return Pages(facts=facts(matrix, results, {}), family=matrix.folder, values=values)


def _example(name: str, known: Facts) -> dict[str, Any]:
    """Return what blocks say of a package: its page, and an image of it to begin with."""
    tags = known.tag_rows[0].tags
    return {
        "name": name, "image": known.image, "description": known.description, "port": known.port,
        "page": f"{PACKAGES}/{name}/{README}", "tag": tags.get("slim") or next(iter(tags.values())),
    }  # fmt: skip


def blocks(made: Pages) -> dict[str, str]:
    """Return the text of each block by its name, its lines ended by a newline character each."""
    return {name: made.render(f"readme/{name}.md.j2") for name in BLOCKS}


def update(document: str, texts: Mapping[str, str], name: str) -> str:
    """Return a document with its blocks and its table of contents rewritten; `name` is the file's, for errors.

    Raises ReadmeError, with the line, for blocks that do not pair up, and for a README without any.
    """
    if name == README or "kiln:" in document:
        document = markdown.replace(document, texts, name, required=name == README)
    return toc.update(document, name)


def write(matrix: Matrix, *, merge_local: bool = True) -> str:
    """Bring everything up to date and return a line for each file that changed.

    Stored results of this machine go into `results.json`, unless `merge_local` is false.
    """
    with paths.lock("readme", waiting="another Kiln writes README.md; waiting for it"):
        # All texts are made before one is written: a document that cannot be updated changes nothing.
        found = texts(matrix, merge_local=merge_local)
        changed = [name for name, (before, after) in found.items() if before != after]
        for name in changed:
            paths.write_whole(matrix.folder / name, found[name][1])
    return "\n".join([*changed, f"{len(changed)} of {len(found)} files changed"])


def drift(matrix: Matrix) -> str:
    """Return how the files differ from what belongs there, empty where they do not.

    This machine's own records are not asked, so that a fresh clone gives the same answer.
    """
    found = texts(matrix, merge_local=False)
    return "".join(difference(before, after, name) for name, (before, after) in found.items())


def difference(before: str, after: str, name: str) -> str:
    """Return how a text differs from what belongs there, as a diff; empty where it does not."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"generated/{name}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def texts(matrix: Matrix, *, merge_local: bool, figures: Figures | None = None) -> Texts:
    """Return every file of the family's folder that is kept up to date; `figures` are the stored ones if not given."""
    folder = matrix.folder
    stored = read_results(folder / FILE)
    found = local(matrix.repository) if merge_local else []
    results = merge_results(parse_results(stored, FILE), matrix, found)
    measured = bench_results.read(folder / bench_results.FILE) if figures is None else figures
    made = pages(matrix, results, measured)
    known, rendered = blocks(made), {FILE: dumps_results(results)}
    # A family without a README gets a first one.
    for name in dict.fromkeys((README, *_documents(folder))):
        rendered[name] = update(held(folder / name) or made.render(FIRST), known, name)
    if measured:
        rendered[bench_page.PLOT] = bench_plot.svg(measured)
    rendered |= {name: toc.update(made.render(template), name) for name, template in PAGES.items()}
    for package in _packages(matrix):
        page = Pages(facts=facts(matrix, results, {}, package), family=folder)
        name = f"{PACKAGES}/{package}/{README}"
        rendered[name] = toc.update(page.render(PACKAGE), name)
    return {name: (held(folder / name), text) for name, text in rendered.items()}


def _packages(matrix: Matrix) -> list[str]:
    """Return the names of the packages that have images."""
    return list(dict.fromkeys(image.installed.name for image in matrix.packages if image.installed))


def held(path: Path) -> str:
    """Return a document's text, empty if there is none yet."""
    return read(path) if path.exists() else ""


def _documents(folder: Path) -> list[str]:
    """Return the documents of a family's folder, which may have a table of contents."""
    found = [*folder.glob("*.md"), *(folder / "docs").rglob("*.md")]
    return sorted(path.relative_to(folder).as_posix() for path in found)
