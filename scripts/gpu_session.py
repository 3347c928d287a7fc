"""Everything that is to be measured on an NVIDIA GPU, in one run of bounded time, the most important first.

    python scripts/gpu_session.py --prep ./prep --tests ./trainer.test [--minutes 8] [--work DIR] [--only NAME,NAME]

Each part is a process of its own with its own limit of time. As soon as it has ended, one line of JSON with its figures
goes to standard output and to DIR/results.jsonl: what is cut off leaves what was measured before, and a training that ran
out of time the speed of the steps it made. A part that fails says why, and the next one begins; one for which too little
time is left is named. At the end a line sums up. Exit status 1: a part failed.

The two programs are built beforehand, on any machine of the same kind:

    GOEXPERIMENT=simd go build -o prep . && GOEXPERIMENT=simd go test -c -o trainer.test ./trainer

Parts and figures are described in docs/gpu.md. --size small takes towers of a few blocks, and --device xla:PLUGIN another
device than the GPU: so the script itself is tested without one. Needs NumPy, Pillow and PyTorch.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import bench_gpu

HERE = pathlib.Path(__file__).resolve().parent


class Part:
    """One measurement: a name, its limit in seconds, and what to do within a limit."""

    def __init__(self, name, limit, run):
        self.name, self.limit, self.run = name, limit, run


class Failed(Exception):
    """A part that did not do what it should; figures are what it gave all the same."""

    def __init__(self, why, figures=None):
        super().__init__(why)
        self.figures = figures or {}


def call(command, limit, log, enough=lambda: False, **options):
    """Run a command, with all its children, for at most limit seconds, or until it has done enough. Returns its status (None:
    out of time; 0 where it has done enough) and output."""
    until = time.time() + max(1, limit)
    with open(log, "w+") as out:
        p = subprocess.Popen([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT, start_new_session=True, **options)
        status = None
        try:
            while status is None and time.time() < until:
                try:
                    status = p.wait(0.5)
                except subprocess.TimeoutExpired:
                    if enough():
                        status = 0
        finally:
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
        out.seek(0)
        return status, out.read()


def why(status, output, limit):
    return f"out of time after {limit:.0f} s" if status is None else f"exit status {status}: {output.strip()[-600:]}"


def training(a, precision, attention, batch, steps, env=None):
    """prep's training of the audio tower beside the resting vision tower."""

    def run(limit):
        folder = a.work / f"run-{precision}-{attention}-{batch}{'-' + '-'.join(env) if env else ''}"
        command = bench_gpu.train_command(a, folder, batch, precision, attention, steps)
        with bench_gpu.Peak() as peak:
            # Its last measurement and checkpoint are not waited for.
            due = bench_gpu.steps_of(batch, steps)
            status, output = call(command, limit, folder.with_suffix(".log"), lambda: bench_gpu.read_run(folder)["steps"] >= due, env=os.environ | (env or {}))
        figures = {"engine": "prep", "precision": precision, "attention": attention, "batch": batch, **bench_gpu.read_run(folder), "memory_mib": peak.most}
        if status != 0:
            raise Failed(why(status, output, limit), figures)
        return figures

    return run


def torch(a, precision, batch, steps):
    """The same step in PyTorch."""

    def run(limit):
        command = [sys.executable, HERE / "bench_gpu.py", "--torch", f"{precision}:{batch}", "--steps", steps, "--size", a.size, "--device", a.device]
        status, output = call(command, limit, a.work / f"torch-{precision}-{batch}.log")
        lines = [s for s in output.splitlines() if s.startswith("{")]
        if status != 0 or not lines:
            raise Failed(why(status, output, limit), {"precision": precision, "batch": batch})
        return json.loads(lines[-1])

    return run


def largest(of, batches):
    """The first of several batches that fits."""

    def run(limit):
        until, too_large = time.time() + limit, []
        for batch in batches:
            try:
                return {**of(batch)(until - time.time()), "too_large": too_large}
            except Failed as e:
                too_large.append(batch)
                last = e
                if time.time() > until - 5:
                    break
        raise Failed(str(last), {"too_large": too_large})

    return run


def tests(a, name, pattern):
    """Tests of the trainer on the device: each one's outcome, and how many failed."""

    def run(limit):
        env = os.environ | {"PREP_TEST_DEVICE": a.device, "GODEBUG": "cpu.fma=off"}
        # The package's tests find their data beside the package.
        status, output = call([a.tests.resolve(), f"-test.run={pattern}", "-test.v"], limit, a.work / f"tests-{name}.log", cwd=HERE.parent / "trainer", env=env)
        found = re.findall(r"^--- (PASS|FAIL|SKIP): (\S+)", output, re.M)
        figures = {outcome.lower(): [test for o, test in found if o == outcome] for outcome in ("PASS", "FAIL", "SKIP")}
        if status != 0 or not figures["pass"]:
            raise Failed(why(status, output, limit) if status != 0 else "no test ran", figures)
        return figures

    return run


