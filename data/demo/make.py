#!/usr/bin/env python3
"""Makes the demo systems: two SentencePiece models trained on corpus.txt, and models with random weights.

    python3 data/demo/make.py

needs spm_train (Debian package sentencepiece) and nothing beyond Python's standard library. The seed is
fixed: the same version of spm_train gives the same files. They are committed, so only a change of the corpus
or of the shapes below asks for another run.
"""
import json
import os
import random
import shutil
import struct
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 20250217

LLM = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 176,
    "max_position_embeddings": 2048,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 2048,
}

ENCODER = {
    "architectures": ["MT5EncoderModel"],
    "d_ff": 128,
    "d_kv": 16,
    "d_model": 48,
    "decoder_start_token_id": 0,
    "dense_act_fn": "gelu_new",
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": True,
    "is_gated_act": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "mt5",
    "num_heads": 4,
    "num_layers": 3,
    "pad_token_id": 0,
    "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32,
    "tie_word_embeddings": False,
    "tokenizer_class": "T5Tokenizer",
    "torch_dtype": "bfloat16",
    "vocab_size": 2560,
}

# Rows of the LM head that are longer than the others are chosen more often: some answers end before the limit,
# and some hold numbers and option letters for the scorers to read. By piece.
HEAD_GAIN = {"</s>": 2.5, **dict.fromkeys("0123456789", 1.8), **dict.fromkeys(["▁A", "▁B", "▁C", "▁D"], 1.8)}


def train_tokenizer(options, path):
    """Returns the pieces. In a scratch directory with fixed names, because the trainer writes its file names
    into the model."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(os.path.join(HERE, "corpus.txt"), scratch)
        subprocess.run(["spm_train", "--input=corpus.txt", "--model_prefix=model", "--num_threads=1",
                        "--character_coverage=1.0", "--minloglevel=2", *options], check=True, cwd=scratch)
        shutil.copy(os.path.join(scratch, "model.model"), path)
        with open(os.path.join(scratch, "model.vocab"), encoding="utf-8") as vocab:
            return [line.split("\t")[0] for line in vocab]


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(value, out, indent=2, ensure_ascii=False)
        out.write("\n")


def bf16(value):
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16


class Tensors:
    """Random tensors by name, written as one safetensors file in bf16."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tensors = []

    def add(self, name, shape, values):
        self.tensors.append((name, shape, struct.pack("<%dH" % len(values), *map(bf16, values))))

    def normal(self, name, shape, scale):
        count = 1
        for n in shape:
            count *= n
        self.add(name, shape, [self.random.gauss(0, scale) for _ in range(count)])

    def linear(self, name, rows, columns, gain=1.0):
        self.normal(name, [rows, columns], gain / columns ** 0.5)

    def near_one(self, name, size):
        self.add(name, [size], [1 + self.random.gauss(0, 0.05) for _ in range(size)])

    def write(self, path):
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for name, shape, data in self.tensors:
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + len(data)]}
            at += len(data)
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in self.tensors))


def make_llm(directory):
    hidden, inner, vocab = LLM["hidden_size"], LLM["intermediate_size"], LLM["vocab_size"]
    os.makedirs(directory, exist_ok=True)
    pieces = train_tokenizer(["--model_type=bpe", "--vocab_size=%d" % vocab, "--byte_fallback=true",
                              "--split_digits=true", "--normalization_rule_name=identity",
                              "--remove_extra_whitespaces=false",
                              "--allow_whitespace_only_pieces=true"],
                             os.path.join(directory, "tokenizer.model"))
    assert len(pieces) == vocab and set(HEAD_GAIN) <= set(pieces)
    key_value = hidden // LLM["num_attention_heads"] * LLM["num_key_value_heads"]
    t = Tensors(SEED + 1)
    t.normal("model.embed_tokens.weight", [vocab, hidden], 1.0)
    for n in range(LLM["num_hidden_layers"]):
        layer = "model.layers.%d." % n
        t.near_one(layer + "input_layernorm.weight", hidden)
        for name, rows in (("q", hidden), ("k", key_value), ("v", key_value), ("o", hidden)):
            t.linear(layer + "self_attn.%s_proj.weight" % name, rows, hidden)
        t.near_one(layer + "post_attention_layernorm.weight", hidden)
        t.linear(layer + "mlp.gate_proj.weight", inner, hidden)
        t.linear(layer + "mlp.up_proj.weight", inner, hidden)
        t.linear(layer + "mlp.down_proj.weight", hidden, inner)
    t.near_one("model.norm.weight", hidden)
    t.add("lm_head.weight", [vocab, hidden],
          [t.random.gauss(0, HEAD_GAIN.get(piece, 1.0) / hidden ** 0.5)
           for piece in pieces for _ in range(hidden)])
    t.write(os.path.join(directory, "model.safetensors"))
    write_json(os.path.join(directory, "config.json"), LLM)
    write_json(os.path.join(directory, "generation_config.json"),
               {"bos_token_id": LLM["bos_token_id"], "eos_token_id": LLM["eos_token_id"]})
    write_json(os.path.join(directory, "tokenizer_config.json"),
               {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>",
                "tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>"})


