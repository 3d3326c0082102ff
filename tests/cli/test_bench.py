"""layeval bench: its JSON has the documented keys and its figures fit together. No timing is asserted."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
DEMO = pathlib.Path(__file__).resolve().parents[2] / "data" / "demo"
KEYS = {"shape", "dtype", "threads", "prompt", "new", "batch", "prefill_tps", "decode_tps", "total_tps", "bound_tps",
        "fraction_of_bound", "peak_rss_bytes", "load_seconds"}


def bench(*arguments):
    """With a small pool: no rate is believed here, and filling a large one takes long under the sanitizers."""
    return subprocess.run([LAYEVAL, "bench", "--bound-pool", "64M", *arguments], capture_output=True, text=True, timeout=300, check=False)


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
            self.assertGreater(cell["steadiness"], 0)
            self.assertLessEqual(cell["steadiness"], 1)

    def test_an_unsteady_machine_is_remarked(self):
        cell = ["--shape", "tiny", "--dtype", "f32", "--batch", "2", "--prompt", "8", "--new", "4", "--repetitions", "1", "--quiet"]
        # more threads than processors: they wait for one another, in some calls longer than in others
        for bound in ("0.02", "0"):
            table = bench(*cell, "--threads", f"1,{os.cpu_count() + 1}", "--bound-seconds", bound)
            self.assertEqual(table.returncode, 0, table.stderr)
            rows = [line.split("|") for line in table.stdout.splitlines() if line.startswith("|")]
            column = [name.strip() for name in rows[0]].index("steady")
            steady = [row[column].strip() for row in rows[2:]]
            if bound == "0":
                self.assertEqual(steady, ["–", "–"])
            low = bound != "0" and any(int(value.removesuffix(" %")) < 80 for value in steady)
            remarked = "steady below 80 %" in table.stdout
            if not any(value.startswith("80") for value in steady):  # rounded: either is right
                self.assertEqual(remarked, low)

    def test_training_steps(self):
        pair = ["--encoder-shape", "tiny-mt5", "--llm-shape", "tiny", "--bridge", "layalign"]
        for subject, source in ((["--shape", "tiny"], 0), (pair, 6)):
            result = bench("--train", *subject, "--dtype", "f32,bf16", "--batch", "3", "--prompt", "10", "--source", "6",
                           "--new", "4", "--repetitions", "1", "--bound-seconds", "0.001", "--format", "json")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("layers kept", result.stderr)
            cells = json.loads(result.stdout)
            self.assertEqual([c["dtype"] for c in cells], ["f32", "bf16"])
            for cell in cells:
                self.assertEqual(cell["rows"], 3 * (10 + 4 - 1))
                self.assertEqual(cell["source"], source)
                self.assertAlmostEqual(cell["rows_per_second"] * cell["step_seconds"], cell["rows"], places=6)
                self.assertAlmostEqual(cell["fraction_of_bound"],
                                       cell["rows_per_second"] / cell["bound_rows_per_second"], places=9)
                if "ASAN_OPTIONS" not in os.environ:  # a sanitizer's own memory is in no plan
                    self.assertLessEqual(cell["peak_bytes"], cell["planned_bytes"])
                self.assertEqual(cell["kept_layers"], cell["layers"])
                self.assertGreater(cell["steadiness"], 0)
                self.assertLessEqual(cell["steadiness"], 1)
        table = bench("--train", "--shape", "tiny", "--batch", "2", "--prompt", "4", "--new", "3", "--repetitions", "1",
                      "--bound-seconds", "0", "--quiet")
        self.assertEqual((table.returncode, table.stderr), (0, ""))
        self.assertIn("| tiny | bf16 |", table.stdout)
        header, row = bench("--train", "--shape", "tiny", "--batch", "2", "--prompt", "4", "--new", "3",
                            "--repetitions", "1", "--bound-seconds", "0", "-o", "csv", "--quiet").stdout.splitlines()
        self.assertEqual(len(header.split(",")), len(row.split(",")))

    def test_training_refuses_what_it_cannot_measure(self):
        for wrong in (["--shape", "tiny-mt5"], ["--model", "nowhere"], ["--shape", "tiny", "--dtype", "int8"],
                      ["--shape", "tiny", "--profile"],
                      ["--encoder-shape", "tiny-mt5", "--llm-shape", "tiny", "--bridge", "layalign", "--prompt", "20"]):
            result = bench("--train", *wrong)
            self.assertEqual(result.returncode, 2, f"{wrong}: {result.stderr}")
            self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        little = bench("--train", "--shape", "tiny", "--memory", "1M")
        self.assertEqual((little.returncode, little.stdout), (3, ""))
        self.assertIn("training needs", little.stderr)

    def test_packed_weights_are_mapped_at_the_second_start(self):
        with tempfile.TemporaryDirectory() as cache:
            for subject, parts in ((["--model", str(DEMO / "llm")], ["llm"]), (["--model", str(DEMO / "encoder")], ["encoder"]),
                                   (["--system", str(DEMO / "layalign.json")], ["encoder", "bridge", "llm"])):
                for start in ("packs", "maps"):
                    folder = pathlib.Path(cache) / subject[1].replace("/", "_")
                    result = bench(*subject, "--cache", str(folder), "--batch", "1", "--prompt", "12", "--source", "4", "--new", "2",
                                   "--repetitions", "1", "--bound-seconds", "0")
                    self.assertEqual(result.returncode, 0, result.stderr)
                    mapped = [line.split()[2] for line in result.stderr.splitlines() if " mapped from " in line]
                    self.assertEqual(mapped, parts if start == "maps" else [])
        result = bench("--shape", "tiny", "--cache", "anywhere")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("--cache", result.stderr)

    def test_refuses_what_it_cannot_measure(self):
        self.assertEqual(bench("--shape", "no-such-shape").returncode, 2)
        self.assertEqual(bench().returncode, 2)


if __name__ == "__main__":
    unittest.main()
