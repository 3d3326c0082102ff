"""layeval analyze on the demo systems: figures, sources of sentences, determinism, complaints."""
import csv
import json
import math
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

LAYEVAL = os.environ.get("LAYEVAL", "build/layeval")
SYSTEMS = ["plain", "langbridge", "mindmerger", "layalign"]
FIGURES = ["similarity", "components", "encoder-layers", "tokens", "attention", "fusion"]
CSV = {name: name.replace("-", "_") + ".csv" for name in FIGURES}
HAS = {"plain": FIGURES[:2], "langbridge": FIGURES[:4], "mindmerger": FIGURES[:4], "layalign": FIGURES}
MGSM = ["en", "bn", "th", "sw", "zh", "de", "fr", "es"]  # data/samples has no ja, ru


def run(*arguments):
    return subprocess.run([LAYEVAL, "analyze", *map(str, arguments)], capture_output=True, text=True,
                          encoding="utf-8", timeout=120)


def system(name):
    return ["--system", f"data/demo/{name}.json"]


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def tensors(path):
    """A safetensors file with f32 and bf16 tensors as lists."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "F32":
            values = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
        else:
            assert entry["dtype"] == "BF16"
            halves = struct.unpack(f"<{(end - begin) // 2}H", data[begin:end])
            values = [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in halves]
        yield name, entry["shape"], list(values)


class Analyze(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)

    def fails(self, code, says, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        self.assertIn(says, result.stderr)
        self.assertEqual(result.stdout, "")

    def analyzed(self, *arguments, name="out"):
        result = run(*arguments, "--out", self.dir / name, "--quiet")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        return self.dir / name

    def write(self, name, *lines):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path

    # --- figures ---

    def test_every_method_has_the_figures_that_exist_for_it(self):
        arguments = [part for name in SYSTEMS for part in system(name)]
        out = self.analyzed(*arguments, "--data", "data/samples", "--task", "mgsm")
        for name in SYSTEMS:
            analysis = json.loads((out / name / "analysis.json").read_text(encoding="utf-8"))
            self.assertEqual(list(analysis["figures"]), HAS[name])
            self.assertEqual(sorted(analysis["missing"]), sorted(set(FIGURES) - set(HAS[name])))
            self.assertEqual([language["code"] for language in analysis["languages"]], MGSM)
            self.assertEqual(analysis["system"]["name"], name)
            self.assertEqual(analysis["sentences"]["source"], "mgsm")
            self.assertEqual(analysis["sentences"]["count"], 8)
            for figure in FIGURES:
                self.assertEqual((out / name / CSV[figure]).exists(), figure in HAS[name], f"{name} {figure}")
            self.assertNotIn(str(self.dir), json.dumps(analysis))

    def test_tables_and_json_hold_the_same_numbers(self):
        out = self.analyzed(*system("layalign"), "--data", "data/samples", "--task", "mgsm", "--points", 3, "--pair", "th",
                            "--sentence", 2)
        figures = json.loads((out / "analysis.json").read_text(encoding="utf-8"))["figures"]
        rows = table(out / "similarity.csv")
        self.assertEqual([row["language"] for row in rows], MGSM)
        for row in rows:
            entry = figures["similarity"]["languages"][row["language"]]
            self.assertEqual((float(row["cosine"]), float(row["deviation"]), int(row["sentences"])),
                             (entry["cosine"], entry["deviation"], entry["sentences"]))
            self.assertTrue(-1 <= entry["cosine"] <= 1 and entry["sentences"] == 8)
        self.assertAlmostEqual(float(rows[0]["cosine"]), 1, places=12)

        rows = table(out / "components.csv")
        self.assertEqual(len(rows), 3 * len(MGSM))
        for row in rows:
            self.assertEqual([float(row["pc1"]), float(row["pc2"])],
                             figures["components"]["points"][row["language"]][int(row["sentence"])])
        for axis in range(2):  # centred; the variance is that of the points
            values = [point[axis] for points in figures["components"]["points"].values() for point in points]
            self.assertAlmostEqual(sum(values), 0, places=6)
            self.assertAlmostEqual(sum(x * x for x in values) / (len(values) - 1),
                                   figures["components"]["variance"][axis], places=6)
        self.assertGreaterEqual(*figures["components"]["variance"])

        matrix = figures["encoder-layers"]["cosine"]
        self.assertEqual([len(row) for row in matrix], [4] * 4)
        for row in table(out / "encoder_layers.csv"):
            a, b = int(row["layer_a"]), int(row["layer_b"])
            self.assertEqual(float(row["cosine"]), matrix[a][b])
            self.assertEqual(matrix[a][b], matrix[b][a])
            self.assertTrue(a != b or abs(matrix[a][a] - 1) < 1e-12)

        tokens = figures["tokens"]
        self.assertEqual((tokens["language"], tokens["sentence"]), ("th", 2))
        self.assertEqual(tokens["english_tokens"][-1], "</s>")
        rows = table(out / "tokens.csv")
        self.assertEqual(len(rows), 4 * len(tokens["english_tokens"]) * len(tokens["tokens"]))
        for row in rows:
            s, t = int(row["english_position"]), int(row["position"])
            self.assertEqual((row["english_token"], row["token"]), (tokens["english_tokens"][s], tokens["tokens"][t]))
            self.assertEqual(float(row["cosine"]), tokens["cosine"][int(row["layer"])][s][t])

        for row in table(out / "attention.csv"):
            layer, attention = int(row["llm_layer"]), figures["attention"]
            ratios = [attention["languages"][language][layer] for language in MGSM]
            self.assertEqual(float(row["gate"]), attention["gates"][layer])
            if row["language"] == "all":
                self.assertAlmostEqual(float(row["ratio"]), sum(ratios) / len(ratios), places=14)
            else:
                self.assertEqual(float(row["ratio"]), attention["languages"][row["language"]][layer])
            self.assertTrue(all(ratio > 0 for ratio in ratios))

    def test_fusion_weights_and_gates_are_those_of_the_checkpoint(self):
        out = self.analyzed(*system("layalign"), "--data", "data/samples", "--figures", "fusion")
        self.assertEqual(sorted(contents(out)), ["analysis.html", "analysis.json", "fusion.csv", "fusion_keys.svg",
                                                 "fusion_values.svg", "gates.svg"])
        stored = {name: (shape, values) for name, shape, values in tensors("data/demo/bridges/layalign/model.safetensors")
                  if ".fc1." in name or "adaption_gate" in name}
        shape, weights = stored["encoder_aligner.projector.fc1.weight"]
        _, bias = stored["encoder_aligner.projector.fc1.bias"]
        gates = {int(name.split(".layers.")[1].split(".")[0]): values[0] for name, (_, values) in stored.items()
                 if "adaption_gate" in name}
        layers = sorted(gates)
        self.assertEqual(shape[0], 2 * len(layers))
        rows = table(out / "fusion.csv")
        self.assertEqual(len(rows), shape[0] * (shape[1] + 1))
        for row in rows:
            index = 2 * layers.index(int(row["llm_layer"])) + ["key", "value"].index(row["state"])
            self.assertEqual(float(row["gate"]), gates[int(row["llm_layer"])])
            self.assertEqual(float(row["weight"]), bias[index] if row["encoder_layer"] == "bias"
                             else weights[index * shape[1] + int(row["encoder_layer"])])

    def test_embedding_states_of_equal_tokens_are_equal(self):
        """mT5 has no positions in its embeddings: in layer 0 the cosine of two equal tokens is 1, in no other pair."""
        path = self.write("same.jsonl", json.dumps({"en": "two apples and two pears", "de": "two apples"}))
        out = self.analyzed(*system("mindmerger"), "--parallel", path, "--figures", "tokens", "--dtype", "f32")
        pairs = [row for row in table(out / "tokens.csv") if row["layer"] == "0"]
        self.assertGreater(len(pairs), 10)
        for row in pairs:
            self.assertEqual(abs(float(row["cosine"]) - 1) < 1e-6, row["english_token"] == row["token"], row)

    def test_the_same_text_in_two_languages_has_similarity_one(self):
        path = self.write("same.jsonl", *(json.dumps({"en": text, "de": text, "sw": text[::-1]})
                                          for text in ("two apples", "three pears cost 5 euro")))
        for name in SYSTEMS:
            out = self.analyzed(*system(name), "--parallel", path, "--figures", "similarity", name=name)
            values = {row["language"]: float(row["cosine"]) for row in table(out / "similarity.csv")}
            self.assertAlmostEqual(values["de"], 1, places=12)
            self.assertLess(values["sw"], 0.9999)

    # --- pictures ---

    def test_pictures_are_complete_and_load_nothing(self):
        arguments = [part for name in SYSTEMS for part in system(name)]
        out = self.analyzed(*arguments, "--data", "data/samples", "--task", "mgsm", "--limit", 3, "--pair", "th")
        names = {"plain": {"similarity", "components"}}
        names["mindmerger"] = names["langbridge"] = names["plain"] | {"encoder_layers"} | {f"tokens_0{i}" for i in range(4)}
        names["layalign"] = names["mindmerger"] | {"attention", "attention_languages", "fusion_keys", "fusion_values", "gates"}
        for name in SYSTEMS:
            pictures = {path.stem: path for path in (out / name).glob("*.svg")}
            self.assertEqual(set(pictures), names[name])
            for path in pictures.values():
                self.assertEqual(xml.etree.ElementTree.parse(path).getroot().tag, "{http://www.w3.org/2000/svg}svg")
            page = (out / name / "analysis.html").read_text(encoding="utf-8")
            self.assertEqual(page.count("<svg"), len(pictures))
        overview = (out / "analysis.html").read_text(encoding="utf-8")
        for name in SYSTEMS:
            self.assertIn(f"{name}: Principal components", overview)
        self.assertIn("Not for plain: the system has no encoder.", overview)
        self.assertNotIn("Tokens in encoder layer", overview)
        for text in [overview] + [path.read_text(encoding="utf-8") for path in out.rglob("*.html")]:
            self.assertEqual(re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text), [])
            self.assertEqual(re.findall(r"<(?:script|link|img|iframe)\b", text), [])
            ids = re.findall(r'\bid="([^"]*)"', text)
            self.assertEqual(len(ids), len(set(ids)))
            self.assertGreater(len(ids), 1)

    def test_pictures_show_the_numbers_of_the_tables(self):
        out = self.analyzed(*system("layalign"), "--data", "data/samples", "--task", "mgsm", "--limit", 2)

        def cells(name):
            root = xml.etree.ElementTree.parse(out / name).getroot()
            titles = [rect.findtext("{http://www.w3.org/2000/svg}title") for rect in root.iter("{http://www.w3.org/2000/svg}rect")]
            return [float(title.rsplit(": ", 1)[1]) for title in titles if title]

        def same(drawn, values):
            self.assertEqual(len(drawn), len(values))
            self.assertEqual(drawn, [float(f"{value:.4g}") for value in values])
        same(cells("encoder_layers.svg"), [float(row["cosine"]) for row in table(out / "encoder_layers.csv")])
        for layer in range(4):
            same(cells(f"tokens_0{layer}.svg"),
                 [float(row["cosine"]) for row in table(out / "tokens.csv") if row["layer"] == str(layer)])
        for state in ("key", "value"):
            same(cells(f"fusion_{state}s.svg"), [float(row["weight"]) for row in table(out / "fusion.csv")
                                                 if row["state"] == state and row["encoder_layer"] != "bias"])

    def test_hostile_text_stays_text(self):
        path = self.write("evil.jsonl", json.dumps({"en": "<script>alert(1)</script> & \"x\"", "ar": "\u202e</svg><b>\u0007"}))
        out = self.analyzed(*system("mindmerger"), "--parallel", path)
        page = (out / "analysis.html").read_text(encoding="utf-8")
        self.assertNotIn("<script", page)
        self.assertNotIn("<b>", page)
        self.assertEqual(page.count("<svg"), page.count("</svg>"))
        for path in out.glob("*.svg"):
            xml.etree.ElementTree.parse(path)

    # --- determinism ---

    def test_threads_and_neighbours_change_no_byte(self):
        lines = [json.dumps({"en": f"{n} apples " * n, "de": f"{n} Äpfel " * (9 - n)}) for n in range(1, 9)]
        path = self.write("p.jsonl", *lines)
        base = [*system("layalign"), "--parallel", path]
        first = contents(self.analyzed(*base, "--threads", 1, name="a"))
        again = contents(self.analyzed(*base, "--threads", 4, name="b"))
        self.assertEqual(first, again)
        # a sentence by itself: its token figure, and with it every hidden state, is the same
        alone = self.write("one.jsonl", lines[5])
        together = self.analyzed(*base, "--figures", "tokens", "--sentence", 5, name="c")
        single = self.analyzed(*system("layalign"), "--parallel", alone, "--figures", "tokens", name="d")
        self.assertEqual((together / "tokens.csv").read_bytes(), (single / "tokens.csv").read_bytes())

    def test_means_over_sentences_are_those_of_the_single_sentences(self):
        lines = [json.dumps({"en": en, "de": de}) for en, de in (("two apples", "zwei Äpfel"), ("a house", "ein Haus"),
                                                                 ("she sold 12 eggs", "sie verkaufte 12 Eier"))]
        figures = ["--figures", "similarity,attention,encoder-layers"]
        everything = self.analyzed(*system("layalign"), "--parallel", self.write("p.jsonl", *lines), *figures)
        single = [self.analyzed(*system("layalign"), "--parallel", self.write(f"p{i}.jsonl", line), *figures, name=f"o{i}")
                  for i, line in enumerate(lines)]
        for file, column in (("similarity.csv", "cosine"), ("attention.csv", "ratio"), ("encoder_layers.csv", "cosine")):
            parts = [table(folder / file) for folder in single]
            for i, row in enumerate(table(everything / file)):
                self.assertAlmostEqual(float(row[column]), sum(float(part[i][column]) for part in parts) / 3, places=12)
        cosines = [float(table(folder / "similarity.csv")[1]["cosine"]) for folder in single]
        mean = sum(cosines) / 3
        deviation = math.sqrt(sum((x - mean) ** 2 for x in cosines) / 2)
        self.assertAlmostEqual(float(table(everything / "similarity.csv")[1]["deviation"]), deviation, places=7)
        self.assertEqual(table(single[0] / "similarity.csv")[1]["deviation"], "")

    def test_a_second_analysis_replaces_the_first(self):
        out = self.analyzed(*system("layalign"), "--data", "data/samples", "--task", "mgsm", "--limit", 1)
        self.assertTrue({"tokens_03.svg", "gates.svg", "attention.csv"} < set(contents(out)))
        out = self.analyzed(*system("layalign"), "--data", "data/samples", "--task", "mgsm", "--limit", 1,
                            "--figures", "similarity")
        self.assertEqual(sorted(contents(out)), ["analysis.html", "analysis.json", "similarity.csv", "similarity.svg"])

    # --- sentences ---

    def test_flores_files_by_all_their_names(self):
        sentences = {"en": ["one house", "two houses"], "bn": ["একটি বাড়ি", "দুটি বাড়ি"], "zh": ["一座房子", "两座房子"]}
        layouts = {"200": {"en": "eng_Latn.dev", "bn": "ben_Beng.dev", "zh": "zho_Hans.dev"},
                   "101": {"en": "dev/eng.dev", "bn": "dev/ben.dev", "zh": "dev/zho_simpl.dev"},
                   "iso": {"en": "en.dev", "bn": "bn.dev", "zh": "zh.dev"}}
        hashes = set()
        for layout, files in layouts.items():
            for language, file in files.items():
                self.write(f"{layout}/{file}", *sentences[language])
            out = self.analyzed(*system("mindmerger"), "--flores", self.dir / layout, "--figures", "similarity", name="o" + layout)
            analysis = json.loads((out / "analysis.json").read_text(encoding="utf-8"))
            self.assertEqual({language["code"] for language in analysis["languages"]}, {"en", "bn", "zh"})
            hashes.add(analysis["sentences"]["hash"])
        self.assertEqual(len(hashes), 1)
        # the same sentences as JSON lines give the same numbers; a language outside of the table by its NLLB code
        path = self.write("p.jsonl", *(json.dumps({"id": i, **{code: sentences[code][i] for code in sentences}})
                                       for i in range(2)))
        lines = self.analyzed(*system("mindmerger"), "--parallel", path, "--figures", "similarity", "--lang", "bn,zh", name="j")
        self.assertEqual({row["language"]: row["cosine"] for row in table(lines / "similarity.csv")},
                         {row["language"]: row["cosine"] for row in table(self.dir / "oiso" / "similarity.csv")})
        self.write("200/yor_Latn.dev", "ile kan", "ile meji")
        out = self.analyzed(*system("mindmerger"), "--flores", self.dir / "200", "--lang", "yor_Latn", "--figures", "similarity",
                            name="y")
        self.assertEqual([row["language"] for row in table(out / "similarity.csv")], ["en", "yor_Latn"])
        self.fails(3, "devtest", *system("plain"), "--flores", self.dir / "200", "--split", "devtest", "--out", self.dir / "x")

    def test_without_task_all_benchmarks_of_the_folder_in_their_common_languages(self):
        out = self.analyzed(*system("plain"), "--data", "data/samples", "--limit", 2, "--figures", "similarity")
        analysis = json.loads((out / "analysis.json").read_text(encoding="utf-8"))
        self.assertEqual(analysis["sentences"]["source"], "mgsm + msvamp + x-csqa + xnli")
        self.assertEqual(analysis["sentences"]["count"], 8)
        self.assertEqual({language["code"] for language in analysis["languages"]}, {"en", "sw", "zh", "de"})

    def test_text_changes_what_the_llm_reads(self):
        base = [*system("mindmerger"), "--data", "data/samples", "--task", "mgsm", "--limit", 2, "--figures", "similarity,encoder-layers"]
        without, with_text = self.analyzed(*base, name="a"), self.analyzed(*base, "--with-text", name="b")
        self.assertNotEqual((without / "similarity.csv").read_bytes(), (with_text / "similarity.csv").read_bytes())
        self.assertEqual((without / "encoder_layers.csv").read_bytes(), (with_text / "encoder_layers.csv").read_bytes())

    # --- complaints ---

    def test_usage(self):
        data = ["--data", "data/samples", "--task", "mgsm"]
        out = ["--out", self.dir / "x"]
        self.fails(2, "missing --system", *data, *out)
        self.fails(2, "missing --out", *system("plain"), *data)
        self.fails(2, "missing --data", *system("plain"), *out)
        self.fails(2, "only one", *system("plain"), *data, "--flores", ".", *out)
        self.fails(2, "--task needs --data", *system("plain"), "--flores", ".", "--task", "mgsm", *out)
        self.fails(2, "no figure is called \"gates\"", *system("plain"), *data, *out, "--figures", "gates")
        self.fails(2, "--pair", *system("mindmerger"), *data, *out, "--pair", "ur")
        self.fails(2, "sentences 0 to 7", *system("mindmerger"), *data, *out, "--sentence", 8)
        self.fails(2, "not a language of mgsm", *system("plain"), *data, *out, "--lang", "ur")
        self.fails(2, "--layout needs", *system("plain"), "--data", "data/samples", "--layout", "tsv", *out)
        self.fails(2, "two systems are called", *system("plain"), *system("plain"), *data, *out)
        self.fails(2, "f8", *system("plain"), *data, *out, "--dtype", "f8")
        self.assertFalse((self.dir / "x").exists())

    def test_bad_sentences(self):
        def refused(says, *lines):
            self.fails(3, says, *system("plain"), "--parallel", self.write("bad.jsonl", *lines), "--out", self.dir / "x")
        refused("there is no English", '{"bn": "x", "de": "y"}')
        refused("no language beside English", '{"en": "x"}')
        refused("bad.jsonl:2: the key \"de\" is missing", '{"en": "x", "de": "y"}', '{"en": "x", "fr": "y"}')
        refused("bad.jsonl:2: 3 members", '{"en": "x", "de": "y"}', '{"en": "x", "de": "y", "fr": "z"}')
        refused("bad.jsonl:1: \"de\" is empty", '{"en": "x", "de": " "}')
        refused("bad.jsonl:1: \"de\" must be a string", '{"en": "x", "de": 3}')
        refused("is there twice", '{"en": "x", "English": "y"}')
        refused("is no language", '{"en": "x", "de/../x": "y"}')
        refused("bad.jsonl:2: the line is blank", '{"en": "x", "de": "y"}', "")
        refused("bad.jsonl:1:", '{"en": "x", ')
        refused("there is no English")  # an empty file
        self.write("f/eng_Latn.dev", "a", "b")
        self.write("f/deu_Latn.dev", "a")
        self.fails(3, "2 sentences in English, but 1 in German", *system("plain"), "--flores", self.dir / "f", "--out", self.dir / "x")
        self.fails(3, "no file of French", *system("plain"), "--flores", self.dir / "f", "--lang", "fr", "--out", self.dir / "x")
        shutil.copytree("data/samples/mgsm", self.dir / "d" / "mgsm")
        lines = (self.dir / "d/mgsm/mgsm_sw.tsv").read_text(encoding="utf-8").splitlines()
        self.write("d/mgsm/mgsm_sw.tsv", *lines[:-1])
        self.fails(3, "7 items, but 8 in English", *system("plain"), "--data", self.dir / "d", "--out", self.dir / "x")
        self.fails(3, "no folder called like a benchmark", *system("plain"), "--data", self.dir / "f", "--out", self.dir / "x")
        self.assertFalse((self.dir / "x").exists())

    def test_bad_directories(self):
        data = ["--data", "data/samples", "--task", "mgsm", "--limit", 1]
        self.write("run/manifest.json", "{}")
        self.fails(3, "holds a run", *system("plain"), *data, "--out", self.dir / "run")
        self.assertEqual(sorted(contents(self.dir / "run")), ["manifest.json"])
        self.write("file", "x")
        result = run(*system("plain"), *data, "--out", self.dir / "file")
        self.assertEqual(result.returncode, 3)
        self.fails(3, "nosuch.json", "--system", self.dir / "nosuch.json", *data, "--out", self.dir / "x")

    def test_ctrl_c_ends_with_130_and_leaves_no_figure(self):
        path = self.write("many.jsonl", *[json.dumps({"en": "two apples and three pears", "de": "zwei Äpfel"})] * 30000)
        process = subprocess.Popen([LAYEVAL, "analyze", *system("layalign"), "--parallel", path, "--limit", "0", "--threads", "1",
                                    "--out", self.dir / "o"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("weights loaded", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (130, ""), err)
        # ended at once when the signal came before the first sentence: then the lock of the dead process stays, which holds
        # nobody up
        self.assertLessEqual(set(contents(self.dir / "o")), {".lock"})
        self.analyzed(*system("layalign"), "--parallel", path, "--limit", "1", name="o")

    def test_progress_on_stderr_and_figures_on_stdout(self):
        result = run(*system("layalign"), "--data", "data/samples", "--task", "mgsm", "--limit", 2, "--out", self.dir / "o")
        self.assertEqual(result.returncode, 0)
        self.assertIn("layalign  16/16 sentences", result.stderr)
        self.assertIn("fusion.csv", result.stdout)
        result = run(*system("plain"), "--data", "data/samples", "--task", "mgsm", "--limit", 2, "--out", self.dir / "p")
        self.assertIn("left out: the system has no encoder", result.stdout)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
