"""The HTML report as a file: what a reader without JavaScript finds, that nothing in it loads or breaks out, and that
every sample is in it as the samples files have it."""
import json
import pathlib
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

from html_report import HOSTILE, LAYEVAL, ROOT, SYSTEMS, Page, demo_runs, hostile_run, report

RIGHT_PAPER, RIGHT_STRICT, UNPARSED, CUT_OFF = 2, 4, 8, 64
FIELDS = 5  # of each system behind the searched ones
NOTHING_INSIDE = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Html(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)
        cls.runs = demo_runs(cls.dir / "runs")
        cls.path = report(cls.dir / "report.html", cls.runs, "--baselines", ROOT / "data/baselines/layalign_paper.csv")
        cls.source = cls.path.read_text(encoding="utf-8")
        cls.page = Page(cls.path)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_loads_nothing(self):
        policy = [m["content"] for m in self.page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        self.assertEqual(len(policy), 1)
        self.assertIn("default-src 'none'", policy[0])
        for tag, attributes in self.page.tags:
            self.assertNotIn(tag, ("link", "iframe", "object", "embed", "base"))
            for name in ("src", "href", "action", "srcset"):
                value = attributes.get(name, "#")
                self.assertRegex(value, r"^(#|data:image/svg\+xml;base64,)", f"<{tag} {name}={value}>")

    def test_without_javascript_tables_and_charts_are_there(self):
        tasks = ("MGSM", "X-CSQA", "XNLI")
        self.assertGreaterEqual(len(self.page.all("table")), 2 * len(tasks) + 4)
        self.assertEqual(len([a for a in self.page.all("svg") if a.get("class") == "chart"]), len(tasks) + 1)
        text = "".join(self.page.text)
        for word in (*tasks, *SYSTEMS, "59.0", "LayAlign, arXiv 2502.11405v1, Table 2", "weights_fingerprint"):
            self.assertIn(word, text)
        browser = next(a for tag, a in self.page.tags if a.get("id") == "browser")
        self.assertIn("hidden", browser)
        self.assertTrue(self.page.all("noscript"))

    def test_markup_is_sound(self):
        self.assertEqual(len(self.page.ids), len(set(self.page.ids)))
        self.assertEqual(self.page.all("html")[0]["lang"], "en")
        for heading in self.page.all("th"):
            self.assertIn(heading.get("scope"), ("row", "col"))
        for attributes in self.page.all("a"):
            self.assertIn(attributes["href"][1:], self.page.ids)
        for name in re.findall(r'aria-labelledby="([^"]+)"', self.source):
            for one in name.split():
                self.assertIn(one, self.page.ids)
        without_scripts = re.sub(r"<script.*?</script>|<style.*?</style>", "", self.source, flags=re.S)
        opened = []
        for closing, tag, own_end in re.findall(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^>]*?(/?)>", without_scripts):
            if tag in NOTHING_INSIDE or own_end:
                continue
            if not closing:
                opened.append(tag)
            else:
                self.assertEqual(opened.pop(), tag)
        self.assertEqual(opened, [])

    def test_charts_are_xml_with_title_description_and_a_bar_per_figure(self):
        charts = re.findall(r"<svg.*?</svg>", self.source, flags=re.S)
        for chart in charts:
            root = xml.etree.ElementTree.fromstring(chart)
            name = "{http://www.w3.org/2000/svg}"
            self.assertEqual([root[0].tag, root[1].tag], [name + "title", name + "desc"])
            self.assertTrue(root[0].text and root[1].text)
        mgsm = xml.etree.ElementTree.fromstring(charts[0])
        bars = [group[0].text for group in mgsm.iter("{http://www.w3.org/2000/svg}g")]
        languages = len(list((ROOT / "data/samples/mgsm").glob("*.tsv")))
        self.assertEqual(len([bar for bar in bars if bar.split(",")[0] in SYSTEMS]), len(SYSTEMS) * languages)
        self.assertTrue(any(bar.startswith("LayAlign, bn: 51.6 %") for bar in bars), bars)

    def test_every_sample_is_there_as_the_samples_files_have_it(self):
        found = {}
        for cell, searched, rest, flags in self.page.samples():
            for s, system in enumerate(self.page_systems()):
                found[system, cell["task"], cell["language"], int(rest[0])] = (searched, rest[1:], flags[s], s)
        expected = 0
        for system in SYSTEMS:
            for file in (self.runs / system).glob("samples_*.jsonl"):
                task, language = file.stem.split("_")[1:]
                for line in file.read_text(encoding="utf-8").splitlines():
                    sample = json.loads(line)
                    self.check_sample(sample, found[system, task, language, sample["doc_id"]])
                    expected += 1
        self.assertGreater(expected, 100)
        self.assertEqual(len(found), expected)

    def page_systems(self):
        return json.loads(next(text for a, text in self.page.scripts if a.get("id") == "sample-index"))["systems"]

    def check_sample(self, sample, packed):
        searched, rest, flags, s = packed
        visible = lambda text: re.sub(r"[\x00-\x08\x0b-\x1f]", lambda m: chr(0x2400 + ord(m[0])), text)
        self.assertEqual(searched[1], visible(sample["target"]))
        self.assertEqual(searched[2 + s], visible(sample["resps"][0][0]))
        self.assertEqual(json.loads(rest[0]), sample["doc"])
        details = rest[1 + FIELDS * s:][:FIELDS]
        self.assertEqual(details[0], visible(sample["filtered_resps"][0]))
        self.assertEqual(details[4], f'{sample["prompt_tokens"]}/{sample["source_tokens"]}/{sample["output_tokens"]}')
        self.assertEqual(bool(flags & RIGHT_PAPER), sample["acc"] == 1)
        self.assertEqual(bool(flags & RIGHT_STRICT), sample["acc_strict"] == 1)
        self.assertEqual(bool(flags & UNPARSED), sample["unparsed"])
        self.assertEqual(bool(flags & CUT_OFF), sample["ended"] == "length")

    def test_right_to_left_languages_are_marked(self):
        directions = {cell["language"]: cell["rtl"] for cell, *_ in self.page.samples()}
        self.assertEqual({language for language, rtl in directions.items() if rtl}, {"ar", "ur"})

    def test_equal_runs_give_equal_bytes(self):
        again = report(self.dir / "again.html", self.runs, "--baselines", ROOT / "data/baselines/layalign_paper.csv")
        self.assertEqual(again.read_bytes(), self.path.read_bytes())

    def test_hostile_texts_stay_texts(self):
        page = Page(report(self.dir / "hostile.html", hostile_run(self.dir / "evil")))
        self.assertEqual(len(page.all("script")), 5)  # flags, one block, index, two programs
        self.assertFalse(page.all("img"))
        _, searched, _, _ = next(page.samples())
        self.assertEqual(searched[0], HOSTILE.replace("\x01", "\u2401"))
        self.assertEqual(searched[2], HOSTILE.replace("\x01", "\u2401"))

    def test_pictures_of_a_folder_are_shown_as_images(self):
        pictures = self.dir / "pictures"
        pictures.mkdir()
        (pictures / "one.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><title>One</title>"
                                          "<desc>A &lt;picture&gt;</desc></svg>")
        page = Page(report(self.dir / "pictures.html", self.runs, "--analysis", pictures))
        self.assertEqual([image["alt"] for image in page.all("img")], ["A <picture>"])
        empty = self.dir / "empty"
        empty.mkdir()
        result = subprocess.run([LAYEVAL, "report", self.runs, "--format", "html", "--out", self.dir / "x.html",
                                 "--analysis", empty], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 3)
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertFalse((self.dir / "x.html").exists())

    def test_pictures_are_for_html_only(self):
        result = subprocess.run([LAYEVAL, "report", self.runs, "--analysis", self.dir], capture_output=True, text=True,
                                check=False)
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("--analysis", result.stderr)


if __name__ == "__main__":
    unittest.main()
