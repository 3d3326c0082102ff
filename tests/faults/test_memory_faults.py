"""Every allocation fails once, whoever asks for it: a command that reads runs ends with exit code 3 and one message, or
does what it does undisturbed; it leaves no half-written file and the run as it was. (Leaks are looked for under the
sanitizers, in unit/harness/test_out_of_memory.)"""
import re
import shutil
import sys
import unittest

from faults.inject import SANITIZED, contents, layeval, messages, scratch

RUN = ["run", "--task", "mgsm", "--lang", "en,bn", "--limit", "3", "--data", "data/samples", "--max-new-tokens", "4",
       "--threads", "1", "--quiet"]
TRAINING = """{"version": 1, "stages": [
  {"stage": "task", "steps": 2, "planned": 2, "batch": 1, "learning_rate": 1.0, "schedule": "cosine",
   "loss": [[1, 2.5], [2, 1.5]],
   "dev_loss": [[2, 2.0]]}
]}
"""
EACH = 60  # allocations tried one by one; behind them in growing steps


def numbers(total):
    n = 1
    while n <= total:
        yield n
        n += 1 if n < EACH else n // 12


@unittest.skipIf(SANITIZED, "the sanitizers have an allocator of their own")
class MemoryFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = scratch(cls)
        for name, more in (("layalign", ()), ("plain", ()), ("1", ("--shard", "1/2")), ("2", ("--shard", "2/2"))):
            system = name if name == "plain" else "layalign"
            result = layeval(*RUN, "--system", f"data/demo/{system}.json", "--out", cls.dir / name, *more)
            assert result.returncode == 0, result.stderr
        for name in ("layalign", "1"):
            (cls.dir / name / "layeval-training.json").write_text(TRAINING)

    def survives(self, *command, out=None):
        """`out`: a directory that the command writes, made anew every time; files go into self.dir."""
        def fresh():
            if out:
                shutil.rmtree(out, ignore_errors=True)
        fresh()
        whole = layeval(*command, memory=0)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        total = int(re.search(r"memory: (\d+) allocations", whole.stderr).group(1))
        self.assertGreater(total, EACH)
        expected, failures = contents(self.dir), 0
        for n in numbers(total):
            fresh()
            result = layeval(*command, memory=n)
            where = f"{command[0]}, allocation {n} of {total}: {result.stderr}"
            self.assertIn(", one failed", result.stderr, where)
            found = contents(self.dir)
            if result.returncode == 0:  # the C library can do without
                self.assertEqual((result.stdout, found), (whole.stdout, expected), where)
                continue
            failures += 1
            self.assertEqual(result.returncode, 3, where)
            self.assertEqual(len(messages(result)), 1, where)
            for name, content in found.items():
                self.assertEqual(content, expected.get(name), f"{where}: {name}")
        self.assertGreater(failures, EACH // 2)
        fresh()

    def test_score(self):
        self.survives("score", self.dir / "layalign")

    def test_score_elsewhere(self):
        self.survives("score", self.dir / "layalign", "--out", self.dir / "scored", out=self.dir / "scored")

    def test_merge(self):
        self.survives("merge", self.dir / "1", self.dir / "2", "--out", self.dir / "merged", out=self.dir / "merged")

    def test_compare(self):
        self.survives("compare", self.dir / "layalign", self.dir / "plain", "--format", "json")

    def test_report(self):
        for name in ("terminal", "md", "latex", "csv", "json", "junit"):
            self.survives("report", self.dir / "layalign", self.dir / "plain", "--format", name)

    def test_gate(self):
        self.survives("gate", self.dir / "layalign", "--against", self.dir / "layalign", "--junit", self.dir / "junit.xml")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
