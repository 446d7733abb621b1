"""The plan of a build and its bake definition: pure, from images, sources and bases.

A plan has one step for each compile key and, after it, one for each image and platform. Each step
is one bake target that runs on its own, for bake cancels all its targets at the first failure.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from kiln.image import Image
from kiln.model import Compression
from kiln.stages import epoch

BUILDKIT_ZSTD, BUILDKIT_GZIP = 3, 6
"""The levels at which BuildKit compresses; all of a quick build."""
ARCHIVES = "archives"
"""The folder, below a run's own, that OCI archives are written to."""


class Inputs(Struct, frozen=True, kw_only=True):
    """What one build is made from, beside its Dockerfile."""

    base: str
    """The base as a bake context: `oci-layout://...@sha256:...` or `docker-image://...`."""
    base_digest: str
    """`sha256:...` of the base's manifest or index."""
    base_created: int = 0
    """When the base was made, in seconds since 1970; none of its files is newer."""
    source: str
    """The folder that holds the source artifact and nothing else."""
    source_sha256: str
    """The artifact's digest, 64 hex digits."""
    revision: str = ""
    """The commit of the Dockerfile, or empty outside a git checkout."""
    toolchain: str = ""
    """For a cross compile: the same system for the platform that compiles, as a bake context."""
    toolchain_digest: str = ""
    """`sha256:...` of that system's manifest or index."""
    tools: str = ""
    """For Windows: the Linux system that unpacks the installer, as a bake context."""
    tools_digest: str = ""
    """`sha256:...` of that system's manifest or index."""
    os_version: str = ""
    """For Windows: the release of it that the base is, `10.0.26100.1`."""


