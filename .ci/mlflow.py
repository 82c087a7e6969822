"""A run on a real MLflow server and as Parquet: python3 .ci/mlflow.py WORK

Makes WORK/mlflow with a virtual environment that has mlflow (and with it pyarrow), starts a server on loopback with a database of its own,
exports a run of `quick --seeds 1` twice, reads everything back over REST and compares every figure with the run's own JSON lines; the second export
must leave the server as the first did. The Parquet tables are compared with the same JSON lines.
MLFLOW_PYTHON names a Python that has mlflow already.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

WORK = os.path.join(sys.argv[1], "mlflow")
PROGRAM = os.path.abspath(os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "bakeoff"))
STARTS_WITHIN = 90


def environment():
    """A Python with mlflow."""
    ready = os.environ.get("MLFLOW_PYTHON")
    if ready:
        return ready
    python = os.path.join(WORK, "venv", "bin", "python")
    subprocess.run([sys.executable, "-m", "venv", os.path.join(WORK, "venv")], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "mlflow"], check=True)
    return python


def bakeoff(*arguments, expected=0):
    done = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, cwd=WORK)
    if done.returncode != expected:
        sys.exit(f"bakeoff {' '.join(arguments)} ended with {done.returncode}: {done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout.decode(), done.stderr.decode()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def wait(url, server):
    for _ in range(STARTS_WITHIN * 2):
        if server.poll() is not None:
            sys.exit(f"the MLflow server ended with {server.returncode}; see {WORK}/server.log")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"the MLflow server did not start within {STARTS_WITHIN} s")


def everything(url):
    """What the server has: run by digest, each with its metrics' whole histories."""
    api = f"{url}/api/2.0/mlflow"
    experiment = call(f"{api}/experiments/get-by-name?experiment_name=quick")["experiment"]["experiment_id"]
    found = call(f"{api}/runs/search", {"experiment_ids": [experiment], "max_results": 1000})["runs"]
    runs = {}
    for run in found:
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        keys = sorted({metric["key"] for metric in run["data"].get("metrics", [])})
        history = {}
        for key in keys:
            answer = call(f"{api}/metrics/get-history?run_id={run['info']['run_id']}&metric_key={key}&max_results=25000")
            points = [(point.get("step", 0), point["value"], point["timestamp"]) for point in answer["metrics"]]
            history[key] = sorted(points)
        assert tags["bakeoff.digest"] not in runs, "a cell is there twice"
        params = {param["key"]: param["value"] for param in run["data"].get("params", [])}
        runs[tags["bakeoff.digest"]] = {"info": run["info"], "tags": tags, "params": params, "history": history}
    return runs


def median(values):
    return statistics.median(values) if values else 0


def compare(cell, row, labels):
    """Every figure of a cell: its JSON line against what the server has."""
    compared = 0
    assert cell["params"]["pipeline"] == row["cell"]["pipeline"] and cell["params"]["seed"] == str(row["cell"]["seed"])
    assert cell["info"]["status"] == ("FINISHED" if row["outcome"]["outcome"] == "done" else "FAILED")
    if row["outcome"]["outcome"] != "done":
        assert cell["tags"]["bakeoff.outcome"] == row["outcome"]["outcome"] and not cell["history"]
        return 1
    measured = row["outcome"]
    single = {key: points for key, points in cell["history"].items() if key not in ("train_loss", "validation_accuracy")}
    assert all(len(points) == 1 for points in single.values()), single
    values = {key: points[0][1] for key, points in single.items()}
    right = sum(t == p for t, p in zip(labels, measured["predicted"]))
    wanted = {
        "right": right, "n_test": len(labels), "accuracy": right / len(labels), "seconds_features": median(measured["features"]),
        "seconds_fit": median(measured["fit"]), "seconds_tune": measured["tune"], "seconds_predict": median(measured["predict"]),
        "seconds_total": measured["total"], "cpu_seconds": measured["cpu"], "peak_rss_mb": measured["peak_rss_mb"],
        "model_bytes": measured["model_bytes"], "epochs": measured["epochs"], "converged": float(measured["converged"]),
        "deterministic": float(measured["deterministic"]),
    }
    for key, value in wanted.items():
        if value > 0 or key in values:
            assert abs(values[key] - value) <= 1e-12 * abs(value), (key, values[key], value)
            compared += 1
    assert values["accuracy_lo"] <= values["accuracy"] <= values["accuracy_hi"]
    losses = [(point["epoch"], point["loss"]) for point in measured["curve"]]
    assert [point[:2] for point in cell["history"].get("train_loss", [])] == losses, "the training curve"
    trials = [(i + 1, t["right"] / t["of"]) for i, t in enumerate(measured["trials"]) if t["right"] is not None]
    assert [point[:2] for point in cell["history"].get("validation_accuracy", [])] == trials, "the trials"
    return compared + len(losses) + len(trials)


