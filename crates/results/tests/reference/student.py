"""Reference values for src/student.rs, from scipy 1.17. Writes student.json beside itself:  python student.py"""

import json
from pathlib import Path

import numpy as np
from scipy import stats

tails = [0.4, 0.1, 0.025, 0.005, 1e-4, 1e-9]
freedoms = [1, 2, 3, 4.7, 9, 30, 150.5, 1000, 1e6]


def critical(level, guessed, df, known):
    """Satterthwaite's answer and its upper neighbour, blended as src/student.rs says."""
    p, total = 1 - level / 2, guessed + known
    z, t = stats.norm.ppf(p), stats.t.ppf(p, df)
    satterthwaite = stats.t.ppf(p, df * (total / guessed) ** 2) * np.sqrt(total)
    apart = np.sqrt(t**2 * guessed + z**2 * known)
    share = 1 / (1 + (3 * (z / t) ** 2 * known / guessed) ** 2)
    return (1 - share) * satterthwaite + share * apart


def beyond(level, df):
    """The chance that A + B is beyond its critical value, for true variances r and 1, least and greatest over r."""
    factors = stats.chi2.ppf((np.arange(400) + 0.5) / 400, df) / df
    chances = []
    for r in np.exp(np.linspace(np.log(1e-3), np.log(1e3), 31)):
        chances.append(np.mean(2 * stats.norm.sf(critical(level, r * factors, df, 1.0) / np.sqrt(r + 1))))
    return [level, df, float(min(chances)), float(max(chances))]


def main():
    cases = [(level, g, df, k) for level in (0.5, 0.05, 0.001) for df in (1, 2, 4, 9) for g, k in ((1.0, 0.001), (0.2, 0.8), (1e-3, 1.0), (3.0, 1.0))]
    values = {
        "student": [[x, df, float(stats.t.sf(x, df))] for df in freedoms[:7] for x in (-2.0, 0.0, 0.3, 1.9, 5.0, 40.0)],
        "student_upper": [[p, df, float(stats.t.isf(p, df))] for df in freedoms for p in tails],
        "chi_squared": [[x, df, float(stats.chi2.sf(x, df))] for df in (1, 2, 5, 19) for x in (0.1, 1.0, 8.0, 40.0)],
        "f": [[x, a, b, float(stats.f.sf(x, a, b))] for a, b in ((1, 9), (3, 27), (8, 152)) for x in (0.2, 1.0, 3.0, 12.0)],
        "critical": [[*case, float(critical(*case))] for case in cases],
        "beyond": [beyond(level, df) for level in (0.05, 0.01) for df in (1, 2, 3, 4, 9)],
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(values) + "\n")
    print(values["beyond"])


if __name__ == "__main__":
    main()
