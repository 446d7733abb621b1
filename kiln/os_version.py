"""The release of Windows in an image: BuildKit 0.13 to 0.20 drops what the base says (moby/buildkit#5713)."""

import hashlib
import tarfile
from pathlib import Path
from typing import Any

from kiln.archive import add, blob, load
from kiln.errors import BuildError
from kiln.oci import encode

INDEX_FILE = "index.json"


def set_os_version(archive: Path, version: str) -> None:
    """Make an OCI archive of one Windows image say which release it is for: `10.0.26100.1`.

    A host compares it with its own before it takes the image. The archive is replaced whole.
    """
    part = archive.with_name(f".{archive.name}.part")
    try:
        with tarfile.open(archive, "r:") as source:
            replaced = _replaced(source, version)
            with tarfile.open(part, "w") as target:
                for member in source:
                    if member.name not in replaced:
                        target.addfile(member, source.extractfile(member) if member.isfile() else None)
                for name, data in replaced.items():
                    if data:
                        add(target, name, data)
        part.replace(archive)
    except (OSError, KeyError, IndexError, ValueError, tarfile.TarError) as error:
        raise BuildError(f"{archive}: not an archive of one image ({error}); build the image again") from error
    finally:
        part.unlink(missing_ok=True)


def _replaced(source: tarfile.TarFile, version: str) -> dict[str, bytes]:
    """Return what changes, by name in the archive: new files, and nothing for those that go."""
    index = load(source, INDEX_FILE)
    leaf = index["manifests"][0]
    manifest = load(source, blob(leaf["digest"]))
    old = blob(leaf["digest"]), blob(manifest["config"]["digest"])
    settings = {**load(source, old[1]), "os.version": version}
    config = encode(settings)
    manifest["config"] |= _described(config)
    text = encode(manifest)
    leaf |= _described(text) | {"platform": {key: settings[key] for key in ("architecture", "os", "os.version")}}
    new = {blob(_described(data)["digest"]): data for data in (config, text)}
    return {**dict.fromkeys(old, b""), **new, INDEX_FILE: encode(index)}


def _described(data: bytes) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}
