"""Our networks beside the peers', taking turns in one run: python mlp.py NETWORKS [TURNS]

NETWORKS is the built example: cargo build --release -p bakeoff-benches --example networks, then
target/release/examples/networks. Wants numpy, torch and scikit-learn. Every turn runs ours and then each peer; the first turn
warms up and does not count. Prints a Markdown table of medians, with ours / peer of the rates (above 1: ours is faster), and
for training the share of the multiply-add peak that was measured in the same turns: of all multiply-adds of a dense step, though
ours leaves out those with derivatives that are 0. Run it on an idle machine.

A step is forward, softmax loss, backward and momentum with L2, in f32, on 128 rows that lie in memory, on two threads.
scikit-learn's step is one epoch of MLPClassifier divided by its batches. Peers of single rows score one row a call.
"""
import os

os.environ.update({name: "2" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier

warnings.filterwarnings("ignore")
torch.set_num_threads(2)
TURNS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
SERVER = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
BATCH = 128
# Seconds before each job: the peers' threads go on turning for a while after a call, and would take a core from what follows.
PAUSE = 0.5


def ours(line):
    SERVER.stdin.write(line + "\n")
    SERVER.stdin.flush()
    return float(SERVER.stdout.readline())


def timed(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def network(widths):
    modules = []
    for fan_in, out in zip(widths, widths[1:]):
        modules += [torch.nn.Linear(fan_in, out), torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


def torch_training(widths, steps):
    net, loss = network(widths), torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4)
    x, y = torch.randn(20 * BATCH, widths[0]), torch.arange(20 * BATCH) % 10

    def call():
        for step in range(steps):
            place = slice(step % 20 * BATCH, (step % 20 + 1) * BATCH)
            optimiser.zero_grad()
            loss(net(x[place]), y[place]).backward()
            optimiser.step()

    return call


def sklearn_training(widths, steps):
    x = np.random.default_rng(0).normal(size=(steps * BATCH, widths[0])).astype(np.float32)
    y = np.arange(len(x)) % 10
    net = MLPClassifier(widths[1:-1], solver="sgd", momentum=0.9, nesterovs_momentum=False, learning_rate_init=0.001,
                        batch_size=BATCH, alpha=1e-4, max_iter=1, shuffle=False)
    net.partial_fit(x, y, classes=np.arange(10))
    return lambda: net.partial_fit(x, y)


def torch_inference(widths, n, block):
    net, x = network(widths).eval(), torch.randn(n, widths[0])

    def call():
        with torch.inference_mode():
            for first in range(0, n, block):
                net(x[first:first + block])

    return call


def single(widths, times):
    net, x = network(widths).eval(), torch.randn(1, widths[0])

    def call():
        seconds = []
        with torch.inference_mode():
            for _ in range(times):
                seconds.append(timed(lambda: net(x)))
        return statistics.median(seconds)

    return call


def multiply_adds(widths):
    """Floating operations a row of one step: two products a layer, three but for the first."""
    products = [2 * a * b for a, b in zip(widths, widths[1:])]
    return 3 * sum(products) - products[0]


def row(what, amount, found, unit):
    rates = {name: amount / statistics.median(seconds) for name, seconds in found.items()}
    for name in [name for name in found if name != "ours"]:
        print(f"| {what} | {rates['ours']:,.0f} {unit} | {name} | {rates[name]:,.0f} {unit} | "
              f"{rates['ours'] / rates[name]:.2f} |", flush=True)
    return rates["ours"]


def turns(jobs, extra=lambda: None):
    found = {name: [] for name in jobs}
    for turn in range(TURNS + 1):
        for name, job in jobs.items():
            time.sleep(PAUSE)
            seconds = job()
            if turn:
                found[name].append(seconds)
        time.sleep(PAUSE)
        extra()
    return found


print("| what | ours | peer | peer's | ours / peer |\n|---|---|---|---|---|")
shares = []
for widths, steps in [((784, 1024, 10), 300), ((3072, 1024, 1024, 10), 60)]:
    layers, peaks = "-".join(map(str, widths)), []
    call = torch_training(widths, steps)
    jobs = {"ours": lambda: ours(f"train 2 {layers} {BATCH} {steps}"), "PyTorch": lambda: timed(call)}
    if len(widths) == 3:
        fit = sklearn_training(widths, 100)
        jobs["scikit-learn"] = lambda: timed(fit) * steps / 100
    rate = row(f"training {layers}, batch {BATCH}", steps * BATCH, turns(jobs, lambda: peaks.append(ours("peak 2"))), "rows/s")
    reached, peak = rate * multiply_adds(widths) / 1e9, statistics.median(peaks)
    shares.append(f"{layers}: {reached:.0f} of {peak:.0f} GFLOP/s, {100 * reached / peak:.0f}%")
    n = 20_000 if len(widths) == 3 else 5_000
    jobs = {"ours": lambda: ours(f"infer 2 {layers} {n}")}
    for block in (128, n):
        score = torch_inference(widths, n, block)
        jobs[f"PyTorch, {block} rows a call"] = lambda score=score: timed(score)
    row(f"scores {layers}", n, turns(jobs), "rows/s")
one = single((784, 1024, 10), 500)
found = turns({"ours": lambda: ours("single 2 784-1024-10 500"), "PyTorch": one})
a, b = (statistics.median(found[name]) * 1e6 for name in ("ours", "PyTorch"))
print(f"| one row, 784-1024-10, median | {a:.0f} µs | PyTorch | {b:.0f} µs | {b / a:.2f} |")
print("\nShare of the peak while training: " + "; ".join(shares) + ".")
SERVER.stdin.close()
