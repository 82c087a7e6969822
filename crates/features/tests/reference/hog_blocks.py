"""Block-normalised HoG: OpenCV's own values, and the same formula in NumPy float64.

    python hog_blocks.py > hog_blocks.json

Wants numpy and opencv-python-headless 4.x (the OpenCV 5 wheels have no HOGDescriptor).

Where OpenCV's conventions lie (modules/objdetect/src/hog.cpp):
- border: the gradient [-1, 0, 1] reads reflect-101 neighbours, so both differences are 0 in the outermost rows and
  columns of their own axis;
- gamma: with the flag on, every intensity becomes its square root (0..15.97, not scaled back to 255);
- channel: the one whose gradient has the greatest magnitude; inputs here have no ties that would change a value;
- direction: degrees modulo 180; bin centre i at (i + 1/2) * 20 degrees, linear vote between the two nearest centres,
  which wrap around. OpenCV's own arctangent is a polynomial, wrong by up to 0.01 degrees: that is why the two sets of
  values below agree to 3e-4 only (each case states its greatest difference);
- Gaussian: weight exp(-((y - bh/2)^2 + (x - bw/2)^2) / (2 sigma^2)) for the pixel (y, x) of a block, sigma = (bw + bh)/8.
  The offset is bh/2, not (bh - 1)/2: the window's centre lies half a pixel right of and below the block's;
- space: bilinear between the cells of a block, cell centres at (i + 1/2) * cell, pixel centres at y + 1/2; what would
  go to cells outside the block is lost;
- L2-Hys: v / (|v| + 0.1 * length), clipped at 0.2, v / (|v| + 1e-3).

OpenCV's order is columns first over blocks and cells. Here: block row, block column, cell row, cell column, direction.
"""
import json
import math

import cv2
import numpy as np

BINS = 9


def picture(height, width, channels):
    """The formula that the Rust test repeats. Slopes differ by channel, so that no two channels tie by construction."""
    y, x, c = np.mgrid[:height, :width, :channels].astype(np.int64)
    return ((y * (7 + 4 * c) + x * (13 - 3 * c) + c * 29 + (y * x) % 11 * 5) % 256).astype(np.uint8)


def gradients(image, gamma, last_wins=False):
    v = image.astype(np.float64)
    v = np.sqrt(v) if gamma else v
    p = np.pad(v, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    dx = p[1:-1, 2:] - p[1:-1, :-2]
    dy = p[2:, 1:-1] - p[:-2, 1:-1]
    squares = dx * dx + dy * dy
    if last_wins:
        best = squares.shape[2] - 1 - squares[..., ::-1].argmax(-1)
    else:
        best = squares.argmax(-1)
    take = lambda a: np.take_along_axis(a, best[..., None], -1)[..., 0]
    return take(dx), take(dy)


def hog(image, cell, gamma, last_wins=False):
    """-> (block rows, block columns, 2, 2, 9) by the plainest loops."""
    dx, dy = gradients(image, gamma, last_wins)
    magnitude = np.hypot(dx, dy)
    position = np.arctan2(dy, dx) * BINS / math.pi - 0.5
    low = np.floor(position).astype(int)
    high_share = position - low
    block = 2 * cell
    sigma = (block + block) / 8
    rows, columns = image.shape[0] // cell - 1, image.shape[1] // cell - 1
    out = np.zeros((rows, columns, 2, 2, BINS))
    for by in range(rows):
        for bx in range(columns):
            h = out[by, bx]
            for i in range(block):
                for j in range(block):
                    y, x = by * cell + i, bx * cell + j
                    g = math.exp(-((i - block / 2) ** 2 + (j - block / 2) ** 2) / (2 * sigma * sigma))
                    fy, fx = (i + 0.5) / cell - 0.5, (j + 0.5) / cell - 0.5
                    for cy in (0, 1):
                        for cx in (0, 1):
                            share = max(0.0, 1 - abs(fy - cy)) * max(0.0, 1 - abs(fx - cx))
                            vote = g * share * magnitude[y, x]
                            h[cy, cx, low[y, x] % BINS] += vote * (1 - high_share[y, x])
                            h[cy, cx, (low[y, x] + 1) % BINS] += vote * high_share[y, x]
            h /= math.sqrt((h * h).sum()) + 0.1 * h.size
            np.minimum(h, 0.2, out=h)
            h /= math.sqrt((h * h).sum()) + 1e-3
    return out


def opencv(image, cell, gamma):
    height, width, channels = image.shape
    descriptor = cv2.HOGDescriptor(
        (width, height), (2 * cell, 2 * cell), (cell, cell), (cell, cell), BINS, 1, -1, 0, 0.2, gamma, 64, False
    )
    values = descriptor.compute(np.ascontiguousarray(image[..., 0] if channels == 1 else image))
    columns_first = values.reshape(width // cell - 1, height // cell - 1, 2, 2, BINS)
    return columns_first.transpose(1, 0, 3, 2, 4).astype(np.float64)


def case(height, width, channels, cell, gamma):
    image = picture(height, width, channels)
    witness, theirs = hog(image, cell, gamma), opencv(image, cell, gamma)
    np.testing.assert_array_equal(witness, hog(image, cell, gamma, last_wins=True))
    np.testing.assert_allclose(witness, theirs, rtol=0, atol=3e-4)
    return {
        "height": height,
        "width": width,
        "channels": channels,
        "cell": cell,
        "gamma": gamma,
        "greatest_difference": float(f"{np.abs(witness - theirs).max():.3g}"),
        "numpy": [float(f"{v:.8g}") for v in witness.ravel()],
        "opencv": [float(f"{v:.5g}") for v in theirs.ravel()],
    }


cases = [
    case(32, 32, 1, 8, True),
    case(32, 32, 1, 8, False),
    case(32, 32, 3, 8, True),
    case(32, 32, 3, 8, False),
    case(32, 32, 3, 4, True),
    case(24, 40, 1, 8, True),
    case(24, 40, 3, 8, False),
]
print('{"opencv_version": %s, "cases": [' % json.dumps(cv2.__version__))
print(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases))
print("]}")
