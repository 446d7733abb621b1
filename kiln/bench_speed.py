"""How fast Python runs: a fixed subset of pyperformance, both images in turn, in containers of them."""

import re
import statistics
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from kiln import container, paths
from kiln.bench_pair import Pair
from kiln.console import say
from kiln.container import Container
from kiln.timing import Finding, Section, Timing, spread

FOLDER = paths.ROOT / "benchmarks" / "speed"
_PLACE = "/kiln-bench"
_SUITE = f"{_PLACE}/pyperformance/data-files/benchmarks"
_LEAST = 0.97
"""What no benchmark may be below."""

_INSTALL = """
import subprocess, sys
open("/tmp/requirements.txt", "w").write(GIVEN["requirements"])
words = "--quiet --no-cache-dir --no-deps --require-hashes --only-binary=:all: -r /tmp/requirements.txt --target"
command = [sys.executable, "-m", "pip", "install", *words.split(), GIVEN["place"]]
done = subprocess.run(command, capture_output=True, text=True)
if done.returncode:
    sys.exit(done.stderr.strip())
print("{}")
"""
# A worker of pyperf is one process that measures; its manager would choose other loops for each side.
_WORK = """
import json, os, subprocess, sys
reading, writing = os.pipe()
command = [sys.executable, GIVEN["file"], "--worker", "--worker-task=0", "--pipe", str(writing), *GIVEN["words"]]
environment = {**os.environ, "PYTHONPATH": GIVEN["place"], "PYTHONHASHSEED": str(GIVEN["seed"])}
streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
process = subprocess.Popen(command, pass_fds=[writing], env=environment, text=True, **streams)
os.close(writing)
with open(reading) as pipe:
    text = pipe.read()
errors = process.communicate()[1]
if process.returncode:
    sys.exit(errors.strip())
print(text)
"""


