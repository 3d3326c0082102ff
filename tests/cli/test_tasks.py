"""layeval tasks: what it lists, in which order, and how it refuses."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
ORDERS = {
    "mgsm": "bn th sw ja zh de fr ru es en te",
    "msvamp": "bn th sw ja zh de fr ru es en",
    "x-csqa": "sw ur hi ar vi ja pl zh nl ru it de pt fr es en",
    "xnli": "sw ur hi th ar tr el vi zh ru bg de fr es en",
}


def run(*arguments, **env):
    return subprocess.run([LAYEVAL, "tasks", *arguments], capture_output=True, text=True, encoding="utf-8",
                          env={**os.environ, **env}, timeout=60)


class Tasks(unittest.TestCase):
    def test_json_lists_languages_in_the_papers_order_with_groups(self):
        result = run("--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        tasks = {task["name"]: task for task in json.loads(result.stdout)["tasks"]}
        self.assertEqual(list(tasks), list(ORDERS))
        for name, order in ORDERS.items():
            languages = tasks[name]["languages"]
            self.assertEqual([l["iso"] for l in languages], order.split())
            self.assertEqual([l["iso"] for l in languages if not l["default"]], ["te"] if name == "mgsm" else [])
            low = [l["iso"] for l in languages if l["group"] == "low"]
            self.assertEqual(low, ["bn", "th", "sw"] if name in ("mgsm", "msvamp") else [])
            self.assertEqual({l["iso"] for l in languages if l["right_to_left"]}, {"ar", "ur"} & set(order.split()))
            self.assertIn("mindmerger", tasks[name]["prompt_sets"])
            self.assertTrue(tasks[name]["download"].startswith("https://"))
        self.assertEqual([l["name"] for l in tasks["xnli"]["layouts"]], ["tsv", "jsonl", "xtreme", "json"])

    def test_text_names_layouts_downloads_and_versions(self):
        result = run()
        self.assertEqual(result.returncode, 0, result.stderr)
        for word in ("mgsm_{iso}.tsv", "test_{Name}.json", "{iso}/dev.jsonl", "xnli.test.tsv", "data/fetch.sh xnli",
                     "version 1", "langbridge-metamath", "te Telugu (off by default)"):
            self.assertIn(word, result.stdout)

    def test_one_task_and_its_alias(self):
        for option in ("--task", "--tasks"):
            result = run(option, "msvamp", "--json")
            self.assertEqual([task["name"] for task in json.loads(result.stdout)["tasks"]], ["msvamp"])

    def test_unknown_tasks_and_options_are_usage_errors(self):
        for arguments in (("--task", "squad"), ("--colour",), ("mgsm",)):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stdout, "")
            self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertIn("mgsm, msvamp, x-csqa, xnli", run("--task", "squad").stderr)

    def test_a_wrong_data_directory_is_named(self):
        result = run(LAYEVAL_DATA="/nonexistent")
        self.assertEqual(result.returncode, 3)
        self.assertIn("/nonexistent/languages.json", result.stderr)
        self.assertIn("LAYEVAL_DATA", result.stderr)

    def test_a_broken_language_table_is_refused_by_place(self):
        good = {"tasks": {}, "languages": [{"iso": "de", "name": "German", "nllb": "deu_Latn", "aliases": [],
                                            "answer_markers": []}]}
        order = {"printed": ["xx"], "official": None, "low": [], "high": [], "off_by_default": []}
        for change, word in (({"colour": 1}, "colour"), ({"languages": good["languages"] * 2}, "stands twice"),
                             ({"tasks": {"mgsm": order}}, "xx"), ({"languages": [{"iso": "de"}]}, "name")):
            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "languages.json").write_text(json.dumps({**good, **change}))
                result = run(LAYEVAL_DATA=folder)
                self.assertEqual(result.returncode, 3)
                self.assertIn("languages.json", result.stderr)
                self.assertIn(word, result.stderr)

    def test_help_has_examples(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("Examples:", result.stdout)


if __name__ == "__main__":
    unittest.main()
