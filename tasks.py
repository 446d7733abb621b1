"""Kiln's commands: `invoke --list` shows them. They parse, call and print; what they do is in `kiln/`."""

import json as _json
import shlex
import sys
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import Exit

from kiln import cli
from kiln.cli import command, out
from kiln.errors import KilnError

_GLOBS = "ids or tags, with * and ?; all images where none is given"
_VERSIONS = "the file that describes the family"
_PYTHON_ORG = "a mirror of python.org's API and files; python.org itself if not given"
_SOURCES = "a folder of source tarballs, for machines without network"


@command(
    help={
        "globs": _GLOBS, "json": "for machines",
        "trial": "only what `invoke build --trial` builds of them; starts an engine if none runs",
        "packages": "with --trial: every package once, and nothing else", "versions": _VERSIONS, "sources": _SOURCES,
    }
)  # fmt: skip
def matrix(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, globs: Any, json: bool = False, trial: bool = False, packages: bool = False,
    versions: str = cli.VERSIONS, sources: str = "",
) -> None:  # fmt: skip
    """List the images: id, tags, platforms, compile keys, and whether they can be built from here."""
    from kiln import listing

    if packages and not trial:
        raise KilnError("--packages: is of what is tried; give --trial too")
    family, folder = cli.matrix(versions), cli.folder(sources)
    if trial:
        from kiln import trial as module

        chosen = module.here(family, globs, folder, packages=packages)
    else:
        chosen = list(family.select(globs or ["*"]))
    rows = listing.rows(family, chosen, folder)
    out(_json.dumps(rows, indent=2) if json else listing.table(rows, cli.width()))


@command(help={"check": "exit 1 with a diff where the files have drifted", "versions": _VERSIONS})
def generate(_: Any, check: bool = False, versions: str = cli.VERSIONS) -> None:
    """Render dockerfiles/ and versions.schema.json."""
    from kiln import generated

    family = cli.matrix(versions) if check else cli.own(versions)
    if not check:
        out(generated.write(family))
    elif difference := generated.drift(family):
        out(difference)
        raise Exit("error: generated files have drifted; run `invoke generate`", code=1)


