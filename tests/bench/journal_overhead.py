"""What the journal costs a run: seconds spent in appending lines beside the seconds spent in answering, both as
timing.json has them, and what sealing and syncing add at the end. By hand:

    python3 tests/bench/journal_overhead.py build/layeval [DIR]

The demo systems answer in milliseconds what real ones answer in seconds: the share is an upper bound. DIR (default: a
temporary directory) chooses the disk."""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def measure(layeval, out, max_new_tokens):
    command = [layeval, "run", "--tasks", "mgsm,msvamp,x-csqa,xnli", "--lang", "available", "--data", ROOT / "data" / "samples",
               "--system", ROOT / "data" / "demo" / "layalign.json", "--max-new-tokens", max_new_tokens, "--quiet", "--out", out]
    start = time.monotonic()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    wall = time.monotonic() - start
    session = json.loads((out / "timing.json").read_text(encoding="utf-8"))["sessions"][0]
    answering = session["wall_seconds"] - session["load_seconds"]
    size = (out / "journal.jsonl").stat().st_size
    print(f"{max_new_tokens:>4} new tokens: {session['samples']} samples, {answering:.2f} s of answering, "
          f"{1000 * answering / session['samples']:.2f} ms a sample; journal {1000 * session['journal_seconds']:.1f} ms "
          f"({size / session['samples'] / 1000:.1f} KB a line), {100 * session['journal_seconds'] / answering:.2f} % of the run; "
          f"whole command {wall:.2f} s")


def main():
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as scratch:
        for max_new_tokens in (16, 64, 256):
            measure(sys.argv[1], pathlib.Path(scratch) / str(max_new_tokens), max_new_tokens)


if __name__ == "__main__":
    main()
