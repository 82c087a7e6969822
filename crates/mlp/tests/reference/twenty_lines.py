"""The lecture's network in NumPy: python twenty_lines.py > twenty_lines.json

64 rows, 1000 inputs, 100 sigmoid units, 10 outputs with biases, loss = sum of squares over rows and outputs, plain gradient
descent at 1e-4. Inputs, labels and weights come from a formula that needs no generator, so that both sides start alike:
frac(sin) noise would differ in the last digits between libraries, so whole numbers modulo a prime are used.
"""
import json

import numpy as np

N, D, H, K, STEPS, RATE = 64, 1000, 100, 10, 10_000, 1e-4


def noise(rows, columns, a, b, c):
    i, j = np.mgrid[0:rows, 0:columns]
    return ((i * a + j * b + i * j * c) % 1009) / 504.5 - 1.0


x = noise(N, D, 7919, 104729, 31)
labels = (np.arange(N) * 7) % K
y = np.eye(K)[labels]
w1, b1 = noise(H, D, 6007, 2003, 17) * 0.05, np.zeros(H)
w2, b2 = noise(K, H, 3001, 5003, 13) * 0.3, np.zeros(K)
losses = {}
for t in range(STEPS):
    h = 1 / (1 + np.exp(-(x @ w1.T + b1)))
    s = h @ w2.T + b2
    if t in (0, 1, 2, 5, 10, 30, 100, 300, 1000, 3000, STEPS - 1):
        losses[t] = float(((s - y) ** 2).sum())
    ds = 2 * (s - y)
    dz = (ds @ w2) * h * (1 - h)
    w2, b2, w1, b1 = w2 - RATE * ds.T @ h, b2 - RATE * ds.sum(0), w1 - RATE * dz.T @ x, b1 - RATE * dz.sum(0)
print(json.dumps({"steps": list(losses), "losses": list(losses.values())}))
