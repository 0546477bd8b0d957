#!/usr/bin/env python3
"""Reads native files as docs/model_files.md describes them, without this library: with the packages
safetensors, xxhash and gguf.

    python3 check_native.py MIXTRAL_COMMAND MODEL_DIRECTORY...

Packs each directory, a model in BF16, with `mixtral convert`, then compares every tensor, file and checksum.
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import gguf
import numpy as np
import xxhash
from safetensors import safe_open

TILE_ROWS = 32
# type: bytes of a block, and the fields of its tiles: offset in the block, bytes of a unit, units
FIELDS = {
    "bf16": (4, [(0, 4, 1)]),
    "q8_0": (34, [(2, 4, 8), (0, 2, 1)]),
    "q4_0": (18, [(2, 4, 4), (0, 2, 1)]),
    "q4_1": (20, [(4, 4, 4), (0, 2, 1), (2, 2, 1)]),
    "q5_0": (22, [(6, 4, 4), (2, 4, 1), (0, 2, 1)]),
    "q5_1": (24, [(8, 4, 4), (4, 4, 1), (0, 2, 1), (2, 2, 1)]),
    "q2_k": (84, [(16, 4, 16), (0, 4, 4), (80, 2, 1), (82, 2, 1)]),
    "q3_k": (110, [(32, 4, 16), (0, 4, 8), (96, 4, 3), (108, 2, 1)]),
    "q4_k": (144, [(16, 4, 32), (4, 4, 3), (0, 2, 1), (2, 2, 1)]),
    "q5_k": (176, [(48, 4, 32), (16, 4, 8), (4, 4, 3), (0, 2, 1), (2, 2, 1)]),
    "q6_k": (210, [(0, 4, 32), (128, 4, 16), (192, 4, 4), (208, 2, 1)]),
    "iq4_nl": (18, [(2, 4, 4), (0, 2, 1)]),
    "iq4_xs": (136, [(8, 4, 32), (4, 4, 1), (2, 2, 1), (0, 2, 1)]),
    "mxfp4": (17, [(1, 4, 4), (0, 1, 1)]),
    "nvfp4": (36, [(4, 4, 8), (0, 4, 1)]),
    "tq1_0": (54, [(0, 4, 12), (48, 4, 1), (52, 2, 1)]),
    "tq2_0": (66, [(0, 4, 16), (64, 2, 1)]),
}
COARSE_BITS = {"nvfp4": 3, "tq1_0": 1, "tq2_0": 1}
NAMES = {"attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "attention_query": "self_attn.q_proj", "attention_key": "self_attn.k_proj",
         "attention_value": "self_attn.v_proj", "attention_output": "self_attn.o_proj",
         "router": "block_sparse_moe.gate", "embedding": "model.embed_tokens",
         "final_norm": "model.norm", "lm_head": "lm_head"}
EXPERT_NAMES = {"expert_gate": "w1", "expert_up": "w3", "expert_down": "w2"}


def hf_name(name):
    if not name.startswith("layers."):
        return NAMES[name] + ".weight"
    _, layer, role, *expert = name.split(".")
    if expert:
        return (f"model.layers.{layer}.block_sparse_moe.experts.{expert[0]}."
                f"{EXPERT_NAMES[role]}.weight")
    return f"model.layers.{layer}.{NAMES[role]}.weight"


def untile(data, dtype, n_rows, row_bytes):
    """The blocks of a tiled matrix in the order of its rows: [n_rows, row_bytes]."""
    size, fields = FIELDS[dtype]
    tiles = -(-n_rows // TILE_ROWS)
    blocks = row_bytes // size
    data = data[:tiles * TILE_ROWS * row_bytes].reshape(tiles, blocks, TILE_ROWS * size)
    out = np.zeros((tiles, TILE_ROWS, blocks, size), np.uint8)
    at = 0
    for offset, unit, count in fields:
        for index in range(count):
            part = data[:, :, at:at + TILE_ROWS * unit].reshape(tiles, blocks, TILE_ROWS, unit)
            begin = offset + index * unit
            out[:, :, :, begin:begin + unit] = part.transpose(0, 2, 1, 3)
            at += TILE_ROWS * unit
    out = out.reshape(tiles * TILE_ROWS, row_bytes)
    assert not out[n_rows:].any(), "the rows that fill the last tile are zeros"
    return out[:n_rows]


def read_weights(path):
    """Name -> (type, values); checks places and padding on the way."""
    header_length, = struct.unpack("<Q", path.read_bytes()[:8])
    header = json.loads(path.read_bytes()[8:8 + header_length])
    weights = {}
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        assert metadata["format"] == "mixtral" and metadata["format_version"] == "1"
        for name in file.keys():
            if name == "checksums" or name.startswith("file/"):
                continue
            dtype, shape, layout = metadata[name].split(" ")
            n_rows, cols = map(int, shape.split("x"))
            data = file.get_tensor(name)
            begin = 8 + header_length + header[name]["data_offsets"][0]
            assert data.dtype == np.uint8 and data.size % 4096 == 0 and begin % 4096 == 0, name
            quantisation = gguf.GGMLQuantizationType[dtype.upper()]
            elements, size = gguf.GGML_QUANT_SIZES[quantisation]
            row_bytes = cols // elements * size
            if layout == "tiled":
                used = -(-n_rows // TILE_ROWS) * TILE_ROWS * row_bytes
                rows = untile(data, dtype, n_rows, row_bytes)
            else:
                used = n_rows * row_bytes
                rows = data[:used].reshape(n_rows, row_bytes)
            assert data.size == -(-used // 4096) * 4096 and not data[used:].any(), name
            weights[name] = dtype, gguf.quants.dequantize(rows, quantisation)
    return weights


def check_files(path, directory):
    with safe_open(path, framework="numpy") as file:
        found = {name[5:] for name in file.keys() if name.startswith("file/")}
        expected = {"config.json", "generation_config.json", "tokenizer.model", "tokenizer.json",
                    "tokenizer_config.json", "special_tokens_map.json"}
        assert found == {name for name in expected if (directory / name).exists()}, found
        for name in found:
            assert file.get_tensor("file/" + name).tobytes() == (directory / name).read_bytes()


def check_checksums(path):
    data = path.read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:begin])
    del header["__metadata__"]
    spans = sorted(tuple(entry["data_offsets"]) for entry in header.values())
    *parts, (first, last) = spans
    assert begin + last == len(data)
    stated = struct.unpack(f"<{(last - first) // 8}Q", data[begin + first:])
    computed = [xxhash.xxh3_64_intdigest(data[:begin])]
    computed += [xxhash.xxh3_64_intdigest(data[begin + b:begin + e]) for b, e in parts]
    computed.append(xxhash.xxh3_64_intdigest(struct.pack(f"<{len(computed)}Q", *computed)))
    assert list(stated) == computed


def source_weights(directory):
    """Name -> values, by a reader of BF16 of our own: NumPy has no such type."""
    data = (directory / "model.safetensors").read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    weights = {}
    for name, entry in header.items():
        assert entry["dtype"] == "BF16"
        first, last = entry["data_offsets"]
        bits = np.frombuffer(data[begin + first:begin + last], np.uint16).astype(np.uint32) << 16
        weights[name] = bits.view(np.float32).reshape(entry["shape"])
    return weights


def check(command, directory, to):
    expected = source_weights(directory)
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "model.mixtral"
        subprocess.run([command, "convert", directory, path, "--to", to], check=True,
                       stdout=subprocess.DEVNULL)
        weights = read_weights(path)
        assert {hf_name(name) for name in weights} == set(expected)
        for name, (dtype, values) in weights.items():
            exact = np.atleast_2d(expected[hf_name(name)])
            always_f32 = name.endswith("norm") or name.endswith("router")
            assert dtype == ("f32" if always_f32 else to), name
            assert values.shape == exact.shape, name
            if dtype in ["f32", "bf16"]:
                assert (values == exact).all(), name
                continue
            bits = COARSE_BITS.get(dtype) or int(dtype.lstrip("imxfpq")[0])
            error = np.sqrt(np.mean((values - exact) ** 2) / np.mean(exact ** 2))
            assert error < 2 ** (1 - bits), f"{name}: {error}"
        check_files(path, directory)
        check_checksums(path)


def main():
    command, *directories = sys.argv[1:]
    for directory in directories:
        directory = pathlib.Path(directory)
        config = json.loads((directory / "config.json").read_text())
        widths = [config["hidden_size"], config["intermediate_size"],
                  config["num_attention_heads"] * config.get("head_dim", 0)]
        for to in ["f32", *FIELDS]:
            elements, _ = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[to.upper()]]
            if all(width % elements == 0 for width in widths):
                check(command, directory, to)


if __name__ == "__main__":
    main()
