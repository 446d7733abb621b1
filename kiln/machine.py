"""What a measurement was made on: machine, load and versions."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path

from kiln import paths, process
from kiln.engine import Engine
from kiln.errors import CommandError


def facts() -> dict[str, str]:
    """Return when and where this is, as words by name."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    busy = ", disturbed by other work" if load > processors / 2 else ""
    return {
        "taken": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{processors} x {_processor()}, {platform.system()} {platform.release()}",
        "load before": f"{load:.1f} on {processors} processors{busy}",
        "versions": f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("invoke", "jinja2", "msgspec", "pytest")),
        "kiln": _commit(),
    }


def engine_facts(engine: Engine) -> dict[str, str]:
    """Return what the engine is."""
    kind = "Kiln's own" if engine.private else "the user's"
    return {"engine": f"{kind}, Docker {engine.server}, buildx {engine.buildx_version}, {engine.platform}"}


def _processor() -> str:
    """Return the processor's name, or at least its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _commit() -> str:
    """Return the checkout's commit."""
    try:
        return process.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=paths.ROOT).strip()
    except CommandError:
        return "not a git checkout"
