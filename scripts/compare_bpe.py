#!/usr/bin/env python3
"""Compares package bpe with the Python originals on generated captions.

    pip install ftfy==6.3.1 regex numpy && pip install --no-deps open_clip_torch==3.3.0
    python scripts/compare_bpe.py --lines 20000

For every line: ftfy.fix_text, open_clip's cleaned text, the token ids and their count, with markers inert
(open_clip's tokenizer as it is) and live (open_clip's tokenizer with CLIP's and ImageBind's names of the
markers, which is their tokenizer). Every line is a function of --seed and its number. Exits 1 if anything
differs, and prints the first differences.

One difference is meant and left out: open_clip makes markers of its own names, <start_of_text> and
<end_of_text>, spelled out in a caption; to package bpe they are text.
"""
import argparse
import concurrent.futures
import functools
import html.entities
import importlib.util
import itertools
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import types
import unicodedata

import ftfy
import ftfy.badness
import ftfy.chardata
import regex

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTEXT = 77


# ---------------------------------------------------------------- the original
def tokenizer_module():
    """open_clip/tokenizer.py by itself. It wants torch only for the tensor that it wraps its lists in."""
    try:
        import torch  # noqa: F401
    except ImportError:
        sys.modules["torch"] = types.SimpleNamespace(LongTensor=list, Tensor=list)
    place = importlib.util.find_spec("open_clip").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("open_clip_tokenizer", os.path.join(place, "tokenizer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def tokenizers():
    module = tokenizer_module()
    inert, live = module.SimpleTokenizer(), module.SimpleTokenizer()
    names = {"<|startoftext|>": inert.sot_token_id, "<|endoftext|>": inert.eot_token_id}
    live.encoder |= names
    live.cache = {n: n for n in names}
    live.pat = regex.compile("|".join(map(regex.escape, names)) + inert.pat.pattern[inert.pat.pattern.index("|'s"):], regex.IGNORECASE)
    for t in (inert, live):
        bpe = functools.lru_cache(maxsize=1 << 17)(t.bpe)
        t.bpe, t.cache = bpe, Special(t.cache)
    return {"inert": inert, "imagebind": live}


class Special(dict):
    """The tokenizer's cache without its growth."""

    def __setitem__(self, key, value):
        pass


def original(text):
    fixed = ftfy.fix_text(text)
    both = tokenizers()
    inert = both["inert"]
    want = {"fix_text": fixed, "clean": inert.clean_fn(text)}
    for name, t in both.items():
        ids = [inert.sot_token_id, *t.encode(text), inert.eot_token_id]
        cut = ids[:CONTEXT]
        cut[-1] = inert.eot_token_id
        want[name] = cut, len(ids)
    if regex.search("<start_of_text>|<end_of_text>", want["clean"], regex.IGNORECASE):
        del want["inert"]
    return want


# ---------------------------------------------------------------- the captions
CODECS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253",
          "sloppy-windows-1254", "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437"]
SENTENCES = """a photo of a dog|The quick brown FOX jumps over 13 lazy dogs.|rain falls on a tin roof, thunder far away
it's what they'll say: we've seen 1,000 of 'em|L’été, à la plage où l’on mange une crème brûlée|Größe, Fußgänger — Äpfel
El niño comió piñata; ¿por qué no?|São Paulo às três, àquela hora, fácil|Žluťoučký kůň pěl ďábelské ódy|İSTANBUL'DA IŞIK ılık
Żółć, gęślą jaźń|ΟΔΥΣΣΕΥΣ ΚΑΙ Ο ΦΙΛΟΣ ΤΟΥ|Καλημέρα κόσμε, τι κάνεις;|Съешь же ещё этих мягких французских булок
שלום עולם|السلام عليكم ورحمة الله|नमस्ते दुनिया|สวัสดีชาวโลก|こんにちは、世界。カタカナ|你好，世界！敏捷的棕色狐狸|안녕하세요 세계
“curly” ‘quotes’ … – — €100 £5 ™ © ® ½ × ÷|ＦＵＬＬ　ＷＩＤＴＨ ﾊﾝｶｸ ｶﾞｷﾞ ￥|ﬁnancial ﬂow oﬃce Ĳssel ŉ ǅ|10°C ≈ 50°F √2 ≠ ∞
👍🏽 👩‍👩‍👧‍👦 🇩🇪 ☃️ 🏴󠁧󠁢󠁷󠁬󠁳󠁿|e\u0301 n\u0303 o\u0302\u0323 a\u0323\u0302 \u1112\u1161\u11ab|don't you'RE i'\u017f he'\u017faid 'tis""".replace("\n", "|").split("|")
MARKERS = ["<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "<|\u017ftartoftext|>", "&lt;|endoftext|&gt;", "<|endoftext",
           "<|endoftext|>>", "!<|startoftext|>", "<start_of_text>", "<end_of_text>"]
ENTITIES = sorted(html.entities.html5)
# every character that ftfy's heuristics know, and some that they do not
SUSPECTS = sorted({c for group in (ftfy.badness.MOJIBAKE_CATEGORIES, ftfy.chardata.UTF8_CLUES) for part in group.values()
                   for i, c in enumerate(part) for c in (map(chr, range(ord(c), ord(part[i + 2]) + 1))
                                                         if part[i + 1 : i + 2] == "-" else [c])})
SPICE = list("aAzZ09 .,?!\n_-'\"&;") + ["\u0301", "中", "🙂", "\u00a0", "\u2003", "ā€", "вЂ", "β€", "‚Ä", "Ã ", "Â ", "œ", "ГўВЂВ", "à"]
CONTROLS = [chr(c) for c in [*range(0x20), 0x7F, *range(0x80, 0xA0), 0x200B, 0x200E, 0x2028, 0x2029, 0x202E, 0x206A, 0x206F,
                             0xFEFF, 0xFFF9, 0xFFFB, 0xFFFC, 0xFFFD, 0xFFFE, 0xE0041]]


class Captions:
    def __init__(self, assigned):
        self.assigned = assigned
        self.marks = [c for c in assigned if unicodedata.combining(c)]
        self.cased = [c for c in assigned if c.lower() != c or c.upper() != c]

    def one(self, seed, n):
        r = random.Random(f"{seed}/{n}")
        kinds = [self.plain, self.mojibake, self.mojibake, self.suspects, self.suspects, self.utf8ish, self.references,
                 self.controls, self.marks_upon_marks, self.cases, self.anything, self.surrogates, self.markers,
                 self.long, self.lines]
        return kinds[n % len(kinds)](r)

    def plain(self, r):
        text = " ".join(r.choice(SENTENCES) for _ in range(r.randint(1, 3)))
        return r.choice([str, str.upper, str.title, str.swapcase])(text)

    def mojibake(self, r):
        text = self.plain(r)
        for _ in range(r.choice([1, 1, 1, 2, 3])):
            codec = r.choice(CODECS)
            if r.random() < 0.3:
                codec = codec.removeprefix("sloppy-")
            text = text.encode("utf-8", "replace").decode(codec, r.choice(["replace", "ignore"]))
            if r.random() < 0.3:
                text = text.replace("\u00a0", " ")
            if r.random() < 0.1:
                text = text.replace("\ufffd", "?")
        if r.random() < 0.4:
            text = r.choice([self.plain(r) + " " + text, text + self.plain(r), html.escape(text)])
        if r.random() < 0.3:
            start = r.randrange(len(text) + 1)
            text = text[start : start + r.randint(1, 30)]
        return text

    def suspects(self, r):
        pools = [SUSPECTS, SUSPECTS, SPICE] if r.random() < 0.7 else [r.sample(SUSPECTS, 5), SPICE]
        return "".join(r.choice(r.choice(pools)) for _ in range(r.randint(1, 12)))

    def utf8ish(self, r):
        """Bytes like UTF-8, CESU-8 and Java's, altered and lossy, read with a single-byte encoding."""
        def unit():
            k = r.randrange(9)
            c = lambda lo=0x80, hi=0xBF: r.randint(lo, hi)
            if k == 0:
                return bytes([c(0xED, 0xED), c(0xA0, 0xAF), c(), 0xED, c(0xB0), c()])
            if k == 1:
                return b"\xc0\x80"
            if k == 2:
                return bytes([c(0xC2, 0xDF), c()])
            if k == 3:
                return bytes([c(0xE0, 0xEF), c(), c()])
            if k == 4:
                return bytes([c(0xF0, 0xF4), c(), c(), c()])
            if k == 5:
                return bytes([r.choice(b"\xc2\xc3\xc5\xce\xd0\xd9\xe0\xe1\xe2\xe3\xf0"), *r.choices(b" \x80\x85\xa0\xa1\xbf", k=r.randint(1, 3))])
            if k == 6:
                return b"\xc3 " + r.choice([b"quele", b"quela", b"quilo", b"s ", b" ", b"la", b"quel point"])
            if k == 7:
                return r.choice([b"a", b" ", b"\n", b"?", b"!", b"the ", b"\xc0", b"\xed", b"\xff"])
            return r.choice(SENTENCES).encode("utf-8")[: r.randint(1, 12)]
        data = bytearray(b"".join(unit() for _ in range(r.randint(1, 6))))
        for _ in range(r.choice([0, 0, 1, 2])):
            if r.random() < 0.5:
                data[r.randrange(len(data))] = r.choice(b"\x1a? \xa0\n")
            elif len(data) > 1:
                del data[r.randrange(len(data))]
        return bytes(data).decode(r.choice(CODECS[:7] * 3 + CODECS[7:]), "replace")

    def references(self, r):
        def unit():
            name = r.choice(ENTITIES)
            bare = name.rstrip(";")
            number = r.choice([r.randrange(0x110000), r.randrange(0x180), r.randrange(0x10000), 0x110000, 10**12])
            return r.choice(["&" + name, "&" + bare + ";", "&" + bare, "&" + bare.upper() + ";", "&" + bare + "x;", "&amp;" + bare + ";",
                             "&amp;amp;" + name, "&" + r.choice(["amp;", "AMP;", "#38;", "#x26;"]) * r.randint(1, 40) + name, f"&#{number};", f"&#{number}", f"&#x{number:x};", f"&#X{number:X}", "&#59;", "&#", "&#x",
                             "&;", "&", " ", "<", "\n", "word", r.choice(SENTENCES), "&" + "a" * r.randint(20, 40) + ";",
                             "&lt;b&gt;" + bare, "&" + bare + "日本;", "&AMP" + name])
        return "".join(unit() for _ in range(r.randint(1, 8)))

    def controls(self, r):
        def unit():
            return r.choice([r.choice(CONTROLS), r.choice(CONTROLS), "\x1b[%sm" % ";".join(str(r.randrange(50)) for _ in range(r.randrange(4))),
                             "\x1b[" + r.choice(["٣m", "1", "[m", "K", "é"]), "\r\n", "\x1c word \x1f", r.choice(SENTENCES)])
        return "".join(unit() for _ in range(r.randint(1, 10)))

    def marks_upon_marks(self, r):
        out = []
        for _ in range(r.randint(1, 5)):
            out.append(r.choice(self.assigned + list("aeiouAEIOU") * 300))
            out += r.choices(self.marks, k=r.choice([0, 1, 2, 3, 8, 29, 30, 31, 32, 64]))
            if r.random() < 0.2:
                out += [chr(0x1100 + r.randrange(19)), chr(0x1161 + r.randrange(21)), chr(0x11A7 + r.randrange(28))]
        return "".join(out)

    def cases(self, r):
        pool = ["Σ", "Σ", "σ", "ς", "İ", "I", "ı", "i", "ſ", "K", "Å", "ẞ", "ß", "ΐ", "'", "\u2019", ".", ":", "·", "\u00ad", "\u0301",
                " ", "a", "A", "1", "ʰ", "ª", "Ⓐ", "Ⅷ", "'s", "'LL", "'ſ", "'ve", "'T"]
        return "".join(r.choice(pool) if r.random() < 0.85 else r.choice(self.cased) for _ in range(r.randint(1, 14)))

    def anything(self, r):
        return "".join(r.choice(self.assigned) + r.choice(["", "", " ", "a"]) for _ in range(r.randint(1, 20)))

    def surrogates(self, r):
        def unit():
            high, low = chr(r.randint(0xD800, 0xDBFF)), chr(r.randint(0xDC00, 0xDFFF))
            return r.choice([high + low, high, low, low + high, "\ud83d\ude00", "a", " ", r.choice(SUSPECTS), r.choice(SENTENCES)])
        return "".join(unit() for _ in range(r.randint(1, 6)))

    def markers(self, r):
        return "".join(r.choice(MARKERS + [" ", "hello", "!", "<", "&amp;"]) for _ in range(r.randint(1, 6)))

    def long(self, r):
        k = r.randrange(4)
        if k == 0:
            return " ".join(self.one(r.random(), r.randrange(13)) for _ in range(r.randint(10, 40)))
        if k == 1:
            return " ".join(["cat"] * r.randint(70, 82))
        if k == 2:
            letters = r.choice(["a", "ab", "abcdefghijklmnopqrstuvwxyz", "!?.,", "häßlich", "ха", "狐"])
            return "".join(r.choice(letters) for _ in range(r.randint(30, 400)))
        return "".join(r.choice("etaoin shrdlu" * 8 + "ETAOIN.,;!0123456789") for _ in range(r.randint(100, 600)))

    def lines(self, r):
        parts = [self.one(r.random(), r.randrange(13)) for _ in range(r.randint(2, 5))]
        return r.choice(["\n", "\r\n", "\n\n", "\u2028", "\x85"]).join(parts)


# ---------------------------------------------------------------- the comparison
@functools.cache
def captions_of(assigned):
    return Captions(list(assigned))


def compare(assigned, seed, first, results):
    """The differences of the lines first, first + 1, ..., and how many of them were repaired, and cut."""
    captions, differences, repaired, cut = captions_of(assigned), [], 0, 0
    for n, line in enumerate(results, first):
        text = captions.one(seed, n)
        want = original(text)
        fields = line.split("\t")
        got = {"fix_text": bytes.fromhex(fields[0]).decode(), "clean": bytes.fromhex(fields[1]).decode()}
        for i, name in enumerate(["inert", "imagebind"]):
            got[name] = [int(x) for x in fields[2 + 2 * i].strip("[]").split()], int(fields[3 + 2 * i])
        repaired += want["fix_text"] != text
        cut += want["imagebind"][1] > CONTEXT
        for k in want:
            if want[k] != got[k]:
                differences.append(f"line {n}: {ascii(text)}\n  {k}:\n    python {ascii(want[k])}\n    go     {ascii(got[k])}")
                break
    return differences, repaired, cut


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lines", type=int, default=20000, help="captions to generate (default 20000)")
    p.add_argument("--seed", default="1")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--show", type=int, default=10, help="differences to print")
    p.add_argument("--go", default="go", help="the go command")
    a = p.parse_args()
    if ftfy.__version__ != "6.3.1":
        sys.exit(f"this compares with ftfy 6.3.1, found {ftfy.__version__}")

    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "compare")
        subprocess.run([a.go, "build", "-o", program, "./bpe/internal/compare"], cwd=ROOT, check=True)
        # Only what both sides' Unicode tables have: they are of different versions.
        ranges = subprocess.run([program, "-assigned"], check=True, capture_output=True, text=True).stdout.split()
        assigned = "".join(chr(c) for lo, hi in (map(lambda x: int(x, 16), s.split("-")) for s in ranges)
                           for c in range(lo, hi + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co"))
        captions = captions_of(assigned)
        path = os.path.join(folder, "captions")
        with open(path, "w") as f:
            for n in range(a.lines):
                f.write(captions.one(a.seed, n).encode("utf-8", "surrogatepass").hex() + "\n")
        with open(path) as f:
            result = subprocess.run([program], stdin=f, check=True, capture_output=True, text=True).stdout.split("\n")
    assert len(result) == a.lines + 1, f"{len(result) - 1} results for {a.lines} captions"

    shown = differing = repaired = cut = 0
    chunk = 1000
    with concurrent.futures.ProcessPoolExecutor(a.jobs) as pool:
        starts = range(0, a.lines, chunk)
        parts = [result[i : min(i + chunk, a.lines)] for i in starts]
        for found, r, c in pool.map(compare, itertools.repeat(assigned), itertools.repeat(a.seed), starts, parts):
            differing, repaired, cut = differing + len(found), repaired + r, cut + c
            for text in found[: max(a.show - shown, 0)]:
                print(text)
                shown += 1
    print(f"{a.lines} captions, {repaired} repaired by ftfy, {cut} longer than {CONTEXT} tokens: {differing} differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
