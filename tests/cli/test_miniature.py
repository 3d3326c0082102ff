"""The miniature: its data are the same for the same seed, hold nothing of the test files, and have the official layouts;
the shipped systems solve held-out problems as README says: the LLM alone in English, bridges elsewhere, too."""
import csv
import hashlib
import json
import os
import pathlib
import re
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
            questions = set()
            for split in ("dev", "test"):
                held_out = (one / split / "mgsm" / "mgsm_en.tsv").read_text(encoding="utf-8").splitlines()
                self.assertEqual(len(held_out), 250)
                here = {line.split("\t")[0] for line in held_out}
                self.assertFalse(questions & here)
                questions |= here
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
            self.assertFalse(self.choices(one / "train" / "query_translation" / "x-csqa" / "train_en.jsonl") &
                             (self.choices(one / "dev" / "x-csqa" / "en" / "dev.jsonl") |
                              self.choices(one / "test" / "x-csqa" / "en" / "dev.jsonl")))
            with open(one / "train" / "query_translation" / "xnli_dev.json", encoding="utf-8") as file:
                labels = {(item["sentence1"], item["sentence2"]) for item in json.load(file)}
            held_out = {tuple(line.split("\t")[:2]) for split in ("dev", "test") for line in
                        (one / split / "xnli" / "test-en.tsv").read_text(encoding="utf-8").splitlines()}
            self.assertFalse(labels & held_out)
            self.check_sheets(one / "train" / "sheets.jsonl", held_out)
            self.check_bridge_sheets(one / "train" / "choice_sheets.jsonl")
            self.check_notes(one / "train" / "notes.jsonl", held_out | questions)
            self.check_encoder(one / "train" / "encoder.jsonl", questions)
            english = (one / "train" / "bilingual_pairs" / "en-bn" / "train_100k.en").read_text(encoding="utf-8")
            self.assertFalse(questions & set(english.splitlines()))

    @staticmethod
    def choices(path):
        with open(path, encoding="utf-8") as file:
            rows = [json.loads(line)["question"] for line in file]
        return {(row["stem"], *(choice["text"] for choice in row["choices"])) for row in rows}

    @staticmethod
    def language(iso):
        with open(ROOT / "data" / "miniature" / "languages" / (iso + ".json"), encoding="utf-8") as file:
            return json.load(file)

    def things(self):
        """The English words, and the thing for every need."""
        english = self.language("en")
        return english, {need: english["objects"][name]["is"] for name, need in english["needs"].items()}

    def check_sheets(self, path, held_out):
        """The letters and labels of the sheets are right, and no pair of theirs is held out."""
        english, thing = self.things()
        digits = {word: number for number, word in english["numbers"].items()}
        kinds = {"Options": 0, "Premise": 0}
        for line in path.read_text(encoding="utf-8").splitlines():
            sheet = json.loads(line)
            kind, _, given = sheet["prompt"].partition(":")
            kinds[kind] += 1
            if kind == "Options":
                letters = {choice[3:]: choice[0] for choice in given.split("\t")}
                for need, letter in re.findall(r"wants to (.*?)\. Answer: (.)", sheet["target"]):
                    self.assertEqual(letters[thing[need]], letter)
                continue
            has = {what: digits.get(n, n) for n, what in re.findall(r"(\w+) (\w+)(?= and|\.)", given)}
            self.assertEqual(len(has), 2)
            for claim, n, what, label in re.findall(r"Hypothesis: (\w+ has (\w+) (\w+)\.) Label: (\w+)", sheet["target"]):
                right = "Neutral" if what not in has else "Entailment" if has[what] == digits.get(n, n) else "Contradiction"
                self.assertEqual(label, right)
                self.assertNotIn((given.strip(), claim), held_out)
        self.assertTrue(all(kinds.values()))

    def check_bridge_sheets(self, path):
        """The letters fit the list, which is in a language with task data; the questions are in English."""
        need = {need: name for name, need in self.language("en")["needs"].items()}
        things = {language["name"]: {words["is"]: name for name, words in language["objects"].items()}
                  for language in map(self.language, ("en", "de", "es"))}
        seen = set()
        for line in path.read_text(encoding="utf-8").splitlines():
            sheet = json.loads(line)
            seen.add(sheet["lang"])
            self.assertEqual(sheet["source"], sheet["prompt"])
            choices = sheet["source"].removeprefix("Options:").split("\t")
            letters = {things[sheet["lang"]][choice[3:]]: choice[0] for choice in choices}
            self.assertEqual(list(letters.values()), list("ABCDE"))
            answers = re.findall(r"wants to (.*?)\. Answer: (.)", sheet["target"])
            self.assertTrue(answers)
            for asked, letter in answers:
                self.assertEqual(letters[need[asked]], letter)
        self.assertEqual(seen, set(things))

    def check_encoder(self, path, questions):
        """Sources say what the targets say, numbers in digits alike; some mix languages; nothing held out, no answers."""
        mixed = 0
        for line in path.read_text(encoding="utf-8").splitlines():
            pair = json.loads(line)
            self.assertNotIn(pair["target"], questions)
            self.assertNotRegex(pair["target"], r"(Answer|Label): ?\S")
            self.assertEqual(sorted(re.findall(r"[0-9]+", pair["source"])), sorted(re.findall(r"[0-9]+", pair["target"])))
            mixed += bool(re.search("[\u0980-\u09ff]", pair["source"]) and re.search("[\u0e00-\u0e7f]", pair["source"]))
        self.assertTrue(mixed)

    def check_notes(self, path, held_out):
        """A prompt that is of no use has what counts in front, with the letter or label of that, and nothing held out."""
        _, thing = self.things()
        behind = 0
        for line in path.read_text(encoding="utf-8").splitlines():
            note = json.loads(line)
            front, _, rest = note["prompt"].partition("\n")
            choices = re.fullmatch(r"\w+ wants to (.*?)\. What does \w+ need\? Options:(.*) Answer:", front)
            pair = re.fullmatch(r"Premise: (.*) Hypothesis: (.*) Label:", front)
            if choices:
                letters = {choice[3:]: choice[0] for choice in re.findall(r"[A-E]\. \w+", choices[2])}
                self.assertEqual(letters[thing[choices[1]]], note["target"])
                self.assertEqual(re.findall(r"\b[A-E](?=\. )", rest), list("ABCDE"))
            elif pair:
                self.assertNotIn((pair[1], pair[2]), held_out)
                self.assertTrue(rest.startswith("Premise: ") and rest.endswith("\nLabel:"))
            else:
                self.assertNotIn(front, held_out)
                continue
            behind += 1
            self.assertFalse(set(re.findall(r"\b[a-z]{4,}\b", front)) & set(re.findall(r"\b[a-z]{4,}\b", rest)), note)
        self.assertTrue(behind)

    def test_shipped_systems(self):
        of = {}
        with tempfile.TemporaryDirectory() as scratch:
            for task in ("mgsm", "x-csqa", "xnli"):
                command = [LAYEVAL, "run", "--task", task, "--lang", "available", "--data", DEMO / "data",
                           "--out", pathlib.Path(scratch, task), "--quiet"]
                for name in ("plain", "langbridge", "mindmerger", "layalign"):
                    command += ["--system", DEMO / task / (name + ".json")]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
                self.assertEqual(done.returncode, 0, done.stderr)
                with open(pathlib.Path(scratch, task, "results.csv"), encoding="utf-8") as file:
                    of.update({(task, row["system"], row["language"]): float(row["acc_paper"])
                               for row in csv.DictReader(file)})
        self.assertGreater(of["mgsm", "plain", "en"], 80)
        self.assertGreater(of["x-csqa", "plain", "en"], 80)
        self.assertGreater(of["xnli", "plain", "en"], 55)
        for language in ("de", "es"):
            self.assertLess(of["mgsm", "plain", language], 40)
            for name in ("langbridge", "mindmerger", "layalign"):
                self.assertGreater(of["mgsm", name, language], of["mgsm", "plain", language] + 20, (name, language))
            self.assertLess(of["x-csqa", "plain", language], 45)
            for name in ("langbridge", "mindmerger", "layalign"):
                self.assertGreater(of["x-csqa", name, language], of["x-csqa", "plain", language] + 25, (name, language))
        for name in ("mindmerger", "layalign"):
            self.assertGreater(of["mgsm", name, "lrl"], of["mgsm", "plain", "lrl"] + 30, name)
            self.assertGreater(of["xnli", name, "avg"], of["xnli", "plain", "avg"] + 10, name)


if __name__ == "__main__":
    unittest.main()