class Build(Struct, frozen=True, kw_only=True):
    """One image on one platform: one thing that is built and tested."""

    image: Image
    repository: str
    """The image's repository with its registry."""
    platform: str
    compile_key: str
    dockerfile: str
    """The Dockerfile's text."""
    inputs: Inputs
    quick: bool = False
    compression: Compression | None = None
    """How all layers are compressed, the base's too; without it, as BuildKit does and the base has them."""
    profile_guided: bool = True
    """Whether it would be, were it not quick."""
    on: tuple["Build", ...] = ()
    """For a package: the Python image that it is built on, and the one that it is installed in."""
    context: str = ""
    """For a package: the folder with its locks and its `start`."""
    context_digest: str = ""
    """What of that folder gets into the image."""

    @property
    def name(self) -> str:
        """Return how people read it: the id, with the platform's slug."""
        return f"{self.image.id} {self.platform}"

    @property
    def target(self) -> str:
        """Return the bake target; bake allows neither dots nor colons in it."""
        return re.sub(r"[^A-Za-z0-9_-]", "_", f"{self.image.id}-{slug(self.platform)}")

    @property
    def shared_stage(self) -> str:
        """Return the stage that images of one compile key share."""
        return "unpack" if self.inputs.tools else "compile"

    @property
    def compile_target(self) -> str:
        """Return the bake target of the compile stage, which images of one compile key share."""
        source = self.inputs.source_sha256[:12]
        kind = f"cross-{self.shared_stage}" if self.inputs.toolchain_digest else self.shared_stage
        return f"{kind}-{self.compile_key}-{source}{'-quick' if self.quick else ''}"

    @property
    def digest(self) -> str:
        """Return a digest of all that decides this build's result, as 64 hex digits.

        Where things lie on this machine is no part of it.
        """
        facts = [
            self.dockerfile, self.platform, self.inputs.base_digest, self.inputs.source_sha256,
            self.inputs.revision, self.quick,
        ]  # fmt: skip
        if self.inputs.tools:
            facts.append(self.inputs.tools_digest)
        if self.compression:
            facts.append(msgspec.to_builtins(self.compression))
        if self.inputs.toolchain_digest:
            facts.append(self.inputs.toolchain_digest)
        if self.on:
            mine = self.image.installed.version if self.image.installed else ""
            facts += [mine, self.context_digest, [one.digest for one in self.on]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def slug(platform: str) -> str:
    """Return a platform as a part of a name: `linux-arm-v7`."""
    return platform.replace("/", "-")


def definition(  # noqa: PLR0913 - what decides the definition
    builds: Iterable[Build], *, native: str, folder: Path, secrets: Mapping[str, str], no_cache: bool = False,
    compiled: Mapping[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the bake definition of some builds, and of those that they are built on.

    `native` is the engine's own platform, `folder` is where Dockerfiles and OCI archives lie;
    `secrets` maps a secret's id to the file that holds it. With `no_cache`, every stage is made
    anew, and each compile stage still once. `compiled` gives contexts to take instead of compiling,
    by compile target.
    """
    targets: dict[str, Any] = {}
    for build in with_parents(builds):
        common = _common(build, folder, secrets)
        context = (compiled or {}).get(build.compile_target)
        if context and not build.on:
            common["contexts"]["compile"] = context
        elif not build.on:
            shared = {**common, "target": build.shared_stage, "output": ["type=cacheonly"]}
            targets.setdefault(build.compile_target, {**shared, "no-cache": True} if no_cache else shared)
        name = reference(build, native)
        targets[build.target] = {
            **common,
            "labels": _labels(build),
            "output": [exporter(build, archive(build, folder), name, build.compression)],
        }
        if no_cache:
            # Its compile stage has just been made anew, by a target of its own.
            targets[build.target]["no-cache-filter"] = _own_stages(build)
    return {"target": targets}


def _own_stages(build: Build) -> list[str]:
    """Return the stages with commands that a build does not share with others."""
    if build.on:
        return ["install", "package"]
    return ["python", "shell"] if build.image.variant == "distroless-debug" else ["python"]


def dumps(definition: Mapping[str, Any]) -> str:
    """Return a definition as bake reads it; json's own indentation would take as long as all the rest."""
    return msgspec.json.format(msgspec.json.encode(definition), indent=2).decode()


def with_parents(builds: Iterable[Build]) -> list[Build]:
    """Return builds after those that they are built on, each once."""
    return list({one.target: one for build in builds for one in (*build.on, build)}.values())


def reference(build: Build, native: str) -> str:
    """Return what `docker run` takes for a build; platforms beside the engine's own are named in it."""
    name = f"{build.repository}:{build.image.tag}"
    return name if build.platform == native else f"{name}-{slug(build.platform)}"


def dockerfile_folder(build: Build, folder: Path) -> Path:
    """Return where a build's Dockerfile lies, named by its content."""
    return folder / "dockerfiles" / hashlib.sha256(build.dockerfile.encode()).hexdigest()


def archive(build: Build, folder: Path) -> Path:
    """Return where a build's OCI archive is written, for the engine to load."""
    return folder / ARCHIVES / f"{build.digest}.tar"


def _common(build: Build, folder: Path, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return what a build's compile target and its image target have in common."""
    if build.on:
        return _package(build, folder, secrets)
    arguments = {
        "PYTHON_SHA256": build.inputs.source_sha256,
        "SOURCE_DATE_EPOCH": str(epoch(build.image.release)),
    }
    inputs = build.inputs
    contexts = {"base": inputs.base, "source": inputs.source, "toolchain": inputs.toolchain, "tools": inputs.tools}
    return {
        "context": str(dockerfile_folder(build, folder)),
        "contexts": {name: context for name, context in contexts.items() if context},
        "args": {**arguments, "QUICK": "1"} if build.quick else arguments,
        **_always(build, secrets),
    }


def _package(build: Build, folder: Path, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return what decides a package's image: it is built on what this definition builds, too."""
    python, builder = build.on
    return {
        "context": build.context,
        "dockerfile": str(dockerfile_folder(build, folder) / "Dockerfile"),
        "contexts": {"python": f"target:{python.target}", "builder": f"target:{builder.target}"},
        "args": {
            "PACKAGE_VERSION": build.image.installed.version if build.image.installed else "",
            "PYTHON_VERSION": build.image.python,
            "SOURCE_DATE_EPOCH": str(epoch(build.image.release)),
        },
        **_always(build, secrets),
    }


def _always(build: Build, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return what every target has."""
    return {
        "platforms": [build.platform],
        "secret": [f"id={name},src={path}" for name, path in sorted(secrets.items())],
        # It records times, which would make each build another one.
        "attest": ["type=provenance,disabled=true"],
    }


def exporter(build: Build, archive: Path, name: str, wanted: Compression | None) -> str:
    """Return the output that is an OCI archive of a build's target, named for the engine, as BuildKit compresses it.

    Its best ends where Kiln's begins, so it is told to be quick about it; `kiln.layers` does the rest.
    Quick builds end here, with the algorithm that is wanted.
    """
    # The exporter takes newer times back to this one in every layer. The release's day would
    # change the base's layer too, and no two releases would share it any more.
    newest = max(epoch(build.image.release), build.inputs.base_created)
    output = f"type=oci,dest={archive},name={name},rewrite-timestamp=true,source-date-epoch={newest}"
    if wanted is None:
        return output
    how = f"zstd,compression-level={BUILDKIT_ZSTD}"
    if build.quick and wanted.algorithm == "gzip":
        how = f"gzip,compression-level={BUILDKIT_GZIP}"
    return f"{output},compression={how},force-compression=true"


def _labels(build: Build) -> dict[str, str]:
    """Return the labels that only a build knows."""
    labels = {"org.opencontainers.image.base.digest": build.inputs.base_digest}
    if build.inputs.revision:
        labels["org.opencontainers.image.revision"] = build.inputs.revision
    if build.quick:
        # Whoever meets the image must be able to tell that it is a slow one.
        labels["io.kiln.quick"] = "true"
    elif not build.profile_guided:
        labels["io.kiln.profile-guided"] = "false"
    return labels
