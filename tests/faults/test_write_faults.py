"""Every single call that puts something on disk fails, or the process is killed in front of it or in the middle of
it: `run`, `score`, `merge`, `report`, `compare` and `gate` end with exit code 3 and a message, leave no half-written
file, and the same command then gives the same bytes as one that nothing disturbed."""
import shutil
import subprocess
import sys
import unittest

from faults.inject import KILLED, LAYEVAL, ROOT, SANITIZED, calls_of, contents, layeval, messages, scratch

RUN = ["run", "--system", "data/demo/layalign.json", "--task", "mgsm", "--lang", "en", "--limit", "3",
       "--data", "data/samples", "--max-new-tokens", "4", "--threads", "1", "--quiet"]
WRITES = ("fwrite", "write", "pwrite")


def chosen(calls, mode, some=False):
    """Numbers of the calls to disturb: all; under the sanitizers, for a disk that stays full, and where `some` are
    enough, the first, a middle and the last of each kind. A killed process frees nothing: under the sanitizers a middle
    one of each kind will do."""
    if not SANITIZED and mode != "full" and not some:
        return range(1, len(calls) + 1)
    numbers = set()
    for kind in set(calls):
        of_kind = [n for n, call in enumerate(calls, 1) if call == kind]
        middle = of_kind[len(of_kind) // 2]
        numbers |= {middle} if SANITIZED and mode in ("kill", "torn") else {of_kind[0], middle, of_kind[-1]}
    return sorted(numbers)


class Faults(unittest.TestCase):
    """`command(directory)` leaves `expected` in a directory that `prepare(directory)` made, or made nothing."""
    some = False  # of the calls are disturbed, not all

    def setUp(self):
        self.scratch = scratch(self)
        self.reference = self.scratch / "reference"
        result = layeval(*RUN, "--out", self.reference)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.expected = contents(self.reference)

    def assert_whole_files(self, directory, where):
        """A file is either not there or whole; only the journal, by design, may end early, and a killed process leaves
        temporary files."""
        for name, content in contents(directory).items():
            if not name.endswith((".lock", "journal.jsonl")) and ".tmp-" not in name:
                self.assertEqual(content, self.expected.get(name), f"{where}: {name}")

    def assert_clean_failure(self, result, directory, call, where):
        if result.returncode == 0:  # a call whose failure loses nothing, such as the fsync of a directory
            self.assertEqual(contents(directory), self.expected, where)
            return
        self.assertEqual(result.returncode, 3, f"{where}: {result.stderr}")
        self.assertEqual(len(messages(result)), 1, f"{where}: {result.stderr}")
        if call != "mkdir":  # these go from the top
            self.assertIn(str(directory), messages(result)[0], where)
        if directory.exists():
            self.assertEqual([str(path) for path in directory.rglob("*.tmp-*")], [], where)

    @staticmethod
    def left(directory):
        return contents(directory)

    def disturb(self, command, prepare, mode):
        directory = self.scratch / "disturbed"
        shutil.rmtree(directory, ignore_errors=True)
        prepare(directory)
        calls = calls_of(*command(directory))
        self.assertGreater(len(calls), 4, "the shim saw hardly any call: is it loaded?")
        if mode == "torn":
            calls = [call for call in calls if call in WRITES]
        missed = []
        for n in chosen(calls, mode, self.some):
            where = f"{mode}, call {n} ({calls[n - 1]})"
            shutil.rmtree(directory, ignore_errors=True)
            prepare(directory)
            result = layeval(*command(directory), fault=n, mode=mode)
            if result.returncode == 0 and "fault: " not in result.stderr:
                missed.append(where)
            elif mode in ("kill", "torn"):
                self.assertEqual(result.returncode, KILLED, where)
            else:
                self.assertIn("fault: ", result.stderr, where)
                self.assert_clean_failure(result, directory, calls[n - 1], where)
            if directory.exists():
                self.assert_whole_files(directory, where)
            again = layeval(*command(directory))
            self.assertEqual(again.returncode, 0, f"{where}: {again.stderr}")
            self.assertEqual(self.left(directory), self.expected, f"{where}: {result.stderr}")
        # The journal is synced by the clock: a run that was faster than the counted one has fewer such calls.
        self.assertLessEqual(len(missed), calls.count("fdatasync"), missed)


class Run(Faults):
    @staticmethod
    def command(directory):
        return [*RUN, "--out", directory]

    def disturb_run(self, mode):
        self.disturb(self.command, lambda directory: None, mode)

    def test_one_call_fails(self):
        self.disturb_run("fail")

    def test_the_disk_fills_up_and_stays_full(self):
        self.disturb_run("full")

    def test_killed_in_front_of_a_call(self):
        self.disturb_run("kill")

    def test_killed_in_the_middle_of_a_write(self):
        self.disturb_run("torn")

    def test_killed_again_and_again(self):
        """Each session gets a little further than the one before."""
        directory, sessions = self.scratch / "often", 0
        while layeval(*self.command(directory), fault=6 + 3 * sessions, mode="kill").returncode:
            sessions += 1
            self.assertLess(sessions, 50)
        self.assertGreater(sessions, 5)
        self.assertEqual(contents(directory), self.expected)

    def test_a_full_disk_says_what_is_safe(self):
        directory = self.scratch / "full"
        first = 1 + [n for n, call in enumerate(calls_of(*self.command(self.scratch / "log"))) if call == "write"][1]
        result = layeval(*self.command(directory), fault=first, mode="full")
        self.assertEqual(result.returncode, 3)
        self.assertIn(f"1 of 3 samples are safe in {directory}; repeat the command to continue", result.stderr)

    def test_samples_that_could_not_be_synced_are_not_called_safe(self):
        calls = calls_of(*self.command(self.scratch / "log"))
        result = layeval(*self.command(self.scratch / "unsynced"), fault=1 + calls.index("fdatasync"))
        self.assertEqual(result.returncode, 3)
        self.assertIn("0 of 3 samples are safe", result.stderr)


class Score(Faults):
    def copy(self, directory):
        shutil.copytree(self.reference, directory)

    def test_one_call_fails(self):
        self.disturb(lambda directory: ["score", directory], self.copy, "fail")


class Merge(Faults):
    def setUp(self):
        super().setUp()
        self.shards = [self.scratch / "1", self.scratch / "2"]
        for shard in self.shards:
            self.assertEqual(layeval(*RUN, "--shard", f"{shard.name}/2", "--out", shard).returncode, 0)

    def disturb_merge(self, mode):
        before = [contents(shard) for shard in self.shards]
        self.disturb(lambda directory: ["merge", *self.shards, "--out", directory], lambda directory: None, mode)
        self.assertEqual([contents(shard) for shard in self.shards], before)

    def test_one_call_fails(self):
        self.disturb_merge("fail")

    def test_the_disk_fills_up_and_stays_full(self):
        self.disturb_merge("full")

    def test_killed_in_front_of_a_call(self):
        self.disturb_merge("kill")

    def test_killed_in_the_middle_of_a_write(self):
        self.disturb_merge("torn")


class OneFile(Faults):
    """Commands that read runs and write one file, anywhere: what a killed one leaves beside it is nobody's to clear."""

    @staticmethod
    def left(directory):
        return {name: content for name, content in contents(directory).items() if ".tmp-" not in name}

    def setUp(self):
        super().setUp()
        self.other = self.scratch / "other"
        plain = [word.replace("layalign", "plain") for word in RUN]
        self.assertEqual(layeval(*plain, "--out", self.other).returncode, 0)

    def disturb_file(self, *command):
        """The file's name, in an existing directory, comes last."""
        def with_directory(directory):
            return [*command[:-1], directory / command[-1]]
        directory = self.scratch / "undisturbed"
        directory.mkdir()
        before = [contents(run) for run in (self.reference, self.other)]
        self.assertEqual(layeval(*with_directory(directory)).returncode, 0)
        self.expected = contents(directory)
        self.assertEqual(list(self.expected), [command[-1]])
        for mode in ("fail", "torn"):
            self.disturb(with_directory, lambda directory: directory.mkdir(), mode)
        self.assertEqual([contents(run) for run in (self.reference, self.other)], before)

    def test_compare(self):
        self.disturb_file("compare", self.reference, self.other, "--flips", "flips.jsonl")

    def test_report(self):
        self.disturb_file("report", self.reference, self.other, "--format", "md", "--out", "table.md")

    def test_gate(self):
        self.disturb_file("gate", self.reference, "--against", self.reference, "--junit", "junit.xml")

    def test_standard_output_on_a_full_disk_is_an_error(self):
        for command in (["score", self.reference], ["report", self.reference], ["compare", self.reference, self.other],
                        ["gate", self.reference, "--against", self.other, "--max-drop", "100", "--all"],
                        ["tasks"], ["inspect", ROOT / "tests/golden/langbridge_mt5_llama_linear/bridge"],
                        ["verify", ROOT / "tests/golden/langbridge_mt5_llama_linear"]):
            with open("/dev/full", "wb") as full:
                result = subprocess.run([LAYEVAL, *map(str, command)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=full,
                                        stderr=subprocess.PIPE, text=True, encoding="utf-8", check=False)
            self.assertEqual(result.returncode, 3, f"{command[0]}: {result.stderr}")
            self.assertEqual(len(messages(result)), 1, result.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