def make_encoder(directory):
    os.makedirs(directory, exist_ok=True)
    d, inner, heads = ENCODER["d_model"], ENCODER["d_ff"], ENCODER["num_heads"]
    width = heads * ENCODER["d_kv"]
    t = Tensors(SEED + 2)
    t.normal("shared.weight", [ENCODER["vocab_size"], d], 1.0)
    for n in range(ENCODER["num_layers"]):
        block = "encoder.block.%d.layer." % n
        # T5 does not scale attention scores: the query projection is that much smaller.
        t.linear(block + "0.SelfAttention.q.weight", width, d, ENCODER["d_kv"] ** -0.5)
        t.linear(block + "0.SelfAttention.k.weight", width, d)
        t.linear(block + "0.SelfAttention.v.weight", width, d)
        t.linear(block + "0.SelfAttention.o.weight", d, width)
        if n == 0:
            t.normal(block + "0.SelfAttention.relative_attention_bias.weight",
                     [ENCODER["relative_attention_num_buckets"], heads], 0.5)
        t.near_one(block + "0.layer_norm.weight", d)
        t.linear(block + "1.DenseReluDense.wi_0.weight", inner, d)
        t.linear(block + "1.DenseReluDense.wi_1.weight", inner, d)
        t.linear(block + "1.DenseReluDense.wo.weight", d, inner)
        t.near_one(block + "1.layer_norm.weight", d)
    t.near_one("encoder.final_layer_norm.weight", d)
    t.write(os.path.join(directory, "model.safetensors"))
    write_json(os.path.join(directory, "config.json"), ENCODER)
    write_json(os.path.join(directory, "tokenizer_config.json"),
               {"eos_token": "</s>", "extra_ids": 0, "pad_token": "<pad>", "tokenizer_class": "T5Tokenizer",
                "unk_token": "<unk>"})
    train_tokenizer(["--model_type=unigram", "--vocab_size=%d" % ENCODER["vocab_size"], "--hard_vocab_limit=false",
                     "--pad_id=0", "--eos_id=1", "--unk_id=2", "--bos_id=-1"],
                    os.path.join(directory, "spiece.model"))


def add_mapping(t, prefix):
    """MindMerger's and LayAlign's mapping: linear, ReLU, linear; and the learned boundary behind it."""
    d, hidden = ENCODER["d_model"], LLM["hidden_size"]
    t.linear(prefix + "mlp.linear1.weight", 2 * d, d)
    t.normal(prefix + "mlp.linear1.bias", [2 * d], 0.1)
    t.linear(prefix + "mlp.linear2.weight", hidden, 2 * d)
    t.normal(prefix + "mlp.linear2.bias", [hidden], 0.1)
    t.normal(prefix + "end_boundary", [1, 1, hidden], 1.0)


def make_bridges(directory):
    d, hidden = ENCODER["d_model"], LLM["hidden_size"]
    t = Tensors(SEED + 3)
    add_mapping(t, "")
    t.write(os.path.join(directory, "mindmerger", "model.safetensors"))

    t = Tensors(SEED + 4)
    t.linear("lb.alignment.linear.weight", hidden, d)
    t.normal("lb.alignment.linear.bias", [hidden], 0.1)
    t.normal("lb.alignment.enc_eos", [hidden], 1.0)
    t.write(os.path.join(directory, "langbridge", "model.safetensors"))
    write_json(os.path.join(directory, "langbridge", "config.json"),
               {"alignments": "linear", "architectures": ["LangBridgeModel"], "dim_enc": d, "dim_lm": hidden,
                "torch_dtype": "bfloat16"})

    t = Tensors(SEED + 5)
    layers, states = LLM["num_hidden_layers"], ENCODER["num_layers"]
    add_mapping(t, "mapping.")
    t.linear("encoder_aligner.projector.fc1.weight", 2 * layers, states)
    t.normal("encoder_aligner.projector.fc1.bias", [2 * layers], 0.1)
    t.linear("encoder_aligner.projector.fc2.weight", hidden, d)
    t.normal("encoder_aligner.projector.fc2.bias", [hidden], 0.1)
    for n in range(layers):
        t.normal("model_llm.model.model.layers.%d.self_attn.adaption_gate" % n, [1], 0.5)
    t.write(os.path.join(directory, "layalign", "model.safetensors"))


def make_systems(directory):
    prompt_sets = {"plain": "metamath", "langbridge": "langbridge", "mindmerger": "mindmerger",
                   "layalign": "mindmerger"}
    for method, prompt_set in prompt_sets.items():
        system = {"name": method, "method": method, "llm": {"path": "llm"}}
        if method != "plain":
            system["encoder"] = {"path": "encoder"}
            file = "" if method == "langbridge" else "/model.safetensors"
            system["bridge"] = {"path": "bridges/" + method + file}
        system["prompt_set"] = prompt_set
        system["max_new_tokens"] = 32
        write_json(os.path.join(directory, method + ".json"), system)


def main():
    make_llm(os.path.join(HERE, "llm"))
    make_encoder(os.path.join(HERE, "encoder"))
    make_bridges(os.path.join(HERE, "bridges"))
    make_systems(HERE)


if __name__ == "__main__":
    main()
