"""A disk that fails under `train`, or a process killed in the middle of it: exit code 3 and one message that names the
file, every file whole, a checkpoint and a state that were saved stay, and the same command then goes on to the same bytes
as one that nothing disturbed."""
import csv
import json
import struct
import sys
import unittest

from faults.inject import calls_of, contents, layeval, scratch
from faults.test_write_faults import Faults

TRAIN = ["train", "--system", "data/demo/mindmerger.json", "--stage", "task", "--data", "tests/reference/train20.jsonl",
         "--steps", "4", "--batch-size", "2", "--lr", "1e-2", "--save-every", "2", "--dev", "2", "--dev-every", "3",
         "--threads", "1", "--quiet"]


def safetensors(path):
    """Names and shapes; the file's size must be the header's."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    assert max(entry["data_offsets"][1] for entry in header.values()) == len(raw) - 8 - length, path
    return {name: entry["shape"] for name, entry in header.items()}


def steps_of(directory):
    """Steps behind the state on the disk."""
    path = directory / "state.safetensors"
    return safetensors(path)["log"][0] if path.exists() else 0


class Train(Faults):
    some = True  # every file goes the same way
    checkpoint = ("last", "bridge", "model.safetensors")

    @staticmethod
    def command(directory):
        return [*TRAIN, "--out", directory]

    def setUp(self):
        self.scratch = scratch(self)
        self.reference = self.scratch / "reference"
        self.expected = self.undisturbed(self.command, self.reference)

    def undisturbed(self, command, directory):
        result = layeval(*command(directory))
        self.assertEqual(result.returncode, 0, result.stderr)
        return contents(directory)

    def assert_whole_files(self, directory, where):
        """Checkpoints and logs change from step to step: each must be readable to its end."""
        for path in directory.rglob("*"):
            if ".tmp-" in path.name or not path.is_file():
                continue
            if path.suffix == ".safetensors":
                safetensors(path)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".csv":
                with open(path, encoding="utf-8", newline="") as file:
                    self.assertIn(len(list(csv.reader(file))) - 1, (2, 4), where)
            elif path.suffix == ".svg":
                self.assertTrue(path.read_text().endswith("</svg>\n"), where)
        if steps_of(directory):
            self.assertTrue(directory.joinpath(*self.checkpoint).exists(), where)

    def disturb_train(self, mode):
        self.disturb(self.command, lambda directory: None, mode)

    def test_one_call_fails(self):
        self.disturb_train("fail")

    def test_the_disk_fills_up_and_stays_full(self):
        self.disturb_train("full")

    def test_killed_in_front_of_a_call(self):
        self.disturb_train("kill")

    def test_killed_in_the_middle_of_a_write(self):
        self.disturb_train("torn")

    def test_one_call_fails_while_a_pytorch_file_and_a_model_are_saved(self):
        self.checkpoint = ("last", "bridge", "pytorch_model.bin")
        def command(directory):
            return [*self.command(directory), "--train", "bridge,llm", "--save-format", "bin"]
        self.expected = self.undisturbed(command, self.scratch / "undisturbed")
        self.disturb(command, lambda directory: None, "fail")

    def test_a_state_once_saved_stays(self):
        """Of the calls of the second save none takes the first one's steps away."""
        calls = calls_of(*self.command(self.scratch / "log"))
        renames = [n for n, call in enumerate(calls, 1) if call == "rename"]
        counts = []
        for n in renames:
            directory = self.scratch / str(n)
            self.assertEqual(layeval(*self.command(directory), fault=n).returncode, 3)
            counts.append(steps_of(directory))
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(set(counts), {0, 2, 4})  # the last call is that of timing.json

    def test_killed_again_and_again(self):
        """Each session gets a little further than the one before."""
        directory, sessions = self.scratch / "often", 0
        while layeval(*self.command(directory), fault=6 + 9 * sessions, mode="kill").returncode:
            sessions += 1
            self.assertLess(sessions, 100)
        self.assertGreater(sessions, 3)
        self.assertEqual(contents(directory), self.expected)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
