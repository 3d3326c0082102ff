"""layeval score: the official evaluation loops, the files a run directory holds, and what is refused.

Everything is read back with Python's own csv and json; expected figures come from tests/golden or from arithmetic
done here, never from the program."""
import csv
import json
import math
import pathlib
import random
import re
import unittest

from case import Case

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "eval_functions"
Z = 1.959963984540054
COLUMNS = ("system,task,language,group,n,error,correct_paper,wrong_paper,correct_strict,wrong_strict,unparsed,"
           "acc_paper,acc_strict,ci_low,ci_high,ended_length,truncated").split(",")


def golden(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def extract_last_num(text):
    """The official function, from its description in Python's own terms."""
    numbers = re.findall(r"\d+(?:\.\d+)?", re.sub(r"(\d),(\d)", r"\1\2", text))
    return float(numbers[-1]) if numbers else 0.0


class Score(Case):
    def run_score(self, *arguments, code=0):
        return self.layeval("score", *arguments, code=code)

    def write(self, rows, name="generations.jsonl"):
        path = self.dir / name
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return path

    def score(self, rows, task="mgsm", lang="bn", *more, code=0):
        return self.run_score("--task", task, "--lang", lang, "--generations", self.write(rows), *more, code=code)

    def extracted(self, rows, task="mgsm", lang="bn", *more):
        lines = self.score(rows, task, lang, "--print-extracted", *more).stdout.splitlines()
        self.assertEqual(len(lines), len(rows))
        return [json.loads(line) for line in lines]

    def table(self, directory):
        with open(directory / "results.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(list(rows[0]), COLUMNS)
        return rows


class OfficialLoops(Score):
    def math_rows(self, rows):
        return [{"output": r["output"], "target": r["target"], "prompt": r["prompt"], "question": r["source"]}
                for r in rows]

    def check_math(self, rule, expected):
        out = self.dir / rule
        self.score(self.math_rows(golden("evaluate_math.json")["rows"]), "mgsm", "bn", "--match", rule, "--out", out)
        self.assertEqual((out / "paper/mgsm/scores.tsv").read_text(), f"Bengali\t{expected['acc']}\n")
        self.assertEqual(float(self.table(out)[0]["acc_paper"]), expected["acc"])
        records = json.loads((out / "paper/mgsm/Bengali.json").read_text(encoding="utf-8"))
        for record in records:
            record["answer"] = str(record["answer"])  # as the golden file has it
        self.assertEqual(records, expected["results"])

    def test_math_with_tolerance(self):
        self.check_math("tolerance", golden("evaluate_math.json")["layalign"])

    def test_math_with_float_equality(self):
        self.check_math("float-eq", golden("evaluate_math.json")["mindmerger"])

    def test_result_file_is_byte_for_byte_the_official_one(self):
        official = (GOLDEN / "results_file_sample.json").read_bytes()
        kept = {r["question"] for r in json.loads(official)}
        rows = [r for r in golden("evaluate_math.json")["rows"] if r["source"] in kept]
        self.assertEqual(len(rows), 15)
        self.score(self.math_rows(rows), "mgsm", "bn", "--out", self.dir / "out")
        self.assertEqual((self.dir / "out/paper/mgsm/Bengali.json").read_bytes(), official)

    def test_classification(self):
        case = golden("evaluate_classification.json")
        rows = [{"output": r["output"], "target": r["target"], "prompt": r["prompt"]} for r in case["rows"]]
        lines = self.extracted(rows, "x-csqa", "en", "--out", self.dir / "out")
        self.assertEqual([100.0 * line["paper_correct"] for line in lines], case["single_hits"])
        self.assertEqual([line["paper"] for line in lines], [r["prediction"] for r in case["results"]])
        self.assertEqual((self.dir / "out/paper/x-csqa/scores.tsv").read_text(), f"English\t{case['acc']}\n")
        text = (self.dir / "out/paper/x-csqa/English.json").read_text(encoding="utf-8")
        self.assertEqual(text, json.dumps(case["results"], ensure_ascii=False, indent=2))

    def test_last_number_of_random_texts(self):
        random.seed(7)
        alphabet = ["0", "1", "9", "৩", "٤", "８", "๕", ",", ".", " ", "-", "a", "\n", "প", "½", "²", "#"]
        texts = ["".join(random.choices(alphabet, k=random.randrange(24))) for _ in range(2000)]
        lines = self.extracted([{"output": text, "target": "1"} for text in texts])
        for text, line in zip(texts, lines):
            self.assertEqual(line["paper"], str(extract_last_num(text)), repr(text))
            self.assertEqual(line["paper_correct"], abs(1.0 - extract_last_num(text)) < 1e-3)


class Files(Score):
    # 3 right, 1 right for paper only (an unread sign), 1 wrong, 1 unparsed, 1 cut off, 1 truncated input, 1 error
    ROWS = [{"output": "The answer is 5", "target": "5", "ended": "eos"},
            {"output": "#### 1,234", "target": "1234", "ended": "stop"},
            {"output": "so it is ৭", "target": "7"},
            {"output": "The answer is -5", "target": "5", "ended": "eos"},
            {"output": "The answer is 6", "target": "5", "ended": "eos"},
            {"output": "I do not know", "target": "3", "ended": "eos"},
            {"output": "12 and 13 and", "target": "5", "ended": "length", "output_tokens": 512},
            {"output": "9", "target": "5", "ended": "eos", "truncated": True, "source_tokens": 512},
            {"output": "", "target": "0", "error": "no memory for this prompt"}]

    def setUp(self):
        super().setUp()
        self.out = self.dir / "out"
        self.score(self.ROWS, "mgsm", "bn", "--out", self.out, "--name", 'a "b", c')

    def test_csv(self):
        rows = self.table(self.out)
        self.assertEqual([row["language"] for row in rows], ["bn", "lrl", "avg"])
        bn = rows[0]
        self.assertEqual(bn["system"], 'a "b", c')
        self.assertEqual((bn["group"], bn["n"], bn["error"]), ("lrl", "9", "1"))
        self.assertEqual((bn["correct_paper"], bn["wrong_paper"]), ("4", "4"))
        self.assertEqual((bn["correct_strict"], bn["wrong_strict"], bn["unparsed"]), ("3", "4", "1"))
        self.assertEqual((bn["ended_length"], bn["truncated"]), ("1", "1"))
        self.assertEqual((float(bn["acc_paper"]), float(bn["acc_strict"])), (44.44, 33.33))
        p, n = 4 / 9, 9
        centre, half = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        for column, value in (("ci_low", centre - half), ("ci_high", centre + half)):
            self.assertAlmostEqual(float(bn[column]), 100 * value / (1 + Z * Z / n), delta=0.00501)
        self.assertEqual([row["group"] for row in rows[1:]], ["bn", "bn"])  # what the averages are over
        self.assertEqual([float(row["acc_paper"]) for row in rows[1:]], [44.4, 44.4])

    def test_accounting(self):
        for row in self.table(self.out):
            n = {key: int(row[key]) for key in COLUMNS[4:11]}
            self.assertEqual(n["n"], n["correct_paper"] + n["wrong_paper"] + n["error"])
            self.assertEqual(n["n"], n["correct_strict"] + n["wrong_strict"] + n["unparsed"] + n["error"])

    def test_results_json_has_the_layout_of_lm_evaluation_harness(self):
        root = json.loads((self.out / "results.json").read_text(encoding="utf-8"))
        for key in ("results", "groups", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better",
                    "n-samples", "config", "task_hashes", "model_name"):
            self.assertIn(key, root)
        result = root["results"]["mgsm_bn"]
        self.assertAlmostEqual(result["acc,paper"], 4 / 9, delta=1e-15)
        self.assertAlmostEqual(result["acc,strict"], 3 / 9, delta=1e-15)
        self.assertAlmostEqual(result["acc_stderr,paper"], math.sqrt(4 / 9 * 5 / 9 / 8), delta=1e-15)
        self.assertAlmostEqual(result["acc_stderr,strict"], math.sqrt(3 / 9 * 6 / 9 / 8), delta=1e-15)
        self.assertEqual(root["n-samples"]["mgsm_bn"], {"original": 9, "effective": 9})
        self.assertEqual(root["group_subtasks"]["mgsm"], ["mgsm_bn"])
        self.assertEqual(root["n-shot"], {"mgsm_bn": 0})
        self.assertEqual(root["higher_is_better"]["mgsm_bn"], {"acc": True})
        self.assertEqual(set(root["configs"]), {"mgsm_bn"})
        ours = root["layeval"]["systems"]['a "b", c']
        self.assertEqual(ours["tasks"]["mgsm_bn"]["disagree"], 1)
        self.assertEqual(ours["tasks"]["mgsm_bn"]["ended"], {"eos": 5, "length": 1, "stop": 1, "unknown": 1})
        self.assertFalse(ours["averages"]["mgsm"]["complete"])
        self.assertEqual(ours["averages"]["mgsm"]["languages"], ["bn"])
        self.assertFalse(re.search(r'"(date|start_time|end_time|total_evaluation_time_seconds)"', json.dumps(root)))

    def test_samples(self):
        lines = (self.out / "samples_mgsm_bn.jsonl").read_text(encoding="utf-8").splitlines()
        samples = [json.loads(line) for line in lines]
        self.assertEqual([s["doc_id"] for s in samples], list(range(9)))
        for sample, row in zip(samples, self.ROWS):
            for key in ("doc", "arguments", "filter", "metrics", "doc_hash", "prompt_hash", "target_hash"):
                self.assertIn(key, sample)
            self.assertEqual(sample["resps"], [[row["output"]]])
            self.assertEqual(sample["target"], row["target"])
            self.assertIn("arg_0", sample["arguments"]["gen_args_0"])
            self.assertEqual(sample["metrics"], ["acc"])
        self.assertEqual([s["acc"] for s in samples], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        self.assertEqual([s["acc_strict"] for s in samples], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        self.assertEqual([s["disagree"] for s in samples].index(True), 3)
        self.assertEqual(samples[5]["unparsed"], True)
        self.assertEqual((samples[6]["ended"], samples[6]["output_tokens"]), ("length", 512))
        self.assertEqual((samples[7]["truncated"], samples[7]["source_tokens"]), (True, 512))
        self.assertEqual((samples[8]["ended"], samples[8]["error"]), ("error", "no memory for this prompt"))

    def snapshot(self, directory):
        return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}

    def test_scoring_the_directory_again_changes_nothing(self):
        before = self.snapshot(self.out)
        self.assertEqual({str(path) for path in before},
                         {"manifest.json", "journal.jsonl", "results.json", "results.csv", "samples_mgsm_bn.jsonl",
                          "paper/mgsm/Bengali.json", "paper/mgsm/scores.tsv"})
        for path in before:
            if path.name not in ("manifest.json", "journal.jsonl"):
                (self.out / path).unlink()
        self.run_score(self.out)
        self.assertEqual(self.snapshot(self.out), before)

    def test_a_copy_elsewhere_with_another_rule(self):
        before = self.snapshot(self.out)
        other = self.dir / "other"
        self.run_score(self.out, "--out", other, "--match", "float-eq")
        self.assertEqual(self.snapshot(self.out), before)
        root = json.loads((other / "results.json").read_text(encoding="utf-8"))
        self.assertEqual(root["layeval"]["systems"]['a "b", c']["match"], "float-eq")
        self.run_score(other)  # is a run directory itself, with the rule of its manifest
        self.assertEqual(self.snapshot(other), before)

    def test_a_directory_of_several_systems(self):
        both = self.dir / "both"
        for name, rows in (("one", self.ROWS), ("two", self.ROWS[:4])):
            self.score(rows, "mgsm", "bn", "--name", name, "--out", both / name)
        result = self.run_score(both)
        self.assertRegex(result.stdout, r"(?s)one +44\.4.*two +100\.0")
        rows = self.table(both)
        self.assertEqual([(row["system"], row["language"], row["n"]) for row in rows if row["language"] == "bn"],
                         [("one", "bn", "9"), ("two", "bn", "4")])
        root = json.loads((both / "results.json").read_text(encoding="utf-8"))
        self.assertAlmostEqual(root["results"]["one/mgsm_bn"]["acc,paper"], 4 / 9, delta=1e-15)
        self.assertEqual(root["results"]["two/mgsm_bn"]["acc,paper"], 1.0)
        root["layeval"]["systems"] = dict(reversed(root["layeval"]["systems"].items()))  # as a run may have had them
        (both / "results.json").write_text(json.dumps(root))
        self.run_score(both)
        self.assertEqual([row["system"] for row in self.table(both) if row["language"] == "bn"], ["two", "one"])

    def test_our_own_samples_score_the_same(self):
        again = self.dir / "again"
        self.run_score("--task", "mgsm", "--lang", "bn", "--generations", self.out / "samples_mgsm_bn.jsonl", "--name",
                       'a "b", c', "--out", again)
        self.assertEqual((again / "results.csv").read_bytes(), (self.out / "results.csv").read_bytes())

    def test_table_says_what_deserves_attention(self):
        text = self.run_score(self.out).stdout
        self.assertIn("1 scored differently by paper and strict; 1 unparsed by strict; 1 cut off at the token limit; "
                      "1 with truncated input; 1 failed with an error", text)
        self.assertNotIn("\033", text)

    def test_json_on_standard_output(self):
        text = self.run_score(self.out, "--json").stdout
        self.assertEqual(text, (self.out / "results.json").read_text(encoding="utf-8"))


class OtherHarness(Score):
    def test_every_filter_holds_the_same_answers(self):
        rows = [{"doc_id": i, "doc": {"question": f"q{i}"}, "target": 10 + i, "resps": [[f"#### {10 + i}"]],
                 "filtered_resps": ["x"], "filter": name} for name in ("strict-match", "flexible-extract")
                for i in (2, 0, 1)]
        result = self.score(rows, "mgsm", "en", "--out", self.dir / "out")
        self.assertIn("3 lines repeat an answer", result.stderr)
        self.assertEqual((self.table(self.dir / "out")[0]["n"], self.table(self.dir / "out")[0]["acc_paper"]),
                         ("3", "100.0"))
        questions = json.loads((self.dir / "out/paper/mgsm/English.json").read_text(encoding="utf-8"))
        self.assertEqual([q["question"] for q in questions], ["q0", "q1", "q2"])

    def test_lines_are_printed_in_their_own_order(self):
        rows = [{"doc_id": i, "target": "1", "output": str(i)} for i in (5, 1, 3)]
        self.assertEqual([(line["index"], line["doc_id"], line["paper"]) for line in self.extracted(rows)],
                         [(0, 5, "5.0"), (1, 1, "1.0"), (2, 3, "3.0")])

    def test_labels_by_other_names(self):
        rows = [{"target": label, "output": label.capitalize()} for label in
                ("entailment", "neutral", "contradiction", "neutral")]
        plain = self.score(rows, "xnli", "sw")
        self.assertRegex(plain.stdout, r"(?m)^generations +0\.0 +0\.0$")
        self.assertIn("label_words", plain.stdout)
        named = self.score(rows, "xnli", "sw", "--prompt-set", "mindmerger")
        self.assertRegex(named.stdout, r"(?m)^generations +100\.0 +100\.0$")
        self.assertNotIn("label_words", named.stdout)


class Refusals(Score):
    def refused(self, text, reason, task="mgsm"):
        path = self.dir / "bad.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        result = self.run_score("--task", task, "--lang", "en", "--generations", path, "--out", self.dir / "out", code=3)
        self.assertRegex(result.stderr, re.escape(str(path)) + reason)
        self.assertFalse((self.dir / "out").exists())

    GOOD = '{"output": "1", "target": "1"}\n'

    def test_bad_lines_are_named(self):
        for line, reason in (
                ('{"output": "1", "target": ', r":2: not valid JSON"),
                ('["1", "1"]', r":2: not a JSON object"),
                ('{"output": "1"}', r':2: "target" is missing'),
                ('{"target": "1"}', r':2: neither "output" nor "resps"'),
                ('{"output": 1, "target": "1"}', r':2: "output" must be a string'),
                ('{"output": "1", "target": ["1"]}', r':2: "target" must be a string or a number'),
                ('{"resps": [[[-1.5, true]]], "target": 0}', r":2: .*likelihoods"),
                ('{"resps": [], "target": 0}', r":2: .*likelihoods"),
                ('{"output": "1", "target": "1", "ended": "later"}', r':2: "ended" must be'),
                ('{"output": "1", "target": "1", "doc_id": -1}', r':2: "doc_id"'),
                ('{"output": "1", "output": "2", "target": "1"}', r':2: .*stands twice')):
            self.refused(self.GOOD + line + "\n" + self.GOOD, reason)

    def test_bad_files(self):
        self.refused("", r": no lines")
        self.refused(self.GOOD.encode() + b'{"output": "\xff", "target": "1"}\n', r":2: invalid UTF-8")
        self.refused('{"output": "1", "target": "1", "doc_id": 4}\n' * 2, r": doc_id 4 stands on more than one line")
        self.run_score("--task", "mgsm", "--lang", "en", "--generations", self.dir / "none", code=3)

    def test_usage(self):
        path = self.write([{"output": "1", "target": "1"}])
        for arguments in ((), (self.dir, self.dir), (self.dir, "--generations", path), ("--generations", path),
                          ("--generations", path, "--task", "mgsm", "--lang", "xx"),
                          ("--generations", path, "--task", "mgsm", "--lang", "ur"),
                          ("--generations", path, "--task", "none", "--lang", "en"),
                          ("--generations", path, "--task", "mgsm", "--lang", "en", "--match", "equal"),
                          ("--generations", path, "--task", "mgsm", "--lang", "en", "--json", "--print-extracted"),
                          (self.dir, "--print-extracted"), (self.dir, "--unknown")):
            self.run_score(*arguments, code=2)

    def test_directories_that_are_no_runs(self):
        self.run_score(self.dir / "none", code=3)
        self.assertIn("no manifest.json", self.run_score(self.dir, code=3).stderr)

    def test_another_run_is_not_overwritten(self):
        self.score([{"output": "1", "target": "1"}], "mgsm", "en", "--out", self.dir / "out")
        before = (self.dir / "out/results.csv").read_bytes()
        result = self.score([{"output": "2", "target": "1"}], "mgsm", "en", "--out", self.dir / "out", code=3)
        self.assertIn("holds another run", result.stderr)
        self.assertEqual((self.dir / "out/results.csv").read_bytes(), before)

    def test_a_damaged_journal_is_refused(self):
        self.score([{"output": str(i), "target": "1"} for i in range(3)], "mgsm", "en", "--out", self.dir / "out")
        journal = self.dir / "out/journal.jsonl"
        whole = journal.read_text(encoding="utf-8")
        journal.write_text(whole.replace('"output": "0"', '"output": "1"'), encoding="utf-8")
        self.assertIn("journal.jsonl:2", self.run_score(self.dir / "out", code=3).stderr)
        journal.write_text(whole, encoding="utf-8")
        manifest = self.dir / "out/manifest.json"
        manifest.write_text(manifest.read_text(encoding="utf-8").replace("tolerance", "float-eq"), encoding="utf-8")
        self.assertIn("another manifest", self.run_score(self.dir / "out", code=3).stderr)

    def test_an_output_that_cannot_be_a_directory(self):
        (self.dir / "file").write_text("")
        result = self.score([{"output": "1", "target": "1"}], "mgsm", "en", "--out", self.dir / "file" / "out", code=3)
        self.assertIn(str(self.dir / "file"), result.stderr)


if __name__ == "__main__":
    unittest.main()
