"""Faults that a run must survive: faults.py WORK [KILLS]

Runs a small grid undisturbed, then again while it is killed at random moments (50, or as many as are asked for), continued each
time, its networks from the states that they leave a hundred times a second; and with a full disk, a folder that cannot be written, a damaged store, a clock that is set back, cells that take more than
they may, an impatient user, and a second process. What comes out must be what the undisturbed run found, bit for bit,
timings aside. Needs root (a small tmpfs) and Debian's package faketime.
"""

import json, os, random, shutil, signal, sqlite3, subprocess, sys, tempfile, time
from pathlib import Path

work = Path(sys.argv[1]) / "faults"
kills = int(sys.argv[2]) if len(sys.argv) > 2 else 50
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
program = str((target / "release" / "bakeoff").resolve())

EXPERIMENT = """
question = "Does it survive?"
dataset = "shapes"
seeds = 3
train_sizes = [100, 200]
[protocol]
tuning = { trials = 3 }
[[pipeline]]
name = "net"
features = [{ kind = "pixels" }]
classifier = { kind = "mlp", hidden = [32], epochs = 40 }
[[pipeline]]
name = "hog-svm"
features = [{ kind = "hog" }]
classifier = { kind = "svm" }
search = "default"
[[pipeline]]
name = "neighbours"
features = [{ kind = "pixels" }]
classifier = { kind = "knn" }
[[comparison]]
a = "net"
b = "hog-svm"
"""
(work / "grid.toml").write_text(EXPERIMENT)


def fail(text):
    sys.exit(f"faults: {text}")


def command(out, experiment="grid.toml"):
    return [program, "run", str(work / experiment), "--out", str(out), "--checkpoint", "0.01", "--json"]


