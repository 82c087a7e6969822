"""Whole pipelines beside the peers', in one run: python whole.py BAKEOFF CIFAR [options]

BAKEOFF is the program (cargo build --release), CIFAR the folder of the CIFAR-10 binary batches; Fashion-MNIST is Debian's
package dataset-fashion-mnist, or --fashion FOLDER. Wants numpy, scipy, scikit-learn, scikit-image, opencv-python-headless
below 5, faiss-cpu and torch. Writes report.md, results.csv, results.json and host.json into --out. Run it on an idle
machine: a full run takes about half an hour.

Eight pipelines with the settings of reports/fashion-mnist and reports/cifar-10, on the same images, with the same number of threads, two unless told otherwise:

* **features**: images in memory, as bytes, to rows of f32; training and test images.
* **fit**: scaling and the classifier.
* **predict**: scaling test rows, their scores and classes.

Reading files and starting a program count for nobody. bakeoff runs before, between and after its peers and its figures are
medians; peers' stages below four seconds are medians of three as well, longer ones are timed once.

The two networks are run twice: as they are, and with `precision = "bf16"`, where large products of a training round their
operands to bfloat16. PyTorch then has its `autocast` to the same beside what it does in f32; scikit-learn has no such setting. The
sums of eight pipelines are printed for each.

Two routes of peers. *scikit*: scikit-image and scikit-learn. *best mix*: for each stage the fastest of all peers whose
accuracy is within half a point of bakeoff's or better. Peers of one stage get the rows of the fastest features.

Solvers that converge are compared at an equal distance from the minimum and not at an iteration cap. bakeoff stops by its
own tolerance; its gap is (objective − minimum) / minimum, where the minimum is that of a second run of bakeoff with a thousandth of the
tolerance. A peer that iterates in Python's sight stops at the first iteration whose objective is within the same gap of
the minimum on its own rows, which `minimum` below finds. liblinear iterates out of sight: it gets the same relative
tolerance of the gradient, and its gap is printed. SGD has no such end; it counts where its accuracy does.
"""
import argparse
import csv
import gzip
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

# Libraries read it when they are imported.
THREADS = int(sys.argv[sys.argv.index("--threads") + 1]) if "--threads" in sys.argv else 2
os.environ.update({name: str(THREADS) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})
import multiprocessing

import cv2
import faiss
import numpy as np
import torch
from scipy import linalg, optimize
from skimage.feature import hog
from sklearn.linear_model import LogisticRegression, SGDClassifier, _logistic
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC

warnings.filterwarnings("ignore")
torch.set_num_threads(THREADS)
faiss.omp_set_num_threads(THREADS)
cv2.setNumThreads(1)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Peers' calls below this many seconds are repeated.
SHORT = 4.0
# Peers may be this much less accurate than bakeoff and still count.
LESS_ACCURATE = 0.005

# What the name of a pipeline with products of bfloat16 ends with.
BF16 = " bf16"
# (experiment, pipeline, features, classifier); bf16 is the network with products of bfloat16.
PIPELINES = [
    ("fashion-mnist", "pixels-softmax", "pixels", "softmax"),
    ("fashion-mnist", "pixels-knn", "pixels", "knn"),
    ("fashion-mnist", "hog-softmax", "hog", "softmax"),
    ("fashion-mnist", "hog-svm", "hog", "svm"),
    ("fashion-mnist", "mlp-2", "pixels", "mlp"),
    ("fashion-mnist", "mlp-2", "pixels", "bf16"),
    ("cifar-10", "pixels-softmax", "pixels", "softmax"),
    ("cifar-10", "hog-softmax", "hog", "softmax"),
    ("cifar-10", "mlp-3", "pixels", "mlp"),
    ("cifar-10", "mlp-3", "pixels", "bf16"),
]


def told(pipeline):
    """The pipeline's name in tables and in --pipeline."""
    _, name, _, classifier = pipeline
    return name + BF16 if classifier == "bf16" else name


# --- data ---------------------------------------------------------------------------------------------------------------


def idx(path):
    with gzip.open(path) as file:
        data = file.read()
    dimensions = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(dimensions)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def fashion(folder):
    files = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    return [idx(os.path.join(folder, name + "-ubyte.gz")) for name in files]


def cifar(folder):
    def batch(name):
        records = np.fromfile(os.path.join(folder, name), np.uint8).reshape(-1, 3073)
        return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]

    parts = [batch(f"data_batch_{i}.bin") for i in range(1, 6)]
    test = batch("test_batch.bin")
    train = np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])
    return [train[0], train[1], np.ascontiguousarray(test[0]), test[1]]


# --- bakeoff ------------------------------------------------------------------------------------------------------------


