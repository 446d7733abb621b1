"""The tests of images: which are tested, their fixtures, and where the results go.

    python -m pytest tests/images -n 2 '3.13*' --force
    python -m pytest tests/images --image localhost/try:1 --as 3.13.5-slim-trixie

A check is a function that takes some of the fixtures `image`, `record`, `facts`, `installs`,
`config`, `expect` and testinfra's `host`. The first `facts` of an image start its container.
"""

import datetime
import sys
import types
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from kiln import catalog, container, matrix, records
from kiln import engine as engines
from kiln.errors import KilnError
from tests.images import cases
from tests.images.subject import Subject, use_engine

_NO_CALL = types.SimpleNamespace(params={})
_STATE = pytest.StashKey["State"]()


class State:
    """What one process of a test run knows: the engine, the cases and how their checks ended."""

    def __init__(self, config, engine, token, found):
        self.engine = engine
        self.token = token
        self.cases = found
        self.subjects = {}
        self.total = Counter()
        self.ended = {case.id: {} for case in found}
        self.storing = not config.option.image


def pytest_addoption(parser):
    group = parser.getgroup("kiln", "Kiln's images")
    group.addoption("--versions", type=Path, default=Path("versions.json"), metavar="FILE", help="the matrix")
    group.addoption("--platform", action="append", default=[], help="test only builds for this platform; repeatable")
    group.addoption("--force", action="store_true", help="test again what passed before")
    group.addoption("--image", metavar="REF", help="test any image of the engine; stores no result")
    group.addoption("--as", dest="image_id", metavar="ID", help="the id whose checks --image has to pass")


def pytest_configure(config):
    config.addinivalue_line("markers", "variant(name): the check is for images of this variant only")


def pytest_cmdline_main(config):
    """Plan before pytest starts, so that a user's mistake is one line."""
    option = config.option
    if option.help or option.version or hasattr(config, "workerinput"):
        return None
    if option.numprocesses and option.dist in ("no", "load"):
        # All checks of an image go to one worker, so that its container is made once.
        option.dist = "loadgroup"
    # What is skipped after an image's first failure is not worth a line each.
    option.reportchars = "fE"
    globs = [arg for arg in config.args if not Path(arg.split("::")[0]).exists()]
    config.args = [arg for arg in config.args if arg not in globs] or [str(Path(__file__).parent)]
    try:
        return _plan(config, globs)
    except KilnError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _plan(config, globs):
    """Choose the cases; return an exit code if there is nothing left to do."""
    family = matrix.expand(catalog.load(config.option.versions), str(config.option.versions))
    found = records.every(family.repository)
    if not config.option.image and not found:
        cases.recorded(family, found, globs=globs, platforms=config.option.platform, native="")
    engine = engines.bring()
    chosen = _cases(config, family, globs, engine)
    before = [] if config.option.force else [case for case in chosen if case.passed_before]
    for case in before:
        sys.stdout.write(f"{case.id}: passed these tests before; --force tests it again\n")
    chosen = [case for case in chosen if case not in before]
    if not chosen:
        return 0
    stack = ExitStack()
    config.add_cleanup(stack.close)
    _start(config, engine, stack.enter_context(container.lease(engine)), chosen)
    return None


def _cases(config, family, globs, engine):
    option, native = config.option, engine.platforms[0]
    if option.image:
        platform = (option.platform or [native])[0]
        return [cases.named(family, option.image, option.image_id or "", platform, native=native)]
    found = records.every(family.repository)
    chosen = cases.recorded(family, found, globs=globs, platforms=option.platform, native=native)
    for case in chosen:
        if case.platform not in engine.platforms:
            sys.stdout.write(f"{case.id}: this engine cannot run {case.platform}; `invoke doctor` says how it could\n")
    return [case for case in chosen if case.platform in engine.platforms]


