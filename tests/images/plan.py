"""What one process of a test run knows: the engine, the cases, and how their checks ended."""

import datetime
import shlex
import sys
from collections import Counter
from collections.abc import Iterable

import pytest

from kiln import family, foreign, records
from kiln.engine import Engine
from kiln.errors import SelectionError
from kiln.matrix import Matrix
from kiln.records import Record
from tests.images import broker, cases
from tests.images.cases import Case
from tests.images.subject import Subject


class State:
    """The cases of a run, and what is known of their checks so far."""

    def __init__(self, engine: Engine, token: str, found: Iterable[Case], redis: str) -> None:
        self.engine = engine
        self.token = token
        """The lease of the run's containers."""
        self.redis = redis
        """The image of a broker, if workers are among the cases."""
        self.cases = list(found)
        self.subjects: dict[str, Subject] = {}
        self.total: Counter[str] = Counter()
        """How many checks each case has."""
        self._ended: dict[str, dict[str, str]] = {case.id: {} for case in self.cases}

    def note(self, case: Case, name: str, report: pytest.TestReport) -> None:
        """Note a part of a check; when the last check of a case has ended, store the result."""
        ended = self._ended[case.id]
        if report.when == "call" or not report.passed:
            ended[name] = "failed" if report.failed or ended.get(name) == "failed" else report.outcome
        if report.when == "teardown" and len(ended) == self.total[case.id]:
            subject = self.subjects.get(case.id)
            spent = {**subject.seconds, "execs": subject.execs, "repeats": subject.repeats} if subject else {}
            report.user_properties.append(("kiln", spent))
            if case.record and subject and not subject.broken:
                _store(case, case.record.digest, ended, len(subject.repeats))


def _store(case: Case, digest: str, ended: dict[str, str], repeats: int) -> None:
    failed = tuple(sorted(name for name, outcome in ended.items() if outcome == "failed"))
    passed = sum(outcome == "passed" for outcome in ended.values())
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    records.save_result(
        records.Result(
            id=case.image.id, platform=case.platform, digest=digest, tests=case.tests, passed=passed,
            failed=failed, tested=now, repeats=repeats,
        )
    )  # fmt: skip


def choose(option, globs: list[str], engine: Engine) -> list[Case]:
    """Return the cases that the command line asks for."""
    family, native = load(option), engine.platforms[0]
    if not option.image:
        found = _records(family)
        return cases.recorded(family, found, globs=globs, platforms=option.platform, native=native)
    if not option.image_id:
        raise SelectionError(f"--image {option.image}: say with --as ID which image of the matrix it should be")
    platform = (option.platform or [native])[0]
    return [cases.named(family, option.image, option.image_id, platform, native=native)]


def _records(family: Matrix) -> list[Record]:
    """Return what was built last of all images."""
    return [record for repository in family.repositories for record in records.every(repository)]


def redis(option, chosen: list[Case], engine: Engine) -> str:
    """Return the reference of a broker's image, if one of the cases is a worker."""
    kinds = {case.image.installed.package.test.kind for case in chosen if case.image.installed}
    return broker.build(engine, load(option).catalog) if "worker" in kinds else ""


def load(option) -> Matrix:
    """Return the matrix that the command line names."""
    return family.load(option.versions)


def check_recorded(option, globs: list[str]) -> None:
    """Raise SelectionError if there is nothing to test, or an option would be ignored, before an engine is brought."""
    if option.image_id and not option.image:
        raise SelectionError(f"--as {option.image_id}: says which image --image is; name that too, or leave it out")
    if option.image and (globs or len(option.platform) > 1):
        words = shlex.join([*globs, *(f"--platform={name}" for name in option.platform[1:])])
        raise SelectionError(f"--image {option.image}: is one image on one platform; leave out {words}")
    if not option.image:
        family = load(option)
        found = _records(family)
        cases.recorded(family, found, globs=globs, platforms=option.platform, native="")


def meant(definition, case: Case) -> bool:
    """Tell whether a check is for an image, by its markers."""
    variant, flavour, kind = (definition.get_closest_marker(name) for name in ("variant", "flavour", "package"))
    installed = case.image.installed
    if flavour and case.image.flavour not in flavour.args:
        return False
    if kind and (not installed or installed.package.test.kind not in (kind.args or (installed.package.test.kind,))):
        return False
    return not variant or case.image.variant in variant.args


def runnable(chosen: list[Case], engine: Engine) -> list[Case]:
    """Return the cases whose platform this engine can run, under emulation if need be, and say which it cannot."""
    foreign.ready(dict.fromkeys(case.platform for case in chosen), engine)
    able = engine.platforms
    for case in chosen:
        if case.platform not in able:
            say(f"{case.id}: not tested, this engine cannot run {case.platform}; see `invoke doctor`")
    found = [case for case in chosen if case.platform in able]
    if not found:
        raise SelectionError("no chosen image can run on this engine; `invoke doctor` says what is missing")
    return found


def untested(chosen: list[Case]) -> list[Case]:
    """Return the cases that did not pass these very tests before, and name those that did."""
    for case in chosen:
        if case.passed_before:
            say(f"{case.id}: skipped, it passed these tests before; --force tests it again")
    return [case for case in chosen if not case.passed_before]


def say(text: str) -> None:
    """Print a line before pytest's own output begins."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
