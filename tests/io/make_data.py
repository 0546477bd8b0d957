#!/usr/bin/env python3
"""Makes tests/io/data with the reference implementation of safetensors (PyPI `safetensors` 0.5.3).

    python3 make_data.py

Element i of a tensor is ((7 i + 13 len(name)) mod 251 - 125) / 64: exact in every dtype, and the
tests can work it out from the name alone.
"""
import json
import pathlib
import shutil
import struct

import safetensors

DATA = pathlib.Path(__file__).parent / "data"
HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, EXPERTS, VOCAB = 8, 12, 2, 4, 2, 6, 4, 20


def values(name, count):
    return [((7 * i + 13 * len(name)) % 251 - 125) / 64 for i in range(count)]


def encode(numbers, dtype):
    if dtype == "float16":
        return struct.pack(f"<{len(numbers)}e", *numbers)
    single = struct.pack(f"<{len(numbers)}f", *numbers)
    if dtype == "float32":
        return single
    return b"".join(single[i + 2:i + 4] for i in range(0, len(single), 4))  # bfloat16, exact here


def tensor(name, shape, dtype):
    count = 1
    for size in shape:
        count *= size
    return {"dtype": dtype, "shape": shape, "data": encode(values(name, count), dtype)}


def common_shapes():
    yield "model.embed_tokens.weight", [VOCAB, HIDDEN]
    yield "model.norm.weight", [HIDDEN]
    yield "lm_head.weight", [VOCAB, HIDDEN]
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", [HIDDEN]
        yield prefix + "post_attention_layernorm.weight", [HIDDEN]
        yield prefix + "self_attn.q_proj.weight", [HEADS * HEAD_DIM, HIDDEN]
        yield prefix + "self_attn.k_proj.weight", [KV_HEADS * HEAD_DIM, HIDDEN]
        yield prefix + "self_attn.v_proj.weight", [KV_HEADS * HEAD_DIM, HIDDEN]
        yield prefix + "self_attn.o_proj.weight", [HIDDEN, HEADS * HEAD_DIM]


def per_expert_shapes():
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}.block_sparse_moe."
        yield prefix + "gate.weight", [EXPERTS, HIDDEN]
        for expert in range(EXPERTS):
            yield prefix + f"experts.{expert}.w1.weight", [FFN, HIDDEN]
            yield prefix + f"experts.{expert}.w2.weight", [HIDDEN, FFN]
            yield prefix + f"experts.{expert}.w3.weight", [FFN, HIDDEN]


def fused_shapes():
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}.mlp."
        yield prefix + "gate.weight", [EXPERTS, HIDDEN]
        yield prefix + "experts.gate_up_proj", [EXPERTS, 2 * FFN, HIDDEN]
        yield prefix + "experts.down_proj", [EXPERTS, HIDDEN, FFN]


def config(rope):
    return {
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": HIDDEN,
        "intermediate_size": FFN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "num_local_experts": EXPERTS,
        "num_experts_per_tok": 2, "vocab_size": VOCAB, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-05, "hidden_act": "silu", "sliding_window": None, **rope,
    }


def write_json(path, content):
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def main():
    shutil.rmtree(DATA, ignore_errors=True)

    # Names of transformers 4, one file, every dtype.
    whole = DATA / "per_expert"
    whole.mkdir(parents=True)
    write_json(whole / "config.json", config({"rope_theta": 1e6, "torch_dtype": "bfloat16"}))
    write_json(whole / "generation_config.json",
               {"bos_token_id": 1, "eos_token_id": [2, 7], "do_sample": True, "temperature": 0.6})
    dtypes = ["float32", "float16", "bfloat16"]
    shapes = [*common_shapes(), *per_expert_shapes()]
    tensors = {name: tensor(name, shape, dtypes[i % 3]) for i, (name, shape) in enumerate(shapes)}
    safetensors.serialize_file(tensors, whole / "model.safetensors", {"format": "pt"})

    # Names of transformers 5 in memory, three shards.
    fused = DATA / "fused"
    fused.mkdir()
    write_json(fused / "config.json",
               config({"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"},
                       "dtype": "bfloat16"}))
    shards = [{}, {}, {}]
    weight_map = {}
    for i, (name, shape) in enumerate([*common_shapes(), *fused_shapes()]):
        shards[i % 3][name] = tensor(name, shape, "bfloat16")
        weight_map[name] = f"model-{i % 3 + 1:05d}-of-00003.safetensors"
    for i, shard in enumerate(shards):
        safetensors.serialize_file(shard, fused / f"model-{i + 1:05d}-of-00003.safetensors",
                                   {"format": "pt"})
    total = sum(len(t["data"]) for shard in shards for t in shard.values())
    write_json(fused / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": weight_map})

    # Every dtype that the installed package can write, an empty tensor and a scalar.
    others = {name: {"dtype": name, "shape": [2, 3], "data": bytes(6 * size)}
              for name, size in [("bool", 1), ("uint8", 1), ("int8", 1), ("int16", 2),
                                 ("uint16", 2), ("int32", 4), ("uint32", 4), ("int64", 8),
                                 ("uint64", 8), ("float64", 8), ("float8_e4m3fn", 1),
                                 ("float8_e5m2", 1)]}
    others["scalar"] = {"dtype": "float32", "shape": [], "data": struct.pack("<f", 1.5)}
    others["empty"] = {"dtype": "float32", "shape": [3, 0], "data": b""}
    safetensors.serialize_file(others, DATA / "dtypes.safetensors", {"made by": "make_data.py"})


if __name__ == "__main__":
    main()
