"""The figures that the project promises, on the full official splits: python3 .ci/real-data.py WORK

WORK/data holds the unpacked CIFAR-10 batches and the sign-digits photos; Fashion-MNIST is Debian's package. Runs the
built-in experiments with one seed and two threads and fails when an accuracy on the whole test set is below its bound,
when a run is far slower than promised or takes more memory. Prints every figure.
"""

import json
import os
import subprocess
import sys
import time

WORK = sys.argv[1]
PROGRAM = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "bakeoff")
CIFAR = os.path.join(WORK, "data", "cifar-10-batches-bin")
DIGITS = os.path.join(WORK, "data", "sign-digits")


def rounded(experiment):
    """The experiment in a file of its own, with networks whose training multiplies bfloat16."""
    with open(os.path.join("reports", experiment, "experiment.toml")) as file:
        text = file.read().replace('kind = "mlp"', 'kind = "mlp", precision = "bf16"')
    path = os.path.join(WORK, f"{experiment}-bf16.toml")
    with open(path, "w") as file:
        file.write(text)
    return path


# (experiment, dataset or None, seconds allowed, MB allowed, {pipeline: (least, greatest) accuracy}). Pipelines of an
# experiment that are not named are not run: those of coates-2011 with more words take minutes each. Nor is cifar-10-strong,
# whose mlp-deep is promised 65% in under 30 minutes and takes about as long as all of these together.
# Promised: 90 s for fashion-mnist; CI allows three times as much, since shared machines are noisy.
RUNS = [
    ("fashion-mnist", None, 270, 2048, {
        "pixels-softmax": (0.843, 1), "pixels-knn": (0.8544, 0.8564), "hog-softmax": (0.879, 1),
        "hog-svm": (0.902, 1), "mlp-2": (0.890, 1)}),
    # 89.57% was found, 89.56% without rounding.
    (rounded("fashion-mnist"), None, 120, 2048, {"mlp-2": (0.890, 1)}),
    ("cifar-10", CIFAR, 1200, 4096, {
        "pixels-softmax": (0.410, 1), "pixels-knn": (0.3388, 0.3408), "hog-softmax": (0.545, 1), "mlp-3": (0.55, 1)}),
    ("course-features", CIFAR, 300, 2048, {"hog-color-svm": (0.488, 1), "hog-color-mlp": (0.59, 1)}),
    # 91.5% is promised for mlp-deep; 91.77% were found in 5:46.
    ("fashion-mnist-strong", None, 1200, 4096, {"classic-best": (0.93, 1), "mlp-deep": (0.915, 1)}),
    ("bag-of-words", CIFAR, 600, 8192, {"fisher-svm": (0.63, 1), "visual-words-svm": (0.64, 1)}),
    # 73% is promised and 73.2% was found; clusters depend on the machine's vectors, so half a point is left to them.
    ("coates-2011", CIFAR, 600, 8192, {"kmeans-400-svm": (0.725, 1)}),
    # Training memory below 4 GB at full dimensions. No accuracy was promised; 92.7% was found with 600 photos.
    ("imagenet-2011", DIGITS, 1800, 3814, {"imagenet-2011": (0.88, 1)}),
    # No bound was promised for the photos; a run that learns nothing is at 0.1.
    ("folder", DIGITS, 300, 2048, {"hog-svm": (0.8, 1), "mlp-2": (0.3, 1)}),
]
# Run whole, bounds or not.
WHOLE = {"folder"}
# Training images where all of them would take a quarter of an hour.
FEWER = {"imagenet-2011": 600}


def run(experiment, dataset, pipelines):
    command = [PROGRAM, "run", experiment, "--seeds", "1", "--threads", "2", "--json", "--fresh",
               "--out", os.path.join(WORK, "runs", os.path.basename(experiment))]
    if experiment in FEWER:
        command += ["--train-size", str(FEWER[experiment])]
    if dataset:
        command += ["--dataset", dataset]
    for pipeline in pipelines:
        command += ["--pipeline", pipeline]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    seconds = time.monotonic() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1]), seconds


def main():
    problems = []
    for experiment, dataset, seconds_allowed, mb_allowed, bounds in RUNS:
        result, seconds = run(experiment, dataset, [] if experiment in WHOLE else list(bounds))
        found = {row["name"]: row for row in result["pipelines"]}
        print(f"{experiment}: {seconds:.1f} s in all (promised or allowed: {seconds_allowed})")
        if seconds > seconds_allowed:
            problems.append(f"{experiment} took {seconds:.0f} s")
        for name, row in found.items():
            if row["outcome"] != "done":
                problems.append(f"{experiment} {name}: {row['outcome']}: {row['reason']}")
                continue
            part = row["seconds"]
            low, high = bounds.get(name, (0, 1))
            print(f"  {name:<20} {100 * row['accuracy']:6.2f}%  features {part['features']:6.2f} s  fit {part['fit']:6.2f} s"
                  f"  predict {part['predict']:6.2f} s  {row['peak_rss_mb']:6.0f} MB  (bounds {low} to {high})")
            if not low <= row["accuracy"] <= high:
                problems.append(f"{experiment} {name}: accuracy {row['accuracy']} is not within {low} to {high}")
            if row["peak_rss_mb"] > mb_allowed:
                problems.append(f"{experiment} {name}: {row['peak_rss_mb']:.0f} MB")
        for name in bounds.keys() - found.keys():
            problems.append(f"{experiment} has no pipeline {name}")
    for problem in problems:
        print(f"not held: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


main()
