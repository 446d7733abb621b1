"""README.md and `results.json`: kept up to date, and compared, as a whole."""

import difflib
from pathlib import Path

from kiln import markdown, paths
from kiln.blocks import blocks
from kiln.errors import ReadmeError
from kiln.matrix import Matrix
from kiln.results import FILE, Results, dumps_results, local, merge_results, parse_results, read_results

README = "README.md"


def read(path: Path) -> str:
    """Return a document with its line ends as they are."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ReadmeError(f"{path}: cannot be read ({error.strerror}); restore it with git") from None
    except UnicodeDecodeError as error:
        raise ReadmeError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def update(document: str, matrix: Matrix, results: Results, name: str) -> str:
    """Return a document with its blocks rewritten; `name` is the file's, for errors.

    Raises ReadmeError, with the line, for blocks that do not pair up, and where there is none.
    """
    return markdown.replace(document, blocks(matrix, results), name)


def write(matrix: Matrix) -> str:
    """Bring `results.json` and README.md up to date and return a line for each that changed."""
    with paths.lock("readme", waiting="another Kiln writes README.md; waiting for it"):
        document, stored = read(paths.ROOT / README), read_results(paths.ROOT / FILE)
        results = merge_results(parse_results(stored, FILE), matrix, local(matrix.repository))
        # Both texts are made before one is written: a document that cannot be updated changes nothing.
        texts = {FILE: (stored, dumps_results(results)), README: (document, update(document, matrix, results, README))}
        changed = [name for name, (before, after) in texts.items() if before != after]
        for name in changed:
            paths.write_whole(paths.ROOT / name, texts[name][1])
    return "\n".join([*changed, f"{len(changed)} of {len(texts)} files changed"])


def drift(matrix: Matrix) -> str:
    """Return how README.md and `results.json` differ from what belongs there, empty where they do not."""
    return difference(read(paths.ROOT / README), read_results(paths.ROOT / FILE), matrix)


def difference(document: str, stored: str, matrix: Matrix, *, name: str = README, results_name: str = FILE) -> str:
    """Return how the texts of a document and of its results differ from what belongs there, as a diff.

    This machine's own records are not asked, so that a fresh clone gives the same answer.
    """
    results = merge_results(parse_results(stored, results_name), matrix)
    wanted = update(document, matrix, results, name)
    return _diff(stored, dumps_results(results), results_name) + _diff(document, wanted, name)


def _diff(before: str, after: str, name: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"generated/{name}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
