#!/usr/bin/env python3
"""Makes the part of the training clips that has the contents and noises of the design's evaluation set.

    design.py PACKAGES OUT [--held] [--clips N]

PACKAGES is what fetch.sh leaves; voices come from espeak-ng 1.51, which must be installed. OUT/design gets
clips.s16 and clips.csv as mixtures.py writes them. The contents, noises and rules are those of the design's
data-set maker; only files of its development half are used (lowest bit of the first byte of SHA-256("snr:" + name)
is 1), so that its held-out half stays unheard, and each mix's SNR is moved by up to 2 dB and its length drawn. --held makes
OUT/held of the files of the held-out half instead, to judge by.
"""
import argparse, csv, glob, hashlib, io, os, subprocess, tempfile, zlib
import numpy as np, soundfile as sf
from scipy.signal import resample_poly, lfilter, butter, sosfilt
from math import gcd
from mixtures import active_db

FS = 16000
GRID = [-5, 0, 5, 8, 10, 12, 15, 20, 30]
NOISES = ["white", "pink", "brown", "hum", "fan", "wind", "babble", "ambience", "crackle"]
CONTENTS = ["speech", "speech8k", "synth", "music", "perc", "loop", "animal", "tone"]
VARIANTS = ["plain", "plain", "plain", "plain", "quiet", "mp3", "opus", "low8k", "dc", "pad"]


def crc(s):
    return zlib.crc32(s.encode())


def rng_for(*key):
    return np.random.Generator(np.random.PCG64(crc("|".join(map(str, key)))))


def split_of(name):
    return "dev" if hashlib.sha256(("snr:" + name).encode()).digest()[0] & 1 else "unused"


