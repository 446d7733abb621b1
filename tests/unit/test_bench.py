"""Figures of `invoke bench`: what is made of timings, and the families that planning is measured with."""

import json

import pytest

from kiln import bench, bench_plan, catalog, matrix, timing
from kiln.errors import SelectionError
from kiln.timing import Finding, Report, Section, Timing
from tests.unit import family

CALM = Timing(name="calm", seconds=(1.00, 1.01, 1.02))
DISTURBED = Timing(name="disturbed", seconds=(1.0, 2.0, 1.2, 1.1))
REPORT = Report(
    machine={"taken": "2026-11-21 02:00 UTC", "machine": "2 x a processor"},
    sections=(
        Section(
            name="start", findings=(Finding(name="ours against bare", value=1.234, unit="x", bound=1.5),),
            timings=(CALM, DISTURBED), notes=("know this",),
        ),
    ),
)  # fmt: skip


def test_a_timing_is_its_median():
    """One slow run does not move the figure."""
    assert Timing(name="t", seconds=(1.0, 9.0, 1.2)).median == 1.2


@pytest.mark.parametrize(
    ("seconds", "spread"),
    [
        ((3.0,), 0.0),
        ((1.0, 1.0, 1.0), 0.0),
        ((0.9, 1.0, 1.1), 0.1),
        ((0.0, 0.0), 0.0),
        ((1.0, 1.0, 1.0, 1.0, 9.0), 0.0),
    ],
)
def test_spread_is_the_distance_of_the_quartiles(seconds, spread):
    """A single outlier of many runs is no spread, for the median does not see it either."""
    assert Timing(name="t", seconds=seconds).spread == pytest.approx(spread)


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding(name="f", value=1.234, unit="x"), "1.23x"),
        (Finding(name="f", value=0.4, unit="s", bound=0.4), "0.400 s   bound 0.4 s: holds"),
        (Finding(name="f", value=12.34, unit="s", bound=10), "12.3 s    bound 10 s: MISSED"),
        (Finding(name="f", value=123.4, unit="s"), "123 s"),
        (Finding(name="f", value=0.00039, unit="s"), "0.00039 s"),
    ],
)
def test_a_finding_tells_whether_its_bound_holds(finding, text):
    """A figure is read with its unit, its bound and the verdict."""
    assert str(finding) == text


def test_a_report_has_figures_before_timings():
    """What people look for comes first; a disturbed timing says so, and only that."""
    lines = str(REPORT).splitlines()
    assert lines[:2] == ["Figures, from medians", "  start  ours against bare  1.23x     bound 1.5x: holds"]
    calm, disturbed = (next(line for line in lines if f"  {name}  " in line) for name in ("calm", "disturbed"))
    assert calm.split() == ["start", "calm", "1.01", "1.00", "1.02", "1%", "3"]
    assert disturbed.split() == ["start", "disturbed", "1.15", "1.00", "2.00", "28%", "disturbed", "4"]
    assert "start: know this" in lines
    assert lines[-2:] == ["taken: 2026-11-21 02:00 UTC", "machine: 2 x a processor"]


def test_one_run_has_no_spread():
    """A single run does not pretend to be calm."""
    section = Section(name="s", findings=(), timings=(Timing(name="t", seconds=(1.0,)),))
    assert "unknown" in str(Report(machine={}, sections=(section,)))


def test_the_report_for_machines_has_every_run():
    """The file holds the runs, and what the table shows of them."""
    (section,) = json.loads(REPORT.json())["sections"]
    assert section["findings"] == [{"name": "ours against bare", "value": 1.234, "unit": "x", "bound": 1.5}]
    assert [one["seconds"] for one in section["timings"]] == [[1.0, 1.01, 1.02], [1.0, 2.0, 1.2, 1.1]]
    assert section["timings"][0]["median"] == 1.01
    assert section["timings"][0]["spread"] == CALM.spread


def test_clocks_count_one_repeat():
    """Both clocks are of one repeat, and the work is done as often as asked."""
    done = []
    wall, own = timing.clocks(lambda: done.append(1), 4)
    assert len(done) == 4
    assert wall >= 0
    assert own >= 0


@pytest.mark.parametrize("size", [1, 3, 10, 200])
def test_a_grown_family_has_as_many_images(tmp_path, size):
    """Families grow by releases, and are as valid as any other."""
    ours = family.load(tmp_path, family.family(exclusions=[{"reason": "none of it", "variant": "*"}]))
    path = family.write(tmp_path / "grown.json", catalog.dumps(bench_plan.grown(ours, size)))
    count = len(matrix.expand(catalog.load(path)).images)
    assert size <= count < size + 3
    assert bench_plan.plan_all(path) == count


def test_planning_is_measured_by_image(tmp_path):
    """Each size has both clocks, and its figure is for one image, against the smallest size."""
    section = bench_plan.planning(family.load(tmp_path, family.family()), 2, (3, 6))
    assert [(one.name, len(one.seconds)) for one in section.timings] == [
        ("3 images", 2), ("6 images", 2), ("3, processor time", 2), ("6, processor time", 2),
    ]  # fmt: skip
    found = {one.name: one.value for one in section.findings}
    assert found["6 images planned and rendered"] == section.timings[1].median
    assert found["an image of 6"] == section.timings[3].median / 6
    assert found["an image of 6 against one of 3"] == pytest.approx(found["an image of 6"] / found["an image of 3"])


@pytest.mark.parametrize(
    ("names", "runs", "message"),
    [
        (["speed"], 5, "'speed' is no benchmark; there are plan, start, noop, tests"),
        (["plan"], 0, "--runs 0: nothing would be measured; give 1 or more"),
        ([], 5, "no image is recorded here; build one: ./run invoke build "),
        (["tests"], 5, "no image is recorded here; build one: ./run invoke build "),
    ],
)
def test_what_cannot_be_measured_is_said_first(tmp_path, names, runs, message):
    """A mistake costs no time, and nothing is measured that would be lost."""
    ours = family.expand(tmp_path, family.family())
    with pytest.raises(SelectionError) as caught:
        bench.run(names, ours, runs=runs, versions="versions.json")
    assert str(caught.value).startswith(message)