def _start(config, engine, token, chosen):
    use_engine(engine)
    config.stash[_STATE] = State(config, engine, token, chosen)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Hand a worker of pytest-xdist what this process has planned."""
    state = node.config.stash[_STATE]
    node.workerinput["kiln"] = {"token": state.token, "cases": [case.id for case in state.cases]}


def pytest_sessionstart(session):
    """In a worker, find again what was planned."""
    given = getattr(session.config, "workerinput", {}).get("kiln")
    if given:
        engine = engines.bring()
        family = matrix.expand(catalog.load(session.config.option.versions))
        chosen = [case for case in _cases(session.config, family, [], engine) if case.id in given["cases"]]
        _start(session.config, engine, given["token"], chosen)


def pytest_generate_tests(metafunc):
    if "case" not in metafunc.fixturenames:
        return
    state = metafunc.config.stash.get(_STATE, None)
    marker = metafunc.definition.get_closest_marker("variant")
    chosen = [case for case in state.cases if not marker or case.image.variant in marker.args] if state else []
    params = [pytest.param(case, id=case.id, marks=pytest.mark.xdist_group(case.id)) for case in chosen]
    metafunc.parametrize("case", params, scope="session", indirect=True)


def pytest_collection_modifyitems(config, items):
    """Count the checks of each image: a result is stored if all of them ran."""
    state = config.stash.get(_STATE, None)
    # A check of a variant that no chosen image has is there without a case.
    items[:] = [item for item in items if not _has_case(item) or isinstance(item.callspec.params["case"], cases.Case)]
    for item in items:
        if state and _has_case(item):
            state.total[item.callspec.params["case"].id] += 1


def _has_case(item):
    return "case" in getattr(item, "callspec", _NO_CALL).params


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Note how each check of an image ended, where it ran."""
    report = yield
    state = item.config.stash.get(_STATE, None)
    if state and _has_case(item):
        case = item.callspec.params["case"]
        _note(state, case, item, report)
        report.user_properties.append(("image", case.id))
    return report


def _note(state, case, item, report):
    ended, name = state.ended[case.id], item.originalname
    if report.failed or report.when == "call" or report.skipped:
        ended[name] = "failed" if report.failed or ended.get(name) == "failed" else report.outcome
    if report.when == "teardown" and len(ended) == state.total[case.id]:
        subject = state.subjects.get(case.id)
        if subject:
            report.user_properties.append(("kiln", {**subject.seconds, "execs": subject.execs}))
        if state.storing and case.record:
            _store(case, ended)


def _store(case, ended):
    failed = tuple(sorted(name for name, outcome in ended.items() if outcome == "failed"))
    passed = sum(outcome == "passed" for outcome in ended.values())
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    records.save_result(
        records.Result(
            id=case.image.id, platform=case.platform, digest=case.record.digest, tests=case.tests,
            passed=passed, failed=failed, tested=now,
        )
    )  # fmt: skip


_spent = {}


def pytest_runtest_logreport(report):
    """Gather, in the process that prints, what each image took."""
    found = dict(report.user_properties)
    if "kiln" in found:
        _spent[found["image"]] = found["kiln"]


def pytest_terminal_summary(terminalreporter):
    """Say what each image took: the container's start is the engine's work, the rest is ours."""
    for name, spent in sorted(_spent.items()):
        start = spent.get("start", 0)
        rest = sum(value for key, value in spent.items() if key not in ("start", "execs"))
        execs = spent["execs"]
        terminalreporter.write_line(f"{name}: container {start:.1f} s, checks {rest:.1f} s, {execs} docker exec")


@pytest.fixture(scope="session")
def case(request):
    """Return the image under test, with its platform and record."""
    return request.param


@pytest.fixture(scope="session")
def subject(request, case):
    """Yield the image's container and what it answered, which are made when they are first asked for."""
    state = request.config.stash[_STATE]
    made = Subject(case, state.engine, state.token)
    state.subjects[case.id] = made
    yield made
    made.close()


@pytest.fixture
def image(case):
    """Return what the matrix says of the image (kiln.matrix.Image)."""
    return case.image


@pytest.fixture
def record(case):
    """Return what the build recorded (kiln.records.Record), or None for an image given by `--image`."""
    return case.record


@pytest.fixture
def facts(subject):
    """Return what the probe found in the container, by group (see probe.py)."""
    return subject.facts


@pytest.fixture
def installs(subject):
    """Return what came of installing from the index (see installs.py)."""
    return subject.installs


@pytest.fixture
def config(subject):
    """Return the image's own configuration: Cmd, Env, Labels, User."""
    return subject.config["Config"]


@pytest.fixture
def host(subject):
    """Return testinfra's host, bound to the image's container; each question to it is one `docker exec`."""
    return subject.host


@pytest.fixture
def expect(case):
    """Compare a fact with the matrix; a failure is one line that names image, expectation and finding."""

    def compare(what, wanted, found):
        __tracebackhide__ = True
        if isinstance(wanted, dict) and isinstance(found, dict):
            # Only what differs: the rest would hide it.
            keys = [key for key in wanted | found if wanted.get(key) != found.get(key)]
            wanted, found = ({key: side[key] for key in keys if key in side} for side in (wanted, found))
        if wanted != found:
            pytest.fail(f"{case.id}: {what}: expected {wanted!r}, found {found!r}", pytrace=False)

    return compare


@pytest.fixture
def expect_none(case):
    """Fail, with the first few of them, if there is something that must not be there."""

    def check(what, found):
        __tracebackhide__ = True
        names = sorted(found)
        if names:
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            pytest.fail(f"{case.id}: expected no {what}, found {', '.join(names[:8])}{more}", pytrace=False)

    return check
