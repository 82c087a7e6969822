"""Reference values for tests/ranks.rs, from scipy 1.17. Writes ranks.json beside itself:  python ranks.py"""

import json
from pathlib import Path

import numpy as np
from scipy import stats

rng = np.random.default_rng(7)


def wilcoxon():
    rows = []
    for n in (1, 5, 6, 10, 25, 50):  # no ties: scipy's exact distribution
        d = rng.normal(0.4, 1, n)
        rows.append([d.tolist(), float(stats.wilcoxon(d, method="exact").pvalue), True])
    for n in (6, 9, 12):  # ties and zeros: all choices of signs, one by one
        d = rng.integers(-2, 5, n).astype(float)
        kept = d[d != 0]
        method = stats.PermutationMethod(n_resamples=np.inf)
        rows.append([d.tolist(), float(stats.wilcoxon(kept, method=method).pvalue), True])
    for d in (rng.normal(0.1, 1, 150), rng.integers(-4, 6, 300).astype(float)):
        rows.append([d.tolist(), float(stats.wilcoxon(d, zero_method="wilcox", correction=False, method="approx").pvalue), False])
    return rows


def friedman():
    rows = []
    for n, k, ties in ((10, 3, False), (12, 5, True), (30, 8, False), (10, 4, True)):
        values = rng.random((n, k)) + np.linspace(0, 0.4, k)
        values = np.round(values, 1) if ties else values
        chi, p = stats.friedmanchisquare(*values.T)
        f = (n - 1) * chi / (n * (k - 1) - chi)
        ranks = np.mean([stats.rankdata(-row) for row in values], axis=0)
        rows.append([values.tolist(), ranks.tolist(), float(chi), float(p), float(f), float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))])
    return rows


def nemenyi():
    """Quantiles of the studentised range and critical differences; Demsar's table 5(a) has 2.343 for k = 3 at 5%."""
    rows = []
    for k in (2, 3, 5, 10, 20, 50):
        for level in (0.1, 0.05, 0.01):
            q = float(stats.studentized_range.isf(level, k, np.inf))
            rows.append([k, level, q, q / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * 14))])
    return rows


def nadeau_bengio():
    rows = []
    for splits, n_train, n_test in ((2, 900, 100), (10, 900, 100), (30, 200, 200)):
        d = rng.normal(0.01, 0.02, splits)
        error = np.sqrt((1 / splits + n_test / n_train) * d.var(ddof=1))
        interval = stats.t.interval(0.95, splits - 1, loc=d.mean(), scale=error)
        p = 2 * stats.t.sf(abs(d.mean()) / error, splits - 1)
        rows.append([d.tolist(), n_train, n_test, float(error), float(interval[0]), float(interval[1]), float(p)])
    return rows


def expected_best():
    """By brute force over all draws, which is exact."""
    from itertools import product

    scores = [0.5, 0.7, 0.7, 0.9, 0.2]
    rows = []
    for k in range(1, 6):
        best = np.array([max(draw) for draw in product(scores, repeat=k)])
        rows.append([float(best.mean()), float(best.var())])
    return [scores, rows]


values = {
    "wilcoxon": wilcoxon(),
    "friedman": friedman(),
    "nemenyi": nemenyi(),
    "nadeau_bengio": nadeau_bengio(),
    "expected_best": expected_best(),
}
Path(__file__).with_suffix(".json").write_text(json.dumps(values) + "\n")