def forward(a, precision):
    """Every tower's forward pass, in samples a second."""

    def run(limit):
        pattern = f"^BenchmarkForward$/^{a.preset}$/^{precision}$"
        env = os.environ | {"PREP_TEST_DEVICE": a.device, "GODEBUG": "cpu.fma=off"}
        status, output = call([a.tests.resolve(), "-test.run=^$", f"-test.bench={pattern}", "-test.benchtime=5x"], limit, a.work / f"forward-{precision}.log", cwd=HERE.parent / "trainer", env=env)
        rates = {m: float(rate) for m, rate in re.findall(rf"^BenchmarkForward/{a.preset}/{precision}/(\w+?)(?:-\d+)?\s.*?([\d.]+) samples/s", output, re.M)}
        if status != 0 or not rates:
            raise Failed(why(status, output, limit) if status != 0 else "no tower was measured: " + output[-300:], {"samples_per_second": rates})
        return {"precision": precision, "samples_per_second": rates}

    return run


def data(a):
    def run(limit):
        began = time.time()
        status, output = call([sys.executable, HERE / "bench_gpu.py", "--prep", a.prep, "--work", a.work, "--items", a.items, "--runs", ""], limit, a.work / "data.log")
        if status != 0:
            raise Failed(why(status, output, limit))
        return {"items": a.items, "made_in": round(time.time() - began, 1)}

    return run


def parts(a):
    """All parts, the most important first; the limits are for an H100 with 16 cores."""
    half = a.batch
    return [
        Part("data", 90, data(a)),
        Part("bf16", 90, training(a, "bf16", "auto", half, a.steps)),
        Part("torch-bf16", 80, torch(a, "bf16", half, a.steps)),
        Part("bf16-largest", 100, largest(lambda n: training(a, "bf16", "auto", n, a.steps), a.largest)),
        Part("torch-bf16-largest", 90, largest(lambda n: torch(a, "bf16", n, a.steps), a.largest)),
        Part("float32", 70, training(a, "float32", "auto", half, a.steps // 2)),
        Part("tf32", 60, training(a, "tf32", "auto", half, a.steps // 2)),
        Part("fp16", 60, training(a, "fp16", "auto", half, a.steps // 2)),
        Part("bf16-products", 60, training(a, "bf16", "products", half, a.steps // 2)),
        Part("forward-bf16", 100, forward(a, "bf16")),
        Part("devices", 60, tests(a, "devices", "^TestDevices|^TestFlash")),
        Part("golden", 120, tests(a, "golden", "^TestGolden(Forward|Training|Precision|LossScaling)$")),
        Part("bf16-waiting", 60, training(a, "bf16", "auto", half, a.steps, {"PREP_XLA_WAIT": "1"})),
        Part("torch-tf32", 60, torch(a, "tf32", half, a.steps // 2)),
        Part("forward-float32", 60, forward(a, "float32")),
    ]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--prep", type=pathlib.Path, default=pathlib.Path("prep"))
    p.add_argument("--tests", type=pathlib.Path, default=pathlib.Path("trainer.test"), help="the trainer's compiled tests")
    p.add_argument("--work", type=pathlib.Path, default=pathlib.Path("gpu-session"))
    p.add_argument("--device", default="cuda")
    p.add_argument("--size", choices=bench_gpu.SIZES, default="huge")
    p.add_argument("--minutes", type=float, default=8, help="for everything")
    p.add_argument("--items", type=int, default=1024)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--largest", default="640,512,384,256", help="batches of which the first that fits is taken")
    p.add_argument("--steps", type=int, default=24, help="of batch 64; fewer of larger ones")
    p.add_argument("--only", default="", help="names of parts")
    p.add_argument("--limit", type=float, help="seconds for each part, whatever it has otherwise")
    a = p.parse_args()
    a.config, a.preset, a.largest = None, bench_gpu.SIZES[a.size]["preset"], [int(n) for n in a.largest.split(",")]
    a.work.mkdir(parents=True, exist_ok=True)
    a.prep, a.work = a.prep.resolve(), a.work.resolve()
    until = time.time() + 60 * a.minutes
    todo = [part for part in parts(a) if not a.only or part.name in a.only.split(",")]
    if unknown := set(filter(None, a.only.split(","))) - {part.name for part in todo}:
        p.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(part.name for part in parts(a))}")
    failed, left = [], []
    with open(a.work / "results.jsonl", "a") as results:

        def tell(line):
            for out in (sys.stdout, results):
                print(json.dumps(line), file=out, flush=True)

        for part in todo:
            limit = min(a.limit or part.limit, until - time.time() - 2)
            if limit < 10:
                left.append(part.name)
                tell({"part": part.name, "left_out": "no time is left"})
                continue
            began = time.time()
            line = {"part": part.name}
            try:
                line |= part.run(limit)
            except Failed as e:
                failed.append(part.name)
                line |= e.figures | {"failed": str(e)}
            except Exception as e:  # whatever it is, the other parts are worth their time
                failed.append(part.name)
                line |= {"failed": f"{type(e).__name__}: {e}"}
            tell(line | {"seconds": round(time.time() - began, 1)})
        tell({"part": "all", "failed_parts": failed, "left_out_parts": left, "seconds": round(60 * a.minutes - (until - time.time()), 1)})
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
