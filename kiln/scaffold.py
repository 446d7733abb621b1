"""The folder of a new package and its entry in `versions.json`, by what was found of it; pure."""

import re

from kiln import render
from kiln.brought import Brought
from kiln.markdown import table
from kiln.model import Package, PackageTest
from kiln.servers import PROTOCOLS, Server

PORT = 80
KEEP = 3
"""How many versions of a new package are kept."""
GRACE = 9.0
"""Seconds after which an engine is about to end a container by force."""
_SETTINGS = {
    "--workers": ("WORKERS", "number of worker processes"),
    "--log-level": ("LOG_LEVEL", "how much is logged, as the server's own flag takes it"),
}
"""Options of servers that get a variable if their help names them."""


def examples(project: str) -> dict[str, str]:
    """Return the application that answers for a package, by protocol."""
    template = render.environment().get_template("scaffold/main.py.j2")
    return {protocol: template.render(protocol=protocol, project=project) for protocol in PROTOCOLS}


def entry(requirement: str, brought: Brought, like: Package) -> Package:
    """Return the entry of a package without versions yet; Pythons, targets and variants are those of another one."""
    return Package(
        requirements=[requirement], versions=[], description=_description(brought), pythons=like.pythons,
        targets=like.targets, variants=like.variants, command=["start"], keep=KEEP, port=PORT,
        test=PackageTest(kind="http", imports=list(brought.modules[:1]) or [brought.project.replace("-", "_")]),
    )  # fmt: skip


def _description(brought: Brought) -> str:
    """Return what a project says of itself, as far as it may stand in a Dockerfile."""
    words = " ".join("".join(c if c.isprintable() and c not in "\"'`$;\\" else " " for c in brought.summary).split())
    text = words.rstrip(".") or brought.title
    return text if brought.project in text.lower() else f"{brought.title}: {text}"


def files(brought: Brought, server: Server | None) -> dict[str, str]:
    """Return the files of a package's folder by their path in it; without a server, what is left to a person."""
    protocol = server.protocol if server else "asgi"
    facts = {**_facts(brought, server), "protocol": protocol}
    texts = {name: render.environment().get_template(f"scaffold/{name}.j2") for name in ("start", "documentation.md")}
    example = {"example/main.py": examples(brought.project)[protocol]}
    return {**{name: template.render(facts) for name, template in texts.items()}, **example}


def _facts(brought: Brought, server: Server | None) -> dict[str, object]:
    """Return what the templates know."""
    options = server.options if server else frozenset[str]()
    prefix = re.sub(r"[^A-Z0-9]", "_", brought.project.upper())
    settings = [(variable, option) for option, (variable, _) in _SETTINGS.items() if option in options]
    words = server.words if server else ("--bind", "{host}:{port}")
    reload = "--reload" in options
    return {
        "title": brought.title, "prefix": prefix, "settings": settings, "reload": reload,
        "joined": any("{host}:" in word for word in words), "command": _command(brought, server, words),
        "stops": str(server.code) if server else "", "table": _table(prefix, options, reload=reload),
    }  # fmt: skip


def _command(brought: Brought, server: Server | None, words: tuple[str, ...]) -> str:
    """Return the words of a shell that start the server."""
    script = server.script if server else next(iter(brought.scripts), brought.project)
    host = "$host" if any("{host}:" in word for word in words) else "${HOST:-0.0.0.0}"
    port = "${PORT:-80}"
    shown = [word.replace("{host}", host).replace("{port}", port) for word in words]
    return " ".join([script, *(f'"{word}"' if "$" in word else word for word in shown)])


def _table(prefix: str, options: frozenset[str], *, reload: bool) -> str:
    rows = [
        ["`MODULE_NAME`", "the first file found", "module that holds the application"],
        ["`VARIABLE_NAME`", "`app`", "the application's name in the module"],
        ["`APP_MODULE`", "`MODULE_NAME:VARIABLE_NAME`", "both at once; the other two are then not looked at"],
        ["`HOST`", "`0.0.0.0`", "address to listen on"],
        ["`PORT`", "`80`", "port to listen on, inside of the container"],
        *([f"`{name}`", "the server's own", words] for option, (name, words) in _SETTINGS.items() if option in options),
        *([["`RELOAD`", "", "`true` starts again when a file changes: for development"]] if reload else []),
        ["`PRE_START_PATH`", "`/app/prestart.sh`", "script to run before the start"],
        [f"`{prefix}_EXTRA_FLAGS`", "", "more flags for the server"],
    ]
    return table(["Variable", "Default", "What it is"], rows)


def left(brought: Brought, server: Server | None) -> list[str]:
    """Return what is left to a person, a line each."""
    where = f"packages/{brought.project}"
    if server is None:
        tried = (
            f"none of its console scripts ({', '.join(brought.scripts) or 'it has none'}) served an application here"
        )
        places = f"the last line of {where}/start, {where}/example/, and `test`, `port` and `command` in versions.json"
        asks = "docs/packages.md says what the tests ask of them (`worker` is for Celery)"
        return [f"{brought.project}: {tried}, so these are left to you: {places}; {asks}"]
    notes = []
    if server.code not in {0, 143}:
        code = f"exit code {server.code} at SIGTERM, and images must with 0 or 143"
        notes.append(f"{brought.project}: ended with {code}; look for a flag for {where}/start")
    if server.seconds > GRACE:
        notes.append(
            f"{brought.project}: took {server.seconds:.0f} s to end at SIGTERM; look for a flag for {where}/start"
        )
    return notes
