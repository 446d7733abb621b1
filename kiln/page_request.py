"""One page from a template that a user names: what `invoke readme --template` does."""

from pathlib import Path

from msgspec import Struct

from kiln import history, paths, readme, render, toc
from kiln.errors import ReadmeError
from kiln.matrix import Matrix
from kiln.page_facts import facts
from kiln.pages import Pages, load_values
from kiln.results import FILE, load_results, merge_results


class Request(Struct, frozen=True, kw_only=True):
    """What the command's flags say."""

    template: Path
    out: Path | None = None
    """None prints the page."""
    values: Path | None = None
    package: str = ""
    """The package whose images the page is of; empty for the Python images."""
    toc: bool = True
    """Whether tables of contents are filled."""

    def write(self, matrix: Matrix) -> str:
        """Write the page and return what to say of it, or return the page where there is no `out`."""
        self._check(matrix)
        text = self.page(matrix)
        if self.out is None:
            # Printing ends the text with a line end of its own.
            return text.removesuffix("\n")
        paths.write_whole(self.out, text)
        return f"{self.out}: {len(text.encode())} bytes"

    def drift(self, matrix: Matrix) -> str:
        """Return how `out` differs from the page, empty where it does not."""
        self._check(matrix)
        if self.out is None:
            raise ReadmeError("--check: nothing to compare the page with; name the file with --out")
        held = readme.read(self.out) if self.out.exists() else ""
        return readme.difference(held, self.page(matrix), str(self.out))

    def page(self, matrix: Matrix) -> str:
        """Return the page, its links at the commits of the Dockerfiles where git knows them."""
        values = load_values(self.values) if self.values else {}
        results = merge_results(load_results(matrix.folder / FILE), matrix)
        commits = history.commits(matrix.folder / render.FOLDER)
        known = facts(matrix, results, commits, self.package)
        text = Pages(facts=known, family=matrix.folder, values=values).render_file(self.template)
        return toc.update(text, str(self.template)) if self.toc else text

    def _check(self, matrix: Matrix) -> None:
        """Raise ReadmeError where the page cannot be written, or would take the place of what it is made from."""
        if self.out is None:
            return
        if not self.out.parent.is_dir():
            raise ReadmeError(f"{self.out}: there is no folder {self.out.parent}; make it first")
        if self.out.exists() and not self.out.is_file():
            raise ReadmeError(f"{self.out}: is no file; name one with --out, or leave it out to print the page")
        inputs = [path for path in (self.template, self.values, matrix.file) if path]
        if self.out.resolve() in {path.resolve() for path in inputs}:
            raise ReadmeError(f"{self.out}: the page is made from it; name another file with --out")


def parse(*, toc: bool, **flags: str) -> Request | None:
    """Return what the command's flags ask for: nothing where they name no template.

    `flags` are `template`, `out`, `values` and `package`, empty where they are not given.
    """
    paths_given = {name: Path(flags[name]) for name in ("template", "out", "values") if flags[name]}
    if "template" not in paths_given:
        if any(flags.values()) or not toc:
            raise ReadmeError("--out, --values, --package and --no-toc are of a page; name a template with --template")
        return None
    return Request(package=flags["package"], toc=toc, **paths_given)
