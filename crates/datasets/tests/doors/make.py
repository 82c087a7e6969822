"""Writes the small .npz and Parquet files beside it and expected.json: what numpy, pyarrow, pandas and Hugging Face's
`datasets` write, and what Pillow and numpy read from it.

    pip install numpy pillow pyarrow pandas datasets
    python make.py

Written with numpy 2, pyarrow, pandas and datasets as they were on PyPI in November 2026.
"""

import io
import json
import pathlib
import shutil
import zipfile

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HERE = pathlib.Path(__file__).parent
HEIGHT, WIDTH = 5, 4
expected = {}


def images(n, channels, seed):
    """No symmetry anywhere, so that a transposition shows."""
    shape = (n, HEIGHT, WIDTH) + ((channels,) if channels > 1 else ())
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def part(pixels, labels):
    return {"pixels": np.ascontiguousarray(pixels).tobytes().hex(), "labels": [int(i) for i in np.ravel(labels)]}


def npz():
    folder = HERE / "npz"
    folder.mkdir(exist_ok=True)
    # MedMNIST's layout: deflated, labels (n, 1).
    sets = {}
    for seed, (name, n) in enumerate({"train": 6, "val": 3, "test": 4}.items()):
        sets[f"{name}_images"] = images(n, 3, seed)
        sets[f"{name}_labels"] = (np.arange(n) % 3).reshape(-1, 1).astype(np.uint8)
    np.savez_compressed(folder / "medmnist.npz", **sets)
    expected["medmnist.npz"] = {
        "classes": ["0", "1", "2"],
        "shape": [HEIGHT, WIDTH, 3],
        **{n: part(sets[f"{n}_images"], sets[f"{n}_labels"]) for n in ("train", "val", "test")},
    }
    # Fortran order and big-endian labels, stored.
    train, test = images(6, 3, 10), images(4, 3, 11)
    labels = np.array([0, 1, 0, 1, 1, 0])
    np.savez(
        folder / "fortran.npz",
        train_images=np.asfortranarray(train),
        train_labels=labels.astype(">i4"),
        test_images=np.asfortranarray(test),
        test_labels=labels[:4].astype(">i8"),
    )
    expected["fortran.npz"] = {
        "classes": ["0", "1"],
        "shape": [HEIGHT, WIDTH, 3],
        "train": part(train, labels),
        "test": part(test, labels[:4]),
    }
    # Keras's names, grey, named classes, headers of versions 2 and 3.
    train, test = images(4, 1, 20), images(3, 1, 21)
    arrays = {
        "x_train": (train, (2, 0)),
        "y_train": (labels[:4].astype(np.int16), (3, 0)),
        "x_test": (test, (3, 0)),
        "y_test": (labels[:3].astype(bool), (1, 0)),
        "class_names": (np.array(["Katze", "Hündin"]), (1, 0)),
        "extra": (np.zeros(3), (1, 0)),
    }
    with zipfile.ZipFile(folder / "keras.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (array, version) in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, version=version)
    expected["keras.npz"] = {
        "classes": ["Katze", "Hündin"],
        "shape": [HEIGHT, WIDTH, 1],
        "train": part(train, labels[:4]),
        "test": part(test, labels[:3]),
    }
    # One part: to be split.
    np.savez(folder / "whole.npz", images=images(20, 1, 30), labels=(np.arange(20) % 2).astype(np.uint64))
    # What is refused.
    chest = {"train_images": images(3, 1, 40), "test_images": images(3, 1, 41)}
    np.savez(folder / "multi.npz", **chest, train_labels=np.zeros((3, 14), np.uint8), test_labels=np.zeros((3, 14), np.uint8))
    floats = {name: array / 255 for name, array in chest.items()}
    np.savez(folder / "floats.npz", **floats, train_labels=np.arange(3), test_labels=np.arange(3))
    objects = np.array([None, 1, "a"], object)
    np.savez(folder / "objects.npz", **chest, train_labels=objects, test_labels=objects)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def parquet():
    folder = HERE / "parquet"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # By `datasets`: an Image feature and class names in the metadata.
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    answer = {"classes": ["cat", "dog"], "shape": [HEIGHT, WIDTH, 3]}
    (folder / "hf" / "data").mkdir(parents=True)
    for seed, (name, n) in enumerate({"train": 6, "validation": 3, "test": 4}.items()):
        pixels = images(n, 3, 50 + seed)
        labels = [int(i % 2) for i in range(n)]
        rows = {"image": [{"bytes": png(p), "path": f"{name}{i}.png"} for i, p in enumerate(pixels)], "label": labels}
        table = datasets.Dataset.from_dict(rows, features=features)
        table.to_parquet(folder / "hf" / "data" / f"{name}-00000-of-00001.parquet", batch_size=4)
        answer["val" if name == "validation" else name] = part(pixels, labels)
    expected["hf"] = answer
    # CIFAR-100's columns: two kinds of labels.
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine_label": datasets.ClassLabel(names=["apple", "bear", "pear"]),
            "coarse_label": datasets.ClassLabel(names=["fruit", "animal"]),
        }
    )
    pixels = images(12, 3, 60)
    rows = {
        "img": [{"bytes": png(p), "path": None} for p in pixels],
        "fine_label": [i % 3 for i in range(12)],
        "coarse_label": [int(i % 3 == 1) for i in range(12)],
    }
    datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / "two-labels.parquet")
    # By pandas: text labels, several row groups, one file a codec.
    pixels = images(10, 1, 70)
    texts = ["wet" if i % 2 else "dry" for i in range(10)]
    frame = pd.DataFrame({"image": [{"bytes": png(p), "path": f"{i}.png"} for i, p in enumerate(pixels)], "label": texts})
    for codec in ("snappy", "gzip", "zstd", None):
        frame.to_parquet(folder / f"pandas-{codec or 'plain'}.parquet", compression=codec, row_group_size=3)
    expected["pandas"] = {"classes": ["dry", "wet"], "shape": [HEIGHT, WIDTH, 1], "all": part(pixels, [i % 2 for i in range(10)])}
    # By pyarrow: a binary column, 32-bit labels, pages of version 2, no dictionaries, and many small pages.
    table = pa.table({"picture": [png(p) for p in pixels], "target": pa.array([i % 2 for i in range(10)], pa.int32())})
    pq.write_table(table, folder / "binary.parquet", data_page_version="2.0", use_dictionary=False, compression="zstd")
    pq.write_table(table, folder / "pages.parquet", data_page_size=64, write_batch_size=2, compression="snappy")
    # Images that are not there, in two ways, and one that is no image.
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": png(p), "path": None} for p in pixels[:7]]
    cells += [None, {"bytes": None, "path": "elsewhere.png"}, {"bytes": b"no image", "path": "text.png"}]
    table = pa.table({"image": pa.array(cells, struct), "label": pa.array([i % 2 for i in range(10)], pa.int64())})
    pq.write_table(table, folder / "nulls.parquet")
    # A codec that is not read.
    pq.write_table(table, folder / "brotli.parquet", compression="brotli")


npz()
parquet()
(HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
