"""Windows images, assembled on Linux for real: a stand-in for the installer, and stand-ins for Microsoft's bases.

Nothing here runs in Windows; docs/windows.md says what has been tried and what not.
"""

import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile

import pytest
from msgspec import structs

from kiln import catalog, matrix, oci, paths, publish, records, sources
from kiln.plan import Wanted
from kiln.records import Result
from tests.engine import installer
from tests.engine.command import FULL, PYTHON, SERIES, SLIM, Family, debian, docker, environment, error_of, summary
from tests.engine.test_publish import Registry

NAMES = {"windowsservercore-ltsc2025": "10.0.26100.1", "windowsservercore-ltsc2022": "10.0.20348.1"}
PATH = (
    r"C:\Python\Scripts;C:\Python;C:\Windows\System32;C:\Windows;C:\Windows\System32\Wbem;"
    r"C:\Windows\System32\WindowsPowerShell\v1.0;C:\Windows\System32\OpenSSH"
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    found = Registry(tmp_path_factory.mktemp("registry"))
    yield found
    found.stop()


def add_base(engine, reference, version, folder):
    """Give a registry an image that is laid out as Microsoft's are: files and hives, and a release of Windows."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("Files", "Hives", "Files/Windows", "Files/Windows/System32"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
    with oci.writing(folder) as part:
        layer = oci.write_blob(part, "application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(text.getvalue()))
        config = {
            "architecture": "amd64", "os": "windows", "os.version": version, "created": "2024-11-01T00:00:00Z",
            "config": {}, "history": [{"created_by": "stand-in"}],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(text.getvalue()).hexdigest()}"]},
        }  # fmt: skip
        blob = oci.write_blob(part, "application/vnd.oci.image.config.v1+json", json.dumps(config).encode())
        manifest = oci.write_blob(part, oci.MANIFEST, oci.encode(oci.Manifest(config=blob, layers=[layer])))
        platform = oci.Platform(architecture="amd64", os="windows", os_version=version)
        annotations = {"io.containerd.image.name": reference}
        oci.write_index(part, [structs.replace(manifest, platform=platform, annotations=annotations)])
    archive = folder.with_suffix(".tar")
    subprocess.run(["tar", "--create", "--file", archive, "--directory", folder, "."], check=True)
    docker(engine, "load", "--input", str(archive))
    docker(engine, "push", "--quiet", reference)
    docker(engine, "rmi", reference)


@pytest.fixture(scope="module")
def family(registry, engine, tmp_path_factory):
    """Return a family of one release on trixie and on two releases of Windows."""
    folder = tmp_path_factory.mktemp("windows")
    made = Family(folder, registry=registry.address)
    release = made.data["releases"][0]
    source = sources.fetch(debian().get(SLIM).release, debian().catalog.sources)
    (folder / "installer").mkdir()
    (folder / "sources").mkdir()
    bundle = installer.make(engine, source.path, folder / "installer")
    bundle = bundle.rename(folder / "sources" / f"python-{PYTHON}-amd64.exe")
    release["windows"] = {"file": bundle.name, "sha256": hashlib.sha256(bundle.read_bytes()).hexdigest()}
    release["targets"] += NAMES
    release["pins"] = {"setuptools": "79.0.1"}
    for name, version in NAMES.items():
        reference = f"{registry.address}/windows/servercore:{name[-8:]}"
        add_base(engine, reference, version, folder / name)
        made.data["targets"][name] = {
            "base": {"image": reference, "platforms": ["windows/amd64"]}, "default_variant": "full",
            "distribution": "windows", "packages": {"compile": [], "full": [], "runtime": []},
            "platforms": ["windows/amd64"], "release": name[-8:], "title": name, "variants": {"full": {}},
        }  # fmt: skip
    made.folder = folder
    yield made
    for tag in docker(engine, "image", "ls", "--format", "{{.Tag}}", made.repository).split():
        docker(engine, "rmi", "--force", f"{made.repository}:{tag}", check=False)
    made.forget(engine)


@pytest.fixture(scope="module")
def built(family):
    """Return how `invoke build` ended for the Windows images and, beside them, for one of Linux."""
    return family.build("*windows*", SLIM, "--sources", str(family.folder / "sources"))


def config_of(engine, reference):
    return json.loads(docker(engine, "image", "inspect", reference))[0]


def files(engine, reference, folder):
    """Return the last layer of an image: names in it, and a function that reads one."""
    docker(engine, "save", "--output", str(folder / "saved.tar"), reference)
    with tarfile.open(folder / "saved.tar") as archive:
        archive.extractall(folder / "layout", filter="data")
    blob = lambda digest: folder / "layout" / "blobs" / digest.replace(":", "/")  # noqa: E731
    layout = json.loads((folder / "layout" / "index.json").read_text())
    manifest = json.loads(blob(layout["manifests"][0]["digest"]).read_text())
    layer = tarfile.open(blob(manifest["layers"][-1]["digest"]))  # noqa: SIM115 - as long as the test
    return layer.getnames(), lambda name: layer.extractfile(name).read()


def test_windows_is_built_beside_linux(family, built):
    """A glob for Windows images asks for their platform; what both releases share is unpacked once."""
    assert built.returncode == 0, built.stdout + built.stderr
    for name in NAMES:
        assert f"{PYTHON}-{name} windows/amd64: built" in built.stderr
    assert summary(built)[SLIM].startswith("built")
    assert {family.record(f"{PYTHON}-{name}").platform for name in NAMES} == {"windows/amd64"}
    (run,) = family.runs()
    targets = json.loads((run / "definition.json").read_text())["target"]
    assert len([name for name in targets if name.startswith("unpack-")]) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_images_configuration(family, built, engine, name):
    """It says Windows and which release, finds Python on PATH, and starts it."""
    assert built.returncode == 0
    found = config_of(engine, family.record(f"{PYTHON}-{name}").reference)
    assert (found["Os"], found["OsVersion"], found["Architecture"]) == ("windows", NAMES[name], "amd64")
    assert f"PATH={PATH}" in found["Config"]["Env"]
    assert f"PYTHON_VERSION={PYTHON}" in found["Config"]["Env"]
    assert found["Config"]["Cmd"] == ["python"]
    assert found["Config"]["Labels"]["org.opencontainers.image.version"] == PYTHON


def test_the_images_files(family, built, engine, tmp_path):
    r"""Everything of the packages is below C:\Python, in the form of Windows layers, without tests and documentation."""
    assert built.returncode == 0
    names, read = files(engine, family.record(f"{PYTHON}-windowsservercore-ltsc2025").reference, tmp_path)
    assert {
        "Hives",
        "Files/Python/python.exe",
        f"Files/Python/python{installer.NODOT}.dll",
        "Files/Python/DLLs/_tkinter.pyd",
    } <= set(names)
    assert read("Files/Python/include/Python.h").startswith(b"// Entry point of the Python C API")
    assert not [name for name in names if name.endswith(("/test", "/tests", "idle_test", "/Doc"))]
    assert not [name for name in names if not name.startswith(("Files/Python", "Hives")) and name != "Files"]


def test_pip_is_there(family, built, engine, tmp_path):
    """Its commands start with its own launcher and hold a program; everything stands in its record."""
    assert built.returncode == 0
    names, read = files(engine, family.record(f"{PYTHON}-windowsservercore-ltsc2025").reference, tmp_path)
    site = "Files/Python/Lib/site-packages"
    launcher = read(f"{site}/pip/_vendor/distlib/t64.exe")
    for name in ("pip", "pip3", f"pip{SERIES}"):
        program = read(f"Files/Python/Scripts/{name}.exe")
        assert program.startswith(launcher + b"#!C:\\Python\\python.exe\r\n")
        with zipfile.ZipFile(io.BytesIO(program)) as archive:
            assert b"from pip._internal.cli.main import main" in archive.read("__main__.py")
    # ensurepip has no setuptools since 3.12: this one came from the index.
    assert f"{site}/setuptools-79.0.1.dist-info/INSTALLER" in names
    (record,) = [name for name in names if name.startswith(f"{site}/pip-") and name.endswith("/RECORD")]
    rows = [row[0] for row in csv.reader(io.StringIO(read(record).decode()))]
    assert f"../../Scripts/pip{SERIES}.exe" in rows
    assert {row for row in rows if f"{site}/{row}" not in names and not row.startswith("../")} == set()


def test_a_damaged_installer_is_refused(family, tmp_path):
    """Its digest is compared before anything is unpacked."""
    (tmp_path / f"python-{PYTHON}-amd64.exe").write_bytes(b"MZ")
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "sources", "*windows*", "--versions", str(family.file), "--sources", str(tmp_path),
         "--into", str(tmp_path / "into")],
        cwd=paths.ROOT, env=environment({"KILN_HOME": str(tmp_path / "home")}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "DIGEST MISMATCH" in error_of(done)
    assert not (tmp_path / "into").exists()


def test_shared_tags_become_one_index(family, built, registry, engine, monkeypatch):
    """Linux and both releases of Windows stand behind `latest`, each under its platform and release."""
    assert built.returncode == 0
    expanded = matrix.expand(catalog.load(family.file), family.file)
    done = family.build(FULL)
    assert done.returncode == 0, done.stderr
    images = [expanded.get(name) for name in (FULL, *(f"{PYTHON}-{name}" for name in NAMES))]
    found = [family.record(image.id) for image in images]
    for record in found:
        records.save_result(
            Result(
                id=record.id, platform=record.platform, digest=record.digest, tests="", passed=1, failed=(), tested=""
            )
        )
    # No engine here can test Windows images: what is tried is how they are pushed, with results made up.
    monkeypatch.setattr(publish, "_test", lambda *_: "")
    try:
        wanted = [Wanted(image=image, platform=record.platform) for image, record in zip(images, found, strict=True)]
        text, held_back = publish.push(wanted, found, expanded, engine)
    finally:
        for record in found:
            records._result(record.digest).unlink()  # noqa: SLF001
    assert not held_back, text
    _, index = registry.get(f"{family.data['repository']}/manifests/latest")
    listed = {
        (one["platform"]["os"], one["platform"].get("os.version", "")): one["digest"] for one in index["manifests"]
    }
    wanted = {("linux", ""): found[0].digest} | {
        ("windows", version): record.digest for version, record in zip(NAMES.values(), found[1:], strict=True)
    }
    assert listed == wanted
    assert registry.get(f"{family.data['repository']}/manifests/{images[1].id}")[0] == found[1].digest
    _, windows = registry.get(f"{family.data['repository']}/manifests/{SERIES}-windowsservercore")
    assert [one["platform"]["os"] for one in windows["manifests"]] == ["windows", "windows"]
