"""layeval selftest: what it tries, what it says, and that every kind of kernel on this machine keeps its promise."""

import json
import os
import subprocess
import unittest

LAYEVAL = os.environ["LAYEVAL"]


def selftest(*arguments, **environment):
    return subprocess.run([LAYEVAL, "selftest", "--quiet", *arguments], capture_output=True, text=True, timeout=300,
                          check=False, env={**os.environ, **environment})


class Selftest(unittest.TestCase):
    def test_json_names_layers_kernels_and_answers(self):
        result = selftest("--shape", "tiny,tiny-mt5", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        found = json.loads(result.stdout)
        self.assertIs(found["batch_invariant"], True)
        dtypes = {p["dtype"] for p in found["products"]}
        self.assertEqual(dtypes, {"f32", "bf16", "int8"})
        self.assertEqual({(p["shape"], p["dtype"]) for p in found["products"]},
                         {(s, d) for s in ("tiny", "tiny-mt5") for d in dtypes})
        llm = next(p for p in found["products"] if p["shape"] == "tiny")
        # hidden 64, inner 176, 512 words; gate and up are one product
        self.assertEqual([(x["in"], x["out"]) for x in llm["layers"]],
                         [(64, 64), (64, 64), (64, 64), (64, 352), (176, 64), (64, 512)])
        for layer in llm["layers"]:
            self.assertEqual(set(layer["kernels"]), {"1", "8", "32", "128"})
            self.assertTrue(all(layer["kernels"].values()))
            self.assertGreaterEqual(layer["products"], 20)
        self.assertEqual({a["dtype"] for a in found["answers"]}, dtypes)
        self.assertTrue(any("layalign" in a["system"] for a in found["answers"]))
        self.assertTrue(all(a["invariant"] and a["runs"] >= 6 for a in found["answers"]))

    def test_smaller_instruction_sets_keep_the_promise_with_other_kernels(self):
        result = selftest("--shape", "tiny-qwen2", ONEDNN_MAX_CPU_ISA="AVX2")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("avx2", result.stdout.splitlines()[0])
        self.assertIn("batch invariant", result.stdout.splitlines()[-1])

    def test_bad_arguments_are_usage_errors_of_one_line(self):
        for arguments, text in ((["--dtype", "int4"], "int4"), (["--shape", "no-such"], "tinyllama-1.1b")):
            result = selftest(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertEqual(result.stdout, "")
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertIn(text, result.stderr)


if __name__ == "__main__":
    unittest.main()
