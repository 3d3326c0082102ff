"""layeval bench: its JSON has the documented keys and its figures fit together. No timing is asserted."""

import json
import os
import subprocess
import unittest

LAYEVAL = os.environ["LAYEVAL"]
KEYS = {"shape", "dtype", "threads", "prompt", "new", "batch", "prefill_tps", "decode_tps", "total_tps", "bound_tps",
        "fraction_of_bound", "peak_rss_bytes", "load_seconds"}


def bench(*arguments):
    return subprocess.run([LAYEVAL, "bench", *arguments], capture_output=True, text=True, timeout=300, check=False)


class Bench(unittest.TestCase):
    def test_json_has_a_cell_per_combination_and_consistent_figures(self):
        result = bench("--shape", "tiny", "--dtype", "f32,bf16", "--batch", "1,3", "--prompt", "8", "--new", "4",
                       "--repetitions", "1", "--bound-seconds", "0.01", "--format", "json", "--quiet")
        self.assertEqual(result.returncode, 0, result.stderr)
        tree = json.loads(result.stdout)
        cells = tree if isinstance(tree, list) else next(v for v in tree.values() if isinstance(v, list) and v and "batch" in v[0])
        self.assertEqual({(c["dtype"], c["batch"]) for c in cells}, {("f32", 1), ("f32", 3), ("bf16", 1), ("bf16", 3)})
        for cell in cells:
            self.assertLessEqual(KEYS, set(cell))
            self.assertGreater(cell["total_tps"], 0)
            self.assertAlmostEqual(cell["fraction_of_bound"], cell["total_tps"] / cell["bound_tps"], places=2)

    def test_refuses_what_it_cannot_measure(self):
        self.assertEqual(bench("--shape", "no-such-shape").returncode, 2)
        self.assertEqual(bench().returncode, 2)


if __name__ == "__main__":
    unittest.main()
