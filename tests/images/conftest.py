"""The tests of images: which are tested, their fixtures, and where the results go.

    python -m pytest tests/images -n 2 '3.13*' --force
    python -m pytest tests/images --image localhost/try:1 --as ID

A check is a function that takes some of the fixtures `image`, `record`, `facts`, `installs`,
`distributions`, `life`, `config`, `expect` and testinfra's `host`. The first `facts` of an image start its container.
"""

import pickle
import sys
import types
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from kiln import container
from kiln import engine as engines
from kiln.errors import KilnError
from tests.images import compare, plan
from tests.images.cases import Case
from tests.images.plan import State
from tests.images.subject import Subject, use_engine

_STATE = pytest.StashKey[State]()
_NO_CALL = types.SimpleNamespace(params={})
_spent = {}


def pytest_addoption(parser):
    group = parser.getgroup("kiln", "Kiln's images")
    group.addoption("--versions", type=Path, default=Path("versions.json"), metavar="FILE", help="the matrix")
    group.addoption("--platform", action="append", default=[], help="test only builds for this platform; repeatable")
    group.addoption("--force", action="store_true", help="test again what passed before")
    group.addoption("--image", metavar="REF", help="test any image of the engine; stores no result")
    group.addoption("--as", dest="image_id", metavar="ID", help="the id whose checks --image has to pass")


def pytest_configure(config):
    config.addinivalue_line("markers", "variant(name): the check is for images of this variant only")
    config.addinivalue_line("markers", "flavour(name): the check is for images of this flavour only")
    config.addinivalue_line("markers", "package(kind): the check is for images with a package, of any kind or this one")


def pytest_cmdline_main(config):
    """Plan before pytest starts, so that a user's mistake is one line."""
    option = config.option
    if option.help or option.version:
        return None
    globs = [arg for arg in config.args if not Path(arg.split("::")[0]).exists()]
    config.args = [arg for arg in config.args if arg not in globs] or [str(Path(__file__).parent)]
    if hasattr(config, "workerinput"):
        config.stash[_STATE] = State(*pickle.loads(config.workerinput["kiln"]))  # noqa: S301 - just written by us
        return None
    # What is skipped after an image's first failure is not worth a line each.
    option.reportchars = "fE"
    try:
        return _plan(config, globs)
    except KilnError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _plan(config, globs):
    """Choose the cases; return an exit code if there is nothing left to do."""
    plan.check_recorded(config.option, globs)
    engine = engines.bring()
    chosen = plan.runnable(plan.choose(config.option, globs, engine), engine)
    if not config.option.force:
        chosen = plan.untested(chosen)
    if not chosen:
        return 0
    stack = ExitStack()
    config.add_cleanup(lambda: _end(stack))
    use_engine(engine)
    redis = plan.redis(config.option, chosen, engine)
    config.stash[_STATE] = State(engine, stack.enter_context(container.lease(engine)), chosen, redis)
    return None


def _end(stack):
    """Remove what is left of this run's containers."""
    try:
        stack.close()
    except KilnError as error:
        sys.stderr.write(f"error: containers are left for the next run to remove: {error}\n")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Hand a worker of pytest-xdist what this process has planned."""
    state = node.config.stash[_STATE]
    node.workerinput["kiln"] = pickle.dumps((state.engine, state.token, state.cases, state.redis))


def pytest_generate_tests(metafunc):
    if "case" not in metafunc.fixturenames:
        return
    state = metafunc.config.stash.get(_STATE, None)
    chosen = [case for case in state.cases if plan.meant(metafunc.definition, case)] if state else []
    params = [pytest.param(case, id=case.id) for case in chosen]
    # One that is no case stands for none; it goes below, where pytest itself would fail an empty list.
    metafunc.parametrize("case", params or [None], scope="session", indirect=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Put the checks of an image together, so that it has one container, and count them."""
    state = config.stash.get(_STATE, None)
    # A check of a variant that no chosen image has is there without a case.
    items[:] = [item for item in items if not _has_case(item) or isinstance(item.callspec.params["case"], Case)]
    if state:
        # All of them, before -k leaves some out: only a whole run is stored.
        state.total.update(item.callspec.params["case"].id for item in items if _has_case(item))
    yield
    if state:
        # pytest's own order goes by each check's own list of images, and those lists differ.
        order = [case.id for case in state.cases]
        items.sort(key=lambda item: order.index(item.callspec.params["case"].id) if _has_case(item) else -1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Send all checks of an image to one worker, so that it has one container.

    xdist's own `--dist loadgroup` does nothing with pytest 9.2, which computes ids of items itself.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByImage(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return nodeid.partition("[")[2] or nodeid

    return ByImage(config, log)


def _has_case(item):
    return "case" in getattr(item, "callspec", _NO_CALL).params


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Note how each check of an image ended, where it ran."""
    report = yield
    state = item.config.stash.get(_STATE, None)
    if state and _has_case(item):
        case = item.callspec.params["case"]
        report.user_properties.append(("image", case.id))
        state.note(case, item.originalname, report)
    return report


def pytest_runtest_logreport(report):
    """Gather, in the process that prints, what each image took."""
    found = dict(report.user_properties)
    if "kiln" in found:
        _spent[found["image"]] = found["kiln"]


def pytest_terminal_summary(terminalreporter):
    """Say what each image took: the container's start is the engine's work, the rest is ours."""
    for name, spent in sorted(_spent.items()):
        execs, repeats = spent.pop("execs"), spent.pop("repeats")
        parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in spent.items())
        terminalreporter.write_line(f"{name}: {parts}; {execs} docker exec")
        for reason in repeats:
            terminalreporter.write_line(f"{name}: started again, because the container runtime failed: {reason}")


@pytest.fixture(scope="session")
def case(request):
    """Return the image under test, with its platform and record."""
    return request.param


@pytest.fixture(scope="session")
def subject(request, case):
    """Yield the image's container and what it answered, which are made when they are first asked for."""
    state = request.config.stash[_STATE]
    made = Subject(case, state.engine, state.token, state.redis)
    state.subjects[case.id] = made
    yield made
    try:
        made.close()
    except KilnError as error:
        pytest.fail(f"{case.id}: its container is left for the next run to remove: {error}", pytrace=False)


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
def distributions(subject):
    """Return what of the index is in the image (see distributions.py)."""
    return subject.distributions


@pytest.fixture
def life(subject):
    """Return what came of the package's application (see application.py)."""
    return subject.life


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
    """Compare a fact with the matrix: `expect(what, wanted, found)`."""
    return partial(compare.same, case.id)


@pytest.fixture
def expect_none(case):
    """Fail if there is something that must not be there: `expect_none(what, found)`."""
    return partial(compare.nothing, case.id)
