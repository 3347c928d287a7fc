#!/usr/bin/env python3
"""Check a finished folder of shards with pyarrow and DuckDB alone.

    check_shards.py SHARDS [--dump DIR --key KEY]

This is the second reader of docs/format.md: it shares no code with prep, so that where the two agree the
page is right. It checks the digests of manifest and selection, every file's size, SHA-256 and block
checksums, the shards' schema with tensor types and shapes (FixedShapeTensorArray.to_numpy_ndarray), the
zeros under nulls, and ledgers against shards and manifest. With --dump and --key it compares the
sample's tensors with the files that `prep inspect SHARDS KEY --dump DIR` wrote. Where polars or datasets
can be imported, they read the folder as well.

Needs pyarrow, duckdb and numpy (PyPI). Exit status: 0 all is as it should be, 1 something differs (one
line on stderr says what), 2 wrong usage or a missing module.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
import zlib
from pathlib import Path

try:
    import duckdb
    import numpy as np
    import pyarrow as pa
except ImportError as e:
    print(f"check_shards.py: {e}; pip install pyarrow duckdb numpy", file=sys.stderr)
    sys.exit(2)

DTYPES = {"uint8": pa.uint8(), "int32": pa.int32(), "float16": pa.float16(), "float32": pa.float32()}
METRICS = {"float64": pa.float64(), "int64": pa.int64(), "string": pa.string()}
BLOCK = 1 << 20


def fail(message):
    print(f"check_shards.py: {message}", file=sys.stderr)
    sys.exit(1)


def crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return np.array(table, dtype=np.uint32)


def crc32c(data, table=crc32c_table()):
    """CRC-32C of a block. Table by table in plain Python: fit for checking a few blocks, not a data set."""
    crc = 0xFFFFFFFF
    table = table.tolist()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return f"{crc ^ 0xFFFFFFFF:08x}"


def sealed(path):
    """Read a file that ends with the SHA-256 of itself, taken with zeros in the digest's place."""
    data = path.read_bytes()
    m = re.search(rb'"digest": "([0-9a-f]{64})"\n}\n\Z', data)
    if not m:
        fail(f"{path.name}: does not end with its digest")
    blank = data[: m.start(1)] + b"0" * 64 + data[m.end(1) :]
    if hashlib.sha256(blank).hexdigest().encode() != m.group(1):
        fail(f"{path.name}: its digest does not fit its content")
    return json.loads(data)


