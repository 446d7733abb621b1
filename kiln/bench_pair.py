"""The two sides of a benchmark: an image of ours, and what it is compared with."""

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from kiln import build as building
from kiln import engine as engines
from kiln import paths, plan, records, reference
from kiln.bake import Build
from kiln.engine import Engine
from kiln.errors import CommandError, SelectionError
from kiln.image import Image
from kiln.matrix import Matrix, newest_stable, slim
from kiln.model import DISTROLESS
from kiln.plan import Options, Wanted
from kiln.records import Record


class Ask(Struct, frozen=True, kw_only=True):
    """What a benchmark is told on the command line."""

    runs: int = 0
    """How often each side is measured; 0 for what fits the benchmark."""
    image: str = ""
    """The image of ours, by its id; chosen where it is empty."""
    against: str = ""
    """Another image in the engine than the reference, for trying things."""
    quick: bool = False
    """Whether a quick build will do, for trying the benchmark itself."""
    recorded: bool = False
    """Whether a reference that this machine compiled before need not be compiled again."""
    whole: bool = False
    """Whether the reference is really compiled for each image of a family."""

    def times(self, fitting: int) -> int:
        """Return how often each side is measured."""
        return self.runs or fitting


class Pair(Struct, frozen=True, kw_only=True):
    """Two images that are compared, both in the engine."""

    engine: Engine
    ours: Record
    theirs: str
    """What `docker run` takes for the other side."""
    trial: str
    """Why the figures are not those of published images, where they are not."""

    @property
    def note(self) -> str:
        """Return what is compared, for people."""
        return f"{self.ours.reference} ({self.ours.digest[:19]}, built {self.ours.built}) against {self.theirs}"


def find(matrix: Matrix, ask: Ask, *, inside: bool) -> Pair:
    """Return the two images; the reference is built where it is not there. `inside`: bash or pip run in them.

    Raises SelectionError where there is no optimised image of ours, with what to type.
    """
    if inside and ask.image and image(matrix, ask.image).variant.startswith("distroless"):
        raise SelectionError(
            f"--image {ask.image}: it has no bash and no pip, which this needs; name a slim or full one"
        )
    engine = engines.bring()
    ours = _ours(matrix, ask, engine)
    trial = "a quick build of ours, without optimisation" if ours.quick else ""
    if ask.against:
        if ask.against not in building.held_digests(engine, [ask.against]):
            raise SelectionError(f"--against {ask.against}: the engine has no such image; pull or build it first")
        return Pair(engine=engine, ours=ours, theirs=ask.against, trial=trial or "the other side is not the reference")
    theirs = reference.bring(resolved(matrix, ours.id, engine, quick=ours.quick), engine)
    return Pair(engine=engine, ours=ours, theirs=theirs, trial=trial)


def resolved(matrix: Matrix, image_id: str, engine: Engine, *, quick: bool) -> Build:
    """Return the build of an image on the engine's own platform, with its parts at hand."""
    wanted = Wanted(image=image(matrix, image_id), platform=engine.platform)
    return plan.resolve(wanted, matrix, engine, Options(quick=quick)).build


def image(matrix: Matrix, image_id: str) -> Image:
    """Return the image with an id; SelectionError where there is none."""
    found = matrix.get(image_id)
    if found is None:
        raise SelectionError(f"--image {image_id}: no image has this id; `./run invoke matrix` lists them")
    return found


def _ours(matrix: Matrix, ask: Ask, engine: Engine) -> Record:
    """Return the image that was asked for, or the newest one on Debian, a slim one if there is any, as it was built."""
    if ask.image:
        chosen = [image(matrix, ask.image)]
    else:
        stable = [one for one in newest_stable(matrix.images) if one.flavour == "default"]
        debian = [one for one in stable if one.target.distribution == "debian" and one.variant not in DISTROLESS]
        chosen = list(slim(debian))
    found = [records.find(matrix.repository_of(one), one.id, engine.platform) for one in chosen]
    built = [one for one in found if one and (ask.quick or not one.quick)]
    held = building.held_digests(engine, [one.reference for one in built]) if built else {}
    for one in built:
        if held.get(one.reference) == one.digest:
            return one
    name = ask.image or "of a slim image on Debian"
    named = shlex.quote(ask.image or "ID")
    raise SelectionError(
        f"no optimised build {f'of {name}' if ask.image else name} is recorded here and in the engine; "
        f"build one: ./run invoke build {named} (a quick build tries the benchmark itself, with --quick)"
    )


def run(command: Sequence[str], env: Mapping[str, str] | None = None, *, accept: Sequence[int] = (0,)) -> str:
    """Run a program as a user would and return what it prints; CommandError where it fails."""
    done = subprocess.run(
        command, cwd=paths.ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode not in accept:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise CommandError(f"{shlex.join(command)}: failed with exit code {done.returncode}: {last}")
    return done.stdout


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Return work that returns how many seconds it took."""

    def clocked() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return clocked
