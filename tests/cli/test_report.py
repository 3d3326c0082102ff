"""layeval report: figures against Python's own arithmetic, every format read back, the paper's tables, refusals."""
import csv
import io
import json
import pathlib
import re
import unittest
import xml.etree.ElementTree as ElementTree

from case import Case
from runs import make_run

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAPER = list(csv.DictReader((ROOT / "data/baselines/layalign_paper.csv").open(encoding="utf-8", newline="")))
MGSM = ["bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en"]
HEADER = "system,method,llm,encoder,task,language,accuracy,source\n"


def wilson(hits, n, z=1.959963984540054):
    p = hits / n
    middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return 100 * (middle - spread) / (1 + z * z / n), 100 * (middle + spread) / (1 + z * z / n)


class Report(Case):
    def report(self, *arguments, code=0):
        return self.layeval("report", *arguments, code=code)

    def rows(self, *arguments):
        return list(csv.DictReader(io.StringIO(self.report(*arguments, "--format", "csv").stdout)))

    def data(self, *arguments):
        return json.loads(self.report(*arguments, "--format", "json").stdout)["tasks"]

    def baselines(self, text, name="b.csv"):
        (self.dir / name).write_text(HEADER + text, encoding="utf-8")
        return self.dir / name


class Figures(Report):
    """Two systems over all of MGSM: language k has 40 answers, k + 10 of them right for the first, 30 - k for the
    second; one answer of the first is an error, one without a number."""

    def setUp(self):
        super().setUp()
        self.right = {"one": {code: k + 10 for k, code in enumerate(MGSM)},
                      "two": {code: 30 - k for k, code in enumerate(MGSM)}}
        cells = {name: {code: "R" * n + "W" * (38 - n) + ("UE" if name == "one" else "WW") for code, n in row.items()}
                 for name, row in self.right.items()}
        self.runs = [make_run(self.dir / name, name, {"mgsm": cells[name]}, method="layalign") for name in cells]

    def test_csv_has_every_figure(self):
        rows = {(row["system"], row["language"]): row for row in self.rows(*self.runs)}
        self.assertEqual(len(rows), 2 * 13)
        for name, right in self.right.items():
            for code in MGSM:
                row = rows[name, code]
                self.assertEqual(row["accuracy"], f"{100 * right[code] / 40:.2f}")
                self.assertEqual((row["n"], row["error"], row["unparsed"]), ("40", *("11" if name == "one" else "00")))
                low, high = wilson(right[code], 40)
                self.assertEqual((row["ci_low"], row["ci_high"]), (f"{low:.2f}", f"{high:.2f}"))
                other = self.right["two" if name == "one" else "one"][code]
                self.assertEqual(row["place"], "1" if right[code] >= other else "2", (name, code))
            for key, codes in (("lrl", MGSM[:3]), ("hrl", MGSM[3:]), ("avg", MGSM)):
                mean = sum(100 * right[code] / 40 for code in codes) / len(codes)
                self.assertAlmostEqual(float(rows[name, key]["accuracy"]), mean, delta=0.0501)
                self.assertEqual(rows[name, key]["n"], str(40 * len(codes)))
                self.assertEqual(rows[name, key]["partial"], "0")

    def test_json_says_the_same(self):
        task, = self.data(*self.runs)
        self.assertEqual([column["key"] for column in task["columns"]], MGSM + ["lrl", "hrl", "avg"])
        rows = {(row["system"], row["language"]): row for row in self.rows(*self.runs)}
        for row in task["rows"]:
            self.assertFalse(row["published"])
            self.assertEqual(row["counts"]["n"], 400)
            self.assertEqual(row["counts"]["error"], 10 if row["name"] == "one" else 0)
            for key, score in row["scores"].items():
                wanted = rows[row["name"], key]
                self.assertAlmostEqual(score["accuracy"], float(wanted["accuracy"]), delta=0.006)
                self.assertAlmostEqual(score["interval"][0], float(wanted["ci_low"]), delta=0.006)
                self.assertEqual(str(score["place"]), wanted["place"])

    def test_markdown_tables_are_whole_and_mark_the_best(self):
        text = self.report(*self.runs, "--format", "md").stdout
        tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
        self.assertEqual(len(tables), 3)
        for table in tables:
            self.assertRegex(table[1], r"^\|---\|(---:\|)+$")
            self.assertEqual({line.count("|") for line in table}, {table[0].count("|")})
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[0]]
        self.assertEqual(cells[0][1:], MGSM + ["Lrl.", "Hrl.", "Avg."])
        self.assertEqual(cells[2][:2], ["one", "<u>25.0</u>"])
        self.assertEqual(cells[3][:2], ["two", "**75.0**"])
        self.assertIn("one, of 400 answers: ", text)
        self.assertIn("10 failed with an error", text)

    def test_latex_is_booktabs_and_balanced(self):
        text = self.report(*self.runs, "--format", "latex").stdout
        self.assertEqual(text.count("{"), text.count("}"))
        for word in ("\\toprule", "\\midrule", "\\bottomrule", "\\begin{table}", "\\end{table}"):
            self.assertEqual(text.count(word), 1, word)
        lines = [line for line in text.splitlines() if line.endswith("\\\\")]
        self.assertEqual({line.count("&") for line in lines}, {13})
        self.assertIn("\\textbf{75.0}", text)
        self.assertIn("\\underline{25.0}", text)

    def test_terminal_shows_intervals_and_no_colour_in_a_pipe(self):
        text = self.report(*self.runs).stdout
        self.assertNotIn("\033", text)
        lines = text.splitlines()
        self.assertEqual(lines[1].split(), MGSM + ["Lrl.", "Hrl.", "Avg."])
        self.assertEqual(lines[2].split()[:2], ["one", "25.0"])
        low, high = wilson(10, 40)
        self.assertEqual(lines[4].split()[3], f"{low:.1f}-{high:.1f}")

    def test_junit_has_a_case_a_language(self):
        root = ElementTree.fromstring(self.report(*self.runs, "--format", "junit").stdout)
        cases = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
        self.assertEqual(cases, [(f"layeval.{name}.mgsm", code) for name in ("one", "two") for code in MGSM])

    def test_a_part_of_the_languages_has_averages_that_are_not_ranked(self):
        rows = {(row["system"], row["language"]): row for row in self.rows(*self.runs, "--lang", "bn,th,sw,German")}
        self.assertEqual(sorted({code for _, code in rows}), ["avg", "bn", "de", "hrl", "lrl", "sw", "th"])
        for name in ("one", "two"):
            self.assertEqual([rows[name, key]["partial"] for key in ("lrl", "hrl", "avg")], ["0", "1", "1"])
            self.assertEqual(rows[name, "avg"]["place"], "0")
            self.assertNotEqual(rows[name, "lrl"]["place"], "0")

    def test_published_rows_are_marked_and_take_part(self):
        file = self.baselines('A & B_1,x,L,,mgsm,bn,80.25,"a paper, table 1"\n'
                              'A & B_1,x,L,,mgsm,avg,99.9,"a paper, table 1"\n'
                              'Other,x,L,,mgsm,te,10,elsewhere\nOther,x,L,,mgsm,th,10,elsewhere\n'
                              'other task,x,L,,xnli,avg,50,elsewhere\n')
        task, = self.data(*self.runs, "--baselines", file)
        rows = {row["name"]: row for row in task["rows"]}
        self.assertEqual(list(rows), ["one", "two", "A & B_1", "Other"])
        self.assertTrue(rows["A & B_1"]["published"])
        self.assertEqual(rows["A & B_1"]["source"], "a paper, table 1")
        self.assertEqual([rows[name]["scores"]["bn"]["place"] for name in list(rows)[:3]], [0, 2, 1])
        self.assertEqual(rows["A & B_1"]["scores"]["avg"]["place"], 1)
        text = self.report(*self.runs, "--baselines", file, "--format", "latex").stdout
        self.assertIn("A \\& B\\_1$^{1}$ & \\textbf{80.25}", text)
        self.assertIn("published: a paper, table 1", text)
        text = self.report(*self.runs, "--baselines", file).stdout
        self.assertRegex(text, r"(?m)^A & B_1 \[1\] +80\.25 ")
        self.assertIn("[1] published: a paper, table 1\n[2] published: elsewhere", text)

    def test_an_average_with_telugu_is_not_ranked_beside_one_without(self):
        file = self.baselines("T,x,L,,mgsm,te,10,s\n" + "".join(f"T,x,L,,mgsm,{code},50,s\n" for code in MGSM) +
                              "T,x,L,,mgsm,avg,46.4,s\n")
        task, = self.data(*self.runs, "--baselines", file)
        score = task["rows"][2]["scores"]["avg"]
        self.assertEqual((score["place"], score["partial"]), (0, True))

    def test_out_writes_the_file_and_nothing_else(self):
        result = self.report(*self.runs, "--format", "md", "--out", self.dir / "t.md")
        self.assertEqual(result.stdout, "")
        self.assertEqual((self.dir / "t.md").read_text(encoding="utf-8"), self.report(*self.runs, "--format", "md").stdout)


