#!/usr/bin/env python3
"""Makes the mixtures that the noise estimator is trained and judged on (docs/metrics.md).

    mixtures.py PACKAGES OUT [--only PART] [--clips N]

PACKAGES is a folder with one folder for each Debian package, holding its sound files; see fetch.sh. OUT gets
a folder for each part, first to fourth to train on, test to judge by, with clips.s16 (16 kHz, mono, 16 bit,
one clip after the other) and clips.csv (place, length and truth of each). Truth: active level of the clean
part (ITU-T P.56's 15.9 dB over frames of 10 ms) minus the mean level of the noise, before coding. A clip's
content package and noise family are named, so that a split can keep both apart. The test has packages, kinds
of generated noise and sorts of tones that training has not. Each clip has its own seed: --clips N gives the
first N of each part. Needs numpy, scipy and soundfile.
"""
import argparse, csv, glob, hashlib, io, os, re, zlib
from math import gcd
import numpy as np, soundfile as sf
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

FS = 16000
SOUND = (".ogg", ".oga", ".wav", ".flac", ".mp3", ".opus", ".au", ".aiff", ".raw")
# Content by package: the class, and a pattern of the paths that belong to it.
CONTENT = [
    ("speech", "asterisk-core-sounds-en-wav", r""), ("speech", "asterisk-core-sounds-es-wav", r""),
    ("speech", "asterisk-core-sounds-fr-wav", r""), ("speech", "asterisk-core-sounds-ru-wav", r""),
    ("speech", "fillets-ng-data", r"/en/|/cs/|/nl/|/de/"), ("speech", "klettres-data", r""),
    ("speech", "ktuberling-data", r""), ("speech", "pocketsphinx-testdata", r"librivox|cards|\.raw"),
    ("speech", "tuxpaint-stamps-default", r"desc"),
    ("music", "supertux-data", r"/music/"), ("music", "colobot-common-sounds", r"/music/"),
    ("music", "searchandrescue-data", r"/music/"), ("music", "unknown-horizons", r"/music/"),
    ("music", "asterisk-moh-opsound-wav", r""), ("music", "singularity-music", r""),
    ("music", "hedgewars-data", r"/[Mm]usic/"), ("music", "lordsawar-data", r"/music/"),
    ("music", "openclonk-data", r"[Mm]usic"), ("music", "ardentryst", r"[Mm]usic"),
    ("music", "pekka-kana-2-data", r"[Mm]usic"), ("music", "megaglest-data", r"/music/"),
    ("music", "bzflag-data", r"music"), ("music", "lincity-ng-data", r"music"),
    ("music", "extremetuxracer-data", r"music"),
    ("fx", "supertux-data", r"/sounds/"), ("fx", "wesnoth-1.16-data", r"/sounds/"),
    ("fx", "colobot-common-sounds", r"/sounds/"), ("fx", "hedgewars-data", r"/Sounds/"),
    ("fx", "bucklespring-data", r""), ("fx", "frozen-bubble-data", r""),
    ("fx", "sonic-pi-samples", r"/samples/"), ("fx", "minetest-data", r""), ("fx", "warmux-data", r""),
    ("fx", "unknown-horizons", r"/sounds/"), ("fx", "searchandrescue-data", r"/sounds/"),
    ("fx", "torcs-data", r""), ("fx", "megaglest-data", r"/sounds/|/factions/|/tilesets/"), ("fx", "openclonk-data", r"[Ss]ound"),
    ("fx", "extremetuxracer-data", r"sounds"), ("fx", "bzflag-data", r""), ("fx", "pekka-kana-2-data", r"[Ss]ound|sfx"), ("fx", "freedink-data", r""),
    ("fx", "hydrogen-drumkits-effects", r""),
    ("animal", "tuxpaint-stamps-default", r"/animals/"), ("animal", "klettres-data", r"animal"),
    ("fx", "tuxpaint-stamps-default", r"/(vehicles|hobbies|household|town|people|sports|military)/"),
]
# Names of recordings that are noise all through: no content, but noise to mix and clips of their own.
NOISE_NAMES = re.compile(r"rain|wind|ocean|surf|/sea|river|stream|waterfall|(?<!cross)fire(?!ball|work|cracker|flower|d|_f)|engine|motor|crowd|applau|traffic|"
                         r"static|ambien|machine|water(?!-)|noise|hum(?!an)|hiss|jet|helicopter|sauna|3d_printer|drone|buzz|drum_roll|"
                         r"fan\b|vacuum|train|truck|tractor|car\b|boat|plane|storm|saw|drill|shower|cheer|night|morning|forest", re.I)
# The second part's own recordings: machines and engines that run in loops.
MACHINES = [("fx", "endless-sky-data", r"~\.wav|machinery")]
# The third part's: other packages, with recordings of places and weather.
MORE = [
    ("speech", "openarena-data", r"/voices/"), ("fx", "openarena-data", r"/sound/(?!voices|music)"),
    ("speech", "trigger-rally-data", r"codriver"), ("fx", "trigger-rally-data", r"sounds/[^/]*$"), ("fx", "ufoai-sound", r""),
    ("speech", "nexuiz-data", r"/coms/|announcer|tutorial"), ("fx", "nexuiz-data", r"/sound/(?!.*(coms|announcer|tutorial|cdtracks))"),
    ("music", "supertuxkart-data", r"/music/"), ("fx", "supertuxkart-data", r"/sfx/|/tracks/|/library/|/karts/"),
    ("speech", "flightgear-data-base", r"/mk-viii/|/tcas/"), ("fx", "flightgear-data-base", r"/Sounds/[^/]*$"),
    ("music", "0ad-data", r"/music/"), ("speech", "0ad-data", r"/voice/"), ("fx", "0ad-data", r"/audio/(?!music|voice)"),
    ("fx", "scratch", r""), ("music", "opencity-data", r"music"), ("fx", "opencity-data", r"^(?!.*music)"), ("fx", "ri-li-data", r"^(?!.*music)"),
    ("music", "btanks-data", r"tunes|music"), ("fx", "btanks-data", r"sounds"), ("fx", "lmms-common", r"samples"), ("fx", "wordwarvi-sound", r""),
    ("fx", "stormbaancoureur-data", r""), ("fx", "openssn-data", r""), ("music", "tuxmath-data", r"music"), ("fx", "tuxmath-data", r"sounds"),
    ("music", "boswars-data", r"music"), ("fx", "boswars-data", r"sounds"), ("fx", "warzone2100-data", r"/audio/(?!.*music)"), ("music", "lomiri-sounds", r""),
    ("fx", "foobillardplus-data", r"^(?!.*music)"), ("music", "foobillardplus-data", r"music"), ("music", "marsshooter-data", r"music"), ("fx", "marsshooter-data", r"sound"),
    ("music", "drascula-music", r""), ("music", "hyperrogue-music", r""),
]
# The fourth part's own.
NEWER = [
    ("music", "naev-data", r"/music/"), ("fx", "naev-data", r"/sounds/"), ("music", "redeclipse-data", r"/music/"), ("speech", "redeclipse-data", r"/announcer/|/voice/"),
    ("fx", "redeclipse-data", r"/sounds/(?!music|announcer|voice)"), ("music", "widelands-data", r"/music/"), ("animal", "widelands-data", r"/animals/|/critters/"),
    ("fx", "widelands-data", r"/sound/(?!animals)"), ("music", "flare-game", r"/music/"), ("fx", "flare-game", r"/soundfx/"), ("music", "freedroidrpg-data", r"/sound/music/"),
    ("speech", "freedroidrpg-data", r"voice_samples|comments"), ("fx", "freedroidrpg-data", r"/effects/(?!.*(voice_samples|comments))"),
]
# Folders of recordings that are noise all through, whatever their names; packages whose other steady recordings
# are, for those of the rest are instruments.
PLACES = re.compile(r"/ambien(?!.*(jingle|disco|newswav))|/weather", re.I)
MACHINERY = ("flightgear-data-base", "openarena-data", "trigger-rally-data", "ufoai-sound", "warzone2100-data")
NEWER_MACHINERY = (*MACHINERY, "redeclipse-data", "naev-data")
# The test's.
TEST_CONTENT = [
    ("speech", "asterisk-core-sounds-it-wav", r""),
    ("music", "pushover-data", r""), ("music", "xmoto-data", r""), ("music", "lugaru-data", r"/Music"),
    ("fx", "planetblupi-common", r""), ("fx", "pingus-data", r""), ("fx", "oxygen-sounds", r""), ("fx", "deepin-sound-theme", r""),
    ("fx", "lugaru-data", r"/(?!Music)[^/]*$"), ("fx", "scorched3d-data", r"\.wav"), ("fx", "simutrans-pak64", r""),
]
TEST_NOISE = re.compile(r"^(rain|oceanwaves|citysounds|cheeringloop|factoryloop1|helicopter|cessna|apache_1|jet|f1[68]_[12]|t38|lava[12]|bees|nuclearloop|"
                        r"DesertAmbient|Wind|Fire|Water|arctic|desert|forest|tropic|diesel|bus|steam|truck|planelow|comet-jet|tank|tankmove)\.", re.I)
