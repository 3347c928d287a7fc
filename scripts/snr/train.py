#!/usr/bin/env python3
"""Trains the noise estimator learned-4 and judges it (docs/metrics.md).

    train.py DATA [--write ROOT] [--against TREES:SHARE:MOST] [--also DIR]

DATA holds first, second, third, fourth, design and test, each with clips.csv (mixtures.py, design.py) and features.f32 (go run
./scripts/snr/features DATA/first, and so on). First comes a cross-validation on all but test in which neither the content's package nor
the noise's family of a test clip was seen in training; it chose WEIGHTS, CLEAN, SHARE and MOST, and gives the knots. Then the model
of all of them, judged on test. --write puts the
trees into ROOT/filters/learned.trees and vectors for the tests into ROOT/filters/testdata/learned.json.
--jobs fits so many models at once, to the same result; --check stops after the cross-validation. --against judges another file of trees on test by its own rule (learned-3's is 0:-0.5), --also judges on more clips (design.py --held). Needs
numpy and lightgbm.

The model: score, a weighted mean of boosted trees' log odds that the SNR is above each of LEVELS; snr, the score's place on
a curve of straight pieces; noise, boosted trees on the log odds that a clip is noise alone; error, boosted trees on the
absolute error in cross-validation.
"""
import argparse, csv, hashlib, json, multiprocessing, os, struct
import numpy as np
import lightgbm

TRAINING = ("first", "second", "third", "design", "fourth")
# The cross-validation tests on clips of these parts, so that its figures compare with those of earlier estimators.
TESTED = TRAINING[:4]
LOW, HIGH, LIMIT, FOLDS = -10.0, 30.0, 10.0, 4
# The score is made of the odds that the SNR is above these levels, most of that of the filter's usual limit.
LEVELS, WEIGHTS = (5, 10, 15), (1 / 7, 5 / 7, 1 / 7)
# A clean clip counts as that many mixes, so that few are dropped. The curve has so many knots and one for the clean, at this SNR.
CLEAN, KNOTS, CLEAN_DB = 8.0, 16, 35.0
# A clip below the limit is unknown whose log odds of noise alone, and that share of its score, are above MOST.
SHARE, MOST = 0.6, -2.2
TREES = 300
# What the odds are learned from: noise alone, and mixes that may be below the limit.
NEAR = LIMIT + 2
STEADY = ("white", "pink", "brown", "coloured", "equalised", "fan", "hum", "comb", "phased", "lines", "poles", "thyristor")


def load(dirs):
    rows, X, names = [], [], None
    for d in dirs:
        r = [dict(row, part=os.path.basename(d)) for row in csv.DictReader(open(f"{d}/clips.csv"))]
        with open(f"{d}/features.f32", "rb") as f:
            here = f.readline().decode().strip().split(",")
            x = np.frombuffer(f.read(), "<f4").reshape(-1, len(here))
        if len(r) != len(x) or here != (names or here):
            raise SystemExit(f"{d}: features.f32 is of other clips or other traits; remove it and run build.sh again")
        names = here
        rows += r
        X.append(x)
    X = np.concatenate(X)
    ok = ~np.isnan(X[:, 0])
    return [r for r, o in zip(rows, ok) if o], X[ok], names


def column(rows, name):
    return np.array([r[name] for r in rows])


def booster(kind, trees, leaves, rate, l2, least=20):
    return kind(n_estimators=trees, learning_rate=rate, num_leaves=leaves, min_child_samples=least, reg_lambda=l2, colsample_bytree=0.15, max_bin=127,
                random_state=1, n_jobs=1, deterministic=True, force_col_wise=True, verbose=-1)


def below():
    return booster(lightgbm.LGBMClassifier, TREES, 12, 0.05, 2)


def score(models, X):
    return -sum(w * odds(m, X) for w, m in zip(WEIGHTS, models))


def curve(s, y, clean):
    """knots of the SNR over the score: medians of equal parts of the mixes, moved so that even odds are the limit, and the
    median of the clean."""
    order = np.argsort(s, kind="stable")
    x, v = np.array([(np.median(s[p]), np.median(y[p])) for p in np.array_split(order, KNOTS)]).T
    v = np.maximum.accumulate(v)
    x -= np.interp(LIMIT, v, x)
    top = np.median(clean)
    below = x < top - 0.1
    return np.float32([*x[below], top]), np.float32([*v[below], CLEAN_DB])


def alone_():
    return booster(lightgbm.LGBMClassifier, TREES, 12, 0.04, 1)


def odds(m, X):
    return m.predict(X, raw_score=True)


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


def decide(value, odds_, most=MOST):
    """unknown: below the limit, and noise alone."""
    return (value < LIMIT) & (odds_ > most)


