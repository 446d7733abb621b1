"""A package index on the loopback, with wheels that tests make."""

import csv
import hashlib
import importlib.metadata
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NEWER = "1000"
"""A version that is newer than any that is locked."""


def wheel(name, version, requires=(), script="", extras=()):
    """Return a wheel's file name and bytes: a module with its version, and a program that prints it."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {one}" for one in requires]
    files = {
        f"{module}.py": f"def main():\n    print('{name} {version}')\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{script} = {module}:main\n"
    return f"{module}-{version}-py3-none-any.whl", _packed(files, info)


def installed(name):
    """Return a package of this environment as a wheel's file name and bytes."""
    found = importlib.metadata.distribution(name)
    info = f"{name}-{found.version}.dist-info"
    paths = [path for path in found.files if path.parts[0] in {name, info} and path.suffix != ".pyc"]
    skipped = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
    files = {str(path): path.locate().read_bytes() for path in paths if path.name not in skipped}
    return f"{name}-{found.version}-py3-none-any.whl", _packed(files, info)


def lock(files):
    """Return the text of a lock of some wheels, by their file names."""
    return "".join(
        f"{name.split('-')[0].replace('_', '-')}=={name.split('-')[1]} \\\n    --hash=sha256:{hashlib.sha256(data).hexdigest()}\n"
        for name, data in sorted(files.items())
    )


def _packed(files, info):
    record = io.StringIO()
    csv.writer(record, lineterminator="\n").writerows([[name, "", ""] for name in [*files, f"{info}/RECORD"]])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, f"{info}/RECORD": record.getvalue()}.items():
            archive.writestr(name, content)
    return packed.getvalue()


class Index:
    """An index of the files in a mapping, which may change while it serves."""

    def __init__(self, files):
        self.files = files
        self.stalled = ""
        self.asked = threading.Event()
        self._go = threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = self.path.strip("/").split("/")
                name = parts[-1].split("#")[0]
                if parts[0] == "files" and name in index.files:
                    if index.stalled and name.startswith(index.stalled):
                        index.asked.set()
                        index._go.wait(60)
                    self.answer(index.files[name], "application/octet-stream")
                elif parts[0] == "simple":
                    links = [f'<a href="/files/{file}">{file}</a><br>' for file in index.files if project(file) == name]
                    self.answer("\n".join(["<!DOCTYPE html><html><body>", *links]).encode(), "text/html")
                else:
                    self.send_error(404)

            def answer(self, data, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple"

    def stall(self, name):
        """Leave requests for files whose name begins so waiting; `asked` is set by the first of them."""
        self.asked.clear()
        self._go.clear()
        self.stalled = name

    def resume(self):
        """Answer what was left waiting, and all that comes."""
        self.stalled = ""
        self._go.set()

    def stop(self):
        """End it: from now on, connections are refused."""
        self.resume()
        self._server.shutdown()
        self._server.server_close()


def project(file):
    """Return the normalised name of the project that a wheel is of."""
    return normal(file.split("-")[0])


def normal(name):
    """Return the normalised name of a project."""
    return name.lower().replace("_", "-").replace(".", "-")
