"""A real Redis for the tests of workers: the distribution's own package on a Debian base, kept in the engine."""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from kiln import bases, network
from kiln.engine import Engine
from kiln.errors import EngineError, SelectionError
from kiln.model import Catalog

_DOCKERFILE = """FROM base
RUN --mount=type=cache,target=/var/cache/kiln --mount=type=tmpfs,target=/var/lib/apt/lists \\
    --mount=type=secret,id=apt.conf,target=/etc/apt/apt.conf.d/zz-kiln \\
    --mount=type=secret,id=ca.crt,target=/run/kiln/ca.crt \\
    mkdir -p /var/cache/kiln/partial && apt-get update && \\
    apt-get install -y --no-install-recommends -o Dir::Cache::archives=/var/cache/kiln redis-server
USER redis
CMD ["redis-server", "--bind", "127.0.0.1", "--dir", "/tmp", "--save", ""]
"""
URL = "redis://127.0.0.1:6379/0"


def build(engine: Engine, catalog: Catalog) -> str:
    """Return the reference of the broker's image, which is built where the engine does not have it yet.

    Raises SelectionError where the family has no Debian to build it on, EngineError where that fails.
    """
    target = next((one for one in catalog.targets.values() if one.distribution == "debian"), None)
    if target is None:
        raise SelectionError("workers are tested with Debian's redis-server; add a Debian target to versions.json")
    base = bases.resolve(target, engine.platform, engine=engine)
    digest = hashlib.sha256((_DOCKERFILE + base.digest).encode()).hexdigest()[:12]
    reference = f"kiln-test/redis:{digest}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")
        secrets = [word for key, file in network.secrets().items() for word in ("--secret", f"id={key},src={file}")]
        command = engine.buildx(
            "build", "--load", "--provenance=false", "--tag", reference, "--build-context", f"base={base.context}",
            *secrets, folder,
        )  # fmt: skip
        done = subprocess.run(command, env={**os.environ, **engine.env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"no Redis could be built to test workers with: {done.stderr.strip()[-300:]}")
    return reference
