"""layeval run --check-against: what check.json says, recounted from the journals, and what is refused before loading."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.systems = ["--system", str(DEMO / "mindmerger.json"), "--system", str(DEMO / "plain.json")]
        cls.f32 = cls.dir / "f32"
        cls.run_systems(cls.f32, "--dtype", "f32")

    @classmethod
    def run_systems(cls, out, *arguments, systems=None, limit=2, code=0):
        result = subprocess.run(
            [LAYEVAL, "run", *(systems or cls.systems), "--task", "mgsm", "--prompt-set", "mindmerger", "--lang", "en,bn",
             "--limit", str(limit), "--max-new-tokens", "6", "--quiet", "--data", str(ROOT / "data" / "samples"), "--out",
             str(out), *arguments], capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == code, result.stderr
        return result

    @staticmethod
    def outputs(directory):
        entries = [json.loads(line) for line in (directory / "journal.jsonl").read_text(encoding="utf-8").splitlines()[1:]]
        return {(e["task"], e["language"], e["doc_id"]): e["output"] for e in entries}

    def test_figures_are_those_of_the_journals(self):
        for dtype in ("f32", "int8"):
            out = self.dir / dtype.join("ab")
            result = self.run_systems(out, "--dtype", dtype, "--check-against", str(self.f32), "--check-prompts", "3")
            for system in ("mindmerger", "plain"):
                check = json.loads((out / system / "check.json").read_text(encoding="utf-8"))
                ours, theirs = self.outputs(out / system), self.outputs(self.f32 / system)
                self.assertEqual(set(ours), set(theirs))
                self.assertEqual((check["dtype"], check["against"]), (dtype, "f32"))
                self.assertEqual((check["samples"], check["prompts"]), (4, 3))
                self.assertEqual(check["same_output"], sum(ours[key] == theirs[key] for key in ours))
                self.assertGreaterEqual(check["same_answer"], check["same_output"])
                self.assertAlmostEqual(check["accuracy"] - check["accuracy_against"], check["accuracy_difference"])
                self.assertLessEqual(check["mean_kl_nats"], check["max_kl_nats"])
                if dtype == "f32":
                    self.assertEqual((check["same_output"], check["same_top_token"], check["max_kl_nats"]), (4, 3, 0))
                else:
                    self.assertGreater(check["mean_kl_nats"], 0)
                    self.assertLess(check["mean_kl_nats"], 0.05)
                self.assertIn(f"{system}, {dtype} against f32: ", result.stdout)

    def test_a_finished_run_is_checked_too_and_a_single_one_may_be_named(self):
        out, system = self.dir / "later", ["--system", str(DEMO / "plain.json")]
        self.run_systems(out, "--dtype", "bf16", systems=system)
        self.assertFalse((out / "check.json").exists())
        self.run_systems(out, "--dtype", "bf16", "--check-against", str(self.f32 / "plain"), systems=system)
        self.assertEqual(json.loads((out / "check.json").read_text(encoding="utf-8"))["dtype"], "bf16")

    def test_what_cannot_be_compared_is_refused_before_anything_is_written(self):
        out = self.dir / "none"
        plain = ["--system", str(DEMO / "plain.json")]
        cut = self.dir / "cut"
        shutil.copytree(self.f32 / "plain", cut)
        lines = (cut / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (cut / "journal.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")
        for arguments, code, text in (
                ((self.f32, "--check-prompts", "0"), 2, "check-prompts"),
                ((self.f32, "--predict-only"), 2, "--predict-only"),
                ((self.dir / "nowhere",), 3, "nowhere"),
                ((self.f32 / "mindmerger",), 3, '"system"'),
                ((cut,), 3, "finish that run")):
            result = self.run_systems(out, "--check-against", *map(str, arguments), systems=plain, code=code)
            self.assertIn(text, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertFalse(out.exists())
        result = self.run_systems(out, "--check-against", str(self.f32), systems=plain, limit=1, code=3)
        self.assertIn('"tasks"', result.stderr)


if __name__ == "__main__":
    unittest.main()
