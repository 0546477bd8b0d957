#!/usr/bin/env python3
"""Holds GGUF files against the package gguf, in both directions.

    python3 check_gguf.py MIXTRAL_COMMAND MODEL_DIRECTORY

What `mixtral convert` writes is read by the package: types, values, metadata and vocabulary. What the package
writes, in today's form and in that of early 2024, is run by `mixtral logits`, which must give what
the directory gives. The model is one in BF16, with a tokenizer.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer

sys.path.append(str(pathlib.Path(__file__).parents[2] / "benchmarks"))
from comparison import gguf_file

IDS = "1,300,1500,42,7,900,2,1,88"

def as_float(entry):
    values = entry.load()
    return values if entry.dtype == gguf_file.F32 else (values.astype(np.uint32) << 16).view(np.float32)


class Model:
    def __init__(self, command, directory):
        self.command = command
        self.directory = directory
        self.config = gguf_file.read_config(directory)

    def run(self, *arguments):
        return subprocess.run([self.command, *map(str, arguments)], check=True, capture_output=True).stdout

    def tensors(self):
        """Name in GGUF -> values."""
        return {entry.name: as_float(entry) for entry in gguf_file.entries(self.directory)}

    def logits(self, path, scratch):
        out = scratch / "logits.npy"
        self.run("logits", path, "--ids", IDS, "--precision", "f32", "--output", out)
        return np.load(out)


def read_tensors(path):
    reader = gguf.GGUFReader(path)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        yield tensor.name, tensor.tensor_type.name, values.reshape(tensor.shape[::-1])


def stem_of(name):
    return name.split(".")[2 if name.startswith("blk.") else 0]


def check_written(model, scratch, to, default, others=None):
    """The matrices are in the type `default`, those whose stem is in `others` in that."""
    path = scratch / f"{to}.gguf"
    model.run("convert", model.directory, path, "--to", to)
    expected = model.tensors()
    found = set()
    for name, kind, values in read_tensors(path):
        exact = expected[name]
        found.add(name)
        plain = exact.ndim == 1 or "ffn_gate_inp" in name
        wanted = "F32" if plain else (others or {}).get(stem_of(name), default)
        assert kind == wanted, f"{to}: {name} is {kind}"
        assert values.shape == exact.shape, name
        if kind in ["F32", "BF16"]:
            assert (values == exact).all(), name
        else:
            bits = {"F16": 10}.get(kind) or int(kind.lstrip("IQ")[0])
            error = np.sqrt(np.mean((values - exact) ** 2) / np.mean(exact ** 2))
            assert error < 2 ** (1 - bits), f"{to}: {name}: {error}"
    assert found == set(expected), found ^ set(expected)
    return path


def field(reader, key):
    return reader.fields[key].contents()


def size_label(reader):
    """As the package's writer counts."""
    shared, experts = 0, 0
    for tensor in reader.tensors:
        size = int(np.prod(tensor.shape))
        if "_exps." in tensor.name:
            experts += size // int(tensor.shape[2])
        else:
            shared += size
    count = field(reader, "llama.expert_count")
    return gguf.size_label(shared + count * experts, shared, experts, count)


def check_metadata(model, path):
    reader = gguf.GGUFReader(path)
    assert field(reader, "general.size_label") == size_label(reader), field(reader, "general.size_label")
    config = model.config
    for key, value in {
            "general.architecture": "llama", "llama.block_count": config["num_hidden_layers"],
            "llama.context_length": config["max_position_embeddings"],
            "llama.embedding_length": config["hidden_size"],
            "llama.feed_forward_length": config["intermediate_size"],
            "llama.attention.head_count": config["num_attention_heads"],
            "llama.attention.head_count_kv": config["num_key_value_heads"],
            "llama.expert_count": config["num_local_experts"],
            "llama.expert_used_count": config["num_experts_per_tok"],
            "llama.rope.freq_base": config["rope_theta"], "llama.rope.dimension_count": config["head_dim"],
            "llama.vocab_size": config["vocab_size"], "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
            "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": False}.items():
        assert field(reader, key) == value, f"{key}: {field(reader, key)}"
    pieces = SentencePieceTokenizer(model.directory / "tokenizer.model")._model
    tokens = field(reader, "tokenizer.ggml.tokens")
    scores = field(reader, "tokenizer.ggml.scores")
    types = field(reader, "tokenizer.ggml.token_type")
    assert tokens == [pieces.id_to_piece(i) for i in range(pieces.vocab_size())]
    assert scores == [pieces.get_score(i) for i in range(pieces.vocab_size())]
    for i, kind in enumerate(types):
        assert kind == (2 if pieces.is_unknown(i) else 3 if pieces.is_control(i)
                        else 6 if pieces.is_byte(i) else 1), tokens[i]
    template = json.loads((model.directory / "tokenizer_config.json").read_text())["chat_template"]
    assert field(reader, "tokenizer.chat_template") == template


def check_generation(model, scratch):
    """The keys of ends and of sampling, as the package calls them."""
    copy = scratch / "sampled"
    copy.mkdir()
    for file in model.directory.iterdir():
        (copy / file.name).symlink_to(file.resolve())
    (copy / "generation_config.json").unlink()
    (copy / "generation_config.json").write_text(json.dumps({
        "eos_token_id": [2, 7, 9], "do_sample": True, "temperature": 0.5, "top_k": 40, "top_p": 0.75,
        "min_p": 0.25, "repetition_penalty": 1.5}))
    path = scratch / "sampled.gguf"
    model.run("convert", copy, path, "--to", "bf16")
    reader = gguf.GGUFReader(path)
    keys, general = gguf.Keys.Tokenizer, gguf.Keys.General
    for key, value in {keys.EOS_ID: 2, keys.EOT_ID: 7, keys.EOM_ID: 9, general.SAMPLING_TEMP: 0.5,
                       general.SAMPLING_TOP_K: 40, general.SAMPLING_TOP_P: 0.75, general.SAMPLING_MIN_P: 0.25,
                       general.SAMPLING_PENALTY_REPEAT: 1.5}.items():
        assert field(reader, key) == value, f"{key}: {field(reader, key)}"


def check_read(model, scratch, expected):
    for expert_by_expert in False, True:
        path = scratch / "package.gguf"
        gguf_file.write_gguf(model.directory, path, expert_by_expert)
        assert (model.logits(path, scratch) == expected).all(), f"expert_by_expert={expert_by_expert}"


def main():
    model = Model(sys.argv[1], pathlib.Path(sys.argv[2]))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        expected = model.logits(model.directory, scratch)
        path = check_written(model, scratch, "bf16", "BF16")
        check_metadata(model, path)
        assert (model.logits(path, scratch) == expected).all()
        for to in "f32", "f16", "q8_0":
            check_written(model, scratch, to, to.upper())
        path = check_written(model, scratch, "q4_k_s", "Q4_K", {"attn_k": "Q8_0", "attn_v": "Q8_0",
                                                                "attn_output": "Q5_K", "output": "Q6_K"})
        again = scratch / "again.gguf"
        model.run("convert", path, again, "--to", "q4_k_s")
        for (name, kind, first), (_, _, second) in zip(read_tensors(path), read_tensors(again)):
            assert (first == second).all(), f"{name} ({kind}) changed"
        check_generation(model, scratch)
        check_read(model, scratch, expected)


if __name__ == "__main__":
    main()
