"""Compiled interpreters that are kept: in a folder, or a repository of a registry, for the next build anywhere.

Each is an image with what a compile installs, under a tag that its labels bear out.
"""

import os
import re
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from kiln import bake, checks, compiled_folder, oci, paths, process
from kiln.bake import Build
from kiln.console import say
from kiln.engine import Engine
from kiln.errors import CommandError, KilnError, SelectionError
from kiln.model import COMPRESSION

ENVIRONMENT = "KILN_ARTIFACTS"
_MISSING = re.compile(r"manifest unknown|name unknown|repository does not exist|: not found$", re.IGNORECASE)


class Kept(Struct, frozen=True, kw_only=True):
    """What is known of a compile that may be kept."""

    context: str = ""
    """What replaces the compile stage; empty where it must be compiled."""
    told: str
    """What becomes of it, for people to read."""


class Store(Struct, frozen=True, kw_only=True):
    """Where compiled interpreters are kept: one of the two."""

    folder: Path | None = None
    """A folder that holds an OCI image layout for each."""
    repository: str = ""
    """A repository with its registry, that holds a tag for each."""

    def __str__(self) -> str:
        """Return the place."""
        return str(self.folder or self.repository)

    def find_all(self, builds: Iterable[Build], engine: Engine, folder: Path, *, anew: bool) -> dict[str, Kept]:
        """Return by compile target what builds may take instead of compiling, and say it; `folder` is the run's."""
        found = {}
        for target, build in _compiles(builds).items():
            found[target] = _anew(self, build) if anew else self._find(build, engine, folder)
            say(f"  {found[target].told}")
        return found

    def foresee_all(self, builds: Iterable[Build], engine: Engine | None, *, anew: bool) -> dict[str, Kept]:
        """Return the same without fetching anything, so that nothing is checked."""
        return {
            target: _anew(self, build) if anew else self._foresee(build, engine)
            for target, build in _compiles(builds).items()
        }

    def targets(self, builds: Iterable[Build], folder: Path, targets: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bake targets that write, for keeping, what the compile targets of a definition make."""
        return {
            wrapped(target): self._target(build, folder, targets[target])
            for target, build in _compiles(builds).items()
            if target in targets
        }

    def keep(self, build: Build, engine: Engine, folder: Path, *, anew: bool) -> None:
        """Put what a run compiled where the next build finds it; where that fails, it is said, and no more.

        With `anew`, it takes the place of what is there.
        """
        archive = _archive(build, folder)
        try:
            if self.folder:
                compiled_folder.put(archive, self.folder / name(build), build.platform, labels(build), anew=anew)
            else:
                self._push(self._reference(build), archive, engine)
        except KilnError as error:
            say(f"{self}: {name(build)} is not kept: {error}")
        finally:
            archive.unlink(missing_ok=True)

    def _find(self, build: Build, engine: Engine, folder: Path) -> Kept:
        into = folder / bake.ARCHIVES / name(build)
        source = self.folder / name(build) if self.folder else into.with_name(f"{into.name}.tar")
        try:
            there = source.exists() if self.folder else self._pulled(build, engine, source)
            if not there:
                return Kept(told=f"{self}: {name(build)} is not there yet: compiled, then kept")
            digest = compiled_folder.copy(source, into, build.platform, labels(build))
        except KilnError as error:
            reason = str(error).removesuffix(oci.REMEDY)
            return Kept(told=f"{self}: {name(build)} cannot be used: compiled, then kept instead ({reason})")
        told = f"{self}: {name(build)} is taken, nothing is compiled"
        return Kept(context=f"oci-layout://{into}@{digest}", told=told)

    def _foresee(self, build: Build, engine: Engine | None) -> Kept:
        there = (self.folder / name(build)).exists() if self.folder else self._listed(build, engine)
        if not there:
            return Kept(told=f"{self}: {name(build)} is not there yet: would be compiled, then kept")
        told = f"{self}: {name(build)} would be taken, if it is whole"
        return Kept(context=f"({name(build)} in {self})", told=told)

    def _target(self, build: Build, folder: Path, common: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "context": common["context"],
            # A registry keeps the blobs that it has, the damaged ones too, so what replaces them is always another one.
            "dockerfile-inline": (
                "FROM scratch AS whole\nCOPY --from=compile /install /install\n"
                f"COPY <<EOF /kept\n{uuid.uuid4()}\nEOF\nFROM scratch\nCOPY --from=whole / /\n"
            ),
            "contexts": {"compile": f"target:{build.compile_target}"},
            "labels": labels(build),
            "platforms": common["platforms"],
            "attest": common["attest"],
            "output": [
                bake.exporter(build, _archive(build, folder), self._reference(build), build.compression or COMPRESSION)
            ],
        }

    def _reference(self, build: Build) -> str:
        return f"{self.repository or 'compiled'}:{name(build)}"

    def _pulled(self, build: Build, engine: Engine, archive: Path) -> bool:
        """Fetch what a repository has for a build; False if it has nothing."""
        reference = self._reference(build)
        with paths.lock(f"compiled-{name(build)}"):
            try:
                process.run(engine.docker("pull", "--quiet", "--platform", build.platform, reference), env=engine.env)
            except CommandError as error:
                if _MISSING.search(str(error)):
                    return False
                raise
            try:
                process.run(engine.docker("save", "--output", archive, reference), env=engine.env)
            finally:
                process.run(engine.docker("rmi", "--force", reference), env=engine.env)
        return True

    def _push(self, reference: str, archive: Path, engine: Engine) -> None:
        with paths.lock(f"compiled-{reference.rpartition(':')[2]}"):
            process.run(engine.docker("load", "--quiet", "--input", archive), env=engine.env)
            try:
                process.run(engine.docker("push", "--quiet", reference), env=engine.env)
            finally:
                process.run(engine.docker("rmi", "--force", reference), env=engine.env)

    def _listed(self, build: Build, engine: Engine | None) -> bool:
        if engine is None:
            return False
        try:
            process.run(engine.buildx("imagetools", "inspect", self._reference(build)), env=engine.env)
        except CommandError:
            return False
        return True


def chosen(option: str) -> Store | None:
    """Return the place that `--artifacts` names, or else `KILN_ARTIFACTS`; None where neither does.

    A folder begins with `.`, `/` or `~`; all else is a repository.
    """
    where, source = (option, "--artifacts ") if option else (os.environ.get(ENVIRONMENT, ""), f"{ENVIRONMENT}=")
    if not where:
        return None
    if where[0] in "./~":
        folder = Path(where).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            raise SelectionError(f"{source}{where}: a file; name a folder, or a repository such as ghcr.io/me/compiled")
        return Store(folder=folder)
    if not re.fullmatch(checks.FORMS["image"][0], where) or ":" in where.rpartition("/")[2]:
        raise SelectionError(
            f"{source}{where}: neither a folder, which begins with ./ or /, nor a repository without a tag, "
            "such as ghcr.io/me/compiled"
        )
    return Store(repository=where)


def name(build: Build) -> str:
    """Return the tag of what a build compiles: what is compiled, on which base, and by which if that is another."""
    systems = filter(None, (build.inputs.base_digest, build.inputs.toolchain_digest))
    return "-".join((build.compile_target, *(digest.removeprefix("sha256:")[:12] for digest in systems)))


def labels(build: Build) -> dict[str, str]:
    """Return all that Kiln knows to decide the bytes of what a build compiles."""
    facts = {
        "base": build.inputs.base_digest, "source": build.inputs.source_sha256, "target": build.compile_target,
        "toolchain": build.inputs.toolchain_digest,
    }  # fmt: skip
    return {f"io.kiln.compiled.{key}": value for key, value in facts.items() if value}


def wrapped(target: str) -> str:
    """Return the bake target that writes, for keeping, what a compile target makes."""
    return f"kept-{target}"


def _anew(place: Store, build: Build) -> Kept:
    return Kept(told=f"{place}: {name(build)} is not looked for: compiled anew, then kept")


def _archive(build: Build, folder: Path) -> Path:
    return folder / bake.ARCHIVES / f"{wrapped(build.compile_target)}.tar"


def _compiles(builds: Iterable[Build]) -> dict[str, Build]:
    """Return one build for each compile target; Windows images have nothing that is compiled."""
    every = (one for one in bake.with_parents(builds) if not one.on and not one.inputs.tools)
    return {one.compile_target: one for one in every}
