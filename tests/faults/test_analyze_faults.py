"""A disk that fails under `analyze`: exit code 3 and one message, no half-written file, and the same command then gives
the same bytes as one that nothing disturbed."""
import sys
import unittest

from faults.inject import contents, layeval
from faults.test_write_faults import Faults

ANALYZE = ["analyze", "--system", "data/demo/layalign.json", "--data", "data/samples", "--task", "mgsm", "--lang", "de",
           "--limit", "1", "--figures", "fusion", "--threads", "1", "--quiet"]


class Analyze(Faults):
    @staticmethod
    def command(directory):
        return [*ANALYZE, "--out", directory]

    def setUp(self):
        super().setUp()
        self.reference = self.scratch / "analysis"
        result = layeval(*self.command(self.reference))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.expected = contents(self.reference)

    def test_the_disk_fills_up_and_stays_full(self):
        self.disturb(self.command, lambda directory: None, "full")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
