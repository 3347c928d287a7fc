#!/usr/bin/env python3
"""Times prep's kernels against their peers from PyPI and prints the ratios.

    pip install numpy scipy soxr instant-clip-tokenizer tokenizers torch torchaudio lhotse requests
    python scripts/bench.py            # about two minutes

What is not installed is left out and said so. Every work is done by prep and by its peers in turn, several
rounds, one thread each, and the least CPU time of each counts (CPU time of the whole process: garbage
collection, page faults and system calls included). Outputs are dropped at once on both sides. Builds: with
GOEXPERIMENT=simd, without, and with the build tag scalar, which has no vector kernels, as on processors of other
kinds; --build simd|plain|scalar for one. The inputs are made from a fixed seed: 10 s of
44.1 kHz stereo, 16 bits, and captions of 20 to 120 characters. Ratios of 0.8 to 1.25 are ties on a noisy
machine. docs/bench.md has what it printed, and what the works are.
"""
import argparse
import importlib
import json
import os
import pathlib
import platform
import random
import subprocess
import sys
import tempfile
import time
import warnings
import wave

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATE, TARGET = 44100, 16000


# ---------------------------------------------------------------- inputs
def write_inputs(folder):
    g = np.random.default_rng(1)
    x = 0.2 * g.standard_normal((10 * RATE, 2)) + 0.3 * np.sin(2 * np.pi * 440 * np.arange(10 * RATE) / RATE)[:, None]
    pcm = np.round(x.clip(-1, 1) * 32767).astype("<i2")
    with wave.open(f"{folder}/a.wav", "wb") as f:
        f.setnchannels(2), f.setsampwidth(2), f.setframerate(RATE)
        f.writeframes(pcm.tobytes())
    json.dump(captions(), open(f"{folder}/captions.json", "w"))
    return pcm


def captions():
    """Captions as people write them: common words, some names and numbers, a few typing errors."""
    r = random.Random(1)
    subjects = ["A man", "Two women", "a small dog", "an old tractor", "Children", "The crowd", "A grey heron", "somebody", "a Stratocaster", "MOTORCYCLES"]
    verbs = ["speaks over", "is standing next to", "barks at", "plays beside", "runs along", "hums behind", "looks at", "rattles past", "sings, accompanied by"]
    objects = ["rain falling on a tin roof", "a wooden table with 3 chairs", "the ocean waves", "distant thunder", "a busy street in Kyoto", "loud machinery", "wind and birdsong",
               "an unmowed meadow near Oberammergau", "the cafe's espresso machine", "a stop sign", "background music"]
    ends = ["", ".", " at night.", " while a phone rings", " (recorded indoors)", " - take 2!", " in the backgroud", ", then silence"]
    return [f"{r.choice(subjects)} {r.choice(verbs)} {r.choice(objects)}{r.choice(ends)}" for _ in range(500)]


# ---------------------------------------------------------------- peers
def optional(name):
    try:
        return importlib.import_module(name)
    except ImportError as e:
        print(f"left out: {name} ({e})")
        return None


def peers(folder, pcm):
    """{work: {peer: function}}; a function does the work once."""
    out = {"resample": {}, "log-mel": {}, "wav-to-mel": {}, "captions": {}, "decode": {}}
    path, texts = f"{folder}/a.wav", captions()
    mono = np.ascontiguousarray(pcm[:, 0] / np.float32(32768), dtype=np.float32)
    soxr, torch, scipy = optional("soxr"), optional("torch"), optional("scipy.io.wavfile")
    at16 = mono[: 10 * TARGET]
    if scipy:
        out["decode"]["scipy"] = lambda: scipy.read(path)[1].astype(np.float32) / np.float32(32768)
    if soxr:
        out["resample"]["soxr HQ"] = lambda: soxr.resample(mono, RATE, TARGET, "HQ")
    if torch:
        torch.set_num_threads(1)
        torch.version.cuda = None  # only the CPU is used: builds for two versions of CUDA may meet here
        torchaudio = optional("torchaudio")
        warnings.filterwarnings("ignore")
        if torchaudio:
            import torchaudio.compliance.kaldi as kaldi
            row, x = torch.from_numpy(mono)[None], torch.from_numpy(np.ascontiguousarray(at16))[None]
            options = dict(htk_compat=True, sample_frequency=TARGET, use_energy=False, window_type="hanning", num_mel_bins=128, dither=0.0, frame_shift=10)
            out["resample"]["torchaudio"] = lambda: torchaudio.functional.resample(row, RATE, TARGET)
            out["log-mel"]["torchaudio kaldi.fbank"] = lambda: kaldi.fbank(x, **options)
            spectrogram = torchaudio.transforms.MelSpectrogram(TARGET, 512, 400, 160, f_min=20, n_mels=128)
            out["log-mel"]["torchaudio MelSpectrogram, log"] = lambda: torch.log(spectrogram(x) + 1e-7)
            if scipy and soxr:
                def whole():
                    y = scipy.read(path)[1][:, 0].astype(np.float32) / np.float32(32768)
                    y = torch.from_numpy(soxr.resample(y, RATE, TARGET, "HQ"))[None]
                    clips = []
                    for start in (0, 64000, 128000):
                        clip = y[:, start : start + 32000]
                        z = kaldi.fbank(clip - clip.mean(), **options).T
                        z = torch.nn.functional.pad(z, (0, 204 - z.shape[1]))
                        clips.append((z[None] + 4.268) / 9.138)
                    return torch.stack(clips)
                out["wav-to-mel"]["scipy + soxr + kaldi.fbank"] = whole
        layers = optional("lhotse.features.kaldi.layers")
        if layers:
            bank = layers.Wav2LogFilterBank(sampling_rate=TARGET, num_filters=128, dither=0.0)

            def lhotse():
                with torch.inference_mode():
                    return bank(x)
            out["log-mel"]["lhotse"] = lhotse
    instant = optional("instant_clip_tokenizer")
    if instant:
        tokenizer = instant.Tokenizer()
        out["captions"]["instant-clip-tokenizer"] = lambda: tokenizer.tokenize_batch(texts, context_length=77)
    if optional("open_clip"):
        import open_clip.tokenizer
        simple = open_clip.tokenizer.SimpleTokenizer()
        out["captions"]["open_clip"] = lambda: simple(texts)
    return out, texts