STEMS_OWN_SPLIT = ("sonic-pi-samples", "pocketsphinx-testdata", "tuxpaint-stamps-default", "asterisk-core-sounds-en-wav")


def seeded(*key):
    return np.random.Generator(np.random.PCG64(zlib.crc32("|".join(map(str, key)).encode())))


def held_out(package, path):
    """whether shared evaluations keep this file apart: half of the four packages they draw from."""
    if package not in STEMS_OWN_SPLIT:
        return False
    name = os.path.basename(path)
    stems = {name, os.path.splitext(name)[0]}
    return any(not hashlib.sha256(("snr:" + n).encode()).digest()[0] & 1 for n in stems)


def read(path, seconds=60):
    if path.endswith(".raw"):
        return np.fromfile(path, "<i2")[:FS * seconds] / 32768.0
    with sf.SoundFile(path) as f:
        want = int(f.samplerate * seconds)
        if f.frames > 2 * want:
            f.seek((f.frames - want) // 2)
        x = f.read(want, always_2d=True).mean(1)
        sr = f.samplerate
    if sr != FS:
        g = gcd(sr, FS)
        x = resample_poly(x, FS // g, sr // g)
    return x


def frame_db(x, h=160):
    n = len(x) // h
    return 10 * np.log10(np.mean(x[:n * h].reshape(n, h) ** 2, 1) + 1e-12)


def active_db(x):
    """P.56's definition over 10 ms frames smoothed by 30 ms: the level of what lies within 15.9 dB of it."""
    p = np.sort(lfilter([0.28], [1, -0.72], 10 ** (frame_db(x) / 10)))[::-1]
    c = np.cumsum(p) / np.arange(1, len(p) + 1)
    k = np.flatnonzero(p * 10 ** 1.59 >= c)
    return 10 * np.log10(c[k[-1]] + 1e-14)


def clean_enough(x):
    """field recordings count as content when their own quiet frames lie 25 dB under their active level."""
    if len(x) < FS // 5:
        return False
    p = frame_db(x, 320)
    return p.max() > -50 and np.percentile(p, 5) - active_db(x) <= -25


def steady(x):
    """whether a recording without pauses is steady enough to pass for noise: most frames within 12 dB."""
    p = frame_db(x, 320)
    return len(x) > FS and np.percentile(p, 95) - np.percentile(p, 5) < 12


def load(packages, table, noisy, places=None):
    """content {(class, package): [(name, x)]}, noise and spare {package: [(name, x)]}; x int16 at 16 kHz.
    Noise are the recordings whose names match noisy, or their folders places, and that have no pauses, spare the other
    steady ones. With places such recordings come first of a package's."""
    content, noise, spare = {}, {}, {}
    for cls, pk, pat in table:
        files = [p for p in sorted(glob.glob(f"{packages}/{pk}/**/*", recursive=True)) if p.lower().endswith(SOUND) and re.search(pat, p)]
        files = [p for p in files if not held_out(pk, p) and (cls == "speech" or "desc" not in p)]
        if cls in ("animal", "fx") and pk.startswith("tux"):
            files = [p for p in files if not re.search(r"_[a-z]{2}(_[A-Z]{2})?\.ogg$", p)]
        order = seeded("files", pk, cls).permutation(len(files))
        most = {"speech": 90, "music": 24, "fx": 110, "animal": 80}[cls]
        named = lambda p: noisy.search(os.path.basename(p)) or places and places.search(p[len(packages):])
        if places and cls == "fx":
            order = sorted(order, key=lambda i: not named(files[i]))
        for i in order[:most]:
            p = files[i]
            try:
                x = read(p, 40)
            except Exception as e:
                continue
            if len(x) < FS // 10 or not np.isfinite(x).all():
                continue
            x = x - x.mean()
            pk_ = np.abs(x).max()
            if pk_ < 1e-3:
                continue
            x = x / pk_ * 0.9
            name = os.path.relpath(p, packages)
            tail = p[len(packages):]
            if cls in ("fx", "animal") and named(p) and len(x) > FS and not clean_enough(x):
                noise.setdefault(pk, []).append((name, np.int16(x * 32767)))
                continue
            if cls in ("fx", "animal", "speech") and not (clean_enough(x) or (cls == "fx" and len(x) < FS)):
                if cls == "fx" and steady(x) and not re.search("music|mainzik|jingle|disco|newswav", name):
                    spare.setdefault(pk, []).append((name, np.int16(x * 32767)))
                continue
            content.setdefault((cls, pk), []).append((name, np.int16(x * 32767)))
    return content, noise, spare


# ---------------------------------------------------------------- content
def lay(r, pool, n, cls):
    """n samples from a pool: one recording, or several with pauses, as sounds follow each other in the world."""
    y = np.zeros(n)
    if cls == "music":
        x = pool[r.integers(len(pool))][1] / 32768.0
        if len(x) >= n:
            o = r.integers(0, len(x) - n + 1)
            return x[o:o + n].copy()
    many = r.random() < 0.5
    pick = lambda: pool[r.integers(len(pool))][1] / 32768.0
    x = pick()
    if len(x) >= n:
        p = frame_db(x, 1600)
        best = int(np.argmax(p)) * 1600
        o = max(0, min(best - n // 2 + int(r.integers(-n // 4, n // 4 + 1)), len(x) - n))
        return x[o:o + n].copy()
    gap = r.choice([0.02, 0.3, 1.0, 2.5])
    i = int(r.uniform(0, 0.3) * FS)
    while i < n:
        w = x.copy()
        f = min(len(w) // 4, 160)
        w[-f:] *= np.linspace(1, 0, f)
        m = min(len(w), n - i)
        y[i:i + m] += w[:m] * (10 ** (-r.uniform(0, 9) / 20) if many else 1)
        i += len(w) + int(r.uniform(0.1, 1) * gap * FS)
        if many:
            x = pick()
    return y


def tones(r, n):
    """synthetic tonal content, all its parameters drawn: returns the name of the sort and the samples."""
    t = np.arange(n) / FS
    sort = r.choice(["sine", "chord", "saw", "organ", "vibrato", "vibrato", "sweep", "pluck", "melody", "fm"])
    def note(f, t, k=8, vib=0.0, rate=5.5, slope=1.0):
        ph = 2 * np.pi * f * t + vib * np.sin(2 * np.pi * rate * t + r.uniform(0, 6))
        return sum(np.sin(j * ph + r.uniform(0, 6)) / j ** slope for j in range(1, k + 1) if j * f < 7600)
    f = 80 * 2 ** r.uniform(0, 4)
    if sort == "sine":
        y = note(f, t, 1)
    elif sort == "chord":
        y = sum(note(f * 2 ** (s / 12), t, r.integers(1, 7)) for s in r.choice([0, 3, 4, 7, 10, 12, 15, 19], 4, False))
    elif sort == "saw":
        y = note(f, t, 30)
    elif sort == "organ":
        y = sum(note(f * m, t, 3) for m in (0.5, 1, 1.5, 2, 4))
    elif sort == "vibrato":
        y = sum(note(f * 2 ** (s / 12), t, r.integers(3, 20), r.uniform(0.5, 8), r.uniform(4, 7.5), r.uniform(0.7, 1.5)) for s in r.choice([0, 4, 7, 12], r.integers(1, 4), False))
        if r.random() < 0.5:
            y *= 1 + r.uniform(0.05, 0.4) * np.sin(2 * np.pi * r.uniform(3, 7) * t)
    elif sort == "sweep":
        a, b = sorted(100 * 2 ** r.uniform(0, 6, 2))
        per = r.uniform(0.3, 10)
        u = np.abs((t / per) % 2 - 1)
        ph = 2 * np.pi * np.cumsum(a * (b / a) ** u) / FS
        y = sum(np.sin(j * ph) / j for j in range(1, r.integers(2, 5)) if j * b < 7600)
    elif sort == "fm":
        y = np.sin(2 * np.pi * f * t + r.uniform(0.5, 5) * np.sin(2 * np.pi * f * r.choice([0.5, 1, 1.41, 2, 3.5]) * t) * (1 + 0.5 * np.sin(2 * np.pi * r.uniform(0.2, 3) * t)))
    else:
        y, p = np.zeros(n), int(r.uniform(0.08, 0.6) * FS)
        base = 110 * 2 ** r.uniform(0, 2)
        for i in range(0, n, p):
            tt = np.arange(min(p * (4 if sort == "pluck" else 1), n - i)) / FS
            ff = base * 2 ** (r.integers(0, 24) / 12)
            e = np.exp(-r.uniform(2, 10) * tt) if sort == "pluck" else np.minimum(1, np.minimum(tt / 0.01, (tt[-1] - tt) / 0.01 + 1e-3))
            y[i:i + len(tt)] += e * sum(np.sin(2 * np.pi * ff * k * tt) / k ** r.uniform(0.7, 1.5) for k in range(1, 8) if ff * k < 7600)
    return "tone_" + sort, y


def echo(r, x):
    """the room: a decaying tail, as strong as the sound or weaker."""
    rt = r.uniform(0.15, 1.2)
    m = int(rt * FS)
    h = r.standard_normal(m) * 10 ** (-3 * np.arange(m) / m)
    h *= 10 ** (-r.uniform(0, 14) / 20) / np.sqrt(np.sum(h * h))
    return x + fftconvolve(x, h)[:len(x)]


# ---------------------------------------------------------------- noise
def shaped(r, n, expo, corner=20.0):
    m = 1 << (n - 1).bit_length()
    f = np.fft.rfftfreq(m, 1 / FS)
    a = np.maximum(f, corner) ** (-expo / 2)
    a[0] = 0
    y = np.fft.irfft(a * np.fft.rfft(r.standard_normal(m)), m)[:n]
    return y / y.std()


def equalised(r, n):
    m = 1 << (n - 1).bit_length()
    f = np.fft.rfftfreq(m, 1 / FS)
    k = r.integers(4, 14)
    g = np.interp(f, np.sort(np.r_[0, r.uniform(0, 8000, k - 2), 8000]), np.cumsum(r.normal(0, 7, k)).clip(-45, 45))
    y = np.fft.irfft(10 ** (g / 20) * np.fft.rfft(r.standard_normal(m)), m)[:n]
    return y / (y.std() + 1e-12)


def slow(r, n, rate, depth_db):
    k = max(4, int(n / FS * rate) + 4)
    return 10 ** (depth_db * np.interp(np.arange(n), np.linspace(0, n, k), r.standard_normal(k)) / 20)


def drops(r, n, density, tau, spread, lo, hi):
    """short events at random: rain, applause, crackle, fire."""
    imp = np.zeros(n)
    k = max(1, int(n / FS * density))
    np.add.at(imp, r.integers(0, n, k), r.standard_normal(k) * np.exp(spread * r.standard_normal(k)))
    m = max(2, int(8 * tau * FS))
    y = fftconvolve(imp, np.exp(-np.arange(m) / (tau * FS)) * r.standard_normal(m))[:n]
    y = sosfilt(butter(1, [lo / 8000, min(hi, 7900) / 8000], "band", output="sos"), y)
    return y / (y.std() + 1e-12)


def hum(r, n):
    f0 = r.choice([50, 60, 100, 120, 400]) * (1 + r.uniform(-1e-3, 1e-3))
    t = np.arange(n) / FS
    k = int(min(r.integers(3, 40), 7800 // f0))
    y = sum(r.uniform(0.1, 1) / j ** r.uniform(0.3, 1.4) * np.sin(2 * np.pi * f0 * j * t + r.uniform(0, 6)) for j in range(1, k + 1))
    return y / y.std() + r.choice([0.01, 0.1, 0.3]) * shaped(r, n, r.uniform(0, 1))


def fan(r, n):
    y = shaped(r, n, r.uniform(0.5, 1.8), 60)
    for _ in range(r.integers(1, 5)):
        f = r.uniform(100, 4000)
        z = sosfilt(butter(1, [f * 0.93 / 8000, f * 1.07 / 8000], "band", output="sos"), r.standard_normal(n))
        y = y / y.std() + r.uniform(0.2, 0.8) * z / z.std()
    t = np.arange(n) / FS
    return y * (1 + r.uniform(0, 0.4) * np.sin(2 * np.pi * r.uniform(5, 40) * t)) * slow(r, n, 1.0, r.uniform(0, 1.5))


def engine(r, n):
    f0 = r.uniform(18, 160)
    speed = np.cumsum(f0 * slow(r, n, r.uniform(0.2, 3), r.uniform(0.05, 0.8))) / FS
    ph = 2 * np.pi * speed
    y = sum(r.uniform(0.1, 1) / j ** r.uniform(0.2, 1) * np.sin(j * ph + r.uniform(0, 6)) for j in range(1, int(min(30, 5000 // f0))))
    gate = 1 + r.uniform(0, 0.8) * np.sin(ph)
    return y / y.std() + r.uniform(0.2, 1.2) * gate * shaped(r, n, r.uniform(0.5, 2))


def wind(r, n):
    y = shaped(r, n, r.uniform(1.2, 2.6), r.uniform(30, 200)) * slow(r, n, r.uniform(0.5, 3), r.uniform(2, 6))
    if r.random() < 0.3:
        f = r.uniform(300, 1200)
        y += r.uniform(0.1, 0.5) * y.std() * sosfilt(butter(2, [f / 8000, f * 1.15 / 8000], "band", output="sos"), r.standard_normal(n)) * 5 * slow(r, n, 2, 4)
    return y


def traffic(r, n):
    y = 0.5 * shaped(r, n, r.uniform(1, 2), 40)
    t = np.arange(n) / FS
    for _ in range(r.integers(1, 1 + max(2, n // FS))):
        c, w = r.uniform(0, n / FS), r.uniform(0.4, 3)
        z = shaped(r, n, r.uniform(0.6, 1.6), 80)
        if r.random() < 0.5:
            z += 0.5 * engine(r, n)
        y += r.uniform(0.3, 3) * z / (1 + ((t - c) / w) ** 2)
    return y


def static(r, n):
    y = equalised(r, n) * slow(r, n, r.uniform(1, 12), r.uniform(1, 5))
    if r.random() < 0.5:
        y *= np.repeat(r.random(n // 400 + 1) < r.uniform(0.5, 0.98), 400)[:n] + 0.02
    if r.random() < 0.4:
        t = np.arange(n) / FS
        y += r.uniform(0.1, 1) * y.std() * np.sin(2 * np.pi * np.cumsum(r.uniform(500, 4000) * slow(r, n, 1, 0.5)) / FS) * (1 + 0 * t)
    return y


def insects(r, n):
    t = np.arange(n) / FS
    y = 0.05 * shaped(r, n, 1)
    for _ in range(r.integers(2, 8)):
        f = r.uniform(2200, 7000)
        a = np.maximum(0, np.sin(2 * np.pi * r.uniform(8, 60) * t + r.uniform(0, 6)) + r.uniform(-0.5, 0.7))
        y += r.uniform(0.2, 1) * a * np.sin(2 * np.pi * f * t + 0.3 * np.cumsum(r.standard_normal(n)) ) * slow(r, n, 1, 2)
    return y


def babble(r, n, pools):
    keys = [k for k in pools if k[0] == "speech"]
    key = keys[r.integers(len(keys))]
    y = np.zeros(n)
    for _ in range(r.integers(4, 16)):
        z = lay(r, pools[keys[r.integers(len(keys))] if r.random() < 0.3 else key], n, "speech")
        y += np.roll(z, r.integers(n)) / (z.std() + 1e-9) * 10 ** (-r.uniform(0, 8) / 20)
    if r.random() < 0.6:
        y = echo(r, y)
    return y


def hardened(r, n, pool):
    """a recording at another speed, backwards, with another recording after or under it, through a filter, its level moved."""
    a = r.uniform(0.6, 1.7) if r.random() < 0.7 else 1
    z = recorded(r, int(n * a) + 2, pool)
    if a != 1:
        z = np.interp(np.arange(n) * a, np.arange(len(z)), z)
    z = z[:n] / (z.std() + 1e-9)
    if r.random() < 0.3:
        z = z[::-1]
    if r.random() < 0.2:
        w = recorded(r, n, pool)
        w = w / (w.std() + 1e-9)
        if r.random() < 0.5:
            z = z + w * 10 ** r.uniform(-0.7, 0)
        else:
            g = np.clip((np.arange(n) / n - r.uniform(0.2, 0.8)) * n / FS / r.uniform(0.1, 2) + 0.5, 0, 1)
            z = z * np.sqrt(1 - g) + w * np.sqrt(g)
    if r.random() < 0.6:
        m = 1 << (n - 1).bit_length()
        k = r.integers(3, 9)
        octave = np.log2(np.maximum(np.fft.rfftfreq(m, 1 / FS), 20))
        gain = np.interp(octave, np.sort(r.uniform(4.4, 13, k)), r.normal(0, 7, k))
        z = np.fft.irfft(10 ** (gain / 20) * np.fft.rfft(z, m), m)[:n]
    if r.random() < 0.25:
        z = z * slow(r, n, r.uniform(0.3, 4), r.uniform(0.5, 4))
    return echo(r, z) if r.random() < 0.15 else z


def recorded(r, n, pool):
    z = pool[r.integers(len(pool))][1] / 32768.0
    if len(z) < n:
        f = min(400, len(z) // 4)  # loop with a cross-fade
        z2 = z[:-f].copy()
        z2[:f] = z[:f] * np.linspace(0, 1, f) + z[-f:] * np.linspace(1, 0, f)
        z = np.tile(z2, n // len(z2) + 2)
    o = r.integers(0, len(z) - n + 1)
    return z[o:o + n]


KINDS = {
    "white": lambda r, n, s: r.standard_normal(n), "pink": lambda r, n, s: shaped(r, n, 1), "brown": lambda r, n, s: shaped(r, n, 2),
    "coloured": lambda r, n, s: shaped(r, n, r.uniform(-1.5, 2.5), r.uniform(20, 300)), "equalised": lambda r, n, s: equalised(r, n),
    "hum": lambda r, n, s: hum(r, n), "fan": lambda r, n, s: fan(r, n), "engine": lambda r, n, s: engine(r, n),
    "rain": lambda r, n, s: drops(r, n, r.uniform(150, 4000), r.uniform(3e-4, 3e-3), 0.6, r.uniform(100, 1500), r.uniform(3000, 7900)) + r.uniform(0.05, 0.6) * shaped(r, n, r.uniform(0, 1.5)),
    "applause": lambda r, n, s: drops(r, n, r.uniform(60, 600), r.uniform(3e-3, 0.02), 0.5, r.uniform(200, 900), r.uniform(2000, 6000)) + r.uniform(0.02, 0.3) * shaped(r, n, 1),
    "crackle": lambda r, n, s: drops(r, n, r.uniform(5, 90), r.uniform(5e-5, 1e-3), r.uniform(0.4, 1.1), r.uniform(150, 900), r.uniform(3000, 7900)) + r.uniform(0.003, 0.15) * shaped(r, n, r.uniform(0, 1.5)),
    "fire": lambda r, n, s: drops(r, n, r.uniform(10, 120), r.uniform(3e-4, 4e-3), 1.0, r.uniform(200, 900), 7900) + r.uniform(0.1, 1) * shaped(r, n, 1.8) * slow(r, n, 4, 2),
    "wind": lambda r, n, s: wind(r, n), "surf": lambda r, n, s: shaped(r, n, r.uniform(0.5, 1.6), 100) * slow(r, n, r.uniform(0.2, 0.8), r.uniform(3, 7)),
    "stream": lambda r, n, s: equalised(r, n) * slow(r, n, r.uniform(4, 20), r.uniform(1, 3)) + 0.5 * shaped(r, n, 0.7, 300), "traffic": lambda r, n, s: traffic(r, n),
    "static": lambda r, n, s: static(r, n), "insects": lambda r, n, s: insects(r, n), "babble": lambda r, n, s: babble(r, n, s),
}
# The second part's.
def some(r, s, *classes):
    """a recording of one of these classes of content."""
    keys = [k for k in sorted(s) if k[0] in classes]
    pool = s[keys[r.integers(len(keys))]]
    return pool[r.integers(len(pool))][1] / 32768.0


def modulated(r, n):
    t = np.arange(n) / FS
    ph = np.cumsum(r.choice([r.uniform(0.3, 6), r.uniform(4, 45)]) * slow(r, n, 1, r.uniform(0, 0.6))) / FS
    wave = [np.sin(2 * np.pi * ph), 2 * (ph % 1) - 1, np.sign(np.sin(2 * np.pi * ph)), 1 - 2 * (ph % 1)][r.integers(4)]
    return equalised(r, n) * 10 ** (r.uniform(0.5, 9) * wave / 20) * slow(r, n, r.uniform(0.3, 3), r.uniform(0, 2))


def comb(r, n):
    y = shaped(r, n, r.uniform(-0.5, 2), r.uniform(20, 200))
    for _ in range(r.integers(1, 4)):
        a = np.zeros(int(r.uniform(0.8, 14) * FS / 1000) + 2)
        a[0], a[-1] = 1, r.choice([-1, 1]) * r.uniform(0.4, 0.95)
        y = lfilter([1], a, y) if r.random() < 0.7 else lfilter(a, [1], y)
    return y / y.std()


def lines(r, n):
    t = np.arange(n) / FS
    y = equalised(r, n)
    for _ in range(r.integers(2, 14)):
        y = y + r.uniform(0.02, 0.6) * np.sin(2 * np.pi * 40 * 2 ** r.uniform(0, 7.4) * t + r.uniform(0, 6)) * slow(r, n, 0.5, r.uniform(0, 1.5))
    return y


def phased(r, n, s):
    """noise with the spectrum of a recording."""
    x = some(r, s, "fx", "animal", "music", "speech")
    m = 1 << int(r.integers(9, 13))
    x = np.pad(x, (0, max(0, 2 * m - len(x))))
    w = np.hanning(m)
    p = np.sqrt(np.mean([np.abs(np.fft.rfft(w * x[i:i + m])) ** 2 for i in range(0, len(x) - m + 1, m)], 0))
    y = fftconvolve(r.standard_normal(n + m), np.roll(np.fft.irfft(p), m // 2) * w)[m // 2:][:n]
    return y / (y.std() + 1e-12) + r.choice([0, 0.03, 0.3]) * shaped(r, n, r.uniform(0, 1.5))


def motor(r, n):
    f = r.uniform(25, 400)
    ph = 2 * np.pi * np.cumsum(f * slow(r, n, r.uniform(0.2, 6), r.uniform(0.02, 0.5))) / FS
    k = np.arange(1, int(min(40, 7000 // f)) + 1)
    y = sum(r.gamma(0.7) / j ** r.uniform(0, 1) * np.sin(j * ph + r.uniform(0, 6)) for j in k)
    y = y / (y.std() + 1e-9) * (1 + r.uniform(0, 0.9) * np.sin(ph / r.integers(2, 9)))
    return y + r.uniform(0.1, 2) * equalised(r, n) * (1 + r.uniform(0, 0.7) * np.sin(ph))


def grains(r, n):
    """bursts, each with one of a few spectra: gravel, rustling, frying."""
    y = np.zeros(n)
    length = r.uniform(0.002, 0.09)
    for _ in range(r.integers(3, 12)):
        m = max(8, int(length * r.uniform(0.4, 2.5) * FS))
        a, b = np.sort(r.uniform(60, 7800, 2))
        g = sosfilt(butter(1, [a / 8000, min(b + 150, 7900) / 8000], "band", output="sos"), r.standard_normal(m))
        g *= (np.arange(m) / m) ** r.uniform(0.05, 1) * (1 - np.arange(m) / m) ** r.uniform(0.5, 4)
        imp = np.zeros(n)
        k = max(1, int(n / FS * 10 ** r.uniform(0, 2)))
        np.add.at(imp, r.integers(0, n, k), r.standard_normal(k) * np.exp(r.uniform(0.2, 1) * r.standard_normal(k)))
        y += fftconvolve(imp, g / (np.sqrt(np.sum(g * g)) + 1e-9))[:n]
    return y / (y.std() + 1e-12) + r.choice([0.01, 0.1, 0.5]) * shaped(r, n, r.uniform(0, 2))


def clicks(r, n):
    """clicks in a row, more or less regular, over a hiss."""
    period = FS / 10 ** r.uniform(0, 1.5)
    at = np.cumsum(np.maximum(period * (1 + r.uniform(0, 0.6) * r.standard_normal(int(n / period) + 2)), 20)).astype(int)
    imp = np.zeros(n)
    at = at[at < n]
    imp[at] = np.exp(r.uniform(0, 0.8) * r.standard_normal(len(at)))
    m = int(0.02 * FS)
    t = np.arange(m) / FS
    g = sum(r.uniform(0.2, 1) * np.exp(-t / r.uniform(2e-4, 4e-3)) * np.sin(2 * np.pi * r.uniform(200, 6500) * t + r.uniform(0, 6)) for _ in range(r.integers(1, 6)))
    y = fftconvolve(imp, g)[:n]
    return y / (y.std() + 1e-9) + 10 ** r.uniform(-2.5, 0) * equalised(r, n)


def smeared(r, n, s):
    """a recording, or several, through so long a tail that its parts run into each other: rooms, atmospheres."""
    x = lay(r, [("", np.int16(32767 * some(r, s, "fx", "animal", "music"))) for _ in range(r.integers(1, 4))], n, "fx")
    m = int(r.uniform(0.5, 5) * FS)
    h = r.standard_normal(m) * 10 ** (-r.uniform(0.5, 3) * np.arange(m) / m)
    x = np.roll(x, r.integers(n))
    y = np.fft.irfft(np.fft.rfft(x, 2 * n) * np.fft.rfft(h[:n], 2 * n))
    y = y[:n] + y[n:]
    return y / (y.std() + 1e-12) + r.choice([0, 0.05, 0.3]) * shaped(r, n, r.uniform(0, 2))


def drone(r, n):
    t = np.arange(n) / FS
    y = r.uniform(0.05, 1.5) * shaped(r, n, r.uniform(0.5, 2)) * slow(r, n, r.uniform(0.2, 2), r.uniform(0, 4))
    f = r.uniform(40, 300)
    for _ in range(r.integers(2, 9)):
        y += r.uniform(0.1, 1) * slow(r, n, r.uniform(0.2, 2), r.uniform(0.5, 6)) * np.sin(2 * np.pi * f * r.choice([1, 1.005, 1.5, 2, 2.01, 3, 4, 5.4, 6.7, r.uniform(1, 12)]) * t + r.uniform(0, 6))
    for _ in range(r.integers(0, 4)):
        c = r.uniform(150, 5000)
        z = sosfilt(butter(1, [c * 0.9 / 8000, c * 1.1 / 8000], "band", output="sos"), r.standard_normal(n))
        y += r.uniform(0.1, 0.8) * y.std() / z.std() * z * slow(r, n, r.uniform(0.2, 3), r.uniform(1, 6))
    return y


def chatter(r, n, s):
    """voices and what is played at a distance, in a room."""
    y = babble(r, n, s)
    z = lay(r, [("", np.int16(32767 * some(r, s, "music", "fx")))], n, "music")
    y = y / (y.std() + 1e-9) + r.uniform(0, 1.2) * z / (z.std() + 1e-9) + r.uniform(0.02, 0.5) * shaped(r, n, r.uniform(0.5, 2))
    y = echo(r, echo(r, y))
    return sosfilt(butter(1, r.uniform(800, 7500) / 8000, output="sos"), y)


# The test's.
def poles(r, n):
    """Gaussian noise through some resonances: ventilation, pumps, water in pipes."""
    a = np.ones(1)
    for _ in range(r.integers(3, 9)):
        q, w = r.uniform(0.55, 0.985), np.pi * r.uniform(0.005, 0.95) ** 1.5
        a = np.convolve(a, [1, -2 * q * np.cos(w), q * q])
    y = lfilter([1], a, r.standard_normal(n + 4000))[4000:]
    return y / y.std()


def thyristor(r, n):
    """pulses at twice the frequency of the mains through a case that rings."""
    f = r.choice([100, 120]) * (1 + r.uniform(-1e-3, 1e-3))
    imp = np.zeros(n + 1)
    at = (np.arange(int(n / FS * f)) * FS / f).astype(int)
    imp[at] = 1 + 0.05 * r.standard_normal(len(at))
    a = np.ones(1)
    for _ in range(r.integers(2, 5)):
        q, w = r.uniform(0.7, 0.97), np.pi * r.uniform(0.02, 0.8)
        a = np.convolve(a, [1, -2 * q * np.cos(w), q * q])
    y = lfilter([1, -0.7], a, imp)[:n]
    return y / y.std() + 10 ** r.uniform(-2, -0.3) * shaped(r, n, r.uniform(0, 1))


def bubbles(r, n):
    """damped sines that rise: brooks, pouring, rain on water."""
    y = np.zeros(n)
    for _ in range(24):
        f = r.uniform(300, 5000)
        t = np.arange(int(0.08 * FS)) / FS
        g = np.exp(-t * (0.13 * f + 7e-4 * f ** 1.5)) * np.sin(2 * np.pi * f * t * (1 + r.uniform(0, 3) * t))
        imp = np.zeros(n)
        k = max(1, int(n / FS * r.uniform(1, 40)))
        np.add.at(imp, r.integers(0, n, k), np.exp(0.8 * r.standard_normal(k)))
        y += fftconvolve(imp, g)[:n] * r.uniform(0.2, 1)
    return y / y.std() + r.uniform(0, 0.7) * shaped(r, n, r.uniform(0, 1))


def blades(r, n):
    ph = np.cumsum(r.uniform(7, 28) * slow(r, n, 0.7, r.uniform(0.05, 0.5))) / FS
    y = shaped(r, n, r.uniform(0.5, 1.8), 40) * np.exp(-r.uniform(2, 9) * (ph % 1))
    return y / y.std() + r.uniform(0.2, 1) * shaped(r, n, r.uniform(0.3, 1.5), 60) + r.uniform(0, 0.5) * np.sin(2 * np.pi * r.uniform(300, 3000) * np.arange(n) / FS)


def rails(r, n):
    y = shaped(r, n, r.uniform(1, 2), 40) * slow(r, n, 3, r.uniform(0.5, 2.5))
    gap = r.uniform(0.5, 1.6) * FS
    t = np.arange(int(0.15 * FS)) / FS
    for at in np.arange(r.uniform(0, gap), n, gap):
        for k in (at, at + gap * 0.22):
            i = int(k)
            g = np.exp(-t / r.uniform(0.01, 0.04)) * (r.standard_normal(len(t)) + np.sin(2 * np.pi * r.uniform(120, 900) * t))
            m = max(0, min(len(t), n - i))
            y[i:i + m] += r.uniform(0.5, 3) * g[:m]
    return y


def vinyl(r, n):
    t = np.arange(n) / FS
    y = shaped(r, n, r.uniform(0.3, 1)) * (1 + r.uniform(0, 0.4) * np.sin(2 * np.pi * t / 1.8)) + r.uniform(0.1, 2) * shaped(r, n, 2.5, 15)
    imp = np.zeros(n)
    k = int(n / FS * r.uniform(2, 30))
    imp[r.integers(0, n, k)] = r.laplace(size=k)
    imp[(np.arange(r.uniform(0, 1.8), n / FS, 1.8) * FS).astype(int)] = r.uniform(1, 4)
    return y + r.uniform(3, 20) * lfilter([1, -1], [1, -r.uniform(0.2, 0.8)], imp)


def radio(r, n):
    """short wave between stations: a band of noise that fades, and whistles that drift."""
    a = r.uniform(80, 500)
    y = sosfilt(butter(2, [a / 8000, r.uniform(1800, 4500) / 8000], "band", output="sos"), r.standard_normal(n)) * slow(r, n, r.uniform(0.5, 4), r.uniform(1, 6))
    for _ in range(r.integers(0, 3)):
        y += r.uniform(0.2, 1.2) * y.std() * slow(r, n, 2, 5) * np.sin(2 * np.pi * np.cumsum(r.uniform(300, 2500) * slow(r, n, 0.4, 0.6)) / FS)
    return y + 0.05 * y.std() * r.standard_normal(n)


def stadium(r, n):
    """a crowd that swells: noise in the resonances of vowels."""
    y = 0.3 * shaped(r, n, 1, 100)
    for f, w in ((r.uniform(300, 800), 0.3), (r.uniform(900, 1800), 0.2), (r.uniform(2200, 3000), 0.15)):
        z = sosfilt(butter(1, [f * (1 - w) / 8000, f * (1 + w) / 8000], "band", output="sos"), r.standard_normal(n))
        y += r.uniform(0.3, 1) * z / z.std() * slow(r, n, r.uniform(2, 7), r.uniform(1, 3))
    return y * slow(r, n, 0.5, r.uniform(1, 5))


def strings(r, n):
    """sorts of tones that training has not: an ensemble of players, bells, a theremin."""
    t = np.arange(n) / FS
    sort = r.choice(["ensemble", "bells", "theremin", "ensemble"])
    y = np.zeros(n)
    if sort == "ensemble":
        f = 65 * 2 ** r.uniform(0, 3)
        for s in r.choice([0, 3, 4, 7, 9, 12, 16], r.integers(1, 4), False):
            for _ in range(r.integers(2, 7)):
                g = f * 2 ** ((s + r.normal(0, 0.06)) / 12)
                ph = 2 * np.pi * np.cumsum(g * (1 + r.uniform(0, 0.006) * np.sin(2 * np.pi * r.uniform(4, 7) * t + r.uniform(0, 6)))) / FS
                y += sum(np.sin(j * ph + r.uniform(0, 6)) / j for j in range(1, int(min(24, 7400 // g)) + 1)) * slow(r, n, 3, 1)
    elif sort == "bells":
        for at in np.sort(r.uniform(0, n / FS, max(1, int(n / FS * r.uniform(0.5, 4))))):
            u = np.maximum(t - at, 0)
            f = r.uniform(200, 1500)
            for ratio in (0.5, 1, 1.19, 1.56, 2, 2.51, 3.01, 4.1):
                if f * ratio < 7500:
                    y += (t >= at) * np.exp(-r.uniform(0.6, 5) * ratio * u) * np.sin(2 * np.pi * f * ratio * u)
    else:
        f = 200 * 2 ** (np.cumsum(r.normal(0, 1, n // 1600 + 2)).clip(-6, 18) / 12)
        f = np.interp(t, np.arange(len(f)) / 10, f) * (1 + r.uniform(0, 0.03) * np.sin(2 * np.pi * r.uniform(4, 7) * t))
        ph = 2 * np.pi * np.cumsum(f) / FS
        y = np.sin(ph) + r.uniform(0, 0.5) * np.sin(2 * ph) + r.uniform(0, 0.3) * np.sin(3 * ph)
    return "tone_" + sort, y


KINDS |= {
    "modulated": lambda r, n, s: modulated(r, n), "comb": lambda r, n, s: comb(r, n), "lines": lambda r, n, s: lines(r, n), "phased": phased, "motor": lambda r, n, s: motor(r, n),
    "grains": lambda r, n, s: grains(r, n), "clicks": lambda r, n, s: clicks(r, n), "smeared": smeared, "drone": lambda r, n, s: drone(r, n), "chatter": chatter,
    "poles": lambda r, n, s: poles(r, n), "thyristor": lambda r, n, s: thyristor(r, n), "bubbles": lambda r, n, s: bubbles(r, n), "blades": lambda r, n, s: blades(r, n),
    "rails": lambda r, n, s: rails(r, n), "vinyl": lambda r, n, s: vinyl(r, n), "radio": lambda r, n, s: radio(r, n), "stadium": lambda r, n, s: stadium(r, n),
}
# Kinds that are alike are held out together: families, by part.
FIRST = {"syn0": ["white", "pink", "brown", "coloured", "equalised"], "syn1": ["hum", "fan", "engine"], "syn2": ["rain", "applause", "stream", "surf"], "syn3": ["crackle", "fire", "static"],
         "syn4": ["wind", "traffic", "insects"], "syn5": ["babble"]}
SECOND = {"syn0": ["comb", "phased", "lines", "equalised"], "syn1": ["motor", "modulated", "hum"], "syn2": ["grains", "rain"], "syn3": ["clicks", "crackle"], "syn5": ["chatter", "babble"], "syn6": ["smeared", "drone"]}
TEST = {"new0": ["poles", "thyristor"], "new1": ["bubbles", "stadium"], "new2": ["blades", "rails"], "new3": ["vinyl", "radio"]}


# ---------------------------------------------------------------- clips
def codec(r, x):
    kind, form, sub = [("mp3", "MP3", "MPEG_LAYER_III"), ("opus", "OGG", "OPUS"), ("ogg", "OGG", "VORBIS")][r.integers(3)]
    b = io.BytesIO()
    with sf.SoundFile(b, "w", FS, 1, format=form, subtype=sub, compression_level=float(r.uniform(0.1, 0.95))) as f:
        for i in range(0, len(x), 4096):
            f.write(np.clip(x[i:i + 4096], -1, 1))
    b.seek(0)
    y, sr = sf.read(b)
    if sr != FS:
        g = gcd(sr, FS)
        y = resample_poly(y, FS // g, sr // g)
    return kind, (y[:len(x)] if len(y) >= len(x) else np.pad(y, (0, len(x) - len(y))))


def draw(r, content, noise, part, kind=None):
    """what a clip is made of: its row, the content or None, the noise or None; None when silence was drawn."""
    n = int(FS * r.choice([r.uniform(2, 10), 10, 5, 2, r.uniform(1.5, 4)]))
    keys = sorted(content)
    real = sorted(noise)
    u = r.random()
    row = dict(kind="mix" if u < part.mixes else "clean" if u < part.mixes + part.clean else "noise", n=n, package="none", cls="none", noise="none", family="none", snr="", variant="plain")
    row["kind"] = kind or row["kind"]
    s = v = None
    if row["kind"] != "noise":
        cls = r.choice(["speech", "music", "fx", "animal", "tone"], p=part.classes)
        if cls == "tone":
            row["package"], s = part.tones(r, n)
        else:
            have = [k for k in keys if k[0] == cls]
            k = have[r.integers(len(have))]
            row["package"], s = k[1], lay(r, content[k], n, cls)
        row["cls"] = cls
        if r.random() < 0.2 and cls != "tone" or r.random() < 0.05:
            s = echo(r, s)
        if np.mean(s ** 2) < 1e-7:
            return None
        s = s - s.mean()
    if row["kind"] != "clean":
        if r.random() < (part.recorded if row["kind"] == "mix" else part.recorded + 0.2):
            row["noise"] = row["family"] = real[r.integers(len(real))]
            v = part.record(r, n, noise[row["noise"]])
        else:
            row["family"] = list(part.families)[r.integers(len(part.families))]
            kinds = part.families[row["family"]]
            row["noise"] = kinds[r.integers(len(kinds))]
            v = KINDS[row["noise"]](r, n, content)
        v = v - v.mean()
        if not v.std() > 1e-6:
            return None
        v = v / v.std()
    return row, s, v


def clip(r, content, noise, part):
    drawn = draw(r, content, noise, part)
    return drawn and finish(r, *drawn, 0.4, 4)


def pairs(r, content, noise, part):
    """a content and a noise: three mixes of them, and now and then each alone."""
    drawn = draw(r, content, noise, part, "mix")
    if drawn is None:
        return
    row, s, v = drawn
    for _ in range(3):
        yield finish(r, dict(row), s, v, 0.7, -4)
    if r.random() < 0.7:
        yield finish(r, dict(row, kind="noise", package="none", cls="none"), None, v)
    if r.random() < 0.4:
        yield finish(r, dict(row, kind="clean", noise="none", family="none"), s, None)


def finish(r, row, s, v, near=0.0, least=0.0):
    """the row and the samples of a clip, mixed, that share of the mixes from least to 16 dB, and perhaps coded; None when it is silence."""
    n = row["n"]
    x = s if v is None else v
    if row["kind"] == "mix":
        row["snr"] = round(r.uniform(least, 16) if r.random() < near else r.uniform(-8, 32), 2)
        x = s + v * 10 ** ((active_db(s) - row["snr"]) / 20)
    x = x / np.abs(x).max() * r.uniform(0.1, 0.95)
    w = r.choice(["plain", "codec", "low", "dc", "pad", "quiet", "clipped"], p=[0.55, 0.13, 0.1, 0.04, 0.06, 0.08, 0.04])
    row["variant"] = w
    if w == "codec":
        row["variant"], x = codec(r, x)
    elif w == "low":
        f = r.choice([2, 2, 3])
        x = resample_poly(resample_poly(x, 1, f), f, 1)[:n]
    elif w == "dc":
        x = x * 0.8 + r.uniform(-0.1, 0.1)
    elif w == "pad":
        h = int(n * r.uniform(0.1, 0.5))
        x[:h] = 0
        if r.random() < 0.5:
            x = x[::-1].copy()
        if row["kind"] == "mix":  # the truth is of what stays
            keep = slice(h, n)
            if np.mean(s[keep] ** 2) < 1e-7:
                return None
            row["snr"] = round(active_db(s[keep]) - 10 * np.log10(np.mean((v[keep] * 10 ** ((active_db(s) - row["snr"]) / 20)) ** 2)), 2)
    elif w == "quiet":
        x = x * 10 ** (-r.uniform(30, 52) / 20) / (np.sqrt(np.mean(x ** 2)) + 1e-9)
    elif w == "clipped":
        x = x * r.uniform(1.2, 6)
    return row, np.int16(np.clip(np.round(x * 32767), -32768, 32767))


class Part:
    """what a part draws from: seed, clips, shares of mixes and of clean ones, share of recorded noise in mixes, families."""

    def __init__(self, seed, clips, mixes, clean, recorded, families, tones=tones, classes=(0.28, 0.26, 0.2, 0.1, 0.16), record=recorded):
        self.seed, self.clips, self.mixes, self.clean, self.recorded, self.record = seed, clips, mixes, clean, recorded, record
        self.families, self.tones, self.classes = families, tones, classes


PARTS = {
    "first": Part(1, 8000, 0.68, 0.17, 0.4, FIRST),
    "second": Part(2, 1500, 0.6, 0.14, 0.45, SECOND),
    "third": Part(4, 8000, 0.56, 0.16, 0.6, FIRST | {f: FIRST.get(f, []) + k for f, k in SECOND.items()}, tones, (0.2, 0.26, 0.42, 0, 0.12), hardened),
    "fourth": Part(5, 24000, 1, 0, 0.6, FIRST | {f: FIRST.get(f, []) + k for f, k in SECOND.items()}, tones, (0.22, 0.25, 0.36, 0.07, 0.1), hardened),
    "test": Part(3, 1000, 0.6, 0.2, 0.45, TEST, strings, (0.28, 0.26, 0.3, 0, 0.16)),
}


def pools(packages, part):
    """the recordings of a part."""
    if part == "test":
        content, noise, _ = load(packages, TEST_CONTENT, TEST_NOISE)
        return content, noise
    if part == "third":
        content, noise, spare = load(packages, MORE, NOISE_NAMES, PLACES)
        for k in MACHINERY:
            noise.setdefault(k, []).extend(spare.get(k, []))
        return content, noise
    if part == "fourth":
        content, noise, spare = {}, {}, {}
        for table in (CONTENT, MORE, NEWER):
            for pool, more in zip((content, noise, spare), load(packages, table, NOISE_NAMES, PLACES)):
                pool.update(more)
        for k in NEWER_MACHINERY:
            noise.setdefault(k, []).extend(spare.get(k, []))
        return content, noise
    content, noise, spare = load(packages, CONTENT, NOISE_NAMES)
    if part == "second":
        _, _, loops = load(packages, MACHINES, NOISE_NAMES)
        for more in (spare, loops):
            for k, v in more.items():
                noise.setdefault(k, []).extend(v)
    return content, noise


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("packages"), ap.add_argument("out")
    ap.add_argument("--only", choices=list(PARTS)), ap.add_argument("--clips", type=int)
    a = ap.parse_args()
    for name, part in PARTS.items():
        if a.only and name != a.only:
            continue
        out = f"{a.out}/{name}"
        os.makedirs(out, exist_ok=True)
        content, noise = pools(a.packages, name)
        for k in sorted(content):
            print(name, *k, len(content[k]))
        for k in sorted(noise):
            print(name, "noise", k, len(noise[k]), " ".join(os.path.basename(n) for n, _ in noise[k]))
        at = crc = done = i = 0
        with open(f"{out}/clips.s16", "wb") as raw, open(f"{out}/clips.csv", "w", newline="") as f:
            w = csv.DictWriter(f, "at n kind package cls noise family snr variant".split())
            w.writeheader()
            while done < (a.clips or part.clips):
                r = seeded("clip", part.seed, i)
                i += 1
                for c in pairs(r, content, noise, part) if name == "fourth" else [clip(r, content, noise, part)]:
                    if c is None or done == (a.clips or part.clips):  # None: silence was drawn
                        continue
                    row, x = c
                    row.update(at=at, n=len(x))
                    w.writerow(row)
                    raw.write(x.tobytes())
                    crc, at, done = zlib.crc32(x.tobytes(), crc), at + len(x), done + 1
        print(f"{name}: {done} clips, {at / FS / 3600:.2f} hours, crc32 of all samples {crc:08x}", flush=True)


if __name__ == "__main__":
    main()
