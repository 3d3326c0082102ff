"""Broken command lines and broken inputs through the real binary: exit code, one line that names file and place."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"
USAGE, INPUT = 2, 3


def layeval(*arguments):
    return subprocess.run([LAYEVAL, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          encoding="utf-8", errors="replace", timeout=300, check=False)


def write_safetensors(path, tensors, header=None):
    """tensors: name -> (dtype, shape, bytes); header overrides what is written about them."""
    entries, blob = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header(entries) if header else entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)


def read_safetensors(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], raw[8 + length + t["data_offsets"][0]:8 + length + t["data_offsets"][1]])
            for name, t in header.items()}


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="layeval-errors-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.data = self.dir / "data"
        self.data.mkdir()
        for lang in ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en"):
            (self.data / f"mgsm_{lang}.tsv").write_text("How many are 1 and 2?\t3\nAnd 2 and 2?\t4\n", encoding="utf-8")

    def refused(self, code, *needles, args):
        result = layeval(*args)
        shown = f"{' '.join(map(str, args))}\n{result.stdout}{result.stderr}"
        self.assertEqual(result.returncode, code, shown)
        lines = [line for line in result.stderr.splitlines() if line.startswith("layeval")]
        self.assertEqual(len(lines), 1, shown)
        for needle in needles:
            self.assertIn(str(needle), lines[0], shown)

    def run_args(self, system=None, *more, task="mgsm", data=None, out=None):
        return ["run", "--system", system or DEMO / "plain.json", "--task", task, "--data", data or self.data,
                "--out", out or self.dir / "out", "--limit", "2", "--max-new-tokens", "2", "--quiet", *more]


class CommandLine(Case):
    def test_commands(self):
        self.assertEqual(layeval().returncode, USAGE)
        result = layeval("walk")
        self.assertEqual(result.returncode, USAGE)
        self.assertIn("walk", result.stderr)
        self.assertEqual(layeval("help").returncode, 0)
        self.assertEqual(layeval("run", "--help").returncode, 0)

    def test_required_options_are_named(self):
        full = {"--system": str(DEMO / "plain.json"), "--task": "mgsm", "--data": str(self.data), "--out": "unused"}
        for left_out in full:
            rest = [word for name, value in full.items() if name != left_out for word in (name, value)]
            self.refused(USAGE, left_out, args=["run", *rest])

    def test_options_with_bad_values(self):
        for option, value in [("--num-fewshot", "5"), ("--num_fewshot", "many"), ("--limit", "0"), ("--limit", "ten"),
                              ("--batch-size", "0"), ("--batch-size", "some"), ("--threads", "0"), ("--dtype", "int3"),
                              ("--match", "roughly"), ("--memory", "G"), ("--memory", "16X"),
                              ("--max-new-tokens", "-1"), ("--official-batch", "0")]:
            self.refused(USAGE, option.replace("_", "-"), args=self.run_args(None, option, value))

    def test_a_sample_that_can_never_fit_is_refused_before_loading(self):
        self.refused(INPUT, "mgsm", "60000 new tokens", "--max-new-tokens",
                     args=self.run_args(None, "--memory", "25M", "--max-new-tokens", "60000"))
        self.assertFalse((self.dir / "out").exists())

    def test_kept_modules_go_with_int8(self):
        self.refused(USAGE, "--keep-bf16", "int8", args=self.run_args(None, "--keep-bf16", "lm_head", "--dtype", "bf16"))
        self.refused(USAGE, "--keep-bf16", "down_proj", args=self.run_args(None, "--keep-bf16", "norm", "--dtype", "int8"))

    def test_unknown_names(self):
        self.refused(USAGE, "--nonsense", args=self.run_args(None, "--nonsense"))
        self.refused(USAGE, "stray", args=self.run_args(None, "stray"))
        self.refused(USAGE, "--out", args=["run", "--out"])
        self.refused(USAGE, "gsm9k", "mgsm", args=self.run_args(task="gsm9k"))
        self.refused(USAGE, "tlh", args=self.run_args(None, "--lang", "tlh"))
        self.refused(USAGE, "ar", "mgsm", args=self.run_args(None, "--lang", "ar"))
        self.refused(USAGE, "parquet", args=self.run_args(None, "--layout", "parquet"))
        self.refused(INPUT, "no-such-set", args=self.run_args(None, "--prompt-set", "no-such-set"))
        self.refused(USAGE, "exclude", args=self.run_args(None, "--log-samples", "--no-log-samples"))

    def test_names_of_lm_evaluation_harness_are_understood(self):
        result = layeval("run", "--system", DEMO / "plain.json", "--tasks", "mgsm", "--data", self.data, "--output_path",
                         self.dir / "out", "--limit", "1", "--max_new_tokens", "1", "--batch_size", "2", "--num_fewshot",
                         "0", "--log_samples", "--languages", "en,Bengali", "--quiet")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue((self.dir / "out" / "samples_mgsm_bn.jsonl").exists())


class SystemFiles(Case):
    def system(self, **changes):
        value = json.loads((DEMO / "layalign.json").read_text(encoding="utf-8"))
        for part in ("llm", "encoder", "bridge"):
            value[part]["path"] = str(DEMO / value[part]["path"])
        value.update(changes)
        path = self.dir / "system.json"
        path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}), encoding="utf-8")
        return path

    def test_files_that_are_no_system(self):
        self.refused(INPUT, "missing.json", args=self.run_args(self.dir / "missing.json"))
        broken = self.dir / "broken.json"
        for text in ("", "{", "[]", '{"name": "a", "name": "b"}', '{"name": "a"} x'):
            broken.write_text(text, encoding="utf-8")
            self.refused(INPUT, broken, args=self.run_args(broken))
        broken.write_bytes(b'{"name": "\xff"}')
        self.refused(INPUT, broken, "UTF-8", args=self.run_args(broken))

    def test_keys_and_values(self):
        self.refused(INPUT, "temperature", args=self.run_args(self.system(temperature=1)))
        self.refused(INPUT, "method", args=self.run_args(self.system(method=None)))
        self.refused(INPUT, "telepathy", args=self.run_args(self.system(method="telepathy")))
        self.refused(INPUT, "mindmerger-hard", args=self.run_args(self.system(method="mindmerger-hard")))
        self.refused(INPUT, "max_new_tokens", args=self.run_args(self.system(max_new_tokens="many")))
        self.refused(INPUT, "name", args=self.run_args(self.system(name="a/b")))
        self.refused(INPUT, "nowhere", args=self.run_args(self.system(llm={"path": "nowhere"})))

    def test_prompt_sets(self):
        path = self.dir / "set.json"
        path.write_text('{"name": "x"', encoding="utf-8")
        self.refused(INPUT, path, args=self.run_args(None, "--prompt-set", path))
        # a system with an encoder and a prompt set that gives it nothing
        self.refused(INPUT, "metamath", "encoder", args=self.run_args(self.system(), "--prompt-set", "metamath"))

    def test_two_systems_of_one_name(self):
        self.refused(INPUT, '"layalign"', args=self.run_args(self.system(), "--system", DEMO / "layalign.json"))
        self.assertFalse((self.dir / "out").exists())


class Data(Case):
    def mgsm(self, content, *needles):
        path = self.data / "mgsm_sw.tsv"
        path.write_bytes(content)
        self.refused(INPUT, *needles, args=self.run_args(None, "--lang", "sw"))

    def test_mgsm_lines(self):
        self.mgsm(b"one\t1\ntwo\t2\textra\n", "mgsm_sw.tsv:2")
        self.mgsm(b"one\t1\nno tab\n", "mgsm_sw.tsv:2")
        self.mgsm(b"one\t1\n\xff\xfe\t2\n", "mgsm_sw.tsv:2", "UTF-8")
        self.mgsm(b"", "mgsm_sw.tsv")
        # a fault past the limit counts too: nothing is skipped silently
        self.mgsm(b"one\t1\n" * 5 + b"broken\n", "mgsm_sw.tsv:6")

    def test_missing_files(self):
        (self.data / "mgsm_sw.tsv").unlink()
        self.refused(INPUT, "mgsm_sw.tsv", args=self.run_args())
        self.refused(INPUT, "empty", args=self.run_args(data=self.dir / "empty"))
        (self.dir / "empty").mkdir()
        self.refused(INPUT, "empty", args=self.run_args(data=self.dir / "empty"))
        self.assertFalse((self.dir / "out").exists())

    def test_msvamp_lines(self):
        path = self.data / "test_Swahili.json"
        for content in ('{"m_query": "q"}\n', '{"m_query": 1, "response": "2"}\n', "[]\n", "{\n"):
            path.write_text('{"m_query": "a", "response": "1.0"}\n' + content, encoding="utf-8")
            self.refused(INPUT, "test_Swahili.json:2", args=self.run_args(None, "--lang", "sw", task="msvamp"))

    def test_csqa_without_answers(self):
        folder = self.data / "sw"
        folder.mkdir()
        item = {"id": "1", "lang": "sw", "question": {"stem": "s", "choices": [{"label": "A", "text": "t"}]}}
        (folder / "test.jsonl").write_text(json.dumps(item) + "\n", encoding="utf-8")
        self.refused(INPUT, "answerKey", args=self.run_args(None, "--lang", "sw", task="x-csqa"))

    def test_xnli_labels(self):
        path = self.data / "xnli.test.jsonl"
        item = {"language": "sw", "gold_label": "perhaps", "sentence1": "a", "sentence2": "b"}
        path.write_text(json.dumps(item) + "\n", encoding="utf-8")
        self.refused(INPUT, "xnli.test.jsonl:1", "perhaps", args=self.run_args(None, "--lang", "sw", task="xnli"))


class Output(Case):
    def test_directories_that_cannot_be_written(self):
        blocked = self.dir / "file"
        blocked.write_text("x", encoding="utf-8")
        self.refused(INPUT, blocked, args=self.run_args(out=blocked))
        self.refused(INPUT, blocked, args=self.run_args(out=blocked / "below"))
        self.refused(INPUT, "/proc/layeval", args=self.run_args(out="/proc/layeval"))
        if os.geteuid() != 0:  # root writes everywhere
            locked = self.dir / "locked"
            locked.mkdir(mode=0o500)
            self.refused(INPUT, locked, args=self.run_args(out=locked))

    def test_a_directory_with_other_results(self):
        out = self.dir / "out"
        out.mkdir()
        (out / "results.json").write_text("{}", encoding="utf-8")
        self.refused(INPUT, out, "results.json", args=self.run_args())
        self.assertEqual((out / "results.json").read_text(encoding="utf-8"), "{}")
        (out / "results.json").unlink()
        (out / "manifest.json").write_text("not json", encoding="utf-8")
        self.refused(INPUT, "manifest.json", args=self.run_args())


class Weights(Case):
    """A copy of the demo system with one thing broken."""

    def setUp(self):
        super().setUp()
        self.demo = self.dir / "demo"
        shutil.copytree(DEMO, self.demo)
        self.llm = self.demo / "llm" / "model.safetensors"

    def broken(self, *needles, system="plain.json"):
        out = self.dir / "out"
        self.refused(INPUT, *needles, args=self.run_args(self.demo / system, "--lang", "en", out=out))
        self.assertFalse((out / "journal.jsonl").exists())

    def config(self, folder, **changes):
        path = self.demo / folder / "config.json"
        value = json.loads(path.read_text(encoding="utf-8"))
        value.update(changes)
        path.write_text(json.dumps(value), encoding="utf-8")

    def test_truncated(self):
        whole = self.llm.read_bytes()
        for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
            self.llm.write_bytes(whole[:length])
            self.broken("model.safetensors")

    def test_header_beyond_the_file(self):
        whole = self.llm.read_bytes()
        for length in (len(whole), 2**40, 2**64 - 1):
            self.llm.write_bytes(struct.pack("<Q", length) + whole[8:])
            self.broken("model.safetensors")

    def test_overlapping_tensors(self):
        def overlap(entries):
            names = list(entries)
            first, second = entries[names[0]]["data_offsets"], entries[names[1]]["data_offsets"]
            length = second[1] - second[0]
            entries[names[1]]["data_offsets"] = [first[0], first[0] + length]
            return entries
        write_safetensors(self.llm, read_safetensors(self.llm), overlap)
        self.broken("model.safetensors")

    def test_wrong_shape(self):
        def transpose(entries):
            name = next(n for n, t in entries.items() if n.endswith("down_proj.weight"))
            entries[name]["shape"] = entries[name]["shape"][::-1]
            return entries
        write_safetensors(self.llm, read_safetensors(self.llm), transpose)
        self.broken("down_proj.weight")

    def test_missing_tensor(self):
        tensors = read_safetensors(self.llm)
        tensors.pop("model.norm.weight")
        write_safetensors(self.llm, tensors)
        self.broken("model.norm.weight")

    def test_nan(self):
        tensors = read_safetensors(self.llm)
        dtype, shape, data = tensors["model.norm.weight"]
        size = {"F32": 4, "BF16": 2, "F16": 2}[dtype]
        tensors["model.norm.weight"] = (dtype, shape, b"\xff" * size + data[size:])
        write_safetensors(self.llm, tensors)
        self.broken("model.norm.weight")

    def test_missing_shard(self):
        names = list(read_safetensors(self.llm))
        index = {"metadata": {}, "weight_map": {n: f"model-0000{1 + i % 2}-of-00002.safetensors"
                                                for i, n in enumerate(names)}}
        tensors = read_safetensors(self.llm)
        self.llm.unlink()
        write_safetensors(self.llm.parent / "model-00001-of-00002.safetensors",
                          {n: tensors[n] for i, n in enumerate(names) if i % 2 == 0})
        (self.llm.parent / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
        self.broken("model-00002-of-00002.safetensors")

    def test_no_weights_at_all(self):
        self.llm.unlink()
        self.broken("llm")

    def test_pickle_with_a_foreign_global(self):
        self.llm.unlink()
        # a legacy torch file begins with pickles; this one asks for os.system
        (self.llm.parent / "pytorch_model.bin").write_bytes(b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01"
                                                            b"\x85q\x02Rq\x03.")
        self.broken("pytorch_model.bin")

    def test_configurations(self):
        self.config("llm", hidden_act="relu6")
        self.broken("relu6")
        shutil.copy(DEMO / "llm" / "config.json", self.demo / "llm" / "config.json")
        self.config("llm", model_type="rwkv")
        self.broken("rwkv")
        shutil.copy(DEMO / "llm" / "config.json", self.demo / "llm" / "config.json")
        self.config("llm", hidden_size=0)
        self.broken("config.json")
        shutil.copy(DEMO / "llm" / "config.json", self.demo / "llm" / "config.json")
        self.config("encoder", feed_forward_proj="gated-swish")
        self.broken("gated-swish", system="layalign.json")

    def test_tokenizers(self):
        path = self.demo / "llm" / "tokenizer.model"
        path.write_bytes(path.read_bytes()[:1000])
        self.broken("tokenizer.model")
        path.unlink()
        self.broken("llm")

    def test_bridge_of_another_size(self):
        path = self.demo / "bridges" / "layalign" / "model.safetensors"
        def shrink(entries):
            name = next(n for n, t in entries.items() if len(t["shape"]) == 2)
            entries[name]["shape"] = [1, entries[name]["shape"][0] * entries[name]["shape"][1]]
            return entries
        write_safetensors(path, read_safetensors(path), shrink)
        self.broken("layalign", system="layalign.json")


if __name__ == "__main__":
    unittest.main()
