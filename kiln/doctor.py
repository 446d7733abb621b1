"""What this machine has for building images, and what to do about what it lacks."""

import shutil
from collections.abc import Iterator

from msgspec import Struct

from kiln import bases, columns, emulation, engine, engine_host, network, paths, plan, sources
from kiln.engine import Engine
from kiln.errors import KilnError
from kiln.matrix import Matrix

# An optimised compile and the images of two suites, with BuildKit's cache.
ROOM_GB = 15


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    found: str
    remedy: str = ""
    """What to do; empty where all is well."""

    @property
    def needed(self) -> bool:
        """Tell whether nothing can be built without the remedy."""
        return bool(self.remedy) and self.name in ("engine", "image store", "buildx")


def report(matrix: Matrix, width: int | None = None) -> tuple[str, bool]:
    """Return what was found as text that fits a width, and whether the newest image can be built here."""
    try:
        found = engine.find()
        engines = list(_engine_facts(found) if found else _no_engine())
    except KilnError as error:
        found, engines = None, [_lack(error)]
    native = found.platform if found else engine.native_platform()
    try:
        _, why = plan.default(matrix, native, None, found)
        well = not any(finding.needed for finding in engines)
        verdict = f"`invoke build` builds {why}" if well else f"once the engine is mended, `invoke build` builds {why}"
    except KilnError as error:
        verdict, well = str(error), False
    findings = [*engines, *_emulation(matrix, found), *_bases(matrix, found), *_sources(matrix), *_machine()]
    rows = [("--" if one.remedy else "ok", one.name, _line(one)) for one in findings]
    return f"{columns.fit(rows, width)}\n\n{columns.fill(verdict, width)}", well


def _line(finding: Finding) -> str:
    return f"{finding.found}; {finding.remedy}" if finding.remedy else finding.found


def _no_engine() -> Iterator[Finding]:
    """Tell that an engine will be brought; EngineError where it cannot be."""
    engine_host.check()
    yield Finding(name="engine", found="none answers; Kiln brings one with the first build")


def _lack(error: KilnError) -> Finding:
    """Return that there is no engine; an error says what to do behind its first semicolon."""
    found, _, remedy = str(error).partition("; ")
    return Finding(name="engine", found=found, remedy=remedy or "nothing can be built until then")


def _engine_facts(found: Engine) -> Iterator[Finding]:
    yield Finding(name="engine", found=f"{found.title}, {found.platform}")
    remedy = "" if found.containerd_store else engine.STORE_REMEDY
    store = "containerd" if found.containerd_store else "classic, which keeps no manifests"
    yield Finding(name="image store", found=store, remedy=remedy)
    yield Finding(name="buildx", found=found.buildx_version)
    yield Finding(name="platforms", found=", ".join(found.platforms))


def fix(matrix: Matrix) -> None:
    """Bring emulation for the platforms of a family that this machine cannot run; EngineError where that cannot be."""
    emulation.bring(_platforms(matrix))


def _platforms(matrix: Matrix) -> list[str]:
    """Return the platforms of a family that something runs on when its images are built."""
    names = dict.fromkeys(platform for image in matrix.images for platform in image.platforms)
    return [name for name in names if name in emulation.ARCHITECTURES]


def _emulation(matrix: Matrix, found_engine: Engine | None) -> Iterator[Finding]:
    """Tell how the engine runs each platform of the family that is not its own."""
    runs = found_engine.platforms if found_engine else []
    own = found_engine.platform if found_engine else engine.native_platform()
    words: list[str] = []
    reasons: dict[str, None] = {}
    for name in (name for name in _platforms(matrix) if name != own):
        architecture = emulation.ARCHITECTURES[name]
        if name in runs or emulation.runs(architecture):
            words.append(name)
        elif reason := emulation.obstacle(architecture):
            reasons[reason] = None
        else:
            words.append(f"{name} (`invoke build` registers Debian's QEMU when it is asked for, --fix now)")
    yield Finding(name="other platforms", found=", ".join(words) or "none", remedy="; ".join(reasons))


def _bases(matrix: Matrix, found_engine: Engine | None) -> Iterator[Finding]:
    """Tell for each target and platform from where its base comes, and why from nowhere."""
    for name, target in matrix.catalog.targets.items():
        origins = {platform: bases.available(target, platform, engine=found_engine) for platform in target.platforms}
        found = ", ".join(f"{platform} ({origin})" for platform, origin in origins.items() if origin)
        remedies = dict.fromkeys(bases.obstacle(target, p) for p, origin in origins.items() if not origin)
        lacking = ", ".join(platform for platform, origin in origins.items() if not origin)
        yield Finding(
            name=f"base {name}", found=found or "none",
            remedy=f"not {lacking}: {'; '.join(remedies)}" if lacking else "",
        )  # fmt: skip


def _sources(matrix: Matrix) -> Iterator[Finding]:
    releases = {image.release.version: image.release for image in matrix.images}
    here = {v: sources.available(release, matrix.catalog.sources) for v, release in releases.items()}
    lacking = [version for version, origin in here.items() if not origin]
    yield Finding(
        name="sources", found=", ".join(f"{v} ({origin})" for v, origin in here.items() if origin) or "none",
        remedy=f"not to be had: {', '.join(lacking)}; bring them with --sources DIR, or name a mirror in "
        "versions.json ($.sources.mirrors)" if lacking else "",
    )  # fmt: skip


def _machine() -> Iterator[Finding]:
    free = shutil.disk_usage(paths.home()).free / 1e9
    remedy = "" if free >= ROOM_GB else f"free some: builds need about {ROOM_GB} GB, or set KILN_HOME elsewhere"
    yield Finding(name="disk", found=f"{free:.0f} GB free at {paths.home()}", remedy=remedy)
    bundle = network.bundle()
    yield Finding(name="certificates", found=str(bundle) if bundle else "no bundle found; pip's own is used")
    yield Finding(name="proxies", found=", ".join(network.proxies()) or "none")
