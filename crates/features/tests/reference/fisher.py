"""Fisher vectors of 40 descriptors by scikit-image, against two mixtures.

    python fisher.py > fisher.json

Wants numpy, scikit-image and scikit-learn. scikit-image returns the gradients of the weights (K), the means (K D) and the
variances (K D, with the sign turned round); the weights are left out here and the sign is turned back. Its `improved`
normalises all three parts together, so that here the same is done to the two parts that are kept. All inputs are
multiples of 1/64 and so exact in float32.
"""
import json

import numpy as np
from skimage.feature import fisher_vector
from sklearn.mixture import GaussianMixture

random = np.random.default_rng(3)


def exact(x):
    return np.round(x * 64) / 64


def case(k, d):
    x = exact(random.normal(size=(40, d)) * 1.5)
    gmm = GaussianMixture(k, covariance_type="diag")
    gmm.weights_ = np.arange(1, k + 1) / (k * (k + 1) / 2)
    gmm.means_ = exact(random.normal(size=(k, d)))
    gmm.covariances_ = exact(random.uniform(0.25, 2, size=(k, d)))
    gmm.precisions_cholesky_ = 1 / np.sqrt(gmm.covariances_)
    gmm.n_features_in_ = d
    parts = fisher_vector(x, gmm)[k:]
    parts[k * d:] *= -1
    improved = np.sign(parts) * np.sqrt(np.abs(parts))
    improved /= np.linalg.norm(improved)
    return dict(weights=gmm.weights_.tolist(), means=gmm.means_.tolist(), variances=gmm.covariances_.tolist(),
                descriptors=x.tolist(), vector=parts.tolist(), improved=improved.tolist())


print(json.dumps([case(3, 4), case(5, 2)]))
