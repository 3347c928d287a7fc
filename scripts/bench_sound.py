#!/usr/bin/env python3
"""Compare the decoding of sound with what Python users have, in one run, by processor time.

    python3 -m venv venv && venv/bin/pip install numpy scipy soundfile
    venv/bin/python scripts/bench_sound.py            # needs Go, and ffmpeg to make the compressed files

Ten seconds of 44.1 kHz stereo, the file in the page cache, to float32 in memory, on this process's own
processor time (all threads). Peers and prep take turns; a figure is the least of their batches, for a machine
that others use too moves that least. Nothing is kept alive between two decodings. prep's side is
BenchmarkSoundFiles of internal/media, in Go and with the library that the machine has for a format: its time includes opening the file, telling its format, checking a WAV
file's sizes, FLAC's CRC-8, CRC-16 and MD5.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import soundfile
from scipy.io import wavfile

KINDS = ("wav", "flac", "mp3", "ogg", "opus")
ROUNDS, BATCH = 5, 20
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def music(rate=44100, seconds=10):
    """A sound that compresses like music: partials that come and go over pink noise, two channels alike."""
    rng = np.random.default_rng(1)
    n = rate * seconds
    t = np.arange(n) / rate
    spectrum = np.fft.rfft(rng.standard_normal((2, n)))
    spectrum[:, 1:] /= np.sqrt(np.arange(1, spectrum.shape[1]))
    noise = np.fft.irfft(spectrum, n)
    noise *= 0.02 / noise.std()
    tone = np.zeros(n)
    for start in np.arange(0, seconds, 0.25):
        f = 110 * 2 ** (rng.integers(0, 36) / 12)
        u = np.maximum(t - start, 0)
        for k in range(1, 9):
            tone += np.sin(2 * np.pi * f * k * u) * np.exp(-3 * u) * (t >= start) * 0.15 / k
    x = np.stack([tone + noise[0], 0.8 * tone + noise[1]], axis=1)
    return np.clip(np.round(x / np.abs(x).max() * 30000), -32768, 32767).astype(np.int16)


def batch(f):
    began = time.process_time_ns()
    for _ in range(BATCH):
        f()
    return (time.process_time_ns() - began) / BATCH / 1e6


def scipy_wav(path):
    rate, x = wavfile.read(path)
    return x.astype(np.float32) * np.float32(1 / 32768)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simd", action="store_true", help="build prep's side with GOEXPERIMENT=simd")
    parser.add_argument("--scalar", action="store_true", help="build it without vector kernels, as for processors of other kinds")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="these kinds of files")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        path = {k: os.path.join(work, "music." + k) for k in KINDS}
        x = music()
        wavfile.write(path["wav"], 44100, x)
        soundfile.write(path["flac"], x, 44100, subtype="PCM_16")
        if shutil.which("ffmpeg"):
            for kind, codec in (("mp3", ["-b:a", "128k"]), ("ogg", ["-c:a", "libvorbis", "-b:a", "128k"]),
                                ("opus", ["-c:a", "libopus", "-b:a", "96k"])):
                subprocess.run(["ffmpeg", "-v", "error", "-i", path["wav"], *codec, path[kind]], check=True)
        else:
            print("no ffmpeg: WAV and FLAC only", file=sys.stderr)
        path = {k: p for k, p in path.items() if k in args.only and os.path.exists(p)}
        peers = {("wav", "scipy, as float32"): scipy_wav} if "wav" in path else {}
        for kind in path:
            peers[kind, "soundfile"] = lambda p: soundfile.read(p, dtype="float32")
        for (kind, name), f in list(peers.items()):
            try:
                f(path[kind])
            except Exception as e:  # an old libsndfile knows no MP3
                print(f"{name} cannot read {kind}: {e}", file=sys.stderr)
                del peers[kind, name]

        binary = os.path.join(work, "media.test")
        env = dict(os.environ, PREP_BENCH_SOUND=os.pathsep.join(path.values()))
        if args.simd:
            env["GOEXPERIMENT"] = "simd"
        tags = ["-tags", "scalar"] if args.scalar else []
        subprocess.run(["go", "test", "-c", *tags, "-o", binary, "./internal/media"], cwd=HERE, env=env, check=True)

        best = {}
        for _ in range(ROUNDS):
            for (kind, name), f in peers.items():
                took = batch(lambda: f(path[kind]))
                best[kind, name] = min(took, best.get((kind, name), took))
            out = subprocess.run([binary, "-test.run=^$", "-test.bench=SoundFiles", f"-test.benchtime={4 * BATCH}x"],
                                 cwd=os.path.join(HERE, "internal", "media"), env=env, check=True, capture_output=True, text=True).stdout
            for by, kind, took in re.findall(r"SoundFiles/(go|library)/music\.(\w+?)(?:-\d+)?\s.*?([\d.]+) min-cpu-ms/op", out):
                best[kind, by] = min(float(took), best.get((kind, by), float(took)))

        print(f"soundfile {soundfile.__version__} with {soundfile.__libsndfile_version__}, numpy {np.__version__}, "
              + subprocess.run(["go", "version"], capture_output=True, text=True).stdout.strip())
        print("| file | peer | peer, ms | prep in Go, ms | ratio | prep with a library, ms | ratio |\n" + "|---" * 7 + "|")
        for (kind, name), took in best.items():
            if name not in ("go", "library"):
                ours, library = best[kind, "go"], best.get((kind, "library"))
                print(f"| {kind} | {name} | {took:.2f} | {ours:.2f} | {ours / took:.2f} | "
                      + (f"{library:.2f} | {library / took:.2f} |" if library else "| |"))


if __name__ == "__main__":
    main()
