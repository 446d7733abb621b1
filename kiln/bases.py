"""Base images, from one of two origins: a registry, or the distribution's own signed packages."""

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kiln import debian, emulation, oci, registry
from kiln.emulation import ARCHITECTURES
from kiln.errors import BaseError
from kiln.model import Target


@dataclass(frozen=True, kw_only=True)
class Base:
    """A base image that a build can use."""

    context: str
    """A bake context: `docker-image://...@sha256:...` or `oci-layout://FOLDER@sha256:...`."""
    digest: str
    """`sha256:...` of the manifest or of the index."""
    name: str
    """The reference that people know it by: `debian:trixie-slim`."""
    origin: str
    """Where it is from, for people."""
    created: int
    """When it was made, in seconds since 1970; none of its files is newer."""
    os_version: str = ""
    """Of a Windows base, the release that a host has to have, too: `10.0.26100.1`."""


def resolve(target: Target, platform: str, *, engine: registry.Client) -> Base:
    """Return the base of a target for a platform, bootstrapped now if no registry has it, under emulation if need be.

    `KILN_BASES` set to `registry` or `bootstrap` allows one origin only. BaseError: neither works.
    """
    image, found = target.base.image, None
    if _allowed("registry"):
        found = registry.look(registry.reference(target.base), engine)
        if found.digest:
            return _pulled(image, found)
    reason = found.reason if found else "KILN_BASES=bootstrap"
    reasons = obstacle(target, platform)
    if reasons:
        raise BaseError(f"{image} for {platform}: not from its registry ({reason}); {reasons}")
    emulation.bring([platform])
    return _bootstrapped(target, debian.layout(_system(target, platform)))


def at_hand(target: Target, platform: str) -> Base | None:
    """Return the base that `resolve` would return as far as is known here; None if it must be asked for or made."""
    found = registry.known(registry.reference(target.base)) if _allowed("registry") else None
    if found and found.digest:
        return _pulled(target.base.image, found)
    if obstacle(target, platform):
        return None
    layout = debian.at_hand(_system(target, platform))
    return _bootstrapped(target, layout) if layout else None


def available(target: Target, platform: str, *, engine: registry.Client | None = None) -> str | None:
    """Return the origin that `resolve` would use, `registry` or `bootstrap`, without doing it.

    Without an engine, a registry counts if it was seen in the last minutes. None: neither works.
    """
    if _allowed("registry"):
        reference = registry.reference(target.base)
        found = registry.look(reference, engine) if engine else registry.known(reference)
        if found and found.digest:
            return "registry"
    return None if obstacle(target, platform) else "bootstrap"


def _allowed(origin: str) -> bool:
    chosen = os.environ.get("KILN_BASES", "")
    if chosen not in ("", "registry", "bootstrap"):
        raise BaseError(f"KILN_BASES={chosen}: no such origin; set it to registry or bootstrap, or unset it")
    return chosen in ("", origin)


def obstacle(target: Target, platform: str) -> str:
    """Return why the base cannot be bootstrapped here and what to do, or nothing if it can."""
    architecture = ARCHITECTURES.get(platform)
    if not _allowed("bootstrap"):
        return "KILN_BASES=registry rules out a bootstrap; unset it, or make the registry reachable"
    if target.distribution != "debian":
        return "only Debian bases can be bootstrapped; make the registry reachable, or choose a Debian target"
    if architecture is None:
        return f"Debian has no architecture for {platform}; choose one of {', '.join(ARCHITECTURES)}"
    if not shutil.which("apt-get"):
        return "a bootstrap needs Debian's apt-get on this machine; make the registry reachable"
    return emulation.obstacle(architecture)


def _system(target: Target, platform: str) -> debian.System:
    return debian.System(suite=target.release, platform=platform, architecture=ARCHITECTURES[platform])


def _pulled(image: str, found: registry.Found) -> Base:
    context = f"docker-image://{image}@{found.digest}"
    return Base(
        context=context, digest=found.digest, name=image, origin="registry", created=found.created,
        os_version=found.os_version,
    )  # fmt: skip


def _bootstrapped(target: Target, layout: Path) -> Base:
    image = oci.images(layout)[0]
    day = datetime.fromtimestamp((layout / "index.json").stat().st_mtime, UTC).date()
    origin = f"bootstrapped from Debian's signed packages on {day}"
    if target.base.digest:
        origin += f", because the pinned {target.base.digest} cannot be pulled"
    context = f"oci-layout://{layout}@{image.digest}"
    return Base(context=context, digest=image.digest, name=target.base.image, origin=origin, created=image.created)
