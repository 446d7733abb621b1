"""Figures of `invoke bench`: what is made of timings, and the families that planning is measured with."""

import base64
import io
import json
import re
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from kiln import (
    bench,
    bench_compile,
    bench_page,
    bench_plan,
    bench_plot,
    bench_results,
    bench_speed,
    catalog,
    matrix,
    paths,
    phases,
    timing,
)  # fmt: skip
from kiln.bench_pair import Ask
from kiln.bench_results import Measured
from kiln.bench_speed import Benchmark, Pairs
from kiln.build import Outcome
from kiln.errors import CommandError, ReadmeError, SelectionError
from kiln.phases import Phase
from kiln.progress import Trace
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


@pytest.mark.parametrize(
    ("names", "flags", "message"),
    [
        (["plan", "cli"], {"image": "x"}, "--image: no use for plan, cli; leave it out"),
        (["size"], {"runs": 3}, "--runs: no use for size; leave it out"),
        (["cross"], {"quick": True}, "--quick: no use for cross; leave it out"),
        (["speed"], {"recorded": True}, "--recorded: no use for speed; leave it out"),
        (["family"], {"recorded": True, "whole": True}, "--whole --recorded: compile every reference, or take"),
    ],
)
def test_a_flag_that_no_figure_takes_is_refused(tmp_path, names, flags, message):
    """Hours later nobody would know that it was ignored."""
    with pytest.raises(SelectionError, match=f"^{message}"):
        bench.run(names, family.expand(tmp_path, family.family()), Ask(**flags), print)


def test_a_report_fits_a_terminal():
    """Figures that have no room are left out, and no word is cut."""
    words = {word for line in str(REPORT).splitlines() for word in line.split()}
    text = REPORT.text(44)
    assert max(map(len, text.splitlines())) <= 44
    assert {word for line in text.splitlines() for word in line.split()} <= words
    assert "least" not in text
    assert "median" in text


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


def test_a_wide_family_can_be_grown(ours, tmp_path):
    """Whatever its packages and defaults ask for, a small one is valid too."""
    path = family.write(tmp_path / "grown.json", catalog.dumps(bench_plan.grown(ours.catalog, 10)))
    assert bench_plan.plan_all(path) >= 10


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
        (
            ["quickly"],
            5,
            "'quickly' is no benchmark; there are compile, family, cross, speed, start, size, plan, cli, noop, tests",
        ),
        (["plan"], -1, "--runs -1: nothing would be measured; give 1 or more"),
        (["noop"], 5, "no image is recorded here; build one: ./run invoke build "),
        (["tests"], 5, "no image is recorded here; build one: ./run invoke build "),
    ],
)
def test_what_cannot_be_measured_is_said_first(tmp_path, names, runs, message):
    """A mistake costs no time, and nothing is measured that would be lost."""
    ours = family.expand(tmp_path, family.family())
    with pytest.raises(SelectionError) as caught:
        bench.run(names, ours, Ask(runs=runs), lambda _: None)
    assert str(caught.value).startswith(message)


def test_each_figure_is_kept_as_soon_as_it_is_there(monkeypatch, tmp_path):
    """One that fails takes none of those before with it."""
    ours = family.expand(tmp_path, family.family())
    section = Section(name="plan", findings=())
    monkeypatch.setattr(bench.machine, "facts", dict)
    monkeypatch.setattr(bench, "planning", lambda *_: section)

    def broken(_):
        raise CommandError("invoke --list: failed")

    monkeypatch.setattr(bench.bench_own, "cli", broken)
    kept = []
    with pytest.raises(CommandError):
        bench.run(["plan", "cli"], ours, Ask(), kept.append)
    assert [report.sections for report in kept] == [(section,)]


def test_sides_take_turns():
    """What disturbs one side disturbs the other; the first time of each is not counted."""
    done = []
    sides = {name: (lambda name=name: done.append(name) or float(len(done))) for name in ("ours", "theirs")}
    ours, theirs = timing.in_turn(sides, 2)
    assert done == ["ours", "theirs"] * 3
    assert (ours.seconds, theirs.seconds) == ((3.0, 5.0), (4.0, 6.0))


def test_a_ratio_is_of_medians_and_as_disturbed_as_its_worse_side():
    """A calm side does not hide what happened to the other."""
    found = timing.ratio("r", CALM, DISTURBED, 1.0)
    assert found.value == pytest.approx(1.01 / 1.15)
    assert found.spread == DISTURBED.spread
    assert found.raw == "1.01 s against 1.15 s"


