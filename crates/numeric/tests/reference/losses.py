"""Losses on scores, penalties, and SGD with momentum.

    python losses.py > losses.json

Wants numpy and scikit-learn. Everything is float64, by the lecture's formulas:

    s = x W^T + b,  L = (1/n) sum_i L_i + lambda R(W),  R = sum W^2 (L2) or sum |W| (L1); the bias is never penalised
    softmax              L_i = -log(e^{s_y} / sum_j e^{s_j})
    weston_watkins       L_i = sum_{j != y} max(0, s_j - s_y + 1)
    one_vs_all_squared   L_i = sum_j max(0, 1 - t_j s_j)^2, t_y = 1, else -1
    crammer_singer       L_i = max(0, max_{j != y} s_j - s_y + 1)
    one_vs_all_hinge     L_i = sum_j max(0, 1 - t_j s_j)
    v <- rho v + dW,  W <- W - lr v

A hinge that is exactly 0 has slope 0. |W| has slope 0 at 0. Gradients with respect to scores hold the 1/n.
Every gradient is checked against central differences before it is printed, softmax and crammer_singer also against
scikit-learn's log_loss and hinge_loss.
"""
import json

import numpy as np
from sklearn.metrics import hinge_loss, log_loss

rng = np.random.default_rng(20)


def softmax(s, y):
    shifted = s - s.max(1, keepdims=True)
    e = np.exp(shifted)
    rows = np.arange(len(y))
    loss = np.log(e.sum(1)) - shifted[rows, y]
    p = e / e.sum(1, keepdims=True)
    p[rows, y] -= 1
    return loss.mean(), p / len(y)


def weston_watkins(s, y):
    rows = np.arange(len(y))
    margins = s - s[rows, y][:, None] + 1
    margins[rows, y] = 0
    loss = np.maximum(margins, 0).sum(1)
    g = (margins > 0).astype(float)
    g[rows, y] = -g.sum(1)
    return loss.mean(), g / len(y)


def signs(s, y):
    t = -np.ones_like(s)
    t[np.arange(len(y)), y] = 1
    return t


def one_vs_all_squared(s, y):
    t = signs(s, y)
    m = np.maximum(1 - t * s, 0)
    return (m * m).sum(1).mean(), -2 * t * m / len(y)


def one_vs_all_hinge(s, y):
    t = signs(s, y)
    m = 1 - t * s
    return np.maximum(m, 0).sum(1).mean(), np.where(m > 0, -t, 0) / len(y)


def crammer_singer(s, y):
    rows = np.arange(len(y))
    others = s.copy()
    others[rows, y] = -np.inf
    rival = others.argmax(1)
    m = s[rows, rival] - s[rows, y] + 1
    g = np.zeros_like(s)
    g[rows, rival] += m > 0
    g[rows, y] -= m > 0
    return np.maximum(m, 0).mean(), g / len(y)


LOSSES = [softmax, weston_watkins, one_vs_all_squared, crammer_singer, one_vs_all_hinge]


def penalty(w, kind, strength):
    if kind == "l1":
        return strength * np.abs(w).sum(), strength * np.sign(w)
    return strength * (w * w).sum(), 2 * strength * w


def objective(loss, kind, strength, x, y, w, b):
    value, ds = loss(x @ w.T + b, y)
    extra, dw = penalty(w, kind, strength)
    return value + extra, ds.T @ x + dw, ds.sum(0)


def difference_quotient(f, a, step=1e-5):
    g = np.zeros_like(a)
    for i in np.ndindex(a.shape):
        kept = a[i]
        a[i] = kept + step
        above = f()
        a[i] = kept - step
        below = f()
        a[i] = kept
        g[i] = (above - below) / (2 * step)
    return g


def numbers(a):
    return [float(f"{v:.15g}") for v in np.ravel(a)]


def rounded(shape, scale):
    return np.round(rng.standard_normal(shape) * scale, 3)


