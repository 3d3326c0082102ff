#!/usr/bin/env python3
"""The speed figures of README as ratios within one run. By hand, on an idle machine.

    LAYEVAL=build/layeval tests/bench/bench_figures.py [--only speed,threads,lengths,aligner,train,large]

Every line is a ratio, what it is held against, and how steady the machine was (`layeval bench`, steady). Groups, with
minutes on two cores: speed 5, threads 2, lengths 3, aligner 4, train 5, large 8 (llama2-7b in int8, 16 GB of memory).
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
ONCE = ["--repetitions", "1", "--bound-seconds", "0.05"]


def bench(*arguments):
    done = subprocess.run([LAYEVAL, "bench", *arguments, "--quiet", "-o", "json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def line(what, value, wanted, *rows, most=False):
    good = value <= wanted if most else value >= wanted
    steady = min((r.get("steadiness") or 1 for r in rows), default=1)
    print(f"| {what} | {value:.2f} | at {'most' if most else 'least'} {wanted:.2f} | {'reached' if good else 'missed'} |"
          f" {100 * steady:.0f} % |", flush=True)


def figures(row):
    """A row of README's table, beside the ratios."""
    print(f"  {row['shape']} {row['dtype']}, batch {row['batch']}: {row['total_tps']:.0f} tokens/s, {100 * row['fraction_of_bound']:.0f} %"
          f" of the bound, decode {100 * row['decode_tps_fraction_of_bound']:.0f} %, peak"
          f" {(row['peak_rss_bytes'] - row['table_bytes']) / 1e9:.1f} GB, steady {100 * row['steadiness']:.0f} %", file=sys.stderr)


def answer_lengths(path):
    """Of 64 answers as MGSM has them: log-normal around 55 tokens, 8 to 128."""
    random.seed(7)
    path.write_text("".join(f"{max(8, min(128, int(random.lognormvariate(4, 0.5))))}\n" for _ in range(64)))


def speed():
    rows = {(r["dtype"], r["batch"]): r for r in bench(*LLM, "--dtype", "bf16,int8", "--batch", "1,8,32", *ONCE)}
    for row in rows.values():
        figures(row)
    for dtype in ("bf16", "int8"):
        line(f"{dtype}, batch 32, of the bound", rows[dtype, 32]["fraction_of_bound"], 0.80, rows[dtype, 32])
        line(f"{dtype}, batch 8, of the bound", rows[dtype, 8]["fraction_of_bound"], 0.70, rows[dtype, 8])
        line(f"{dtype}, decode, batch 32, of the bound", rows[dtype, 32]["decode_tps_fraction_of_bound"], 0.75, rows[dtype, 32])
    int8, bf16, one = rows["int8", 32], rows["bf16", 32], rows["bf16", 1]
    line("int8 over bf16, batch 32", int8["total_tps"] / bf16["total_tps"], 1.7, int8, bf16)
    line("decode, batch 32 over batch 1, bf16", bf16["decode_tps"] / one["decode_tps"], 8, bf16, one)


def threads():
    one, two = bench(*LLM, "--dtype", "bf16", "--threads", "1,2", "--batch", "32", "--new", "16", "--bound-seconds", "0.02",
                     "--repetitions", "1")
    line("2 threads over 1, batch 32, bf16", two["total_tps"] / one["total_tps"], 1.85, one, two)


def lengths():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "lengths"
        answer_lengths(path)
        run, = bench("--encoder-shape", "mt5-small", "--llm-shape", "tinyllama-1.1b", "--bridge", "layalign", "--dtype",
                     "bf16", "--source", "64", "--prompt", "160", "--lengths", str(path), "--bound-seconds", "0.02", "--repetitions", "1")
    line("64 answers of different lengths over the bench rate", run["lengths_over_bench_rate"], 1.15, run, most=True)


def aligner():
    for dtype in ("bf16", "int8"):
        system, = bench("--encoder-shape", "mt5-xl", "--llm-shape", "tinyllama-1.1b", "--bridge", "layalign", "--dtype",
                        dtype, "--source", "64", "--prompt", "80", "--new", "2", "--batch", "16", "--repetitions", "2",
                        "--bound-seconds", "0.04")
        line(f"mt5-xl encoder {dtype}, of the bound", system["encoder_fraction_of_bound"], 0.75, system)
        line(f"LayAlign's aligner {dtype}, of the bound", system["aligner_fraction_of_bound"], 0.75, system)


def train():
    pair = ["--train", "--encoder-shape", "mt5-small", "--llm-shape", "tinyllama-1.1b", "--bridge", "layalign", "--batch", "8",
            "--prompt", "64", "--source", "48", "--new", "65", "--repetitions", "1", "--bound-seconds", "0.02"]
    all_kept, = bench(*pair)
    some, = bench(*pair, "--memory", f"{all_kept['planned_bytes'] * 0.8:.0f}", "--bound-seconds", "0", "--warm-up", "0")
    line("training, of the bound", all_kept["fraction_of_bound"], 0.60, all_kept)
    for what, row in (("all activations kept", all_kept), (f"{some['kept_layers']} of {some['layers']} layers kept", some)):
        ratio = row["peak_bytes"] / row["planned_bytes"]
        line(f"training, {what}: peak memory off the plan", abs(ratio - 1), 0.10, most=True)


def large():
    seven, = bench("--shape", "llama2-7b", "--dtype", "int8", "--repetitions", "1", "--warm-up", "0", "--bound-seconds", "0.04")
    figures(seven)
    line("llama2-7b int8, batch 32, of the bound", seven["fraction_of_bound"], 0.75, seven)
    system, = bench("--encoder-shape", "mt5-xl", "--llm-shape", "llama2-7b", "--bridge", "layalign", "--dtype", "int8", "--source",
                    "64", "--prompt", "80", "--new", "2", "--batch", "16", "--repetitions", "1", "--bound-seconds", "0.04")
    line("mt5-xl encoder beside llama2-7b, int8, of the bound", system["encoder_fraction_of_bound"], 0.75, system)
    line("LayAlign's aligner from mt5-xl to llama2-7b, int8, of the bound", system["aligner_fraction_of_bound"], 0.75, system)
    line("llama2-7b int8, peak GB", (seven["peak_rss_bytes"] - seven["table_bytes"]) / 1e9, 16, most=True)


GROUPS = {f.__name__: f for f in (speed, threads, lengths, aligner, train, large)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(GROUPS), help="groups of lines, by comma: " + ", ".join(GROUPS))
    names = parser.parse_args().only.split(",")
    print("| figure | ratio | wanted | | steady |\n|---|---:|---:|---|---:|", flush=True)
    for name in names:
        GROUPS[name]()


if __name__ == "__main__":
    main()
