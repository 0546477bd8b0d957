#!/usr/bin/env python3
"""Reads native files as docs/model_files.md describes them, with safetensors, xxhash and NumPy alone.

    python3 check_native.py MIXTRAL_COMMAND MODEL_DIRECTORY...

Packs each directory, a model in BF16, with `mixtral convert`, then compares every tensor, file and checksum.
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
import xxhash
from safetensors import safe_open

TILE_ROWS = 32
# type: elements and bytes of a block, and its fields as tiles have them: offset, unit, count
FORMATS = {"q8_0": (32, 34, [(2, 4, 8), (0, 2, 1)]), "bf16": (2, 4, [(0, 4, 1)]),
           "f32": (1, 4, None), "f16": (1, 2, None)}
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


def untile(data, dtype, rows, cols):
    """The blocks of a tiled matrix in the order of its rows: [rows, bytes of a row]."""
    elements, size, fields = FORMATS[dtype]
    tiles = -(-rows // TILE_ROWS)
    blocks = cols // elements
    assert data.size >= tiles * TILE_ROWS * blocks * size
    data = data[:tiles * TILE_ROWS * blocks * size].reshape(tiles, blocks, TILE_ROWS * size)
    out = np.zeros((tiles, TILE_ROWS, blocks, size), np.uint8)
    at = 0
    for offset, unit, count in fields:
        for index in range(count):
            part = data[:, :, at:at + TILE_ROWS * unit].reshape(tiles, blocks, TILE_ROWS, unit)
            begin = offset + index * unit
            out[:, :, :, begin:begin + unit] = part.transpose(0, 2, 1, 3)
            at += TILE_ROWS * unit
    out = out.reshape(tiles * TILE_ROWS, blocks * size)
    assert not out[rows:].any(), "the rows that fill the last tile are zeros"
    return out[:rows]


def widen(rows, dtype, n_rows, cols):
    rows = np.ascontiguousarray(rows)
    if dtype == "f32":
        return rows.view(np.float32)
    if dtype == "f16":
        return rows.view(np.float16).astype(np.float32)
    if dtype == "bf16":
        return (rows.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    blocks = rows.reshape(n_rows, cols // 32, 34)
    scale = np.ascontiguousarray(blocks[:, :, :2]).view(np.float16).astype(np.float32)
    return (scale * blocks[:, :, 2:].view(np.int8)).reshape(n_rows, cols)


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
            if layout == "tiled":
                rows = untile(data, dtype, n_rows, cols)
            else:
                elements, size, _ = FORMATS[dtype]
                used = n_rows * (cols // elements) * size
                assert not data[used:].any()
                rows = data[:used].reshape(n_rows, -1)
            weights[name] = dtype, widen(rows, dtype, n_rows, cols).reshape(n_rows, cols)
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
        subprocess.run([command, "convert", directory, path, "--to", to], check=True)
        weights = read_weights(path)
        assert {hf_name(name) for name in weights} == set(expected)
        for name, (dtype, values) in weights.items():
            exact = np.atleast_2d(expected[hf_name(name)])
            always_f32 = name.endswith("norm") or name.endswith("router")
            assert dtype == ("f32" if always_f32 else to), name
            assert values.shape == exact.shape, name
            if dtype == "q8_0":
                blocks = exact.reshape(-1, 32)
                step = np.abs(blocks).max(axis=1, keepdims=True) / 127
                error = np.abs(values.reshape(-1, 32) - blocks)
                assert (error <= step * (0.5 + 128 / 2048) + 1e-9).all(), name  # and the scale in f16
            else:
                assert (values == exact).all(), name
        check_files(path, directory)
        check_checksums(path)


def main():
    command, *directories = sys.argv[1:]
    for directory in directories:
        for to in ["bf16", "q8_0", "f32"]:
            check(command, pathlib.Path(directory), to)


if __name__ == "__main__":
    main()