def test_a_ratio_of_single_runs_claims_no_calm():
    """Of a build that takes half an hour there is one run, and no spread."""
    once = Timing(name="t", seconds=(2.0,))
    assert timing.ratio("r", once, once).spread is None


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding(name="f", value=0.15, unit="x", bound=0.2, spread=0.1), "0.150x    bound 0.2x: holds"),
        (
            Finding(name="f", value=0.15, unit="x", bound=0.2, spread=0.104),
            "disturbed: 0.150x with a spread of 10% bound 0.2x: uncertain",
        ),
        (Finding(name="f", value=1.15, unit="x", spread=0.3), "disturbed: 1.15x with a spread of 30%"),
        (Finding(name="f", value=1.1, unit="x", bound=1.1, at_least=True), "1.10x     bound at least 1.1x: holds"),
        (Finding(name="f", value=1.0, unit="x", bound=1.1, at_least=True), "1.00x     bound at least 1.1x: MISSED"),
    ],
)
def test_a_disturbed_figure_says_so_in_place_of_a_verdict(finding, text):
    """Nobody takes it for a result, neither a good nor a bad one."""
    assert str(finding) == text


# What is kept


def measured(name, value, **more):
    section = Section(name=name, findings=(Finding(name=f"figure of {name}", value=value, unit="x", bound=1),), **more)
    return Report(machine={"taken": "2026-11-21 14:00 UTC", "machine": "2 x a processor"}, sections=(section,))


def test_a_figure_replaces_only_its_own(tmp_path):
    """What was measured on another day stays, with the day."""
    file = tmp_path / "results.json"
    bench_results.keep(measured("size", 0.7), str(file))
    bench_results.keep(measured("start", 0.2), str(file))
    bench_results.keep(measured("size", 0.65), str(file))
    found = bench_results.read(file)
    assert {name: one.section.findings[0].value for name, one in found.items()} == {"size": 0.65, "start": 0.2}
    assert found["start"].machine["taken"] == "2026-11-21 14:00 UTC"


def test_the_file_has_every_run_and_is_stable(tmp_path):
    """Read and written again, it is the same text; medians and spreads stand beside the runs."""
    file = tmp_path / "results.json"
    bench_results.keep(REPORT, str(file))
    assert bench_results.dumps(bench_results.read(file)) == file.read_text()
    section = json.loads(file.read_text())["figures"]["start"]["section"]
    assert section["findings"] == [{"name": "ours against bare", "value": 1.234, "unit": "x", "bound": 1.5}]
    assert [one["seconds"] for one in section["timings"]] == [[1.0, 1.01, 1.02], [1.0, 2.0, 1.2, 1.1]]
    assert section["timings"][0]["median"] == 1.01
    assert section["timings"][1]["spread"] == pytest.approx(DISTURBED.spread, rel=1e-4)


def test_a_trial_is_not_kept_beside_the_published_figures(monkeypatch, tmp_path):
    """A quick build's figures go where somebody asks for them, and nowhere else."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    trial = measured("size", 0.1, trial="a quick build")
    said = bench_results.keep(trial, "")
    assert said.startswith("benchmarks/results.json: left as it is, for size is not comparable (a quick build)")
    assert not (tmp_path / "benchmarks").exists()
    bench_results.keep(trial, str(tmp_path / "trial.json"))
    assert bench_results.read(tmp_path / "trial.json")["size"].section.trial == "a quick build"
    assert "size: NOT COMPARABLE: a quick build" in str(trial)


def test_a_broken_file_is_one_line(tmp_path):
    """With what to do."""
    file = tmp_path / "results.json"
    file.write_text("{}")
    with pytest.raises(ReadmeError, match=r"results\.json: does not hold figures \(.*\); restore it with git"):
        bench_results.read(file)


def test_a_file_that_cannot_take_figures_is_said_before_they_are_measured(tmp_path):
    """A folder, and a file of something else; one that is not there yet is fine."""
    with pytest.raises(SelectionError, match="that is a folder; name a file in it"):
        bench_results.check(str(tmp_path))
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ReadmeError, match="does not hold figures"):
        bench_results.check(str(tmp_path / "other.json"))
    bench_results.check(str(tmp_path / "new" / "figures.json"))
    assert not (tmp_path / "new").exists()


# Speed


def pairs(name, ours, theirs):
    return Pairs(name=name, ours=tuple(ours), theirs=tuple(theirs))


def test_the_subset_is_large_and_pinned():
    """20 benchmarks or more, each once, and what they come from by hash, without the index's name."""
    names = [one.name for one in bench_speed.benchmarks()]
    assert len(set(names)) == len(names) >= 20
    requirements = (bench_speed.FOLDER / "requirements.txt").read_text()
    assert re.fullmatch(r"pyperf [\d.]+, pyperformance [\d.]+", bench_speed.versions(requirements))
    assert "--hash=sha256:" in requirements
    assert "http" not in requirements


