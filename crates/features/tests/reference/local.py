"""Dense SIFT, local binary patterns and color statistics of other hands.

    python local.py > local.json

Wants numpy, opencv-python-headless (4.x) and scikit-image.

SIFT: OpenCV's `SIFT.compute` at upright keypoints (angle 0) of size 2/3 cell on the grid of the Rust module's head. The image
sides are odd where the square is even, so that all centres are whole pixels, as OpenCV rounds them. sigma = 0.5 leaves a blur
of 0.1 pixel, whose kernel is 1 in a byte's precision; sigma = 1.6 is OpenCV's own, a blur of sqrt(1.6^2 - 0.5^2). Values
are bytes, 512 times ours.

LBP: skimage.feature.local_binary_pattern of the image with its border repeated, cropped again. Radii are whole pixels, as fractions
meet exact ties at the repeated border. The script asserts that no
neighbour between pixels is so near to its centre that rounding of positions could turn a bit.

Color statistics: means and standard deviations of cells by numpy, over 255.
"""
import json
import math

import cv2
import numpy as np
import skimage
from skimage.feature import local_binary_pattern


def picture(height, width, channels):
    """The formula that the Rust test repeats."""
    y, x, c = np.mgrid[:height, :width, :channels].astype(np.int64)
    image = ((y * (7 + 4 * c) + x * (13 - 3 * c) + c * 29 + (y * x) % 11 * 5) % 256).astype(np.uint8)
    return image[..., 0] if channels == 1 else image


def starts(length, side, step, overhang):
    more = max(0, math.floor((length - side + 2 * side * overhang + 1e-6) / step))
    first = (length - side - more * step) / 2
    return [first + i * step for i in range(more + 1)]


def sift(height, width, channels, cell, step, overhang, sigma):
    image = picture(height, width, channels)
    side = 4 * cell
    centres = [[s + side / 2 - 0.5 for s in starts(n, side, step, overhang)] for n in (height, width)]
    assert all(c == round(c) for line in centres for c in line), centres
    keypoints = [cv2.KeyPoint(x, y, 2 / 3 * cell, 0) for y in centres[0] for x in centres[1]]
    grey = image if channels == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    kept, values = cv2.SIFT_create(sigma=sigma).compute(grey, keypoints)
    assert len(kept) == len(keypoints)
    assert (values == np.round(values)).all()
    return {"height": height, "width": width, "channels": channels, "cell": cell, "step": step, "overhang": overhang,
            "blur": 0 if sigma == 0.5 else math.sqrt(sigma * sigma - 0.25), "values": values.astype(int).ravel().tolist()}


def lbp(height, width, channels, radius, method):
    image = picture(height, width, channels)
    grey = image if channels == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    margin = math.ceil(radius) + 1
    padded = np.pad(grey, margin, mode="edge").astype(np.float64)
    codes = local_binary_pattern(padded, 8, radius, method)
    for i in range(8):
        y, x = -radius * math.sin(2 * math.pi * i / 8), radius * math.cos(2 * math.pi * i / 8)
        moved = {}
        for dy in (-2**-11, 0, 2**-11):
            for dx in (-2**-11, 0, 2**-11):
                moved[dy, dx] = shifted(padded, y + dy, x + dx, margin) >= padded[margin:-margin, margin:-margin]
        on_axis = i % 2 == 0 and radius == int(radius)
        assert on_axis or all((m == moved[0, 0]).all() for m in moved.values()), (height, width, radius, i)
    codes = codes[margin:-margin, margin:-margin].astype(int)
    n = 59 if method == "nri_uniform" else 10
    halves = [codes[:, : width // 2], codes[:, width // 2:]]
    return {"height": height, "width": width, "channels": channels, "radius": radius, "rotation_invariant": n == 10,
            "counts_of_halves": [np.bincount(half.ravel(), minlength=n).tolist() for half in halves]}


def shifted(padded, y, x, margin):
    rows = np.arange(margin, padded.shape[0] - margin)[:, None] + y
    columns = np.arange(margin, padded.shape[1] - margin)[None] + x
    top, left = np.floor(rows + 1e-12).astype(int), np.floor(columns + 1e-12).astype(int)
    down, right = rows - top, columns - left
    at = lambda dy, dx: padded[np.minimum(top + dy, padded.shape[0] - 1), np.minimum(left + dx, padded.shape[1] - 1)]
    upper = at(0, 0) * (1 - right) + at(0, 1) * right
    lower = at(1, 0) * (1 - right) + at(1, 1) * right
    return upper * (1 - down) + lower * down


def color_stats(height, width, channels, cell):
    image = picture(height, width, channels).reshape(height, width, channels) / 255
    assert height == width == 4 * cell
    cells = image.reshape(4, cell, 4, cell, channels).transpose(0, 2, 1, 3, 4).reshape(4, 4, cell * cell, channels)
    values = np.stack([cells.mean(2), cells.std(2)], -1)
    return {"height": height, "width": width, "channels": channels, "cell": cell, "values": [float(f"{v:.8g}") for v in values.ravel()]}


out = {
    "opencv_version": cv2.__version__,
    "skimage_version": skimage.__version__,
    "sift": [
        sift(33, 33, 1, 4, 8, 0, 0.5),
        sift(25, 31, 1, 3.5, 6, 0, 0.5),
        sift(29, 37, 3, 4, 8, 0.25, 0.5),
        sift(33, 41, 1, 4, 8, 0.25, 1.6),
    ],
    "lbp": [
        lbp(20, 24, 1, 1, "nri_uniform"),
        lbp(20, 24, 3, 1, "uniform"),
        lbp(33, 18, 1, 2, "nri_uniform"),
        lbp(21, 26, 1, 3, "uniform"),
    ],
    "color_stats": [color_stats(16, 16, 3, 4), color_stats(12, 12, 1, 3)],
}
print(json.dumps(out, separators=(",", ":")).replace('"sift"', '\n"sift"').replace('"lbp"', '\n"lbp"').replace('"color_stats"', '\n"color_stats"').replace("},{", "},\n{"))
