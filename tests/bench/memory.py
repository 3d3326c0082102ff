#!/usr/bin/env python3
"""Memory of a run as ratios to its limits (README, Memory). By hand, not a test: it writes models of some gigabytes.

    tests/bench/memory.py build/layeval [--shape tinyllama-1.1b] [--dir /var/tmp]

For every kind of checkpoint (safetensors in bf16, f32 or shards; torch: pytorch_model.bin) and dtype a small run with --memory is watched from outside, RssAnon + RssShmem of
/proc/PID/status every few milliseconds. Two ratios, both to stay at or below 1:
  load  peak until the weights are there / (packed weights + largest tensor + 200 MB)
  run   peak of all / (1.1 × (packed weights + KV budget)); --memory leaves 64 MB for keys and values beside a step
"""

import argparse
import collections
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cli"))
from weight_files import Torch  # noqa: E402

KV_BYTES = 64 << 20  # of the budget: small, so that it is used up


def anonymous(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(kb) * 1024 for kb in re.findall(r"^(?:RssAnon|RssShmem):\s+(\d+) kB", text, re.M))


def tensors_of(stream):
    """{name: (dtype, shape, first byte, bytes)} of a safetensors file."""
    length = struct.unpack("<Q", stream.read(8))[0]
    header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], 8 + length + t["data_offsets"][0], t["data_offsets"][1] - t["data_offsets"][0])
            for name, t in header.items()}


def largest_tensor(model):
    largest = 0
    for path in model.glob("*.safetensors"):
        with open(path, "rb") as stream:
            largest = max([largest, *(size for _, _, _, size in tensors_of(stream).values())])
    return largest


def to_torch(model):
    """model.safetensors, bf16, as torch.save would write it."""
    torch, things = Torch(), collections.OrderedDict()
    with open(model / "model.safetensors", "rb") as stream, zipfile.ZipFile(model / "pytorch_model.bin", "w") as archive:
        tensors = tensors_of(stream)
        for name, (_, shape, _, size) in tensors.items():
            things[name] = torch.tensor(torch.storage(b"", "BFloat16Storage", size // 2), shape)
        archive.writestr("archive/data.pkl", torch.pickle(things))
        for storage, (_, _, first, size) in zip(torch.storages, tensors.values()):
            stream.seek(first)
            with archive.open(f"archive/data/{storage.key}", "w", force_zip64=True) as entry:
                for at in range(0, size, 1 << 24):
                    entry.write(stream.read(min(1 << 24, size - at)))
        archive.writestr("archive/version", "3\n")
    (model / "model.safetensors").unlink()


def number(text, before):
    value, unit = re.search(before + r" ([0-9.]+) ([GM])B", text).groups()
    return float(value) * {"G": 1e9, "M": 1e6}[unit]


def run(layeval, system, dtype, memory, out, *more):
    command = [layeval, "run", "--system", str(system), "--task", "mgsm", "--lang", "en,bn,th", "--limit", "4",
               "--max-new-tokens", "16", "--data", str(ROOT / "data" / "samples"), "--dtype", dtype, *more]
    if memory is None:
        plan = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=True).stdout
        return number(plan, "weights"), number(plan, "a step up to")
    process = subprocess.Popen([*command, "--memory", str(int(memory)), "--out", str(out)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    peak = load_peak = 0
    while process.poll() is None:
        now = anonymous(process.pid)
        peak = max(peak, now)
        if not (out / "manifest.json").exists():
            load_peak = max(load_peak, now)
        time.sleep(0.003)
    if process.returncode != 0:
        sys.exit(process.stderr.read().decode())
    return load_peak, peak


def measure(layeval, directory, shape, kind, make, dtypes):
    model = directory / kind
    subprocess.run([layeval, "make-model", "--shape", shape, "--out", str(model), "--quiet", "--tokenizer",
                    str(ROOT / "data" / "demo" / "llm" / "tokenizer.model"), *make], check=True, stdout=subprocess.DEVNULL)
    largest = largest_tensor(model)
    if kind == "torch":
        to_torch(model)
    system = directory / "system.json"
    system.write_text(json.dumps({"name": "memory", "method": "plain", "llm": {"path": kind}, "prompt_set": "metamath"}))
    for dtype in dtypes:
        weights, step = run(layeval, system, dtype, None, None)
        cache = directory / "cache"
        for start, more in (("packed", ()), ("first with --cache", ("--cache", str(cache))), ("mapped", ("--cache", str(cache)))):
            load_peak, peak = run(layeval, system, dtype, 1.01 * (weights + step + KV_BYTES), directory / "out", *more)
            load_limit = weights + largest + 200e6
            run_limit = 1.1 * (weights + KV_BYTES)
            print(f"| {kind} | {dtype} | {start} | {weights / 1e9:.2f} | {load_peak / 1e9:.2f} | {load_peak / load_limit:.2f} |"
                  f" {peak / 1e9:.2f} | {peak / run_limit:.2f} |", flush=True)
            shutil.rmtree(directory / "out")
        shutil.rmtree(cache)
    shutil.rmtree(model)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("layeval")
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--dir", default="/var/tmp", help="where some gigabytes can be written")
    parser.add_argument("--kinds", default="bf16,f32,sharded,torch")
    parser.add_argument("--dtypes", default="bf16,int8")
    arguments = parser.parse_args()
    makes = {"bf16": ("--dtype", "bf16"), "f32": ("--dtype", "f32"), "torch": ("--dtype", "bf16"),
             "sharded": ("--dtype", "bf16", "--shard-size", "500M")}
    directory = pathlib.Path(tempfile.mkdtemp(dir=arguments.dir))
    print("| checkpoint | dtype | start | packed, GB | load peak, GB | load ratio | peak, GB | run ratio |")
    print("|---|---|---|---|---|---|---|---|")
    try:
        for kind in arguments.kinds.split(","):
            measure(arguments.layeval, directory, arguments.shape, kind, makes[kind], arguments.dtypes.split(","))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
