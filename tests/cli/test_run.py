"""`layeval run` on the demo systems: accounting, independence of batch and threads, interruption, real data."""
import csv
import filecmp
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import unittest

from faults import inject

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"
SAMPLES = ROOT / "data" / "samples"
SHARED = pathlib.Path(os.environ.get("LAYEVAL_SHARED", ROOT.parent / "shared"))
SYSTEMS = ("plain", "langbridge", "mindmerger", "layalign")
TASKS = ("mgsm", "msvamp", "x-csqa", "xnli")


def command(out, *more, systems=("layalign",), tasks=TASKS, data=SAMPLES):
    words = [LAYEVAL, "run", "--tasks", ",".join(tasks), "--data", data, "--out", out]
    if data == SAMPLES and "--lang" not in more:
        words += ["--lang", "available"]
    for system in systems:
        words += ["--system", DEMO / f"{system}.json"]
    return [str(word) for word in [*words, *more]]


def run(*args, limit_bytes=None, **keywords):
    def tighten():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    return subprocess.run(command(*args, **keywords), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          encoding="utf-8", timeout=600, check=False, preexec_fn=tighten if limit_bytes else None)


def files_of(directory):
    return sorted(p.relative_to(directory) for p in directory.rglob("*") if p.is_file() and p.name != "timing.json")


def journal_lines(directory):
    path = directory / "journal.jsonl"
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


class Base(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="layeval-run-"))
        self.addCleanup(shutil.rmtree, self.dir)

    def succeeds(self, *args, **keywords):
        result = run(*args, **keywords)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def assert_same(self, a, b):
        self.assertEqual(files_of(a), files_of(b))
        _, differing, unreadable = filecmp.cmpfiles(a, b, files_of(a), shallow=False)
        self.assertEqual((differing, unreadable), ([], []), f"{a} {b}")

    def check_accounting(self, directory, rows):
        """Every sample of the manifest is journalled once, and every row adds up."""
        manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        expected = {(t["task"], lang["language"]): lang["n"] for t in manifest["tasks"] for lang in t["languages"]}
        seen = {}
        for line in (directory / "journal.jsonl").read_text(encoding="utf-8").split("\n")[1:-1]:
            entry = json.loads(line)
            seen.setdefault((entry["task"], entry["language"]), []).append(entry["doc_id"])
        self.assertEqual({key: list(range(n)) for key, n in expected.items()}, seen)
        counted = {}
        for row in rows:
            if row["language"] in ("lrl", "hrl", "avg"):
                continue
            number = {key: int(row[key]) for key in ("n", "error", "correct_paper", "wrong_paper", "correct_strict",
                                                     "wrong_strict", "unparsed")}
            self.assertEqual(number["n"], number["correct_paper"] + number["wrong_paper"] + number["error"], row)
            self.assertEqual(number["n"], number["correct_strict"] + number["wrong_strict"] + number["unparsed"] +
                             number["error"], row)
            counted[row["task"], row["language"]] = number["n"]
        self.assertEqual(counted, expected)
        return expected