def test_speed_is_the_geometric_mean_of_the_rounds_ratios():
    """The mean comes first, then the least one by its name, then all."""
    found = bench_speed.findings(
        [
            pairs("double", [1, 1, 4], [2, 2, 8]),
            pairs("slower", [1, 1, 1], [0.5, 0.5, 0.5]),
            pairs("same", [1] * 3, [1] * 3),
        ]
    )
    assert [one.name for one in found] == [
        "geometric mean of 3 benchmarks",
        "the least of them, slower",
        "slower",
        "same",
        "double",
    ]
    assert [one.value for one in found] == pytest.approx([1.0, 0.5, 0.5, 1.0, 2.0])
    assert [one.verdict for one in found[:2]] == ["MISSED", "MISSED"]
    assert {one.spread for one in found} == {0.0}


def test_speed_takes_turns_and_changes_who_is_first():
    """Each round has a hash seed of its own, which both sides get."""
    done = []
    side = lambda name: lambda one, seed: done.append((one.name, name, seed)) or 1.0  # noqa: E731
    found = bench_speed.measure([Benchmark(name="a", folder="bm_a")], 2, side("ours"), side("theirs"))
    assert done == [("a", "ours", 0), ("a", "theirs", 0), ("a", "theirs", 1), ("a", "ours", 1)]
    assert found == [pairs("a", [1.0, 1.0], [1.0, 1.0])]


# The family and where its time went


def test_a_family_is_one_release_on_two_suites(ours):
    """Every variant of both, and nothing else."""
    found = bench_compile.members(ours, ours.get("3.13.5-slim-trixie"))
    assert {one.target_name for one in found} == {"trixie", "bookworm"}
    assert {one.python for one in found} == {"3.13.5"}
    assert {"3.13.5-trixie", "3.13.5-slim-trixie", "3.13.5-bookworm", "3.13.5-slim-bookworm"} <= {
        one.id for one in found
    }


def log(vertex, time, text):
    return {"vertex": vertex, "timestamp": time, "data": base64.b64encode(text.encode()).decode()}


def test_phases_are_told_by_the_steps_themselves():
    """A step without a name is what Docker calls it; what was cached took no time."""
    trace = Trace(io.StringIO())
    name = "[compile 3/4] RUN <<EOF (set -eux...)"
    events = [
        {"vertexes": [{"digest": "a", "name": name, "started": "2026-11-21T14:00:00.5Z"}]},
        {"logs": [log("a", "2026-11-21T14:00:01.123456789Z", "+ set -eux\n+ : 'kiln: configure'\n")]},
        {"logs": [log("a", "2026-11-21T14:00:31.5Z", "+ : 'reference: make at 31 s'\n")]},
        {
            "vertexes": [
                {
                    "digest": "a",
                    "name": name,
                    "started": "2026-11-21T14:00:00.5Z",
                    "completed": "2026-11-21T14:02:00.5Z",
                }
            ]
        },
        {
            "vertexes": [
                {
                    "digest": "b",
                    "name": "[compile 4/4] RUN b",
                    "started": "2026-11-21T14:02:00Z",
                    "completed": "2026-11-21T14:02:02Z",
                }
            ]
        },
        {
            "vertexes": [
                {
                    "digest": "c",
                    "name": "[compile 2/4] RUN c",
                    "cached": True,
                    "started": "2026-11-21T14:00:00Z",
                    "completed": "2026-11-21T14:00:09Z",
                }
            ]
        },
    ]
    for event in events:
        trace.feed(json.dumps(event))
    assert [(one.name, one.seconds) for one in trace.phases.found] == [
        ("configure", 31.0),
        ("make", 89.0),
        ("compile 4/4", 2.0),
    ]
    assert phases.words(trace.phases.found) == "configure 31 s, make 89 s, compile 4/4 2 s"


def test_phases_of_several_builds_add_up():
    """By name, in the order in which they are first met."""
    one, two = Phase(name="configure", seconds=30), Phase(name="export", seconds=2)
    assert phases.add([one, two], [two]) == (one, Phase(name="export", seconds=4))


# The plot


FIGURES = {
    one.sections[0].name: Measured(machine=one.machine, section=one.sections[0])
    for one in (measured("size", 0.7), measured("speed", 1.2), measured("plan", 2))
}


