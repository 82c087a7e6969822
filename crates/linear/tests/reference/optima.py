"""Optima of the linear classifiers' objectives on 200 rows, 10 columns, 4 classes, and full-batch descents towards them.

    python optima.py > optima.json

Wants numpy, scipy and scikit-learn. The objective is the lecture's,

    L = (1/n) sum_i L_i + lambda R(W),   R = sum W^2 or sum |W|, bias not penalised

so that C = 1 / (2 lambda n) for scikit-learn and liblinear. All inputs are multiples of 1/64 and so exact in float32.

- softmax, L2: L-BFGS and then Newton steps in float64 until the gradient is below 1e-12; scikit-learn's
  LogisticRegression agrees in the objective to 1e-10.
- one-vs-all squared hinge, L2: Newton with exact second derivatives (the objective is piecewise quadratic), gradient
  below 1e-12. liblinear (LinearSVC) counts the bias as one more weight: with intercept_scaling = 1000 its penalty is
  1e-6 b^2, and the objectives agree to 1e-6.
- Weston-Watkins squared hinge, L2: the same Newton.
- Weston-Watkins hinge, L2: not smooth. Its dual is solved by an interior point method, until the gap of
  primal and dual is below 1e-9: `objective` is the primal, `dual` the proven lower bound. What SGD reaches lies above.
- softmax, L1: proximal gradient with momentum until the subgradient's distance to 0 is below 1e-9; scikit-learn's saga
  agrees in the objective to 1e-8.

The weights of softmax with L2 are unique, its bias up to a constant: it is given with mean 0.

Descents start at W = 0, b = 0, v = 0 and take all rows in every step: v <- rho v + dW, W <- W - lr f v, where the
schedule's factor f in step t of T, from 0, is 1 (constant), 1, 1/10 and 1/100 before T/2, before 3T/4 and after (step),
or (1 + cos(pi t / T)) / 2 (cosine). A hinge that is exactly 0 has slope 0, |W| slope 0 at 0. The margins of
weston_watkins stay further than 1e-5 from 0, so that float32 takes the same steps; with L1 there is no such promise.
"""
import json
import warnings

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

N, D, K = 200, 10, 4
ROWS = np.arange(N)


def data():
    x, y = make_classification(
        N, D, n_informative=6, n_redundant=2, n_classes=K, n_clusters_per_class=1, class_sep=0.8, flip_y=0.08, random_state=7
    )
    return np.round(x * 64) / 64, y


X, Y = data()
XB = np.hstack([X, np.ones((N, 1))])
T = np.where(np.arange(K) == Y[:, None], 1.0, -1.0)


def unpack(p):
    a = p.reshape(K, D + 1)
    return a[:, :D], a[:, D]


def softmax_parts(s):
    shifted = s - s.max(1, keepdims=True)
    e = np.exp(shifted)
    z = e.sum(1, keepdims=True)
    return np.log(z[:, 0]) - shifted[ROWS, Y], e / z


def smooth(p, kind, strength):
    """-> value, gradient, Hessian of the objective with an L2 penalty, parameters (k, d + 1) with the bias last."""
    w, b = unpack(p)
    s = X @ w.T + b
    h = np.zeros((N, K, K))  # second derivatives of L_i by scores
    if kind == "softmax":
        losses, q = softmax_parts(s)
        g = q - (T > 0)
        h = q[:, :, None] * np.eye(K) - q[:, :, None] * q[:, None, :]
    elif kind == "one_vs_all_squared":
        m = np.maximum(1 - T * s, 0)
        losses, g = (m * m).sum(1), -2 * T * m
        h = 2 * (m > 0)[:, :, None] * np.eye(K)
    else:  # weston_watkins_squared
        m = np.maximum(s - s[ROWS, Y][:, None] + 1, 0)
        m[ROWS, Y] = 0
        losses, g = (m * m).sum(1), 2 * m
        g[ROWS, Y] = -g.sum(1)
        for j in range(K):
            direction = np.zeros((N, K))
            direction[:, j] += 1
            direction[ROWS, Y] -= 1
            h += 2 * (m[:, j] > 0)[:, None, None] * direction[:, :, None] * direction[:, None, :]
    value = losses.mean() + strength * (w * w).sum()
    gradient = g.T @ XB / N
    gradient[:, :D] += 2 * strength * w
    hessian = np.einsum("nij,na,nb->iajb", h, XB, XB).reshape(p.size, p.size) / N
    ridge = np.tile(np.r_[np.full(D, 2 * strength), 0.0], K)
    return value, gradient.ravel(), hessian + np.diag(ridge)


