"""Use the application of a package's image as its users do: runs in the container where it serves.

Prints JSON as the probe does. `GIVEN`, on the line before, says what it is, and how much of it is asked for.
"""

import concurrent.futures
import http.client
import json
import os
import pathlib
import subprocess
import threading
import time

GIVEN = globals().get("GIVEN", {})
PARALLEL = 8
# Requests of one connection: both many on one, and many connections.
BATCH = 25
PATIENCE = 30
LOST = threading.Event()


def connection():
    """Return a connection to the application, as soon as it takes one."""
    end = time.monotonic() + PATIENCE
    while True:
        found = http.client.HTTPConnection("127.0.0.1", GIVEN["port"], timeout=PATIENCE)
        try:
            found.connect()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return found


def batch(numbers):
    """Return the answers to requests on one connection, up to the first that is lost, and why it is."""
    if LOST.is_set():
        return []
    line, answers = connection(), []
    for number in numbers:
        try:
            line.request("GET", f"/{number}")
            answer = line.getresponse()
            text = answer.read()
            found = json.loads(text) if answer.status == 200 else {"status": answer.status, "path": f"/{number}"}
            answers.append("" if found.pop("path") == f"/{number}" else "the answer to another request")
            answers[-1] = answers[-1] or json.dumps(found, sort_keys=True)
        except (OSError, ValueError, http.client.HTTPException) as error:
            # One that is lost is enough, and waiting for a thousand would take hours.
            LOST.set()
            answers.append(f"{type(error).__name__}: {error}")
            break
    line.close()
    return answers


def requests():
    """Tell how often each answer came; each should be the versions, and come as often as it was asked for."""
    batches = [range(first, min(first + BATCH, GIVEN["count"])) for first in range(0, GIVEN["count"], BATCH)]
    connection().close()
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        return tally(answer for answers in pool.map(batch, batches) for answer in answers)


def tasks():
    """Tell how often the sum of a task was right; and the versions that the worker itself tells."""
    from celery import group
    from worker import add, versions

    found = versions.delay().get(timeout=PATIENCE)
    sums = group(add.s(number, 1) for number in range(GIVEN["count"]))().get(timeout=PATIENCE)
    right = json.dumps(found, sort_keys=True)
    return tally(right if one == number + 1 else f"{number} + 1 = {one}" for number, one in enumerate(sums))


def tally(answers):
    """Return how often each answer came."""
    found = {}
    for answer in answers:
        found[answer] = found.get(answer, 0) + 1
    return found


def processes():
    """Return each process with its user, state and parent, by its number."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        found[path.parent.name] = {
            "user": int(lines["Uid"].split()[0]), "state": lines["State"][0], "parent": lines["PPid"].strip(),
        }  # fmt: skip
    return found


def orphans():
    """Tell which dead processes process 1 has not buried: a shell leaves one to it."""
    subprocess.run(["sh", "-c", "sleep 0.1 &"], check=True)
    end, dead = time.monotonic() + 5, ["waiting"]
    while dead and time.monotonic() < end:
        time.sleep(0.2)
        dead = [number for number, one in processes().items() if one["parent"] == "1" and one["state"] == "Z"]
    return dead


def users():
    """Tell the users that processes run as, but for this one."""
    mine = {str(os.getpid()), str(os.getppid())}
    return sorted({one["user"] for number, one in processes().items() if number not in mine})


def guarded(group):
    """Return (fact, why it failed)."""
    try:
        return group(), ""
    except Exception as problem:  # noqa: BLE001 - whatever a broken image does is a fact of it
        return None, f"{type(problem).__name__}: {problem}"


def main():
    """Print what came of it."""
    groups = {"answers": requests if GIVEN["kind"] == "http" else tasks, "users": users, "orphans": orphans}
    results = {name: guarded(groups[name]) for name in GIVEN["groups"]}
    print(json.dumps({
        "facts": {name: fact for name, (fact, error) in results.items() if not error},
        "errors": {name: error for name, (_, error) in results.items() if error},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
