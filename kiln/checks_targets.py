"""What types cannot say of targets: the form of each value, and what refers to what."""

from collections.abc import Iterator

import msgspec

from kiln.checks import PLATFORMS, Problem, form, short, twice
from kiln.model import DISTROLESS, Catalog, Target


def malformed(catalog: Catalog) -> Iterator[Problem]:
    """Yield every value of a target without the form that it must have."""
    for name, target in catalog.targets.items():
        yield from _malformed_target(f"$.targets[{name!r}]", target)


def dangling(catalog: Catalog) -> Iterator[Problem]:
    """Yield every value of a target that refers to nothing."""
    for name, target in catalog.targets.items():
        yield from _dangling_target(f"$.targets[{name!r}]", target, list(catalog.variants))


def _malformed_target(where: str, target: Target) -> Iterator[tuple[str, str]]:
    yield from form(f"{where}.release", "name", target.release)
    yield from form(f"{where}.base.image", "image", target.base.image)
    if target.base.digest is not msgspec.UNSET:
        yield from form(f"{where}.base.digest", "index", target.base.digest)
    yield from _malformed_packages(f"{where}.packages", target)
    for name, reason in target.training.skip.items() if target.training else ():
        yield from form(f"{where}.training.skip[{name!r}]", "test", name)
        if not reason.strip():
            yield f"{where}.training.skip[{name!r}]", "found no reason; write why the test cannot pass there"
    for name, variant in target.variants.items():
        if variant.max_mb is not msgspec.UNSET and variant.max_mb <= 0:
            yield f"{where}.variants[{name!r}].max_mb", f"found {variant.max_mb}; write how many megabytes it may have"
    for field, platforms in ((".base.platforms", target.base.platforms), (".platforms", target.platforms)):
        yield from twice(where + field, platforms)
        for index, platform in enumerate(platforms):
            if platform not in PLATFORMS:
                known = ", ".join(PLATFORMS)
                yield f"{where}{field}[{index}]", f"found unknown platform {short(platform)}; use one of {known}"


def _malformed_packages(where: str, target: Target) -> Iterator[tuple[str, str]]:
    packages = target.packages
    lists = {f".{role}": getattr(packages, role) for role in ("compile", "full", "runtime")}
    lists |= {f".platforms[{platform!r}]": names for platform, names in (packages.platforms or {}).items()}
    for name, found in lists.items():
        for index, package in enumerate(found):
            yield from form(f"{where}{name}[{index}]", "package", package)
    for platform in packages.platforms or {}:
        if platform not in PLATFORMS:
            known = ", ".join(PLATFORMS)
            yield f"{where}.platforms[{platform!r}]", f"found unknown platform {short(platform)}; use one of {known}"


def _dangling_target(where: str, target: Target, variants: list[str]) -> Iterator[tuple[str, str]]:
    for name in target.variants:
        if name not in variants:
            yield f"{where}.variants", f"found unknown variant {short(name)}; use one of: {', '.join(variants)}"
    if target.default_variant not in target.variants:
        names = ", ".join(target.variants)
        yield f"{where}.default_variant", f"found {short(target.default_variant)}; use one of its variants: {names}"
    yield from _foreign(where, target)
    for index, platform in enumerate(target.platforms):
        if platform not in target.base.platforms:
            has = ", ".join(target.base.platforms) or "no platform"
            yield (
                f"{where}.platforms[{index}]",
                f"found {platform!r}, which the base {target.base.image} lacks (it has {has}); remove it",
            )


def _foreign(where: str, target: Target) -> Iterator[tuple[str, str]]:
    """Yield what a system cannot have: Windows is assembled by copying, distroless images from Debian's packages."""
    windows = target.distribution == "windows"
    for index, platform in enumerate(target.platforms):
        if platform.startswith("windows/") != windows:
            yield f"{where}.platforms[{index}]", f"found {platform!r} for {target.distribution}; remove it"
    for role in ("compile", "full", "runtime"):
        if windows and getattr(target.packages, role):
            yield f"{where}.packages.{role}", "found packages, but nothing is installed into Windows images; empty it"
    for name in target.variants:
        if name in DISTROLESS and target.distribution not in {"debian", "ubuntu"}:
            problem = f"found it for {target.distribution}, but only Debian and Ubuntu have it; remove it"
            yield f"{where}.variants[{name!r}]", problem
