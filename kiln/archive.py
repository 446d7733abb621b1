"""The tar archive of an OCI layout, read and written member by member, for changing a part of it."""

import io
import json
import tarfile
from pathlib import Path
from typing import IO, Any


def blob(digest: str) -> str:
    """Return the name of the member that holds a blob."""
    return f"blobs/{digest.replace(':', '/', 1)}"


def member(source: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return a member that is a file; KeyError where there is none."""
    file = source.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def load(source: tarfile.TarFile, name: str) -> Any:  # noqa: ANN401 - of which only a part is changed
    """Return the JSON of a member."""
    return json.load(member(source, name))


def add(target: tarfile.TarFile, name: str, data: Path | bytes) -> None:
    """Add a member with some bytes, or those of a file."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as file:
        info.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        target.addfile(info, file)
