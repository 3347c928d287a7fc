#!/usr/bin/env python3
"""Compares package mel with torchaudio on generated sounds.

    pip install torch torchaudio numpy
    python scripts/compare_mel.py --cases 300

For every sound: resampling to 16 kHz, the limits of the clips in exact arithmetic, and the normalised
log-mel of all clips, as ImageBind computes them and with the clips copied first. Rates, lengths (around
every boundary), channels, clips and signals are drawn from --seed. A sound is held to the tolerances of
testdata/golden/README.md: the same torchaudio code in float64 says how far float32 is from the truth.
--simd and --plain choose the build. Exits 1 if anything is out of tolerance.
"""
import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile
from fractions import Fraction

import numpy as np
import torch

torch.version.cuda = None  # only the CPU is used: builds for two versions of CUDA may meet here
import torchaudio
from torchaudio.compliance.kaldi import fbank

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATE, BINS, FRAMES, SECONDS, MEAN, STD = 16000, 128, 204, 2, -4.268, 9.138
RATES = [8000, 11025, 12000, 12345, 16000, 16001, 22050, 24000, 32000, 37800, 44056, 44100, 48000, 88200, 96000, 176400, 192000]


# ---------------------------------------------------------------- the original
def limits(samples, clips):
    """Clips spread evenly, as pytorchvideo's sampler with clips - 1 in the denominator."""
    duration = samples / RATE
    last = Fraction(max(duration - SECONDS, 0))
    step = last / max(clips - 1, 1)
    return [(int(i * step * RATE), int((i * step + SECONDS) * RATE)) for i in range(clips)]


def transform(wave, clips, copied):
    wave = wave.clone()
    out = []
    for first, last in limits(wave.shape[1], clips):
        clip = wave[:, first:last]
        if copied:
            clip = clip[:1].clone()
        clip -= clip.mean()
        x = fbank(clip, htk_compat=True, sample_frequency=RATE, use_energy=False, window_type="hanning",
                  num_mel_bins=BINS, dither=0.0, frame_length=25, frame_shift=10).T
        x = torch.nn.functional.pad(x, (0, max(FRAMES - x.shape[1], 0)))[:, :FRAMES]
        out.append(((x - MEAN) / STD)[None])
    return torch.stack(out)