class Paper(Report):
    def published(self, table, task, system):
        return {row["language"]: float(row["accuracy"]) for row in PAPER
                if row["source"].endswith(f"Table {table}") and row["task"] == task and row["system"] == system}

    def test_every_table_of_the_file(self):
        """A run of each task and method: all rows of a table are there, differences are ours minus theirs."""
        languages = {task: [row["language"] for row in PAPER if row["task"] == task and row["system"] == system]
                     for task, system in (("mgsm", "LayAlign-LR"), ("x-csqa", "LayAlign"), ("xnli", "LayAlign"))}
        languages["msvamp"] = languages["mgsm"]
        codes = {task: [code for code in list if code not in ("avg", "lrl", "hrl")] for task, list in languages.items()}
        pattern = {"mgsm": [("18", "18"), ("18", "18"), ("18", "7")], "x-csqa": [("A", "A"), ("A", "B")],
                   "xnli": [("neutral", "neutral"), ("neutral", "entailment")]}
        pattern["msvamp"] = pattern["mgsm"]
        runs = []
        for method in ("plain", "langbridge", "mindmerger", "layalign"):
            tasks = {task: {code: [{"doc_id": i, "target": target, "output": output, "ended": "eos", "doc": {}}
                                   for i, (target, output) in enumerate(pattern[task])] for code in codes[task]}
                     for task in codes}
            runs.append(make_run(self.dir / method, method, tasks, method=method))
        tables = sorted({int(re.search(r"Table (\d+)$", row["source"])[1]) for row in PAPER})
        self.assertEqual(tables, [2, 7, 8, 11, 12, 13, 14, 15, 16])
        for table in tables:
            wanted = [row for row in PAPER if row["source"].endswith(f"Table {table}")]
            found = self.data(*runs, "--paper", table)
            self.assertEqual({task["task"] for task in found}, {row["task"] for row in wanted})
            for task in found:
                published = {row["name"]: row for row in task["rows"] if row["published"]}
                for row in wanted:
                    if row["task"] == task["task"]:
                        self.assertEqual(published[row["system"]]["scores"][row["language"]]["accuracy"],
                                         float(row["accuracy"]))
                own = {row["name"]: row for row in task["rows"] if not row["published"]}
                pairs = {(d["system"], d["published"]) for d in task["differences"]}
                self.assertEqual(pairs, {(row["method"], name) for name, row in published.items() if row["method"] in own})
                for d in task["differences"]:
                    ours, theirs = own[d["system"]]["scores"], published[d["published"]]["scores"]
                    self.assertEqual(set(d["points"]), set(theirs))
                    for key, point in d["points"].items():
                        self.assertAlmostEqual(point["difference"], ours[key]["accuracy"] - theirs[key]["accuracy"], delta=0.006)
                        low, high = ours[key]["interval"]
                        self.assertEqual(point["within_interval"], low <= theirs[key]["accuracy"] <= high)

    def test_forms_people_read(self):
        cells = {code: "R" * 58 + "W" * 42 for code in MGSM}
        run = make_run(self.dir / "a", "mine", {"mgsm": cells}, method="layalign")
        published = self.published(2, "mgsm", "LayAlign")
        text = self.report(run, "--paper", 2).stdout
        line, = [line for line in text.splitlines() if line.startswith("mine - LayAlign [1]")]
        low, high = wilson(58, 100)
        wanted = [f"{58 - published[code]:+.1f}" + ("" if low <= published[code] <= high else "*") for code in MGSM]
        self.assertEqual(line.split()[4:14], wanted)
        text = self.report(run, "--paper", 2, "--format", "md").stdout
        self.assertIn("# LayAlign \\(arXiv 2502.11405v1\\), Table 2".replace("\\(", "(").replace("\\)", ")"),
                      text.replace("\\", ""))
        self.assertIn("ours − published", text)
        rows = list(csv.DictReader(io.StringIO(self.report(run, "--paper", 2, "--format", "csv").stdout)))
        row, = [row for row in rows if row["language"] == "bn"]
        self.assertEqual((row["published"], row["published_accuracy"], row["difference"]),
                         ("LayAlign", f"{published['bn']}", f"{58 - published['bn']:.2f}"))
        text = self.report(run, "--paper", 2, "--format", "latex").stdout
        self.assertEqual(text.count("{"), text.count("}"))
        self.assertEqual(text.count("\\begin{table}"), text.count("\\end{table}"))

    def test_tables_that_are_not_there(self):
        run = make_run(self.dir / "a", "mine", {"mgsm": {"bn": "RW"}})
        self.assertIn("no figures of Table 3", self.report(run, "--paper", 3, code=2).stderr)
        self.assertIn("2, 7, 8, 11, 12, 13, 14, 15, 16", self.report(run, "--paper", 4, code=2).stderr)
        self.assertIn("is about xnli, which no run has", self.report(run, "--paper", 13, code=3).stderr)
        self.report(run, "--paper", 0, code=2)
        self.report(run, "--paper", "two", code=2)


