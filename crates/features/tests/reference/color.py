"""Color histograms and RGB to HSV.

    python color.py > color.json

Wants numpy and scikit-image. Bins are found with exact fractions, so no value depends on rounding:

- RGB joint, b bins a channel: bin floor(v b / 256) of each channel, index (r b + g) b + blue;
- HSV joint: bin floor(h b) of the hue in [0, 1), min(floor(s b), b - 1) of the saturation in [0, 1], and as above
  floor(v b / 256) of the byte v = max(r, g, b); index (h b + s) b + v;
- hue, 10 bins, as in the course: bin floor(10 h), h = 0 for greys.

All histograms are counts; divided by the number of pixels they sum to 1. HSV values come from the colorsys module and
scikit-image, which agree to 1e-12.
"""
import colorsys
import json
from fractions import Fraction

import numpy as np
from skimage.color import rgb2hsv


def picture(height, width, channels):
    """The formula that the Rust test repeats."""
    y, x, c = np.mgrid[:height, :width, :channels].astype(np.int64)
    return ((y * (7 + 4 * c) + x * (13 - 3 * c) + c * 29 + (y * x) % 11 * 5) % 256).astype(np.uint8)


def exact_hsv(r, g, b):
    r, g, b = int(r), int(g), int(b)
    greatest, least = max(r, g, b), min(r, g, b)
    chroma = greatest - least
    value = Fraction(greatest, 255)
    if chroma == 0:
        return Fraction(0), Fraction(0), value
    if greatest == r:
        sextant = Fraction(g - b, chroma) % 6
    elif greatest == g:
        sextant = Fraction(b - r, chroma) + 2
    else:
        sextant = Fraction(r - g, chroma) + 4
    return sextant / 6, Fraction(chroma, greatest), value


def bin_of(value, n_bins):
    return min(int(value * n_bins), n_bins - 1)


def rgb_joint(image, n_bins):
    counts = np.zeros(n_bins**3, int)
    for r, g, b in image.reshape(-1, 3).astype(int):
        counts[(r * n_bins // 256 * n_bins + g * n_bins // 256) * n_bins + b * n_bins // 256] += 1
    return counts.tolist()


def hsv_bins(pixel, n_bins):
    h, s, _ = exact_hsv(*pixel)
    return [bin_of(h, n_bins), bin_of(s, n_bins), int(max(pixel)) * n_bins // 256]


def hsv_joint(image, n_bins):
    counts = np.zeros((n_bins,) * 3, int)
    for pixel in image.reshape(-1, 3):
        counts[*hsv_bins(pixel, n_bins)] += 1
    return counts.ravel().tolist()


def hue(image, n_bins=10):
    counts = np.zeros(n_bins, int)
    for pixel in image.reshape(-1, 3):
        counts[bin_of(exact_hsv(*pixel)[0], n_bins)] += 1
    return counts.tolist()


def checked_hsv(pixel):
    ours = np.array([float(v) for v in exact_hsv(*pixel)])
    np.testing.assert_allclose(ours, colorsys.rgb_to_hsv(*(int(v) / 255 for v in pixel)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours, rgb2hsv(np.array(pixel, float)[None, None] / 255)[0, 0], rtol=0, atol=1e-12)
    return ours.tolist()


# Corners of the cube, greys, and hues that lie exactly on the border of two of ten bins (h = i/10).
corners = [[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]
borders = [[250, 150, 0], [200, 250, 0], [50, 250, 0], [0, 250, 100], [0, 250, 250],
           [0, 100, 250], [50, 0, 250], [200, 0, 250], [250, 0, 150]]
others = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [128, 128, 128], [255, 254, 255], [254, 255, 255], [10, 200, 30], [255, 0, 1], [3, 7, 255]]
image = picture(32, 32, 3)
wide = picture(24, 40, 3)

out = {
    "colors": [
        {"rgb": p, "hsv": checked_hsv(p), "hue_bin_of_10": bin_of(exact_hsv(*p)[0], 10), "hsv_bins_of_60": hsv_bins(p, 60)}
        for p in corners + borders + others
    ],
    "rgb_4": rgb_joint(image, 4),
    "rgb_8": rgb_joint(image, 8),
    "rgb_3": rgb_joint(image, 3),
    "hsv_4": hsv_joint(image, 4),
    "hsv_8": hsv_joint(image, 8),
    "hsv_5": hsv_joint(image, 5),
    "hue_10": hue(image),
    "hue_10_of_24x40": hue(wide),
    "rgb_4_quarters": [rgb_joint(image[y : y + 16, x : x + 16], 4) for y in (0, 16) for x in (0, 16)],
}
rng = np.random.default_rng(0)
for pixel in rng.integers(0, 256, (2000, 3)):
    checked_hsv(pixel.tolist())
print("{")
print(",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in out.items()))
print("}")