# ---------------------------------------------------------------- the sounds
def length(r, rate, clips):
    """A length in samples at the file's rate: any, or near one where something changes."""
    edges = [0.025, 0.035, 0.1, 0.5, 1, 2, 2.01, 2.3, 4, 4 + 1 / 3, 6, 10, 10.01, 30, 60, SECONDS * clips,
             (400 + 160 * r.randrange(300)) / RATE]
    weights = [1] * 13 + [0.3, 0.1, 1, 2]
    seconds = r.choices(edges, weights)[0] if r.random() < 0.7 else 10 ** r.uniform(-1.6, 1.3)
    return max(int(seconds * rate) + r.choice([0, 0, -2, -1, 1, 2, r.randrange(-50, 50)]), -(-401 * rate // RATE))


def signal(r, rate, n):
    g = np.random.default_rng(r.randrange(1 << 32))
    t = np.arange(n) / rate
    kind = r.choice(["noise", "sine", "chirp", "bursts", "silence", "impulses", "dc", "square", "hum", "loud", "levels"])
    level = r.choice([1, 0.5, 0.1, 0.01, 1e-3, 1e-5])
    if kind == "noise":
        x = level * g.standard_normal(n)
    elif kind == "sine":
        x = level * np.sin(2 * np.pi * r.uniform(20, rate / 2) * t)
    elif kind == "chirp":
        x = level * np.sin(2 * np.pi * (50 * t + rate / 2.2 * t * t / (2 * max(t[-1], 1e-3))))
    elif kind == "bursts":
        x = g.standard_normal(n) * (np.sin(2 * np.pi * r.uniform(0.5, 5) * t) > 0) * level
    elif kind == "silence":
        x = np.zeros(n)
        x[n // 3 : n // 2] = level * g.standard_normal(n // 2 - n // 3)
    elif kind == "impulses":
        x = (g.random(n) < 1e-3) * level
    elif kind == "dc":
        x = r.uniform(-1, 1) + level * 0.1 * g.standard_normal(n)
    elif kind == "square":
        x = np.sign(np.sin(2 * np.pi * r.uniform(30, 3000) * t)) * min(level * 2, 1)
    elif kind == "hum":
        x = 0.5 * np.sin(2 * np.pi * 50 * t) + level * 0.1 * g.standard_normal(n)
    elif kind == "loud":
        x = 30 * g.standard_normal(n)
    else:
        x = np.exp(g.uniform(-14, 0)) * g.standard_normal(n) * np.exp(3 * np.sin(2 * np.pi * 0.3 * t))
    if r.random() < 0.5:
        x = np.round(x.clip(-1, 1) * 32767) / 32768
    return kind, x.astype(np.float32)


def case(seed, i):
    r = random.Random(f"{seed}/{i}")
    rate = r.choice(RATES) if r.random() < 0.8 else r.randrange(4000, 200000, r.choice([1, 25, 100]))
    clips, channels = r.choice([1, 2, 3, 3, 3, 4, 5, 7, 10]), r.choice([1, 1, 1, 2, 2, 2, 3, 6])
    n = length(r, rate, clips)
    kinds, wave = zip(*(signal(r, rate, n) for _ in range(channels)))
    return f"case {i}: {rate} Hz, {n} samples, {channels} channels ({kinds[0]}), {clips} clips", rate, clips, np.stack(wave)


# ---------------------------------------------------------------- the comparison
def spread(a, b):
    d = np.sort(np.abs(a.astype(np.float64) - b.astype(np.float64)).ravel())
    return d.mean(), d[int(0.999 * (len(d) - 1))], d[-1]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cases", type=int, default=100)
    p.add_argument("--seed", default="1")
    p.add_argument("--only", type=int, help="one case by its number")
    p.add_argument("--plain", action="store_true", help="build without SIMD")
    p.add_argument("--go", default="go", help="the go command")
    a = p.parse_args()
    torch.set_num_threads(1)
    worst, failed, skipped = {}, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "compare_mel")
        subprocess.run([a.go, "build", "-o", program, "./scripts/compare_mel"], cwd=ROOT, check=True,
                       env=dict(os.environ, GOEXPERIMENT="" if a.plain else "simd"))
        go = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for i in range(a.cases) if a.only is None else [a.only]:
            name, rate, clips, wave = case(a.seed, i)
            go.stdin.write(f"{rate} {wave.shape[0]} {wave.shape[1]} {clips}\n".encode() + wave.astype("<f4").tobytes())
            go.stdin.flush()
            head = [int(v) for v in go.stdout.readline().split()]
            read = lambda n: np.frombuffer(go.stdout.read(4 * n), "<f4")
            got16 = read(head[0])
            got = {m: read(clips * BINS * FRAMES).reshape(clips, 1, BINS, FRAMES) for m in ("imagebind", "clip")}

            want16 = torchaudio.functional.resample(torch.from_numpy(wave), rate, RATE)
            exact16 = torchaudio.functional.resample(torch.from_numpy(wave.astype(np.float64)), rate, RATE)
            problems = []
            if head[0] != want16.shape[1]:
                problems.append(f"{head[0]} samples at 16 kHz, torchaudio has {want16.shape[1]}")
            else:
                scale = max(1, float(np.abs(wave).max()))
                most = spread(got16, want16[0].numpy())[2] / scale
                worst["resample"] = max(worst.get("resample", 0), most)
                if most > 5e-6:
                    problems.append(f"resampled {most:.2g} off")
                ends = [(x, min(y, head[0])) for x, y in limits(head[0], clips)]
                if ends != list(zip(head[2::2], head[3::2])):
                    problems.append(f"clips {head[2:]}, want {ends}")
                for mode, mel in got.items():
                    want = transform(want16, clips, mode == "clip").numpy()
                    exact = transform(exact16, clips, mode == "clip").numpy()
                    mean, p999, most = spread(mel, want)
                    _, own999, own = spread(want, exact)
                    for k, v, bound in [("mean", mean, max(1e-4, spread(want, exact)[0] * 3)), ("p99.9", p999, max(1e-3, 3 * own999)), ("max", most, max(2e-3, 3 * own))]:
                        worst[k + " of bound"] = max(worst.get(k + " of bound", 0), v / bound)
                        worst[k] = max(worst.get(k, 0), v)
                        if not v <= bound:
                            problems.append(f"{mode}: {k} {v:.3g} off, bound {bound:.3g}")
            for problem in problems:
                print(f"{name}: {problem}", flush=True)
            failed += bool(problems)
        go.stdin.close()
        if go.wait() != 0:
            sys.exit("compare_mel failed")
    print(f"{a.cases} sounds, {failed} out of tolerance; worst:", ", ".join(f"{k} {v:.2g}" for k, v in worst.items()))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
