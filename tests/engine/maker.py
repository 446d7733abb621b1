"""Builds as `invoke build` runs them, of Dockerfiles that are done in seconds instead of Python's."""

import io
import os
import subprocess
import tarfile
import uuid

from kiln import bases, build, paths, records
from kiln.bake import Build, Inputs
from kiln.model import COMPRESSION
from kiln.plan import Options, Resolved
from tests.engine.command import SLIM, debian, docker


class Maker:
    """Builds images on Kiln's own base, in a repository of its own."""

    def __init__(self, engine, address):
        self.engine = engine
        self.repository = f"{address}/kiln-test-{uuid.uuid4().hex[:8]}/python"
        self.image = debian().get(SLIM)
        base = bases.resolve(self.image.target, engine.platform, engine=engine)
        self.inputs = Inputs(
            base=base.context, base_digest=base.digest, base_created=base.created, source=str(paths.ROOT / "kiln"),
            source_sha256="0" * 64,
        )  # fmt: skip

    def plan(self, dockerfile, **changes):
        """Return the build of a Dockerfile."""
        facts = {"compile_key": "none", "compression": COMPRESSION, "inputs": self.inputs, "quick": True} | changes
        return Build(
            image=self.image, repository=self.repository, platform=self.engine.platform, dockerfile=dockerfile, **facts
        )  # fmt: skip

    def make(self, dockerfile, options=Options(), **changes):  # noqa: B008 - frozen
        """Build an image and return how that ended."""
        planned = Resolved(build=self.plan(dockerfile, **changes), base="", source="")
        (outcome,) = build.run([planned], self.engine, options)
        return outcome

    def read(self, record, path):
        """Return the text of a file in an image that may have nothing to run."""
        container = docker(self.engine, "create", record.reference, "none")
        try:
            archive = subprocess.run(
                self.engine.docker("cp", f"{container}:{path}", "-"), env={**os.environ, **self.engine.env}, check=True,
                capture_output=True,
            ).stdout  # fmt: skip
        finally:
            docker(self.engine, "rm", container)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            return tar.extractfile(tar.getmembers()[0]).read().decode()

    def forget(self):
        """Remove the images and their records."""
        for record in records.every(self.repository):
            docker(self.engine, "rmi", "--force", record.reference, check=False)
            records._record(record.repository, record.id, record.platform).unlink()  # noqa: SLF001 - Kiln itself never forgets
        records._records(self.repository).rmdir()  # noqa: SLF001 - Kiln itself never forgets
