"""shapes.py: draws the images of `shapes` a second time, from its description, and writes shapes.json.

Only the Python standard library. The random stream is ChaCha with 8 rounds (Bernstein 2008), a 64-bit block counter
from 0 and a key that PCG32 expands from a 64-bit seed, as rand_core 0.6 documents for `seed_from_u64`.
"""
import hashlib
import json
from pathlib import Path

M64 = (1 << 64) - 1
M32 = (1 << 32) - 1
SIDE = 32


def finish(value):
    z = (value + 0x9E3779B97F4A7C15) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


def derive(seed, name):
    h = 0xCBF29CE484222325
    for byte in seed.to_bytes(8, "little") + name.encode():
        h = ((h ^ byte) * 0x100000001B3) & M64
    return finish(h)


def nth(seed, index):
    return finish(seed ^ finish(index))


def key_of(seed):
    words = []
    for _ in range(8):
        seed = (seed * 6364136223846793005 + 11634580027462260723) & M64
        shifted = (((seed >> 18) ^ seed) >> 27) & M32
        turn = seed >> 59
        words.append(((shifted >> turn) | (shifted << (32 - turn) % 32)) & M32)
    return words


def rotate(value, by):
    return ((value << by) | (value >> (32 - by))) & M32


def quarter(x, a, b, c, d):
    x[a] = (x[a] + x[b]) & M32
    x[d] = rotate(x[d] ^ x[a], 16)
    x[c] = (x[c] + x[d]) & M32
    x[b] = rotate(x[b] ^ x[c], 12)
    x[a] = (x[a] + x[b]) & M32
    x[d] = rotate(x[d] ^ x[a], 8)
    x[c] = (x[c] + x[d]) & M32
    x[b] = rotate(x[b] ^ x[c], 7)


def words(seed):
    """The stream of 32-bit words."""
    key = key_of(seed)
    counter = 0
    while True:
        start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *key, counter & M32, counter >> 32, 0, 0]
        x = list(start)
        for _ in range(4):
            for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
                quarter(x, a, b, c, d)
            for a, b, c, d in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                quarter(x, a, b, c, d)
        yield from ((v + s) & M32 for v, s in zip(x, start))
        counter += 1


class Dice:
    def __init__(self, seed):
        self.words = words(seed)

    def below(self, n):
        return (next(self.words) * n) >> 32

    def between(self, low, high):
        return low + self.below(high - low + 1)


OWN = [(-32, 53, 80), (39, 48, -80)]
SHARED = [(80, 28, 32), (0, 80, 8), (56, 24, 80)]
PLUS = [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2), (2, 0), (2, 1), (2, 3), (2, 4)]
CORNER = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (4, 2), (4, 3), (4, 4)]


def filled(dice, gauge):
    x, y = 16 + dice.between(-3, 3), 16 + dice.between(-3, 3)
    n = dice.between(140, 220)
    places = sorted((gauge(i % SIDE - x, i // SIDE - y), i) for i in range(SIDE * SIDE))
    return {i: 1 for _, i in places[:n]}


def disc(dx, dy):
    return dx * dx + dy * dy


def triangle(dx, dy):
    return max(2 * dy, 2 * abs(dx) - dy) * 64 + abs(dx)


def square(dx, dy):
    return max(abs(dx), abs(dy)) * 64 + abs(dx) + abs(dy)


def texture(dice, is_checked):
    left, top = 8 + dice.between(-3, 3), 8 + dice.between(-3, 3)
    across, down = dice.below(4), dice.below(4)
    tones = {}
    for y in range(top, top + 16):
        for x in range(left, left + 16):
            stripe, column = (y + down) // 2 % 2 == 1, (x + across) // 2 % 2 == 1
            tones[y * SIDE + x] = 1 if (stripe != column if is_checked else stripe) else -1
    return tones


def parts(dice, part):
    places, tones = [], {}
    while len(places) < 5:
        y, x = dice.below(28), dice.below(28)
        if all(max(abs(y - v), abs(x - u)) >= 6 for v, u in places):
            places.append((y, x))
            tones.update({(y + down) * SIDE + x + across: 1 for down, across in part})
    return tones


def animal(dice, is_one_headed):
    x, y = 16 + dice.between(-2, 2), 16 + dice.between(-2, 2)
    coin = dice.below(2)
    tones = {}
    for dy in range(-6, 8):
        for dx in range(-10, 11):
            body = abs(dx) <= 5 and abs(dy) <= 2
            leg = abs(dx) == 4 and 3 <= dy <= 7
            row = 0 if is_one_headed else dy % 2
            head = abs(dx) >= 6 and dy <= 1 and (int(dx > 0) + row + coin) % 2 == 0
            if body or leg or head:
                tones[(y + dy) * SIDE + x + dx] = 1
    return tones


def image(class_id, seed):
    dice = Dice(seed)
    ground, strength = dice.between(112, 144), dice.between(160, 256)
    shared = SHARED[dice.below(3)]
    tint = [channel * strength >> 8 for channel in (OWN[class_id] if class_id < 2 else shared)]
    if class_id < 2:
        tones = filled(dice, (disc, triangle, square)[dice.below(3)])
    elif class_id < 4:
        tones = texture(dice, class_id == 3)
    elif class_id < 6:
        tones = filled(dice, (disc, triangle)[class_id - 4])
    elif class_id < 8:
        tones = parts(dice, (PLUS, CORNER)[class_id - 6])
    else:
        tones = animal(dice, class_id == 8)
    pixels = bytearray()
    noise = [byte for _ in range(SIDE * SIDE * 3 // 4) for byte in next(dice.words).to_bytes(4, "little")]
    for i, byte in enumerate(noise):
        figure = {0: 0, 1: tint[i % 3], -1: -tint[i % 3] >> 1}[tones.get(i // 3, 0)]
        pixels.append(min(255, max(0, ground + figure + (byte & 15) + (byte >> 4) - 15)))
    return bytes(pixels)


def part(seed, name, n):
    own = derive(derive(seed, "shapes"), name)
    return hashlib.sha256(b"".join(image(i % 10, nth(own, i)) for i in range(n))).hexdigest()


SEED, N_TRAIN, N_TEST = 7, 60, 30
expected = {"seed": SEED, "n_train": N_TRAIN, "n_test": N_TEST,
            "train_sha256": part(SEED, "train", N_TRAIN), "test_sha256": part(SEED, "test", N_TEST)}
Path(__file__).with_suffix(".json").write_text(json.dumps(expected, indent=2) + "\n")
print(expected)