class Bakeoff:
    """The program, one pipeline at a time."""

    def __init__(self, program, work, datasets, train_size):
        self.program, self.work, self.datasets, self.train_size = program, work, datasets, train_size
        self.count = 0

    def run(self, experiment, pipeline, tolerance=None, rounds=False):
        """Seconds of the stages, accuracy, dimension, last objective, iterations and whether it converged."""
        with open(os.path.join(ROOT, "reports", experiment, "experiment.toml")) as file:
            text = file.read()
        if tolerance is not None:
            text, replaced = re.subn(r"tolerance = [-0-9.e]+", f"tolerance = {tolerance}", text)
            if not replaced:
                sys.exit(f"{experiment} names no tolerance")
        if rounds:
            text = text.replace('kind = "mlp"', 'kind = "mlp", precision = "bf16"')
        # Turns are taken here.
        text += "\n[protocol]\ntiming = { rounds = 1, seconds = 1 }\n"
        self.count += 1
        file, out = (os.path.join(self.work, f"{name}-{self.count}") for name in ("experiment", "run"))
        with open(file + ".toml", "w") as handle:
            handle.write(text)
        command = [self.program, "run", file + ".toml", "--dataset", self.datasets[experiment], "--pipeline", pipeline,
                   "--seeds", "1", "--threads", str(THREADS), "--cache-limit", "0", "--model-limit", "0", "--out", out, "--json"]
        if self.train_size:
            command += ["--train-size", str(self.train_size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        subprocess.run([self.program, "export", out, "--format", "jsonl", "--out", out + "-export"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(os.path.join(out + "-export", "cells.jsonl")) as handle:
            outcome = json.loads(handle.readline())["outcome"]
        answer = json.loads(done.stdout.splitlines()[-1])["pipelines"][0]
        return {
            "seconds": [statistics.fmean(outcome[stage]) for stage in ("features", "fit", "predict")],
            "accuracy": answer["accuracy"], "dim": answer["dim"], "iterations": outcome["epochs"],
            "objective": outcome["curve"][-1]["loss"], "cpu": outcome["cpu"], "converged": answer["converged"],
        }


def settings_of(experiment, pipeline):
    """The pipeline's tables as reports/ has them; tomllib is part of Python since 3.11."""
    import tomllib

    with open(os.path.join(ROOT, "reports", experiment, "experiment.toml"), "rb") as file:
        named = {table["name"]: table for table in tomllib.load(file)["pipeline"]}
    return named[pipeline]


# --- timing -------------------------------------------------------------------------------------------------------------


def timed(call):
    """The value of a call, its wall seconds and its CPU seconds: medians of three where it is short."""
    seconds, used = [], []
    while True:
        started, before = time.perf_counter(), cpu()
        value = call()
        seconds.append(time.perf_counter() - started)
        used.append(cpu() - before)
        if len(seconds) == 3 or seconds[0] > SHORT:
            return value, statistics.median(seconds), statistics.median(used)


def cpu():
    """CPU seconds of this process and of children that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Others:
    """What other programs take of the processors meanwhile."""

    def __init__(self):
        self.started, self.busy, self.own = time.perf_counter(), self.ticks(), cpu()

    @staticmethod
    def ticks():
        with open("/proc/stat") as file:
            numbers = [int(word) for word in file.readline().split()[1:]]
        # All but idle, waiting, and guests, which are counted as users already.
        return (sum(numbers[:8]) - numbers[3] - numbers[4]) / os.sysconf("SC_CLK_TCK")

    def share(self):
        """CPU seconds of others a second of a core."""
        seconds = (time.perf_counter() - self.started) * os.cpu_count()
        return max(self.ticks() - self.busy - cpu() + self.own, 0) / seconds


# --- features of peers --------------------------------------------------------------------------------------------------


def padded(images, cell):
    """Whole cells: OpenCV and scikit-image leave out what lies beyond them, 4 of 28 pixels at cells of 8."""
    beyond = -images.shape[1] % cell
    around = ((0, 0), (beyond // 2, beyond - beyond // 2), (beyond // 2, beyond - beyond // 2)) + ((0, 0),) * (images.ndim - 3)
    return np.pad(images, around) if beyond else images


def pixels(images, _):
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def skimage_of(task):
    images, cell, orientations = task
    channel = -1 if images.ndim == 4 else None
    rows = [hog(image, orientations, (cell, cell), (2, 2), "L2-Hys", channel_axis=channel).astype(np.float32) for image in images]
    return np.stack(rows)


def skimage_hog(images, recipe):
    images = padded(images, recipe["cell"])
    tasks = [(part, recipe["cell"], recipe["orientations"]) for part in np.array_split(images, 40)]
    # Threads of numerical libraries do not survive a fork; these workers use none of them.
    with multiprocessing.get_context("fork").Pool(THREADS) as pool:
        return np.concatenate(pool.map(skimage_of, tasks, chunksize=1))


def opencv_hog(images, recipe):
    images, cell = padded(images, recipe["cell"]), recipe["cell"]
    side = images.shape[1]
    describer = cv2.HOGDescriptor((side, side), (2 * cell, 2 * cell), (cell, cell), (cell, cell), recipe["orientations"])

    def part(images):
        return np.stack([describer.compute(image).ravel() for image in images])

    with ThreadPoolExecutor(THREADS) as pool:
        return np.concatenate(list(pool.map(part, np.array_split(images, 8 * THREADS))))


FEATURES = {
    "pixels": {"numpy": pixels},
    "hog": {"scikit-image": skimage_hog, "OpenCV": opencv_hog},
}
SCIKIT_FEATURES = {"pixels": "numpy", "hog": "scikit-image"}


class Scale:
    """As the settings `none` and `global` have it: the mean taken off, one deviation for all columns."""

    def __init__(self, kind, rows):
        if kind not in ("none", "global", "standard"):
            sys.exit(f"no peer of the scale {kind}")
        self.kind = kind
        if kind != "none":
            self.mean = rows.mean(0)
            deviation = rows.std(0)
            self.deviation = np.sqrt((deviation**2).mean()) if kind == "global" else np.maximum(deviation, deviation.max() * 1e-3)

    def __call__(self, rows):
        return rows if self.kind == "none" else (rows - self.mean) / self.deviation


# --- objectives ---------------------------------------------------------------------------------------------------------


def value_and_gradient(loss, rows, labels, l2):
    """(1/n) Σ L_i + λ Σ W² and its gradient, parameters W (k, d) row-major, then b (k): bakeoff's objective in numpy."""
    n, d = rows.shape
    k = int(labels.max()) + 1
    signs = np.full((n, k), -1, np.float32)
    signs[np.arange(n), labels] = 1

    def evaluate(parameters):
        weights, bias = parameters[:k * d].reshape(k, d), parameters[k * d:]
        scores = rows @ weights.T.astype(np.float32) + bias.astype(np.float32)
        if loss == "softmax":
            scores -= scores.max(1, keepdims=True)
            right = scores[np.arange(n), labels].sum(dtype=np.float64)
            np.exp(scores, out=scores)
            sums = scores.sum(1, keepdims=True)
            value = np.log(sums).sum(dtype=np.float64) - right
            scores /= sums
            scores[np.arange(n), labels] -= 1
        else:
            margins = np.maximum(1 - signs * scores, 0)
            value = np.einsum("ij,ij->", margins, margins, dtype=np.float64)
            scores = -2 * signs * margins
        gradient = np.empty_like(parameters)
        gradient[:k * d] = (scores.T @ rows).ravel() / n + 2 * l2 * weights.ravel()
        gradient[k * d:] = scores.sum(0, dtype=np.float64) / n
        return value / n + l2 * float(weights.ravel() @ weights.ravel()), gradient

    return evaluate, k * d + k


def minimum(loss, rows, labels, l2):
    """The least value of the objective, by L-BFGS in variables that a Cholesky factor of the second moment makes round."""
    evaluate, size = value_and_gradient(loss, rows, labels, l2)
    d = rows.shape[1]
    k = size // (d + 1)
    bordered = np.hstack([rows, np.ones((len(rows), 1), np.float32)])
    moment = (bordered.T @ bordered).astype(np.float64) / len(rows)
    curvature = (k - 1) / k**2 if loss == "softmax" else 1.0
    moment *= curvature
    moment[np.arange(d), np.arange(d)] += 2 * l2
    moment[np.diag_indices(d + 1)] += 1e-6 * moment.diagonal().max()
    inverse = linalg.solve_triangular(linalg.cholesky(moment, lower=True), np.eye(d + 1), lower=True)

    def unpack(variables):
        whole = variables.reshape(k, d + 1) @ inverse
        return np.concatenate([whole[:, :d].ravel(), whole[:, d]])

    def of_variables(variables):
        value, gradient = evaluate(unpack(variables))
        whole = np.hstack([gradient[:k * d].reshape(k, d), gradient[k * d:, None]])
        return value, (whole @ inverse.T).ravel()

    # Sums of f32 products are good to about 1e-7 of the value.
    options = {"maxiter": 200, "maxcor": 20, "ftol": 1e-7, "gtol": 1e-7}
    return float(optimize.minimize(of_variables, np.zeros(size), jac=True, method="L-BFGS-B", options=options).fun)


def stopping_at(target, iterations, values):
    """scipy's minimize for L-BFGS-B, ended at the first iteration whose value is at most the target."""
    original = optimize.minimize

    def minimize(function, start, *args, callback=None, **options):
        def watch(intermediate_result):
            iterations.append(1)
            values.append(float(intermediate_result.fun))
            if intermediate_result.fun <= target:
                raise StopIteration

        return original(function, start, *args, callback=watch, **options)

    return minimize


# --- classifiers of peers -----------------------------------------------------------------------------------------------


class Peer:
    """A classifier of a peer: fit(rows, labels) as it is timed, predict(rows), and what is told of its end."""

    #: The objective where the fit ended.
    objective = None
    iterations = None

    def __init__(self, settings, target):
        self.settings, self.target = settings, target


class ScikitSoftmax(Peer):
    name = "scikit-learn LogisticRegression (lbfgs)"

    def fit(self, rows, labels):
        iterations, values = [], []
        # scikit-learn's objective is ours with λ = 1 / (2 n C).
        self.model = LogisticRegression(C=1 / (2 * len(rows) * self.settings["l2"]), max_iter=10_000, tol=1e-8)
        _logistic.optimize.minimize, original = stopping_at(self.target, iterations, values), _logistic.optimize.minimize
        try:
            self.model.fit(rows, labels)
        finally:
            _logistic.optimize.minimize = original
        self.objective, self.iterations = values[-1], len(iterations)

    def predict(self, rows):
        return self.model.predict(rows)


class TorchSoftmax(Peer):
    name = "PyTorch (LBFGS, strong Wolfe)"

    def fit(self, rows, labels):
        x, y = torch.from_numpy(rows), torch.from_numpy(labels.astype(np.int64))
        self.model = torch.nn.Linear(rows.shape[1], int(labels.max()) + 1)
        torch.nn.init.zeros_(self.model.weight)
        torch.nn.init.zeros_(self.model.bias)
        optimiser = torch.optim.LBFGS(self.model.parameters(), max_iter=10, history_size=10, line_search_fn="strong_wolfe",
                                      tolerance_grad=0, tolerance_change=0)

        def closure():
            optimiser.zero_grad()
            value = torch.nn.functional.cross_entropy(self.model(x), y) + self.settings["l2"] * (self.model.weight**2).sum()
            value.backward()
            self.objective = value.item()
            return value

        # LBFGS goes on where it was; it is looked at after every ten iterations, and ended where it no longer gets lower.
        before = float("inf")
        for self.iterations in range(10, 5001, 10):
            optimiser.step(closure)
            if self.objective <= self.target or not self.objective < before:
                break
            before = self.objective

    def predict(self, rows):
        with torch.no_grad():
            return self.model(torch.from_numpy(rows)).argmax(1).numpy()


class ScipySvm(Peer):
    """What one writes where LinearSVC takes too long: the same objective, numpy's products, scipy's L-BFGS."""

    name = "numpy and scipy (L-BFGS-B)"

    def fit(self, rows, labels):
        evaluate, size = value_and_gradient("svm", rows, labels, self.settings["l2"])
        iterations, values = [], []
        found = stopping_at(self.target, iterations, values)(
            evaluate, np.zeros(size), jac=True, method="L-BFGS-B", options={"maxiter": 10_000, "maxfun": 20_000, "ftol": 0, "gtol": 0})
        k = size // (rows.shape[1] + 1)
        self.weights = found.x[:k * rows.shape[1]].reshape(k, -1).T.astype(np.float32)
        self.bias = found.x[k * rows.shape[1]:].astype(np.float32)
        self.objective, self.iterations = values[-1], len(iterations)

    def predict(self, rows):
        return (rows @ self.weights + self.bias).argmax(1)


class ScikitSvm(Peer):
    name = "scikit-learn LinearSVC"

    def fit(self, rows, labels):
        # liblinear stops at tol · min(positives, negatives) / n of the first gradient: a tenth of tol in ten equal classes.
        self.model = LinearSVC(C=1 / (2 * len(rows) * self.settings["l2"]), tol=10 * self.settings["tolerance"], max_iter=10_000)
        self.model.fit(rows, labels)
        self.iterations = int(np.max(self.model.n_iter_))
        evaluate, _ = value_and_gradient("svm", rows, labels, self.settings["l2"])
        self.end = lambda: evaluate(np.concatenate([self.model.coef_.ravel(), self.model.intercept_]))[0]

    def predict(self, rows):
        return self.model.predict(rows)


class ScikitSgd(Peer):
    """One machine a class; regularised as the exact solvers are. λ Σ W² is α/2 Σ W² there."""

    def __init__(self, settings, target):
        super().__init__(settings, target)
        self.loss = {"softmax": "log_loss", "svm": "hinge"}[settings["kind"]]
        self.name = f"scikit-learn SGDClassifier ({self.loss})"

    def fit(self, rows, labels):
        self.model = SGDClassifier(loss=self.loss, alpha=2 * self.settings["l2"], n_jobs=THREADS, random_state=0)
        self.model.fit(rows, labels)
        self.iterations = int(self.model.n_iter_)

    def predict(self, rows):
        return self.model.predict(rows)


class ScikitKnn(Peer):
    name = "scikit-learn KNeighborsClassifier (brute)"

    def fit(self, rows, labels):
        self.model = KNeighborsClassifier(self.settings["k"], algorithm="brute", n_jobs=THREADS).fit(rows, labels)

    def predict(self, rows):
        return self.model.predict(rows)


class FaissKnn(Peer):
    name = "faiss IndexFlatL2"

    def fit(self, rows, labels):
        self.index, self.labels = faiss.IndexFlatL2(rows.shape[1]), labels
        self.index.add(rows)

    def predict(self, rows):
        _, near = self.index.search(rows, self.settings["k"])
        classes = self.labels[near]
        votes = np.stack([(classes == which).sum(1) for which in range(int(self.labels.max()) + 1)], 1)
        return votes.argmax(1)


class ScikitMlp(Peer):
    name = "scikit-learn MLPClassifier"

    def fit(self, rows, labels):
        # It has no cosine schedule; the rate stays as it is.
        self.model = MLPClassifier(self.settings["hidden"], solver="sgd", momentum=0.9, nesterovs_momentum=False,
                                   learning_rate_init=self.settings["learning_rate"], batch_size=self.settings["batch"],
                                   alpha=1e-5, max_iter=self.settings["epochs"], tol=0, n_iter_no_change=10_000, random_state=0)
        self.model.fit(rows, labels)
        self.iterations = self.model.n_iter_

    def predict(self, rows):
        return self.model.predict(rows)


class TorchMlp(Peer):
    name = "PyTorch"

    #: What products are made of in training; scores are of f32, as bakeoff's.
    precision = None

    def fit(self, rows, labels):
        torch.manual_seed(0)
        widths = [rows.shape[1], *self.settings["hidden"], int(labels.max()) + 1]
        modules = []
        for fan_in, out in zip(widths, widths[1:]):
            modules += [torch.nn.Linear(fan_in, out), torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*modules[:-1])
        # bakeoff's start: He before a rectifier, Xavier before the scores, no biases. PyTorch's own is another setting, with smaller weights.
        for layer in self.model[:-1:2]:
            torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            torch.nn.init.zeros_(layer.bias)
        torch.nn.init.xavier_uniform_(self.model[-1].weight)
        torch.nn.init.zeros_(self.model[-1].bias)
        batch, epochs = self.settings["batch"], self.settings["epochs"]
        optimiser = torch.optim.SGD(self.model.parameters(), lr=self.settings["learning_rate"], momentum=0.9, weight_decay=2e-5)
        steps = epochs * -(-len(rows) // batch)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        x, y = torch.from_numpy(rows), torch.from_numpy(labels.astype(np.int64))
        for _ in range(epochs):
            for places in torch.randperm(len(x)).split(batch):
                optimiser.zero_grad()
                with torch.autocast("cpu", dtype=self.precision, enabled=self.precision is not None):
                    loss = torch.nn.functional.cross_entropy(self.model(x[places]), y[places])
                loss.backward()
                optimiser.step()
                cosine.step()
        self.iterations = epochs

    def predict(self, rows):
        with torch.no_grad():
            return torch.cat([self.model(part).argmax(1) for part in torch.from_numpy(rows).split(1024)]).numpy()


class TorchMlpBf16(TorchMlp):
    name = "PyTorch (autocast to bfloat16)"
    precision = torch.bfloat16


CLASSIFIERS = {
    "softmax": [ScikitSoftmax, TorchSoftmax, ScikitSgd],
    "svm": [ScikitSvm, ScipySvm, ScikitSgd],
    "knn": [ScikitKnn, FaissKnn],
    "mlp": [ScikitMlp, TorchMlp],
    "bf16": [ScikitMlp, TorchMlp, TorchMlpBf16],
}
SCIKIT_CLASSIFIERS = {"softmax": ScikitSoftmax, "svm": ScikitSvm, "knn": ScikitKnn, "mlp": ScikitMlp, "bf16": ScikitMlp}
# Those that stop at an objective.
CONVERGING = {ScikitSoftmax, TorchSoftmax, ScipySvm, ScikitSvm}


# --- one pipeline -------------------------------------------------------------------------------------------------------


class Minima:
    """Least objectives, kept between runs: to find one takes longer than what it judges."""

    def __init__(self, path):
        self.path, self.found = path, {}
        if path and os.path.exists(path):
            with open(path) as file:
                self.found = json.load(file)

    def get(self, key, find):
        if key not in self.found:
            self.found[key] = find()
            if self.path:
                with open(self.path, "w") as file:
                    json.dump(self.found, file, indent=1)
        return self.found[key]


def judge(peer, scale_kind, train, labels, test, test_labels):
    """Fit and predict of one peer on rows of features: a row of the results."""
    def fit():
        scale = Scale(scale_kind, train)
        peer.fit(scale(train), labels)
        return scale

    scale, fit_seconds, fit_cpu = timed(fit)
    predicted, predict_seconds, predict_cpu = timed(lambda: peer.predict(scale(test)))
    if peer.objective is None and hasattr(peer, "end"):
        peer.objective = peer.end()
    return {"name": peer.name, "fit": fit_seconds, "predict": predict_seconds, "cpu": fit_cpu + predict_cpu, "accuracy": float((predicted == test_labels).mean()),
            "objective": peer.objective, "iterations": peer.iterations}


def prepare(pipeline, data, bakeoff, minima, size):
    """Finds the least objectives of a pipeline, so that a run that is timed does not have to."""
    experiment, name, kind, classifier = pipeline
    settings = settings_of(experiment, name)
    learner = settings["classifier"]
    images, labels, _, _ = data[experiment]
    if classifier not in ("softmax", "svm"):
        return
    minima.get(f"{experiment} {name} bakeoff {size}", lambda: bakeoff.run(experiment, name, learner["tolerance"] / 1000)["objective"])
    for source, call in FEATURES[kind].items():

        def find():
            rows = call(images, settings["features"][0])
            return minimum(learner["kind"], Scale(settings.get("scale", "standard"), rows)(rows), labels, learner["l2"])

        print(f"{experiment} {name} {source}: {minima.get(f'{experiment} {name} {source} {size}', find):.6f}", file=sys.stderr, flush=True)


def compare(pipeline, data, bakeoff, minima, turns, size):
    """Everything that is known of a pipeline after its turns."""
    experiment, name, kind, classifier = pipeline
    settings = settings_of(experiment, name)
    recipe, learner, scale = settings["features"][0], settings["classifier"], settings.get("scale", "standard")
    images, labels, test, test_labels = data[experiment]
    others = Others()
    say = lambda text: print(f"{experiment} {told(pipeline)}: {text}", file=sys.stderr, flush=True)
    ours = []

    def turn():
        ours.append(bakeoff.run(experiment, name, rounds=classifier == "bf16"))
        say("bakeoff " + " + ".join(f"{s:.3f}" for s in ours[-1]["seconds"]) + f" s, {ours[-1]['accuracy']:.4f}")

    turn()
    gap = None
    if classifier in ("softmax", "svm"):
        tight = minima.get(f"{experiment} {name} bakeoff {size}",
                           lambda: bakeoff.run(experiment, name, learner["tolerance"] / 1000)["objective"])
        gap = max(ours[0]["objective"] / tight - 1, 1e-9)

    features, features_cpu, rows = {}, {}, {}
    for peer, call in FEATURES[kind].items():
        (train_rows, test_rows), seconds, features_cpu[peer] = timed(lambda: (call(images, recipe), call(test, recipe)))
        features[peer], rows[peer] = seconds, (train_rows, test_rows)
        say(f"{peer} features {seconds:.3f} s, {train_rows.shape[1]} columns")
    turn()

    fastest = min(features, key=features.get)
    routes = {}
    for source in dict.fromkeys([fastest, SCIKIT_FEATURES[kind]]):
        train_rows, test_rows = rows[source]
        target = None
        if gap is not None:
            scaled = Scale(scale, train_rows)(train_rows)
            target = minima.get(f"{experiment} {name} {source} {size}", lambda: minimum(learner["kind"], scaled, labels, learner["l2"])) * (1 + gap)
            del scaled
        for made in CLASSIFIERS[classifier]:
            # Other features than the fastest ones are for the scikit route only, and LinearSVC is for it alone: the same
            # objective takes scipy a fraction of its time.
            scikit = made is SCIKIT_CLASSIFIERS[classifier]
            if (source != fastest and not scikit) or (made is ScikitSvm and source != SCIKIT_FEATURES[kind]):
                continue
            found = judge(made(learner, target), scale, train_rows, labels, test_rows, test_labels)
            found["gap"] = found["objective"] / (target / (1 + gap)) - 1 if found["objective"] is not None and target else None
            found["features"] = source
            routes[(made, source)] = found
            say(f"{found['name']} on {source}: {found['fit']:.3f} + {found['predict']:.4f} s, {found['accuracy']:.4f}, "
                f"{found['iterations']} iterations, gap {found['gap']}")
    while len(ours) < max(turns, 2):
        turn()
    medians = [statistics.median(stage) for stage in zip(*(found["seconds"] for found in ours))]
    found = summary(pipeline, ours[0], medians, gap, features, fastest, routes)
    # CPU seconds of the same: fit and predict of the mix's fits.
    used = {name: route["cpu"] for name, route in ((route["name"], route) for route in routes.values() if route["features"] == fastest)}
    scikit_used = routes[(SCIKIT_CLASSIFIERS[classifier], SCIKIT_FEATURES[kind])]["cpu"]
    found["cpu"] = {
        "bakeoff": statistics.median(each["cpu"] for each in ours), "scikit": features_cpu[SCIKIT_FEATURES[kind]] + scikit_used,
        "mix": features_cpu[fastest] + used.get(found["mix"]["names"]["fit"], scikit_used)}
    found["others"] = others.share()
    found["moment"] = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return found


def summary(pipeline, ours, medians, gap, features, fastest, routes):
    experiment, _, kind, classifier = pipeline
    scikit_made = SCIKIT_CLASSIFIERS[classifier]
    scikit = routes[(scikit_made, SCIKIT_FEATURES[kind])]
    enough = [found for found in routes.values() if found["accuracy"] >= ours["accuracy"] - LESS_ACCURATE]
    # Where no peer is as accurate, those of the same objective count: their accuracy is what their features give.
    enough = enough or list(routes.values())
    by_fit = min(enough, key=lambda found: found["fit"])
    # A stage's fastest, whoever's model it is: the mix takes the best of every stage.
    by_predict = min(enough, key=lambda found: found["predict"])
    stages = ("features", "fit", "predict")
    return {
        "experiment": experiment, "pipeline": told(pipeline), "dim": ours["dim"], "accuracy": ours["accuracy"], "gap": gap,
        "iterations": ours["iterations"], "converged": ours["converged"],
        "bakeoff": dict(zip(stages, medians)),
        "scikit": {"features": features[SCIKIT_FEATURES[kind]], "fit": scikit["fit"], "predict": scikit["predict"],
                   "accuracy": scikit["accuracy"], "gap": scikit["gap"], "iterations": scikit["iterations"]},
        "mix": {"features": features[fastest], "fit": by_fit["fit"], "predict": by_predict["predict"],
                "accuracy": by_fit["accuracy"], "gap": by_fit["gap"], "iterations": by_fit["iterations"],
                "names": {"features": fastest, "fit": by_fit["name"], "predict": by_predict["name"]}},
        "peers": [{key: value for key, value in found.items()} for found in routes.values()],
        "feature_seconds": features,
    }


# --- writing ------------------------------------------------------------------------------------------------------------

STAGES = ("features", "fit", "predict")


def in_all(found, who):
    return sum(found[who][stage] for stage in STAGES)


def seconds(value):
    return f"{value * 1000:.2f} ms" if value < 0.1 else f"{value:.2f} s"


def per_cent(value):
    return f"{100 * value:.2f}%"


def share(value):
    return "" if value is None else f"{value:.1e}"


def markdown(found, host, arguments):
    lines = ["# Whole pipelines beside the peers'", "",
             f"Printed by `{arguments}` on {host['cpu']} ({host['cores']} cores), {host['moment']}: {THREADS} thread{'s' if THREADS > 1 else ''} for everybody, one run, "
             f"{host['turns']} turns of bakeoff; {len(found)} of {len(PIPELINES)} rows, of eight pipelines and two more with networks in bf16. Ratios are peer / bakeoff: above 1, bakeoff is faster. The script tells what is timed.", "",
             "## In all", "", "| pipelines | route | its seconds | bakeoff's seconds | ratio | its CPU seconds | bakeoff's | ratio |", "|---|---|---|---|---|---|---|---|"]
    rounded = {(each["experiment"], each["pipeline"].removesuffix(BF16)) for each in found if each["pipeline"].endswith(BF16)}
    f32 = [each for each in found if not each["pipeline"].endswith(BF16)]
    bf16 = [each for each in found if (each["experiment"], each["pipeline"]) not in rounded]
    for networks, part in [("f32", f32), ("bf16", bf16)]:
        ours = sum(in_all(each, "bakeoff") for each in part)
        for who, name in [("scikit", "scikit-image + scikit-learn"), ("mix", "best mix of peers")]:
            if not part or (networks == "bf16" and not rounded):
                continue
            theirs = sum(in_all(each, who) for each in part)
            used, own_used = (sum(each["cpu"][which] for each in part) for which in (who, "bakeoff"))
            lines.append(f"| {len(part)}, networks in {networks} | {name} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.2f} | "
                         f"{used:.1f} | {own_used:.1f} | {used / own_used:.2f} |")
    lines += ["", "## Stage by stage", "",
              "| data | pipeline | stage | bakeoff | scikit route | ratio | fastest peer | its time | ratio |", "|---|---|---|---|---|---|---|---|---|"]
    for each in found:
        for stage in (*STAGES, "in all"):
            own, scikit, mix = (in_all(each, who) if stage == "in all" else each[who][stage] for who in ("bakeoff", "scikit", "mix"))
            name = "best mix" if stage == "in all" else each["mix"]["names"][stage]
            lines.append(f"| {each['experiment']} | {each['pipeline']} | {stage} | {seconds(own)} | {seconds(scikit)} | {scikit / own:.2f} | "
                         f"{name} | {seconds(mix)} | {mix / own:.2f} |")
    lines += ["", "## Accuracy, and where the solvers stopped", "",
              "Test accuracy, and for solvers that converge (objective − minimum) / minimum on their own rows. Those that iterate in "
              "Python's sight were ended at the first iteration with bakeoff's gap; liblinear had the same relative tolerance of the gradient.", "",
              "| data | pipeline | who | features | fit | predict | accuracy | iterations | gap |", "|---|---|---|---|---|---|---|---|---|"]
    for each in found:
        own = each["bakeoff"]
        lines.append(f"| {each['experiment']} | {each['pipeline']} | **bakeoff** | {seconds(own['features'])} | {seconds(own['fit'])} | {seconds(own['predict'])} | "
                     f"{per_cent(each['accuracy'])} | {each['iterations']} | {share(each['gap'])} |")
        for peer in each["peers"]:
            lines.append(f"| | | {peer['name']} | {peer['features']} {seconds(each['feature_seconds'][peer['features']])} | {seconds(peer['fit'])} | "
                         f"{seconds(peer['predict'])} | {per_cent(peer['accuracy'])} | {'' if peer['iterations'] is None else peer['iterations']} | {share(peer['gap'])} |")
    lines += ["", "Other programs took of all cores meanwhile: " + ", ".join(f"{per_cent(each['others'])} ({each['experiment']} {each['pipeline']}, until {each['moment']})" for each in found) + "."]
    slower = [f"{each['experiment']} {each['pipeline']} {stage}" for each in found for stage in STAGES if each["mix"][stage] < each["bakeoff"][stage]]
    lines += ["", "Stages in which a peer is faster: " + (", ".join(slower) if slower else "none") + ".", ""]
    return "\n".join(lines)


def table(found):
    """One line a pipeline, who and stage."""
    for each in found:
        base = [each["experiment"], each["pipeline"]]
        for stage in STAGES:
            yield [*base, stage, "bakeoff", each["bakeoff"][stage], each["accuracy"]]
        for peer, spent in each["feature_seconds"].items():
            yield [*base, "features", peer, spent, ""]
        for peer in each["peers"]:
            who = f"{peer['name']} on {peer['features']}"
            yield [*base, "fit", who, peer["fit"], peer["accuracy"]]
            yield [*base, "predict", who, peer["predict"], peer["accuracy"]]


def host_record(program, turns):
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    packages = ["numpy", "scipy", "scikit-learn", "scikit-image", "opencv-python-headless", "faiss-cpu", "torch"]
    version = subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(), "threads": THREADS, "bakeoff": version,
            "python": platform.python_version(), "packages": {name: metadata.version(name) for name in packages},
            "turns": turns, "moment": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def write(folder, found, host, command):
    """The four files of the report; its text."""
    text = markdown(found, host, command)
    os.makedirs(folder, exist_ok=True)
    for name, content in [("report.md", text), ("results.json", json.dumps(found, indent=1) + "\n"), ("host.json", json.dumps(host, indent=1) + "\n")]:
        with open(os.path.join(folder, name), "w") as file:
            file.write(content)
    with open(os.path.join(folder, "results.csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["data", "pipeline", "stage", "who", "seconds", "accuracy"])
        writer.writerows(table(found))
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bakeoff", help="the program")
    parser.add_argument("cifar", help="the folder of the CIFAR-10 binary batches")
    parser.add_argument("--fashion", default="/usr/share/datasets/fashion-mnist", help="the folder of Fashion-MNIST")
    parser.add_argument("--train-size", type=int, default=0, help="learn from so many images only")
    parser.add_argument("--turns", type=int, default=3, help="runs of bakeoff a pipeline")
    parser.add_argument("--threads", type=int, default=2, help="threads for everybody")
    parser.add_argument("--only", action="append", help="EXPERIMENT/PIPELINE; may be repeated")
    parser.add_argument("--minima", help="a file that keeps least objectives between runs")
    parser.add_argument("--prepare", action="store_true", help="find the least objectives for --minima and stop")
    parser.add_argument("--go-on", action="store_true", help="keep the pipelines that --out has from a run that was ended")
    parser.add_argument("--out", default=os.path.join(ROOT, "reports", "peers"), help="where the report goes")
    args = parser.parse_args()

    wanted = [p for p in PIPELINES if not args.only or f"{p[0]}/{told(p)}" in args.only]
    if not wanted:
        parser.error("no such pipeline; they are " + ", ".join(f"{p[0]}/{told(p)}" for p in PIPELINES))
    data = {"fashion-mnist": fashion(args.fashion), "cifar-10": cifar(args.cifar)}
    paths = {"fashion-mnist": args.fashion, "cifar-10": args.cifar}
    if args.train_size:
        for name, (images, labels, test, test_labels) in data.items():
            # Class by class, as bakeoff draws; not the same images.
            each = args.train_size // 10
            places = np.sort(np.concatenate([np.flatnonzero(labels == which)[:each] for which in range(10)]))
            data[name] = [images[places], labels[places], test, test_labels]
    command = "python benches/peers/whole.py BAKEOFF CIFAR" + (f" --train-size {args.train_size}" if args.train_size else "")
    command += f" --threads {THREADS}" if THREADS != 2 else ""
    found = []
    if args.go_on and os.path.exists(os.path.join(args.out, "results.json")):
        with open(os.path.join(args.out, "results.json")) as file:
            found = json.load(file)
    done = {(each["experiment"], each["pipeline"]) for each in found}
    wanted = [p for p in wanted if (p[0], told(p)) not in done]
    with tempfile.TemporaryDirectory() as work:
        bakeoff = Bakeoff(os.path.abspath(args.bakeoff), work, {name: os.path.abspath(path) for name, path in paths.items()}, args.train_size)
        minima = Minima(args.minima)
        for pipeline in wanted:
            if args.prepare:
                prepare(pipeline, data, bakeoff, minima, args.train_size)
                continue
            found.append(compare(pipeline, data, bakeoff, minima, args.turns, args.train_size))
            # After each, so that a run that is ended loses one at most.
            write(args.out, found, host_record(args.bakeoff, args.turns), command)
    if found:
        print(write(args.out, found, host_record(args.bakeoff, args.turns), command))


if __name__ == "__main__":
    main()