def check_file(root, entry, blocks):
    """Compare a file with its entry in the manifest; its first `blocks` block checksums too."""
    path = root / entry["name"]
    if not path.is_file():
        fail(f"{entry['name']}: missing")
    if path.stat().st_size != entry["bytes"]:
        fail(f"{entry['name']}: {path.stat().st_size} bytes, the manifest says {entry['bytes']}")
    if len(entry["crc32c_1mib"]) != -(-entry["bytes"] // BLOCK):
        fail(f"{entry['name']}: {len(entry['crc32c_1mib'])} block checksums for {entry['bytes']} bytes")
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for i, want in enumerate(entry["crc32c_1mib"]):
            block = f.read(BLOCK)
            digest.update(block)
            if i < blocks and crc32c(block) != want:
                fail(f"{entry['name']}: block {i} differs from its checksum")
    if digest.hexdigest() != entry["sha256"]:
        fail(f"{entry['name']}: its sha256 differs from the manifest's")
    return path


def check_schema(name, schema, want):
    fields = [("key", pa.string(), False), ("labels", pa.list_(pa.string()), False), ("caption", pa.string(), True)]
    if want.get("captions"):
        fields.append(("captions", pa.list_(pa.string()), False))
    for t in want["tensors"]:
        dtype = pa.null() if t["dtype"] == "null" else pa.fixed_shape_tensor(DTYPES[t["dtype"]], t["shape"])
        fields.append((t["name"], dtype, True))
    fields += [(m["name"], METRICS[m["type"]], True) for m in want["metrics"]]
    if schema.names != [f[0] for f in fields]:
        fail(f"{name}: columns {schema.names}, the manifest has {[f[0] for f in fields]}")
    for field, (column, dtype, nullable) in zip(schema, fields):
        if not field.type.equals(dtype) or field.nullable != nullable:
            fail(f"{name}: column {column} is {field.type} (nullable {field.nullable}), want {dtype} (nullable {nullable})")


def tensors(column):
    """All rows of a tensor column of one batch as an array, with what lies under nulls."""
    storage = column.storage
    plain = pa.FixedSizeListArray.from_arrays(storage.values, storage.type.list_size)
    return pa.ExtensionArray.from_storage(column.type, plain).to_numpy_ndarray()


def read_shards(root, manifest):
    """Check every shard and return {shard: [(key, metrics)]}."""
    out = {}
    for task in manifest["tasks"]:
        name = task["shard"]["name"]
        if not re.fullmatch(rf"shard-{task['index']:06d}-{task['shard']['sha256'][:16]}\.arrow", name):
            fail(f"{name}: not named after its task and content")
        reader = pa.ipc.open_file(pa.memory_map(str(root / name)))
        check_schema(name, reader.schema, manifest["schema"])
        rows = []
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            batch.validate(full=True)
            if batch.nbytes > 256 << 20:
                fail(f"{name}: batch {i} has {batch.nbytes} bytes")
            for t in manifest["schema"]["tensors"]:
                column = batch.column(t["name"])
                if t["dtype"] == "null":
                    if column.null_count != len(batch):
                        fail(f"{name}: column {t['name']} has values")
                    continue
                if type(column) is not pa.FixedShapeTensorArray:
                    fail(f"{name}: column {t['name']} is read as {type(column).__name__}")
                values = tensors(column)
                if values.shape != (len(batch), *t["shape"]) or str(values.dtype) != t["dtype"]:
                    fail(f"{name}: column {t['name']} is {values.dtype} {values.shape}")
                null = column.is_null().to_numpy(zero_copy_only=False)
                if values[null].view(np.uint8).any():
                    fail(f"{name}: column {t['name']} of batch {i} has something other than zeros under nulls")
            names = ["key"] + [m["name"] for m in manifest["schema"]["metrics"]]
            rows += batch.select(names).to_pylist()
        if len(rows) != task["written"]:
            fail(f"{name}: {len(rows)} rows, the manifest says {task['written']}")
        out[name] = rows
    return out


def check_ledgers(root, manifest, shards):
    if not manifest["tasks"]:
        return
    con = duckdb.connect()
    con.from_parquet([str(root / t["ledger"]["name"]) for t in manifest["tasks"]], filename=True).create_view("ledger")
    want = ["key", "outcome", "reason", "detail", "source", "shard", "row"] + [m["name"] for m in manifest["schema"]["metrics"]]
    got = [c[0] for c in con.execute("describe ledger").fetchall()]
    if got != want + ["filename"]:
        fail(f"ledger: columns {got}, want {want}")
    counts = dict(con.execute("select outcome, count(*) from ledger group by 1").fetchall())
    for outcome in ("written", "rejected", "failed"):
        if counts.pop(outcome, 0) != manifest["counts"][outcome]:
            fail(f"ledger: outcome {outcome} is not {manifest['counts'][outcome]} times, as the manifest has it")
    if counts:
        fail(f"ledger: unknown outcomes {sorted(counts)}")
    if manifest["counts"]["in"] != sum(manifest["counts"][k] for k in ("written", "rejected", "failed")):
        fail(f"manifest.json: in is not written + rejected + failed: {manifest['counts']}")
    reasons = dict(con.execute("select outcome || ':' || reason, count(*) from ledger where outcome <> 'written' group by 1").fetchall())
    if reasons != manifest["reasons"]:
        fail(f"ledger: reasons {reasons}, the manifest has {manifest['reasons']}")
    for task in manifest["tasks"]:
        per = dict(con.execute("select outcome, count(*) from ledger where filename like '%' || ? group by 1", [task["ledger"]["name"]]).fetchall())
        if any(per.get(k, 0) != task[k] for k in ("written", "rejected", "failed")) or sum(per.values()) != task["in"] or task["in"] != task["end"] - task["start"]:
            fail(f"{task['ledger']['name']}: {per}, the manifest has {[task[k] for k in ('in', 'written', 'rejected', 'failed')]}")
    twice = con.execute("select key from ledger group by 1 having count(*) > 1 limit 1").fetchone()
    if twice:
        fail(f"ledger: key {twice[0]} occurs twice")
    names = ["shard", "row", "key"] + [m["name"] for m in manifest["schema"]["metrics"]]
    seen = 0
    select = ", ".join('"' + n.replace('"', '""') + '"' for n in names)
    for shard, row, *values in con.execute(f"select {select} from ledger where outcome = 'written'").fetchall():
        if shard not in shards or not 0 <= row < len(shards[shard]):
            fail(f"ledger: {values[0]} is said to be row {row} of {shard}")
        stored = list(shards[shard][row].values())
        if not all(a == b or (a != a and b != b) for a, b in zip(stored, values)):
            fail(f"ledger: row {row} of {shard} is {stored} in the shard and {values} in the ledger")
        seen += 1
    if seen != sum(map(len, shards.values())):
        fail(f"ledger: {seen} rows written, the shards have {sum(map(len, shards.values()))}")


def check_selection(root, manifest):
    path = root / "selection.json"
    if not path.exists():
        return None
    selection = sealed(path)
    if selection["manifest"] != manifest["digest"]:
        fail("selection.json: belongs to another manifest")
    kept = 0
    for entry, task in zip(selection["shards"], manifest["tasks"], strict=True):
        bitmap = base64.b64decode(entry["bitmap"], validate=True)
        bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
        if entry["shard"] != task["shard"]["name"] or entry["rows"] != task["written"] or bits[entry["rows"] :].any() or int(bits.sum()) != entry["kept"]:
            fail(f"selection.json: the entry of {entry['shard']} does not fit the shard")
        kept += entry["kept"]
    if kept != selection["kept"] or kept + sum(selection["removed"].values()) != manifest["counts"]["written"]:
        fail(f"selection.json: it keeps {kept} rows and says {selection['kept']}, removed {selection['removed']}")
    return kept


def read_png(path):
    """Decode an 8-bit grey, RGB or RGBA PNG that is not interlaced to [height, width, channels] (RFC 2083)."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        fail(f"{path}: no PNG")
    at, body = 8, b""
    width = height = channels = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        chunk = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, bits, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunk)
            if bits != 8 or interlace or colour not in (0, 2, 6):
                fail(f"{path}: bit depth {bits}, colour type {colour}, interlace {interlace}")
            channels = {0: 1, 2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            body += chunk
        at += 12 + size
    lines = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + width * channels)
    out = np.zeros((height, width * channels), np.int32)
    for y in range(height):
        kind, line = int(lines[y, 0]), lines[y, 1:].astype(np.int32)
        up = out[y - 1] if y else np.zeros_like(line)
        if kind == 2:
            line = line + up & 255
        elif kind:
            for x in range(len(line)):
                a = line[x - channels] if x >= channels else 0
                b, c = up[x], up[x - channels] if x >= channels else 0
                if kind == 1:
                    line[x] = line[x] + a & 255
                elif kind == 3:
                    line[x] = line[x] + (a + b) // 2 & 255
                else:
                    p = a + b - c
                    nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                    line[x] = line[x] + nearest & 255
        out[y] = line
    return out.reshape(height, width, channels).astype(np.uint8)


def check_dump(root, manifest, key, dump):
    """Compare the stored tensors of a sample with the files of `prep inspect --dump`."""
    row = None
    for task in manifest["tasks"]:
        reader = pa.ipc.open_file(pa.memory_map(str(root / task["shard"]["name"])))
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            keys = batch.column("key").to_pylist()
            if key in keys:
                row = batch, keys.index(key)
    if row is None:
        fail(f"--key {key}: no such row in the shards")
    batch, at = row
    compared = []

    def same(name, got, want):
        if got.shape != want.shape or got.dtype != want.dtype or not np.array_equal(got.view(np.uint8), want.view(np.uint8)):
            fail(f"{dump / name}: differs from the shard ({got.dtype} {got.shape}, stored {want.dtype} {want.shape})")
        compared.append(name)

    for t in manifest["schema"]["tensors"]:
        column = batch.column(t["name"])
        files = {"audio": ["mel.npy"], "text": ["text.json"], "image": ["image.png"], "thermal": ["thermal.png"],
                 "video": [f"video_{k}.png" for k in range(t["shape"][1] if t["name"] == "video" else 0)]}.get(t["name"], [t["name"] + ".npy"])
        if not column[at].is_valid:
            for name in files:
                if (dump / name).exists():
                    fail(f"{dump / name}: there, though {t['name']} of {key} is null")
            continue
        stored = np.ascontiguousarray(tensors(column)[at])
        for k, name in enumerate(files):
            path = dump / name
            if not path.exists():
                fail(f"{path}: missing, though {key} has {t['name']}")
            if name.endswith(".npy"):
                same(name, np.ascontiguousarray(np.load(path)), stored)
            elif name.endswith(".json"):
                text = json.loads(path.read_text())
                same(name, np.array(text["ids"], np.int32), stored)
                caption = batch.column("caption")[at].as_py()
                if text["caption"] != (caption or ""):
                    fail(f"{path}: caption {text['caption']!r}, the shard has {caption!r}")
            else:
                plane = stored[:, k] if t["name"] == "video" else stored
                picture = read_png(path)[:, :, :3].transpose(2, 0, 1)
                if len(picture) > len(plane):  # one channel, drawn as grey
                    if any(not np.array_equal(c, picture[0]) for c in picture):
                        fail(f"{path}: in colour, the shard has one channel")
                    picture = picture[: len(plane)]
                same(name, np.ascontiguousarray(picture), np.ascontiguousarray(plane))
    if not compared:
        fail(f"{dump}: nothing to compare, {key} has no tensors")
    return compared


def optional_readers(root, manifest):
    """Read the folder with what else is installed; return who did."""
    done = []
    shards = [str(root / t["shard"]["name"]) for t in manifest["tasks"]]
    if not shards:
        return done
    try:
        import polars as pl
    except ImportError:
        pl = None
    if pl:
        n = pl.concat([pl.read_ipc(s, columns=["key"]) for s in shards]).height
        if n != manifest["counts"]["written"]:
            fail(f"polars reads {n} rows")
        done.append("polars")
    try:
        import datasets
    except ImportError:
        datasets = None
    if datasets:
        tables = []
        for s in shards:
            table = pa.ipc.open_file(pa.memory_map(s)).read_all()
            for t in manifest["schema"]["tensors"]:  # datasets has no fixed-shape tensors: their storage
                if t["dtype"] == "null":
                    continue
                i = table.schema.get_field_index(t["name"])
                storage = pa.chunked_array([c.storage for c in table.column(i).chunks], table.schema.field(i).type.storage_type)
                table = table.set_column(i, t["name"], storage)
            tables.append(table)
        n = datasets.Dataset(pa.concat_tables(tables)).num_rows
        if n != manifest["counts"]["written"]:
            fail(f"datasets reads {n} rows")
        done.append("datasets")
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="Exit status: 0 fine, 1 something differs, 2 usage.")
    parser.add_argument("shards", type=Path, metavar="SHARDS")
    parser.add_argument("--dump", type=Path, metavar="DIR", help="what `prep inspect SHARDS KEY --dump DIR` wrote")
    parser.add_argument("--key", help="the sample that was dumped")
    argv = sys.argv[1:]
    if "--key" in argv[:-1]:  # AudioSet's IDs may begin with a dash, which argparse takes for an option
        i = argv.index("--key")
        argv[i : i + 2] = ["--key=" + argv[i + 1]]
    args = parser.parse_args(argv)
    if (args.dump is None) != (args.key is None):
        parser.error("--dump and --key go together")
    if not (args.shards / "manifest.json").is_file():
        fail(f"{args.shards}: no manifest.json: not a finished folder of shards")

    manifest = sealed(args.shards / "manifest.json")
    if manifest["format_version"] != 1:
        fail(f"manifest.json: format version {manifest['format_version']}")
    listed = set()
    for i, task in enumerate(manifest["tasks"]):
        for entry in (task["shard"], task["ledger"]):
            check_file(args.shards, entry, blocks=1 if i == 0 else 0)
            listed.add(entry["name"])
    for entry in manifest["files"]:
        check_file(args.shards, entry, blocks=1)
    for path in args.shards.iterdir():
        if re.fullmatch(r".*\.arrow|ledger.*\.parquet", path.name) and path.name not in listed:
            fail(f"{path.name}: not in the manifest")
    shards = read_shards(args.shards, manifest)
    check_ledgers(args.shards, manifest, shards)
    kept = check_selection(args.shards, manifest)
    said = [f"{manifest['counts']['written']} rows in {len(shards)} shards", f"{manifest['counts']['in']} ledger rows"]
    if kept is not None:
        said.append(f"the selection keeps {kept}")
    if args.key is not None:
        said.append("dumped " + ", ".join(check_dump(args.shards, manifest, args.key, args.dump)) + " equal")
    said += [f"{name} reads them" for name in optional_readers(args.shards, manifest)]
    print("check_shards.py: " + "; ".join(said))


if __name__ == "__main__":
    try:
        main()
    except (pa.ArrowException, duckdb.Error, OSError, KeyError, TypeError, ValueError) as e:
        fail(f"{type(e).__name__}: {e}")
