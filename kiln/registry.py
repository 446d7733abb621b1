"""What a registry says of an image, asked through buildx and remembered for minutes."""

import datetime
import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from kiln import paths
from kiln.model import BaseImage

GOOD_SECONDS, BAD_SECONDS = 900.0, 300.0
ASK_SECONDS = 20


class Client(Protocol):
    """The part of an engine that is needed here."""

    @property
    def env(self) -> Mapping[str, str]:
        """What to add to the environment of a call."""

    def buildx(self, *args: str) -> list[str]:
        """Return the command line of a buildx command."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The digest of an image (`sha256:...`), or the reason why there is none."""

    at: float
    digest: str = ""
    created: int = 0
    """When the newest of its platforms was made, in seconds since 1970."""
    os_version: str = ""
    """Of a Windows image, the release of it."""
    reason: str = ""


def reference(base: BaseImage) -> str:
    """Return what is asked for: the image, with the digest that pins it if one does."""
    return f"{base.image}@{base.digest}" if base.digest else base.image


def known(name: str) -> Found | None:
    """Return what was learnt of an image in the last minutes."""
    found = _memory().get(name)
    if found is None or not 0 <= time.time() - found.at < (GOOD_SECONDS if found.digest else BAD_SECONDS):
        return None
    return found


def look(name: str, client: Client) -> Found:
    """Ask the registry for the digest of an image, unless the answer is known."""
    found = known(name)
    if found is None:
        found = _ask(name, client)
        with paths.lock("registry"):
            paths.write_whole(_file(), msgspec.json.encode({**_memory(), name: found}))
    return found


def _ask(name: str, client: Client) -> Found:
    command = client.buildx("imagetools", "inspect", "--format", "{{json .}}", name)
    try:
        done = subprocess.run(
            command, env={**os.environ, **client.env}, capture_output=True, text=True, timeout=ASK_SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Found(at=time.time(), reason=str(error))
    if done.returncode:
        return Found(at=time.time(), reason=(done.stderr.strip().splitlines() or ["buildx failed"])[-1])
    try:
        return parse(done.stdout, time.time())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Found(at=time.time(), reason=f"buildx answers in a form that is not known ({error!r})")


def parse(text: str, now: float) -> Found:
    """Return what `imagetools inspect --format '{{json .}}'` says: one configuration, or one a platform.

    ValueError, KeyError, TypeError or AttributeError for another form.
    """
    answer = json.loads(text)
    images = answer["image"] if "created" not in answer["image"] else {"": answer["image"]}
    made = [datetime.datetime.fromisoformat(image["created"]) for image in images.values() if image.get("created")]
    created = max((int(day.timestamp()) for day in made), default=0)
    version = next((image["os.version"] for image in images.values() if image.get("os.version")), "")
    return Found(at=now, digest=answer["manifest"]["digest"], created=created, os_version=version)


def _file() -> Path:
    return paths.folder("bases") / "registry.json"


def _memory() -> dict[str, Found]:
    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, Found])
    except (OSError, msgspec.MsgspecError):
        # Nothing is known yet, or a newer Kiln wrote it in another form: ask again.
        return {}
