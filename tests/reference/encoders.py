"""The encoders of train20.py in PyTorch: T5, M2M100 / NLLB and XLM-R, written from the model descriptions alone; and
how a source text becomes their token ids. One sequence at a time, in the precision of the weights.

Each *_states gives hidden[0 … layers] of one sequence, every one [ids, width]: the embeddings, then what leaves each
block, the last of T5 and M2M100 after the final norm.
"""
import math

import torch
import torch.nn.functional as F

BOS, PAD, EOS, UNK = 0, 1, 2, 3  # fairseq's, of M2M100 and XLM-R
T5_EOS = 1
# Where the NLLB tokenizer's list of 202 language codes has those of the toy data: deu_Latn, spa_Latn and so on.
NLLB_LANGUAGES = {"de": 41, "es": 160, "bn": 25, "th": 174, "sw": 167}


def rms(x, weight, eps=1e-6):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def heads(x, n):
    return x.view(x.shape[0], n, -1).transpose(0, 1)


def t5_states(w, c, ids):
    n, n_heads = len(ids), c["num_heads"]
    relative = torch.arange(n)[None] - torch.arange(n)[:, None]
    half, exact = c["relative_attention_num_buckets"] // 2, c["relative_attention_num_buckets"] // 4
    distance = relative.abs()
    far = exact + (torch.log(distance.clamp(min=1).double() / exact) /
                   math.log(c["relative_attention_max_distance"] / exact) * (half - exact)).long()
    bucket = (relative > 0).long() * half + torch.where(distance < exact, distance, far.clamp(max=half - 1))
    table = w["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    bias = table[bucket].permute(2, 0, 1)
    x = w["shared.weight"][ids]
    states = [x]
    for i in range(c["num_layers"]):
        a, f = "encoder.block.%d.layer.0." % i, "encoder.block.%d.layer.1." % i
        y = rms(x, w[a + "layer_norm.weight"])
        q, k, v = (heads(y @ w[a + "SelfAttention.%s.weight" % name].T, n_heads) for name in "qkv")
        mixed = (q @ k.transpose(1, 2) + bias).softmax(-1) @ v
        x = x + mixed.transpose(0, 1).reshape(n, -1) @ w[a + "SelfAttention.o.weight"].T
        y = rms(x, w[f + "layer_norm.weight"])
        gate = F.gelu(y @ w[f + "DenseReluDense.wi_0.weight"].T, approximate="tanh")
        x = x + (gate * (y @ w[f + "DenseReluDense.wi_1.weight"].T)) @ w[f + "DenseReluDense.wo.weight"].T
        states.append(x)
    states[-1] = rms(x, w["encoder.final_layer_norm.weight"])
    return states


def linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])


def norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], eps)


def attention(w, names, x, n_heads):
    """names: of the projections of queries, keys, values and of the output; all have biases."""
    q, k, v = (heads(linear(w, name, x), n_heads) for name in names[:3])
    mixed = (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1) @ v
    return linear(w, names[3], mixed.transpose(0, 1).reshape(x.shape))


def positions(ids):
    """1, 2, … after the pad token's id, over the tokens that are no pad; a pad's position is that id."""
    real = (torch.tensor(ids) != PAD).long()
    return real.cumsum(0) * real + PAD


def sinusoids(at, width):
    """[positions, width]: sines, then cosines, of frequencies 1 … 1/10000; zero at the pad token's position."""
    frequency = 10000.0 ** (-torch.arange(width // 2).double() / (width // 2 - 1))
    angle = at.double()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], -1) * (at != PAD)[:, None]


def m2m100_states(w, c, ids):
    """Pre-norm. nn.Embedding's padding_idx is the pad token: its row is read and learns nothing."""
    width = c["d_model"]
    x = F.embedding(torch.tensor(ids), w["model.shared.weight"], padding_idx=PAD) * math.sqrt(width)
    x = x + sinusoids(positions(ids), width)
    states = [x]
    for i in range(c["encoder_layers"]):
        p = "model.encoder.layers.%d." % i
        names = [p + "self_attn.%s_proj" % name for name in ("q", "k", "v", "out")]
        x = x + attention(w, names, norm(w, p + "self_attn_layer_norm", x, 1e-5), c["encoder_attention_heads"])
        inner = F.relu(linear(w, p + "fc1", norm(w, p + "final_layer_norm", x, 1e-5)))
        x = x + linear(w, p + "fc2", inner)
        states.append(x)
    states[-1] = norm(w, "model.encoder.layer_norm", x, 1e-5)
    return states


def xlm_roberta_states(w, c, ids):
    """Post-norm. padding_idx as above, in the tables of words and of positions."""
    e, eps = "embeddings.", c["layer_norm_eps"]
    x = F.embedding(torch.tensor(ids), w[e + "word_embeddings.weight"], padding_idx=PAD)
    x = x + F.embedding(positions(ids), w[e + "position_embeddings.weight"], padding_idx=PAD)
    x = norm(w, e + "LayerNorm", x + w[e + "token_type_embeddings.weight"][0], eps)
    states = [x]
    for i in range(c["num_hidden_layers"]):
        p = "encoder.layer.%d." % i
        names = [p + "attention.self." + name for name in ("query", "key", "value")] + [p + "attention.output.dense"]
        x = norm(w, p + "attention.output.LayerNorm", x + attention(w, names, x, c["num_attention_heads"]), eps)
        inner = F.gelu(linear(w, p + "intermediate.dense", x))
        x = norm(w, p + "output.LayerNorm", x + linear(w, p + "output.dense", inner), eps)
        states.append(x)
    return states


# Whose row of the pad token learns nothing.
PADDED = {"model.shared.weight", "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"}
STATES = {"mt5": t5_states, "m2m_100": m2m100_states, "xlm-roberta": xlm_roberta_states}


def fairseq_ids(pieces, text):
    """SentencePiece's ids, moved by the one that <pad> takes; the text between <pad>s by itself."""
    ids = []
    for i, part in enumerate(text.split("<pad>")):
        ids += [PAD] * (i > 0) + [UNK if id == pieces.unk_id() else id + 1 for id in pieces.encode(part)]
    return ids


def source_ids(model_type, pieces, item):
    """pieces: the SentencePieceProcessor; item: source and lang of a line of the toy data."""
    if model_type == "m2m_100":
        language = len(pieces) + 1 + NLLB_LANGUAGES[item["lang"]]
        return [language] + fairseq_ids(pieces, item["source"]) + [EOS]
    if model_type == "xlm-roberta":
        return [BOS] + fairseq_ids(pieces, item["source"]) + [EOS]
    return pieces.encode(item["source"]) + [T5_EOS]
