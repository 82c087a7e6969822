"""Values for kmeans-features and random-patches: patches, whitening and activations as the papers write them, in f64.

python dictionary.py > dictionary.json (numpy 2). ZCA whitening from all patches of the first images; the words are
means of two whitened patches of them, so that nothing is drawn at random.
"""
import json

import numpy as np

SIDE, STEP, EPSILON, ALPHA = 3, 2, 0.1, 0.25
rng = np.random.default_rng(3)
images = rng.integers(0, 256, (5, 9, 8, 2))
images[4, :4] = 77
words = [0, 3, 11, 17, 30, 31, 44]


def patches(image):
    rows = range(0, image.shape[0] - SIDE + 1, STEP)
    columns = range(0, image.shape[1] - SIDE + 1, STEP)
    places = [(y, x) for y in rows for x in columns]
    return places, np.array([image[y : y + SIDE, x : x + SIDE].ravel() for y, x in places], float)


def normalised(p):
    centred = p - p.mean(1, keepdims=True)
    return centred / np.sqrt(p.var(1, keepdims=True) + 10)


train = normalised(np.concatenate([patches(image)[1] for image in images]))
mean = train.mean(0)
values, vectors = np.linalg.eigh(np.cov(train.T))
zca = vectors @ np.diag(1 / np.sqrt(values + EPSILON)) @ vectors.T
whitened = (train - mean) @ zca
centres = (whitened[words] + whitened[np.array(words) + 1]) / 2
units = centres / np.linalg.norm(centres, axis=1, keepdims=True)

triangles, rectified = [], []
for image in images:
    places, p = patches(image)
    y = (normalised(p) - mean) @ zca
    z = np.linalg.norm(y[:, None] - centres[None], axis=2)
    active = np.maximum(0, z.mean(1, keepdims=True) - z)
    above = np.maximum(0, y @ units.T - ALPHA)
    # Two rows and two columns of fields; a patch is in that of its centre.
    field = [int((u + SIDE / 2) >= image.shape[0] / 2) * 2 + int((v + SIDE / 2) >= image.shape[1] / 2) for u, v in places]
    field = np.array(field)
    triangles.append(np.concatenate([active[field == f].sum(0) for f in range(4)]).tolist())
    rectified.append(np.concatenate([above[field == f].mean(0) for f in range(4)]).tolist())

json.dump({"images": images.tolist(), "words": words, "triangles": triangles, "rectified": rectified}, open("/dev/stdout", "w"))
