"""Reference values for tests/statistics.rs, from scipy and statsmodels. Writes statistics.json beside itself.

Made with Python 3, numpy, pandas 3.1.1, scipy 1.17.1, statsmodels 0.15.0:  python statistics.py
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

sys.path.insert(0, str(Path(__file__).parent))
from student import critical  # noqa: E402

rng = np.random.default_rng(20240229)


def wilson():
    cases = [(0, 1), (1, 1), (0, 40), (40, 40), (39, 40), (8431, 10000), (9999, 10000), (1, 3), (123456, 1000000)]
    rows = []
    for right, of in cases:
        for confidence in (0.8, 0.95, 0.999):
            lo, hi = proportion_confint(right, of, alpha=1 - confidence, method="wilson")
            rows.append([right, of, confidence, float(lo), float(hi)])
    return rows


def exact_mcnemar():
    cases = [(0, 0), (0, 6), (3, 9), (10, 10), (120, 90), (480, 560), (5000, 5200), (49000, 51000), (3, 4000), (12, 61)]
    return [[b, c, float(mcnemar([[0, b], [c, 0]], exact=True).pvalue)] for b, c in cases]


def holm():
    families = [[0.01, 0.02, 0.04], [0.5], [0.04, 0.03, 0.03, 1e-9], [0.2, 0.9, 0.6], list(rng.random(20) ** 4)]
    return [[f, [float(p) for p in multipletests(f, method="holm")[1]]] for f in families]


def table(x, joining):
    """Mean squares, interval and p-value of a table of seeds (rows) and images (columns)."""
    s, n = x.shape
    frame = pd.DataFrame({"seed": np.repeat(np.arange(s), n), "image": np.tile(np.arange(n), s), "x": x.ravel()})
    squares = {"seeds": 0.0, "rest": 0.0}
    if s > 1:
        anova = anova_lm(ols("x ~ C(seed) + C(image)", frame).fit())
        squares = {"seeds": anova.mean_sq["C(seed)"], "rest": anova.mean_sq["Residual"]}
        squares["images"] = anova.mean_sq["C(image)"]
    else:
        squares["images"] = x[0].var(ddof=1)
    joined = np.concatenate([x.mean(axis=0), joining])
    mean_square = s * joined.var(ddof=1)
    share = max(1 - squares["rest"] / mean_square, 0.0)
    image_sd = np.sqrt(share * mean_square / (s * len(joined)))
    seed_sd = np.sqrt(squares["seeds"] / (s * n))
    return {
        "mean": float(x.mean()),
        "mean_squares": {key: float(value) for key, value in squares.items()},
        "interval": interval(joined, share, seed_sd, s),
        "standard_error": float(np.hypot(seed_sd, image_sd)),
        "p_value": p_value(abs(x.mean()), seed_sd, image_sd, s),
    }


def interval(joined, share, seed_sd, s):
    if s == 1:
        # The plain percentile bootstrap of a mean, by scipy.
        result = stats.bootstrap((joined,), np.mean, n_resamples=200_000, method="percentile", rng=rng, batch=1000)
        return [float(result.confidence_interval.low), float(result.confidence_interval.high)]
    n = len(joined)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=200_000)
    draws = np.sqrt(share) * (counts @ joined / n - joined.mean())
    draws = draws + seed_sd * rng.normal(size=200_000)
    image_variance = share * s * joined.var(ddof=1) / (s * n)
    stretch = critical(0.05, seed_sd**2, s - 1, image_variance) / (stats.norm.ppf(0.975) * np.hypot(seed_sd, np.sqrt(image_variance)))
    return [float(q) for q in joined.mean() + stretch * np.quantile(draws, [0.025, 0.975])]


def p_value(far, seed_sd, image_sd, s):
    if s == 1:
        return float(min(1.0, 2 * stats.norm.sf(far / image_sd)))
    beyond = lambda log: critical(np.exp(log), seed_sd**2, s - 1, image_sd**2) - far
    least = np.log(2e-15)
    return float(np.exp(least if beyond(least) < 0 else optimize.brentq(beyond, least, -1e-9, xtol=1e-14)))


def right(s, n, hardness, shift):
    easy = rng.beta(6 * (1 - hardness), 6 * hardness, n)
    return rng.random((s, n)) < np.clip(easy + rng.normal(0, shift, (s, 1)), 0, 1)


def tables():
    result = []
    for s, n in ((1, 60), (2, 50), (3, 80), (10, 40)):
        a, b = right(s, n, 0.2, 0.05), right(s, n, 0.35, 0.05)
        case = {"a": a.astype(int).tolist(), "b": b.astype(int).tolist()}
        case["accuracy"] = table(a.astype(float), [1, 1, 0, 0])
        case["difference"] = table(a.astype(float) - b, [1, -1])
        result.append(case)
    return result


values = {"wilson": wilson(), "mcnemar": exact_mcnemar(), "holm": holm(), "tables": tables()}
Path(__file__).with_suffix(".json").write_text(json.dumps(values) + "\n")
