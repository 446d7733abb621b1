"""Check the steps of composite actions with actionlint, which checks those of workflows only.

Each action is turned into a workflow of one job, line by line, so that what is found names the
action's own lines. Prints the findings; exits with 1 if there are any.
"""

import re
import subprocess
import sys
from pathlib import Path


def workflow(action: str) -> str:
    """Return a composite action as a workflow of one job with the same inputs, each line in its place.

    Raises ValueError for an action that is not written as ours are: two spaces for each level, `inputs`
    before `runs`, and `steps` last.
    """
    head, runs, steps = action.partition("\nruns:\n  using: composite\n  steps:\n")
    if not runs or re.search(r"^[^\s#]", steps, re.MULTILINE):
        raise ValueError("is not written as: inputs, then `runs:`, `using: composite`, `steps:` and nothing more")
    _, _, inputs = head.partition("\ninputs:\n")
    names = re.findall(r"^  ([\w-]+):", inputs, re.MULTILINE)
    typed = ", ".join(f"{name}: {{type: string}}" for name in names)
    start = "on: {workflow_call: {secrets: {}, inputs: {" + typed + "}}}" + "\n" * head.count("\n")
    # A job's steps stand two columns to the right of an action's; a list may stand below its key.
    return f"{start}\njobs:\n  action:\n    steps:\n{steps.rstrip()}\n    runs-on: ubuntu-latest\n"


def main() -> int:
    """Check every action of the checkout."""
    root = Path(__file__).resolve().parent.parent
    failed = 0
    for path in sorted(root.glob(".github/actions/**/action.y*ml")):
        name = str(path.relative_to(root))
        try:
            text = workflow(path.read_text("utf-8"))
        except ValueError as error:
            print(f"{name}: {error}")
            failed = 1
            continue
        done = subprocess.run(
            ["actionlint", "-stdin-filename", name, "-"], cwd=root, input=text, text=True, check=False
        )
        failed |= done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