def newton(kind, strength):
    f = lambda p: smooth(p, kind, strength)
    p = minimize(lambda p: f(p)[:2], np.zeros(K * (D + 1)), jac=True, method="L-BFGS-B", options=dict(maxiter=2000)).x
    for _ in range(100):
        value, gradient, hessian = f(p)
        if np.abs(gradient).max() < 1e-12:
            break
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
        size = 1.0
        while f(p - size * step)[0] > value + 1e-15 and size > 1e-6:
            size /= 2
        p = p - size * step
    value, gradient, _ = f(p)
    assert np.abs(gradient).max() < 1e-11, (kind, strength, np.abs(gradient).max())
    return value, p


def plain_value(w, b, kind, strength):
    return smooth(np.hstack([w, b[:, None]]).ravel(), kind, strength)[0]


def weston_watkins_value(w, b, strength):
    s = X @ w.T + b
    m = np.maximum(s - s[ROWS, Y][:, None] + 1, 0)
    m[ROWS, Y] = 0
    return m.sum(1).mean() + strength * (w * w).sum()


def weston_watkins_hinge(strength):
    """max sum(a) - |sum a_c direction_c x_c|^2 / (4 lambda), 0 <= a <= 1/n, one equation per class from the free bias."""
    pairs = [(i, j) for i in ROWS for j in range(K) if j != Y[i]]
    m = len(pairs)
    z = np.zeros((m, K, D))
    e = np.zeros((K, m))
    for r, (i, j) in enumerate(pairs):
        z[r, Y[i]] += X[i]
        z[r, j] -= X[i]
        e[Y[i], r] += 1
        e[j, r] -= 1
    z = z.reshape(m, K * D)
    e = e[:-1]  # the rows sum to 0
    q = z @ z.T / (2 * strength)
    top = 1.0 / N
    # min 1/2 a'qa - 1'a, e a = 0, 0 <= a <= top, by a primal-dual method with centring; u, v the bounds' multipliers.
    a, nu, u, v = np.full(m, top / 2), np.zeros(K - 1), np.ones(m), np.ones(m)
    for _ in range(200):
        w = (z.T @ a / (2 * strength)).reshape(K, D)
        dual_residual = q @ a - 1 + e.T @ nu - u + v
        gap = a @ u + (top - a) @ v
        if gap < 1e-12 and np.abs(dual_residual).max() < 1e-9 and np.abs(e @ a).max() < 1e-12:
            break
        mu = 0.1 * gap / (2 * m)
        diagonal = u / a + v / (top - a)
        right = -(dual_residual - (mu / a - u) + (mu / (top - a) - v))
        system = np.block([[q + np.diag(diagonal), e.T], [e, np.zeros((K - 1, K - 1))]])
        step = np.linalg.solve(system, np.r_[right, -(e @ a)])
        da, dnu = step[:m], step[m:]
        du, dv = (mu - u * da) / a - u, (mu + v * da) / (top - a) - v
        size = 1.0
        for now, change in ((a, da), (top - a, -da), (u, du), (v, dv)):
            falling = change < 0
            if falling.any():
                size = min(size, 0.995 * (-now[falling] / change[falling]).min())
        a, nu, u, v = a + size * da, nu + size * dnu, u + size * du, v + size * dv
    # Stationarity by the bias makes -nu (and 0 for the last class) the bias, up to a constant.
    w = (z.T @ a / (2 * strength)).reshape(K, D)
    dual = a.sum() - strength * (w * w).sum()
    b = max((np.r_[nu, 0.0], np.r_[-nu, 0.0]), key=lambda b: -weston_watkins_value(w, b, strength))
    primal = weston_watkins_value(w, b, strength)
    assert 0 <= primal - dual + 1e-12 and primal - dual < 1e-9, (primal, dual)
    return primal, dual, w, b - b.mean()


def softmax_l1(strength):
    def value_and_gradient(p):
        w, b = unpack(p)
        losses, q = softmax_parts(X @ w.T + b)
        return losses.mean(), ((q - (T > 0)).T @ XB / N).ravel()

    penalised = np.tile(np.r_[np.full(D, strength), 0.0], K)
    shrink = lambda p, t: np.sign(p) * np.maximum(np.abs(p) - t * penalised, 0)
    rate = 1 / (0.5 * np.linalg.eigvalsh(XB.T @ XB / N).max())
    p = z = np.zeros(K * (D + 1))
    momentum = 1.0
    for _ in range(200_000):
        g = value_and_gradient(z)[1]
        new = shrink(z - rate * g, rate)
        if (z - new) @ (new - p) > 0:
            momentum = 1.0  # restart when the momentum points uphill
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        z = new + (momentum - 1) / following * (new - p)
        p, momentum = new, following
        g = value_and_gradient(p)[1]
        distance = np.where(p != 0, np.abs(g + penalised * np.sign(p)), np.maximum(np.abs(g) - penalised, 0)).max()
        if distance < 1e-10:
            break
    assert distance < 1e-9, distance
    w, b = unpack(p)
    return value_and_gradient(p)[0] + strength * np.abs(w).sum(), w, b


