"""The miniature: its data are the same for the same seed, hold nothing of the test files, and have the official layouts;
the shipped systems solve held-out problems as README says: the LLM alone in English, bridges elsewhere, too."""
import csv
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo" / "miniature"


def make(out):
    subprocess.run([sys.executable, ROOT / "data" / "miniature" / "make.py", "--out", out, "--scale", "0.02"], check=True)


def digest(directory):
    return {str(p.relative_to(directory)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(directory.rglob("*")) if p.is_file()}


class Miniature(unittest.TestCase):
    def test_data(self):
        with tempfile.TemporaryDirectory() as scratch:
            one, two = pathlib.Path(scratch, "one"), pathlib.Path(scratch, "two")
            make(one)
            make(two)
            self.assertEqual(digest(one), digest(two))
            held_out = (one / "test" / "mgsm" / "mgsm_en.tsv").read_text(encoding="utf-8").splitlines()
            questions = {line.split("\t")[0] for line in held_out}
            with open(one / "train" / "query_translation" / "metamath_615k.json", encoding="utf-8") as file:
                math = json.load(file)
            self.assertFalse(questions & {item["query"] for item in math})
            self.assertEqual({item["lang"] for item in math}, {"English", "German", "Spanish"})  # the others held back
            for item in math:
                sums = item["response"].split("\n")[:-1]
                for step in sums:
                    left, right = step.split(" = ")
                    self.assertEqual(eval(left), int(right))  # three tokens of our own making
                self.assertEqual(item["response"].split("\n")[-1], "The answer is: " + sums[-1].split(" = ")[1])
            english = (one / "train" / "bilingual_pairs" / "en-bn" / "train_100k.en").read_text(encoding="utf-8")
            self.assertFalse(questions & set(english.splitlines()))

    def test_shipped_systems(self):
        with tempfile.TemporaryDirectory() as scratch:
            command = [LAYEVAL, "run", "--task", "mgsm", "--lang", "available", "--data", DEMO / "data", "--out", scratch,
                       "--quiet"]
            for name in ("plain", "langbridge", "mindmerger", "layalign"):
                command += ["--system", DEMO / (name + ".json")]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(pathlib.Path(scratch, "results.csv"), encoding="utf-8") as file:
                of = {(row["system"], row["language"]): float(row["acc_paper"]) for row in csv.DictReader(file)}
        self.assertGreater(of["plain", "en"], 80)
        for language in ("de", "es"):
            self.assertLess(of["plain", language], 40)
            for name in ("langbridge", "mindmerger", "layalign"):
                self.assertGreater(of[name, language], of["plain", language] + 20, (name, language))
        for name in ("mindmerger", "layalign"):
            self.assertGreater(of[name, "lrl"], of["plain", "lrl"], name)


if __name__ == "__main__":
    unittest.main()
