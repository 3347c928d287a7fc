#!/usr/bin/env python3
"""Measure how far the content-based sync estimate can be trusted.

    pip install numpy pyarrow
    eval_sync.py PREP [--clips N] [--seed N] [--keep DIR] [VIDEO...]

Makes clips of ten seconds in which things move and sound, with the sound moved by a known time within the
file (the container says nothing of it), of several kinds: a ball that bounces, lights that flash, hands that
clap, a mouth that moves with syllables; each with noise in picture and sound; and two kinds for which
there is no answer: motion and sound that have nothing to do with each other, and a steady beat. Each VIDEO
named is shifted in the same way. PREP ingests them with video.content_sync, and for several bounds on
the confidence this prints how many get an answer and how many of the answers are right to 80 ms.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow.parquet as pq

RATE, FPS, W, H, SECONDS = 16000, 25, 128, 96, 10


def times(r, mean, least):
    """Irregular times of events."""
    t, out = 0.4 + r.random() * 0.5, []
    while t < SECONDS - 0.2:
        out.append(t)
        t += least + r.exponential(mean)
    return out


def hit(r, n, kind):
    t = np.arange(n) / RATE
    if kind == "click":
        return r.normal(size=n) * np.exp(-t * 60)
    return np.sin(2 * np.pi * r.uniform(200, 900) * t) * np.exp(-t * 12)


def sounds(r, events, snr):
    x = np.zeros(RATE * SECONDS)
    kind = r.choice(["click", "tone"])
    for t in events:
        i = int(t * RATE)
        y = hit(r, min(len(x) - i, RATE // 2), kind) * r.uniform(0.4, 1)
        x[i : i + len(y)] += y
    noise = r.normal(size=len(x))
    noise = np.convolve(noise, np.ones(4) / 4, "same")
    peak = np.abs(x).max() + 1e-9
    return x / peak * 0.5 + noise / noise.std() * 0.5 * 10 ** (-snr / 20)


def box(f, x, y, w, h, v):
    f[max(0, int(y)) : max(0, int(y + h)), max(0, int(x)) : max(0, int(x + w))] = v


def render(r, draw):
    frames = []
    background = r.integers(20, 120, (H // 8, W // 8)).repeat(8, 0).repeat(8, 1).astype(float)
    pan = r.uniform(0, 12) if r.random() < 0.3 else 0  # a moving camera now and then
    for n in range(FPS * SECONDS):
        f = np.roll(background, int(pan * n / FPS), axis=1).copy()
        draw(f, n / FPS)
        frames.append(np.clip(f + r.normal(size=f.shape) * 2, 0, 255).astype(np.uint8))
    return np.stack(frames)


def bouncing(r):
    events, heights, t = [], [], 0.3
    while t < SECONDS:
        events.append(t)
        d = r.uniform(0.35, 1.1)
        heights.append(d)
        t += d

    def draw(f, t):
        i = max(0, np.searchsorted(events, t) - 1)
        u = (t - events[i]) / heights[i]
        y = 4 * u * (1 - u) * 60 * min(1, heights[i])
        box(f, 50, H - 14 - max(0, y), 14, 14, 230)

    return render(r, draw), [e for e in events if e < SECONDS - 0.05]


def flashing(r):
    events = times(r, 0.7, 0.25)
    places = r.integers(0, 60, (len(events), 2))

    def draw(f, t):
        for e, (x, y) in zip(events, places):
            if e <= t < e + 0.2:
                box(f, x, y / 2, 50, 50, 240)

    return render(r, draw), events


def clapping(r):
    events = times(r, 0.6, 0.45)

    def draw(f, t):
        gap = 30.0
        for e in events:
            d = t - e
            if -0.16 < d <= 0:
                gap = min(gap, -d / 0.16 * 30)
            elif 0 < d < 0.28:
                gap = min(gap, d / 0.28 * 30)
        box(f, 64 - 12 - gap, 30, 12, 40, 200)
        box(f, 64 + gap, 30, 12, 40, 200)

    return render(r, draw), events


def speaking(r):
    n = SECONDS * 100
    env, t = np.zeros(n), 0.3
    while t < SECONDS - 0.4:
        for _ in range(r.integers(2, 7)):  # syllables of a phrase
            d = r.uniform(0.12, 0.3)
            k = np.arange(int(d * 100))
            i = int(t * 100)
            k = k[: max(0, n - i)]
            env[i : i + len(k)] += np.sin(np.pi * k / max(1, len(k))) * r.uniform(0.4, 1)
            t += d
        t += r.uniform(0.2, 0.8)

    def draw(f, t):
        box(f, 40, 20, 50, 60, 150)
        o = env[min(n - 1, int(t * 100))]
        box(f, 55, 55 - o * 7, 20, 2 + o * 14, 30)

    carrier = r.normal(size=SECONDS * RATE)
    return render(r, draw), np.interp(np.arange(SECONDS * RATE) / RATE, np.arange(n) / 100, env) * carrier


def unrelated(r):
    kinds = [bouncing, flashing, clapping]
    frames, _ = kinds[r.integers(3)](r)
    return frames, times(r, 0.6, 0.3)


def steady(r):
    period = r.uniform(0.4, 0.8)
    events = list(np.arange(0.3, SECONDS, period))

    def draw(f, t):
        for e in events:
            if e <= t < e + 0.15:
                box(f, 30, 20, 60, 60, 230)

    return render(r, draw), events


KINDS = {"ball": bouncing, "flashes": flashing, "claps": clapping, "speech": speaking, "unrelated": unrelated, "beat": steady}


def make(path, kind, r):
    frames, events = KINDS[kind](r)
    shift = r.uniform(-1.5, 1.5)
    snr = r.uniform(5, 30)
    if isinstance(events, list):
        x = sounds(r, [e + shift for e in events if 0 < e + shift < SECONDS - 0.05], snr)
    else:
        k = int(shift * RATE)
        x = np.roll(events, k)
        if k > 0:
            x[:k] = 0
        else:
            x[k:] = 0
        x = x / np.abs(x).max() * 0.5 + r.normal(size=len(x)) * 0.1 * 10 ** (-snr / 20)
    wav = path + ".f32"
    x.astype("<f4").tofile(wav)
    p = subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{W}x{H}", "-r", str(FPS), "-i", "-",
                        "-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", wav, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
                        "-c:a", "aac", "-b:a", "96k", path], input=frames.tobytes())
    os.remove(wav)
    if p.returncode:
        sys.exit("ffmpeg failed")
    return shift


def shift_film(source, path, r):
    """The film with its sound moved: silence in front, or a piece of its beginning gone."""
    shift = r.uniform(-1.5, 1.5)
    audio = f"adelay={shift * 1000:.0f}:all=1" if shift > 0 else f"atrim=start={-shift:.3f},asetpts=PTS-STARTPTS"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, "-af", audio, "-vf", "scale=320:-2", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", path], check=True)
    return shift


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("prep")
    a.add_argument("videos", nargs="*")
    a.add_argument("--clips", type=int, default=20, help="of each kind, and shifts of each VIDEO")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--keep")
    a.add_argument("--films-only", action="store_true", help="only the VIDEOs, no clips that are made")
    args = a.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = args.keep or work
        src, out = os.path.join(work, "src"), os.path.join(work, "out")
        os.makedirs(src, exist_ok=True)
        truth = {}
        for kind in {} if args.films_only else KINDS:
            for i in range(args.clips):
                r = np.random.default_rng([args.seed, list(KINDS).index(kind), i])
                key = f"{kind}-{i}"
                truth[key] = kind, make(os.path.join(src, key + ".mp4"), kind, r)
        for k, video in enumerate(args.videos):
            for i in range(args.clips):
                r = np.random.default_rng([args.seed, 100 + k, i])
                key = f"film{k}-{i}"
                truth[key] = os.path.basename(video), shift_film(video, os.path.join(src, key + ".mp4"), r)
        config = os.path.join(work, "sync.yaml")
        with open(config, "w") as f:
            f.write("video: {content_sync: true}\n")
        subprocess.run([args.prep, "ingest", src, "--source", "pairs", "--out", out, "--config", config, "--snr", "off", "--max-sync", "off", "--min-text", "off"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = []
        for f in os.listdir(out):
            if f.startswith("ledger"):
                rows += pq.read_table(os.path.join(out, f)).to_pylist()
    table(truth, rows)


def table(truth, rows):
    kinds = list(dict.fromkeys(k for k, _ in truth.values()))
    data = {k: [] for k in kinds}
    for r in rows:
        kind, shift = truth[r["key"]]
        c, o = r.get("sync_content_confidence"), r.get("sync_content_offset_s")
        if r.get("sync_content_status") != "ok":
            c = min(c or 0, 0.399)  # an answer needs a peak too, not confidence alone
        data[kind].append((c or 0, None if o is None else abs(o - shift)))
    bounds = [0, 0.2, 0.3, 0.4, 0.5, 0.6]
    print("answers (right to 80 ms) of", {k: len(v) for k, v in data.items()})
    print("%-24s" % "confidence at least", *("%11.2f" % b for b in bounds))
    for k in kinds:
        cells = []
        for b in bounds:
            got = [e for c, e, *_ in data[k] if e is not None and c >= b]
            right = sum(e <= 0.08 for e in got)
            cells.append("%4d (%4d)" % (len(got), right))
        print("%-24s" % k, *cells)
    err = [e for k in ("ball", "flashes", "claps", "speech") for c, e, *_ in data.get(k, []) if e is not None and c >= 0.4 and e <= 0.08]
    if err:
        print("median error of right answers: %.0f ms" % (1000 * np.median(err)))


if __name__ == "__main__":
    main()
