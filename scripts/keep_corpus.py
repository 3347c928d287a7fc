#!/usr/bin/env python3
"""Keep some of what the fuzzers found in the repository: scripts/keep_corpus.py

go test -fuzz collects inputs that reach new code in the build cache, which other machines and clean ones lack. Of
each fuzz test's this copies at most 30 of at most 2 KiB, spread over their sizes, to testdata/fuzz, where plain go
test runs them as well and the next fuzzing begins with them. What is there already stays: findings are kept forever.
"""
import pathlib
import re
import shutil
import subprocess

MOST, LARGEST = 30, 2048

root = pathlib.Path(__file__).resolve().parent.parent
module = (root / "go.mod").read_text().split()[1]
cache = pathlib.Path(subprocess.check_output(["go", "env", "GOCACHE"], text=True).strip()) / "fuzz" / module
for found in sorted(cache.rglob("Fuzz*")):
    package = root / found.parent.relative_to(cache)
    if not any(re.search(rf"^func {found.name}\(", t.read_text(), re.M) for t in package.glob("*_test.go")):
        continue  # a test that is gone
    inputs = sorted((f for f in found.iterdir() if f.stat().st_size <= LARGEST), key=lambda f: (f.stat().st_size, f.name))
    if len(inputs) > MOST:
        inputs = [inputs[i * len(inputs) // MOST] for i in range(MOST)]
    to = package / "testdata" / "fuzz" / found.name
    have = {f.name for f in to.glob("*")}
    if len(have) >= MOST:
        continue
    to.mkdir(parents=True, exist_ok=True)
    for f in inputs:
        shutil.copy(f, to)
    print(found.relative_to(cache), len(inputs))
