"""The plan of a build and its bake definition: pure, from images, sources and bases.

A plan has one step for each compile key and, after it, one for each image and platform. Each step
is one bake target that runs on its own, for bake cancels all its targets at the first failure.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from kiln.matrix import Image
from kiln.render import epoch

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


class Build(Struct, frozen=True, kw_only=True):
    """One image on one platform: one thing that is built and tested."""

    image: Image
    platform: str
    compile_key: str
    dockerfile: str
    """The Dockerfile's text."""
    inputs: Inputs
    quick: bool = False

    @property
    def name(self) -> str:
        """Return how people read it: the id, with the platform's slug."""
        return f"{self.image.id} {self.platform}"

    @property
    def target(self) -> str:
        """Return the bake target; bake allows no dots in it."""
        return f"{self.image.id.replace('.', '_')}-{slug(self.platform)}"

    @property
    def compile_target(self) -> str:
        """Return the bake target of the compile stage, which images of one compile key share."""
        return f"compile-{self.compile_key}-{self.inputs.source_sha256[:12]}{'-quick' if self.quick else ''}"

    @property
    def digest(self) -> str:
        """Return a digest of all that decides this build's result, as 64 hex digits.

        Where things lie on this machine is no part of it.
        """
        facts = [
            self.dockerfile, self.platform, self.inputs.base_digest, self.inputs.source_sha256,
            self.inputs.revision, self.quick,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def slug(platform: str) -> str:
    """Return a platform as a part of a name: `linux-arm-v7`."""
    return platform.replace("/", "-")


def definition(  # noqa: PLR0913 - what every target needs
    builds: Iterable[Build], *, repository: str, native: str, folder: Path, secrets: Mapping[str, str],
    no_cache: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return the bake definition of some builds.

    `native` is the engine's own platform, `folder` is where Dockerfiles and OCI archives lie;
    `secrets` maps a secret's id to the file that holds it. With `no_cache`, every stage is made
    anew, and each compile stage still once.
    """
    targets: dict[str, Any] = {}
    for build in builds:
        common = _common(build, folder, secrets)
        compiled = {**common, "target": "compile", "output": ["type=cacheonly"]}
        targets.setdefault(build.compile_target, {**compiled, "no-cache": True} if no_cache else compiled)
        name = reference(build.image.id, build.platform, repository=repository, native=native)
        # The exporter takes newer times back to this one in every layer. The release's day would
        # change the base's layer too, and no two releases would share it any more.
        newest = max(epoch(build.image.release), build.inputs.base_created)
        targets[build.target] = {
            **common,
            "labels": _labels(build),
            "output": [
                f"type=oci,dest={archive(build, folder)},name={name},rewrite-timestamp=true,source-date-epoch={newest}"
            ],
        }
        if no_cache:
            # Its compile stage has just been made anew, by a target of its own.
            targets[build.target]["no-cache-filter"] = ["python"]
    return {"target": targets}


def dumps(definition: Mapping[str, Any]) -> str:
    """Return a definition as bake reads it; json's own indentation would take as long as all the rest."""
    return msgspec.json.format(msgspec.json.encode(definition), indent=2).decode()


def reference(image_id: str, platform: str, *, repository: str, native: str) -> str:
    """Return what `docker run` takes for a build; platforms beside the engine's own are named in it."""
    return f"{repository}:{image_id}" + ("" if platform == native else f"-{slug(platform)}")


def dockerfile_folder(build: Build, folder: Path) -> Path:
    """Return where a build's Dockerfile lies, named by its content."""
    return folder / "dockerfiles" / hashlib.sha256(build.dockerfile.encode()).hexdigest()


def archive(build: Build, folder: Path) -> Path:
    """Return where a build's OCI archive is written, for the engine to load."""
    return folder / ARCHIVES / f"{build.digest}.tar"


def _common(build: Build, folder: Path, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return what a build's compile target and its image target have in common."""
    arguments = {
        "PYTHON_SHA256": build.inputs.source_sha256,
        "SOURCE_DATE_EPOCH": str(epoch(build.image.release)),
    }
    return {
        "context": str(dockerfile_folder(build, folder)),
        "contexts": {"base": build.inputs.base, "source": build.inputs.source},
        "args": {**arguments, "QUICK": "1"} if build.quick else arguments,
        "platforms": [build.platform],
        "secret": [f"id={name},src={path}" for name, path in sorted(secrets.items())],
        # It records times, which would make each build another one.
        "attest": ["type=provenance,disabled=true"],
    }


def _labels(build: Build) -> dict[str, str]:
    """Return the labels that only a build knows."""
    labels = {"org.opencontainers.image.base.digest": build.inputs.base_digest}
    if build.inputs.revision:
        labels["org.opencontainers.image.revision"] = build.inputs.revision
    if build.quick:
        # Whoever meets the image must be able to tell that it is a slow one.
        labels["io.kiln.quick"] = "true"
    return labels
