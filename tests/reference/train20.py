#!/usr/bin/env python3
"""Twenty steps of training, computed with PyTorch's autograd and AdamW: the losses in train20.json and how far the
tensors of an unfrozen encoder have moved, which tests/cli/test_train.py compares with what `layeval train` makes.

    python3 tests/reference/train20.py > tests/reference/train20.json

Needs PyTorch and sentencepiece; nothing in the build or the tests runs it. Written from the papers and the model
descriptions alone: LLaMA with grouped queries, LayAlign's aligner and adapter attention, the encoders of encoders.py,
in float64. LLM, bridges and the mT5 encoder are the demo's, the other encoders those random_encoders.py makes. Some
sources of train20_pads.jsonl have pad tokens in them.
"""
import json
import math
import os
import struct
import sys
import tempfile

import sentencepiece
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from reference import random_encoders
from reference.encoders import PAD, PADDED, STATES, heads, rms, source_ids

DEMO = os.path.join(HERE, "..", "..", "data", "demo")
BOS, EOS = 1, 2
FROZEN = {"train": ["bridge"], "lr": 1e-2, "warm_up": 0.1, "clip": 1.0, "betas": (0.8, 0.999), "decay": 0.01}
UNFROZEN = {"train": ["bridge", "llm", "encoder"], "lr": 1e-3, "warm_up": 0.2, "clip": 0.5, "betas": (0.9, 0.98),
            "decay": 0.1}
TOY, PADS = "train20.jsonl", "train20_pads.jsonl"
RUNS = {
    "mt5": {"method": "layalign", "encoder": "mt5", "data": TOY, "batch": 4, "seed": 5, **FROZEN},
    "mt5-unfrozen": {"method": "mindmerger", "encoder": "mt5", "data": TOY, "batch": 5, "seed": 6, **UNFROZEN},
    "m2m_100": {"method": "layalign", "encoder": "m2m_100", "data": PADS, "batch": 4, "seed": 7, **FROZEN},
    "m2m_100-unfrozen": {"method": "layalign", "encoder": "m2m_100", "data": PADS, "batch": 4, "seed": 8, **UNFROZEN},
    "xlm-roberta": {"method": "mindmerger", "encoder": "xlm-roberta", "data": PADS, "batch": 5, "seed": 9, **FROZEN},
    "xlm-roberta-unfrozen": {"method": "layalign", "encoder": "xlm-roberta", "data": PADS, "batch": 5, "seed": 10,
                             **UNFROZEN},
}
STEPS = 20
TYPES = {"BF16": torch.bfloat16, "F32": torch.float32}


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = torch.frombuffer(bytearray(data[begin:end]), dtype=TYPES[entry["dtype"]])
        tensors[name] = raw.reshape(entry["shape"]).double()
    return tensors


def splitmix(state):
    mask = (1 << 64) - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return state, z ^ (z >> 31)


def order_of(seed, epoch, count):
    state = splitmix(((seed << 32) + epoch) % (1 << 64))[1]
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        while True:
            state, r = splitmix(state)
            if r < (1 << 64) // (i + 1) * (i + 1):
                break
        order[i], order[r % (i + 1)] = order[r % (i + 1)], order[i]
    return order


