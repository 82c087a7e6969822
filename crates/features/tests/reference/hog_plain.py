"""HoG without blocks: the lecture's plain form, and the form of the course's own feature code.

    python hog_plain.py > hog_plain.json

Wants numpy. Both forms are float64 here.

Plain (lecture): central differences [-1, 0, 1] with reflect-101 border on the intensities as they are (no root), the
channel with the greatest magnitude, direction modulo 180 degrees, pixel goes whole into bin floor(direction / 20),
each cell is the sum of its magnitudes. Order: cell row, cell column, direction.

Course (CS231n features.py, `hog_feature` and `rgb2gray`): grey = 0.299 R + 0.587 G + 0.144 B (the course's own 0.144),
forward differences with 0 in the last column (row), direction = degrees(arctan2(gy, gx + 1e-15)) + 90, kept in bin i
where 20 i <= direction < 20 (i + 1) and direction > 0; directions of 180 degrees and more, half of the circle, fall out. Each cell is the
mean over its 8x8 pixels. Order: cell row, cell column, direction.
A pixel with gx = 0 and gy != 0 (all of the last column) lies on the border of the first or last bin: whether it is
kept hangs on the rounding of one addition. `course` is the course's arithmetic in float64, `course_float32` in float32,
where all such pixels fall out, `course_open` drops them by rule.
"""
import json

import numpy as np

BINS = 9


def picture(height, width, channels):
    """The formula that the Rust test repeats."""
    y, x, c = np.mgrid[:height, :width, :channels].astype(np.int64)
    return ((y * (7 + 4 * c) + x * (13 - 3 * c) + c * 29 + (y * x) % 11 * 5) % 256).astype(np.uint8)


def plain(image, cell, last_wins=False):
    v = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    dx = v[1:-1, 2:] - v[1:-1, :-2]
    dy = v[2:, 1:-1] - v[:-2, 1:-1]
    squares = dx * dx + dy * dy
    n_channels = squares.shape[2]
    best = n_channels - 1 - squares[..., ::-1].argmax(-1) if last_wins else squares.argmax(-1)
    dx, dy = (np.take_along_axis(a, best[..., None], -1)[..., 0] for a in (dx, dy))
    # Whole numbers: make the direction's vector point to y > 0, or to x > 0 on the axis, so that 180 is 0 exactly.
    flip = (dy < 0) | ((dy == 0) & (dx < 0))
    dx, dy = np.where(flip, -dx, dx), np.where(flip, -dy, dy)
    direction = np.degrees(np.arctan2(dy, dx))
    bins = np.floor(direction / 20).astype(int)
    on_axis = dy == 0
    assert (bins[on_axis] == 0).all() and bins.min() >= 0 and bins.max() < BINS
    distance = np.abs(direction / 20 - np.round(direction / 20))
    assert distance[~on_axis].min() > 1e-4, "a direction too near to the border of two bins to be a fair test"
    magnitude = np.hypot(dx, dy)
    height, width = magnitude.shape
    out = np.zeros((height // cell, width // cell, BINS))
    for y in range(height // cell * cell):
        for x in range(width // cell * cell):
            out[y // cell, x // cell, bins[y, x]] += magnitude[y, x]
    return out


def course(image, kind=np.float64, drop=False, cell=8):
    grey = image.astype(kind) @ np.array([0.299, 0.587, 0.144], kind)
    gx, gy = np.zeros_like(grey), np.zeros_like(grey)
    gx[:, :-1] = np.diff(grey, axis=1)
    gy[:-1] = np.diff(grey, axis=0)
    inner = gx[:-1, :-1]
    assert np.abs(inner).min() > 1e-3, "only the last column may have gx = 0 here"
    magnitude = np.sqrt(gx * gx + gy * gy)
    direction = np.degrees(np.arctan2(gy, gx + kind(1e-15))) + 90
    out = np.zeros((image.shape[0] // cell, image.shape[1] // cell, BINS))
    for i in range(BINS):
        chosen = (direction < 20 * (i + 1)) & (direction >= 20 * i) & (direction > 0)
        if drop:
            chosen &= gx != 0
        voted = np.where(chosen, magnitude, 0)
        out[..., i] = voted.reshape(out.shape[0], cell, out.shape[1], cell).mean((1, 3))
    return out


def numbers(values, digits=12):
    return [float(f"{v:.{digits}g}") for v in np.ravel(values)]


def plain_case(height, width, channels, cell):
    image = picture(height, width, channels)
    values = plain(image, cell)
    np.testing.assert_array_equal(values, plain(image, cell, last_wins=True))
    return {"height": height, "width": width, "channels": channels, "cell": cell, "values": numbers(values)}


def lecture_size():
    """320x240 gives 30 x 40 x 9 = 10,800 numbers: the first row of cells, and sums that tell any other apart."""
    values = plain(picture(240, 320, 1), 8)
    flat = values.ravel()
    assert values.shape == (30, 40, 9) and flat.size == 10_800
    weights = np.arange(flat.size) % 997
    return {
        "height": 240,
        "width": 320,
        "n_values": flat.size,
        "first_cell_row": numbers(values[0], 10),
        "sum": float(flat.sum()),
        "sum_weighted_by_position_mod_997": float(flat @ weights),
    }


print('{"plain": [')
print(",\n".join(json.dumps(plain_case(*c), separators=(",", ":")) for c in ((32, 32, 1, 8), (32, 32, 3, 8), (24, 40, 3, 4))))
print('],\n"lecture":', json.dumps(lecture_size(), separators=(",", ":")))
colour = picture(32, 32, 3)
print(',\n"course":', json.dumps(numbers(course(colour)), separators=(",", ":")))
print(',\n"course_float32":', json.dumps(numbers(course(colour, np.float32), 7), separators=(",", ":")))
print(',\n"course_open":', json.dumps(numbers(course(colour, drop=True)), separators=(",", ":")), "\n}")