def floor_unknown(X):
    """what tf-floor-1 says it does not know."""
    return (X[:, 1] < LIMIT) & ((X[:, 0] >= LIMIT) | (X[:, 3] < 1.1) & (X[:, 4] < 0.1) | (X[:, 5] > 0.1))


def deal(values, tested, seed=5):
    """a part of the cross-validation for each of the values, -1 for none; those that are not tested are dealt after the others."""
    names = sorted(set(values[tested]) - {"none"})
    p = np.random.default_rng(seed).permutation(len(names))
    f = {n: p[i] % FOLDS for i, n in enumerate(names)}
    f |= {n: i % FOLDS for i, n in enumerate(sorted(set(values) - set(names) - {"none"}))}
    return np.array([f.get(v, -1) for v in values])


def trees_of(model, scale=1.0):
    """[tree]; a tree is [(trait, threshold, right)], a leaf (255, value, 0); the left child follows its parent."""
    out = []
    for tree in model.booster_.dump_model()["tree_info"]:
        flat = []

        def walk(n):
            if "leaf_value" in n:
                flat.append((255, scale * n["leaf_value"], 0))
                return
            assert n["decision_type"] == "<="
            at = len(flat)
            t = np.float32(n["threshold"])
            if float(t) > n["threshold"]:
                t = np.nextafter(t, np.float32(-np.inf))
            flat.append(None)
            walk(n["left_child"])
            flat[at] = (int(n["split_feature"]), float(t), len(flat))
            walk(n["right_child"])
        walk(tree["tree_structure"])
        out.append(flat)
    return out


def pack(traits, models, knots):
    b = struct.pack("<4sI", b"snr2", traits)
    for trees in models:  # LightGBM has what they begin with in the first tree
        b += struct.pack("<dI", 0, len(trees))
        for t in trees:
            b += struct.pack("<H", len(t))
            for trait, number, right in t:
                b += struct.pack("<BBf", trait, right, number)
    b += struct.pack("<I", len(knots[0]))
    for pair in zip(*knots):
        b += struct.pack("<ff", *pair)
    return b


def unpack(b):
    """the three ensembles of a file of trees, and the knots."""
    at, out = 8, []
    for _ in range(3):
        base, count = struct.unpack_from("<dI", b, at)
        at += 12
        trees = []
        for _ in range(count):
            n, = struct.unpack_from("<H", b, at)
            trees.append(np.frombuffer(b, np.dtype([("trait", "u1"), ("right", "u1"), ("number", "<f4")]), n, at + 2))
            at += 2 + 6 * n
        out.append((base, trees))
    n, = struct.unpack_from("<I", b, at)
    return *out, np.frombuffer(b, "<f4", 2 * n, at + 4).reshape(n, 2).T


def predict(ensemble, X):
    base, trees = ensemble
    sum_ = np.full(len(X), base)
    every = np.arange(len(X))
    for t in trees:
        i = np.zeros(len(X), int)
        while True:
            inner = t["trait"][i] != 255
            if not inner.any():
                break
            left = X[every, np.where(inner, t["trait"][i], 0)] <= t["number"][i]
            i = np.where(inner, np.where(left, i + 1, t["right"][i]), i)
        sum_ += t["number"][i]
    return sum_


def truths(rows):
    """what the reports need of clips.csv."""
    kind, noise, cls, family = (column(rows, c) for c in ("kind", "noise", "cls", "family"))
    return dict(kind=kind, snr=np.array([float(r["snr"] or "nan") for r in rows]), noise=noise, musical=(cls == "music") | (cls == "tone"),
                real=(np.char.find(family, "syn") < 0) & (np.char.find(family, "new") < 0))


