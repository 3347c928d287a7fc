#!/usr/bin/env python3
"""Compares the ledger of an ingest of testdata/audioset with what is expected of each key.

    check_expected.py SHARDS EXPECTED.tsv

EXPECTED has the columns key and outcome, the latter "written", "rejected:REASON" or "failed:REASON".
Exits 1 and prints the difference if there is one. Needs duckdb.
"""
import csv
import sys

import duckdb


def main(shards, expected):
    rows = duckdb.sql(f"select key, outcome, reason, detail from '{shards}/ledger-*.parquet'").fetchall()
    found = {key: (outcome if outcome == "written" else f"{outcome}:{reason}", detail) for key, outcome, reason, detail in rows}
    with open(expected, newline="") as f:
        want = {r["key"]: r["outcome"] for r in csv.DictReader(f, delimiter="\t")}
    wrong = 0
    for key in sorted(want.keys() | found.keys()):
        outcome, detail = found.get(key, ("no row", ""))
        if outcome != want.get(key, "no row"):
            wrong += 1
            print(f"{key}: {outcome}, expected {want.get(key, 'no row')} ({detail})")
    print(f"{len(want)} keys, {wrong} with another outcome")
    return 1 if wrong or not want else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
