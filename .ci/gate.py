"""The gate between revisions, tested on itself: python3 .ci/gate.py WORK

A revision against itself passes; planted slow-downs of 2% (instructions) and 8% (time) and a planted wrong result are told, each
as what it is; slow-downs below the limits pass; wrong use ends with 2. HEAD is built once.
"""

import json
import os
import shutil
import subprocess
import sys

work = sys.argv[1]
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
bakeoff = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target")), "release", "bakeoff")
environment = dict(os.environ, BAKEOFF_CACHE=os.path.join(work, "gate-cache"))

# Quick kernels, one that computes and one that goes through memory.
KERNELS = ["--kernel", "numeric/update-adam", "--kernel", "features/hog-plain"]
ONE = ["--kernel", "numeric/update-adam"]


def bench(*arguments, expected, path=None):
    """What `bakeoff bench --against HEAD` found, and said, after its exit code was checked."""
    command = [bakeoff, "bench", "--against", "HEAD", "--root", root, "--json", *arguments]
    chosen = environment if path is None else dict(environment, PATH=path)
    ended = subprocess.run(command, env=chosen, capture_output=True, text=True, timeout=900)
    if ended.returncode != expected:
        sys.exit(f"gate: {' '.join(arguments)} ended with {ended.returncode}, expected {expected}:\n{ended.stdout}{ended.stderr}")
    lines = ended.stdout.strip().splitlines()
    return (json.loads(lines[-1])["kernels"] if lines else []), ended.stderr


def the_only(kernels, worse):
    """The one kernel that was measured, worse in just this way."""
    assert len(kernels) == 1 and kernels[0]["worse"] == worse, kernels
    return kernels[0]


markdown = os.path.join(work, "gate.md")
kernels, _ = bench(*KERNELS, "--markdown", markdown, expected=0)
assert len(kernels) == 2, kernels
for kernel in kernels:
    old, new = kernel["instructions"]
    assert kernel["worse"] == [] and set(kernel["results"]) == {"same"}, kernel
    assert old > 10_000 and abs(new / old - 1) < 0.001, kernel
    assert kernel["time"]["pairs"] >= 20 and 0.9 < kernel["time"]["median"] < 1.1, kernel
    assert 0 < kernel["share"], kernel
with open(markdown) as file:
    text = file.read()
assert "none of 2 kernels is worse" in text and "| numeric/update-adam |" in text, text

counted = [*ONE, "--part", "instructions"]
timed = [*ONE, "--part", "time"]
old, new = the_only(bench(*counted, "--calls", "100", "--plant", "calls=0.02", expected=1)[0], ["instructions"])["instructions"]
assert abs(new / old - 1.02) < 0.001, (old, new)
the_only(bench(*counted, "--calls", "200", "--plant", "calls=0.005", expected=0)[0], [])
slower = the_only(bench(*timed, "--plant", "time=0.08", expected=1)[0], ["time"])["time"]
assert slower["interval"][0] > 1.05 and slower["pairs"] in [40, 80, 160, 320, 640], slower
the_only(bench(*timed, "--plant", "time=0.02", expected=0)[0], [])
the_only(bench(*counted, "--plant", "result", expected=1)[0], ["result"])
the_only(bench(*timed, "--plant", "result", expected=1)[0], ["result"])
the_only(bench("--kernel", "packed-nearest", "--part", "instructions", "--plant", "result", expected=1)[0], ["result"])

# Everything that is needed but valgrind.
tools = os.path.join(work, "gate-tools")
os.makedirs(tools)
for tool in ["git", "cargo", "rustc"]:
    os.symlink(shutil.which(tool), os.path.join(tools, tool))
_, said = bench(*ONE, expected=2, path=tools)
assert "apt-get install valgrind" in said, said
_, said = bench("--revision", "no-such-revision", *timed, expected=2)
assert "no-such-revision is no revision of" in said, said
_, said = bench("--kernel", "no-such-kernel", expected=2)
assert "no kernel of HEAD is called like no-such-kernel" in said, said
print("the gate holds")
