"""How the cost of every pipeline grows: python scaling.py BAKEOFF COMMAND [options]

BAKEOFF is the program (cargo build --release). Wants numpy. Images are drawn by this script, seeded, and lie in --work. Each
command measures one thing and keeps it in --work; `report` writes report.md, results.json and host.json into --out.

* `images`: the number of training images, 32×32, 10 classes.
* `side`: the side of the images, with as many images each time.
* `classes`: the number of classes.
* `width`: what each pipeline has to make its rows wider or its model larger.
* `threads`: one and two.
* `memory`: the greatest resident memory of each pipeline on 200,000 images of 32×32.

`images`, `side`, `classes` and `width` take 1 thread, so that neither the other core's load nor its absence bends a curve. An exponent
is the slope of log seconds over log size, by least squares over all sizes; the last step is the slope between the two greatest
sizes, where what does not grow counts least. The textbook's order is what the method costs by its formula; more than a
quarter above it counts as worse. Solvers that converge need more or fewer steps on other data: their seconds are also given for each step.
"""
import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

SOFTMAX = 'classifier = { kind = "softmax", l2 = 1e-2, tolerance = 3e-4 }'
SVM = 'classifier = { kind = "svm", l2 = 3e-3, tolerance = 3e-3 }'
SIFT = 'local = { kind = "sift", cells = [2.5], step = 4 }'


def mlp(hidden, epochs=2):
    return f'classifier = {{ kind = "mlp", hidden = {hidden}, epochs = {epochs} }}'


# name: (experiment lines for a width, the widths of `width` and what they are, the width otherwise). `image` features go
# with the square of the side because there is a fixed amount of work a pixel or a place of a grid.
PIPELINES = {
    "pixels-softmax": (lambda _: 'features = [{ kind = "pixels" }]\nscale = "global"\n' + SOFTMAX, None, None),
    "pixels-svm": (lambda _: 'features = [{ kind = "pixels" }]\nscale = "global"\n' + SVM, None, None),
    "pixels-knn": (lambda _: 'features = [{ kind = "pixels" }]\nscale = "none"\nclassifier = { kind = "knn" }', None, None),
    "color-histogram-svm": (lambda w: f'features = [{{ kind = "color-histogram", bins = {w} }}]\n' + SVM, ("bins", [3, 4, 6, 9]), 4),
    "lbp-svm": (lambda w: f'features = [{{ kind = "lbp", grid = [{w}, {w}] }}]\n' + SVM, ("cells a side", [2, 4, 8]), 4),
    "hog-softmax": (lambda w: f'features = [{{ kind = "hog", orientations = {w} }}]\n' + SOFTMAX, ("orientations", [9, 18, 36]), 9),
    "hog-svm": (lambda w: f'features = [{{ kind = "hog", cell = 4, orientations = {w} }}]\n' + SVM, ("orientations", [9, 18, 36]), 9),
    "hog-color-svm": (lambda w: f'features = [{{ kind = "hog", orientations = {w} }}, {{ kind = "color-histogram" }}]\n' + SVM, ("orientations", [9, 18, 36]), 9),
    "hog-color-mlp": (lambda w: f'features = [{{ kind = "hog" }}, {{ kind = "color-histogram" }}]\n' + mlp([w], 4), ("hidden units", [125, 250, 500, 1000]), 500),
    "visual-words-svm": (
        lambda w: f'features = [{{ kind = "visual-words", {SIFT}, reduction = {{ kind = "pca", dimensions = 64 }}, sample = 50000, codebook = {{ k = {w}, init = "random-sample", iterations = 10 }} }}]\n' + SVM,
        ("words", [64, 128, 256, 512]), 128),
    "fisher-svm": (lambda w: f'features = [{{ kind = "fisher", {SIFT}, components = {w}, sample = 50000, iterations = 10 }}]\nscale = "none"\n' + SVM, ("Gaussians", [16, 32, 64]), 32),
    "kmeans-svm": (lambda w: f'features = [{{ kind = "kmeans-features", k = {w}, samples = 50000, iterations = 10 }}]\nscale = "standard"\n' + SVM, ("words", [100, 200, 400]), 100),
    "random-patches-svm": (lambda w: f'features = [{{ kind = "random-patches", k = {w}, samples = 50000 }}]\nscale = "standard"\n' + SVM, ("patches", [100, 200, 400]), 100),
    "one-vs-all-svm": (lambda w: f'features = [{{ kind = "hog", orientations = {w} }}]\nclassifier = {{ kind = "one-vs-all-svm", epochs = 5 }}', ("orientations", [9, 18, 36]), 9),
    "mlp-2": (lambda w: 'features = [{ kind = "pixels" }]\nscale = "global"\n' + mlp([w]), ("hidden units", [128, 256, 512, 1024]), 256),
    "mlp-3": (lambda w: 'features = [{ kind = "pixels" }]\nscale = "global"\n' + mlp([w, w]), ("hidden units", [128, 256, 512, 1024]), 256),
}
# Pipelines whose classifier takes steps until it converges.
CONVERGE = {name for name in PIPELINES if name.endswith(("softmax", "svm")) and name != "one-vs-all-svm"}
NETWORKS = {"hog-color-mlp", "mlp-2", "mlp-3"}
PIXELS = {"pixels-softmax", "pixels-svm", "pixels-knn", "mlp-2", "mlp-3"}

