"""A family with a further target, like one that it has; names of packages are asked of the new target's archive."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from msgspec import UNSET, Struct, structs

from kiln import apt, engine, suite
from kiln.emulation import ARCHITECTURES
from kiln.errors import AptError, SelectionError
from kiln.model import Catalog, Exclusion, Packages, Release, Target
from kiln.suite import Suite
from kiln.systems import System
from kiln.update_plan import Plan

ROLES = ("compile", "full", "runtime")


class Archives(Struct, frozen=True, kw_only=True):
    """The packages of a new target and of the one that it is like, as far as they can be asked for."""

    new: Suite | None = None
    old: Suite | None = None
    reason: str = ""
    """Why the new one cannot be asked for."""


def plan(catalog: Catalog, name: str, like: str) -> Plan:
    """Return the family with a target that is like another one. Raises SelectionError for names that do not fit."""
    return with_target(catalog, name, like, archives(catalog.targets[_model(catalog, name, like)], name))


def _model(catalog: Catalog, name: str, like: str) -> str:
    known = ", ".join(catalog.targets)
    if name in catalog.targets:
        raise SelectionError(f"{name}: is a target of the family already; `invoke drop target {name}` removes it")
    if not like:
        raise SelectionError(f"{name}: like which target? add --like and one of: {known}")
    if like not in catalog.targets:
        raise SelectionError(f"--like {like}: no target of the family; name one of: {known}")
    return like


def archives(model: Target, name: str) -> Archives:
    """Return the archives of a new target and its model; Debian's are asked through this machine's own sources.

    Raises SelectionError for a suite that Debian does not have.
    """
    if model.distribution != "debian":
        return Archives(reason=f"this machine has no archive of {model.distribution.title()} to ask")
    try:
        exists = apt.has_suite(apt.mirrors().main, name)
        new = suite.read(name, _architecture()) if exists else None
    except AptError as error:
        return Archives(reason=str(error))
    if new is None:
        raise SelectionError(f"{name}: Debian's archive has no such suite; name one by its code name, as forky")
    try:
        return Archives(new=new, old=suite.read(model.release, _architecture()))
    except AptError:
        # The names in its lists still say something.
        return Archives(new=new)


def _architecture() -> str:
    return ARCHITECTURES.get(engine.native_platform(), "")


def with_target(catalog: Catalog, name: str, like: str, found: Archives) -> Plan:
    """Return the family with a target as archives have it, in the releases and exclusions that its model is in."""
    model = catalog.targets[like]
    system = System(name=name, distribution=model.distribution)
    remarks: list[str] = []
    packages = model.packages
    if found.new:
        packages, remarks = _packages(model, name, found)
    elif model.distribution != "windows":
        names = ", ".join(packages.runtime)
        look = f"look whether it has each of {names}, and those of `compile` and `full`"
        remarks = [f"{name}: {found.reason}; its packages are those of {like}: {look}"]
    has = [platform for platform in model.base.platforms if _has(platform, found.new)]
    target = structs.replace(
        model, like=like, release=system.release, title=system.title, packages=packages,
        base=structs.replace(model.base, image=system.image, platforms=has, digest=UNSET),
        platforms=[platform for platform in model.platforms if platform in has],
        prerelease=True if found.new and not found.new.released else UNSET,
    )  # fmt: skip
    new = structs.replace(
        catalog, targets={**catalog.targets, name: target},
        releases=[_behind(release, like, name) for release in catalog.releases],
        exclusions=[*catalog.exclusions, *_alike(catalog.exclusions, like, name)],
    )  # fmt: skip
    return Plan(catalog=new, remarks=(*remarks, *_remarks(catalog, name, like, system, target)))


def _has(platform: str, archive: Suite | None) -> bool:
    """Tell whether a suite is made for a platform, as far as it is known."""
    if not archive or not archive.architectures:
        return True
    return ARCHITECTURES.get(platform) in archive.architectures


def _packages(model: Target, name: str, found: Archives) -> tuple[Packages, list[str]]:
    """Return lists of packages with names that the new target has, and a remark for each that is another one."""
    remarks: list[str] = []
    lists = {role: _renamed(getattr(model.packages, role), f"{name}: packages.{role}", model, found, remarks)
             for role in ROLES}  # fmt: skip
    more = model.packages.platforms
    own = {
        platform: _renamed(names, f"{name}: packages.platforms[{platform}]", model, found, remarks)
        for platform, names in (more or {}).items()
    }
    return structs.replace(model.packages, **lists, platforms=own or more), remarks


def _renamed(names: Iterable[str], where: str, model: Target, found: Archives, remarks: list[str]) -> list[str]:
    new: list[str] = []
    for name in names:
        if not found.new or name in found.new.packages:
            new.append(name)
            continue
        instead = suite.successors(name, model.packages.compile, found.old, found.new)
        if len(instead) == 1:
            remarks.append(f"{where}: {instead[0]} in place of {name}, by the suite's own index")
        else:
            near = f" ({' or '.join(instead)}?)" if instead else ""
            remarks.append(f"{where}: the suite has no {name}, and nothing certain in its place{near}; correct it")
        new += instead if len(instead) == 1 else [name]
    return list(dict.fromkeys(new))


def _behind(release: Release, like: str, name: str) -> Release:
    """Return a release with a target behind its model, so that its default target stays."""
    if like not in release.targets:
        return release
    place = release.targets.index(like) + 1
    return structs.replace(release, targets=[*release.targets[:place], name, *release.targets[place:]])


def _alike(rules: Iterable[Exclusion], like: str, name: str) -> Iterator[Exclusion]:
    """Yield for the new target what is left out on its model by name."""
    for rule in rules:
        if rule.target and fnmatchcase(like, rule.target) and not fnmatchcase(name, rule.target):
            yield structs.replace(rule, target=name)


def _remarks(catalog: Catalog, name: str, like: str, system: System, target: Target) -> Iterator[str]:
    if system.age == float("inf"):
        yield f"{name}: no code name that Kiln knows; look at its release {system.release!r} and title {system.title!r}"
    if target.distribution != "debian":
        yield f"{name}: platforms are those of {like}; look whether {system.image} has them"
    users = [one for one, package in (catalog.packages or {}).items() if like in package.targets]
    if users:
        yield f"{name}: packages stay on {like}; to have them, add {name} to the targets of {', '.join(users)}"
