"""`invoke bench` runs as a user runs it. No figure is asserted: machines differ, and are disturbed."""

import json
import subprocess
import sys

from kiln import paths


def _bench(*args):
    command = [sys.executable, "-m", "invoke", "bench", *args]
    return subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)


def test_start_is_measured_in_fresh_processes(tmp_path):
    """The table and the file hold the same figures, each side measured as often as asked."""
    file = tmp_path / "bench.json"
    done = _bench("start", "--runs", "1", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert "invoke --list against import invoke" in done.stdout
    report = json.loads(file.read_text())
    (section,) = report["sections"]
    assert [len(one["seconds"]) for one in section["timings"]] == [3, 3]
    assert {"taken", "machine", "load before", "versions", "kiln"} <= report["machine"].keys()


def test_an_image_is_needed_and_said(monkeypatch, tmp_path):
    """Where nothing was built, one line says what to type, before any engine is brought."""
    monkeypatch.setenv("KILN_HOME", str(tmp_path))
    done = _bench()
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: no image is recorded here; build one: ./run invoke build ")
    assert not (tmp_path / "engine").exists()
