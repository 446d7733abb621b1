"""A stand-in for Python's installer for Windows: made like the real one, a WiX bundle of MSI packages, on Linux.

What is in it is CPython's own where a source tarball has it: library, headers, pip's wheel. Programs
and libraries are names with a few bytes.
"""

import os
import subprocess
import tarfile
from xml.sax.saxutils import quoteattr

from kiln import bases, network
from kiln.model import BaseImage, Packages, Target
from tests.engine.command import PYTHON, SERIES

NODOT = SERIES.replace(".", "")
STUB = b"MZ stand-in\n"
# By package, what is not in CPython's sources.
PROGRAMS = {
    "core": ["python3.dll", f"python{NODOT}.dll"],
    "exe": ["python.exe", "pythonw.exe", "vcruntime140.dll", "LICENSE.txt", "DLLs/py.ico"],
    "lib": ["DLLs/_ssl.pyd", "Lib/venv/scripts/nt/python.exe"],
    "dev": [f"libs/python{NODOT}.lib", "include/pyconfig.h"],
    "tcltk": ["DLLs/_tkinter.pyd", "DLLs/tcl86t.dll", "tcl/tcl8.6/init.tcl"],
    "doc": ["Doc/html/index.html"],
}
SOURCES = {
    "lib": ("Lib/os.py", "Lib/json/", "Lib/ensurepip/", "Lib/test/__init__.py"),
    "dev": ("Include/Python.h", "Include/object.h"),
    "tcltk": ("Lib/tkinter/__init__.py", "Lib/idlelib/run.py", "Lib/idlelib/idle_test/__init__.py"),
}
BUILD = """\
FROM base AS tools
RUN --mount=type=cache,id=kiln-apt-archives,target=/var/cache/kiln,sharing=private \\
    --mount=type=cache,id=kiln-apt-lists-trixie,target=/var/lib/apt/lists,sharing=private \\
    --mount=type=secret,id=apt.conf,target=/etc/apt/apt.conf.d/zz-kiln \\
    --mount=type=secret,id=ca.crt,target=/run/kiln/ca.crt \\
    mkdir -p /var/cache/kiln/partial && apt-get update && DEBIAN_FRONTEND=noninteractive \\
    apt-get install -y --no-install-recommends -o Dir::Cache::archives=/var/cache/kiln wixl gcab
COPY . /work
WORKDIR /work
RUN for name in packages; do wixl --output $name.msi $name.wxs; done
RUN sh bundle.sh
FROM scratch
COPY --from=tools /work/installer.exe /
"""
# Behind the program stand two cabinets, and behind them the signature.
BUNDLE = """\
set -eux
{ echo '<?xml version="1.0" encoding="utf-8"?>'
  echo '<BurnManifest xmlns="http://schemas.microsoft.com/wix/2008/Burn">'
  echo '<UX><Payload Id="u0" FilePath="PythonBA.dll" FileSize="1" Packaging="embedded" SourcePath="u0"/></UX>'
  number=0
  for name in packages; do
      mv $name.msi a$number
      echo "<Payload Id='$name' FilePath='$name.msi' FileSize='$(stat -c %s a$number)' Packaging='embedded'" \\
           "SourcePath='a$number' Container='WixAttachedContainer'/>"
      number=$((number + 1))
  done
  echo '<Payload Id="core_d" FilePath="core_d.msi" FileSize="9" Packaging="external" SourcePath="core_d.msi"/>'
  echo '</BurnManifest>'; } > 0
printf x > u0
gcab --create --zip --nopath ux.cab 0 u0
gcab --create --zip --nopath attached.cab a[0-9]*
{ head -c 4096 /dev/zero | tr '\\0' M; cat ux.cab attached.cab; head -c 4096 /dev/zero | tr '\\0' S; } > installer.exe
"""


def make(engine, tarball, folder):
    """Make the installer in a folder, and return its path; `tarball` holds CPython's sources."""
    files = _files(tarball, folder / "files")
    for package, paths in files.items():
        (folder / f"{package}.wxs").write_text(_wxs(package, paths), "utf-8")
    names = " ".join(files)
    for name, text in (("Dockerfile", BUILD), ("bundle.sh", BUNDLE)):
        (folder / name).write_text(text.replace("packages;", f"{names};"), "utf-8")
    target = Target(
        distribution="debian", release="trixie", title="", platforms=[], variants={}, default_variant="",
        base=BaseImage(image="debian:trixie-slim", platforms=[]), packages=Packages(compile=[], full=[], runtime=[]),
    )  # fmt: skip
    base = bases.resolve(target, engine.platform, engine=engine)
    secrets = [f"--secret=id={name},src={path}" for name, path in network.secrets().items()]
    command = engine.buildx(
        "build", f"--build-context=base={base.context}", *secrets, "--output", str(folder), str(folder)
    )
    done = subprocess.run(command, env={**os.environ, **engine.env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "installer.exe"


def _files(tarball, folder):
    """Write what the packages hold to a folder; return the paths of each package."""
    found = {package: list(paths) for package, paths in PROGRAMS.items()}
    for paths in PROGRAMS.values():
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(STUB)
    with tarfile.open(tarball) as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            package = next((key for key, wanted in SOURCES.items() if name.startswith(wanted)), None)
            if package and member.isfile():
                path = name.replace("Include/", "include/")
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(archive.extractfile(member).read())
                found[package].append(path)
    return found


def _wxs(package, paths):
    """Return a package as WiX reads it, with the folders of CPython's `Tools/msi/common.wxs`."""
    root = {}
    for path in paths:
        node = root
        for part in path.split("/")[:-1]:
            node = node.setdefault(part, {})
        node[path.split("/")[-1]] = path
    body, components = [], []
    _folder(root, "InstallDirectory", body, components)
    references = "".join(f"<ComponentRef Id='{name}'/>" for name in components)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Language="1033" Name="{package}" Version="{PYTHON}" Manufacturer="Kiln"
    UpgradeCode="11111111-1111-1111-1111-111111111111">
<Package InstallerVersion="500" Compressed="yes" InstallScope="perUser"/><MediaTemplate EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="InstallDirectory">{"".join(body)}</Directory></Directory>
<Feature Id="DefaultFeature" Title="{package}">{references}</Feature>
</Product></Wix>
"""


def _folder(node, parent, body, components):
    for name, value in sorted(node.items()):
        number = f"n{len(body)}"
        if isinstance(value, dict):
            body.append(f"<Directory Id='{parent}.{number}' Name={quoteattr(name)}>")
            _folder(value, f"{parent}.{number}", body, components)
            body.append("</Directory>")
        else:
            components.append(number)
            source = quoteattr(f"files/{value}")
            body.append(
                f"<Component Id='{number}' Guid='*'><File Id='f{number}' Name={quoteattr(name)} Source={source}"
            )
            body.append(" KeyPath='yes'/></Component>")
