"""Exported models against `bakeoff predict`: python3 .ci/onnx.py WORK, with a Python that has onnxruntime and numpy

Runs every network and linear classifier of a small experiment on built-in and real images, exports it, and gives the same
test images to onnxruntime as bytes and to `bakeoff predict --json` as files. Prints the largest difference of scores,
relative to the largest score of the image, and fails above 1e-4.
"""

import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import onnxruntime

WORK = os.path.join(sys.argv[1], "onnx")
PROGRAM = os.path.abspath(os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "bakeoff"))
BOUND = 1e-4
IMAGES = 200

ACTIVATIONS = ["identity", "sigmoid", "tanh", "relu", "leaky-relu", "softplus", "elu", "gelu"]
CLASSIFIERS = {
    "softmax": "{ kind = 'softmax', max_iterations = 50 }",
    "svm": "{ kind = 'svm', max_iterations = 50 }",
    "one-vs-all": "{ kind = 'one-vs-all-svm', epochs = 3 }",
    "linear-net": "{ kind = 'mlp', hidden = [], epochs = 2 }",
    "hinge-net": "{ kind = 'mlp', hidden = [32], loss = 'svm', epochs = 2 }",
    "norms-net": "{ kind = 'mlp', hidden = [32, 16], batch_norm = true, dropout = 0.1, loss = 'squared', epochs = 2 }",
    "residual-net": "{ kind = 'mlp', hidden = [], blocks = 2, width = 32, expansion = 2, activation = 'gelu', epochs = 2 }",
    **{f"net-{name}": f"{{ kind = 'mlp', hidden = [64, 32], activation = '{name}', epochs = 2 }}" for name in ACTIVATIONS},
}
# What may stand between pixels and classifier.
BEFORE = {
    "plain": "features = [{ kind = 'pixels' }]",
    "mean-global": "features = [{ kind = 'pixels', mean_removed = true }]\nscale = 'global'",
    "unscaled": "features = [{ kind = 'pixels' }]\nscale = 'none'",
    "centred-pca": "features = [{ kind = 'pixels' }]\nscale = 'center'\nreduce = { kind = 'pca', dimensions = 40, whiten = true }",
}
FUSED = """
[[pipeline]]
name = "fused"
fusion = "late"
[[pipeline.branches]]
features = [{ kind = "pixels" }]
classifier = { kind = "softmax", max_iterations = 20 }
[[pipeline.branches]]
features = [{ kind = "pixels", mean_removed = true }]
scale = "none"
classifier = { kind = "mlp", hidden = [16], epochs = 2 }
"""


def experiment(dataset):
    pipelines = [f"[[pipeline]]\nname = '{name}'\n{BEFORE['plain']}\nclassifier = {classifier}\n"
                 for name, classifier in CLASSIFIERS.items()]
    pipelines += [f"[[pipeline]]\nname = '{name}'\n{before}\nclassifier = {CLASSIFIERS['net-relu']}\n"
                  for name, before in BEFORE.items() if name != "plain"]
    return f"dataset = '{dataset}'\nseeds = 1\ntrain_sizes = [1000]\n" + "".join(pipelines) + FUSED


def png(pixels):
    """A PNG of bytes (height, width, 1 or 3)."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def fashion_mnist():
    import gzip
    with gzip.open("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28, 1)[:IMAGES]


def call(*arguments):
    done = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, cwd=WORK)
    if done.returncode != 0:
        sys.exit(f"bakeoff {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode()


def compare(dataset, images):
    """The largest relative difference of each pipeline's scores, and of probabilities where there are any."""
    text = os.path.join(WORK, f"{dataset}.toml")
    with open(text, "w", encoding="utf-8") as file:
        file.write(experiment(dataset))
    call("run", text, "--out", f"run-{dataset}", "--fresh", "--json")
    paths = []
    for i, image in enumerate(images):
        paths.append(os.path.join(f"images-{dataset}", f"{i:04}.png"))
        os.makedirs(os.path.join(WORK, f"images-{dataset}"), exist_ok=True)
        with open(os.path.join(WORK, paths[-1]), "wb") as file:
            file.write(png(image))
    models = os.path.join(WORK, f"run-{dataset}", "models")
    found = {}
    for name in sorted(name[:-len(".safetensors")] for name in os.listdir(models) if name.endswith(".safetensors")):
        model, onnx = os.path.join(models, f"{name}.safetensors"), os.path.join(WORK, f"{dataset}-{name}.onnx")
        call("export", model, "--onnx", onnx)
        told = json.loads(call("predict", model, f"images-{dataset}", "--json", "--top", "1000"))
        with open(os.path.join(models, f"{name}.json"), encoding="utf-8") as file:
            classes = {label: i for i, label in enumerate(json.load(file)["classes"])}
        assert [image["path"] for image in told["images"]] == paths
        session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        outputs = [output.name for output in session.get_outputs()]
        assert ("probabilities" in outputs) == (told["scores"] == "logit"), outputs
        largest = 0.0
        for output, key in zip(outputs, ["score", "probability"]):
            values = session.run([output], {"images": np.ascontiguousarray(images)})[0].astype(np.float64)
            ours = np.zeros_like(values)
            for row, image in zip(ours, told["images"]):
                assert len(image["top"]) == len(classes)
                for guess in image["top"]:
                    row[classes[guess["class"]]] = guess[key]
            scale = np.abs(ours).max(axis=1, keepdims=True)
            largest = max(largest, float((np.abs(values - ours) / scale).max()))
        found[name] = largest
    return found


def main():
    os.makedirs(WORK, exist_ok=True)
    worst = 0.0
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
    # Colored flats beside noise: pictures near and far from what was learned.
    noise[::2] = noise[::2, :1, :1]
    for dataset, images in [("shapes", noise), ("fashion-mnist", fashion_mnist())]:
        found = compare(dataset, images)
        expected = len(CLASSIFIERS) + len(BEFORE)
        if len(found) != expected:
            sys.exit(f"{dataset}: {len(found)} models of {expected} pipelines")
        for name, largest in found.items():
            print(f"{dataset:<14} {name:<16} largest relative difference {largest:.2e}")
        worst = max(worst, max(found.values()))
    print(f"onnxruntime {onnxruntime.__version__}, {IMAGES} images a dataset: largest difference {worst:.2e} (bound {BOUND})")
    if not worst <= BOUND:
        sys.exit("exported models do not compute what bakeoff predicts")


main()
