"""Rendered Dockerfiles pass BuildKit's own checks, where the engine has them."""

import os
import subprocess

import pytest
from packaging.version import Version

from kiln import catalog, engine, matrix, paths, render

# `docker buildx build --check` came with buildx 0.15, and needs BuildKit 0.15 in Docker 27.
CHECKS_SINCE = Version("0.15")


def test_buildkits_own_checks(tmp_path, subtests):
    """No warning for any family of Dockerfiles; those of one family differ in names and numbers only."""
    found = engine.bring()
    if Version(found.buildx_version.partition("+")[0]) < CHECKS_SINCE:
        pytest.skip(f"buildx {found.buildx_version} has no checks, which came with {CHECKS_SINCE}")
    images = matrix.expand(catalog.load(paths.ROOT / "versions.json")).images
    for image in {(image.target.distribution, image.variant): image for image in images}.values():
        with subtests.test(image.id):
            file = paths.ROOT / render.FOLDER / image.folder / "Dockerfile"
            command = found.buildx("build", "--check", "--file", str(file), str(tmp_path))
            done = subprocess.run(command, env={**os.environ, **found.env}, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
