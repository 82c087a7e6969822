"""Values of scikit-learn 1.9, numpy 2.4 and faiss 1.15 for tests/reference.rs. Run: python references.py

Rows are made by an integer formula that the tests repeat, so that no rows need to be stored.
"""

import json
import warnings

import faiss
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

warnings.filterwarnings("ignore")


def rows(n, d):
    """Lumps of rows: (row i, column j) depends on i mod 7 coarsely and on both finely."""
    i, j = np.meshgrid(np.arange(n), np.arange(d), indexing="ij")
    coarse = ((i % 7) * (j + 3) * 5) % 11 - 5.0
    fine = ((i * 31 + j * 17 + (i * j) % 13 * 7) % 101) / 50.5 - 1.0
    return (coarse + fine).astype(np.float32)


def kmeans():
    x = rows(400, 5)
    cases = []
    for k, rounds in [(7, 300), (12, 3), (40, 300)]:
        start = x[:: 400 // k][:k]
        fitted = KMeans(k, init=start, n_init=1, max_iter=rounds, tol=0, algorithm="lloyd").fit(x.astype(np.float64))
        cases.append({
            "k": k, "rounds": rounds, "centers": fitted.cluster_centers_.ravel().tolist(),
            "inertia": float(fitted.inertia_), "labels": fitted.labels_.tolist(),
        })
    # Starts that lie far from all rows leave clusters empty in the first round.
    start = np.vstack([x[:4], x[:4] + 1000])
    fitted = KMeans(8, init=start, n_init=1, max_iter=1, tol=0, algorithm="lloyd").fit(x.astype(np.float64))
    cases.append({"k": 8, "rounds": 1, "start": start.ravel().tolist(), "centers": fitted.cluster_centers_.ravel().tolist()})
    return cases


def mixture():
    x = rows(500, 4)
    k = 7
    weights = np.full(k, 1 / k)
    means = x[:k].astype(np.float64)
    variances = np.full((k, 4), 2.0)
    fitted = GaussianMixture(
        k, covariance_type="diag", tol=0, reg_covar=0, max_iter=6, weights_init=weights, means_init=means,
        precisions_init=1 / variances,
    ).fit(x.astype(np.float64))
    return {
        "k": k, "rounds": 6, "weights": fitted.weights_.tolist(), "means": fitted.means_.ravel().tolist(),
        "variances": fitted.covariances_.ravel().tolist(), "likelihood": float(fitted.score(x)),
        "posteriors": fitted.predict_proba(x[:5]).ravel().tolist(),
    }


def reductions():
    x = rows(300, 6)
    exact = x.astype(np.float64)
    pca = PCA(3, svd_solver="full").fit(exact)
    white = PCA(3, svd_solver="full", whiten=True).fit(exact)
    values, vectors = np.linalg.eigh(np.cov(exact.T))
    zca = (exact - exact.mean(0)) @ vectors @ np.diag((values + 0.1) ** -0.5) @ vectors.T
    wide = rows(20, 2100)
    of_wide = PCA(4, svd_solver="full").fit(wide.astype(np.float64))
    return {
        "pca": pca.transform(exact[:8]).ravel().tolist(), "variance": pca.explained_variance_.tolist(),
        "share": float(pca.explained_variance_ratio_.sum()), "white": white.transform(exact[:8]).ravel().tolist(),
        "zca": zca[:8].ravel().tolist(), "wide_variance": of_wide.explained_variance_.tolist(),
        "wide": of_wide.transform(wide[:3]).ravel().tolist(),
    }


def quantiser():
    """faiss takes groups of one size and 8 bits each: 256 centres of 4 columns."""
    x = rows(600, 8)
    pq = faiss.ProductQuantizer(8, 2, 8)
    centers = np.stack([rows(256, 8)[:, :4] * 0.9, rows(256, 8)[:, 4:] * 1.1])
    faiss.copy_array_to_vector(centers.ravel(), pq.centroids)
    codes = pq.compute_codes(x[:40])
    return {"codes": codes.ravel().tolist(), "decoded": pq.decode(codes).ravel().tolist()}


if __name__ == "__main__":
    found = {"kmeans": kmeans(), "mixture": mixture(), "reductions": reductions(), "quantiser": quantiser()}

    def short(v):
        if isinstance(v, float):
            return float(f"{v:.9g}")
        if isinstance(v, list):
            return [short(i) for i in v]
        return {k: short(i) for k, i in v.items()} if isinstance(v, dict) else v

    with open("references.json", "w") as file:
        json.dump(short(found), file, indent=None, separators=(",", ":"))
        file.write("\n")