@command(
    positional=["reference"],
    help={
        "reference": "where your images go: ghcr.io/me/python, localhost:5000/me/python, or me/python on Docker Hub",
        "dry_run": "print the plan and change nothing",
        "source": "your repository's URL; that of git's origin if not given",
        "vendor": "who publishes the images; the first part of the reference if not given",
        "authors": "who answers for them", "versions": _VERSIONS,
    },
)  # fmt: skip
def fork(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, reference: str, dry_run: bool = False, source: str = "", vendor: str = "", authors: str = "",
    versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Make the family yours: repository, labels, Dockerfiles, documents; without its results."""
    from kiln import fork as module
    from kiln import fork_wish

    family = cli.own(versions)
    wanted = fork_wish.wish(reference, source=source, vendor=vendor, authors=authors)
    found = module.make(family, wanted, fork_wish.origin(family.folder))
    out(found.plan())
    if not dry_run:
        found.write()
        out(f"\n{found.left()}")


@command(
    help={
        "globs": _GLOBS, "into": "copy the tarballs to this folder, to be used with --sources elsewhere",
        "sources": _SOURCES, "versions": _VERSIONS,
    }
)  # fmt: skip
def sources(_: Any, globs: Any, into: str = "", sources: str = "", versions: str = cli.VERSIONS) -> None:
    """Fetch the source tarballs of a selection."""
    from kiln import announced, parts
    from kiln import sources as module

    family = cli.matrix(versions)
    origins, folder = family.catalog.sources, cli.folder(sources)
    releases = parts.releases(announced.without(family, globs, family.select(globs or ["*"]), folder))
    if into:
        found = module.carry(releases, origins, Path(into), folder=folder)
    else:
        found = [module.fetch(release, origins, folder=folder).path for release in releases]
    out("\n".join(str(path) for path in found))


@command(
    help={
        "globs": "ids or tags, with * and ?; the newest image that can be built from here where none is given",
        "all": "the whole matrix", "trial": "nine images at most that show whether the family builds here",
        "platform": "linux/arm64 and the like, or all; the engine's own if not given",
        "quick": "no profile-guided and link-time optimisation, for trying things",
        "dry_run": "print the plan and build nothing",
        "json": "with --dry-run: the plan and the bake definition, for machines",
        "push": "test, then push what passed with all its tags",
        "builder": "the buildx builder to use", "jobs": "builds at once", "no_cache": "build everything anew",
        "artifacts": "take compiled interpreters from this folder (./..., /...) or repository, and keep them there",
        "sources": _SOURCES, "versions": _VERSIONS,
    }
)  # fmt: skip
def build(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, globs: Any, platform: Any, all: bool = False, quick: bool = False, dry_run: bool = False,
    json: bool = False, push: bool = False, builder: str = "", jobs: int = 2, no_cache: bool = False,
    artifacts: str = "", trial: bool = False, sources: str = "", versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Build images."""
    from kiln import compiled, order
    from kiln.plan import Options

    options = Options(
        quick=quick, builder=builder, jobs=jobs, no_cache=no_cache, sources=cli.folder(sources),
        artifacts=compiled.chosen(artifacts),
    )  # fmt: skip
    if all and globs:
        raise KilnError(f"--all {shlex.join(globs)}: all images, or those that are named? leave one out")
    if all and trial:
        raise KilnError("--all --trial: all images, or a few of them? leave one out")
    if json and not dry_run:
        raise KilnError("--json: is of the plan; give --dry-run too")
    family = cli.matrix(versions)
    chosen = ["*"] if all else list(globs)
    if trial:
        from kiln import trial as module

        chosen = module.ids(family, chosen, options.sources, start=not dry_run)
    if dry_run:
        out(order.dry_run(family, chosen, platform, options, push=push, machine=json))
        return
    summary, failed = order.build(family, chosen, platform, options, push=push)
    out(summary)
    if failed:
        sys.exit(1)


@command(name="start", help={"platform": "have emulation for it, too: linux/arm64 and the like; may be given again"})
def engine_start(_: Any, platform: Any) -> None:
    """Start Kiln's private Docker engine, where none answers."""
    from kiln import emulation, engine
    from kiln import engine_status as module

    emulation.check(platform)
    engine.start()
    emulation.bring(platform)
    out(cli.prose(str(module.status())))


@command(name="stop")
def engine_stop(_: Any) -> None:
    """Stop Kiln's private Docker engine."""
    from kiln import engine

    out("stopped the private engine" if engine.stop() else "the private engine did not run")


@command(name="status")
def engine_status(_: Any) -> None:
    """Print which engine is used, and whether Kiln's private one runs."""
    from kiln import engine_status as module

    out(cli.prose(str(module.status())))


@command(help={"fix": "bring emulation for the family's platforms that this machine cannot run", "versions": _VERSIONS})
def doctor(_: Any, fix: bool = False, versions: str = cli.VERSIONS) -> None:
    """Tell what this machine has for building images, and what to do about what it lacks."""
    from kiln import doctor as module

    family = cli.matrix(versions)
    if fix:
        module.fix(family)
    text, well = module.report(family, cli.width())
    out(text)
    if not well:
        sys.exit(1)


@command(
    help={
        "check": "exit 1 with a diff where a document has drifted", "versions": _VERSIONS,
        "template": "render this Jinja template instead; docs/templates.md lists the variables",
        "out": "the file to write; standard output if not given",
        "values": "a JSON object of variables that replace or join those of the family",
        "package": "the page is of the images with this package, and not of Python's",
        "toc": "leave tables of contents as the template has them",
    }
)  # fmt: skip
def readme(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, check: bool = False, template: str = "", out: str = "", values: str = "", package: str = "",
    toc: bool = True, versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Keep README.md's blocks, the image page and tables of contents up to date, or render a template."""
    from kiln import page_request
    from kiln import readme as module

    page = page_request.parse(toc=toc, template=template, out=out, values=values, package=package)
    family = cli.matrix(versions) if check or page else cli.own(versions)
    if not check:
        cli.out(page.write(family) if page else module.write(family))
    elif difference := page.drift(family) if page else module.drift(family):
        cli.out(difference)
        raise Exit("error: the page has drifted; run the same without --check", code=1)


@command(
    help={
        "globs": _GLOBS, "json": "for machines", "versions": _VERSIONS,
        "exit_code": "2 if an image would change, 1 if one cannot be judged",
    }
)  # fmt: skip
def stale(_: Any, globs: Any, json: bool = False, exit_code: bool = False, versions: str = cli.VERSIONS) -> None:
    """Tell which of the recorded images would change if they were built today, and why."""
    from kiln import stale as module
    from kiln import verdicts

    found = module.judge(cli.matrix(versions), globs)
    out(verdicts.dumps(found) if json else verdicts.table(found, cli.width()))
    if exit_code:
        sys.exit(verdicts.exit_code(found))


_RUNS = "how often each side is measured; as often as fits the figure if not given"
_JSON = "a file to put the figures in, in place of benchmarks/results.json"
_IMAGE = "the image of ours; the newest slim one on Debian that there is if not given"
_QUICK = "try the benchmark itself with a quick build, which says nothing of published images"
_AGAINST = "another image in the engine in place of the reference, to try things"
_RECORDED = "take the reference's time of before, where this machine has one, in place of compiling it again"
_WHOLE = "really compile the reference for each image of the family, which takes hours"


def _bench(names: list[str], versions: str, json: str, **options: Any) -> None:
    """Measure figures, print them, and keep them."""
    from kiln import bench, bench_results
    from kiln.bench_pair import Ask

    bench_results.check(json)
    said: list[str] = []
    ask = Ask(**options)
    report = bench.run(names, cli.matrix(versions), ask, lambda found: said.append(bench_results.keep(found, json)))
    out("\n".join([report.text(cli.width()), "", *said]))


@command(
    name="compile",
    help={"image": _IMAGE, "runs": _RUNS, "recorded": _RECORDED, "quick": _QUICK, "json": _JSON, "versions": _VERSIONS},
)
def bench_compile(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, image: str = "", runs: int = 0, recorded: bool = False, quick: bool = False, json: str = "",
    versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Measure an optimised build from nothing against the reference's (half an hour and more)."""
    _bench(["compile"], versions, json, image=image, runs=runs, recorded=recorded, quick=quick)


@command(
    name="family",
    help={
        "image": _IMAGE,
        "runs": _RUNS,
        "recorded": _RECORDED,
        "whole": _WHOLE,
        "quick": _QUICK,
        "json": _JSON,
        "versions": _VERSIONS,
    },
)
def bench_family(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, image: str = "", runs: int = 0, recorded: bool = False, whole: bool = False, quick: bool = False,
    json: str = "", versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Measure all variants on two Debian releases against the reference for each (more than an hour)."""
    _bench(["family"], versions, json, image=image, runs=runs, recorded=recorded, whole=whole, quick=quick)


@command(name="cross", help={"image": _IMAGE, "runs": _RUNS, "json": _JSON, "versions": _VERSIONS})
def bench_cross(_: Any, image: str = "", runs: int = 0, json: str = "", versions: str = cli.VERSIONS) -> None:
    """Measure a cross compiled quick build against one whose compiler is emulated (an hour)."""
    _bench(["cross"], versions, json, image=image, runs=runs)


@command(
    name="speed",
    help={"image": _IMAGE, "runs": _RUNS, "against": _AGAINST, "quick": _QUICK, "json": _JSON, "versions": _VERSIONS},
)
def bench_speed(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, image: str = "", runs: int = 0, against: str = "", quick: bool = False, json: str = "",
    versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Measure a fixed part of pyperformance in an image of ours and in the reference (a quarter of an hour)."""
    _bench(["speed"], versions, json, image=image, runs=runs, against=against, quick=quick)


@command(
    name="start",
    help={"image": _IMAGE, "runs": _RUNS, "against": _AGAINST, "quick": _QUICK, "json": _JSON, "versions": _VERSIONS},
)
def bench_start(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, image: str = "", runs: int = 0, against: str = "", quick: bool = False, json: str = "",
    versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Measure the cold start of Python with common imports, each time in a fresh container."""
    _bench(["start"], versions, json, image=image, runs=runs, against=against, quick=quick)


@command(
    name="size", help={"image": _IMAGE, "against": _AGAINST, "quick": _QUICK, "json": _JSON, "versions": _VERSIONS}
)
def bench_size(
    _: Any, image: str = "", against: str = "", quick: bool = False, json: str = "", versions: str = cli.VERSIONS
) -> None:
    """Weigh an image as it is pulled, layer by layer, against the reference."""
    _bench(["size"], versions, json, image=image, against=against, quick=quick)


@command(name="plan", help={"runs": _RUNS, "json": _JSON, "versions": _VERSIONS})
def bench_plan(_: Any, runs: int = 0, json: str = "", versions: str = cli.VERSIONS) -> None:
    """Measure planning and rendering of 10 to 10,000 images."""
    _bench(["plan"], versions, json, runs=runs)


@command(name="cli", help={"runs": _RUNS, "json": _JSON, "versions": _VERSIONS})
def bench_cli(_: Any, runs: int = 0, json: str = "", versions: str = cli.VERSIONS) -> None:
    """Measure how long `invoke --list` takes."""
    _bench(["cli"], versions, json, runs=runs)


@command(name="noop", help={"runs": _RUNS, "json": _JSON, "versions": _VERSIONS})
def bench_noop(_: Any, runs: int = 0, json: str = "", versions: str = cli.VERSIONS) -> None:
    """Measure a build with nothing to do against bare bake."""
    _bench(["noop"], versions, json, runs=runs)


@command(name="tests", help={"runs": _RUNS, "json": _JSON, "versions": _VERSIONS})
def bench_tests(_: Any, runs: int = 0, json: str = "", versions: str = cli.VERSIONS) -> None:
    """Measure the tests of the largest image that was built."""
    _bench(["tests"], versions, json, runs=runs)


@command(
    name="all",
    help={
        "globs": "figures; all of them where none is given", "runs": _RUNS, "image": _IMAGE, "recorded": _RECORDED,
        "quick": _QUICK, "json": _JSON, "versions": _VERSIONS,
    },
)  # fmt: skip
def bench_all(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, globs: Any, runs: int = 0, image: str = "", recorded: bool = False, quick: bool = False, json: str = "",
    versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Measure all figures, or those that are named; `invoke bench` alone does the same (three hours)."""
    _bench(globs, versions, json, runs=runs, image=image, recorded=recorded, quick=quick)


_OUT = "the file to write; standard output where none is given"
_OFFLINE = "look nothing up: neither days nor digests of releases"
_LENDER = "the family that lends lists of packages, labels and digests"


def _check_offline(*, offline: bool, python_org: str) -> None:
    if offline and python_org:
        raise KilnError("--offline --python-org: ask python.org, or nobody? leave one out")


@command(
    name="docker-library",
    help={
        "source": "their versions.json",
        "parents": "architectures by parent image, as bashbrew tells them; if not given, the family's own",
        "meta": "what their scripts hold: arch_exclusions, latest", "out": _OUT,
        "repository": "the repository of the images", "offline": _OFFLINE, "python_org": _PYTHON_ORG,
        "versions": _LENDER,
    },
)  # fmt: skip
def import_docker_library(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, source: str = "", parents: str = "", meta: str = "", out: str = "",
    repository: str = "python", offline: bool = False, python_org: str = "", versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Turn docker-library/python's files into a versions.json."""
    from kiln import family, import_docker_library

    if not source:
        raise KilnError("--source is needed; name their versions.json")
    _check_offline(offline=offline, python_org=python_org)
    first, second = (Path(name) if name else None for name in (parents, meta))
    result = import_docker_library.convert(Path(source), first, second, family.load(versions).catalog, repository)
    cli.out((result if offline else result.filled(python_org)).write(out))


@command(
    name="infra7", positional=["folder"],
    help={
        "folder": "a checkout of infra7ti/docker-python", "out": _OUT,
        "default_target": "the target that tags may leave out; else as .env or the Makefile has it",
        "repository": "the repository of the images", "offline": _OFFLINE, "python_org": _PYTHON_ORG,
        "versions": _LENDER,
    },
)  # fmt: skip
def import_infra7(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, folder: str, out: str = "", default_target: str = "", repository: str = "infra7/python",
    offline: bool = False, python_org: str = "", versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Turn a checkout of infra7ti/docker-python into a versions.json."""
    _check_offline(offline=offline, python_org=python_org)
    from kiln import family, import_infra7

    result = import_infra7.convert(Path(folder), family.load(versions).catalog, repository, default_target)
    cli.out((result if offline else result.filled(python_org)).write(out))


@command(help={"versions": _VERSIONS})
def library(_: Any, versions: str = cli.VERSIONS) -> None:
    """Print the official-images library file."""
    from kiln import history, render
    from kiln import library as module

    family = cli.matrix(versions)
    out(module.text(family, history.commits(family.folder / render.FOLDER)).removesuffix("\n"))


@command(
    help={
        "globs": "packages; all of them where none is given", "check": "exit 1 where a lock is missing or does not fit",
        "upgrade": "resolve anew what is locked already", "versions": _VERSIONS,
    }
)  # fmt: skip
def lock(_: Any, globs: Any, check: bool = False, upgrade: bool = False, versions: str = cli.VERSIONS) -> None:
    """Lock what packages need, with hashes, for each version on each series of Python."""
    if check and upgrade:
        raise KilnError("--check --upgrade: look at the locks, or write them? leave one out")
    from kiln import lock as module
    from kiln import lock_orphans

    family = cli.matrix(versions) if check else cli.own(versions)
    if check:
        summary, failures = f"{len(module.cells(family, globs))} locks looked at", module.check(family, globs)
    else:
        summary, failures = module.write(family, globs, upgrade=upgrade)
    out(cli.prose("\n".join([*failures, *([] if globs else lock_orphans.dropped(family)), summary])))
    if failures:
        sys.exit(1)


@command(
    help={
        "globs": "packages, and python for its releases; all of them where none is given",
        "write": "write the file; without it, only the difference is shown",
        "exit_code": "exit 2 where there is something new",
        "allow_removal": "believe answers that lack what was there before",
        "python_org": _PYTHON_ORG, "versions": _VERSIONS,
    }
)  # fmt: skip
def update(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, globs: Any, write: bool = False, exit_code: bool = False, allow_removal: bool = False,
    python_org: str = "", versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Ask the index and python.org for new versions; show what versions.json becomes, and write it."""
    if python_org and globs and "python" not in globs:
        raise KilnError(f"--python-org: {shlex.join(globs)} is not asked for there; name python too, or leave it out")
    from kiln import family
    from kiln import update as module

    found = module.run(family.locate(versions), globs, removal=allow_removal, home=python_org)
    if write and found.changed:
        found.write()
    out(found.report(written=write))
    if exit_code and found.changed:
        sys.exit(2)


_DRY = "show what would change, and write nothing"


@command(
    help={
        "globs": "versions or series; behind `target` targets, behind `package` packages of the index",
        "like": "the target (or release) of the family that a new one is like", "dry_run": _DRY,
        "prerelease": "let a series mean its newest prerelease, too",
        "announced": "take in a release whose sources no origin serves yet: it is listed alone",
        "python_org": _PYTHON_ORG, "versions": _VERSIONS,
    }
)  # fmt: skip
def add(  # noqa: PLR0913, PLR0917 - each is a flag of the command
    _: Any, globs: Any, like: str = "", prerelease: bool = False, announced: bool = False, dry_run: bool = False,
    python_org: str = "", versions: str = cli.VERSIONS,
) -> None:  # fmt: skip
    """Add releases, targets or packages, with all that can be looked up of them; lock, generate, show the change."""
    from kiln import upkeep
    from kiln.add_release import Choice

    choice = Choice(like=like, prerelease=prerelease, announced=announced, home=python_org)
    out(upkeep.adding(Path(versions), globs, choice, dry_run=dry_run))


@command(
    help={
        "globs": "series or versions; behind `target` targets, behind `package` packages", "dry_run": _DRY,
        "discard": "drop packages' folders even with changes that are not committed", "versions": _VERSIONS,
    }
)  # fmt: skip
def drop(_: Any, globs: Any, dry_run: bool = False, discard: bool = False, versions: str = cli.VERSIONS) -> None:
    """Drop releases, targets or packages, with all that refers to them; generate, show the change."""
    from kiln import upkeep

    out(upkeep.dropping(Path(versions), globs, dry_run=dry_run, discard=discard))


namespace = Collection(
    add, drop, matrix, generate, fork, sources, build, doctor, readme, stale, library, lock, update
)  # fmt: skip
namespace.add_collection(Collection("engine", start=engine_start, stop=engine_stop, status=engine_status))
namespace.add_collection(Collection("import", **{"docker-library": import_docker_library, "infra7": import_infra7}))
benches = Collection(
    "bench", bench_compile, bench_family, bench_cross, bench_speed, bench_start, bench_size, bench_plan, bench_cli,
    bench_noop, bench_tests,
)  # fmt: skip
benches.add_task(bench_all, default=True)
namespace.add_collection(benches)
