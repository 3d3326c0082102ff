"""layeval gate: what passes and what fails, against every kind of reference; JUnit, GitHub, the example workflows."""
import csv
import json
import os
import pathlib
import re
import shlex
import subprocess
import unittest

import junit
from case import FAILED, LAYEVAL, Case
from runs import answers, make_run

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASELINES = ROOT / "data" / "baselines"
MGSM = ["bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en"]


def right(hits, n):
    return "R" * hits + "W" * (n - hits)


class Gate(Case):
    def setUp(self):
        super().setUp()
        self.made = 0

    def run_of(self, tasks, name="system", **more):
        self.made += 1
        return make_run(self.dir / f"run{self.made}", name, tasks, **more)

    def gate(self, *arguments, code=0, env=None):
        """The lines that were printed, without the last one, and that one; of a refusal its message."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
        result = self.layeval("gate", *arguments, code=code, env={**environment, **(env or {})})
        if code > FAILED:
            return result.stderr
        *lines, total = result.stdout.splitlines()
        return lines, total

    def failures(self, *arguments, code=1, **more):
        """{place: what is wrong}"""
        lines, _ = self.gate(*arguments, code=code, **more)
        return dict(re.fullmatch(r"FAIL  \S+ (\S+ \S+): (.*)", line).groups() for line in lines if line[:4] == "FAIL")


class AgainstRuns(Gate):
    def test_equal_runs_pass(self):
        a, b = (self.run_of({"mgsm": {"bn": right(3, 5)}}) for _ in "ab")
        lines, total = self.gate(a, "--against", b, "--all")
        self.assertEqual(lines[0], "ok    system mgsm bn: 60.00 against 60.00")
        self.assertEqual(total, "gate: 3 checks passed")  # bn, lrl, avg

    def test_a_significant_drop_fails_and_a_lucky_one_does_not(self):
        reference = self.run_of({"mgsm": {"bn": right(30, 100), "th": right(60, 100), "en": right(50, 100)}})
        # bn loses 3 (p 0.25), th 30 (p 2^-29), en gains 5
        run = self.run_of({"mgsm": {"bn": right(27, 100), "th": right(30, 100), "en": right(55, 100)}})
        failures = self.failures(run, "--against", reference)
        self.assertEqual(set(failures), {"mgsm th", "mgsm lrl", "mgsm avg"})
        self.assertIn("30.00 against 60.00: a drop of 30.00 points, 1.00 are allowed; 30 samples lost, 0 gained",
                      failures["mgsm th"])
        lines, total = self.gate(run, "--against", reference, code=1)
        self.assertIn("note  system mgsm bn: 27.00 against 30.00; a drop of 3.00 points that may be luck (3 samples lost, "
                      "0 gained, p 0.25)", [re.sub(r"p 0\.\d+\)", lambda m: "p 0.25)", line) for line in lines])
        self.assertEqual(total, "gate: 3 of 6 checks failed (regression 3)")

    def test_alpha_is_after_holm(self):
        # 6 lost of 6: p 2/64 = 0.03125 alone; beside another language of p 1 it is 0.0625
        one, other = {"mgsm": {"bn": right(6, 50)}}, {"mgsm": {"bn": right(0, 50)}}
        self.assertIn("mgsm bn", self.failures(self.run_of(other), "--against", self.run_of(one)))
        one["mgsm"]["en"] = other["mgsm"]["en"] = right(9, 50)
        reference, run = self.run_of(one), self.run_of(other)
        self.assertNotIn("mgsm bn", self.failures(run, "--against", reference))  # the average fails: p is not adjusted
        self.assertIn("mgsm bn", self.failures(run, "--against", reference, "--alpha", 0.0625))
        self.gate(run, "--against", reference, "--alpha", 0.03)

    def test_a_drop_of_exactly_max_drop_passes(self):
        reference, run = self.run_of({"mgsm": {"bn": right(83, 100)}}), self.run_of({"mgsm": {"bn": right(82, 100)}})
        self.gate(run, "--against", reference, "--max-drop", 1.0, "--alpha", 1)
        self.assertIn("mgsm bn", self.failures(run, "--against", reference, "--max-drop", 0.99, "--alpha", 1))

    def test_what_is_missing_fails_unless_allowed(self):
        reference = self.run_of({"mgsm": {"bn": "RW", "en": "RW"}, "msvamp": {"th": "R"}})
        run = self.run_of({"mgsm": {"bn": "RW", "de": "R"}})
        failures = self.failures(run, "--against", reference)
        self.assertEqual(failures["mgsm en"], "the run has no such result, the reference has 50.00")
        self.assertIn("msvamp th", failures)
        self.assertEqual({line.split(": ")[0] for line in self.gate(run, "--against", reference, code=1)[0]
                          if "not in the reference" in line}, {"note  system mgsm de"})
        self.gate(run, "--against", reference, "--allow", "missing")
        self.gate(run, "--against", reference, "--lang", "bn", "--task", "mgsm")

    def test_an_incomplete_run_fails_unless_allowed(self):
        reference = self.run_of({"mgsm": {"bn": right(4, 8)}})
        run = self.run_of({"mgsm": {"bn": right(4, 6)}}, promised={("mgsm", "bn"): 8}, sealed=False)
        failures = self.failures(run, "--against", reference)
        self.assertEqual(failures["mgsm bn"], "only 6 of 8 samples are answered; 2 of the reference's 8 samples are not there")
        self.assertIn("mgsm bn", self.failures(run, "--against", reference, "--allow", "incomplete"))
        self.gate(run, "--against", reference, "--allow", "incomplete,samples")
        self.assertEqual(self.failures(run, "--min-accuracy", 0)["mgsm bn"], "only 6 of 8 samples are answered")

    def test_an_empty_run_fails(self):
        run = self.run_of({"mgsm": {"bn": ""}}, promised={("mgsm", "bn"): 8}, sealed=False)
        failures = self.failures(run, "--against", self.run_of({"mgsm": {"bn": "R"}}))
        self.assertIn("only 0 of 8 samples are answered", failures["mgsm bn"])
        self.assertIn("no result to hold", self.failures(run, "--min-accuracy", "mgsm:bn=1")["mgsm bn"])

    def test_one_sample(self):
        self.gate(self.run_of({"mgsm": {"bn": "W"}}), "--against", self.run_of({"mgsm": {"bn": "R"}}))  # p is 1

    def test_a_shorter_reference_is_compared_on_what_both_have(self):
        run, reference = self.run_of({"mgsm": {"bn": "RRRWWW"}}), self.run_of({"mgsm": {"bn": "RRR"}})
        lines, _ = self.gate(run, "--against", reference)
        self.assertIn("note  system mgsm bn: 100.00 against 100.00; compared on the 3 samples the reference has", lines)

    def test_more_errors_than_before_fail_unless_allowed(self):
        before, run = self.run_of({"mgsm": {"bn": "RE"}}), self.run_of({"mgsm": {"bn": "RE"}})
        self.gate(run, "--against", before)
        clean = self.run_of({"mgsm": {"bn": "RR"}})
        self.assertTrue(self.failures(run, "--against", clean)["mgsm bn"].startswith("1 of 2 samples ended in an error; "))
        self.gate(run, "--against", clean, "--allow", "errors")

    def test_other_data_is_refused(self):
        other = [{**answer, "target": "5", "doc": {}} for answer in answers("RR")]
        self.assertIn("sample 0 has another target than in the reference", self.gate(
            self.run_of({"mgsm": {"bn": other}}), "--against", self.run_of({"mgsm": {"bn": "RR"}}), code=3))

    def test_systems_are_found_by_name(self):
        for name, hits in (("x", 9), ("y", 1)):
            make_run(self.dir / "old" / name, name, {"mgsm": {"bn": right(hits, 10)}})
            make_run(self.dir / "new" / name, name, {"mgsm": {"bn": right(hits, 10)}})
        self.gate(self.dir / "new", "--against", self.dir / "old")
        self.assertIn("the reference has no system \"z\" but x, y", self.gate(
            self.run_of({"mgsm": {"bn": right(5, 10)}}, name="z"), "--against", self.dir / "old", code=3))
        self.assertIn("mgsm bn", self.failures(self.dir / "old" / "y", "--against", self.dir / "old", "--pick", "x"))


class AgainstFiles(Gate):
    def reference(self, kind, tasks, name="system"):
        run = self.run_of(tasks, name=name)
        subprocess.run([LAYEVAL, "score", run, "--out", self.dir / "scored"], check=True, capture_output=True)
        return self.dir / "scored" / kind

    def test_results_of_ours(self):
        cells = {language: right(20 + i, 50) for i, language in enumerate(MGSM)}
        worse = {**cells, "th": right(20, 50), "bn": right(10, 50)}
        for kind in ("results.json", "results.csv"):
            reference = self.reference(kind, {"mgsm": cells, "x-csqa": {"en": [{**a, "target": "A", "output": "A"}
                                                                              for a in answers("RR")]}})
            self.assertEqual(set(self.failures(self.run_of({"mgsm": worse}), "--against", reference, "--task", "mgsm")),
                             {"mgsm bn", "mgsm th", "mgsm lrl", "mgsm avg"})
            lines, total = self.gate(self.run_of({"mgsm": cells}), "--against", reference, "--task", "mgsm", "--all")
            self.assertEqual(total, "gate: 13 checks passed")
            self.assertEqual([line.split()[3:] for line in lines[:1]], [["bn:", "40.00", "against", "40.00"]])
            failures = self.failures(self.run_of({"mgsm": {**cells, "en": "R"}}), "--against", reference)
            self.assertEqual(failures["mgsm en"], "1 samples, the reference has 50")
            self.assertIn("x-csqa en", failures)

    def test_several_systems_in_one_file(self):
        top = self.dir / "top"
        for name, hits in (("a", 5), ("b", 9)):
            make_run(top / name, name, {"mgsm": {"bn": right(hits, 10)}})
        subprocess.run([LAYEVAL, "score", top], check=True, capture_output=True)
        for kind in ("results.json", "results.csv"):
            self.gate(top, "--against", top / kind)
            self.assertIn("mgsm bn", self.failures(top / "a", "--against", top / kind, "--pick", "b"))

    def test_strict_scores(self):
        reference = self.reference("results.json", {"mgsm": {"bn": right(5, 10)}})
        run = self.run_of({"mgsm": {"bn": [{**a, "target": "0"} for a in answers("UUUUU")] + answers("RRRRRRRRRR")[5:]}})
        self.gate(run, "--against", reference)  # paper reads no number as 0
        self.gate(run, "--against", reference, "--score", "strict")
        self.assertIn("mgsm bn", self.failures(self.run_of({"mgsm": {"bn": right(4, 10)}}), "--against", reference,
                                               "--score", "strict"))

    def test_lm_evaluation_harness(self):
        path = self.dir / "lm_eval.json"
        results = {"mgsm_direct": {"alias": "mgsm_direct", "exact_match,flexible-extract": 0.9},
                   "mgsm_direct_bn": {"alias": " - mgsm_direct_bn", "exact_match,remove_whitespace": 0.0,
                                      "exact_match_stderr,remove_whitespace": 0.0, "exact_match,flexible-extract": 0.5,
                                      "exact_match_stderr,flexible-extract": "N/A"},
                   "xnli": {"alias": "xnli", "acc,none": 0.5, "acc_stderr,none": 0.01},
                   "xnli_sw": {"alias": " - xnli_sw", "acc,none": 0.4, "acc_stderr,none": 0.01},
                   "mgsm_en_cot_en": {"alias": "", "exact_match,flexible-extract": 0.6},
                   "hellaswag": {"alias": "hellaswag", "acc,none": 0.7, "acc_norm,none": 0.8}}
        path.write_text(json.dumps({"results": results, "configs": {}, "n-shot": {},
                                    "n-samples": {"mgsm_direct_bn": {"original": 250, "effective": 10}}}))
        labels = [{**a, "target": "Entailment", "output": "Entailment"} for a in answers("RR")]
        run = self.run_of({"mgsm": {"bn": right(4, 10), "en": right(9, 10)}, "xnli": {"sw": labels}})
        self.assertIn("several figures for mgsm bn: 0.00 (mgsm_direct_bn exact_match,remove_whitespace), 50.00 "
                      "(mgsm_direct_bn exact_match,flexible-extract); choose with --pick",
                      self.gate(run, "--against", path, code=3))
        failures = self.failures(run, "--against", path, "--pick", "flexible-extract")
        self.assertEqual(failures, {"mgsm bn": "40.00 against 50.00: a drop of 10.00 points, 1.00 are allowed"})
        lines, _ = self.gate(run, "--against", path, "--task", "xnli", "--all")
        self.assertIn("ok    system xnli sw: 100.00 against 40.00", lines)
        self.assertIn("no figure for the tasks", self.gate(self.run_of({"msvamp": {"bn": "R"}}), "--against", path,
                                                           "--task", "msvamp", code=3))

    def test_published_baselines(self):
        with open(BASELINES / "layalign_paper.csv", encoding="utf-8", newline="") as file:
            published = {row["language"]: float(row["accuracy"]) for row in csv.DictReader(file)
                         if row["system"] == "LayAlign" and row["task"] == "mgsm" and row["source"].endswith("Table 2")}
        cells = {language: right(round(published[language] * 2.5), 250) for language in MGSM}
        arguments = ("--against", BASELINES / "layalign_paper.csv", "--pick", "LayAlign", "--pick", "Table 2", "--task",
                     "mgsm")
        self.gate(self.run_of({"mgsm": cells}), *arguments)
        cells["bn"] = right(round(published["bn"] * 2.5) - 3, 250)
        self.assertEqual(set(self.failures(self.run_of({"mgsm": cells}), *arguments)), {"mgsm bn"})
        self.assertIn("choose one with --pick", self.gate(self.run_of({"mgsm": cells}), *arguments[:2], code=3))

    def test_an_average_over_other_languages_is_not_compared(self):
        # MindMerger's README averages Telugu, too.
        run = self.run_of({"mgsm": {language: right(250, 250) for language in MGSM}})
        arguments = ("--against", BASELINES / "mindmerger.csv", "--pick", "MindMerger", "--task", "mgsm")
        self.assertEqual(self.failures(run, *arguments), {"mgsm te": "the run has no such result, the reference has 52.80"})
        lines, _ = self.gate(run, *arguments, "--allow", "missing")
        self.assertTrue([line for line in lines if "mgsm avg" in line and "over other languages: not compared" in line])

    def test_broken_references(self):
        run = self.run_of({"mgsm": {"bn": "R"}})
        for text, words in (("", "neither a results.csv nor a baselines"), ("{", "not valid JSON"), ("{}", "neither a results"),
                            ("system,method,llm\n", "the first line must be system,method,llm,encoder,"),
                            ("system,task,\n", "the first line must be system,task,language,"),
                            ('{"results": {"mgsm_bn": {"acc,none": 1.5}}}', "150 is no accuracy"),
                            ('{"results": {"mgsm_bn": [0.5]}}', "no figure for the tasks"),
                            ('{"results": {"mgsm_bn": {"f1,none": 1}, "arc": {"acc,none": 1}}}', "no figure for the tasks"),
                            ('{"layeval": {"systems": {"a": {"tasks": {"mgsm": {"language": "bn"}}}}}}', "does not end in")):
            path = self.dir / "reference"
            path.write_text(text)
            self.assertIn(words, self.gate(run, "--against", path, code=3))
        self.assertIn("cannot be opened", self.gate(run, "--against", self.dir / "none", code=3))
        self.assertIn("--pick: no figure", self.gate(run, "--against", run, "--pick", "nothing", code=3))


class Thresholds(Gate):
    def test_averages_tasks_and_languages(self):
        run = self.run_of({"mgsm": {"bn": right(2, 10), "en": right(8, 10)}})
        self.gate(run, "--min-accuracy", "50,mgsm=50,mgsm:bn=20,mgsm:English=80,mgsm:lrl=20")
        self.assertEqual(self.failures(run, "--min-accuracy", "50.1"),
                         {"mgsm avg": "50.00 is below the least accuracy of 50.10; over 2 of 10 languages"})
        failures = self.failures(run, "--min-accuracy", "mgsm:bn=20.01", "--min-accuracy", "mgsm:th=5,msvamp=1")
        self.assertEqual(failures["mgsm bn"], "20.00 is below the least accuracy of 20.01")
        self.assertEqual(failures["mgsm th"], "no result to hold the least accuracy of 5.00 against")
        self.assertIn("msvamp avg", failures)

    def test_command_lines(self):
        run = self.run_of({"mgsm": {"bn": "R"}})
        for words, *arguments in (("name a run directory", "--min-accuracy", 1), ("nothing to hold", run),
                                  ("is not a percentage", run, "--min-accuracy", "many"),
                                  ("is not a percentage", run, "--min-accuracy", "101"),
                                  ("no task is called", run, "--min-accuracy", "nope=1"),
                                  ("mgsm has no language", run, "--min-accuracy", "mgsm:ur=1"),
                                  ("none of missing, incomplete, samples, errors", run, "--against", run, "--allow",
                                   "regression"),
                                  ("--max-drop", run, "--against", run, "--max-drop", -1),
                                  ("--alpha", run, "--against", run, "--alpha", 0),
                                  ("neither paper nor strict", run, "--against", run, "--score", "x")):
            self.assertIn(words, self.gate(*arguments, code=2))


class ForCi(Gate):
    def failing(self):
        reference = self.run_of({"mgsm": {"bn": right(40, 50), "en": right(9, 50)}, "msvamp": {"bn": "RR"}}, name="a%|b")
        run = self.run_of({"msvamp": {"bn": "RR"}, "mgsm": {"bn": right(10, 50)}}, name="a%|b")
        return run, "--against", reference

    def test_junit(self):
        path = self.dir / "junit.xml"
        self.gate(*self.failing(), "--junit", path, code=1)
        cases = junit.read(self, path)
        self.assertEqual(set(cases), {"layeval.a%|b.mgsm", "layeval.a%|b.msvamp"})
        self.assertEqual(set(cases["layeval.a%|b.msvamp"].items()), {("bn", None), ("lrl", None), ("avg", None)})
        self.assertIn("20.00 against 80.00", cases["layeval.a%|b.mgsm"]["bn"])
        self.assertIn("no such result", cases["layeval.a%|b.mgsm"]["en"])
        self.assertIn("cannot", self.gate_error("--junit", self.dir / "none" / "junit.xml"))

    def gate_error(self, *arguments):
        result = subprocess.run([LAYEVAL, "gate", *map(str, self.failing()), *map(str, arguments)], capture_output=True,
                                text=True, check=False)
        self.assertEqual(result.returncode, 3)
        self.assertIn("FAIL", result.stdout)  # what failed is listed all the same
        return result.stderr

    def test_github(self):
        summary = self.dir / "summary.md"
        summary.write_text("before\n")
        env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
        arguments = self.failing()
        lines, last = self.gate(*arguments, code=1, env=env)
        errors = [line for line in [*lines, last] if line.startswith("::")]
        self.assertTrue(errors[0].startswith("::error title=layeval gate::a%25|b mgsm bn: 20.00 against 80.00"), errors)
        self.assertEqual(len(errors), sum(line.startswith("FAIL") for line in lines))
        text = summary.read_text()
        self.assertTrue(text.startswith("before\n## layeval gate: "))
        self.assertIn("- **a%\\|b mgsm bn**: 20.00 against 80.00", text)
        rows = [line for line in text.splitlines() if line.startswith("|")]
        self.assertEqual({line.replace("\\|", "").count("|") for line in rows}, {9})
        self.assertEqual(len(rows), 2 + 8)  # bn, lrl, avg twice; en and hrl are missing
        self.assertFalse([line for line in self.gate(*arguments, code=1)[0] if line.startswith("::")])
        self.assertIn("GITHUB_STEP_SUMMARY", self.github_error({**env, "GITHUB_STEP_SUMMARY": str(self.dir / "no" / "file")}))

    def github_error(self, env):
        result = subprocess.run([LAYEVAL, "gate", *map(str, self.failing())], capture_output=True, text=True, check=False,
                                env={**os.environ, **env})
        self.assertEqual(result.returncode, 3)
        return result.stderr

    def commands(self, name):
        """The layeval commands of an example workflow, after a look at its layout."""
        text = (ROOT / "data" / "ci" / name).read_text(encoding="utf-8")
        self.assertNotIn("\t", text)
        keys = {}
        for line in text.splitlines():
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            self.assertEqual(line, line.rstrip())
            indent = len(line) - len(line.lstrip())
            self.assertEqual(indent % 2, 0, line)
            keys = {depth: seen for depth, seen in keys.items() if depth <= indent}
            if line.lstrip().startswith("- "):
                keys.pop(indent, None)
            key = re.match(r" *([\w-]+):( |$)", line)
            if key:
                self.assertNotIn(key.group(1), keys.setdefault(indent, set()), line)
                keys[indent].add(key.group(1))
        return re.findall(r"(?:run: |- )(layeval .*)", text)

    def test_example_workflows(self):
        run, reference = (self.run_of({"mgsm": {"bn": right(5, 10)}}) for _ in "ab")
        (self.dir / "runs").mkdir()
        run.rename(self.dir / "runs" / "candidate")
        for name in ("github.yml", "gitlab.yml"):
            evaluate, gate = self.commands(name)
            words = shlex.split(evaluate)
            known = subprocess.run([LAYEVAL, words[1], "--help"], capture_output=True, text=True, check=True).stdout
            for word in words:
                if word.startswith("--"):
                    self.assertIn(word + " ", known)
            result = subprocess.run(["sh", "-c", gate.replace("layeval", shlex.quote(os.path.abspath(LAYEVAL)), 1)],
                                    cwd=self.dir, env={**os.environ, "LAYEVAL_REFERENCE": str(reference)},
                                    capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            junit.read(self, self.dir / "junit.xml")


if __name__ == "__main__":
    unittest.main()
