"""A grid on a real Slurm of two nodes: slurm.py WORK

Runs a grid of 27 cells on this machine alone, then as job arrays on the two nodes of ../shared/tools/slurm-local.sh, where one node
is killed in the middle of its work; what was lost is submitted again by the same command. The results must be the same bits.
"""

import json, os, shutil, signal, sqlite3, subprocess, sys, time
from pathlib import Path

work = Path(sys.argv[1]) / "slurm"
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
repository = Path(__file__).resolve().parent.parent
cluster = repository.parent / "shared" / "tools" / "slurm-local.sh"
program = str((Path(os.environ.get("CARGO_TARGET_DIR", repository / "target")) / "release" / "bakeoff").resolve())

(work / "grid.toml").write_text("""
dataset = "shapes"
seeds = 3
train_sizes = [100, 200, 400]
[protocol]
tuning = { trials = 2 }
[[pipeline]]
name = "net"
resources = { threads = 2, minutes = 10 }
features = [{ kind = "pixels" }]
classifier = { kind = "mlp", hidden = [128], epochs = 150 }
[[pipeline]]
name = "hog-svm"
search = "default"
features = [{ kind = "hog" }]
classifier = { kind = "svm" }
[[pipeline]]
name = "neighbours"
features = [{ kind = "pixels" }]
classifier = { kind = "knn" }
""")


def fail(text):
    subprocess.run(["squeue"])
    for log in sorted(work.glob("run/slurm/log/*"))[:5]:
        print(log.name, log.read_text()[-500:], file=sys.stderr)
    sys.exit(f"slurm: {text}")


def shell(*words, expected=0):
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=work)
    if expected is not None and done.returncode != expected:
        fail(f"{' '.join(map(str, words))}: expected exit code {expected}, found {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def rows(folder):
    store = sqlite3.connect(f"file:{folder}/results.sqlite?mode=ro", uri=True)
    cells = {digest: rest for digest, *rest in store.execute("SELECT digest, pipeline, seed, train_size, outcome, predicted FROM cell")}
    return cells, dict(store.execute("SELECT digest, scores FROM score"))


def queued():
    return [line.split() for line in shell("squeue", "--noheader", "--format=%i %T %N").splitlines()]


def wait(until, what, seconds=240):
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            fail(f"waited too long for {what}: {queued()}")
        # A job that lost its node waits two minutes by itself; nobody has to wait with it.
        for job, state, *_ in queued():
            if state == "PENDING" and "[" not in job:
                subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], capture_output=True)
        time.sleep(0.2)


def stored():
    """Cells that tasks have finished so far."""
    found = 0
    for part in work.glob("run/slurm/parts/*/results.sqlite"):
        try:
            found += sqlite3.connect(f"file:{part}?mode=ro", uri=True).execute("SELECT count(*) FROM cell").fetchone()[0]
        except sqlite3.Error:
            pass
    return found


def at_work(name):
    """Processes of a node but its daemon: steps leave it, and what they run knows its node by its environment."""
    found = set()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"SLURMD_NODENAME={name}\0".encode() in environ.read_bytes():
                found.add(int(environ.parent.name))
        except OSError:
            pass
    return found


def kill_node(name):
    """Ends a node as a power cut does: its daemon and everything that it started."""
    daemon = int(Path(f"/run/slurm-local/{name}.pid").read_text())
    doomed = {daemon} | at_work(name)
    for pid in doomed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return len(doomed)


def main():
    started = time.monotonic()
    shell(program, "run", "grid.toml", "--out", "alone")
    alone = rows(work / "alone")
    if len(alone[0]) < 24:
        fail(f"a grid of {len(alone[0])} cells")
    submit = [program, "slurm", "grid.toml", "--out", "run", "--tasks", "5", "--throttle", "4", "--memory", "400"]
    print(shell(*submit).strip(), flush=True)
    arrays = len(list((work / "run" / "slurm").glob("class-*.sh")))
    if arrays != 2:
        fail(f"expected an array for each of two classes of resources, found {arrays}")
    if "still queued or running" not in subprocess.run(submit, capture_output=True, text=True, cwd=work).stderr:
        fail("a second submission was not refused while the first one works")
    # A job is told to run before its processes are there, and still when they are gone.
    wait(lambda: stored() >= 3 and any(job[-1] == "n1" for job in queued() if len(job) == 3) and at_work("n1"),
         "work on the second node")
    before = stored()
    killed = kill_node("n1")
    shell("scontrol", "update", "NodeName=n1", "State=DOWN", "Reason=killed")
    print(f"slurm: node n1 killed with {killed} processes when {before} of {len(alone[0])} cells were done", flush=True)
    if killed < 2:
        fail("the node that was killed had nothing to do")
    # And the scheduler ends the other array, as it does with those that take too long.
    shell("scancel", json.loads((work / "run" / "slurm" / "plan.json").read_text())["jobs"][1])
    wait(lambda: not queued(), "the first round")
    first = rows(work / "run")[0]
    left = len(alone[0]) - len(first)
    if left:
        print(shell(*submit).strip(), flush=True)
        wait(lambda: not queued(), "the second round")
    if rows(work / "run") != alone:
        fail(f"the rows differ from those of one machine: {len(rows(work / 'run')[0])} of {len(alone[0])}")
    if shell(*submit).count("submitted"):
        fail("a finished run was submitted again")
    print(f"slurm: {len(alone[0])} cells are the same bits; {left} were left for a second round; {time.monotonic() - started:.0f} s")


subprocess.run(["bash", cluster, "start"], check=True, stdout=subprocess.DEVNULL)
try:
    main()
finally:
    subprocess.run(["bash", cluster, "stop"], check=True, stdout=subprocess.DEVNULL)
