"""Small encoders with random weights of the families the demo systems do not have, M2M100 / NLLB and XLM-R, which
train20.py and tests/cli/test_train.py both read.

They have the width and the number of layers the demo's bridges were made for and the demo encoder's SentencePiece model
as vocabulary. Every number is uniform and from random.Random.random() alone, which Python keeps the same in every
version; biases, norms and the rows of the pad token are random like the rest, so that none of them can be left out
unseen. Python's standard library only.
"""
import json
import pathlib
import random
import shutil

from cli.weight_files import f32, safetensors

PIECES = 2437  # of data/demo/encoder/spiece.model
DEMO = pathlib.Path(__file__).resolve().parents[2] / "data" / "demo"
CONFIGS = {
    # transformers' ids: <s> <pad> </s> <unk>, the pieces after the model's first three, 202 languages, <mask>
    "m2m_100": {"activation_function": "relu", "architectures": ["M2M100ForConditionalGeneration"], "bos_token_id": 0,
                "d_model": 48, "encoder_attention_heads": 4, "encoder_ffn_dim": 96, "encoder_layers": 3,
                "eos_token_id": 2, "max_position_embeddings": 128, "model_type": "m2m_100", "num_hidden_layers": 3,
                "pad_token_id": 1, "scale_embedding": True, "torch_dtype": "float32",
                "vocab_size": PIECES + 1 + 202 + 1},
    "xlm-roberta": {"architectures": ["XLMRobertaModel"], "bos_token_id": 0, "eos_token_id": 2, "hidden_act": "gelu",
                    "hidden_size": 48, "intermediate_size": 96, "layer_norm_eps": 1e-05, "max_position_embeddings": 130,
                    "model_type": "xlm-roberta", "num_attention_heads": 4, "num_hidden_layers": 3, "pad_token_id": 1,
                    "position_embedding_type": "absolute", "torch_dtype": "float32", "type_vocab_size": 1,
                    "vocab_size": PIECES + 1 + 1},
}
SEEDS = {"m2m_100": 20, "xlm-roberta": 21}


class Tensors(dict):
    """{name: (type, shape, bytes)}"""

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)

    def uniform(self, name, shape, width, mean=0.0):
        """Between mean - width and mean + width."""
        count = 1
        for size in shape:
            count *= size
        self[name] = ("F32", shape, f32(*(mean + width * (2 * self.random.random() - 1) for _ in range(count))))

    def linear(self, name, rows, columns):
        self.uniform(name + ".weight", [rows, columns], (3 / columns) ** 0.5)
        self.uniform(name + ".bias", [rows], 0.3)

    def norm(self, name, size):
        self.uniform(name + ".weight", [size], 0.3, mean=1.0)
        self.uniform(name + ".bias", [size], 0.3)


def m2m100(t, c):
    d, inner = c["d_model"], c["encoder_ffn_dim"]
    t.uniform("model.shared.weight", [c["vocab_size"], d], (3 / d) ** 0.5)
    for i in range(c["encoder_layers"]):
        layer = "model.encoder.layers.%d." % i
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            t.linear(layer + "self_attn." + name, d, d)
        t.norm(layer + "self_attn_layer_norm", d)
        t.linear(layer + "fc1", inner, d)
        t.linear(layer + "fc2", d, inner)
        t.norm(layer + "final_layer_norm", d)
    t.norm("model.encoder.layer_norm", d)


def xlm_roberta(t, c):
    d, inner = c["hidden_size"], c["intermediate_size"]
    t.uniform("embeddings.word_embeddings.weight", [c["vocab_size"], d], 1.0)
    t.uniform("embeddings.position_embeddings.weight", [c["max_position_embeddings"], d], 0.5)
    t.uniform("embeddings.token_type_embeddings.weight", [1, d], 0.5)
    t.norm("embeddings.LayerNorm", d)
    for i in range(c["num_hidden_layers"]):
        layer = "encoder.layer.%d." % i
        for name in ("query", "key", "value"):
            t.linear(layer + "attention.self." + name, d, d)
        t.linear(layer + "attention.output.dense", d, d)
        t.norm(layer + "attention.output.LayerNorm", d)
        t.linear(layer + "intermediate.dense", inner, d)
        t.linear(layer + "output.dense", d, inner)
        t.norm(layer + "output.LayerNorm", d)


def make(model_type, directory):
    """A model directory as Hugging Face has them; `directory` must not exist."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True)
    tensors = Tensors(SEEDS[model_type])
    {"m2m_100": m2m100, "xlm-roberta": xlm_roberta}[model_type](tensors, CONFIGS[model_type])
    (directory / "model.safetensors").write_bytes(safetensors(tensors))
    (directory / "config.json").write_text(json.dumps(CONFIGS[model_type], indent=1) + "\n")
    shutil.copy(DEMO / "encoder" / "spiece.model", directory / "sentencepiece.bpe.model")
