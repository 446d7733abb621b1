"""New versions of packages and of Python, asked for and written to `versions.json`: all of them, or nothing."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from kiln import catalog as catalogs
from kiln import console, fill, index, matrix, network, paths, pythonorg, reach, update_plan
from kiln.errors import CatalogError, SelectionError, UpdateError
from kiln.model import Catalog
from kiln.update_plan import Plan

PYTHON = "python"
"""What stands for the releases of Python among the names of packages."""


class Update(Struct, frozen=True, kw_only=True):
    """What `versions.json` would become."""

    file: Path
    old: str
    """The file's text."""
    new: str
    """The text to write; the old one if nothing is new."""
    remarks: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Tell whether there is something to write."""
        return self.new != self.old

    @property
    def difference(self) -> str:
        """Return the unified diff."""
        lines = difflib.unified_diff(
            self.old.splitlines(keepends=True), self.new.splitlines(keepends=True), str(self.file), f"{self.file} (new)"
        )
        return "".join(lines)

    def report(self, *, written: bool) -> str:
        """Return what a person is told: remarks, the difference, and what comes next."""
        after = "run `invoke lock` and `invoke generate` now"
        if not self.changed:
            end = f"{self.file}: nothing new"
        elif written:
            end = f"{self.file}: written; {after}"
        else:
            end = f"{self.file}: not written; --write does"
        return "\n".join([*self.remarks, *filter(None, [self.difference.rstrip("\n")]), end])

    def write(self) -> None:
        """Write the file, unless it is another one by now."""
        with paths.lock("update"):
            if self.file.read_text("utf-8") != self.old:
                raise UpdateError(f"{self.file}: was changed by someone else; nothing was written, run it again")
            paths.write_whole(self.file, self.new, mode=self.file.stat().st_mode & 0o777)


def run(file: Path, names: Sequence[str], *, removal: bool = False, home: str = "") -> Update:
    """Ask for the packages of `names` (and `python`), for all where none is given, and return what is new.

    `home` is python.org or a mirror of its API and files. Raises `UpdateError` for the first that
    does not answer well, so that no file is updated in part.
    """
    catalogs.load(file)
    # Once more from the very text that the new one is compared with: someone may edit the file now.
    text = file.read_text("utf-8")
    before = catalogs.loads(text, str(file))
    plan = Plan(catalog=before)
    for name in _chosen(before, names):
        step = _python(plan.catalog, removal, home, names) if name == PYTHON else _package(plan.catalog, name, removal)
        plan = Plan(catalog=step.catalog, remarks=(*plan.remarks, *step.remarks))
    new = text if plan.catalog == before else _valid(plan.catalog, file)
    return Update(file=file, old=text, new=new, remarks=plan.remarks)


def _chosen(catalog: Catalog, names: Sequence[str]) -> list[str]:
    """Return what is asked for: python first, for packages name its releases."""
    known = [PYTHON, *(catalog.packages or {})]
    for name in names:
        if name not in known:
            raise SelectionError(f"{name!r} is no package of the family; name some of: {', '.join(known)}")
    return [name for name in known if name in names or not names]


def _package(catalog: Catalog, name: str, removal: bool) -> Plan:
    package = (catalog.packages or {})[name]
    if not package.keep:
        return Plan(catalog=catalog, remarks=(f"{name}: has no `keep`, so its versions are the maintainer's",))
    project = package.requirements[0].partition("[")[0]
    with console.step(f"{name}: asking the index"):
        answer = index.offered(index.configured(network.pip_list()), project)
    return update_plan.package(catalog, name, answer, removal=removal)


def _python(catalog: Catalog, removal: bool, home: str, names: Sequence[str]) -> Plan:
    try:
        return _releases(catalog, removal, home.rstrip("/") or pythonorg.HOME)
    except UpdateError as error:
        alone = " ".join(catalog.packages or {})
        if names or not alone:
            raise
        # Half an update would look like a whole one.
        raise UpdateError(f"{error}; packages alone: invoke update {alone}") from None


def _releases(catalog: Catalog, removal: bool, home: str) -> Plan:
    filled = fill.fill(catalog, home)
    try:
        with console.step(f"{PYTHON}: asking {reach.shown(home)}"):
            listing = pythonorg.releases(home)
    except UpdateError as error:
        if filled.catalog == catalog:
            raise
        # What was filled in is no half of an update: it says nothing of newer releases.
        return Plan(catalog=filled.catalog, remarks=(*filled.remarks, f"{error}; newer releases were not looked for"))
    catalog = filled.catalog
    successors, remarks = update_plan.successors(catalog, listing, removal=removal)
    plan = Plan(catalog=catalog, remarks=(*filled.remarks, *remarks))
    for one in successors:
        release = pythonorg.pin(one.old, one.new, catalog.sources, home)
        step = update_plan.replace(plan.catalog, one.old, release, one.new.version)
        plan = Plan(catalog=step.catalog, remarks=(*plan.remarks, *step.remarks))
    return plan


def _valid(catalog: Catalog, file: Path) -> str:
    """Return the text of a family, which must be one that `versions.json` may hold."""
    text = catalogs.dumps(catalog)
    try:
        matrix.expand(catalogs.loads(text, str(file)), str(file))
    except CatalogError as error:
        raise UpdateError(f"the update leads to no valid family, so nothing was changed: {error}") from None
    return text
