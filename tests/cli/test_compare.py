"""layeval compare: the figures it prints, checked with Python's own arithmetic; pairs, formats, flips and refusals."""
import csv
import io
import json
import math
import random
import unittest

from case import Case
from runs import answers, make_run


def mcnemar(b, c):
    n, k = b + c, min(b, c)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2 ** n)


def holm(p):
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted


def bootstrap(pairs, rng, resamples=2000):
    """The naive way: samples drawn one by one, with the mean over languages."""
    values = []
    for _ in range(resamples):
        values.append(sum(sum(rng.choices(cell, k=len(cell))) / len(cell) for cell in pairs) / len(pairs))
    values.sort()
    return 100 * values[resamples // 40], 100 * values[-1 - resamples // 40]


class Compare(Case):
    def run_compare(self, *arguments, code=0):
        return self.layeval("compare", *arguments, code=code)

    def refuse(self, code, words, *arguments):
        self.assertIn(words, self.run_compare(*arguments, code=code).stderr)

    def rows(self, *arguments):
        return list(csv.DictReader(io.StringIO(self.run_compare(*arguments, "--format", "csv").stdout)))


class Figures(Compare):
    def setUp(self):
        super().setUp()
        rng = random.Random(3)
        self.cells = {}
        for at, (language, n) in enumerate((("bn", 60), ("th", 40), ("de", 80), ("en", 50))):
            a = "".join("R" if rng.random() < 0.4 else rng.choice("WUE") for _ in range(n))
            b = "".join("R" if rng.random() < 0.45 + 0.1 * at else rng.choice("WU") for _ in range(n))
            self.cells[language] = (a, b)
        self.a = make_run(self.dir / "a", "one", {"mgsm": {k: a for k, (a, b) in self.cells.items()}})
        self.b = make_run(self.dir / "b", "two", {"mgsm": {k: b for k, (a, b) in self.cells.items()}})

    def changes(self, language):
        return [(y == "R") - (x == "R") for x, y in zip(*self.cells[language])]

    def test_every_row(self):
        rows = {row["language"]: row for row in self.rows(self.a, self.b)}
        self.assertEqual(list(rows), ["bn", "th", "de", "en", "lrl", "hrl", "avg", "all"])
        pools = {"lrl": ["bn", "th"], "hrl": ["de", "en"], "avg": list(self.cells), "all": list(self.cells)}
        adjusted = dict(zip(self.cells, holm([mcnemar(c.count(-1), c.count(1)) for c in map(self.changes, self.cells)])))
        for name, row in rows.items():
            parts = [self.changes(language) for language in pools.get(name, [name])]
            pooled = [change for part in parts for change in part]
            self.assertEqual((int(row["n"]), int(row["only_a"]), int(row["only_b"])),
                             (len(pooled), pooled.count(-1), pooled.count(1)))
            mean = sum(sum(part) / len(part) for part in parts) / len(parts)
            difference = sum(pooled) / len(pooled) if name == "all" else mean
            self.assertAlmostEqual(float(row["difference"]), 100 * difference, places=3)
            self.assertAlmostEqual(float(row["p"]), mcnemar(pooled.count(-1), pooled.count(1)), places=12)
            if name in adjusted:
                self.assertAlmostEqual(float(row["p_holm"]), adjusted[name], places=12)
            else:
                self.assertEqual(row["p_holm"], "")

    def test_intervals_are_those_of_drawing_sample_by_sample(self):
        rows = {row["language"]: row for row in self.rows(self.a, self.b, "--resamples", 100000)}
        for name, languages in (("bn", ["bn"]), ("lrl", ["bn", "th"]), ("avg", list(self.cells))):
            low, high = bootstrap([self.changes(language) for language in languages], random.Random(5))
            row = rows[name]
            slack = 0.12 * (high - low) + 100 / 60 / len(languages)  # of 2000 resamples, and of the grid of values
            self.assertLess(abs(float(row["ci_low"]) - low), slack, name)
            self.assertLess(abs(float(row["ci_high"]) - high), slack, name)

    def test_the_seed_decides(self):
        texts = [self.run_compare(self.a, self.b, "--format", "json", *seed).stdout
                 for seed in ((), ("--seed", 0), ("--seed", 1))]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_strict_score_and_selection(self):
        rows = self.rows(self.a, self.b, "--score", "strict", "--lang", "German", "--task", "mgsm")
        self.assertEqual([row["language"] for row in rows], ["de", "hrl", "avg", "all"])
        self.assertEqual({row["score"] for row in rows}, {"strict"})

    def test_json_lists_flips(self):
        report = json.loads(self.run_compare(self.a, self.b, "--format", "json").stdout)
        self.assertEqual((report["score"], report["seed"], report["resamples"]), ("paper", 0, 10000))
        comparison = report["comparisons"][0]
        self.assertEqual((comparison["a"], comparison["b"]), ("one", "two"))
        for row in comparison["tasks"][0]["rows"][:4]:
            changes = self.changes(row["language"])
            self.assertEqual(row["gained"], [i for i, change in enumerate(changes) if change == 1])
            self.assertEqual(row["lost"], [i for i, change in enumerate(changes) if change == -1])

    def test_flips_in_a_file(self):
        path = self.dir / "flips.jsonl"
        self.run_compare(self.a, self.b, "--flips", path)
        flips = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(len(flips), sum(abs(change) for language in self.cells for change in self.changes(language)))
        for flip in flips:
            a, b = (cell[flip["doc_id"]] for cell in self.cells[flip["language"]])
            self.assertEqual(flip["change"], "gained" if b == "R" else "lost")
            self.assertEqual((flip["output_a"], flip["output_b"]),
                             (answers(a)[0]["output"], answers(b)[0]["output"]))

    def test_terminal_and_markdown(self):
        text = self.run_compare(self.a, self.b, "--flips", 1).stdout
        self.assertIn("two (B) against one (A)", text)
        gained = [str(i) for i, change in enumerate(self.changes("de")) if change == 1]
        self.assertIn("  de gained: " + ", ".join(gained[:12]), text)
        self.assertIn("Ended in an error, counted as wrong: A ", text)
        self.assertEqual(text.count(" gained, target 18") + text.count(" lost, target 18"), len(self.cells))
        lines = self.run_compare(self.a, self.b, "--format", "md").stdout.splitlines()
        table = [line for line in lines if line.startswith("|")]
        self.assertEqual(len(table), 2 + 8)
        self.assertEqual({line.replace("\\|", "").count("|") for line in table}, {11})


class Pairs(Compare):
    def runs(self, *names, folder=""):
        for name in names:
            make_run(self.dir / folder / name, name, {"mgsm": {"bn": "RW"}})
        return self.dir / folder

    def pairs(self, *arguments):
        return [(row["a"], row["b"]) for row in self.rows(*arguments) if row["language"] == "bn"]

    def test_the_first_of_several_is_the_reference(self):
        top = self.runs("x", "y", "z")
        self.assertEqual(self.pairs(top), [("x", "y"), ("x", "z")])
        self.assertEqual(self.pairs(top / "z", top / "x", top / "y"), [("z", "x"), ("z", "y")])

    def test_two_directories_of_several_are_paired_by_name(self):
        old, new = self.runs("x", "y", folder="old"), self.runs("y", "x", "w", folder="new")
        result = self.run_compare(old, new, "--format", "csv")
        pairs = [(row["a"], row["b"]) for row in csv.DictReader(io.StringIO(result.stdout)) if row["language"] == "bn"]
        self.assertEqual(pairs, [(f"x ({old}/x)", f"x ({new}/x)"), (f"y ({old}/y)", f"y ({new}/y)")])
        self.assertIn("new/w: the other directory has no system of this name", result.stderr)
        self.refuse(2, "no system of the same name", old, self.runs("p", "q", folder="other"))

    def test_equal_runs(self):
        for row in self.rows(self.runs("x", "y")):
            self.assertEqual((float(row["difference"]), float(row["p"])), (0, 1))
            self.assertEqual((float(row["ci_low"]), float(row["ci_high"])), (0, 0))

    def test_one_sample(self):
        a, b = (make_run(self.dir / n, n, {"mgsm": {"bn": n}}) for n in "WR")
        row = self.rows(a, b)[0]
        self.assertEqual((float(row["difference"]), float(row["ci_low"]), float(row["p"])), (100, 100, 1))

    def test_an_empty_language(self):
        a, b = (make_run(self.dir / n, n, {"mgsm": {"bn": "", "en": "R"}}, {("mgsm", "bn"): 4}) for n in "ab")
        result = self.run_compare(a, b, "--format", "json")
        self.assertIsNone(json.loads(result.stdout)["comparisons"][0]["tasks"][0]["rows"][0]["difference"])
        self.assertIn("1 of 5 samples are answered", result.stderr)


class Refusals(Compare):
    def test_unequal_samples(self):
        a = make_run(self.dir / "a", "a", {"mgsm": {"bn": "RWR", "de": "RR"}})
        b = make_run(self.dir / "b", "b", {"mgsm": {"bn": "RW", "en": "RR"}, "msvamp": {"bn": "R"}})
        self.refuse(3, "a and b have not answered the same samples: mgsm bn: 1 only in the first (doc_id 2); mgsm de "
                       "only in the first; mgsm en only in the second; msvamp only in the second", a, b)
        c = make_run(self.dir / "c", "c", {"mgsm": {"bn": [{**answer, "target": "5", "doc": {}} for answer in answers("RWR")]}})
        self.refuse(3, "mgsm bn: 3 with another target (doc_id 0, 1, 2)", a, c, "--lang", "bn")

    def test_command_lines(self):
        a = make_run(self.dir / "a", "a", {"mgsm": {"bn": "RW"}})
        b = make_run(self.dir / "b", "b", {"mgsm": {"bn": "RW"}})
        self.refuse(2, "name run directories")
        self.refuse(2, "is a single run", a)
        self.refuse(2, "is there twice", a, a)
        self.refuse(2, "neither paper nor strict", a, b, "--score", "best")
        self.refuse(2, "none of terminal, md, csv, json", a, b, "--format", "xml")
        self.refuse(2, "unknown language", a, b, "--lang", "xx")
        self.refuse(2, "mgsm", a, b, "--task", "nope")
        self.refuse(2, "no run has any of these", a, b, "--task", "xnli")
        self.refuse(2, "outside 10000", a, b, "--resamples", 100)
        self.refuse(2, "outside 0", a, b, "--seed", -1)
        self.refuse(2, "name a file", a, b, "--flips", 3, "--format", "csv")
        self.refuse(3, "no such directory", a, self.dir / "none")
        self.refuse(3, "none", a, b, "--flips", self.dir / "none" / "flips.jsonl")

    def test_hostile_names_and_outputs_stay_in_their_place(self):
        cell = [{**answers("R")[0], "output": "a\x1b[31m|`<b>\n## 18"}]
        a = make_run(self.dir / "a", "a", {"mgsm": {"bn": "W"}})
        b = make_run(self.dir / "b", "b|\x1b[2J", {"mgsm": {"bn": cell}})
        for form in ("terminal", "md"):
            text = self.run_compare(a, b, "--format", form, "--flips", 9).stdout
            self.assertNotIn("\x1b", text)
            self.assertFalse([line for line in text.splitlines() if line.startswith("## 18")])


if __name__ == "__main__":
    unittest.main()
