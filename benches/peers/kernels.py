"""Our kernels beside the peers', taking turns in one run: python kernels.py KERNELS [WHICH…]

KERNELS is the built example: cargo build --release -p bakeoff-benches --example kernels, then
target/release/examples/kernels. WHICH limits the run to kmeans, mixture, hog, sift, fisher. Wants numpy, scikit-learn, faiss-cpu,
opencv-python-headless below 5 and scikit-image, and in CIFAR the folder of the CIFAR-10 binary batches. Prints
Markdown tables: medians over the turns, peer / ours (above 1: ours is faster), and ours as a share of the machine's
limit: operations beside the peak of multiply-adds that is measured in turn, else cycles a pixel. Run it on an idle machine with
OMP_NUM_THREADS=2, OPENBLAS_CORETYPE unset.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

KERNELS, WHICH = sys.argv[1], sys.argv[2:] or ["kmeans", "mixture", "hog", "sift", "fisher"]
WORK = tempfile.mkdtemp()
SERVER = subprocess.Popen([KERNELS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
SHARES, RESULTS = [], []
# Products of bytes (AVX-512 VNNI) for each multiply-add of f32 in the same time.
BYTES = 4


def ours(line):
    SERVER.stdin.write(line + "\n")
    SERVER.stdin.flush()
    return float(SERVER.stdout.readline())


def timed(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def save(name, array):
    path = os.path.join(WORK, name + ".npy")
    np.save(path, np.ascontiguousarray(array))
    return path


def compare(what, turns, line, peers, share):
    """peers: name -> callable. Each turn runs ours and then every peer once; the first turn warms up and does not count.
    share: (operations, what they are, how many times the peak of multiply-adds the limit is), or (pixels,) for cycles."""
    found, peaks, clocks, threads = {name: [] for name in ["ours", *peers]}, [], [], line.split()[1]
    for turn in range(turns + 1):
        peaks.append(ours(f"peak {threads}"))
        clocks.append(ours("clock 1"))
        times = {"ours": ours(line), **{name: timed(call) for name, call in peers.items()}}
        if turn:
            for name, seconds in times.items():
                found[name].append(seconds)
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    for name in peers:
        print(f"| {what} | {medians['ours']:.4f} | {name} | {medians[name]:.4f} | {medians[name] / medians['ours']:.2f} |", flush=True)
    peak = statistics.median(peaks)
    if len(share) == 1:
        cycles = medians["ours"] * statistics.median(clocks) * 1e9 / share[0]
        SHARES.append(f"| {what} | {cycles:.1f} cycles a pixel |")
    else:
        operations, of, limit = share
        reached = operations / medians["ours"] / 1e9
        SHARES.append(f"| {what} | {reached:.0f} of {limit * peak:.0f} G{of}/s: {100 * reached / limit / peak:.0f}% |")


def cifar(n):
    with open(os.path.join(os.environ["CIFAR"], "data_batch_1.bin"), "rb") as file:
        records = np.frombuffer(file.read(3073 * n), np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy()


def large(n):
    """Pictures of 320×240 pixels: 7 by 10 photographs side by side, and cut."""
    images = cifar(80 * n).reshape(n, 8, 10, 32, 32, 3)
    return images.transpose(0, 1, 3, 2, 4, 5).reshape(n, 256, 320, 3)[:, :240].copy()


def patches(n):
    """Whitened 6×6 patches, as the k-means features cluster them."""
    random = np.random.default_rng(0)
    images = cifar(10000)
    i, y, x = random.integers(0, 10000, n), random.integers(0, 27, n), random.integers(0, 27, n)
    windows = np.lib.stride_tricks.sliding_window_view(images, (6, 6), (1, 2))
    p = windows[i, y, x].reshape(n, 108).astype(np.float32)
    p = (p - p.mean(1, keepdims=True)) / np.sqrt(p.var(1, keepdims=True) + 10)
    p -= p.mean(0)
    values, vectors = np.linalg.eigh(np.cov(p.T))
    return (p @ (vectors / np.sqrt(values + 0.1) @ vectors.T)).astype(np.float32)


def kmeans():
    import faiss
    from sklearn.cluster import KMeans

    faiss.omp_set_num_threads(2)
    for n, k, iterations, turns in [(200_000, 256, 20, 3), (400_000, 1600, 20, 2)]:
        x = patches(n)
        start = x[np.random.default_rng(1).choice(n, k, replace=False)]

        def learn():
            KMeans(k, init=start, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd").fit(x)

        def flat():
            faiss.Kmeans(108, k, niter=iterations, max_points_per_centroid=10**9).train(x, init_centroids=start)

        line = f"kmeans 2 {save(f'x{n}', x)} {save(f's{n}', start)} {iterations}"
        compare(f"k-means {n}×108, k={k}, {iterations} rounds, 2 threads", turns, line, {"scikit-learn": learn, "faiss": flat},
                (2 * n * k * 108 * iterations, "OP", BYTES))


def lumps(n, k, outliers):
    """Rows (n, 64) around k centres, and means (k, 64) near those to start from. With outliers every thousandth row is a hundred
    times as far away: its density is below every number of 32 bits, and most of its posteriors are."""
    random = np.random.default_rng(4)
    centres = random.normal(scale=3, size=(k, 64)).astype(np.float32)
    x = centres[random.integers(0, k, n)] + random.standard_normal((n, 64), np.float32)
    if outliers:
        x[::1000] *= 100
    return x, centres + 0.5 * random.standard_normal((k, 64), np.float32)


def mixture():
    from sklearn.mixture import GaussianMixture

    n, k, rounds = 50_000, 128, 5
    x, means = lumps(n, k, outliers=False)
    peer = GaussianMixture(k, covariance_type="diag", tol=0, reg_covar=0, max_iter=rounds, weights_init=np.full(k, 1 / k),
                           means_init=means, precisions_init=np.ones((k, 64)))
    wide = x.astype(np.float64)
    files = save("xmixture", x), save("mmixture", means)
    compare(f"mixture {n}×64, k={k}, {rounds} rounds, 2 threads", 3, f"gmm 2 {' '.join(files)} {rounds}",
            {"scikit-learn in f64": lambda: peer.fit(wide)}, (2 * 2 * n * k * 2 * 64 * rounds, "FLOP", 1))
    RESULTS.append(f"mixture {n}×64, k={k}: mean log-likelihood {ours(f'likelihood 2 {files[0]}'):.4f}, scikit-learn's {peer.score(wide):.4f}")
    del wide
    # Too large for scikit-learn, whose posteriors in f64 are a matrix of 8 GB.
    n, k, rounds = 1_000_000, 1024, 3
    files = [save(name, array) for name, array in zip(["xlarge", "mlarge"], lumps(n, k, outliers=True))]
    seconds = ours(f"gmm 2 {' '.join(files)} {rounds}")
    RESULTS.append(f"mixture {n}×64, k={k}, {rounds} rounds, 2 threads: {seconds:.1f} s, "
                   f"mean log-likelihood {ours(f'likelihood 2 {files[0]}'):.4f}, every parameter finite")


def hog():
    import cv2

    cv2.setNumThreads(1)
    for name, images in [("32×32", cifar(4000)), ("320×240", large(100))]:
        height, width = images.shape[1:3]
        descriptor = cv2.HOGDescriptor((width, height), (16, 16), (8, 8), (8, 8), 9)
        compare(f"HoG {name}×3, {len(images)} images, 1 thread", 5, f"hog 1 {save('hog' + name, images)}",
                {"OpenCV": lambda: [descriptor.compute(image) for image in images]}, (len(images) * height * width,))


def sift():
    import cv2

    cv2.setNumThreads(1)
    for name, images in [("32×32", cifar(1000)), ("320×240", large(50))]:
        grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])
        height, width = grey.shape[1:]
        # Squares of 16 pixels that lie in the image, 4 apart: OpenCV's cell is 1.5 sizes, and 4 pixels are wanted.
        points = [cv2.KeyPoint(float(x), float(y), 8 / 3, 0)
                  for y in range(8, height - 7, 4) for x in range(8, width - 7, 4)]
        extractor = cv2.SIFT_create()
        compare(f"SIFT {name} grey, step 4, {len(points)} descriptors an image, {len(grey)} images, 1 thread", 5,
                f"sift 1 {save('sift' + name, grey[..., None])} 4 4",
                {"OpenCV": lambda: [extractor.compute(image, points) for image in grey]}, (grey.size,))


def fisher():
    from skimage.feature import fisher_vector
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    for k, n, images in [(64, 196, 200), (1024, 5000, 4)]:
        random = np.random.default_rng(2)
        gmm = GaussianMixture(k, covariance_type="diag")
        gmm.weights_ = np.full(k, 1 / k)
        gmm.means_ = random.normal(size=(k, 64))
        gmm.covariances_ = random.uniform(0.5, 2, size=(k, 64))
        gmm.precisions_cholesky_ = 1 / np.sqrt(gmm.covariances_)
        gmm.n_features_in_ = 64
        x = random.normal(size=(images, n, 64)).astype(np.float32)
        files = [save(f"{name}{k}", np.atleast_2d(a).astype(np.float32))
                 for name, a in [("w", gmm.weights_), ("m", gmm.means_), ("v", gmm.covariances_)]]
        for threads in (1, 2):
            with threadpool_limits(threads):
                compare(f"Fisher K={k}, D=64, {n} descriptors, {images} images, {threads} threads each", 3,
                        f"fisher {threads} {save(f'd{k}', x)} {' '.join(files)} {n}",
                        {"scikit-image": lambda: [fisher_vector(one, gmm, improved=True) for one in x]},
                        (2 * 2 * images * n * k * 2 * 64, "FLOP", 1))


print("| kernel | ours, s | peer | peer, s | peer / ours |\n|---|---|---|---|---|")
for which in WHICH:
    {"kmeans": kmeans, "hog": hog, "sift": sift, "fisher": fisher, "mixture": mixture}[which]()
print("\n| kernel | of the machine's limit in the same run |\n|---|---|", *SHARES, "", *RESULTS, sep="\n")
SERVER.stdin.close()
