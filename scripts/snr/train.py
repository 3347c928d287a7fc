#!/usr/bin/env python3
"""Trains the noise estimator learned-1 and judges it (docs/metrics.md).

    train.py DATA... [--test DIR] [--write ROOT] [--trees N]

Each DATA holds clips.csv (mixtures.py) and features.f32 (go run ./scripts/snr/features DATA). First comes a
cross-validation in which neither the content's package nor the noise's family of a test clip was seen in
training; then the model of all clips, judged on --test (WAV files and truth.csv). --write puts the trees into
ROOT/filters/learned.trees and vectors for the tests into ROOT/filters/testdata/learned.json. Needs numpy and
scikit-learn; OMP_NUM_THREADS=1 is faster than threads that wait for each other.

The model: snr = floor + residual, boosted trees on the residual of tf-floor-1's middle value; noise, boosted trees on
the log odds that a clip is noise alone; error, boosted trees on the absolute error in cross-validation.
"""
import argparse, csv, json, os, struct
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier as Classifier, HistGradientBoostingRegressor as Regressor

LOW, HIGH, LIMIT, FOLDS = -10.0, 30.0, 10.0, 4
STEADY = ("white", "pink", "brown", "coloured", "equalised", "fan", "hum")


def load(dirs):
    rows, X = [], []
    for d in dirs:
        r = list(csv.DictReader(open(f"{d}/clips.csv")))
        with open(f"{d}/features.f32", "rb") as f:
            names = f.readline().decode().strip().split(",")
            x = np.frombuffer(f.read(), "<f4").reshape(-1, len(names))
        n = min(len(r), len(x))
        rows += r[:n]
        X.append(x[:n])
    X = np.concatenate(X)
    ok = ~np.isnan(X[:, 0])
    return [r for r, o in zip(rows, ok) if o], X[ok], names


def column(rows, name):
    return np.array([r[name] for r in rows])


def start(X):
    return np.clip(X[:, 1], LOW, HIGH).astype(float)


def residual(trees):
    return Regressor(max_iter=trees, learning_rate=20 / (trees + 100), max_leaf_nodes=12, min_samples_leaf=20, l2_regularization=1, max_features=0.15, random_state=1)


def classifier(trees):
    return Classifier(max_iter=trees, learning_rate=10 / (trees + 60), max_leaf_nodes=10, min_samples_leaf=20, l2_regularization=1, max_features=0.15, random_state=1)


def odds(m, X):
    return m.decision_function(X)


def auc(s, y):
    a, b = np.sort(s[y]), np.sort(s[~y])
    return float((np.searchsorted(b, a, "left") + np.searchsorted(b, a, "right")).sum() / (2 * len(a) * len(b)))


def figures(value, unknown, kind, snr, mixed):
    """of mixes: AUC of true < 10 over numeric answers, balanced error, missed, false rejects, mean error at 0..20 dB."""
    m = (kind == "mix") & mixed
    drop = (value < LIMIT) & ~unknown
    bad, good, num = m & (snr < 9.99), m & (snr > 10.01), m & ~unknown
    miss, false = np.mean(~drop[bad]), np.mean(drop[good])
    near = num & (snr >= 0) & (snr <= 20)
    edge = num & ((snr < 9.99) | (snr > 10.01))
    return f"AUC {auc(-value[edge], snr[edge] < LIMIT):.3f}  BE {(miss + false) / 2:.3f}  missed {miss:.3f}  false {false:.3f}  MAE {np.mean(np.abs(value - snr)[near]):.2f}  bias {np.median((value - snr)[near]):+.2f}  ({m.sum()})"


