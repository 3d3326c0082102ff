"""Every single call that puts something on disk fails once, or the process is killed there: `run` and `score` end
with exit code 3 and a message, leave no half-written file, and the same command then gives the same bytes as a run
that nothing disturbed."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
SHIM = os.environ["LAYEVAL_FAULT_SHIM"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ["run", "--system", "data/demo/layalign.json", "--task", "mgsm", "--lang", "en", "--limit", "2",
       "--data", "data/samples", "--max-new-tokens", "4", "--threads", "1", "--quiet"]
MOST_CALLS = 2000


def layeval(*arguments, fault=None, kill=False):
    environment = dict(os.environ)
    if fault:
        environment.update(LD_PRELOAD=SHIM, LAYEVAL_FAULT=str(fault))
        if kill:
            environment["LAYEVAL_FAULT_KILL"] = "1"
        # The sanitizer wants to stand first among preloaded libraries; the shim leaves memory alone.
        if "ASAN_OPTIONS" in environment:
            environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
    return subprocess.run([LAYEVAL, *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, text=True,
                          encoding="utf-8", capture_output=True, check=False)


def contents(directory):
    """What two equal runs share: everything but timing.json. Hashes, for short messages."""
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name != "timing.json"}


class WriteFaults(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.scratch)
        self.reference = self.scratch / "reference"
        result = layeval(*RUN, "--out", str(self.reference))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.expected = contents(self.reference)

    def assert_nothing_half_written(self, directory, where):
        """A file is either not there or whole; only the journal, by design, may end early."""
        for name, content in contents(directory).items():
            if name.endswith("journal.jsonl"):
                continue
            self.assertIn(name, self.expected, where)
            self.assertEqual(content, self.expected[name], f"{where}: {name}")

    def each_call(self, command, directory, kill=False):
        """Runs `command(directory)` with the 1st, 2nd, … call failing until none is left; yields (n, result)."""
        for n in range(1, MOST_CALLS):
            result = layeval(*command(directory), fault=n, kill=kill)
            if "fault: " not in result.stderr:
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertGreater(n, 5, "the shim saw hardly any call: is it loaded?")
                return
            yield n, result
        self.fail("more calls than expected")

    def check_failed_call(self, n, result, directory):
        call = result.stderr.split("fault: ")[1].splitlines()[0]
        where = f"call {n} ({call})"
        message = [line for line in result.stderr.splitlines() if line.startswith("layeval ")]
        if result.returncode == 0:  # a call whose failure loses nothing, such as the fsync of a directory
            self.assertEqual(contents(directory), self.expected, where)
            return
        self.assertEqual(result.returncode, 3, f"{where}: {result.stderr}")
        self.assertEqual(len(message), 1, f"{where}: {result.stderr}")
        if call != "mkdir":  # these go from the top
            self.assertIn(str(directory), message[0], where)
        self.assert_nothing_half_written(directory, where)
        self.assertEqual([str(path) for path in directory.rglob("*.tmp-*")], [], where)

    def test_run_with_one_failing_call_says_so_and_can_be_repeated(self):
        directory = self.scratch / "run"
        for n, result in self.each_call(lambda out: [*RUN, "--out", str(out)], directory):
            if directory.exists():
                self.check_failed_call(n, result, directory)
            else:
                self.assertEqual(result.returncode, 3, result.stderr)
            again = layeval(*RUN, "--out", str(directory))
            self.assertEqual(again.returncode, 0, f"call {n}: {again.stderr}")
            self.assertEqual(contents(directory), self.expected, f"call {n}: {result.stderr}")
            shutil.rmtree(directory)

    def test_run_killed_at_any_write_is_continued_by_the_same_command(self):
        directory = self.scratch / "run"
        for n, result in self.each_call(lambda out: [*RUN, "--out", str(out)], directory, kill=True):
            self.assertEqual(result.returncode, -9)
            if directory.exists():
                for name, content in contents(directory).items():
                    if ".tmp-" not in name and not name.endswith(("journal.jsonl", ".lock")):
                        self.assertEqual(content, self.expected.get(name), f"call {n}: {name}")
            again = layeval(*RUN, "--out", str(directory))
            self.assertEqual(again.returncode, 0, f"call {n}: {again.stderr}")
            self.assertEqual(contents(directory), self.expected, f"call {n}: {result.stderr}")
            shutil.rmtree(directory)

    def test_score_with_one_failing_call_leaves_the_run_whole(self):
        directory = self.scratch / "run"
        shutil.copytree(self.reference, directory)
        for n, result in self.each_call(lambda out: ["score", str(out)], directory):
            self.check_failed_call(n, result, directory)
            self.assertEqual(contents(directory), self.expected, f"call {n}")
            shutil.rmtree(directory)
            shutil.copytree(self.reference, directory)
        self.assertEqual(contents(directory), self.expected)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