# ---------------------------------------------------------------- content
def to16k(x, sr):
    if x.ndim == 2:
        x = x.mean(1)
    if sr != FS:
        g = gcd(sr, FS)
        x = resample_poly(x, FS // g, sr // g)
    return np.asarray(x, float)


VOICES = ["en-us", "en-gb", "de", "fr", "es", "it", "pt", "ru", "en-us+f3", "en-gb+f2", "de+m3", "fr+f4", "es+m2", "pl", "nl", "sv"]
LINES = ["the birch canoe slid on the smooth planks, glue the sheet to the dark blue background",
         "it is easy to tell the depth of a well; these days a chicken leg is a rare dish",
         "rice is often served in round bowls. the juice of lemons makes fine punch",
         "four hours of steady work faced us. a large size in stockings is hard to sell"]


def espeak(voice, line):
    with tempfile.TemporaryDirectory() as d:
        p = os.path.join(d, "x.wav")
        subprocess.run(["espeak-ng", "-v", voice, "-s", "160", "-w", p, line], check=True)
        x, sr = sf.read(p)
    return to16k(x, sr)


def tone_clip(name, n):
    """name = tone_<kind>_<k>: clean synthetic tonal content, no randomness but the name's."""
    kind = name.split("_")[1]
    r = rng_for("tone", name)
    t = np.arange(n) / FS
    f = float(110 * 2 ** (r.integers(0, 36) / 12))
    if kind == "sine":
        return 0.3 * np.sin(2 * np.pi * f * 2 * t)
    if kind == "chord":
        return sum(0.1 * np.sin(2 * np.pi * f * m * t + r.uniform(0, 6)) for m in (1, 1.2599, 1.4983, 2))
    if kind == "saw":
        return sum(0.15 / k * np.sin(2 * np.pi * f * k * t) for k in range(1, int(7500 / f)))
    if kind == "organ":
        d = 0.5 + r.uniform(0, 0.5)
        y = np.zeros(n)
        for i in range(int(n / FS / d) + 1):
            root = 130.8 * 2 ** (r.integers(0, 12) / 12)
            a, b = int(i * d * FS), min(n, int((i + 1) * d * FS))
            tt = np.arange(b - a) / FS
            w = np.minimum(1, np.minimum(tt, tt[::-1]) / 0.02)
            for m in (1, 1.2599, 1.4983):
                for h in (1, 2, 3, 4):
                    y[a:b] += 0.06 / h * w * np.sin(2 * np.pi * root * m * h * tt)
        return y
    if kind == "vibrato":
        ph = 2 * np.pi * f * t + 4 * np.sin(2 * np.pi * 5.5 * t)
        return sum(0.15 / k * np.sin(k * ph) for k in range(1, 9))
    if kind == "sweep":
        lo, hi = 200, 3000
        ph = 2 * np.pi * (lo * t + (hi - lo) * t * t / (2 * n / FS))
        return 0.3 * np.sin(ph)
    if kind == "pluck":
        y = np.zeros(n)
        p = int(0.3 * FS)
        for i in range(0, n, p):
            tt = np.arange(min(p * 3, n - i)) / FS
            ff = 220 * 2 ** (r.integers(0, 24) / 12)
            y[i:i + len(tt)] += sum(0.2 / k * np.exp(-4 * k * tt) * np.sin(2 * np.pi * ff * k * tt) for k in range(1, 6))
        return y
    raise KeyError(kind)


TONES = [f"tone_{k}_{i}" for k in ("sine", "chord", "saw", "organ", "vibrato", "sweep", "pluck") for i in range(4)]
NOISELIKE_SONIC = ("ambi_sauna", "loop_3d_printer", "vinyl_hiss", "drum_roll", "vinyl_rewind")
AMBIENCE = ("ambi_dark_woosh", "ambi_drone", "ambi_haunted_hum", "ambi_lunar_land", "ambi_soft_buzz",
            "ambi_swoosh", "ambi_sauna", "vinyl_hiss", "loop_3d_printer", "loop_drone_g_97")
NOISELIKE_SYN = [f"syn_{k}_{i}" for k in ("rain", "applause", "white", "pink", "surf", "stream") for i in range(4)]


def sources(packages):
    """class -> list of (name, loader); loader() gives 16 kHz mono float."""
    sonic, pocket = f"{packages}/sonic-pi-samples/usr/share/sonic-pi/samples", f"{packages}/pocketsphinx-testdata/usr/share/pocketsphinx/test/data"
    stamps, aster = f"{packages}/tuxpaint-stamps-default/usr/share/tuxpaint/stamps", f"{packages}/asterisk-core-sounds-en-wav/usr/share/asterisk/sounds/en_US_f_Allison"
    def fl(p):
        return lambda: to16k(*sf.read(p))

    def raw(p):
        return lambda: np.fromfile(p, "<i2") / 32768.0
    s = {c: [] for c in CONTENTS + ["noiselike", "ambience"]}
    for p in sorted(glob.glob(f"{pocket}/librivox/*.wav") + glob.glob(f"{pocket}/cards/*.wav")):
        s["speech"].append((os.path.basename(p), fl(p)))
    for b in ("goforward", "numbers", "something"):
        s["speech"].append((b + ".raw", raw(f"{pocket}/{b}.raw")))
    for p in sorted(glob.glob(f"{aster}/*.wav")):
        if os.path.getsize(p) > 16000 * 3:
            s["speech8k"].append((os.path.basename(p), fl(p)))
    for v in VOICES:
        for i, l in enumerate(LINES):
            s["synth"].append((f"espeak_{v}_{i}", (lambda v=v, l=l: espeak(v, l))))
    for p in sorted(glob.glob(f"{sonic}/*.flac")):
        b = os.path.basename(p)[:-5]
        if b in AMBIENCE:
            s["ambience"].append((b, fl(p)))
            if b in NOISELIKE_SONIC:
                s["noiselike"].append((b, fl(p)))
            continue
        if b in NOISELIKE_SONIC:
            c = "noiselike"
        elif b.startswith(("bass_", "ambi_", "guit_", "perc_bell")) or b in ("elec_bell", "elec_chime", "elec_ping", "elec_triangle", "elec_beep", "elec_twang"):
            c = "music"
        elif b.startswith(("loop_", "mehackit_", "glitch_")):
            c = "loop"
        elif b.startswith("vinyl_"):
            continue
        elif b in ("misc_crow", "misc_burp"):
            c = "animal"
        else:
            c = "perc"
        s[c].append((b, fl(p)))
    for b in ("hobbies/musical_instruments", "hobbies"):
        for p in sorted(glob.glob(f"{stamps}/{b}/**/*.ogg", recursive=True)):
            if os.path.basename(p) in ("cello.ogg", "violin.ogg", "bassoon.ogg") and not any(os.path.basename(p) == n for n, _ in s["music"]):
                s["music"].append((os.path.basename(p), fl(p)))
    lang = set("be bg ca cs da de el en_GB en es fr gl he hu it ja ko lt nb nl nn pl pt pt_BR ro ru sk sl sr sv ta te th tr vi zh_cn zh_tw zu xh af ga is fi uk es_MX".split())
    for p in sorted(glob.glob(f"{stamps}/animals/**/*.ogg", recursive=True)):
        b = os.path.basename(p)[:-4]
        if "desc" in b or any(b.endswith("_" + l) for l in lang):
            continue
        s["animal"].append((b + ".ogg", fl(p)))
    for t in TONES:
        s["tone"].append((t, None))
    for t in NOISELIKE_SYN:
        s["noiselike"].append((t, None))
    return s


def frame_db(x, h=320):
    n = len(x) // h
    return 10 * np.log10((x[:n * h].reshape(n, h) ** 2).mean(1) + 1e-12)


def certified(x):
    """field recordings pass only with their own 5th percentile 20 ms frame >= 20 dB under the active level."""
    if len(x) < FS // 4:
        return False
    p = frame_db(x)
    m = p.max()
    if m < -50:
        return False
    act = 10 * np.log10(np.mean(10 ** (p[p > m - 20] / 10)))
    return np.percentile(p, 5) - act <= -20


def lay(x, n, r, c):
    """a clip of n samples from a shorter or longer recording: random crop, or repeats with gaps."""
    if len(x) >= n:
        p = frame_db(x, 1600)
        best = int(np.argmax(p)) * 1600
        lo = max(0, min(best - n // 2 + int(r.integers(-n // 4, n // 4 + 1)), len(x) - n))
        return x[lo:lo + n].copy()
    y = np.zeros(n)
    i = int(r.uniform(0, 0.3) * FS) if len(x) < n // 2 else 0
    gaps = (0.0, 0.02) if c == "loop" else (0.05, 0.4) if c in ("speech", "speech8k", "synth", "perc", "music") else (0.1, 1.2)
    f = min(len(x) // 4, 160)
    w = np.ones(len(x)); w[-f:] = np.linspace(1, 0, f)
    while i < n:
        m = min(len(x), n - i)
        y[i:i + m] += (x * w)[:m]
        i += len(x) + int(r.uniform(*gaps) * FS)
    return y


# ---------------------------------------------------------------- noise
def shaped(r, n, expo, corner=20.0):
    f = np.fft.rfftfreq(n, 1 / FS)
    a = np.maximum(f, corner) ** (-expo / 2)
    a[0] = 0
    return np.fft.irfft(a * np.fft.rfft(r.standard_normal(n)), n)


def slow(r, n, rate, depth_db):
    """a smooth random gain, in amplitude, with standard deviation depth_db."""
    k = max(4, int(n / FS * rate) + 4)
    g = np.interp(np.arange(n), np.linspace(0, n, k), r.standard_normal(k))
    return 10 ** (depth_db * g / 20)


def noise(kind, r, n, split, src):
    if kind == "white":
        return r.standard_normal(n)
    if kind == "pink":
        return shaped(r, n, 1)
    if kind == "brown":
        return shaped(r, n, 2)
    if kind == "hum":
        f0 = (50, 60)[r.integers(0, 2)] * (1 + r.uniform(-4e-4, 4e-4))
        t = np.arange(n) / FS
        y = sum(r.uniform(0.2, 1) / k ** r.uniform(0.5, 1.2) * np.sin(2 * np.pi * f0 * k * t + r.uniform(0, 6)) for k in range(1, 13))
        return y / y.std() + 0.01 * r.standard_normal(n)
    if kind == "fan":
        y = shaped(r, n, r.uniform(0.8, 1.6), 60)
        for _ in range(3):
            f = r.uniform(150, 3000)
            s = butter(1, [f * 0.9 / (FS / 2), f * 1.1 / (FS / 2)], "band", output="sos")
            z = sosfilt(s, r.standard_normal(n))
            y = y / y.std() + r.uniform(0.2, 0.6) * z / z.std()
        return y * slow(r, n, 1.0, 1.0)
    if kind == "wind":
        y = shaped(r, n, 2.2, 60)
        return y * slow(r, n, 1.5, 4.0)
    if kind == "babble":
        pool = [x for c in ("speech", "synth", "speech8k") for x in src[c] if split_of(x[0]) == split]
        y = np.zeros(n)
        for _ in range(8):
            nm, _l = pool[r.integers(0, len(pool))]
            z = cached(nm, _l)
            z = np.tile(z, n // len(z) + 2)
            o = int(r.integers(0, len(z) - n))
            y += z[o:o + n] / (z.std() + 1e-9)
        return y
    if kind == "ambience":
        pool = [x for x in src["ambience"] if split_of(x[0]) == split]
        nm, _l = pool[r.integers(0, len(pool))]
        z = cached(nm, _l)
        z = np.concatenate([z, z[::-1]])
        z = np.tile(z, n // len(z) + 2)
        o = int(r.integers(0, len(z) - n))
        return z[o:o + n]
    if kind == "crackle":
        y = 0.02 * r.standard_normal(n)
        k = int(n / FS * r.uniform(15, 60))
        imp = np.zeros(n)
        imp[r.integers(0, n, k)] = r.standard_normal(k) * np.exp(r.standard_normal(k) * 0.7)
        s = butter(1, [400 / (FS / 2), 6000 / (FS / 2)], "band", output="sos")
        z = sosfilt(s, imp)
        return z / z.std() + y
    raise KeyError(kind)


def noiselike_clip(name, n):
    kind = name.split("_")[1]
    r = rng_for("nl", name, n)
    if kind == "white":
        return r.standard_normal(n)
    if kind == "pink":
        return shaped(r, n, 1)
    if kind == "stream":
        return shaped(r, n, 0.7, 300) * slow(r, n, 6, 1.5)
    if kind == "surf":
        return shaped(r, n, 1.2, 100) * slow(r, n, 0.4, 5)
    dens = {"rain": 600, "applause": 150}[kind] * r.uniform(0.7, 1.4)
    imp = np.zeros(n)
    k = int(n / FS * dens)
    np.add.at(imp, r.integers(0, n, k), r.standard_normal(k) * np.exp(0.5 * r.standard_normal(k)))
    tau = 0.001 if kind == "rain" else 0.012
    m = int(8 * tau * FS)
    h = np.exp(-np.arange(m) / (tau * FS)) * r.standard_normal(m)
    y = np.convolve(imp, h)[:n]
    return y / y.std() + 0.15 * shaped(r, n, 1) / shaped(r, n, 1).std()


# ---------------------------------------------------------------- clips
_cache = {}


def cached(name, load):
    if name not in _cache:
        _cache[name] = load()
    return _cache[name]


def codec(x, kind):
    form, sub = ("MP3", "MPEG_LAYER_III") if kind == "mp3" else ("OGG", "OPUS")
    b = io.BytesIO()
    with sf.SoundFile(b, "w", FS, 1, format=form, subtype=sub, compression_level=0.7) as f:
        for i in range(0, len(x), 4096):
            f.write(np.clip(x[i:i + 4096], -1, 1))
    b.seek(0)
    y, sr = sf.read(b)
    if sr != FS:
        y = to16k(y, sr)
    return y[:len(x)] if len(y) >= len(x) else np.pad(y, (0, len(x) - len(y)))


def finish(s, v, r, variant, level):
    """s clean, v noise (or None): sets the level, applies the variant, gives int16."""
    x = s if v is None else s + v
    x = x - x.mean()
    pk = np.abs(x).max()
    x = x * (level / pk)
    if variant == "quiet":
        x = x * 10 ** (-50 / 20) / np.sqrt(np.mean(x ** 2))
    if variant in ("mp3", "opus"):
        x = codec(x, variant)
    if variant == "low8k":
        x = resample_poly(resample_poly(x, 1, 2), 2, 1)
    if variant == "dc":
        x = x * 0.8 + 0.08
    if variant == "pad":
        h = len(x) // 2
        x = np.concatenate([np.zeros(h), x[:len(x) - h]]) if r.integers(0, 2) else np.concatenate([x[:len(x) - h], np.zeros(h)])
    return np.clip(np.round(x * 32767), -32768, 32767).astype(np.int16)


def specs(split, src):
    """the list of clips of a split, in a fixed order."""
    out, turn = [], {}
    pools = {c: [x for x in src[c] if split_of(x[0]) == split] for c in CONTENTS + ["noiselike"]}
    pools["animal"] = [x for x in pools["animal"] if certified(cached(*x))]
    for dur in (2, 10):
        for c in CONTENTS:
            order = list(rng_for("order", split, c).permutation(len(pools[c])))
            for k in NOISES:
                for g in GRID:
                    i = turn.get(c, 0); turn[c] = i + 1
                    nm, load = pools[c][order[i % len(order)]]
                    r = rng_for("variant", split, dur, c, k, g)
                    out.append(dict(kind="mix", content=c, content_file=nm, load=load, noise=k, snr=g, dur=dur, variant=VARIANTS[r.integers(0, len(VARIANTS))]))
        for c in CONTENTS + ["noiselike"]:
            for i, (nm, load) in enumerate(pools[c]):
                if i >= 40:
                    break
                r = rng_for("cleanvariant", split, dur, nm)
                vs = ["plain", ["quiet", "mp3", "opus", "low8k", "dc", "pad"][r.integers(0, 6)]]
                for vv in vs:
                    out.append(dict(kind="clean" if c != "noiselike" else "noiselike", content=c, content_file=nm, load=load, noise="none", snr=None, dur=dur, variant=vv))
    for i, o in enumerate(out):
        o["id"] = f"{split[0]}{i:05d}"
    return out


def render(o, split, src):
    n = o["dur"] * FS
    r = rng_for("clip", split, o["id"])
    nm = o["content_file"]
    if nm.startswith("tone_"):
        s = tone_clip(nm, n)
    elif nm.startswith("syn_"):
        s = noiselike_clip(nm, n)
    else:
        s = lay(cached(nm, o["load"]), n, r, o["content"])
    s = s - s.mean()
    if o["variant"] == "pad":
        pass
    level = r.uniform(0.2, 0.95)
    if o["kind"] != "mix":
        return finish(s, None, r, o["variant"], level), None
    # with padding only half the clip is kept, so the truth is of what stays
    keep = n - n // 2 if o["variant"] == "pad" else n
    s2 = s[:keep] - s[:keep].mean()
    if np.mean(s2 ** 2) < 1e-9:
        s = np.roll(s, -int(np.argmax(np.abs(s))) + keep // 4); s2 = s[:keep] - s[:keep].mean()
    v = noise(o["noise"], r, n, split, src)
    v = v - v.mean()
    v = v / np.sqrt(np.mean(v[:keep] ** 2))
    al = active_db(s2)
    v = v * 10 ** ((al - o["snr"]) / 20)
    return finish(s, v, r, o["variant"], level), float(o["snr"])


# Names that a split keeps apart, as mixtures.py gives them: the package of the content, the family of the noise.
PACKAGES = {"speech": "pocketsphinx-testdata", "speech8k": "asterisk-core-sounds-en-wav", "synth": "espeak-ng", "music": "sonic-pi-samples", "perc": "sonic-pi-samples",
            "loop": "sonic-pi-samples", "animal": "tuxpaint-stamps-default", "tone": "tone_design"}
FAMILIES = {"white": "syn0", "pink": "syn0", "brown": "syn0", "hum": "syn1", "fan": "syn1", "wind": "syn4", "babble": "syn5", "crackle": "syn3", "ambience": "sonic-pi-samples",
            "rain": "syn2", "applause": "syn2", "surf": "syn2", "stream": "syn2"}


def family(o):
    """of a clip's noise, which may be all of it."""
    if o["kind"] == "clean":
        return "none"
    if o["kind"] == "mix":
        return FAMILIES[o["noise"]]
    parts = o["content_file"].split("_")
    return FAMILIES[parts[1]] if parts[0] == "syn" else "sonic-pi-samples"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("packages"), ap.add_argument("out"), ap.add_argument("--held", action="store_true"), ap.add_argument("--clips", type=int)
    a = ap.parse_args()
    split, part = ("unused", "held") if a.held else ("dev", "design")
    out = f"{a.out}/{part}"
    os.makedirs(out, exist_ok=True)
    src = sources(a.packages)
    all_ = specs(split, src)
    r0 = np.random.default_rng(7)
    at = crc = 0
    order = r0.permutation(len(all_))
    with open(f"{out}/clips.s16", "wb") as raw, open(f"{out}/clips.csv", "w", newline="") as f:
        w = csv.DictWriter(f, "at n kind package cls noise family snr variant".split())
        w.writeheader()
        for i in order[:a.clips]:
            o = dict(all_[i])
            if o["snr"] is not None:
                o["snr"] = float(np.clip(o["snr"] + r0.uniform(-2, 2), -8, 32))
            o["dur"] = int(r0.choice([2, 3, 5, 10]))
            o["id"] += "x"
            x, snr = render(o, split, src)
            alone = o["kind"] == "noiselike"
            w.writerow(dict(at=at, n=len(x), kind="noise" if alone else o["kind"], package="none" if alone else PACKAGES[o["content"]], cls="none" if alone else o["content"],
                            noise=o["content_file"] if alone else o["noise"], family=family(o), snr="" if snr is None else snr, variant=o["variant"]))
            raw.write(x.tobytes())
            crc, at = zlib.crc32(x.tobytes(), crc), at + len(x)
    print(f"{part}: {len(order[:a.clips])} clips, {at / FS / 3600:.2f} hours, crc32 of all samples {crc:08x}", flush=True)


if __name__ == "__main__":
    main()