class Run(Base):
    def test_demo_systems_account_for_every_sample(self):
        out = self.dir / "demo"
        result = self.succeeds(out, systems=SYSTEMS)
        for system in SYSTEMS:
            self.assertIn(system, result.stdout)
        with open(out / "results.csv", encoding="utf-8", newline="") as stream:
            combined = list(csv.DictReader(stream))
        for system in SYSTEMS:
            with open(out / system / "results.csv", encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream))
            self.assertEqual(rows, [row for row in combined if row["system"] == system])
            counts = self.check_accounting(out / system, rows)
            for task in TASKS:
                self.assertGreaterEqual(sum(1 for t, _ in counts if t == task), 6)
            self.assertTrue(all(n >= 8 for n in counts.values()))
            for task, language in counts:
                lines = (out / system / f"samples_{task}_{language}.jsonl").read_text(encoding="utf-8").splitlines()
                self.assertEqual(len(lines), counts[task, language])
        self.assertFalse(list(out.rglob("*.tmp-*")) + list(out.rglob(".lock")))

    def test_batch_size_and_threads_change_nothing(self):
        # Bits are compared in the release build; the sanitizers look at every path once.
        for dtype in ("bf16",) if inject.SANITIZED else ("f32", "bf16"):
            first = None
            for batch, threads in ((1, 1), (3, 2)) if inject.SANITIZED else ((1, 1), (3, 1), (32, 1), (1, 2), (3, 2), (32, 2)):
                out = self.dir / f"{dtype}-{batch}-{threads}"
                self.succeeds(out, "--dtype", dtype, "--batch-size", batch, "--threads", threads, "--limit", 1,
                              "--max-new-tokens", 12, "--quiet", systems=SYSTEMS)
                if first:
                    self.assert_same(first, out)
                    shutil.rmtree(out)
                first = first or out
            self.assertGreater(len(list(first.rglob("samples_*.jsonl"))), 4 * 4 * 6 - 1)
            for system in SYSTEMS:
                manifest = json.loads((first / system / "manifest.json").read_text(encoding="utf-8"))
                self.assertIs(manifest["batch_invariant"], True)
                self.assertIn("tried on this machine", manifest["batch_invariant_reason"])

    def test_official_batches_are_recorded_as_not_invariant(self):
        out = self.dir / "official"
        self.succeeds(out, "--official-batch", 3, "--limit", 4, "--max-new-tokens", 8, tasks=("mgsm",))
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        self.assertIs(manifest["batch_invariant"], False)
        self.assertIn("--official-batch 3", manifest["batch_invariant_reason"])
        self.assertEqual({lang["n"] for lang in manifest["tasks"][0]["languages"]}, {4})
        self.assertEqual(journal_lines(out), 4 * len(manifest["tasks"][0]["languages"]))

    def test_reports_on_request(self):
        self.succeeds(self.dir / "one", "--report", "md,tex,junit", "--limit", "1", tasks=("mgsm",))
        self.succeeds(self.dir / "two", "--report", "md", "--limit", "1", tasks=("mgsm",), systems=("plain", "layalign"))
        for name, format in (("report.md", "md"), ("table.tex", "latex"), ("junit.xml", "junit")):
            later = subprocess.run([LAYEVAL, "report", self.dir / "one", "--format", format], capture_output=True, check=True)
            self.assertEqual((self.dir / "one" / name).read_bytes(), later.stdout, name)
        for folder, systems in (("two", ["plain", "layalign"]), ("two/plain", ["plain"]), ("two/layalign", ["layalign"])):
            text = (self.dir / folder / "report.md").read_text(encoding="utf-8")
            table = text.split("\n\n")[2].splitlines()
            self.assertEqual([line.split("|")[1].strip() for line in table[2:]], systems)
        for words in (("--report", "csv"), ("--report", "md", "--predict-only")):
            result = run(self.dir / "three", *words, tasks=("mgsm",))
            self.assertEqual((result.returncode, result.stdout), (2, ""))
            self.assertIn("--report", result.stderr)
        self.assertFalse((self.dir / "three").exists())

    def test_write_out_shows_the_exact_prompt(self):
        result = self.succeeds(self.dir / "none", "--write-out", "--dry-run", "--lang", "en", tasks=("mgsm",))
        self.assertFalse((self.dir / "none").exists())
        question = next(iter(sorted((SAMPLES / "mgsm").glob("mgsm_en*")))).read_text(encoding="utf-8").split("\t")[0]
        self.assertIn("--- encoder\n" + question + "\n", result.stdout)
        self.assertIn("Below is an instruction that describes a task. Write a response that appropriately completes the "
                      "request.\n\n### Instruction:\n" + question + "\n\n### Response: Let's think step by step.\n",
                      result.stdout)
        self.assertRegex(result.stdout, r"--- prompt ids \([1-9][0-9]*\)\n[0-9]+ [0-9 ]+\n")


