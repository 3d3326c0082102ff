"""`layeval train`: the losses of an independent implementation, resuming to the bit, checkpoints that `layeval run` and
Python read, clear refusals before the first step."""
import csv
import io
import json
import math
import os
import pathlib
import pickle
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import zipfile

from reference import random_encoders

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"
TOY = str(ROOT / "tests" / "reference" / "train20.jsonl")


def run(*arguments):
    return subprocess.run([LAYEVAL, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          encoding="utf-8", check=False, timeout=300)


def train(system, out, *options, data=TOY, stage="task"):
    """system: a system file, or the name of one of the demo's"""
    system = system if isinstance(system, pathlib.Path) else DEMO / (system + ".json")
    return ["train", "--system", system, "--stage", stage, "--data", data, "--out", out, "--quiet",
            "--threads", "1", *options]


def read_log(out):
    with open(out / "log.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(directory, leave_out=("timing.json",)):
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name not in leave_out}


class Storage:
    def __init__(self, kind, key):
        self.kind, self.key = kind, key


class TorchPickle(pickle.Unpickler):
    """What torch.load does, with Python alone: tensors become (storage kind, key, offset, shape, strides)."""

    def find_class(self, module, name):
        return {("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, grad, hooks:
                    (storage, offset, shape, strides),
                ("torch", "FloatStorage"): "f", ("torch", "BFloat16Storage"): "H",
                ("collections", "OrderedDict"): dict}[module, name]

    def persistent_load(self, pid):
        return Storage(pid[1], pid[2])


def read_torch(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        top = archive.namelist()[0].split("/")[0]
        assert archive.read(top + "/version") == b"3\n" and archive.read(top + "/byteorder") == b"little"
        state = TorchPickle(io.BytesIO(archive.read(top + "/data.pkl"))).load()
        data = {name.rsplit("/", 1)[1]: archive.read(name) for name in archive.namelist() if "/data/" in name}
    return state, data


def numbers(tensor, data):
    storage, offset, shape, strides = tensor
    count = 1
    for size, stride in zip(reversed(shape), reversed(strides)):
        assert stride == count
        count *= size
    size = struct.calcsize("<" + storage.kind)
    assert offset == 0 and len(data[storage.key]) == count * size
    return struct.unpack("<%d%s" % (count, storage.kind), data[storage.key])


def read_safetensors(path):
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    return {name: (entry, raw[8 + length:][slice(*entry["data_offsets"])]) for name, entry in header.items()
            if name != "__metadata__"}


def floats(entry, raw):
    if entry["dtype"] == "BF16":  # the upper half of an f32
        raw = b"".join(b"\0\0" + raw[i:i + 2] for i in range(0, len(raw), 2))
    return struct.unpack("<%df" % (len(raw) // 4), raw)


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, (entry, raw) in tensors.items():
        header[name] = {**entry, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Training(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="layeval-train-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def succeed(self, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def refuse(self, code, says, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(says, result.stderr)
        return result

    def reference_options(self, settings):
        beta1, beta2 = settings["betas"]
        return ["--train", ",".join(settings["train"]), "--steps", 20, "--batch-size", settings["batch"], "--seed",
                settings["seed"], "--lr", settings["lr"], "--warm-up", settings["warm_up"], "--clip", settings["clip"],
                "--beta1", beta1, "--beta2", beta2, "--weight-decay", settings["decay"]]

    def test_twenty_steps_are_those_of_pytorch(self):
        """Every loss, and how far the tensors of an encoder that learns have moved in all, the rows of the pad token by
        themselves. PyTorch's own float32 is 1.5e-7 away from its float64 in the losses, 7e-5 in the ways."""
        reference = ROOT / "tests" / "reference"
        for name, settings in json.loads((reference / "train20.json").read_text(encoding="utf-8")).items():
            with self.subTest(name):
                out = self.directory / name
                encoder = self.reference_encoder(settings["encoder"])
                self.write_system(self.directory / "system.json", settings["method"], encoder)
                init = DEMO / "bridges" / settings["method"] / "model.safetensors"
                self.succeed(*train(self.directory / "system.json", out, "--init", init,
                                    *self.reference_options(settings), data=reference / settings["data"]))
                losses = [float(row["loss"]) for row in read_log(out)]
                self.assertEqual(len(losses), 20)
                for step, (ours, theirs) in enumerate(zip(losses, settings["losses"])):
                    self.assertLess(abs(ours - theirs), 5e-7 * theirs, f"step {step + 1}")
                if "encoder" in settings["train"]:
                    ways = self.ways(encoder, out / "last" / "encoder")
                    for tensor, theirs in settings["moved"].items():
                        self.assertLess(abs(ways(tensor) - theirs), 2e-4 * theirs, tensor)

    def reference_encoder(self, family):
        if family == "mt5":
            return DEMO / "encoder"
        directory = self.directory / ("encoder-" + family)
        if not directory.exists():
            random_encoders.make(family, directory)
        return directory

    def ways(self, before, after):
        """How long the difference of a tensor is, by its name; NAME[ROW]: of that row alone."""
        before, after = (read_safetensors(directory / "model.safetensors") for directory in (before, after))

        def way(name):
            name, _, row = name.rstrip("]").partition("[")
            ends = [floats(*tensors[name]) for tensors in (before, after)]
            if row:
                size = before[name][0]["shape"][1]
                ends = [values[int(row) * size:(int(row) + 1) * size] for values in ends]
            return math.dist(*ends)
        return way

    def test_threads_and_passes_change_no_bit(self):
        options = ["--train", "bridge,llm,encoder", "--steps", 4, "--batch-size", 4, "--lr", "1e-2", "--dev", 2,
                   "--dropout", 0.2]
        self.succeed(*train("layalign", self.directory / "one", *options))
        self.succeed(*train("layalign", self.directory / "two", *options, "--threads", 2, "--pass-rows", 20))
        self.assertEqual(content(self.directory / "one"), content(self.directory / "two"))

    def test_dropout_differs_from_step_to_step_and_from_seed_to_seed(self):
        """With a rate of nearly nothing, a loss changes with what is dropped alone: the batch is the whole data."""
        losses = {}
        for seed in (0, 1):
            for share in ("0", "0.3"):
                out = self.directory / f"{seed}-{share}"
                init = DEMO / "bridges" / "layalign" / "model.safetensors"
                self.succeed(*train("layalign", out, "--init", init, "--steps", 3, "--batch-size", 11, "--lr", "1e-12",
                                    "--seed", seed, "--dropout", share))
                manifest = json.loads((out / "manifest.json").read_text())
                self.assertEqual(manifest["training"].get("dropout", 0), float(share))
                losses[seed, share] = [round(float(row["loss"]), 4) for row in read_log(out)]
        self.assertEqual(losses[0, "0"], losses[1, "0"])
        self.assertEqual(len(set(losses[0, "0"])), 1)
        self.assertEqual(len({*losses[0, "0.3"], *losses[1, "0.3"], *losses[0, "0"]}), 7)

    def test_killed_and_interrupted_runs_go_on_to_the_bit(self):
        options = ["--steps", 60, "--batch-size", 4, "--lr", "1e-2", "--save-every", 5, "--dev", 2, "--dev-every", 8,
                   "--dropout", 0.1]
        whole, broken = self.directory / "whole", self.directory / "broken"
        self.succeed(*train("layalign", whole, *options))
        for number, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
            process = subprocess.Popen([LAYEVAL, *map(str, train("layalign", broken, *options))],
                                       stderr=subprocess.PIPE, text=True)
            self.wait_for_more(broken / "state.safetensors", process)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            if process.returncode != 0:  # it may have been quicker
                self.assertEqual(process.returncode, code, said)
            if process.returncode == 130:
                self.assertIn("the same command goes on", said)
        self.succeed(*train("layalign", broken, *options))
        self.assertEqual(content(broken), content(whole))
        self.assertEqual([row["step"] for row in read_log(broken)], [str(i + 1) for i in range(60)])
        result = self.succeed(*train("layalign", broken, *options))
        self.assertEqual(result.stderr, "")

    def wait_for_more(self, path, process):
        before = path.stat().st_mtime_ns if path.exists() else 0
        for _ in range(3000):
            if process.poll() is not None or (path.exists() and path.stat().st_mtime_ns != before):
                return
            time.sleep(0.005)
        self.fail("no state was saved")

    def test_another_command_does_not_go_on_in_the_same_directory(self):
        options = ["--steps", 2, "--batch-size", 4]
        self.succeed(*train("layalign", self.directory / "a", *options))
        self.refuse(3, "training.learning_rate", *train("layalign", self.directory / "a", *options, "--lr", "0.5"))

    def test_a_renamed_system_goes_on(self):
        """The directory is then that of a training that had the new name from the start."""
        options = ["--steps", 60, "--batch-size", 4, "--lr", "1e-2", "--save-every", 5]
        system = json.loads((DEMO / "layalign.json").read_text())
        for part in ("llm", "encoder", "bridge"):
            system[part]["path"] = str(DEMO / system[part]["path"])
        renamed = self.directory / "renamed.json"
        renamed.write_text(json.dumps({**system, "name": "another"}))
        command = train("layalign", self.directory / "a", *options)
        process = subprocess.Popen([LAYEVAL, *map(str, command)])
        self.wait_for_more(self.directory / "a" / "state.safetensors", process)
        process.kill()
        process.wait(timeout=60)
        for out in ("a", "b"):
            command = train("layalign", self.directory / out, *options)
            command[2] = renamed
            self.succeed(*command)
        self.assertEqual(json.loads((self.directory / "a" / "manifest.json").read_text())["system"]["name"], "another")
        self.assertEqual(content(self.directory / "a"), content(self.directory / "b"))
        renamed.write_text(json.dumps({**system, "name": "third", "soft_prompt": False}))
        self.refuse(3, "system.soft_prompt", *command)

    def test_checkpoints_are_accepted_by_run(self):
        for method in ("langbridge", "mindmerger", "layalign"):
            out = self.directory / method
            self.succeed(*train(method, out, "--steps", 1, "--batch-size", 4, "--lr", "1e-3"))
            self.succeed(*train(method, self.directory / (method + "-bin"), "--steps", 1, "--batch-size", 4, "--lr",
                                "1e-3", "--save-format", "bin"))
            answers = []
            for folder in (out, self.directory / (method + "-bin")):
                bridge = folder / "last" / "bridge"
                weights = next(p for p in bridge.iterdir() if p.suffix in (".safetensors", ".bin"))
                system = {"name": method, "method": method, "llm": {"path": str(DEMO / "llm")},
                          "encoder": {"path": str(DEMO / "encoder")}, "prompt_set": "mindmerger", "max_new_tokens": 8,
                          "bridge": {"path": str(bridge if method == "langbridge" else weights)}}
                (folder / "system.json").write_text(json.dumps(system))
                self.succeed("run", "--system", folder / "system.json", "--task", "mgsm", "--lang", "de", "--limit", 2,
                             "--data", ROOT / "data" / "samples", "--out", folder / "run", "--quiet")
                answers.append((folder / "run" / "samples_mgsm_de.jsonl").read_text(encoding="utf-8"))
            self.assertEqual(answers[0], answers[1], method)

    def test_the_report_shows_how_the_bridge_was_trained(self):
        """Through run, merge and score the losses travel with the results; the page draws them from their numbers."""
        first, out = self.directory / "first", self.directory / "out"
        options = ["--batch-size", 4, "--lr", "1e-3", "--dev", 2, "--dev-every", 2]
        self.succeed(*train("layalign", first, "--steps", 3, *options, stage="translation"))
        self.succeed(*train("layalign", out, "--steps", 4, *options, "--init", first / "last" / "bridge"))
        beside = out / "last" / "bridge" / "layeval-training.json"
        stages = json.loads(beside.read_text())["stages"]
        self.assertEqual([(stage["stage"], stage["steps"]) for stage in stages], [("translation", 3), ("task", 4)])
        for stage, folder in zip(stages, (first, out)):
            rows = read_log(folder)
            self.assertEqual(stage["loss"], [[float(row["step"]), float(row["loss"])] for row in rows])
            self.assertEqual(stage["dev_loss"], [[float(row["step"]), float(row["dev_loss"])] for row in rows
                                                 if row["dev_loss"]])
        system = {"name": "ours", "method": "layalign", "llm": {"path": str(DEMO / "llm")},
                  "encoder": {"path": str(DEMO / "encoder")}, "max_new_tokens": 2,
                  "bridge": {"path": str(beside.parent / "model.safetensors")}}
        (self.directory / "system.json").write_text(json.dumps(system))
        command = ["run", "--system", self.directory / "system.json", "--task", "mgsm", "--lang", "de", "--limit", 2, "--data",
                   ROOT / "data" / "samples", "--quiet", "--out"]
        run_directory = self.directory / "run"
        self.succeed(*command, run_directory, "--report", "html")
        for shard in ("1", "2"):
            self.succeed(*command, self.directory / shard, "--shard", shard + "/2")
        self.succeed("merge", self.directory / "1", self.directory / "2", "--out", self.directory / "merged")
        self.succeed("score", run_directory, "--out", self.directory / "scored")
        page = (run_directory / "report.html").read_bytes()
        for directory in (run_directory, self.directory / "merged", self.directory / "scored"):
            self.assertEqual((directory / "layeval-training.json").read_bytes(), beside.read_bytes())
            self.succeed("report", directory, "--format", "html", "--out", self.directory / "page.html")
            self.assertEqual((self.directory / "page.html").read_bytes(), page)
        for text in (b"ours, stage 1 of 2, translation: 3 steps of 4 samples", b"ours, stage 2 of 2, task: 4 steps of 4 samples"):
            self.assertIn(text, page)
        beside.write_text('{"version": 1, "stages": "<svg onload=alert(1)>"}')
        self.refuse(3, str(beside), *command, self.directory / "refused")
        self.assertEqual(sorted(os.listdir(self.directory / "refused")), [])
        self.refuse(3, str(beside), *train("layalign", self.directory / "third", "--init", beside.parent))
        (run_directory / "layeval-training.json").write_text("[]")
        self.refuse(3, "layeval-training.json", "report", run_directory, "--format", "html")

    def test_ablations_train_what_they_leave_and_save_the_rest(self):
        bridge = {"path": "out/last/bridge/model.safetensors", "encoder_layers": [0, 3], "language_layers": [1, 2],
                  "structure": "MLP"}
        for switch, frozen in (("soft_prompt", "mapping.mlp.linear1.weight"), ("adapter_attention", None)):
            system = {"name": switch, "method": "layalign", "llm": {"path": str(DEMO / "llm")}, switch: False,
                      "encoder": {"path": str(DEMO / "encoder")}, "bridge": bridge, "max_new_tokens": 4}
            folder = self.directory / switch
            folder.mkdir()
            (folder / "system.json").write_text(json.dumps(system))
            self.succeed("train", "--system", folder / "system.json", "--stage", "task", "--data", TOY, "--out",
                         folder / "out", "--steps", 2, "--batch-size", 4, "--lr", "1e-2", "--threads", 1, "--quiet")
            saved = read_safetensors(folder / "out" / "last" / "bridge" / "model.safetensors")
            self.assertEqual(saved["encoder_aligner.projector.fc1.weight"][0]["shape"], [4, 2])
            state = read_safetensors(folder / "out" / "state.safetensors")
            if frozen:
                self.assertNotIn("value." + frozen, state)
                self.assertIn(frozen, saved)
            self.succeed("run", "--system", folder / "system.json", "--task", "mgsm", "--lang", "de", "--limit", 1,
                         "--data", ROOT / "data" / "samples", "--out", folder / "run", "--quiet")

    def test_forms_of_the_paper_train_save_and_run(self):
        projector, gate = "encoder_aligner.projector.", "model_llm.model.model.layers.%d.self_attn.adaption_gate"
        forms = (  # what the system file says, what of it the checkpoint tells, tensors that are saved and that are not
            ({"structure": "Wide", "gate": "hidden"}, {"structure", "gate"},
             {projector + "fc0.weight": [48, 48], gate % 3 + ".weight": [1, 64], gate % 3 + ".bias": [1]},
             [projector + "fc3.weight", gate % 3]),
            ({"fusion": "average", "encoder_layers": [1, 3]}, set(), {projector + "fc2.weight": [64, 48], gate % 3: [1]},
             [projector + "fc1.weight", projector + "fc1.bias"]),
        )

        def system(folder, said, path):
            folder.joinpath("system.json").write_text(json.dumps({
                "name": "form", "method": "layalign", "llm": {"path": str(DEMO / "llm")}, "max_new_tokens": 8,
                "encoder": {"path": str(DEMO / "encoder")}, "bridge": {"path": str(path), **said}}))
            return folder / "system.json"

        def evaluate(folder, said, path, out):
            return run("run", "--system", system(folder, said, path), "--task", "mgsm", "--lang", "de", "--limit", 2,
                       "--data", ROOT / "data" / "samples", "--out", folder / out, "--quiet")

        for said, told, saved, absent in forms:
            folder = self.directory / "-".join(map(str, said))
            folder.mkdir()
            bridges = []
            for kind in ("safetensors", "bin"):
                self.succeed("train", "--system", system(folder, said, "none"), "--stage", "task", "--data", TOY, "--out",
                             folder / kind, "--steps", 3, "--batch-size", 4, "--lr", "1e-2", "--threads", 1, "--quiet",
                             "--save-format", kind)
                bridges.append(next(path for path in (folder / kind / "last" / "bridge").iterdir()
                                    if path.suffix in (".safetensors", ".bin")))
            tensors = read_safetensors(bridges[0])
            for name, shape in saved.items():
                self.assertEqual(tensors[name][0]["shape"], shape)
                self.assertTrue(any(tensors[name][1]), name)  # gates begin at 0
            self.assertEqual(set(absent) & set(tensors), set())
            trained = json.loads((folder / "safetensors" / "manifest.json").read_text())["system"]
            for key in ("structure", "fusion", "gate"):
                self.assertEqual(trained[key], said.get(key, ""))
            answers = []
            for number, (path, keys) in enumerate(((bridges[0], said), (bridges[1], said),
                                                   (bridges[0], {k: v for k, v in said.items() if k not in told}))):
                result = evaluate(folder, keys, path, "run-%d" % number)
                self.assertEqual(result.returncode, 0, result.stderr)
                answers.append((folder / ("run-%d" % number) / "samples_mgsm_de.jsonl").read_text(encoding="utf-8"))
                manifest = (folder / ("run-%d" % number) / "manifest.json").read_text()
                for key, released in (("structure", "Linear"), ("fusion", "learned"), ("gate", "scalar")):
                    self.assertIn('"%s": "%s"' % (key, said.get(key, released)), manifest)
            self.assertEqual(answers[0], answers[1])
            self.assertEqual(answers[0], answers[2])
            for wrong, says in (({"structure": "MLP"}, '"structure" is "MLP"'), ({"fusion": "learned"}, "fc1"),
                                ({"gate": "hidden"}, '"gate" is "hidden"'), ({"gate": "scalar"}, '"gate" is "scalar"')):
                if all(said.get(key, "learned" if key == "fusion" else "scalar") != value for key, value in wrong.items()):
                    result = evaluate(folder, {**said, **wrong}, bridges[0], "refused")
                    self.assertEqual(result.returncode, 3, result.stderr)
                    self.assertIn(says, result.stderr)
            if said.get("fusion"):
                result = evaluate(folder, {"encoder_layers": [1, 3]}, bridges[0], "refused")
                self.assertEqual(result.returncode, 3)
                self.assertIn('say "fusion": "average"', result.stderr)

    def test_python_reads_the_whole_module(self):
        out = self.directory / "bin"
        self.succeed(*train("layalign", out, "--steps", 2, "--batch-size", 4, "--lr", "1e-2", "--save-format", "bin"))
        state, data = read_torch(out / "last" / "bridge" / "pytorch_model.bin")
        saved = read_safetensors(out / "state.safetensors")
        for name in ("mapping.end_boundary", "encoder_aligner.projector.fc1.weight",
                     "model_llm.model.model.layers.3.self_attn.adaption_gate"):
            entry, raw = saved["value." + name]
            self.assertEqual(list(state[name][2]), entry["shape"])
            self.assertEqual(struct.pack("<%df" % (len(raw) // 4), *numbers(state[name], data)), raw, name)
        llm = read_safetensors(DEMO / "llm" / "model.safetensors")
        query = state["model_llm.model.model.layers.0.self_attn.model.q_proj.weight"]
        self.assertEqual(data[query[0].key], llm["model.layers.0.self_attn.q_proj.weight"][1])
        self.assertEqual(state["llm_embedding_layer.weight"][0].key,
                         state["model_llm.model.model.embed_tokens.weight"][0].key)
        self.assertEqual(data[state["encoder_mt.embed_tokens.weight"][0].key],
                         read_safetensors(DEMO / "encoder" / "model.safetensors")["shared.weight"][1])
        self.assertEqual({name for name in state if "decoder" in name}, set())

    def test_mindmerger_is_wrapped_as_its_code_saves_it(self):
        out = self.directory / "bin"
        self.succeed(*train("mindmerger", out, "--steps", 1, "--batch-size", 4, "--save-format", "bin", "--save-dtype",
                            "bf16"))
        state, data = read_torch(out / "last" / "bridge" / "pytorch_model.bin")
        self.assertEqual(sorted(state["model_state_dict"]), ["end_boundary", "mlp.linear1.bias", "mlp.linear1.weight",
                                                             "mlp.linear2.bias", "mlp.linear2.weight"])
        self.assertEqual(len(numbers(state["model_state_dict"]["end_boundary"], data)), 64)

    def test_unfrozen_models_become_directories(self):
        out = self.directory / "llm"
        self.succeed(*train("plain", out, "--train", "llm", "--steps", 1, "--batch-size", 4, "--save-dtype", "bf16"))
        self.assertEqual(set(os.listdir(out / "last" / "llm")),
                         {"model.safetensors", "config.json", "generation_config.json", "tokenizer.model",
                          "tokenizer_config.json"})
        before = read_safetensors(DEMO / "llm" / "model.safetensors")
        after = read_safetensors(out / "last" / "llm" / "model.safetensors")
        self.assertEqual({n: e["shape"] for n, (e, _) in before.items()}, {n: e["shape"] for n, (e, _) in after.items()})

    def encoder_system(self, shape, method, strip=""):
        """A directory with system.json: a random encoder of another family, whose table is long enough for the demo's
        tokenizer, between the demo's LLM and a new bridge. `strip`: a prefix its tensors go without."""
        folder = self.directory / shape
        self.succeed("make-model", "--shape", shape, "--dtype", "f32", "--out", folder / "encoder", "--quiet")
        shutil.copy(DEMO / "encoder" / "spiece.model", folder / "encoder" / "sentencepiece.bpe.model")
        tensors, changed = read_safetensors(folder / "encoder" / "model.safetensors"), {}
        for name, (entry, raw) in tensors.items():
            if entry["shape"][0] == 512:
                entry, raw = {**entry, "shape": [6 * 512, *entry["shape"][1:]]}, raw * 6
            changed[name.removeprefix(strip)] = (entry, raw)
        for name in ("model.decoder.layers.0.fc1.weight", "pooler.dense.weight", "lm_head.bias"):
            changed[name] = ({"dtype": "F32", "shape": [2, 2]}, struct.pack("<4f", 1, 2, 3, 4))
        write_safetensors(folder / "encoder" / "model.safetensors", changed)
        config = json.loads((folder / "encoder" / "config.json").read_text())
        (folder / "encoder" / "config.json").write_text(json.dumps({**config, "vocab_size": 6 * 512}))
        self.write_system(folder / "system.json", method, folder / "encoder")
        return folder, changed

    def write_system(self, path, method, encoder, bridge=None):
        system = {"name": "other", "method": method, "llm": {"path": str(DEMO / "llm")}, "encoder": {"path": str(encoder)},
                  "prompt_set": "mindmerger", "max_new_tokens": 4, "bridge": {"path": str(bridge or "none.safetensors")}}
        path.write_text(json.dumps(system))

    def train_encoder(self, system, out, *options):
        self.succeed("train", "--system", system, "--stage", "task", "--data", TOY, "--out", out, "--quiet", "--train",
                     "bridge,encoder", "--batch-size", 11, "--lr", "3e-3", "--schedule", "constant", "--warm-up", 0,
                     *options)
        return [float(row["loss"]) for row in read_log(out)]

    def test_encoders_of_other_families_learn(self):
        for shape, method, strip in (("tiny-nllb", "layalign", ""), ("tiny-xlmr", "mindmerger", "roberta.")):
            with self.subTest(shape):
                folder, before = self.encoder_system(shape, method, strip)
                losses = self.train_encoder(folder / "system.json", folder / "six", "--steps", 6, "--threads", 1)
                self.assertLess(losses[5], losses[0])
                self.train_encoder(folder / "system.json", folder / "five", "--steps", 5, "--threads", 1)
                self.train_encoder(folder / "system.json", folder / "two", "--steps", 5, "--threads", 2, "--pass-rows", 50)
                self.assertEqual(content(folder / "five"), content(folder / "two"))

                last = folder / "five" / "last"
                self.assertEqual(set(os.listdir(last / "encoder")), set(os.listdir(folder / "encoder")))
                after = read_safetensors(last / "encoder" / "model.safetensors")
                self.assertEqual({n: e["shape"] for n, (e, _) in before.items()},
                                 {n: e["shape"] for n, (e, _) in after.items()})
                others = {"model.decoder.layers.0.fc1.weight", "pooler.dense.weight", "lm_head.bias"}
                self.assertEqual({n for n in before if before[n][1] == after[n][1]}, others)

                # the saved encoder and bridge go on where they were
                self.write_system(folder / "trained.json", method, last / "encoder", last / "bridge" / "model.safetensors")
                again = self.train_encoder(folder / "trained.json", folder / "again", "--steps", 1, "--threads", 1,
                                           "--init", last / "bridge" / "model.safetensors")
                self.assertLess(abs(again[0] - losses[5]), 2e-6 * losses[5])
                self.succeed("run", "--system", folder / "trained.json", "--task", "mgsm", "--lang", "de", "--limit", 2,
                             "--data", ROOT / "data" / "samples", "--out", folder / "run", "--quiet")

    def test_a_loss_that_is_no_number_stops(self):
        bridge = read_safetensors(DEMO / "bridges" / "mindmerger" / "model.safetensors")
        entry, raw = bridge["mlp.linear2.weight"]
        bridge["mlp.linear2.weight"] = (entry, b"\x7f\x7f" * (len(raw) // 2))  # 3.4e38 in bf16
        write_safetensors(self.directory / "huge.safetensors", bridge)
        result = self.refuse(3, "step 1: the loss is not finite", *train(
            "mindmerger", self.directory / "out", "--steps", 3, "--batch-size", 4, "--init",
            self.directory / "huge.safetensors"))
        self.assertRegex(result.stderr, r"train20\.jsonl:\d+.*no checkpoint had been saved")

    def test_bad_input_is_refused_before_the_first_step(self):
        pairs = self.directory / "pairs" / "en-de"
        pairs.mkdir(parents=True)
        (pairs / "train_100k.de").write_text("Eins\nZwei\n")
        (pairs / "train_100k.en").write_text("One\n")
        (self.directory / "empty.jsonl").write_text("")
        (self.directory / "sourceless.jsonl").write_text('{"target": "One"}\n')
        out = self.directory / "out"
        other = self.directory / "other"
        self.succeed("make-model", "--shape", "mindmerger", "--encoder", DEMO / "encoder", "--llm",
                     ROOT / "tests" / "golden" / "mindmerger_mt5_llama" / "llm", "--out", other, "--quiet")
        good = self.directory / "good"
        (good / "en-de").mkdir(parents=True)
        for language in ("de", "en"):
            (good / "en-de" / ("train_100k." + language)).write_text("1\n")
        lists = self.directory / "lists"
        lists.mkdir()
        (lists / "xnli_dev.json").write_text("[]")
        (lists / "math.json").write_text('[{"query": "Wie viele?", "response": "Two", "lang": "German"}]')
        mindmerger_off = self.system_file("off.json", "mindmerger", soft_prompt=False)
        layalign_off = self.system_file("off2.json", "layalign", soft_prompt=False, adapter_attention=False)
        twice = self.system_file("twice.json", "layalign", bridge={"path": "none", "language_layers": [0, 0]})
        small = self.directory / "small"
        shutil.copytree(DEMO / "llm", small)
        config = json.loads((small / "config.json").read_text())
        (small / "config.json").write_text(json.dumps({**config, "vocab_size": 8}))
        small = self.system_file("small.json", "mindmerger", llm={"path": str(small)})
        cases = [
            (3, "different numbers of lines", train("layalign", out, data=self.directory / "pairs", stage="translation")),
            (3, "the file is empty", train("layalign", out, data=self.directory / "empty.jsonl")),
            (3, "no source for the encoder", train("layalign", out, data=self.directory / "sourceless.jsonl")),
            (3, "the target has", train("layalign", out, "--target-length", 3)),
            (3, "nothing is left to train on", train("layalign", out, "--dev", 11)),
            (3, "mapping.mlp.linear2.weight", train("mindmerger", out, "--init", other / "model.safetensors")),
            (3, "other/model.safetensors: ", train("mindmerger", out, "--init", other / "model.safetensors", "--dry-run")),
            (3, "is not there; name a directory", train("layalign", out, data=self.directory / "nowhere")),
            (3, "name the folder", train("layalign", out, data=lists / "math.json")),
            (3, "no training item in French", train("layalign", out, "--lang", "de,fr")),
            (3, "no training item in French", train("layalign", out, "--lang", "de,fr", data=lists)),
            (3, "xnli_dev.json: holds no training item", train("layalign", out, "--task", "xnli", data=lists)),
            (3, "without fr", train("layalign", out, "--lang", "fr,de", data=good, stage="translation")),
            (3, "nothing to train", train(mindmerger_off, out)),
            (3, "nothing to train", train(layalign_off, out)),
            (3, "layer 0 twice", train(twice, out)),
            (3, "train20.jsonl:1: the tokenizer of the LLM gives token", train(small, out)),
            (2, "neither translation nor task", train("layalign", out, stage="three")),
            (2, "none of bridge, llm, encoder, head", train("layalign", out, "--train", "bridges")),
            (2, "neither bridge nor encoder", train("plain", out, "--train", "encoder")),
            (2, "would read nothing", train("plain", out, stage="translation", data=self.directory / "pairs")),
            (2, "--lr", train("layalign", out, "--lr", "-1")),
            (2, "--lr: 0", train("layalign", out, "--lr", "0")),
            (2, "too large", train("layalign", out, "--steps", "99999999999999999999")),
            (2, "--lang: \"\" names nothing", train("layalign", out, "--lang", "")),
            (2, "exclude each other", train("layalign", out, "--epochs", 1, "--steps", 1)),
            (2, "same training items", train("layalign", out, "--task", "mgsm,msvamp", data=lists)),
            (2, "no bridge is to be trained", train("layalign", out, "--train", "llm", "--save-format", "bin")),
            (2, "is of stage translation", train("layalign", out, "--preset", "layalign-math-stage1")),
            (2, "--dropout", train("layalign", out, "--dropout", "1")),
            (2, "--dropout", train("plain", out, "--dropout", "0.1")),
            (2, "--preset", train("layalign", out, "--preset", "gpt")),
            (2, "--schedule", train("layalign", out, "--schedule", "step")),
            (2, "--save-format", train("layalign", out, "--save-format", "gguf")),
            (2, "missing --data", ["train", "--system", DEMO / "layalign.json", "--stage", "task", "--out", out]),
        ]
        for code, says, arguments in cases:
            with self.subTest(says):
                self.refuse(code, says, *arguments)
        self.assertFalse((out / "state.safetensors").exists())
        self.assertFalse((out / "manifest.json").exists(), "which the corrected command would not fit")

    def system_file(self, name, method, **keys):
        """The demo's system with other keys; paths are absolute."""
        system = {"name": "other", "method": method, "llm": {"path": str(DEMO / "llm")}, "bridge": {"path": "none"},
                  "encoder": {"path": str(DEMO / "encoder")}, "prompt_set": "mindmerger", **keys}
        path = self.directory / name
        path.write_text(json.dumps(system))
        return path

    def test_the_limit_is_of_every_language(self):
        with open(TOY, encoding="utf-8") as file:
            languages = [json.loads(line).get("lang") for line in file]
        expected = sum(min(languages.count(language), 2) for language in set(languages))
        self.assertGreater(expected, 2)
        result = self.succeed(*train("layalign", self.directory / "out", "--limit", 2, "--dry-run"))
        self.assertIn("%d samples;" % expected, result.stdout)

    def test_a_system_without_text_prompt_is_trained_without(self):
        system = self.system_file("silent.json", "layalign", text_prompt=False)
        for options, reads in (((), False), (("--text-prompt",), True)):
            out = self.directory / str(reads)
            self.succeed(*train(system, out, "--steps", 1, *options))
            self.assertIs(json.loads((out / "manifest.json").read_text())["data"]["text_prompt"], reads)

    def test_a_state_that_belongs_to_nothing_is_refused(self):
        out = self.directory / "out"
        command = train("mindmerger", out, "--steps", 1)
        self.succeed(*command)
        state = (out / "state.safetensors").read_bytes()
        (out / "state.safetensors").write_bytes(state[:100])
        self.refuse(3, "to begin anew", *command)
        (out / "manifest.json").unlink()
        self.refuse(3, "without its manifest.json", *command)

    def test_targets_are_cut_when_asked(self):
        self.succeed(*train("layalign", self.directory / "out", "--target-length", 3, "--cut-targets", "--steps", 1,
                            "--batch-size", 11))
        expected = 0
        with open(TOY, encoding="utf-8") as file:
            for line in file:
                ids = json.loads(run("tokenize", "--model", DEMO / "llm", "--no-special", "--json", "--text",
                                     json.loads(line)["target"]).stdout)["ids"]
                expected += min(len(ids) + 1, 3)  # and the eos
        self.assertEqual(read_log(self.directory / "out")[0]["target_tokens"], str(expected))

    def test_a_dry_run_prints_the_plan_and_writes_nothing(self):
        result = self.succeed(*train("layalign", self.directory / "out", "--dry-run", "--batch-size", 4, "--dev", 1))
        self.assertIn("10 samples, 1 more for the dev loss; 9 steps of 4 samples", result.stdout)
        self.assertFalse((self.directory / "out").exists())

    def test_a_preset_is_a_set_of_defaults(self):
        result = self.succeed(*train("layalign", self.directory / "out", "--preset", "layalign-math-stage2", "--steps",
                                     1, "--lang", "de", "--seed", 3, "--batch-size", 2))
        self.assertEqual(result.stdout, "")
        manifest = json.loads((self.directory / "out" / "manifest.json").read_text())
        self.assertEqual(manifest["training"]["learning_rate"], 3e-5)
        self.assertEqual(manifest["training"]["batch"], 2)
        self.assertEqual(manifest["data"]["source_length"], 512)
        self.assertEqual(manifest["data"]["files"][0]["items"], 4)

    def test_presets_are_the_released_settings(self):
        """As the scripts of the two papers' repositories have them: learning rate, schedule, clipping, lengths."""
        cases = {"layalign-math-stage1": (4e-5, "cosine", 1, 0, 200), "layalign-math-stage2": (3e-5, "cosine", 1, 0, 512),
                 "layalign-xnli-stage2": (3e-5, "cosine", 1, 0, 200),
                 "mindmerger-math-stage1": (2e-5, "constant", 0, 1, 200),
                 "mindmerger-math-stage2": (2e-5, "constant", 0, 1, 512),
                 "mindmerger-x-csqa-stage1": (2e-5, "constant", 0, 1, 200),
                 "mindmerger-x-csqa-stage2": (2e-5, "constant", 0, 1, 200),
                 "mindmerger-xnli-stage1": (2e-5, "constant", 0, 1, 200),
                 "mindmerger-xnli-stage2": (2e-5, "constant", 0, 1, 200)}
        for preset, (rate, schedule, warm_up, clip, length) in cases.items():
            with self.subTest(preset):
                out = self.directory / preset
                command = ["train", "--system", DEMO / "mindmerger.json", "--preset", preset, "--data", TOY, "--out", out,
                           "--lang", "de", "--quiet", "--threads", 1, "--steps", 20, "--batch-size", 1]
                self.succeed(*command, *(["--dev", 1] if schedule == "constant" else []))
                manifest = json.loads((out / "manifest.json").read_text())
                training, data = manifest["training"], manifest["data"]
                self.assertEqual(manifest["stage"], "translation" if preset.endswith("1") else "task")
                self.assertEqual((training["learning_rate"], training["schedule"], training["warm_up_steps"],
                                  training["clip"], data["target_length"]), (rate, schedule, warm_up, clip, length))
                self.assertEqual([training[key] for key in ("beta1", "beta2", "epsilon", "weight_decay")],
                                 [0.8, 0.999, 1e-8, 3e-7])
        options = ["--preset", "mindmerger-math-stage2", "--lang", "de", "--steps", 20, "--batch-size", 1]
        self.refuse(3, "--dev would hold out 3000", *train("mindmerger", self.directory / "out", *options))
        self.succeed(*train("mindmerger", self.directory / "out", *options, "--dev", 0, "--clip", 0, "--warm-up", 0.5,
                            "--schedule", "linear"))
        manifest = json.loads((self.directory / "out" / "manifest.json").read_text())
        self.assertEqual([manifest["training"][key] for key in ("clip", "warm_up_steps", "schedule")], [0, 10, "linear"])
        self.assertEqual(manifest["data"]["dev"], 0)


if __name__ == "__main__":
    unittest.main()