SIZES = {"images": [2500, 5000, 10000, 20000], "side": [16, 24, 32, 48, 64], "classes": [5, 10, 20, 40]}
SIDE_IMAGES, CLASSES_IMAGES, WIDTH_IMAGES, THREAD_IMAGES, TEST = 3000, 8000, 4000, 8000, 2000
MANY = 200_000


def textbook(pipeline, stage, axis):
    """The order by formula: the greatest exponent that a part of the stage's cost may have, and what that part is."""
    dense = pipeline in PIXELS
    if axis == "images":
        if stage == "predict":
            return (1, "distances to n rows") if pipeline == "pixels-knn" else (0, "the test images are the same")
        return 1, "once an image"
    if axis == "classes":
        if stage == "features":
            return 0, "features know no classes"
        return (0, "votes") if pipeline == "pixels-knn" else (1, "one row of weights a class")
    if axis == "side":
        if stage == "features":
            return 2, "once a pixel"
        if pipeline in ("pixels-softmax", "pixels-svm") and stage == "fit":
            return 4, "d² rows of the second moment, d = 3 side²; products go with d"
        if dense or pipeline in ("hog-softmax", "hog-svm", "hog-color-svm", "hog-color-mlp", "one-vs-all-svm"):
            return (4 if stage == "fit" and pipeline.startswith("hog") and pipeline in CONVERGE else 2), "d goes with the pixels"
        return 0, "the rows are as wide"
    cubic = {"color-histogram-svm": 3, "lbp-svm": 2}.get(pipeline, 1)
    if stage == "features":
        return (cubic if pipeline in ("color-histogram-svm", "lbp-svm") else 0 if pipeline in NETWORKS else 1), "columns"
    if pipeline == "mlp-3":
        return 2, "hidden × hidden"
    if pipeline in CONVERGE and stage == "fit":
        return 2 * cubic, "d² rows of the second moment; products go with d"
    return cubic, "columns"


# --- data ---------------------------------------------------------------------------------------------------------------


def draw(n, side, n_classes, seed, out):
    """Images (n, side, side, 3) of a few waves that the class sets and the image bends, under noise; their labels."""
    classes = np.random.default_rng(7)
    waves = 6
    frequency = classes.uniform(0.5, 3, (n_classes, waves, 2))
    phase = classes.uniform(0, 2 * np.pi, (n_classes, waves, 3))
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    for start in range(0, n, 1000):
        ids = labels[start:start + 1000]
        image = np.full((len(ids), side, side, 3), 128, np.float32)
        for wave in range(waves):
            strength = rng.normal(14, 14, len(ids)).astype(np.float32)
            shift = rng.normal(0, 0.8, len(ids)).astype(np.float32)
            turn = 2 * np.pi * (frequency[ids, wave, 0, None, None] * x + frequency[ids, wave, 1, None, None] * y) + shift[:, None, None]
            for channel in range(3):
                image[..., channel] += strength[:, None, None] * np.cos(turn + phase[ids, wave, channel, None, None], dtype=np.float32)
        image += rng.standard_normal(image.shape, dtype=np.float32) * 24
        np.clip(image, 0, 255, out=image)
        out[start:start + len(ids)] = image
    return labels


def dataset(work, n, side, n_classes):
    """The path of an .npz of n training and 2,000 test images, drawn where it is not there yet."""
    path = os.path.join(work, f"waves-{n}-{side}-{n_classes}.npz")
    if not os.path.exists(path):
        arrays = {}
        for part, count, seed in [("train", n, 1), ("test", TEST, 2)]:
            images = np.empty((count, side, side, 3), np.uint8)
            arrays[part + "_labels"] = draw(count, side, n_classes, seed, images).astype(np.uint8)
            arrays[part + "_images"] = images
        np.savez(path + ".part.npz", **arrays)
        os.rename(path + ".part.npz", path)
    return path