# ---------------------------------------------------------------- timing
def least(f, readings=40, at_least=2_000_000):
    """CPU time of one in nanoseconds: the least of some readings, each of 2 ms or more."""
    n, best = 1, float("inf")
    while readings:
        t = time.process_time_ns()
        for _ in range(n):
            f()
        t = time.process_time_ns() - t
        if t < at_least:
            n = max(n + 1, int(1.5 * n * at_least / max(t, 1000)))
            continue
        best, readings = min(best, t / n), readings - 1
    return best


class Prep:
    def __init__(self, folder, build):
        program = f"{folder}/bench-{build}"
        tags = ["-tags", "scalar"] if build == "scalar" else []
        subprocess.run(["go", "build", *tags, "-o", program, "./scripts/bench"], cwd=ROOT, check=True,
                       env=dict(os.environ, GOEXPERIMENT="simd" if build == "simd" else ""))
        self.process = subprocess.Popen([program, f"{folder}/a.wav", f"{folder}/captions.json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = f"prep ({self.process.stdout.readline().strip()})"

    def least(self, work):
        self.process.stdin.write(work + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer or answer.startswith("error"):
            sys.exit(f"{self.name}: {work}: {answer}")
        return float(answer)


def start(folder, rounds):
    """Wall and CPU seconds of a process that makes its first item (sound and caption), of the least of some starts."""
    os.makedirs(f"{folder}/one", exist_ok=True)
    os.link(f"{folder}/a.wav", f"{folder}/one/a.wav")
    pathlib.Path(f"{folder}/one/a.txt").write_text("rain falls on a tin roof\n")
    subprocess.run(["go", "build", "-o", f"{folder}/prep", "."], cwd=ROOT, check=True, env=dict(os.environ, GOEXPERIMENT="simd"))
    works = {"prep ingest, one sample, committed": [f"{folder}/prep", "ingest", f"{folder}/one", "--out", f"{folder}/one.out", "--json"]}
    imports = "numpy, scipy.io.wavfile, soxr, ftfy, regex"
    works["python, importing " + imports] = [sys.executable, "-c", "import " + imports]
    works["python, importing torch, torchaudio"] = [sys.executable, "-c", "import torch; torch.version.cuda = None; import torchaudio"]
    for name, command in works.items():
        wall, cpu = [], []
        for _ in range(rounds):
            subprocess.run(["rm", "-rf", f"{folder}/one.out"])
            t, c = time.perf_counter(), os.times()
            done = subprocess.run(command, capture_output=True)
            d = os.times()
            wall.append(time.perf_counter() - t)
            cpu.append(d.children_user + d.children_system - c.children_user - c.children_system)
            if done.returncode:
                break
        if done.returncode:
            print(f"| start | {name} | left out: {done.stderr.decode().strip().splitlines()[-1][:80]} | | |")
        else:
            print(f"| start | {name} | {1000 * min(cpu):.0f} ms CPU, {1000 * min(wall):.0f} ms wall | | |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--build", choices=["all", "simd", "plain", "scalar"], default="all")
    p.add_argument("--only", help="one work")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pcm = write_inputs(folder)
        works, texts = peers(folder, pcm)
        builds = [Prep(folder, b) for b in ("simd", "plain", "scalar") if a.build in (b, "all")]
        model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "") if os.path.exists("/proc/cpuinfo") else ""
        print(f"\n{platform.machine()} {model}, Python {platform.python_version()}, " + ", ".join(
            f"{n} {sys.modules[n].__version__}" for n in ("numpy", "soxr", "torch", "torchaudio", "lhotse") if hasattr(sys.modules.get(n), "__version__")))
        print("\n| work | who | CPU time | of the fastest peer | of this peer's |\n|---|---|---|---|---|")
        for work, theirs in works.items():
            if a.only not in (None, work):
                continue
            best = {}
            for _ in range(a.rounds):
                for b in builds:
                    best[b.name] = min(best.get(b.name, float("inf")), b.least(work))
                for name, f in theirs.items():
                    best[name] = min(best.get(name, float("inf")), least(f))
            each = len(texts) if work == "captions" else 1
            fastest = min((best[n] for n in theirs), default=None)
            for name, ns in best.items():
                ours = name.startswith("prep")
                ratio = f"{ns / fastest:.2f}" if ours and fastest else ""
                of = f"prep is {best[builds[0].name] / ns:.2f}" if not ours else ""
                t = f"{ns / each / 1000:.2f} µs a caption" if each > 1 else f"{ns / 1e6:.2f} ms"
                print(f"| {work} | {name} | {t} | {ratio} | {of} |", flush=True)
        if a.only in (None, "start"):
            start(folder, a.rounds)


if __name__ == "__main__":
    main()
