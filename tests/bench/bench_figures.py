#!/usr/bin/env python3
"""The speed figures of README as ratios within one run. By hand, on an idle machine; some 20 minutes.

    LAYEVAL=build/layeval tests/bench/bench_figures.py [--large]

Every line is a ratio and what it is held against. --large adds llama2-7b and mt5-xl in int8 (16 GB of memory).
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

LAYEVAL = os.environ.get("LAYEVAL", "build/layeval")
LLM = ["--shape", "tinyllama-1.1b"]


def bench(*arguments):
    done = subprocess.run([LAYEVAL, "bench", *arguments, "--quiet", "-o", "json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def line(what, value, wanted, more=""):
    good = value >= wanted if more != "at most" else value <= wanted
    print(f"| {what} | {value:.2f} | {more or 'at least'} {wanted:.2f} | {'reached' if good else 'missed'} |", flush=True)


def answer_lengths(path):
    """Of 64 answers as MGSM has them: log-normal around 55 tokens, 8 to 128."""
    random.seed(7)
    path.write_text("".join(f"{max(8, min(128, int(random.lognormvariate(4, 0.5))))}\n" for _ in range(64)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true", help="llama2-7b and mt5-xl, too")
    large = parser.parse_args().large
    print("| figure | ratio | wanted | |\n|---|---:|---:|---|")
    rows = {(r["dtype"], r["batch"]): r for r in bench(*LLM, "--dtype", "bf16,int8", "--batch", "1,8,32")}
    for dtype in ("bf16", "int8"):
        line(f"{dtype}, batch 32, of the bound", rows[dtype, 32]["fraction_of_bound"], 0.80)
        line(f"{dtype}, batch 8, of the bound", rows[dtype, 8]["fraction_of_bound"], 0.70)
        line(f"{dtype}, decode, batch 32, of the bound", rows[dtype, 32]["decode_tps_fraction_of_bound"], 0.75)
    line("int8 over bf16, batch 32", rows["int8", 32]["total_tps"] / rows["bf16", 32]["total_tps"], 1.7)
    line("decode, batch 32 over batch 1, bf16", rows["bf16", 32]["decode_tps"] / rows["bf16", 1]["decode_tps"], 8)
    one, two = bench(*LLM, "--dtype", "bf16", "--threads", "1,2", "--batch", "32", "--bound-seconds", "0")
    line("2 threads over 1, batch 32, bf16", two["total_tps"] / one["total_tps"], 1.85)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "lengths"
        answer_lengths(path)
        run, = bench("--encoder-shape", "mt5-small", "--llm-shape", "tinyllama-1.1b", "--bridge", "layalign", "--dtype",
                     "bf16", "--source", "64", "--prompt", "160", "--lengths", str(path), "--bound-seconds", "0")
        line("64 answers of different lengths over the bench rate", run["lengths_over_bench_rate"], 1.15, "at most")
    if large:
        seven, = bench("--shape", "llama2-7b", "--dtype", "int8", "--repetitions", "1", "--warm-up", "0")
        line("llama2-7b int8, batch 32, of the bound", seven["fraction_of_bound"], 0.75)
        line("llama2-7b int8, peak GB", (seven["peak_rss_bytes"] - seven["table_bytes"]) / 1e9, 16, "at most")
        system, = bench("--encoder-shape", "mt5-xl", "--llm-shape", "tinyllama-1.1b", "--bridge", "layalign", "--dtype",
                        "int8", "--source", "64", "--prompt", "160", "--new", "8", "--repetitions", "2")
        line("mt5-xl encoder int8, of the bound", system["encoder_fraction_of_bound"], 0.75)
        line("LayAlign's aligner int8, of the bound", system["aligner_fraction_of_bound"], 0.75)


if __name__ == "__main__":
    main()
