"""k nearest neighbours on whole numbers, where distances and votes tie often.

    python neighbors.py > neighbors.json

Wants numpy and scikit-learn. The rule: neighbours in the order of (distance, training index), the first k of them vote,
most votes win, the lowest class id among equals. L1 is the sum of absolute differences, L2 the Euclidean distance; all
values are small whole numbers, so that distances are exact in float32 and ties are real.

scikit-learn's brute search must agree on every query whose k-th and (k + 1)-th distances differ (else its choice
of neighbours is its own).
"""
import json

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

rng = np.random.default_rng(3)
N, QUERIES, D, CLASSES = 60, 40, 5, 4
train = rng.integers(-3, 5, (N, D))
train[41] = train[7]  # the same row twice, in two classes
labels = rng.integers(0, CLASSES, N)
labels[labels == 2] = 3  # class 2 has no row
labels[7], labels[41] = 3, 1
queries = np.vstack([rng.integers(-3, 5, (QUERIES - 2, D)), train[7:8], train[41:42]])


def ordered(query, norm):
    """-> (L1 distance or squared L2 distance, index) of every training row, nearest first; squares order as roots do."""
    keys = []
    for i in range(N):
        difference = [int(a) - int(b) for a, b in zip(query, train[i])]
        keys.append((sum(abs(v) for v in difference) if norm == "l1" else sum(v * v for v in difference), i))
    return sorted(keys)


def vote(neighbours):
    votes = [0] * CLASSES
    for _, i in neighbours:
        votes[labels[i]] += 1
    return votes.index(max(votes)), votes


def case(k, norm):
    chosen = [ordered(q, norm) for q in queries]
    predicted = [vote(c[:k]) for c in chosen]
    theirs = KNeighborsClassifier(k, algorithm="brute", p=1 if norm == "l1" else 2).fit(train, labels).predict(queries)
    n_checked = 0
    for q, c in enumerate(chosen):
        if k == N or c[k - 1][0] != c[k][0]:
            n_checked += 1
            assert theirs[q] == predicted[q][0], (k, norm, q)
    assert n_checked > 5
    vote_ties = sum(sorted(votes)[-1] == sorted(votes)[-2] for _, votes in predicted)
    return {
        "k": k,
        "norm": norm,
        "predicted": [p for p, _ in predicted],
        "votes": [v for _, v in predicted],
        "neighbours": [[i for _, i in c[:k]] for c in chosen] if k < N else [],
        "n_agreeing_with_scikit_learn": n_checked,
        "n_vote_ties": vote_ties,
    }


cases = [case(k, norm) for norm in ("l1", "l2") for k in (1, 2, 5, 12, N)]
assert all(c["n_vote_ties"] > 0 for c in cases if c["k"] in (2, 5))
flat = lambda a: a.ravel().tolist()
print(json.dumps({"n": N, "n_queries": QUERIES, "d": D, "n_classes": CLASSES}, separators=(",", ":"))[:-1])
print(',"train":', json.dumps(flat(train), separators=(",", ":")))
print(',"labels":', json.dumps(flat(labels), separators=(",", ":")))
print(',"queries":', json.dumps(flat(queries), separators=(",", ":")))
print(',"cases": [' + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "]}")
