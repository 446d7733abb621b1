"""README.md, the pages of images, tables of contents and `results.json`: kept up to date, and compared, as a whole."""

import difflib
from pathlib import Path

from kiln import bench_page, bench_plot, bench_results, markdown, paths, toc
from kiln.errors import ReadmeError
from kiln.image import PACKAGES
from kiln.matrix import Matrix
from kiln.page_facts import facts
from kiln.pages import Pages
from kiln.results import FILE, Results, dumps_results, local, merge_results, parse_results, read_results

README = "README.md"
BLOCKS = ("status", "tags", "platforms", "sizes", "bench")
PAGES = {"docs/dockerhub.md": "pages/official.md.j2"}
"""Whole pages that are kept in the family's folder, each with its template."""
FIRST = "pages/readme.md.j2"
"""The template of the first `README.md` of a family; afterwards only its blocks are rewritten."""
PACKAGE = "pages/package.md.j2"
"""The template of `packages/<name>/README.md`, of which each package has one."""

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


def pages(matrix: Matrix, results: Results) -> Pages:
    """Return what renders the pages that are kept in the family's folder: their links name the default branch."""
    figures = bench_results.read(matrix.folder / bench_results.FILE)
    return Pages(facts=facts(matrix, results, {}), family=matrix.folder, values={"bench": bench_page.values(figures)})


def blocks(made: Pages) -> dict[str, str]:
    """Return the text of each block by its name, its lines ended by a newline character each."""
    return {name: made.render(f"readme/{name}.md.j2") for name in BLOCKS}


def update(document: str, made: Pages, name: str) -> str:
    """Return a document with its blocks and its table of contents rewritten; `name` is the file's, for errors.

    Raises ReadmeError, with the line, for blocks that do not pair up, and where there is none.
    """
    return toc.update(markdown.replace(document, blocks(made), name), name)


def write(matrix: Matrix) -> str:
    """Bring everything up to date and return a line for each file that changed.

    Stored results of this machine go into `results.json`.
    """
    with paths.lock("readme", waiting="another Kiln writes README.md; waiting for it"):
        # All texts are made before one is written: a document that cannot be updated changes nothing.
        texts = _texts(matrix, merge_local=True)
        changed = [name for name, (before, after) in texts.items() if before != after]
        for name in changed:
            paths.write_whole(matrix.folder / name, texts[name][1])
    return "\n".join([*changed, f"{len(changed)} of {len(texts)} files changed"])


def drift(matrix: Matrix) -> str:
    """Return how the files differ from what belongs there, empty where they do not.

    This machine's own records are not asked, so that a fresh clone gives the same answer.
    """
    texts = _texts(matrix, merge_local=False)
    return "".join(difference(before, after, name) for name, (before, after) in texts.items())


def difference(before: str, after: str, name: str) -> str:
    """Return how a text differs from what belongs there, as a diff; empty where it does not."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"generated/{name}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _texts(matrix: Matrix, *, merge_local: bool) -> Texts:
    """Return every file of the family's folder that is kept up to date."""
    folder = matrix.folder
    stored = read_results(folder / FILE)
    found = local(matrix.repository) if merge_local else []
    results = merge_results(parse_results(stored, FILE), matrix, found)
    made = pages(matrix, results)
    texts = {FILE: (stored, dumps_results(results)), README: _readme(folder, made)}
    if figures := bench_results.read(folder / bench_results.FILE):
        texts[bench_page.PLOT] = _held(folder / bench_page.PLOT), bench_plot.svg(figures)
    rendered = {name: made.render(template) for name, template in PAGES.items()}
    for package in matrix.catalog.packages or {}:
        page = Pages(facts=facts(matrix, results, {}, package), family=folder)
        rendered[f"{PACKAGES}/{package}/{README}"] = page.render(PACKAGE)
    texts |= {name: (_held(folder / name), toc.update(text, name)) for name, text in rendered.items()}
    for name in _documents(folder):
        if name not in texts:
            text = read(folder / name)
            texts[name] = text, toc.update(text, name)
    return texts


def _readme(folder: Path, made: Pages) -> tuple[str, str]:
    """Return the README as it is and as it should be; a family that has none gets a first one."""
    held = _held(folder / README)
    return held, update(held or made.render(FIRST), made, README)


def _held(path: Path) -> str:
    """Return a document's text, empty if there is none yet."""
    return read(path) if path.exists() else ""


def _documents(folder: Path) -> list[str]:
    """Return the documents of a family's folder, which may have a table of contents."""
    found = [*folder.glob("*.md"), *(folder / "docs").rglob("*.md")]
    return sorted(path.relative_to(folder).as_posix() for path in found)