class Interrupted(Base):
    """One sequence at a time, so that a line of the journal follows the other."""
    SLOW = ("--batch-size", 1, "--threads", 1, "--max-new-tokens", 8, "--lang", "en,bn")
    TASKS = ("mgsm", "xnli")

    def start(self, out):
        """A process that stands still in front of the sixth line of its journal, the first being the manifest's."""
        calls = inject.calls_of(*command(self.dir / "log", *self.SLOW, tasks=self.TASKS)[1:])
        shutil.rmtree(self.dir / "log")
        sixth = [n for n, call in enumerate(calls, 1) if call == "write"][5]
        return inject.stopped(*command(out, *self.SLOW, tasks=self.TASKS)[1:], fault=sixth)

    def test_signals_and_death_leave_a_run_that_continues(self):
        whole = self.dir / "whole"
        self.succeeds(whole, *self.SLOW, tasks=self.TASKS)
        total = journal_lines(whole)
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
            out = self.dir / f"signal-{int(number)}"
            process = self.start(out)
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            _, complaint = process.communicate(timeout=120)
            self.assertEqual(process.returncode, code, complaint)
            done = journal_lines(out)
            self.assertTrue(3 <= done < total, f"{done} of {total}")
            self.assertFalse((out / "results.json").exists())
            if code == 130:
                self.assertIn(f"{done} of {total} samples are safe", complaint)
                self.assertIn("repeat the command", complaint)
                self.assertFalse((out / ".lock").exists())
            result = self.succeeds(out, *self.SLOW, tasks=self.TASKS)
            self.assertIn("resuming", result.stderr)
            self.assert_same(whole, out)

    def test_a_second_process_is_refused(self):
        out = self.dir / "shared"
        process = self.start(out)
        second = run(out, *self.SLOW, tasks=self.TASKS)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=120)
        self.assertEqual(second.returncode, 3, second.stderr)
        self.assertIn(f"process {process.pid}", second.stderr)
        self.assertIn(str(out), second.stderr)
        self.assertEqual(process.returncode, 130)

    def test_a_full_disk_is_reported_with_what_is_safe(self):
        short = ("--max-new-tokens", 8, "--limit", 3)
        whole, out = self.dir / "whole", self.dir / "full"
        self.succeeds(whole, *short, tasks=("mgsm",))
        size = (whole / "journal.jsonl").stat().st_size
        result = run(out, *short, tasks=("mgsm",), limit_bytes=size // 2)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("journal.jsonl", result.stderr)
        done = journal_lines(out)
        self.assertTrue(0 < done < journal_lines(whole))
        self.assertIn(f"{done} of {journal_lines(whole)} samples are safe", result.stderr)
        self.succeeds(out, *short, tasks=("mgsm",))
        self.assert_same(whole, out)

    def test_another_run_is_refused_with_the_keys(self):
        out = self.dir / "other"
        self.succeeds(out, "--limit", 1, "--max-new-tokens", 4, tasks=("mgsm",))
        before = {path: (out / path).read_bytes() for path in files_of(out)}
        result = run(out, "--limit", 1, "--max-new-tokens", 5, tasks=("mgsm",))
        self.assertEqual(result.returncode, 3)
        self.assertIn("generation.max_new_tokens (there 4, now 5)", result.stderr)
        self.assertEqual(before, {path: (out / path).read_bytes() for path in files_of(out)})


@unittest.skipUnless((SHARED / "real" / "datasets").is_dir(), "no real data: set LAYEVAL_SHARED")
class RealData(Base):
    """Counts as shared/real/SOURCES.md has them."""

    def evaluate(self, system, task, data, *more):
        out = self.dir / task
        self.succeeds(out, "--limit", 20, "--max-new-tokens", 4, "--quiet", *more, systems=(system,), tasks=(task,),
                      data=data)
        with open(out / "results.csv", encoding="utf-8", newline="") as stream:
            counts = self.check_accounting(out, list(csv.DictReader(stream)))
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        return counts, {lang["total"] for lang in manifest["tasks"][0]["languages"]}

    def test_every_sample_is_accounted_for(self):
        real = SHARED / "real" / "datasets"
        counts, totals = self.evaluate("layalign", "mgsm", real / "mgsm", "--lang", "all")
        self.assertEqual((len(counts), set(counts.values()), totals), (11, {20}, {250}))
        counts, totals = self.evaluate("plain", "msvamp", real)
        self.assertEqual((len(counts), set(counts.values()), totals), (10, {20}, {1000}))
        counts, totals = self.evaluate("plain", "xnli", real)
        self.assertEqual((len(counts), set(counts.values()), totals), (15, {20}, {5010}))
        counts, totals = self.evaluate("langbridge", "x-csqa", real / "x-csqa" / "sample")
        self.assertEqual((len(counts), set(counts.values()), totals), (16, {5}, {5}))


if __name__ == "__main__":
    unittest.main()
