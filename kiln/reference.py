"""The reference image that benchmarks compare with: built on the same base, from the same sources, and found again."""

import datetime
import hashlib
import json
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from kiln import bake, build, network, paths
from kiln.bake import Build
from kiln.buildx import Buildx
from kiln.console import say
from kiln.engine import Engine
from kiln.errors import BuildError, SelectionError
from kiln.phases import Phase
from kiln.workspace import workspace

DOCKERFILE = paths.ROOT / "benchmarks" / "reference" / "Dockerfile"


class Compiled(Struct, frozen=True, kw_only=True):
    """How long the reference took to build from nothing, on this machine."""

    image: str
    """What `docker run` takes for it."""
    seconds: float
    phases: tuple[Phase, ...]
    taken: str
    """When, in UTC: `2026-11-21 14:02 UTC`."""


def name(mine: Build) -> str:
    """Return the reference's name for an image of ours: it is another one where anything that it is made of is.

    Raises SelectionError for an image that there is no reference for.
    """
    image = mine.image
    if image.target.distribution != "debian" or image.flavour != "default" or image.installed:
        raise SelectionError(
            f"{image.id}: the reference is made for plain Python on Debian; name such an image with --image"
        )
    facts = [
        DOCKERFILE.read_text(encoding="utf-8"), image.python, mine.platform, mine.inputs.base_digest,
        mine.inputs.source_sha256,
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return f"kiln-reference:{image.python}-{image.target_name}-{digest[:12]}"


def bring(mine: Build, engine: Engine) -> str:
    """Return the name of the reference for an image of ours, built now if the engine does not hold it."""
    wanted = name(mine)
    if not _held(wanted, engine):
        say(f"{wanted}: not in the engine; building it, which takes an hour of one core where nothing is cached")
        _bake(mine, engine, no_cache=False)
    return wanted


def compile_anew(mine: Build, engine: Engine) -> Compiled:
    """Build the reference with nothing cached, hand it to the engine, and remember how long that took."""
    begin = time.monotonic()
    phases = _bake(mine, engine, no_cache=True)
    taken = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    done = Compiled(image=name(mine), seconds=round(time.monotonic() - begin, 1), phases=phases, taken=taken)
    paths.write_whole(_file(mine), msgspec.json.format(msgspec.json.encode(done), indent=2))
    return done


def recorded(mine: Build) -> Compiled | None:
    """Return how long the reference took when this machine last built it from nothing."""
    try:
        return msgspec.json.decode(_file(mine).read_bytes(), type=Compiled)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def definition(mine: Build, folder: Path, *, no_cache: bool) -> str:
    """Return the bake definition of the reference for an image of ours; `folder` is its empty context."""
    target = {
        "context": str(folder),
        "dockerfile": str(DOCKERFILE),
        "contexts": {"base": mine.inputs.base, "source": mine.inputs.source},
        "args": {"PYTHON_VERSION": mine.image.python, "PYTHON_SHA256": mine.inputs.source_sha256},
        "platforms": [mine.platform],
        "secret": [f"id={one},src={path}" for one, path in sorted(network.secrets().items())],
        "attest": ["type=provenance,disabled=true"],
        "tags": [name(mine)],
        "output": ["type=docker"],
        **({"no-cache": True} if no_cache else {}),
    }
    return bake.dumps({"target": {"reference": target}})


def _bake(mine: Build, engine: Engine, *, no_cache: bool) -> tuple[Phase, ...]:
    with workspace() as place:
        context = place.folder / "context"
        context.mkdir()
        paths.write_whole(place.folder / "reference.json", definition(mine, context, no_cache=no_cache))
        said = [""]

        def tell(phase: str) -> None:
            if phase != said[0]:
                said[0] = phase
                say(f"reference for {mine.image.python} on {mine.image.target_name}: {phase}")

        found = Buildx(engine, place.folder / "reference.json", place).bake("reference", tell)
    if not _held(name(mine), engine):
        raise BuildError(f"{name(mine)}: the engine does not hold it after its build; see `invoke doctor`")
    return found


def _held(reference: str, engine: Engine) -> bool:
    return reference in build.held_digests(engine, [reference])


def _file(mine: Build) -> Path:
    return paths.folder("reference") / f"{name(mine).partition(':')[2]}_{bake.slug(mine.platform)}.json"
