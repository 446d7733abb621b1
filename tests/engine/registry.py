"""A real registry, Debian's own, on this machine."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing

from kiln import apt, oci

MANIFESTS = f"{oci.INDEX}, {oci.MANIFEST}"


class Registry:
    """A registry on a free port of the loopback, with its data in a folder."""

    def __init__(self, folder):
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        config = {
            "version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.address},
        }  # fmt: skip
        (folder / "config.yml").write_text(json.dumps(config))
        program = apt.unpack(["docker-registry"]) / "usr/bin/docker-registry"
        with (folder / "log").open("w") as log:
            self._child = subprocess.Popen([program, "serve", folder / "config.yml"], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while self.get("") is None:
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)

    def get(self, path):
        """Return the digest and the JSON at a path of the API, None where there is none."""
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", headers={"Accept": MANIFESTS})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - of this machine
                return answer.headers["Docker-Content-Digest"], json.load(answer)
        except (urllib.error.HTTPError, OSError):
            return None

    def stop(self):
        """End it."""
        self._child.terminate()
        self._child.wait()
