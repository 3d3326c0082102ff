"""The HTML report in headless Chromium: filters, search, languages, contrast, names, phone, paper.

Skipped where chromium or chromedriver is missing; `./dev.sh browser-test` installs them. How fast it is, is measured by
tests/bench/bench_html.py."""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

from html_report import ROOT, SYSTEMS, demo_runs, hostile_run, report
from webdriver import Browser, available

BIG_RUNS = pathlib.Path(os.environ["LAYEVAL"]).parent / "tests" / "big_runs"
CHECKS = (pathlib.Path(__file__).parent / "page_check.js").read_text(encoding="utf-8")
DONE = "document.getElementById('found').dataset.state === 'done'"
DRAWN = (DONE + " && document.getElementById('list').getAttribute('aria-busy') === 'false'"
         " && [...document.querySelectorAll('#list [role=option]')].every((o) => o.childElementCount)")
SET = """const form = document.getElementById('filter');
for (const [name, value] of Object.entries(arguments[0])) form.elements[name].value = value;
form.dispatchEvent(new Event('input', {bubbles: true}));"""


def number_found(text):
    return int(text.split()[0].replace(",", ""))


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.dir = pathlib.Path(cls.folder.name)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def open(self, page):
        self.browser.open(page.as_uri())
        self.browser.emulate("light")
        self.browser.resize(1200, 900)
        self.browser.wait(DRAWN)

    def found(self, **filters):
        """Sets the form and returns the number of samples found."""
        self.browser.run("document.getElementById('filter').reset()")
        time.sleep(0.05)
        self.browser.run(SET, filters)
        self.browser.wait(DRAWN)
        return number_found(self.browser.run("return document.getElementById('found').textContent"))

    def tearDown(self):
        self.assertEqual(self.browser.console(), [])


