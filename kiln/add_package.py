"""A family with a further package of the index: its entry, and the files of its folder, from what is installed."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, structs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from kiln import brought, console, index, network, paths, scaffold, servers, update_plan
from kiln.checks_packages import pythons
from kiln.errors import SelectionError, UpdateError
from kiln.index import Offered
from kiln.model import Catalog, Package, PackageTest
from kiln.update_plan import Plan


class Made(Struct, frozen=True, kw_only=True):
    """A family with a package, and the package's files by their path below the family's folder."""

    plan: Plan
    files: dict[str, str]


def make(catalog: Catalog, word: str, folder: Path) -> Made:
    """Return the family with a package that a word names, as pip does: `hypercorn`, `uvicorn[standard]`.

    The files of a folder that is there already stay as they are. Raises SelectionError for what is no name or
    there already, and UpdateError if the index does not have it.
    """
    name, requirement = _named(word, catalog)
    with console.step(f"{name}: asking the index"):
        answer = index.offered(index.configured(network.pip_list()), name)
    newest = _newest(answer, name)
    like = _model(catalog, newest, name)
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as scratch:
        with console.step(f"{name}: installing {newest.version} to look at it"):
            found = brought.install(requirement, newest.version, Path(scratch, "site"))
        server = servers.find(found, scaffold.examples(name))
    entry = scaffold.entry(requirement, found, like)
    packages = {**(catalog.packages or {}), name: entry}
    plan = update_plan.package(structs.replace(catalog, packages=packages), name, answer, removal=False)
    own = folder / name
    files = {} if own.is_dir() else scaffold.files(found, server)
    told = _how(name, server) if files else [f"{name}: packages/{name} is there already, and stays as it is"]
    remarks = (*told, *(scaffold.left(found, server) if files else ()), *plan.remarks)
    return Made(
        plan=Plan(catalog=plan.catalog, remarks=remarks),
        files={f"packages/{name}/{path}": text for path, text in files.items()},
    )


def _named(word: str, catalog: Catalog) -> tuple[str, str]:
    """Return a package's name, and its requirement with extras."""
    try:
        found = Requirement(word)
    except InvalidRequirement:
        message = f"{word!r}: pip takes no such name; write one such as hypercorn or uvicorn[standard]"
        raise SelectionError(message) from None
    if found.specifier or found.url or found.marker:
        raise SelectionError(f"{word!r}: write name and extras alone; the newest versions are looked up")
    name = str(canonicalize_name(found.name))
    if name in (catalog.packages or {}):
        raise SelectionError(f"{name}: is a package of the family already; `invoke drop package {name}` removes it")
    extras = f"[{','.join(sorted(found.extras))}]" if found.extras else ""
    return name, f"{name}{extras}"


def _newest(answer: Sequence[Offered], name: str) -> Offered:
    stable = [one for one in answer if not one.yanked and not Version(one.version).is_prerelease]
    if not stable:
        raise UpdateError(f"{name}: the index has no final version of it that is not yanked; nothing was changed")
    return stable[-1]


def _model(catalog: Catalog, newest: Offered, name: str) -> Package:
    """Return the package that a new one is like in its Pythons, targets and variants, with the Pythons that fit."""
    like = next(iter((catalog.packages or {}).values()), None) or _first(catalog)
    fit = [python for python in like.pythons if newest.runs_on(update_plan.release_of(python, catalog.releases))]
    if not fit:
        needs = " or ".join(newest.requires)
        raise UpdateError(f"{name}: {newest.version} needs Python {needs}, and the family has none that fits")
    return structs.replace(like, pythons=fit)


def _first(catalog: Catalog) -> Package:
    """Return what the first package of a family is like: every final series, and all that is no Windows."""
    series = dict.fromkeys(one.series for one in catalog.releases if not one.parsed.is_prerelease)
    known = pythons(catalog.releases)
    named = [one for one in series if one in known] or sorted(known)[-1:]
    targets = [name for name, target in catalog.targets.items() if target.distribution != "windows"]
    used = [name for name in targets if any(name in release.targets for release in catalog.releases)]
    has = {variant for name in used for variant in catalog.targets[name].variants}
    return Package(
        requirements=[], versions=[], description="", pythons=named, targets=used,
        variants=[name for name in ("full", "slim") if name in has], command=[],
        test=PackageTest(kind="http", imports=[]),
    )  # fmt: skip


def _how(name: str, server: servers.Server | None) -> list[str]:
    if server is None:
        return []
    words = " ".join([server.script, *server.words])
    return [f"{name}: {words} serves {server.protocol.upper()}, and ended with {server.code} at SIGTERM; tried here"]