class Refusals(Report):
    def setUp(self):
        super().setUp()
        self.run_dir = make_run(self.dir / "a", "mine", {"mgsm": {"bn": "RW"}})

    def test_command_lines(self):
        for arguments, words in (((), "name run directories"), ((self.run_dir, "--format", "pdf"), "none of terminal, md"),
                                 ((self.run_dir, "--task", "gsm8k"), "gsm8k"), ((self.run_dir, "--lang", "xx"), "xx"),
                                 ((self.run_dir, "--task", "xnli"), "no run has any of these"), ((self.run_dir, "--match", "fuzzy"), "--match"),
                                 ((self.run_dir, self.run_dir), "is there twice"),
                                 ((self.run_dir, "--paper", 2, "--baselines", "x.csv"), "exclude each other")):
            self.assertIn(words, self.report(*arguments, code=2).stderr, arguments)

    def test_inputs(self):
        self.assertIn("no such directory", self.report(self.dir / "none", code=3).stderr)
        (self.dir / "empty").mkdir()
        self.assertIn("manifest.json", self.report(self.dir / "empty", code=3).stderr)
        bad = self.baselines("A,plain,L,,mgsm,bn,6.4,\n")
        self.assertIn(f"{bad}:2: a figure without a source", self.report(self.run_dir, "--baselines", bad, code=3).stderr)
        self.assertIn("none.csv", self.report(self.run_dir, "--baselines", self.dir / "none.csv", code=3).stderr)
        self.report(self.run_dir, "--out", self.dir / "a" / "no" / "file", code=3)

    def test_an_unfinished_run_is_reported_with_a_note(self):
        run = make_run(self.dir / "b", "mine", {"mgsm": {"bn": "RW"}}, promised={("mgsm", "bn"): 5}, sealed=False)
        self.assertIn("2 of 5 samples", self.report(run).stderr)

    def test_hostile_names_stay_in_their_cells(self):
        name = "a|b\\\\ $x$ % {y} _z_ <script> \u001b[2J & \\input{/etc/passwd}"
        run = make_run(self.dir / "h", name, {"mgsm": {"bn": "RW"}})
        latex = self.report(run, "--format", "latex").stdout
        self.assertNotIn("\\input", latex)
        self.assertNotIn("\033", latex)
        self.assertIn("\\textbackslash{}input\\{/etc/passwd\\}", latex)
        markdown = self.report(run, "--format", "md").stdout
        line, = [line for line in markdown.splitlines() if "| 50.0 | 50.0" in line]
        self.assertEqual(len(re.findall(r"(?<!\\)\|", line)), 5, line)
        self.assertNotIn("<script>", markdown)
        self.assertNotIn("\033", self.report(run).stdout)
        self.assertEqual(self.rows(run)[0]["system"], name)
        self.assertEqual(self.data(run)[0]["rows"][0]["name"], name)


if __name__ == "__main__":
    unittest.main()