class Benchmark(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One benchmark of pyperformance."""

    name: str
    folder: str
    options: list[str] = []


class _File(Struct, forbid_unknown_fields=True):
    benchmark: list[Benchmark]


class Pairs(Struct, frozen=True, kw_only=True):
    """What one benchmark took on both sides: seconds of one loop, by round."""

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Return how much faster ours was, in each round."""
        return [their / our for our, their in zip(self.ours, self.theirs, strict=True)]


def benchmarks() -> list[Benchmark]:
    """Return the fixed subset."""
    text = (FOLDER / "benchmarks.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _File).benchmark


def speed(pair: Pair, rounds: int) -> Section:
    """Measure the subset: in each round each benchmark on ours, then on the reference, with the same loops."""
    chosen = benchmarks()
    with ExitStack() as stack:
        token = stack.enter_context(container.lease(pair.engine))
        open_ = partial(container.running, pair.engine, token=token, platform=pair.engine.platform)
        ours = stack.enter_context(open_(pair.ours.reference, options=("--init", "--volume", _PLACE)))
        # Both see the same files, and each other's bytecode of them.
        theirs = stack.enter_context(open_(pair.theirs, options=("--init", "--volumes-from", ours.name)))
        requirements = (FOLDER / "requirements.txt").read_text(encoding="utf-8")
        ours.ask(_INSTALL, {"requirements": requirements, "place": _PLACE})
        loops = {one.name: _calibrate(theirs, one) for one in chosen}
        taken = measure(
            chosen, rounds, lambda one, seed: _work(ours, one, loops[one.name], seed),
            lambda one, seed: _work(theirs, one, loops[one.name], seed),
        )  # fmt: skip
    how = (
        f"{len(chosen)} benchmarks (benchmarks/speed/benchmarks.toml) of {versions(requirements)}, rounds: {rounds}; "
        "seconds are of one loop, each the median of 3 in a process of its own; "
        "a ratio is the median of the rounds' ratios, above 1 is faster"
    )
    return Section(
        name="speed", findings=findings(taken), timings=timings(taken), notes=(pair.note, how), trial=pair.trial
    )  # fmt: skip


def versions(requirements: str) -> str:
    """Return what is pinned, for people: `pyperf 2.10.0, pyperformance 1.14.0`."""
    pins = re.findall(r"^(pyperf\S*)==(\S+)", requirements, re.MULTILINE)
    return ", ".join(f"{name} {version}" for name, version in pins)


def measure(
    chosen: Sequence[Benchmark], rounds: int, ours: Callable[[Benchmark, int], float],
    theirs: Callable[[Benchmark, int], float],
) -> list[Pairs]:  # fmt: skip
    """Return what each benchmark took on both sides, which take turns; each round has one hash seed for both."""
    found: dict[str, list[tuple[float, float]]] = {one.name: [] for one in chosen}
    for count in range(rounds):
        say(f"speed: round {count + 1} of {rounds}")
        for one in chosen:
            # Who is first changes, so that neither side has the warmer machine.
            if count % 2:
                second = theirs(one, count)
                found[one.name].append((ours(one, count), second))
            else:
                found[one.name].append((ours(one, count), theirs(one, count)))
    return [
        Pairs(name=name, ours=tuple(our for our, _ in pairs), theirs=tuple(their for _, their in pairs))
        for name, pairs in found.items()
    ]


def findings(taken: Sequence[Pairs]) -> tuple[Finding, ...]:
    """Return the geometric mean, the least ratio, and each benchmark's, slowest first."""
    ratios = {one.name: _finding(one.name, one.ratios) for one in taken}
    by_round = [statistics.geometric_mean(found) for found in zip(*(one.ratios for one in taken), strict=True)]
    mean = statistics.geometric_mean([one.value for one in ratios.values()])
    least = min(ratios.values(), key=lambda one: one.value)
    return (
        Finding(
            name=f"geometric mean of {len(taken)} benchmarks", value=mean, unit="x", bound=1.10, at_least=True,
            spread=spread(by_round) if len(by_round) > 1 else None,
        ),
        Finding(
            name=f"the least of them, {least.name}", value=least.value, unit="x", bound=_LEAST, at_least=True,
            spread=least.spread,
        ),
        *sorted(ratios.values(), key=lambda one: one.value),
    )  # fmt: skip


def _finding(name: str, ratios: Sequence[float]) -> Finding:
    several = len(ratios) > 1
    return Finding(
        name=name, value=statistics.median(ratios), unit="x", spread=spread(ratios) if several else None
    )  # fmt: skip


def timings(taken: Sequence[Pairs]) -> tuple[Timing, ...]:
    """Return what each benchmark took on each side."""
    return tuple(
        Timing(name=f"{one.name}, {side}", seconds=seconds)
        for one in taken
        for side, seconds in (("kiln", one.ours), ("reference", one.theirs))
    )


def _calibrate(side: Container, one: Benchmark) -> int:
    """Return the loops that take a tenth of a second; both sides do as many."""
    found = _ask(side, one, ("--calibrate-loops", "--values=1", "--warmups=1", "--min-time=0.1"), 0)
    benchmark = found["benchmarks"][0]
    metadata = {
        **found.get("metadata", {}),
        **benchmark.get("metadata", {}),
        **benchmark["runs"][0].get("metadata", {}),
    }
    return int(metadata["loops"])


def _work(side: Container, one: Benchmark, loops: int, seed: int) -> float:
    """Return the seconds of one loop: the median of three values of one process, after a warm-up."""
    found = _ask(side, one, (f"--loops={loops}", "--values=3", "--warmups=1"), seed)
    values: list[float] = found["benchmarks"][0]["runs"][0]["values"]
    return statistics.median(values)


def _ask(side: Container, one: Benchmark, words: Sequence[str], seed: int) -> Mapping[str, Any]:
    file = str(Path(_SUITE, one.folder, "run_benchmark.py"))
    return side.ask(_WORK, {"file": file, "words": [*words, *one.options], "seed": seed, "place": _PLACE})