class Demo(Page):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = demo_runs(cls.dir / "runs")
        cls.page = report(cls.dir / "report.html", cls.runs, "--baselines", ROOT / "data/baselines/layalign_paper.csv")
        cls.samples = collections.defaultdict(dict)  # (task, language, doc_id) → system → sample
        for system in SYSTEMS:
            for file in (cls.runs / system).glob("samples_*.jsonl"):
                task, language = file.stem.split("_")[1:]
                for line in file.read_text(encoding="utf-8").splitlines():
                    sample = json.loads(line)
                    cls.samples[task, language, sample["doc_id"]][system] = sample

    def setUp(self):
        self.open(self.page)

    def expected(self, test):
        return sum(any(test(s, of[s], of) for s in of) for of in self.samples.values())

    def test_opens_from_a_file_and_asks_the_network_for_nothing(self):
        urls = self.browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        self.assertEqual([url for url in urls if not url.startswith(("blob:", "data:"))], [])
        self.assertEqual(self.found(), len(self.samples))

    def test_filters_find_what_the_samples_files_say(self):
        def right(sample):
            return sample["acc"] == 1
        cases = [
            ({"verdict": "right"}, lambda s, a, of: right(a)),
            ({"verdict": "wrong", "system": "1"}, lambda s, a, of: s == SYSTEMS[1] and not right(a)),
            ({"verdict": "disagree"}, lambda s, a, of: a["disagree"]),
            ({"verdict": "unparsed", "system": "2"}, lambda s, a, of: s == SYSTEMS[2] and a["unparsed"]),
            ({"verdict": "length", "task": "xnli"}, lambda s, a, of: a["ended"] == "length" and "sentence1" in a["doc"]),
            ({"verdict": "right", "scorer": "strict"}, lambda s, a, of: a["acc_strict"] == 1),
            ({"verdict": "flipped"}, lambda s, a, of: any(right(o) != right(a) for o in of.values())),
            ({"verdict": "gained", "system": "0", "other": "2"},
             lambda s, a, of: s == SYSTEMS[0] and right(a) and not right(of[SYSTEMS[2]])),
            ({"verdict": "lost", "system": "0", "other": "2"},
             lambda s, a, of: s == SYSTEMS[0] and not right(a) and right(of[SYSTEMS[2]])),
        ]
        for filters, test in cases:
            with self.subTest(filters):
                self.assertEqual(self.found(**filters), self.expected(test))
        arabic = [key for key in self.samples if key[1] == "ar"]
        self.assertEqual(self.found(language="ar"), len(arabic))

    def test_shows_bengali_thai_chinese_and_arabic_from_right_to_left(self):
        for language, direction in (("bn", "ltr"), ("th", "ltr"), ("zh", "ltr"), ("ar", "rtl")):
            with self.subTest(language):
                key = min(key for key in self.samples if key[1] == language)
                self.found(language=language, task=key[0])
                self.browser.run("document.querySelector('#list [role=option]').click()")
                self.browser.wait("document.querySelector('#sample pre.main')")
                text, shown, lang, left, right = self.browser.run("""
                    const main = document.querySelector('#sample pre.main'), node = main.firstChild;
                    const at = (i) => { const range = document.createRange(); range.setStart(node, i);
                        range.setEnd(node, i + 1); return range.getBoundingClientRect().left; };
                    const word = [...node.data].findIndex((c) => /\\p{L}/u.test(c) && !/[a-z]/i.test(c));
                    return [node.data, getComputedStyle(main).direction, main.lang, at(word), at(word + 3)];""")
                sample = self.samples[key][SYSTEMS[0]]  # math shows the question, which its prompt has inside
                prompt = sample["arguments"]["gen_args_0"]["arg_0"]
                (self.assertIn if key[0] == "mgsm" else self.assertEqual)(text, prompt)
                self.assertEqual((shown, lang), (direction, language))
                (self.assertGreater if direction == "rtl" else self.assertLess)(left, right)

    def test_everything_can_be_read_in_light_and_dark_and_has_a_name(self):
        self.browser.run("document.querySelector('#list [role=option]').click()")
        self.browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        grounds = set()
        for scheme in ("light", "dark"):
            self.browser.emulate(scheme)
            self.assertEqual(self.browser.run(CHECKS + "return hardToRead();"), [], scheme)
            grounds.add(self.browser.run("return getComputedStyle(document.documentElement).backgroundColor"))
        self.assertEqual(len(grounds), 2)
        self.assertEqual(self.browser.run(CHECKS + "return nameless();"), [])

    def test_the_check_finds_what_is_wrong(self):
        self.browser.run("""document.querySelector('h1').style.color = '#bbb';
            document.querySelector('#filter label').firstChild.data = '';
            document.querySelector('th').removeAttribute('scope');""")
        self.assertEqual(len(self.browser.run(CHECKS + "return hardToRead();")), 1)
        self.assertEqual(len(self.browser.run(CHECKS + "return nameless();")), 2)

    def test_a_phone_scrolls_down_only(self):
        self.browser.resize(390, 844)
        self.browser.wait(DRAWN)
        self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.browser.run("return getComputedStyle(document.querySelector('.panes')).flexDirection"), "column")

    def test_paper_has_tables_and_charts_in_light_colours(self):
        self.browser.emulate("dark", "print")
        visible = "return getComputedStyle(document.querySelector(arguments[0])).display !== 'none'"
        for selector, shown in (("table.scores", True), ("svg.chart", True), ("#samples", False), ("nav", False)):
            self.assertEqual(self.browser.run(visible, selector), shown, selector)
        self.assertEqual(self.browser.run("return getComputedStyle(document.documentElement).backgroundColor"), "rgb(255, 255, 255)")
        self.browser.emulate("light")
        pdf = self.browser.pdf()
        self.assertTrue(pdf.startswith(b"%PDF-"))
        self.assertGreater(pdf.count(b"/Type /Page"), 1)

    def test_keys_move_through_the_list(self):
        self.browser.run("document.getElementById('list').focus()")
        keys = (("ArrowDown", 40, 0), ("ArrowDown", 40, 1), ("End", 35, len(self.samples) - 1), ("ArrowUp", 38, len(self.samples) - 2),
                ("Home", 36, 0))
        for key, code, place in keys:
            for kind in ("keyDown", "keyUp"):
                self.browser.devtools("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)
            self.browser.wait(DRAWN)
            self.assertEqual(self.browser.run("""const id = document.getElementById('list').getAttribute('aria-activedescendant');
                const chosen = document.getElementById(id);
                return [id, chosen.getAttribute('aria-selected'), chosen.getAttribute('aria-posinset')];"""),
                [f"option-{place}", "true", str(place + 1)])
        self.browser.wait("document.getElementById('sample').dataset.row === '0'")

    def test_pressing_clear_brings_everything_back(self):
        self.found(text="qqqqqq")
        self.browser.run("document.querySelector('#filter [type=reset]').click()")
        self.browser.wait("document.getElementById('found').textContent.startsWith(arguments[0])".replace(
            "arguments[0]", repr(f"{len(self.samples)} of")))

    def test_without_workers_the_page_searches_itself(self):
        # A page that cannot start a worker: the same scripts, with the constructor taken away in front of them.
        source = self.page.read_text(encoding="utf-8")
        page = self.dir / "no_worker.html"
        page.write_text(source.replace('<script id="samples-script">', "<script>delete window.Worker;</script>\n"
                                       '<script id="samples-script">'), encoding="utf-8")
        self.open(page)
        self.assertEqual(self.found(), len(self.samples))
        self.assertEqual(self.found(language="ar"), len([key for key in self.samples if key[1] == "ar"]))


class Hostile(Page):
    def test_texts_of_samples_do_nothing(self):
        self.open(report(self.dir / "report.html", hostile_run(self.dir / "run")))
        self.browser.run("document.querySelector('#list [role=option]').click()")
        self.browser.wait("document.querySelector('#sample .output')")
        self.assertIsNone(self.browser.run("return window.hacked ?? null"))
        self.assertIn("</script><script>", self.browser.run("return document.querySelector('#sample .output').textContent"))
        self.assertEqual(self.found(text="<script>WINDOW"), 1)
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('#sample mark')].length"), 0)
        self.browser.run("document.querySelector('#list [role=option]').click()")
        self.browser.wait("document.querySelector('#sample mark')")
        self.assertEqual(self.browser.run("return document.querySelector('#sample mark').textContent"), "<script>window")