def rotate(x):
    """[heads, rows, size]: halves, positions 0, 1, …"""
    size = x.shape[-1] // 2
    angle = torch.arange(x.shape[1]).double()[:, None] * 10000.0 ** (-torch.arange(size).double() / size)
    a, b = x[..., :size], x[..., size:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def llm_logits(w, c, x, adapter):
    """adapter: per layer None or (gate, key states, value states)."""
    n, n_heads, n_kv = x.shape[0], c["num_attention_heads"], c["num_key_value_heads"]
    mask = torch.full((n, n), float("-inf"), dtype=torch.double).triu(1)
    scale = (c["hidden_size"] // n_heads) ** -0.5
    for i in range(c["num_hidden_layers"]):
        p = "model.layers.%d." % i
        y = rms(x, w[p + "input_layernorm.weight"])
        spread = lambda t: heads(t, n_kv).repeat_interleave(n_heads // n_kv, 0)
        q = rotate(heads(y @ w[p + "self_attn.q_proj.weight"].T, n_heads))
        k = rotate(spread(y @ w[p + "self_attn.k_proj.weight"].T))
        v = spread(y @ w[p + "self_attn.v_proj.weight"].T)
        mixed = (q @ k.transpose(1, 2) * scale + mask).softmax(-1) @ v
        if adapter[i] is not None:
            gate, keys, values = adapter[i]
            k = spread(keys @ w[p + "self_attn.k_proj.weight"].T)
            v = spread(values @ w[p + "self_attn.v_proj.weight"].T)
            mixed = mixed + gate * ((q @ k.transpose(1, 2) * scale).softmax(-1) @ v)
        x = x + mixed.transpose(0, 1).reshape(n, -1) @ w[p + "self_attn.o_proj.weight"].T
        y = rms(x, w[p + "post_attention_layernorm.weight"])
        x = x + (F.silu(y @ w[p + "mlp.gate_proj.weight"].T) *
                 (y @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    return rms(x, w["model.norm.weight"]) @ w["lm_head.weight"].T


def sample_loss(method, bridge, llm, encoder, configs, sample):
    """The sum over the target's tokens, and how many they are."""
    source, prompt, target = sample
    states = STATES[configs["encoder"]["model_type"]](encoder, configs["encoder"], source)
    p = "mapping." if method == "layalign" else ""
    soft = F.relu(states[-1] @ bridge[p + "mlp.linear1.weight"].T + bridge[p + "mlp.linear1.bias"])
    soft = soft @ bridge[p + "mlp.linear2.weight"].T + bridge[p + "mlp.linear2.bias"]
    layers = configs["llm"]["num_hidden_layers"]
    adapter = [None] * layers
    if method == "layalign":
        a = "encoder_aligner.projector."
        fused = F.relu(torch.stack(states[:-1], -1) @ bridge[a + "fc1.weight"].T + bridge[a + "fc1.bias"])
        made = [fused[..., i] @ bridge[a + "fc2.weight"].T + bridge[a + "fc2.bias"] for i in range(2 * layers)]
        adapter = [(bridge["model_llm.model.model.layers.%d.self_attn.adaption_gate" % i], made[2 * i],
                    made[2 * i + 1]) for i in range(layers)]
    table = llm["model.embed_tokens.weight"]
    rows = torch.cat([table[[BOS]], soft, bridge[p + "end_boundary"].reshape(1, -1), table[prompt],
                      table[target[:-1]]])
    logits = llm_logits(llm, configs["llm"], rows, adapter)[-len(target):]
    return F.cross_entropy(logits, torch.tensor(target), reduction="sum"), len(target)


def read_samples(run):
    llm = sentencepiece.SentencePieceProcessor(model_file=os.path.join(DEMO, "llm", "tokenizer.model"))
    encoder = sentencepiece.SentencePieceProcessor(model_file=os.path.join(DEMO, "encoder", "spiece.model"))
    with open(os.path.join(HERE, run["data"]), encoding="utf-8") as file:
        items = [json.loads(line) for line in file]
    return [(source_ids(run["encoder"], encoder, i), llm.encode(i["prompt"]) if i.get("prompt") else [],
             llm.encode(i["target"]) + [EOS]) for i in items]


def encoder_directory(run, scratch):
    if run["encoder"] == "mt5":
        return os.path.join(DEMO, "encoder")
    directory = os.path.join(scratch, run["encoder"])
    if not os.path.exists(directory):
        random_encoders.make(run["encoder"], directory)
    return directory


def rate(run, step):
    warm_up = int(STEPS * run["warm_up"])
    if step < warm_up:
        return run["lr"] * step / warm_up
    return run["lr"] * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (STEPS - warm_up)))


def lengths(moved):
    """Of each tensor's way, and of the pad token's row by itself. Keys' biases are left out: they add the same to all
    scores of a query, so their gradient is zero and what an optimizer makes of its rounding is anything."""
    rows = {name + "[%d]" % PAD: tensor[PAD] for name, tensor in moved.items() if name in PADDED}
    return {name: round(tensor.norm().item(), 9) for name, tensor in {**moved, **rows}.items()
            if not name.endswith(("k_proj.bias", "key.bias"))}


def read_model(directory):
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        return read_safetensors(os.path.join(directory, "model.safetensors")), json.load(file)


def train(run, scratch):
    """The loss of every step, and how far each tensor of the encoder has moved in all."""
    parts, configs, samples = {}, {}, read_samples(run)
    parts["llm"], configs["llm"] = read_model(os.path.join(DEMO, "llm"))
    parts["encoder"], configs["encoder"] = read_model(encoder_directory(run, scratch))
    parts["bridge"] = read_safetensors(os.path.join(DEMO, "bridges", run["method"], "model.safetensors"))
    before = {name: tensor.clone() for name, tensor in parts["encoder"].items()}
    learning = [tensor.requires_grad_() for name in run["train"] for tensor in parts[name].values()]
    optimizer = torch.optim.AdamW(learning, lr=run["lr"], betas=run["betas"], eps=1e-8, weight_decay=run["decay"])
    losses, per_epoch = [], -(-len(samples) // run["batch"])
    for step in range(STEPS):
        order = order_of(run["seed"], step // per_epoch, len(samples))
        dealt = order_of(run["seed"], -1, len(samples))  # what an epoch's order is an order of
        first = step % per_epoch * run["batch"]
        batch = [samples[dealt[i]] for i in order[first:first + run["batch"]]]
        results = [sample_loss(run["method"], parts["bridge"], parts["llm"], parts["encoder"], configs, s)
                   for s in batch]
        loss = sum(r[0] for r in results) / sum(r[1] for r in results)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, run["clip"])
        for group in optimizer.param_groups:
            group["lr"] = rate(run, step)
        optimizer.step()
        losses.append(round(loss.item(), 9))
    return losses, lengths({name: tensor.detach() - before[name] for name, tensor in parts["encoder"].items()})


def main():
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, run in RUNS.items():
            losses, moved = train(run, scratch)
            results[name] = {**run, "losses": losses}
            if "encoder" in run["train"]:
                results[name]["moved"] = moved
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