def slopes(kind, s):
    if kind == "softmax":
        return softmax_parts(s)[1] - (T > 0), np.inf
    if kind == "one_vs_all_squared":
        return -2 * T * np.maximum(1 - T * s, 0), np.inf
    m = s - s[ROWS, Y][:, None] + 1
    nearest = np.abs(m[T < 0]).min()
    g = (m > 0) & (T < 0)
    return g - g.sum(1, keepdims=True) * (T > 0), nearest


def factor(schedule, t, steps):
    if schedule == "cosine":
        return (1 + np.cos(np.pi * t / steps)) / 2
    if schedule == "step":
        return 1.0 if t < steps / 2 else 0.1 if t < 0.75 * steps else 0.01
    return 1.0


def descent(kind, penalty, strength, schedule, steps, rate=0.043, rho=0.9):
    w, b, vw, vb = np.zeros((K, D)), np.zeros(K), np.zeros((K, D)), np.zeros(K)
    nearest = np.inf
    for t in range(steps):
        g, distance = slopes(kind, X @ w.T + b)
        nearest = min(nearest, distance)
        extra = 2 * strength * w if penalty == "l2" else strength * np.sign(w)
        vw, vb = rho * vw + g.T @ X / N + extra, rho * vb + g.sum(0) / N
        f = rate * factor(schedule, t, steps)
        w, b = w - f * vw, b - f * vb
    assert nearest > 1e-5, nearest
    head = {"loss": kind, "penalty": penalty, "strength": strength, "schedule": schedule, "steps": steps}
    return head | {"lr": rate, "rho": rho, "w": numbers(w), "b": numbers(b)}


def numbers(a):
    return [float(f"{v:.12g}") for v in np.ravel(a)]


def entry(kind, penalty, strength, value, w, b, **more):
    right = int(((X @ w.T + b).argmax(1) == Y).sum())
    return {"loss": kind, "penalty": penalty, "strength": strength, "objective": float(value), "w": numbers(w), "b": numbers(b), "n_right": right} | more


def l2_entries(kind):
    out = []
    for strength in (1e-4, 1e-2, 1.0):
        value, p = newton(kind, strength)
        w, b = unpack(p)
        c = 1 / (2 * strength * N)
        if kind == "softmax":
            model = LogisticRegression(C=c, tol=1e-10, max_iter=20_000, solver="newton-cholesky").fit(X, Y)
            theirs = plain_value(model.coef_, model.intercept_, kind, strength)
            assert abs(theirs - value) < 1e-10, (theirs, value)
            b = b - b.mean()
        if kind == "one_vs_all_squared":
            model = LinearSVC(C=c, tol=1e-8, max_iter=1_000_000, intercept_scaling=1000.0, dual=False).fit(X, Y)
            theirs = plain_value(model.coef_, model.intercept_, kind, strength)
            assert abs(theirs - value) < 1e-6 * max(1, value), (theirs, value)
        out.append(entry(kind, "l2", strength, value, w, b))
    return out


def hinge_entries():
    out = []
    for strength in (1e-3, 1e-2, 1.0):
        value, dual, w, b = weston_watkins_hinge(strength)
        out.append(entry("weston_watkins", "l2", strength, value, w, b, dual=float(dual)))
    return out


def l1_entries():
    out = []
    for strength in (1e-3, 1e-2):
        value, w, b = softmax_l1(strength)
        # saga penalises no bias; it shares the objective after division by n C.
        model = LogisticRegression(C=1 / (strength * N), l1_ratio=1, solver="saga", tol=1e-10, max_iter=200_000).fit(X, Y)
        losses, _ = softmax_parts(X @ model.coef_.T + model.intercept_)
        theirs = losses.mean() + strength * np.abs(model.coef_).sum()
        assert abs(theirs - value) < 1e-8, (theirs, value)
        out.append(entry("softmax", "l1", strength, value, w, b - b.mean(), n_zero_weights=int((w == 0).sum())))
    return out


warnings.simplefilter("error", ConvergenceWarning)
entries = sum((l2_entries(k) for k in ("softmax", "one_vs_all_squared", "weston_watkins_squared")), []) + hinge_entries() + l1_entries()
descents = [
    descent(kind, penalty, strength, schedule, steps)
    for kind in ("softmax", "weston_watkins", "one_vs_all_squared")
    for penalty, strength in (("l2", 0.01), ("l1", 0.002))
    for schedule, steps in (("constant", 1), ("constant", 100), ("step", 40), ("cosine", 40))
]
print('{"n": %d, "d": %d, "k": %d,' % (N, D, K))
print('"x_times_64":', json.dumps((X * 64).astype(int).ravel().tolist(), separators=(",", ":")))
print(',"labels":', json.dumps(Y.tolist(), separators=(",", ":")))
print(',"optima": [' + ",\n".join(json.dumps(e, separators=(",", ":")) for e in entries) + "]")
print(',"descents": [' + ",\n".join(json.dumps(e, separators=(",", ":")) for e in descents) + "]}")