# --- running ------------------------------------------------------------------------------------------------------------


def run(args, data, pipelines, train_sizes=None, threads=1, widths=None, steps=None):
    """One run of the program over pipelines: {(pipeline, n): cell}; a cell is the object of the exported line."""
    text = f'question = "How does the cost grow?"\ndataset = {{ npz = "{data}" }}\nseeds = 1\n'
    if train_sizes:
        text += f"train_sizes = {train_sizes}\n"
    for name in pipelines:
        make, _, usual = PIPELINES[name]
        lines = make((widths or {}).get(name, usual))
        if steps and name in CONVERGE:
            lines = lines.replace("tolerance", f"max_iterations = {steps}, tolerance")
        if args.patch_step:
            lines = lines.replace('kind = "kmeans-features"', f'kind = "kmeans-features", step = {args.patch_step}')
        text += f'\n[[pipeline]]\nname = "{name}"\n{lines}\n'
    # Repeats are made here.
    text += "\n[protocol]\ntiming = { rounds = 1, seconds = 1 }\n"
    base = os.path.join(args.work, f"run-{os.getpid()}-{time.monotonic_ns()}")
    with open(base + ".toml", "w") as file:
        file.write(text)
    command = [args.bakeoff, "run", base + ".toml", "--threads", str(threads), "--cache-limit", "0", "--model-limit", "0", "--out", base, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    subprocess.run([args.bakeoff, "export", base, "--format", "jsonl", "--out", base + "-export"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cells = {}
    with open(os.path.join(base + "-export", "cells.jsonl")) as file:
        for line in file:
            row = json.loads(line)
            outcome = row["outcome"]
            if outcome["outcome"] != "done":
                print(f"{row['cell']['pipeline']}: {outcome}", file=sys.stderr)
                continue
            cells[row["cell"]["pipeline"], outcome["n_train"]] = outcome
    return cells


def kept(args, name):
    return os.path.join(args.work, name + ".json")


def keep(args, name, value):
    with open(kept(args, name), "w") as file:
        json.dump(value, file, indent=1)


def measure(args, axis, sizes, cells_of):
    """Runs every size `repeats` times, all sizes in turn, and keeps each cell at once: what was ended goes on from there."""
    names = args.pipeline or list(PIPELINES)
    seen = load(args, axis)
    for turn in range(args.repeats):
        for size in sizes:
            left = [name for name in names if len(seen.get(name, {}).get(str(size), [])) <= turn]
            for (name, label), cell in cells_of(size, left) if left else []:
                spent = {stage: statistics.fmean(cell[stage]) for stage in ("features", "fit", "predict")}
                found = {"size": label, **spent, "steps": cell["epochs"], "dim": cell["dim"]}
                seen.setdefault(name, {}).setdefault(str(size), []).append(found)
                print(f"{axis} {label} {name}: " + " + ".join(f"{value:.4f}" for value in spent.values()) + " s", file=sys.stderr, flush=True)
            keep(args, axis, seen)


def load(args, name):
    if not os.path.exists(kept(args, name)):
        return {}
    with open(kept(args, name)) as file:
        return json.load(file)


def points_of(cells):
    """Medians over repeats, one a size, in order."""
    points = {}
    for repeats in cells.values():
        middle = {stage: statistics.median(cell[stage] for cell in repeats) for stage in ("features", "fit", "predict")}
        points[repeats[0]["size"]] = {**repeats[0], **middle}
    return [points[size] for size in sorted(points)]


def images(args):
    data = dataset(args.work, max(SIZES["images"]), 32, 10)
    measure(args, "images", SIZES["images"], lambda size, names: run(args, data, names, [size]).items())


def side(args):
    measure(args, "side", SIZES["side"], lambda size, names: [((name, size), cell) for (name, _), cell in run(args, dataset(args.work, SIDE_IMAGES, size, 10), names).items()])


def classes(args):
    measure(args, "classes", SIZES["classes"], lambda size, names: [((name, size), cell) for (name, _), cell in run(args, dataset(args.work, CLASSES_IMAGES, 32, size), names).items()])


def width(args):
    """The size of a turn is the place of each pipeline's width in its list."""
    data = dataset(args.work, WIDTH_IMAGES, 32, 10)

    def cells(place, names):
        widths = {name: PIPELINES[name][1][1][place] for name in names if PIPELINES[name][1] and place < len(PIPELINES[name][1][1])}
        return [((name, widths[name]), cell) for (name, _), cell in run(args, data, list(widths), widths=widths).items()] if widths else []

    measure(args, "width", range(4), cells)


def threads(args):
    data = dataset(args.work, THREAD_IMAGES, 32, 10)
    measure(args, "threads", [1, 2], lambda size, names: [((name, size), cell) for (name, _), cell in run(args, data, names, threads=size).items()])


# Wider ones than elsewhere: those of the built-in experiments. Their times do not matter here, so solvers take few steps.
MEMORY_WIDTHS = {"fisher-svm": 64, "visual-words-svm": 400, "kmeans-svm": 400, "random-patches-svm": 400, "mlp-2": 1024, "mlp-3": 1024}


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.processor())


def memory(args):
    data = dataset(args.work, MANY, 32, 10)
    found = load(args, "memory")
    for name in args.pipeline or list(PIPELINES):
        widths = {name: args.width or MEMORY_WIDTHS.get(name, PIPELINES[name][2])}
        for cell in run(args, data, [name], threads=2, widths=widths, steps=args.steps).values():
            row = {"width": widths[name], "dim": cell["dim"], "megabytes": cell["peak_rss_mb"], "seconds": cell["total"],
                   "steps": cell["epochs"], "notes": cell.get("notes", [])}
            if args.patch_step:
                row["notes"] = [f"patches at every {args.patch_step}th place of a row and column, on {processor()}", *row["notes"]]
            found[f"{name} {widths[name]}" if args.width or args.patch_step else name] = row
            print(f"{name}: {row}", file=sys.stderr, flush=True)
            keep(args, "memory", found)


# --- report -------------------------------------------------------------------------------------------------------------


def exponent(points, stage):
    """(slope of all sizes, slope of the last step); None where the times are too short to tell."""
    if points[-1][stage] < 2e-3:
        return None
    x = [math.log(p["size"]) for p in points]
    y = [math.log(max(p[stage], 1e-7)) for p in points]
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)
    return slope, (y[-1] - y[-2]) / (x[-1] - x[-2])


def seconds(value):
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def axis_table(axis, found, worse):
    title = {"images": "Training images", "side": "Side of the images", "classes": "Classes", "width": "Width of the pipeline"}[axis]
    lines = [f"## {title}", "", "| pipeline | sizes | stage | seconds | exponent | last step | textbook | why |", "|---|---|---|---|---|---|---|---|"]
    for name in PIPELINES:
        points = found.get(name)
        # Two sizes have a slope, but not one that could be wrong.
        if not points or len(points) < 3:
            continue
        sizes = ", ".join(str(p["size"]) for p in points) + (f" {PIPELINES[name][1][0]}" if axis == "width" else "")
        for stage in ("features", "fit", "predict"):
            slopes = exponent(points, stage)
            order, why = textbook(name, stage, axis)
            if slopes is None:
                continue
            told = ", ".join(seconds(p[stage]) for p in points)
            if stage == "fit" and name in CONVERGE:
                a_step = [{**p, "fit": p["fit"] / max(p["steps"], 1)} for p in points]
                step_slopes = exponent([{**p, "fit": 1000 * p["fit"]} for p in a_step], "fit")
                told += " (" + ", ".join(str(p["steps"]) for p in points) + f" steps; a step: {step_slopes[0]:.2f}, {step_slopes[1]:.2f})"
                judged = min(min(slopes), min(step_slopes))
            else:
                judged = min(slopes)
            if judged > order + 0.25:
                worse.append(f"{name}, {stage}, {axis}: {slopes[0]:.2f} where the textbook has {order}")
            lines.append(f"| {name} | {sizes} | {stage} | {told} | {slopes[0]:.2f} | {slopes[1]:.2f} | {order} | {why} |")
    return lines + [""]


def unmeasured(results):
    """What a whole report has and these results have not, in words."""
    told = []
    for axis, sizes in [*SIZES.items(), ("threads", [1, 2])]:
        for size in sizes:
            names = [name for name in PIPELINES if size not in [point["size"] for point in results.get(axis, {}).get(name, [])]]
            if names:
                told.append(f"{axis} {size} of {'all pipelines' if len(names) == len(PIPELINES) else ', '.join(names)}")
    for name, (_, widths, _) in PIPELINES.items():
        there = [point["size"] for point in results.get("width", {}).get(name, [])]
        told += [f"width {size} of {name}" for size in (widths[1] if widths else []) if size not in there]
    without = [name for name in PIPELINES if name not in results.get("memory", {})]
    return told + ([f"memory of {'all pipelines' if len(without) == len(PIPELINES) else ', '.join(without)}"] if without else [])


def report(args):
    results = {name: load(args, name) for name in ("images", "side", "classes", "width", "threads")}
    results = {axis: {name: points_of(cells) for name, cells in found.items()} for axis, found in results.items() if found}
    if load(args, "memory"):
        results["memory"] = load(args, "memory")
    worse, body = [], []
    for axis in ("images", "side", "classes", "width"):
        if axis in results:
            body += axis_table(axis, results[axis], worse)
    if "threads" in results:
        body += ["## Threads", "", "Seconds on one thread and on two, and how many times faster two are.", "",
                 "| pipeline | features | fit | predict |", "|---|---|---|---|"]
        for name, points in results["threads"].items():
            if len(points) < 2:
                continue
            one, two = (next(p for p in points if p["size"] == size) for size in (1, 2))
            cells = [f"{seconds(one[stage])}, {seconds(two[stage])}: {one[stage] / max(two[stage], 1e-9):.2f}" for stage in ("features", "fit", "predict")]
            body.append(f"| {name} | " + " | ".join(cells) + " |")
        body.append("")
    if "memory" in results:
        body += ["## Memory", "", f"{MANY:,} training images of 32×32 in colour (614 MB) and {TEST:,} test images: the greatest resident memory of the cell's process, the images "
                 "that it shares with the program included. Solvers were ended after few steps; memory does not grow with them beyond ten.", "",
                 "| pipeline | width | columns | MB | seconds | notes |", "|---|---|---|---|---|---|"]
        for name, row in results["memory"].items():
            body.append(f"| {name} | {row['width'] or ''} | {row['dim']} | {row['megabytes']:.0f} | {row['seconds']:.1f} | {'; '.join(row['notes'])} |")
            if row["megabytes"] > 8000:
                worse.append(f"{name}: {row['megabytes']:.0f} MB on {MANY:,} images")
        body.append("")
    version = subprocess.run([args.bakeoff, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    cpu = processor()
    host = {"cpu": cpu, "cores": os.cpu_count(), "bakeoff": version, "repeats": args.repeats, "load": os.getloadavg(), "moment": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    head = ["# How the cost grows", "", f"Printed by `python benches/scaling.py BAKEOFF report` on {cpu} ({host['cores']} cores), {host['moment']}; the script tells what is measured and how "
            f"the textbook's orders are meant. {SIDE_IMAGES:,} images a side, {CLASSES_IMAGES:,} a number of classes, {WIDTH_IMAGES:,} a width; one thread but where threads are compared. "
            f"Programs that ran or waited to run at the end, this one included: {host['load'][0]:.1f}, over fifteen minutes {host['load'][2]:.1f}; exponents are only as good as the machine was idle.", "",
            "Worse than the textbook: " + ("; ".join(worse) if worse else "nothing of what was measured") + ".", ""]
    left = unmeasured(results)
    if left:
        head += ["Not measured: " + "; ".join(left) + ".", ""]
    os.makedirs(args.out, exist_ok=True)
    for name, content in [("report.md", "\n".join(head + body)), ("results.json", json.dumps(results, indent=1) + "\n"), ("host.json", json.dumps(host, indent=1) + "\n")]:
        with open(os.path.join(args.out, name), "w") as file:
            file.write(content)
    print("\n".join(head + body))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bakeoff", help="the program")
    commands = {"images": images, "side": side, "classes": classes, "width": width, "threads": threads, "memory": memory, "report": report}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--work", required=True, help="a folder for images and what was measured")
    parser.add_argument("--pipeline", action="append", choices=list(PIPELINES), help="only this one; may be repeated")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each size")
    parser.add_argument("--steps", type=int, default=3, help="memory: steps of solvers that converge")
    parser.add_argument("--width", type=int, help="memory: another width than the usual one")
    parser.add_argument("--patch-step", type=int, help="memory: places from one patch of kmeans-features to the next, where all of them take too long; rows are as wide")
    parser.add_argument("--out", default=os.path.join(ROOT, "reports", "scaling"), help="where the report goes")
    args = parser.parse_args()
    if args.patch_step and args.pipeline != ["kmeans-svm"]:
        parser.error("--patch-step is of --pipeline kmeans-svm")
    args.bakeoff, args.work = os.path.abspath(args.bakeoff), os.path.abspath(args.work)
    os.makedirs(args.work, exist_ok=True)
    commands[args.command](args)


if __name__ == "__main__":
    main()