def on_scores():
    s, y = rounded((6, 4), 1.5), np.array([0, 3, 1, 2, 2, 0])
    p = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    np.testing.assert_allclose(softmax(s, y)[0], log_loss(y, p, labels=range(4)), rtol=1e-12)
    np.testing.assert_allclose(crammer_singer(s, y)[0], hinge_loss(y, s, labels=range(4)), rtol=1e-12)
    cases = {}
    for loss in LOSSES:
        value, g = loss(s, y)
        np.testing.assert_allclose(g, difference_quotient(lambda: loss(s, y)[0], s), rtol=0, atol=1e-8)
        cases[loss.__name__] = {"loss": value, "gradient": numbers(g)}
    return {"n": 6, "k": 4, "scores": numbers(s), "labels": y.tolist(), "losses": cases}


def extreme():
    """Rows whose exponentials overflow or vanish, and hinges that are exactly 0."""
    rows = [[1000.0, 0.0, -1000.0], [-50.0, -50.0, -50.0], [0.0, 0.0, 0.0], [-1e4, -1e4 + 1, -1e4 - 1], [700.0, 710.0, 705.0]]
    y = [2, 0, 1, 1, 0]
    out = []
    for row, label in zip(rows, y):
        s = np.array([row])
        out.append({"scores": row, "label": label} | {l.__name__: [l(s, np.array([label]))[0], numbers(l(s, np.array([label]))[1])] for l in LOSSES})
    kink = np.array([[1.0, 0.0, -1.0]])  # margins of 0 exactly for y = 0, and one-vs-all margins of 0, 1 and 0
    out.append({"scores": [1.0, 0.0, -1.0], "label": 0} | {l.__name__: [l(kink, np.array([0]))[0], numbers(l(kink, np.array([0]))[1])] for l in LOSSES})
    return out


def on_weights():
    n, d, k = 5, 4, 3
    x, w, b, y = rounded((n, d), 1.0), rounded((k, d), 0.5), rounded(k, 0.3), np.array([0, 2, 1, 1, 2])
    cases = []
    for loss in LOSSES:
        for kind, strength in (("l2", 0.0), ("l2", 0.1), ("l1", 0.05)):
            f = lambda: objective(loss, kind, strength, x, y, w, b)
            value, dw, db = f()
            np.testing.assert_allclose(dw, difference_quotient(lambda: f()[0], w), rtol=0, atol=1e-8)
            np.testing.assert_allclose(db, difference_quotient(lambda: f()[0], b), rtol=0, atol=1e-8)
            case = {"loss": loss.__name__, "penalty": kind, "strength": strength, "value": value, "dw": numbers(dw), "db": numbers(db)}
            for steps in (1, 100):
                case[f"after_{steps}"] = momentum(loss, kind, strength, x, y, w, b, steps)
            cases.append(case)
    head = {"n": n, "d": d, "k": k, "x": numbers(x), "w": numbers(w), "b": numbers(b), "labels": y.tolist(), "lr": LR, "rho": RHO}
    return head | {"cases": cases}


LR, RHO = 0.05, 0.9


def momentum(loss, kind, strength, x, y, w, b, steps):
    """Full batches; v starts at 0 and covers the bias as well."""
    w, b = w.copy(), b.copy()
    vw, vb = np.zeros_like(w), np.zeros_like(b)
    for _ in range(steps):
        _, dw, db = objective(loss, kind, strength, x, y, w, b)
        vw, vb = RHO * vw + dw, RHO * vb + db
        w, b = w - LR * vw, b - LR * vb
    return {"w": numbers(w), "b": numbers(b)}


def plain_momentum():
    """Given gradients, without a model."""
    w = rounded(4, 1.0)
    gradients = rounded((3, 4), 1.0)
    v, track, p = np.zeros(4), [], w.copy()
    for g in gradients:
        v = 0.9 * v + g
        p = p - 0.1 * v
        track.append(numbers(p))
    return {"start": numbers(w), "gradients": [numbers(g) for g in gradients], "lr": 0.1, "rho": 0.9, "after": track}


print('{"on_scores":', json.dumps(on_scores(), separators=(",", ":")))
print(',"extreme": [' + ",\n".join(json.dumps(e, separators=(",", ":")) for e in extreme()) + "]")
weights = on_weights()
cases = weights.pop("cases")
print(',"on_weights":', json.dumps(weights, separators=(",", ":")))
print(',"cases": [' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "]")
print(',"momentum":', json.dumps(plain_momentum(), separators=(",", ":")), "}")
