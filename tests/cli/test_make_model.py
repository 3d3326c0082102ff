"""`layeval make-model`: the shapes of the published models, numbers that depend on the seed alone, clear refusals."""
import json
import os
import re
import subprocess
import sys
import tempfile

LAYEVAL = os.environ.get("LAYEVAL")
failures = []


def run(*arguments):
    return subprocess.run([LAYEVAL, *arguments], capture_output=True, text=True, timeout=300)


def check(condition, what):
    if not condition:
        failures.append(what)


def make(out, *arguments):
    done = run("make-model", "--out", out, *arguments)
    check(done.returncode == 0, f"{out}: exit {done.returncode}: {done.stderr.strip()}")


def inspect(path, *options):
    done = run("inspect", path, "--json", "--hash", *options)
    check(done.returncode == 0, f"{path}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def names(report):
    return {t["name"]: t["shape"] for t in report["tensors"]}


def seeds_and_shards(directory):
    one, two, other, shards = (os.path.join(directory, n) for n in ("one", "two", "other", "shards"))
    make(one, "--shape", "tiny", "--seed", "7", "--dtype", "f32")
    make(two, "--shape", "tiny", "--seed", "7", "--dtype", "f32")
    make(other, "--shape", "tiny", "--seed", "8", "--dtype", "f32")
    make(shards, "--shape", "tiny", "--seed", "7", "--dtype", "f32", "--shard-size", "200K")
    with open(os.path.join(one, "model.safetensors"), "rb") as a, open(os.path.join(two, "model.safetensors"), "rb") as b:
        check(a.read() == b.read(), "the same seed gives the same file")
    report, sharded = inspect(one), inspect(shards)
    check(report["hash"] == sharded["hash"], "shards do not change the numbers")
    check(report["hash"] != inspect(other)["hash"], "another seed gives other numbers")
    hashes = [t["hash"] for t in report["tensors"]]
    check(len(set(hashes)) == len(hashes), "no two tensors are alike")
    sizes = [os.path.getsize(os.path.join(shards, f)) for f in os.listdir(shards) if f.endswith(".safetensors")]
    check(len(sizes) > 4 and max(sizes) < 200 * 1024 + 8192, f"shards stay below the limit: {sizes}")
    with open(os.path.join(shards, "model.safetensors.index.json")) as file:
        index = json.load(file)
    check(set(index["weight_map"]) == set(names(report)) and index["metadata"]["total_size"] == report["bytes"],
          "the index lists every tensor")


def configurations(directory):
    """Sizes by hand from the configuration that was written: what transformers would make of it."""
    for shape in ("tiny", "tiny-mistral", "tiny-qwen2"):
        out = os.path.join(directory, "llm-" + shape)
        make(out, "--shape", shape, "--dtype", "bf16")
        report = inspect(out)
        with open(os.path.join(out, "config.json")) as file:
            c = json.load(file)
        h, f, kv = c["hidden_size"], c["intermediate_size"], c["num_key_value_heads"]
        kv *= h // c["num_attention_heads"]
        layer = 2 * h * h + 2 * h * kv + 3 * h * f + 2 * h + (h + 2 * kv if c["model_type"] == "qwen2" else 0)
        heads = 1 if c["tie_word_embeddings"] else 2
        check(report["parameters"] == c["num_hidden_layers"] * layer + heads * c["vocab_size"] * h + h,
              f"{shape}: number of parameters")
        check(all(t["finite"] and t["dtype"] == "bf16" for t in report["tensors"]), f"{shape}: finite bf16")


def same_names_as_golden(directory, golden):
    """The tensors of each family are named as transformers names them (golden cases: encoders in full or half)."""
    def kinds(path):
        return {re.sub(r"(layers|encoder\.layer|block)\.\d+\.", r"\1.N.", name) for name in names(inspect(path))}

    for shape, case in [("tiny-mt5", "layalign_mt5_llama_mlp/encoder"),
                        ("tiny-nllb", "layalign_nllb_llama_linear/encoder"),
                        ("tiny-xlmr", "mindmerger_xlmr_qwen2/encoder"), ("tiny-qwen2", "mindmerger_xlmr_qwen2/llm"),
                        ("tiny", "mindmerger_mt5_llama/llm"), ("tiny-mistral", "layalign_mt5_mistral_subset/llm")]:
        out = os.path.join(directory, "named-" + shape)
        make(out, "--shape", shape, "--dtype", "f32")
        theirs = kinds(os.path.join(golden, case))
        if case.endswith("encoder"):  # a full model there: we leave its decoder or masked-LM head out
            theirs = {n for n in theirs if not n.startswith(("lm_head", "model.decoder"))}
        check(kinds(out) == theirs, f"{shape}: {sorted(kinds(out) ^ theirs)}")


def bridges(directory):
    encoder, llm = os.path.join(directory, "encoder"), os.path.join(directory, "llm")
    make(encoder, "--shape", "tiny-mt5", "--dtype", "f32")
    make(llm, "--shape", "tiny", "--dtype", "f32")
    sides = ("--encoder", encoder, "--llm", llm, "--dtype", "f32")
    # tiny-mt5: width 48, 3 layers; tiny: width 64, 4 layers
    mapping = {"mapping.end_boundary": [1, 1, 64], "mapping.mlp.linear1.bias": [96], "mapping.mlp.linear1.weight": [96, 48],
               "mapping.mlp.linear2.bias": [64], "mapping.mlp.linear2.weight": [64, 96]}
    aligner = {"encoder_aligner.projector.fc1.bias": [8], "encoder_aligner.projector.fc1.weight": [8, 3],
               "encoder_aligner.projector.fc2.bias": [64], "encoder_aligner.projector.fc2.weight": [64, 48]}
    gates = {f"model_llm.model.model.layers.{i}.self_attn.adaption_gate": [1] for i in range(4)}
    out = os.path.join(directory, "mindmerger")
    make(out, "--shape", "mindmerger", *sides)
    check(names(inspect(out)) == mapping and inspect(out)["bridge"] == "MindMerger", "mindmerger tensors")
    out = os.path.join(directory, "layalign")
    make(out, "--shape", "layalign", *sides)
    report = inspect(out)
    check(names(report) == {**mapping, **aligner, **gates}, "layalign tensors")
    check(report["bridge"] == "LayAlign" and report["aligner"]["structure"] == "Linear" and
          [row["layer"] for row in report["aligner"]["layers"]] == [0, 1, 2, 3], "layalign gates")
    out = os.path.join(directory, "subset")
    make(out, "--shape", "layalign", *sides, "--structure", "MLP", "--language-layers", "3,1", "--encoder-layers", "2")
    report = inspect(out)
    check(report["aligner"]["encoder_layers"] == 2 and report["aligner"]["structure"] == "MLP" and
          [row["layer"] for row in report["aligner"]["layers"]] == [1, 3], "layalign subset")
    out = os.path.join(directory, "ablated")
    make(out, "--shape", "layalign", *sides, "--structure", "Wide", "--fusion", "average", "--gate", "hidden",
         "--language-layers", "2")
    report = inspect(out)
    gate = "model_llm.model.model.layers.2.self_attn.adaption_gate"
    wide = {"encoder_aligner.projector.fc0.bias": [48], "encoder_aligner.projector.fc0.weight": [48, 48],
            gate + ".weight": [1, 64], gate + ".bias": [1]}
    check(names(report) == {**mapping, **wide, **{k: v for k, v in aligner.items() if "fc2" in k}}, "ablated tensors")
    check({k: v for k, v in report["aligner"].items() if k != "layers"} ==
          {"structure": "Wide", "fusion": "average", "gate": "hidden"}, "ablated form")
    check([sorted(row) for row in report["aligner"]["layers"]] == [["gate", "layer"]], "ablated gates")
    text = run("inspect", out).stdout
    check("encoder layers averaged, 1 LLM layers" in text and "structure Wide" in text and "tanh(bias" in text, text)
    for structure, wanted in (("linear", {"linear.bias": [64], "linear.weight": [64, 48]}),
                              ("ffn", {"ffn.0.bias": [48], "ffn.0.weight": [48, 48], "ffn.2.bias": [64],
                                       "ffn.2.weight": [64, 48]})):
        out = os.path.join(directory, "langbridge-" + structure)
        make(out, "--shape", "langbridge", *sides, "--structure", structure)
        report = inspect(out)
        check(names(report) == {"lb.alignment.enc_eos": [64], **{"lb.alignment." + k: v for k, v in wanted.items()}},
              f"langbridge {structure} tensors")
        check(report["config"]["alignments"] == structure and report["config"]["dim_enc"] == 48, "langbridge config")
    return sides


def golden_gates(golden):
    """Gates and fusion weights of the golden LayAlign bridges against case.json."""
    for case in ("layalign_mt5_llama_linear", "layalign_mt5_llama_mlp", "layalign_mt5_mistral_subset"):
        with open(os.path.join(golden, case, "case.json")) as file:
            wanted = json.load(file)
        aligner = inspect(os.path.join(golden, case, "bridge", "pytorch_model.bin"))["aligner"]
        gates = wanted["adaption_gate"]
        gates = gates if isinstance(gates, dict) else dict(zip(wanted["aligner"]["language_layers"], gates))
        ours = {str(row["layer"]): row["gate"] for row in aligner["layers"]}
        check({k: round(v, 6) for k, v in ours.items()} == {str(k): round(float(v), 6) for k, v in gates.items()},
              f"{case}: gates {ours} {gates}")
        check(aligner["encoder_layers"] == len(wanted["aligner"]["encoder_layers"]), f"{case}: fused layers")


def refusals(directory, sides):
    for arguments, code, word in [
        (("--out", directory + "/x"), 2, "--shape"), (("--shape", "tiny"), 2, "--out"),
        (("--shape", "gpt5", "--out", directory + "/x"), 2, "llama2-7b"),
        (("--shape", "tiny", "--out", directory + "/x", "--dtype", "int4"), 2, "int4"),
        (("--shape", "layalign", "--out", directory + "/x"), 2, "--encoder"),
        (("--shape", "layalign", "--out", directory + "/x", *sides, "--structure", "Deep"), 2, '"MLP" or "Wide"'),
        (("--shape", "layalign", "--out", directory + "/x", *sides, "--fusion", "sum"), 2, "average"),
        (("--shape", "mindmerger", "--out", directory + "/x", *sides, "--gate", "hidden"), 2, "only one"),
        (("--shape", "langbridge", "--out", directory + "/x", *sides, "--fusion", "average"), 2, "only one"),
        (("--shape", "langbridge", "--out", directory + "/x", *sides, "--structure", "Wide"), 2, "linear or ffn"),
        (("--shape", "layalign", "--out", directory + "/x", *sides, "--language-layers", "0,4"), 2, '"4"'),
        (("--shape", "layalign", "--out", directory + "/x", *sides, "--language-layers", "1,1"), 2, "twice"),
        (("--shape", "layalign", "--out", directory + "/x", *sides, "--encoder-layers", "9"), 2, "hidden states"),
        (("--shape", "tiny", "--out", directory + "/llm"), 3, "already"),
        (("--shape", "tiny", "--out", "/proc/nowhere"), 3, "/proc/nowhere"),
        (("--shape", "tiny", "--out", directory + "/tok", "--tokenizer", directory + "/none"), 3, "none"),
    ]:
        done = run("make-model", *arguments)
        check(done.returncode == code and word in done.stderr,
              f"{arguments}: exit {done.returncode}, not {code}: {done.stderr.strip()}")


def golden_folder():
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in (os.path.join(here, "..", "golden"),
                   os.path.join(os.environ.get("LAYEVAL_SHARED") or os.path.join(here, "..", "..", "..", "shared"), "golden")):
        if os.path.exists(os.path.join(folder, "mindmerger_mt5_llama", "case.json")):
            return folder
    return None


def main():
    if not LAYEVAL:
        print("skipped: LAYEVAL is not set")
        return 77
    golden = golden_folder()
    with tempfile.TemporaryDirectory() as directory:
        seeds_and_shards(directory)
        configurations(directory)
        refusals(directory, bridges(directory))
        if golden:
            same_names_as_golden(directory, golden)
            golden_gates(golden)
        else:
            print("no golden cases: names not compared; set LAYEVAL_SHARED")
        tokenizer = os.path.join(directory, "tokenizer.model")
        with open(tokenizer, "wb") as file:
            file.write(b"any bytes\n")
        make(os.path.join(directory, "with"), "--shape", "tiny", "--tokenizer", tokenizer)
        with open(os.path.join(directory, "with", "tokenizer.model"), "rb") as file:
            check(file.read() == b"any bytes\n", "the tokenizer is copied")
    for failure in failures:
        print("FAILED", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
