"""What the runner itself costs a cell: overhead.py WORK [MOST]

Runs grids of 100, 1,000 … cells (up to MOST, 1,000 if nothing is said) of next to no work each, on a folder of tiny images, and
compares the wall time of the whole program with what the cells say they took. What is left is the runner's: planning, a process a
cell, a transaction a cell, and the report at the end. Prints a table; fails above 5 ms a cell, the program's start apart.
"""

import json, os, resource, shutil, sqlite3, struct, subprocess, sys, time, zlib
from pathlib import Path

work = Path(sys.argv[1]) / "overhead"
most = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
shutil.rmtree(work, ignore_errors=True)
program = str((Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "bakeoff").resolve())


def png(path, value):
    """A grey image of 4×4."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + bytes((value + x * y) % 256 for x in range(4)) for y in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


for part in ("train", "test"):
    for label, base in (("dark", 10), ("light", 200)):
        folder = work / "images" / part / label
        folder.mkdir(parents=True)
        for i in range(4):
            png(folder / f"{i}.png", base + 3 * i)

PIPELINE = """
[[pipeline]]
name = "{name}"
features = [{{ kind = "pixels" }}]
classifier = {{ kind = "one-vs-all-svm", epochs = 1, l2 = {l2} }}
"""

print("| cells | wall s | cells themselves s | ms of the runner for each further cell | peak MB |\n|---|---|---|---|---|")
worst, before, cells = 0.0, (0, 0.0), 100
while cells <= most:
    experiment = work / f"grid-{cells}.toml"
    pipelines = "".join(PIPELINE.format(name=f"p{i}", l2=(i + 1) * 1e-6) for i in range(10))
    experiment.write_text(f'dataset = {{ folder = "images" }}\nseeds = {cells // 10}\n{pipelines}')
    out = work / f"run-{cells}"
    started = time.monotonic()
    process = subprocess.Popen([program, "run", str(experiment), "--out", str(out), "--threads", "1", "--model-limit", "0"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, told = process.communicate()
    wall = time.monotonic() - started
    if process.returncode:
        sys.exit(f"overhead: {told.decode()[-2000:]}")
    store = sqlite3.connect(f"file:{out}/results.sqlite?mode=ro", uri=True)
    totals = [json.loads(text)["total"] for (text,) in store.execute("SELECT measured FROM cell WHERE outcome = 'done'")]
    if len(totals) != cells:
        sys.exit(f"overhead: {len(totals)} of {cells} cells are done")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    own = wall - sum(totals)
    # The first row holds the program's start, the look at the machine and the report too; the others what was added to it.
    each = (own - before[1]) / (cells - before[0]) * 1e3
    if before[0]:
        worst = max(worst, each)
    before = (cells, own)
    print(f"| {cells} | {wall:.2f} | {sum(totals):.2f} | {each:.2f} | {peak:.0f} |", flush=True)
    cells *= 10
if worst > 5.0:
    sys.exit(f"overhead: {worst:.2f} ms a cell, at most 5 are asked for")