def judge(title, X, c, models):
    """each model: name, value, odds, and their limit."""
    none = np.zeros(len(X), bool)
    report(f"{title}: tf-floor-1", X[:, 1].astype(float), floor_unknown(X), **c)
    report(f"{title}: tf-floor-1, value alone", X[:, 1].astype(float), none, **c)
    for name, v, o, most in models:
        report(f"{title}: {name}", v, decide(v, o, most), **c)
        report(f"{title}: {name}, value alone", v, none, **c)
    m = c["kind"] == "mix"
    for n in sorted(set(c["noise"][m & ~c["real"]])):
        print(f"  {n:9s}", figures(models[0][1], none, c["kind"], c["snr"], c["noise"] == n))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("data"), ap.add_argument("--write"), ap.add_argument("--against"), ap.add_argument("--also"), ap.add_argument("--jobs", type=int, default=1), ap.add_argument("--check", action="store_true")
    a = ap.parse_args()
    rows, X, names = load([f"{a.data}/{part}" for part in TRAINING])
    tested = np.array([r["part"] in TESTED for r in rows])
    assert len(names) < 255
    c = truths(rows)
    kind, snr, family, package = c["kind"], c["snr"], column(rows, "family"), column(rows, "package")
    y = np.where(kind == "clean", HIGH, np.clip(snr, LOW, HIGH))
    mixed = kind != "noise"
    doubtful = (kind == "noise") | (kind == "mix") & (snr < NEAR)
    print(len(rows), "clips,", (kind == "mix").sum(), "mixes,", (kind == "clean").sum(), "clean,", (kind == "noise").sum(), "noise alone;", len(names), "traits")

    value, sure, fold = np.full(len(y), np.nan), np.full(len(y), np.nan), np.full(len(y), -1)
    tp, tf = deal(package, tested), deal(family, tested)
    clean = kind == "clean"
    global fit  # what the processes of the pool find when they start

    def fit(job):
        k, what = job
        m = ((tp != k) & (tf != k) if k >= 0 else np.ones(len(y), bool)) & (doubtful if what == "noise" else mixed)
        if what == "noise":
            return alone_().fit(X[m], kind[m] == "noise")
        return below().fit(X[m], y[m] < what, sample_weight=np.where(clean[m], CLEAN, 1.0))
    jobs = [(k, what) for k in range(-1, FOLDS) for what in (*LEVELS, "noise")]  # -1: of all
    with multiprocessing.get_context("fork").Pool(a.jobs) as pool:
        models = dict(zip(jobs, pool.map(fit, jobs, chunksize=1)))
    for k in range(FOLDS):
        test = tested & ((tp == k) | (tp == -1)) & ((tf == k) | (tf == -1))
        value[test] = score([models[k, level] for level in LEVELS], X[test])
        sure[test] = odds(models[k, "noise"], X[test]) + SHARE * value[test]
        fold[test] = k
    seen = fold >= 0
    m = seen & mixed
    knots = curve(value[m & ~clean], snr[m & ~clean], value[m & clean])
    print("knots", " ".join(f"{x:.2f}:{v:.1f}" for x, v in zip(*knots)))
    value = np.interp(value, *knots)
    miss = np.minimum(np.abs(value - np.where(kind == "clean", np.maximum(value, HIGH - 5), snr)), 20)
    e = seen & mixed
    error = np.full(len(y), np.nan)
    scale = booster(lightgbm.LGBMRegressor, 80, 10, 0.08, 0, 40)
    for k in range(FOLDS):
        m = e & (fold != k)
        error[fold == k] = np.maximum(scale.fit(X[m], miss[m]).predict(X[fold == k]), 0.5)
    s = {k: v[seen] for k, v in c.items()}
    report("cross-validation: tf-floor-1", X[seen, 1].astype(float), floor_unknown(X)[seen], **s)
    report("learned-4, value alone", value[seen], np.zeros(seen.sum(), bool), **s)
    for most in (MOST + 1, MOST + 0.5, MOST, MOST - 0.5, MOST - 1):
        report(f"learned-4, odds {most}", value[seen], decide(value, sure, most)[seen], **s)
    mix = e & (kind == "mix") & (snr > -5) & (snr < 25)
    ratio = np.sort((miss / error)[mix])
    print(f"80 % of the errors are within {ratio[int(0.8 * len(ratio))]:.2f} times the expected one; its mean {error[mix].mean():.2f}")

    if a.check:
        return
    final, alone = [models[-1, level] for level in LEVELS], models[-1, "noise"]
    scale.fit(X[e], miss[e])
    b = pack(len(names), [sum((trees_of(m, -w) for m, w in zip(final, WEIGHTS)), []), trees_of(alone), trees_of(scale)], knots)
    tables = [("learned-4", b, SHARE, MOST)]
    if a.against:
        name, share, most = a.against.rsplit(":", 2)
        with open(name, "rb") as f:
            tables.append((name, f.read(), float(share), float(most)))
    test, T, _ = load([f"{a.data}/test"])
    places = [("test", T, truths(test))]
    if a.also:
        also, A, _ = load([a.also])
        places.append((a.also, A, truths(also)))
    for title, T, c in places:
        models = []
        for name, table, share, most in tables:
            r, o, _, k = unpack(table)
            s = predict(r, T)
            models.append((name, np.interp(s, *k), predict(o, T) + share * s, most))
        judge(title, T, c, models)
    if a.write:
        with open(f"{a.write}/filters/learned.trees", "wb") as f:
            f.write(b)
        pick = np.random.default_rng(1).choice(len(X), 12, False)
        out = [dict(traits=[float(v) for v in X[i]], score=float(score(final, X[i:i + 1])[0]), snr=float(np.interp(score(final, X[i:i + 1])[0], *knots)), odds=float(odds(alone, X[i:i + 1])[0]), error=float(scale.predict(X[i:i + 1])[0])) for i in pick]
        with open(f"{a.write}/filters/testdata/learned.json", "w") as f:
            json.dump(out, f)
    print(len(b), "bytes of trees, SHA-256", hashlib.sha256(b).hexdigest())


if __name__ == "__main__":
    main()