READER = """
import json, sys
import pyarrow.parquet as pq
tables = [pq.read_table(path) for path in sys.argv[1:]]
keep = ["digest", "pipeline", "seed", "image", "label_id", "predicted_id", "right", "scores"]
json.dump([tables[0].to_pylist(), tables[1].select(keep).to_pylist()], sys.stdout)
"""


def compare_parquet(python, rows, labels):
    files = [os.path.join(WORK, "tables", name) for name in ("cells.parquet", "predictions.parquet")]
    cells, predictions = json.loads(subprocess.run([python, "-c", READER, *files], stdout=subprocess.PIPE, check=True).stdout)
    assert [cell["digest"] for cell in cells] == [row["cell"]["digest"] for row in rows]
    done = {row["cell"]["digest"]: row["outcome"] for row in rows if row["outcome"]["outcome"] == "done"}
    for cell in cells:
        if cell["digest"] in done:
            measured = done[cell["digest"]]
            assert cell["total_seconds"] == measured["total"] and cell["model_bytes"] == measured["model_bytes"]
            assert cell["right"] == sum(t == p for t, p in zip(labels, measured["predicted"]))
    assert len(predictions) == len(done) * len(labels)
    with_scores = 0
    for row in predictions:
        assert row["predicted_id"] == done[row["digest"]]["predicted"][row["image"]] and row["label_id"] == labels[row["image"]]
        if row["scores"] is not None:
            with_scores += 1
            assert row["scores"][row["predicted_id"]] == max(row["scores"]), row
    return len(predictions), with_scores


def main():
    os.makedirs(WORK, exist_ok=True)
    python = environment()
    bakeoff("run", "quick", "--seeds", "1", "--out", "run", "--json")
    bakeoff("export", "run", "--format", "csv,jsonl,parquet", "--out", "tables")
    with open(os.path.join(WORK, "tables", "cells.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    _, told = bakeoff("export", "run", "--mlflow", url, expected=2)
    assert "no answer from" in told, told
    started = time.time()
    with open(os.path.join(WORK, "server.log"), "wb") as log:
        server = subprocess.Popen(
            [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{WORK}/mlflow.db", "--default-artifact-root", f"{WORK}/artifacts"],
            stdout=log, stderr=log, cwd=WORK, start_new_session=True)
    try:
        wait(url, server)
        print(f"the server started in {time.time() - started:.0f} s")
        print(bakeoff("export", "run", "--mlflow", url)[0].strip())
        first = everything(url)
        print(bakeoff("export", "run", "--mlflow", url)[0].strip())
        assert everything(url) == first, "the second export changed something"
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)
    labels = test_labels(python)
    assert set(first) == {row["cell"]["digest"] for row in rows}, "cells are missing"
    compared = sum(compare(first[row["cell"]["digest"]], row, labels) for row in rows)
    print(f"MLflow: {len(first)} cells, {compared} figures equal; a second export changed nothing")
    n, with_scores = compare_parquet(python, rows, labels)
    print(f"Parquet: {len(rows)} cells, {n} predictions equal, {with_scores} with scores")


def test_labels(python):
    """The labels of the test part, from the table of predictions."""
    code = ("import json, sys, pyarrow.parquet as pq; t = pq.read_table(sys.argv[1], columns=['digest', 'label_id']).to_pylist();"
            "json.dump([r['label_id'] for r in t if r['digest'] == t[0]['digest']], sys.stdout)")
    path = os.path.join(WORK, "tables", "predictions.parquet")
    return json.loads(subprocess.run([python, "-c", code, path], stdout=subprocess.PIPE, check=True).stdout)


main()
