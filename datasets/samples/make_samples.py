"""make_samples.py: writes the sample files of this folder, and expected.json with the pixels that each must be read as.

Run with Python 3, Pillow 13 and numpy 2.4. Every picture is asymmetric in both directions and between channels, so that
a transposed, mirrored or swapped one is noticed. Expected values come from Pillow; what bakeoff defines itself (16 bits
to 8, blending on white) is computed here from its definition, in numpy.
"""
import gzip
import io
import json
import struct
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, __version__

HERE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
IMAGES = HERE / "images"
IMAGES.mkdir(parents=True, exist_ok=True)
EXPECTED = {}


def ramp(height=4, width=6):
    """(height, width, 3): red grows to the right, green downwards, blue to the left and downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack([40 * x, 60 * y + 5 * x, 200 - 30 * x + 10 * y], axis=-1).astype(np.uint8)


def smooth(height=16, width=24):
    """A slow ramp, which lossy formats keep nearly."""
    y, x = np.mgrid[:height, :width]
    return np.stack([20 + 9 * x, 30 + 11 * y, 220 - 4 * x - 5 * y], axis=-1).astype(np.uint8)


def expect(name, rgb, tolerance=0):
    rgb = np.asarray(rgb, np.uint8)
    if rgb.ndim == 2:
        rgb = np.repeat(rgb[..., None], 3, axis=-1)
    EXPECTED[name] = {"height": rgb.shape[0], "width": rgb.shape[1], "tolerance": tolerance, "rgb": rgb.tobytes().hex()}


def save(name, image, rgb=None, tolerance=0, **options):
    """Saves an image; what it must be read as is what Pillow reads, unless it is given."""
    image.save(IMAGES / name, **options)
    if rgb is None:
        rgb = np.asarray(ImageOps.exif_transpose(Image.open(IMAGES / name)).convert("RGB"))
    expect(name, rgb, tolerance)


def on_white(rgba):
    """(c a + 255 (255 - a)) / 255, rounded."""
    c, a = rgba[..., :3].astype(int), rgba[..., 3:].astype(int)
    return (c * a + 255 * (255 - a) + 127) // 255


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png16(name, values):
    """Writes (h, w, c) 16-bit values as PNG by hand: Pillow writes no 16-bit color."""
    height, width, channels = values.shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    (IMAGES / name).write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(rows, 9))
        + png_chunk(b"IEND", b"")
    )


def to_8_bits(values):
    """v / 257, rounded."""
    return (values.astype(int) + 128) // 257


color = Image.fromarray(ramp())
grey = Image.fromarray(ramp()[..., 1])
alpha = np.dstack([ramp(), np.tile(np.array([0, 50, 128, 200, 254, 255], np.uint8), (4, 1))])

# PNG
save("rgb.png", color, ramp())
save("grey.png", grey, ramp()[..., 1])
save("one-bit.png", Image.fromarray(ramp()[..., 1] > 70))
save("palette.png", color.quantize(24, dither=Image.Dither.NONE))
save("alpha.png", Image.fromarray(alpha, "RGBA"), on_white(alpha))
grey_alpha = alpha[..., [1, 1, 1, 3]]
save("grey-alpha.png", Image.fromarray(alpha[..., [1, 3]], "LA"), on_white(grey_alpha))
palette = color.quantize(24, dither=Image.Dither.NONE)
seen = np.dstack([np.asarray(palette.convert("RGB")), np.where(np.asarray(palette) == 3, 0, 255)])
save("palette-transparent.png", palette, on_white(seen), transparency=3)
deep = ramp().astype(np.uint16) * 251 + np.arange(6, dtype=np.uint16)[None, :, None] * 100
png16("rgb16.png", deep)
expect("rgb16.png", to_8_bits(deep))
png16("grey16.png", deep[..., 1:2])
expect("grey16.png", to_8_bits(deep[..., 1]))
# Pillow reads 16-bit grey as it is, which holds our own writer to account.
assert (np.asarray(Image.open(IMAGES / "grey16.png")).astype(int) == deep[..., 1]).all()
deep_alpha = np.dstack([deep, np.full((4, 6), 30_000, np.uint16)])
png16("rgba16.png", deep_alpha)
expect("rgba16.png", on_white(to_8_bits(deep_alpha)))
save("exif-8.png", color, exif=exif(8))

# JPEG: decoders may differ in the last bits.
options = {"quality": 95, "subsampling": 0}
photo = Image.fromarray(smooth())
save("rgb.jpg", photo, tolerance=3, **options)
save("subsampled.jpg", photo, tolerance=6, quality=90, subsampling=2)
save("progressive.jpg", photo, tolerance=3, progressive=True, **options)
save("grey.jpg", photo.convert("L"), tolerance=3, quality=95)
for orientation in range(2, 9):
    save(f"exif-{orientation}.jpg", photo, tolerance=3, exif=exif(orientation), **options)
save("cmyk.jpg", photo.convert("CMYK"), smooth(), tolerance=6, quality=98, subsampling=0)
# A JPEG under another ending is known by its bytes.
save("jpeg-named.png", photo, tolerance=3, format="JPEG", **options)

# BMP, WebP, GIF
save("rgb.bmp", color, ramp())
save("palette.bmp", color.quantize(24, dither=Image.Dither.NONE))
save("lossless.webp", color, ramp(), lossless=True)
save("lossy.webp", photo, tolerance=12, quality=95)
save("alpha.webp", Image.fromarray(alpha, "RGBA"), on_white(alpha), lossless=True, exact=True)
frames = [color.quantize(24, dither=Image.Dither.NONE), color.transpose(Image.Transpose.ROTATE_180).quantize(24)]
save("two-frames.gif", frames[0], save_all=True, append_images=frames[1:], duration=100)

# What resizing gives: Pillow's bilinear filter, which averages over what a pixel of the result covers.
big = smooth(20, 30)
save("resize.png", Image.fromarray(big), big)
expect("resize.png to 8×8 stretch", np.asarray(Image.fromarray(big).resize((8, 8), Image.Resampling.BILINEAR)), 1)
middle = Image.fromarray(big).crop((5, 0, 25, 20))
expect("resize.png to 8×8 crop", np.asarray(middle.resize((8, 8), Image.Resampling.BILINEAR)), 1)
expect("resize.png to 33×44 stretch", np.asarray(Image.fromarray(big).resize((44, 33), Image.Resampling.BILINEAR)), 1)

# What is no image, or not a whole one.
BROKEN = HERE / "broken"
BROKEN.mkdir(exist_ok=True)
(BROKEN / "text.jpg").write_text("This is no photograph.\n")
(BROKEN / "empty.png").write_bytes(b"")
whole = (IMAGES / "rgb.jpg").read_bytes()
(BROKEN / "cut.jpg").write_bytes(whole[: len(whole) // 2])
whole = (IMAGES / "rgb.png").read_bytes()
(BROKEN / "cut.png").write_bytes(whole[:60])
(BROKEN / "huge.png").write_bytes(
    b"\x89PNG\r\n\x1a\n"
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    + png_chunk(b"IDAT", b"x\x9c")
    + png_chunk(b"IEND", b"")
)
(BROKEN / "huge.bmp").write_bytes(
    b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 20_000, 20_000, 1, 24, 0, 0, 0, 0, 0, 0)
)

# Sets: two classes, images whose every pixel differs from its neighbours, written with struct, gzip and tarfile.
SETS = {}


def idx(values):
    values = np.asarray(values, np.uint8)
    return struct.pack(">HBB", 0, 8, values.ndim) + b"".join(struct.pack(">I", n) for n in values.shape) + values.tobytes()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def expect_set(name, train, train_labels, test, test_labels, classes):
    part = lambda images, labels: {"shape": list(images.shape[1:]), "labels": labels, "pixels": images.tobytes().hex()}
    SETS[name] = {"classes": classes, "train": part(train, train_labels), "test": part(test, test_labels)}


counting = np.arange(4 * 3 * 5, dtype=np.uint8).reshape(4, 3, 5)
train, test = counting[:3] * 4, counting[3:] * 3
write(HERE / "idx/train-images-idx3-ubyte", idx(train))
write(HERE / "idx/train-labels-idx1-ubyte.gz", gzip.compress(idx([1, 0, 1]), mtime=0))
write(HERE / "idx/t10k-images.idx3-ubyte.gz", gzip.compress(idx(test), mtime=0))
write(HERE / "idx/t10k-labels.idx1-ubyte", idx([0]))
write(HERE / "idx/classes.txt", b"left\nright\n")
expect_set("idx", train[..., None], [1, 0, 1], test[..., None], [0], ["left", "right"])

y, x, c = np.mgrid[:32, :32, :3]
images = np.stack([(7 * y + 3 * x + 80 * c + 50 * i) % 256 for i in range(4)]).astype(np.uint8)


def records(images, labels):
    """A label byte and three planes for each image."""
    return b"".join(bytes([label]) + image.transpose(2, 0, 1).tobytes() for image, label in zip(images, labels))


members = {
    "batches.meta.txt": b"up\ndown\n\n",
    "data_batch_1.bin": records(images[:2], [1, 0]),
    "data_batch_2.bin": records(images[2:3], [1]),
    "test_batch.bin": records(images[3:], [0]),
}
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
    for name, content in members.items():
        member = tarfile.TarInfo("cifar-10-batches-bin/" + name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
write(HERE / "cifar/cifar-10-binary.tar.gz", gzip.compress(packed.getvalue(), mtime=0))
expect_set("cifar", images[:3], [1, 0, 1], images[3:], [0], ["up", "down"])

lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in EXPECTED.items()]
sets = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in SETS.items()]
made_by = json.dumps(f"make_samples.py with Pillow {__version__} and numpy {np.__version__}")
text = '{"made by": ' + made_by + ',\n"images": {\n' + ",\n".join(lines) + '\n},\n"sets": {\n' + ",\n".join(sets) + "\n}}\n"
(HERE / "expected.json").write_text(text, encoding="utf-8")
print(len(EXPECTED), "images,", len(SETS), "sets")