@unittest.skipUnless(BIG_RUNS.exists(), "big_runs is not built")
class Big(Page):
    """75 000 samples of two systems."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        subprocess.run([BIG_RUNS, cls.dir / "runs", "2", "75000"], check=True)
        cls.page = report(cls.dir / "report.html", cls.dir / "runs")
        cls.rows = collections.defaultdict(list)
        for system in ("system-1", "system-2"):
            with open(cls.dir / "runs" / system / "journal.jsonl", encoding="utf-8") as journal:
                next(journal)
                for line in journal:
                    sample = json.loads(line)
                    cls.rows[sample["task"], sample["language"], sample["doc_id"]].append(sample)

    def holds(self, sample, words):
        main = sample["source"] if sample["task"] in ("mgsm", "msvamp") else sample["prompt"]
        texts = (main, sample["target"], sample["output"] or sample["error"] or "")
        return [any(word in text.lower() for text in texts) for word in words]

    def expected(self, *words, language=None):
        count = 0
        for key, samples in self.rows.items():
            if language in (None, key[1]):
                hits = [self.holds(sample, words) for sample in samples]
                count += all(any(hit[i] for hit in hits) for i in range(len(words)))
        return count

    def test_searches_and_scrolls(self):
        self.open(self.page)
        self.assertEqual(self.found(), len(self.rows))
        self.assertEqual(len(self.rows), 75000)
        for filters, words in (({"text": "She gives 12 of"}, ("she", "gives", "12", "of")),
                               ({"text": '"subtract 77 from"'}, ("subtract 77 from",)),
                               ({"text": "উত্তর"}, ("উত্তর",)), ({"text": "ليلى 7", "language": "ar"}, ("ليلى", "7")),
                               ({"text": "no such thing"}, ("no such thing",))):
            with self.subTest(filters):
                self.assertEqual(self.found(**filters), self.expected(*words, language=filters.get("language")))
        self.assertEqual(self.found(), 75000)
        self.browser.run("const list = document.getElementById('list'); list.scrollTop = list.scrollHeight;")
        self.browser.wait("document.getElementById('option-74999')?.childElementCount")
        self.assertLess(self.browser.run("return document.querySelectorAll('#list [role=option]').length"), 100)


if __name__ == "__main__":
    if not available():
        print("skipped: chromium and chromedriver are not installed (./dev.sh browser-test installs them)")
        sys.exit(77)
    unittest.main()
