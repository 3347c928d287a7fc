#!/usr/bin/env python3
"""Compares package bpe with the Python originals on generated captions.

    pip install ftfy==6.3.1 regex
    python scripts/compare_bpe.py --lines 20000

For every line: ftfy.fix_text, the cleaned text, the token ids and their count, with markers inert (as
open_clip has it) and live (as ImageBind has it). Every line is a function of --seed and its number. Exits
1 if anything differs, and prints the first differences.

The tokenizer below is the published one (https://github.com/openai/CLIP, MIT) in its plainest form: it
shares the vocabulary file with the Go package and nothing else.
"""
import argparse
import functools
import gzip
import html
import html.entities
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import ftfy
import ftfy.badness
import ftfy.chardata
import regex

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTEXT, START, END = 77, 49406, 49407


# ---------------------------------------------------------------- the original
def byte_letters():
    """The printable character that the vocabulary writes each byte as."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {b: chr(b) for b in plain}
    for b in range(256):
        if b not in letters:
            letters[b] = chr(256 + len(letters) - len(plain))
    return letters


class Tokenizer:
    WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

    def __init__(self):
        path = ROOT / "bpe" / "vocabulary" / "bpe_simple_vocab_16e6.txt.gz"
        lines = gzip.open(path, "rt", encoding="utf-8").read().split("\n")
        pairs = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
        self.letters = byte_letters()
        vocabulary = list(self.letters.values())
        vocabulary += [c + "</w>" for c in vocabulary]
        vocabulary += ["".join(p) for p in pairs]
        self.ids = {token: i for i, token in enumerate(vocabulary)}
        self.ranks = {p: i for i, p in enumerate(pairs)}
        self.inert = regex.compile(self.WORDS, regex.IGNORECASE)
        self.live = regex.compile(r"<\|startoftext\|>|<\|endoftext\|>|" + self.WORDS, regex.IGNORECASE)
        self.markers = {"<|startoftext|>": START, "<|endoftext|>": END}
        assert len(self.ids) == START

    @functools.lru_cache(maxsize=1 << 17)
    def word(self, word):
        parts = [self.letters[b] for b in word.encode("utf-8")]
        parts[-1] += "</w>"
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda p: self.ranks.get(p, 1 << 30))
            if best not in self.ranks:
                break
            merged, i = [], 0
            while i < len(parts):
                if tuple(parts[i : i + 2]) == best:
                    merged.append(parts[i] + parts[i + 1])
                    i += 2
                else:
                    merged.append(parts[i])
                    i += 1
            parts = merged
        return [self.ids[p] for p in parts]

    def encode(self, clean, live):
        ids = [START]
        for word in (self.live if live else self.inert).findall(clean):
            if live and word in self.markers:
                ids.append(self.markers[word])
            else:
                ids += self.word(word)
        ids.append(END)
        cut = ids[:CONTEXT]
        cut[-1] = END if len(ids) > CONTEXT else cut[-1]
        return cut, len(ids)


def clean(fixed):
    text = html.unescape(html.unescape(fixed)).strip()
    return regex.sub(r"\s+", " ", text).strip().lower()


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
                             "&amp;amp;" + name, f"&#{number};", f"&#{number}", f"&#x{number:x};", f"&#X{number:X}", "&#59;", "&#", "&#x",
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
def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lines", type=int, default=20000, help="captions to generate (default 20000)")
    p.add_argument("--seed", default="1")
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
        assigned = [chr(c) for lo, hi in (map(lambda x: int(x, 16), s.split("-")) for s in ranges)
                    for c in range(lo, hi + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
        captions = Captions(assigned)
        path = os.path.join(folder, "captions")
        with open(path, "w") as f:
            for n in range(a.lines):
                f.write(captions.one(a.seed, n).encode("utf-8", "surrogatepass").hex() + "\n")
        with open(path) as f:
            result = subprocess.run([program], stdin=f, check=True, capture_output=True, text=True).stdout.split("\n")
    assert len(result) == a.lines + 1, f"{len(result) - 1} results for {a.lines} captions"

    tokenizer = Tokenizer()
    differing = repaired = cut = 0
    for n in range(a.lines):
        text = captions.one(a.seed, n)
        fixed = ftfy.fix_text(text)
        cleaned = clean(fixed)
        fields = result[n].split("\t")
        want = {"fix_text": fixed, "clean": cleaned}
        got = {"fix_text": bytes.fromhex(fields[0]).decode(), "clean": bytes.fromhex(fields[1]).decode()}
        for i, name in enumerate(["inert", "imagebind"]):
            want[name] = tokenizer.encode(cleaned, live=name == "imagebind")
            got[name] = [int(x) for x in fields[2 + 2 * i].strip("[]").split()], int(fields[3 + 2 * i])
        repaired += fixed != text
        cut += want["inert"][1] > CONTEXT
        if want != got:
            differing += 1
            if differing <= a.show:
                print(f"line {n}: {ascii(text)}")
                for k in want:
                    if want[k] != got[k]:
                        print(f"  {k}:\n    python {ascii(want[k])}\n    go     {ascii(got[k])}")
    print(f"{a.lines} captions, {repaired} repaired by ftfy, {cut} longer than {CONTEXT} tokens: {differing} differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