def report(title, value, unknown, kind, snr, noise, musical, real):
    print(title)
    every = np.ones(len(kind), bool)
    steady = np.isin(noise, STEADY)
    for name, m in (("all", every), ("steady", steady), ("unsteady", ~steady)):
        print(f"  {name:9s}", figures(value, unknown, kind, snr, m))
    drop = (value < LIMIT) & ~unknown
    share = lambda m: f"{np.mean(drop[m]):.3f} ({m.sum()})" if m.any() else "-"
    print(f"  dropped: clean {share(kind == 'clean')}  music and tones {share((kind == 'clean') & musical)}  noise alone {share(kind == 'noise')}  recorded {share((kind == 'noise') & real)};  mixes unknown {np.mean(unknown[kind == 'mix']):.3f}", flush=True)


def decide(value, error, odds_, reach, most):
    """unknown: noise alone, or not surely below the limit."""
    return (value < LIMIT) & ((odds_ > most) | (value + reach * error > LIMIT))


def deal(values, seed=5):
    names = sorted(set(values) - {"none"})
    p = np.random.default_rng(seed).permutation(len(names))
    f = {n: p[i] % FOLDS for i, n in enumerate(names)}
    return np.array([f.get(v, -1) for v in values])


def trees_of(model):
    """(base, [tree]); a tree is [(trait, threshold, right)], a leaf (255, value, 0); the left child follows its parent."""
    out = []
    for stage in model._predictors:
        nodes = stage[0].nodes
        flat = []

        def walk(i):
            n = nodes[i]
            if n["is_leaf"]:
                flat.append((255, float(n["value"]), 0))
                return
            at = len(flat)
            t = np.float32(n["num_threshold"])
            if float(t) > n["num_threshold"]:
                t = np.nextafter(t, np.float32(-np.inf))
            flat.append(None)
            walk(n["left"])
            flat[at] = (int(n["feature_idx"]), float(t), len(flat))
            walk(n["right"])
        walk(0)
        out.append(flat)
    return float(np.ravel(model._baseline_prediction)[0]), out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("data", nargs="+"), ap.add_argument("--test"), ap.add_argument("--write")
    ap.add_argument("--trees", type=int, default=300)
    a = ap.parse_args()
    rows, X, names = load(a.data)
    assert len(names) < 255
    kind, noise, cls, family, package = (column(rows, c) for c in ("kind", "noise", "cls", "family", "package"))
    snr = np.array([float(r["snr"] or "nan") for r in rows])
    y = np.where(kind == "clean", HIGH, np.clip(snr, LOW, HIGH))
    musical = (cls == "music") | (cls == "tone")
    real = np.char.find(family, "syn") < 0
    mixed = kind != "noise"
    print(len(rows), "clips,", (kind == "mix").sum(), "mixes,", (kind == "clean").sum(), "clean,", (kind == "noise").sum(), "noise alone;", len(names), "traits")

    value, sure, fold = np.full(len(y), np.nan), np.full(len(y), np.nan), np.full(len(y), -1)
    tp, tf = deal(package), deal(family)
    for k in range(FOLDS):
        test = ((tp == k) | (tp == -1)) & ((tf == k) | (tf == -1))
        train = (tp != k) & (tf != k)
        m = train & mixed
        value[test] = start(X[test]) + residual(a.trees).fit(X[m], y[m] - start(X[m])).predict(X[test])
        sure[test] = odds(classifier(a.trees // 2).fit(X[train], kind[train] == "noise"), X[test])
        fold[test] = k
    seen = fold >= 0
    miss = np.minimum(np.abs(value - np.where(kind == "clean", np.maximum(value, HIGH - 5), snr)), 20)
    e = seen & mixed
    error = np.full(len(y), np.nan)
    scale = Regressor(max_iter=80, learning_rate=0.08, max_leaf_nodes=10, min_samples_leaf=40, max_features=0.15, random_state=1)
    for k in range(FOLDS):
        m = e & (fold != k)
        error[fold == k] = np.maximum(scale.fit(X[m], miss[m]).predict(X[fold == k]), 0.5)
    c = dict(kind=kind[seen], snr=snr[seen], noise=noise[seen], musical=musical[seen], real=real[seen])
    f05, f15 = X[:, 0].astype(float), X[:, 1].astype(float)
    none = np.zeros(seen.sum(), bool)
    old = (f15 < LIMIT) & ((f05 >= LIMIT) | (X[:, 3] < 1.1) & (X[:, 4] < 0.1) | (X[:, 5] > 0.1))
    report("unseen packages and noise families: tf-floor-1", f15[seen], old[seen], **c)
    report("learned-1, value only", value[seen], none, **c)
    for reach, most in ((0, -0.5), (0, -1), (0, -1.5), (0, -2), (0.15, -1), (0.3, -1)):
        report(f"learned-1, reach {reach}, odds {most}", value[seen], decide(value, error, sure, reach, most)[seen], **c)
    mix = e & (kind == "mix") & (snr > -5) & (snr < 25)
    ratio = np.sort((miss / error)[mix])
    print(f"80 % of the errors are within {ratio[int(0.8 * len(ratio))]:.2f} times the expected one; its mean {error[mix].mean():.2f}")

    final = residual(a.trees).fit(X[mixed], y[mixed] - start(X[mixed]))
    alone = classifier(a.trees // 2).fit(X, kind == "noise")
    scale.fit(X[e], miss[e])
    if a.test:
        truth = list(csv.DictReader(open(f"{a.test}/truth.csv")))
        with open(f"{a.test}/features.f32", "rb") as f:
            f.readline()
            T = np.frombuffer(f.read(), "<f4").reshape(len(truth), -1)
        ok = ~np.isnan(T[:, 0])
        truth, T = [t for t, o in zip(truth, ok) if o], T[ok]
        k = np.array([{"noiselike": "noise"}.get(t["kind"], t["kind"]) for t in truth])
        c = dict(kind=k, snr=np.array([float(t["snr_active"] or "nan") for t in truth]), noise=column(truth, "noise"),
                 musical=np.isin(column(truth, "content"), ("music", "tone")), real=np.char.find(column(truth, "content_file"), "syn_") < 0)
        v = start(T) + final.predict(T)
        err, od = np.maximum(scale.predict(T), 0.5), odds(alone, T)
        old = (T[:, 1] < LIMIT) & ((T[:, 0] >= LIMIT) | (T[:, 3] < 1.1) & (T[:, 4] < 0.1) | (T[:, 5] > 0.1))
        report("held-out files: tf-floor-1", T[:, 1].astype(float), old, **c)
        report("learned-1, value only", v, np.zeros(len(v), bool), **c)
        for reach, most in ((0, -0.5), (0, -1), (0, -1.5), (0.15, -1), (0.3, -1)):
            report(f"learned-1, reach {reach}, odds {most}", v, decide(v, err, od, reach, most), **c)
        m = k == "mix"
        for n in sorted(set(c["noise"][m])):
            print(f"  {n:9s}", figures(v, np.zeros(len(v), bool), k, c["snr"], c["noise"] == n))
    if a.write:
        b = struct.pack("<4sI", b"snr1", len(names))
        for model in (final, alone, scale):
            base, trees = trees_of(model)
            b += struct.pack("<dI", base, len(trees))
            for t in trees:
                b += struct.pack("<H", len(t))
                for trait, number, right in t:
                    b += struct.pack("<BBf", trait, right, number)
        with open(f"{a.write}/filters/learned.trees", "wb") as f:
            f.write(b)
        pick = np.random.default_rng(1).choice(len(X), 12, False)
        out = [dict(traits=[float(v) for v in X[i]], residual=float(final.predict(X[i:i + 1])[0]), odds=float(odds(alone, X[i:i + 1])[0]), error=float(scale.predict(X[i:i + 1])[0])) for i in pick]
        with open(f"{a.write}/filters/testdata/learned.json", "w") as f:
            json.dump(out, f)
        print(len(b), "bytes of trees")


if __name__ == "__main__":
    main()