def run(out, expected=0, experiment="grid.toml", prefix=(), **options):
    done = subprocess.run([*prefix, *command(out, experiment)], capture_output=True, text=True, timeout=300, **options)
    if done.returncode != expected:
        fail(f"{out}: expected exit code {expected}, found {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


# What a row tells of a training that was continued or had no room for its states, and must not tell of one that was not.
CONTINUED = ("its training was broken off and went on", "no more states of its training were kept")


def without_timings(value):
    """What must be the same: no times, no memory, no place, no word of having been continued or of states."""
    timed = {"seconds", "cpu_seconds", "peak_rss_mb", "run", "noise", "latency"}
    if isinstance(value, dict):
        return {key: without_timings(v) for key, v in value.items() if key not in timed and not key.startswith("cost")}
    if isinstance(value, list):
        return [without_timings(v) for v in value if not (isinstance(v, str) and v.startswith(CONTINUED))]
    return value


def found(out):
    """All rows of a store: predictions, scores, settings tried, and what is computed of them."""
    store = sqlite3.connect(f"file:{out}/results.sqlite?mode=ro", uri=True)
    rows = {}
    for digest, outcome, measured, predicted in store.execute("SELECT digest, outcome, measured, predicted FROM cell"):
        facts = json.loads(measured) if measured else {}
        kept = ["n_train", "dim", "model_bytes", "epochs", "converged", "deterministic", "curve"]
        trials = [(t["settings"], t["right"], t["of"]) for t in facts.get("trials", [])]
        rows[digest] = (outcome, predicted, [facts.get(key) for key in kept], trials)
    scores = dict(store.execute("SELECT digest, scores FROM score"))
    if not rows or set(rows) != set(scores):
        fail(f"{out}: {len(rows)} rows, {len(scores)} with scores")
    return rows, scores


def models(out):
    return {path.name: path.read_bytes() for path in sorted((out / "models").glob("*.safetensors"))}


started = time.monotonic()
undisturbed = work / "undisturbed"
answer = json.loads(run(undisturbed).stdout.splitlines()[-1])
length = time.monotonic() - started
reference = found(undisturbed)
cells = len(reference[0])


def check(out, what):
    if found(out) != reference:
        fail(f"{what}: the rows differ from those of the undisturbed run")
    again = json.loads(run(out).stdout.splitlines()[-1])
    if without_timings(again) != without_timings(answer):
        fail(f"{what}: the figures differ from those of the undisturbed run")
    if sorted(models(out)) != sorted(models(undisturbed)):
        fail(f"{what}: the models differ from those of the undisturbed run")


def killed(out, times, draw):
    """Kills a run so many times; a run that ends before its time begins again elsewhere, so that every kill hits work."""
    survived, turns, rounds = 0, 0, [out]
    while survived < times:
        turns += 1
        process = subprocess.Popen(command(rounds[-1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=draw())
            if process.returncode != 0:
                fail(f"a continued run ended with {process.returncode}")
            rounds.append(out.with_name(f"{out.name}-{len(rounds) + 1}"))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            survived += 1
        if turns > 20 * times:
            fail("runs end before they can be killed")
    return rounds


random.seed(2011)
rounds = killed(work / "killed", kills, lambda: random.uniform(0.02, 0.5 * length))
for folder in rounds:
    run(folder)
    check(folder, f"{kills} kills")
print(f"faults: {kills} kills of {kills} survived, in {len(rounds)} runs of {cells} cells; the results are the same bits", flush=True)

# Nothing that was killed goes on.
time.sleep(0.2)
left = subprocess.run(["pgrep", "-f", str(work)], capture_output=True, text=True).stdout.split()
if [pid for pid in left if pid != str(os.getpid())]:
    fail(f"processes of killed runs are still there: {left}")

# Two processes on one run.
both = [subprocess.Popen(command(work / "both"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
told = [process.communicate(timeout=300) for process in both]
if any(process.returncode != 0 for process in both):
    fail(f"two processes: {told}")
if sum("waiting for it" in err for _, err in told) != 1:
    fail(f"two processes: expected one to wait: {told}")
check(work / "both", "two processes")

# A folder that cannot be written, for somebody who is not root. It lies where everybody may look: the folder of this run's
# work need not.
with tempfile.TemporaryDirectory() as open_to_all:
    os.chmod(open_to_all, 0o755)
    locked = Path(open_to_all) / "locked"
    locked.mkdir(mode=0o555)
    experiment = shutil.copy(work / "grid.toml", open_to_all)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = run(locked / "run", 2, experiment=experiment, prefix=nobody)
    if "failed to make" not in done.stderr or "ermission denied" not in done.stderr:
        fail(f"a read-only folder: {done.stderr}")

# A full disk: an error that says so, and the same command continues when there is room.
small = work / "small"
small.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=220k", "tmpfs", str(small)], check=True)
try:
    done = run(small / "run", 2)
    if "full" not in done.stderr and "No space left" not in done.stderr:
        fail(f"a full disk: {done.stderr}")
    subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
    run(small / "run")
    check(small / "run", "a full disk")
finally:
    subprocess.run(["umount", "-l", str(small)], check=True)

# A store that is damaged in the middle is told and not written over.
damaged = work / "damaged"
shutil.copytree(undisturbed, damaged)
store = damaged / "results.sqlite"
bytes_ = bytearray(store.read_bytes())
for at in range(len(bytes_) // 2, len(bytes_) // 2 + 4096):
    bytes_[at] ^= 0x5A
store.write_bytes(bytes_)
done = run(damaged, 2)
if "results.sqlite" not in done.stderr or "damaged" not in done.stderr:
    fail(f"a damaged store: {done.stderr}")
if store.read_bytes() != bytes_:
    fail("a damaged store was written over")

# A clock that is set back in the middle of a run.
back = work / "back"
process = subprocess.Popen(command(back), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(0.4 * length)
process.kill()
process.wait()
run(back, prefix=["faketime", "2001-01-01 00:00:00"])
check(back, "a clock set back")

# Cells that take more than they may become rows, and the run goes on.
(work / "limits.toml").write_text("""
dataset = "shapes"
seeds = 1
[protocol]
limits = { seconds = 4, megabytes = 120 }
[[pipeline]]
name = "endless"
features = [{ kind = "pixels" }]
classifier = { kind = "mlp", hidden = [16], epochs = 1000000 }
[[pipeline]]
name = "large"
features = [{ kind = "pixels" }]
classifier = { kind = "mlp", hidden = [4096, 4096], epochs = 1000000 }
[[pipeline]]
name = "wide"
features = [{ kind = "local-descriptors" }]
classifier = { kind = "knn" }
[[pipeline]]
name = "modest"
features = [{ kind = "color-histogram" }]
classifier = { kind = "knn" }
""")
limited = json.loads(run(work / "limited", experiment="limits.toml").stdout.splitlines()[-1])
told = {p["name"]: (p["outcome"], p["reason"] or "") for p in limited["pipelines"]}
if told["endless"] != ("failed", "it took longer than its limit of 4 s"):
    fail(f"a cell without end: {told}")
if told["large"][0] != "failed" or "its limit is 120 MB" not in told["large"][1] or told["modest"][0] != "done":
    fail(f"a cell that is too large: {told}")
# Rows that take about what is left: whether they are refused or taken and found too large is a matter of a megabyte.
if told["wide"][0] not in ("failed", "refused") or not any(why in told["wide"][1] for why in ("its limit is 120 MB", "lie in memory")):
    fail(f"rows that do not fit: {told}")

# An impatient user: once keeps what is finished, twice ends at once; both can be continued.
for times in (1, 2):
    out = work / f"interrupted-{times}"
    process = subprocess.Popen(command(out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.3 * length)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    asked = time.monotonic()
    process.communicate(timeout=60)
    if process.returncode != 130 or time.monotonic() - asked > 5:
        fail(f"SIGINT × {times}: exit code {process.returncode} after {time.monotonic() - asked:.1f} s")
    run(out)
    check(out, f"SIGINT × {times}")

print(f"faults: all survived, in {time.monotonic() - started:.0f} s")