def finding(name, value, **more):
    """Return a figure that the plot shows."""
    return Finding(name=name, value=value, unit="x", **more)


def drawn(**sections):
    """Return the plot of sections, each a list of figures, as XML."""
    found = {
        name: Measured(machine={}, section=Section(name=name, findings=tuple(findings), timings=()))
        for name, findings in sections.items()
    }
    return ElementTree.fromstring(bench_plot.svg(found))  # noqa: S314 - it is our own


def found_by(root, element, name):
    """Return the elements of a class, in their order."""
    return [one for one in root.iter(f"{{http://www.w3.org/2000/svg}}{element}") if one.get("class") == name]


def test_the_plot_is_the_same_for_the_same_figures():
    """And another one for others."""
    first = bench_plot.svg(FIGURES)
    assert first == bench_plot.svg(FIGURES)
    assert "figure of size" in first
    assert "0.70" in first
    other = FIGURES | {"size": Measured(machine={}, section=measured("size", 0.8).sections[0])}
    assert first != bench_plot.svg(other)


def test_a_bar_is_as_long_as_its_figure():
    """Half of the reference is half as long; the bound stands where it belongs."""
    root = drawn(size=[finding("half", 0.5, bound=0.75), finding("all", 1.0, bound=1.0)])
    half, whole = (float(bar.get("width")) for bar in found_by(root, "rect", "ours")[1:])
    assert half * 2 == whole
    bound = float(found_by(root, "line", "bound")[1].get("x1"))
    reference = float(found_by(root, "line", "reference")[1].get("x1"))
    assert bound == pytest.approx(reference - whole / 4)


def test_a_plot_holds_all_its_bars():
    """However many there are: each has a row of its own within the picture."""
    root = drawn(size=[finding("a", 0.5, bound=1)], speed=[finding(f"b{number}", 1.5) for number in range(50)])
    bars = found_by(root, "rect", "ours")[1:]
    tops = [float(bar.get("y")) for bar in bars]
    assert len(set(tops)) == 51
    assert tops == sorted(tops)
    assert tops[-1] + 20 < float(root.get("height"))
    assert max(float(bar.get("width")) for bar in bars) < float(root.get("width"))


def test_a_name_may_hold_what_xml_needs():
    """It is text, whatever stands in it."""
    root = drawn(size=[finding("a < b & c", 0.5, bound=1)])
    assert [text.text for text in found_by(root, "text", "name")] == ["a < b & c"]


def test_disturbed_figures_look_so():
    """They have a colour and a word of their own, and the legend says what that is."""
    calm, disturbed = finding("calm", 1.1, spread=0.01), finding("disturbed", 1.2, spread=0.5)
    assert len(found_by(drawn(speed=[calm]), "rect", "disturbed")) == 0
    root = drawn(speed=[calm, disturbed])
    assert len(found_by(root, "rect", "disturbed")) == 2
    assert "1.20 disturbed" in [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_plot_of_other_figures_is_empty():
    """Figures that are not compared with the reference have no bars."""
    assert found_by(drawn(cli=[finding("invoke --list", 0.1, bound=0.4)]), "text", "name") == []


def test_the_page_has_a_row_for_each_bound():
    """In the order in which people look for figures, with what reproduces them."""
    found = bench_page.values(FIGURES)
    assert [(row["command"], row["result"], row["verdict"], row["taken"]) for row in found["rows"]] == [
        ("bench.speed", "1.20x", "MISSED", "2026-11-21"),
        ("bench.size", "0.700x", "holds", "2026-11-21"),
        ("bench.plan", "2.00x", "MISSED", "2026-11-21"),
    ]
    assert found["machines"] == ["2 x a processor"]


def test_a_compile_that_images_share_is_counted_once():
    """Each image's own steps are its own, and named so."""
    compiled = (Phase(name="configure", seconds=30.0), Phase(name="packages", seconds=10.0))
    own = (Phase(name="packages", seconds=2.0), Phase(name="export", seconds=1.0))
    outcome = Outcome(name="i", result="built", compiled=compiled, phases=own)
    builds = [SimpleNamespace(build=SimpleNamespace(compile_target=target)) for target in ("a", "a", "b")]
    assert bench_compile.together(builds, [outcome] * 3) == (
        Phase(name="configure", seconds=60.0), Phase(name="packages", seconds=20.0),
        Phase(name="image: packages", seconds=6.0), Phase(name="image: export", seconds=3.0),
    )  # fmt: skip
    assert bench_compile.alone(bench_compile.together(builds, [outcome] * 3)) == 60.0
