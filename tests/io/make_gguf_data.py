#!/usr/bin/env python3
"""Makes tests/io/data/gguf and tests/fuzz/corpus/gguf with the package gguf 0.19.0 (and numpy 2.4.6).

    python3 make_gguf_data.py

A small model in the forms that GGUF files have had. Element i of a tensor that llama.cpp calls NAME, counted
over all experts, is ((7 i + 13 len(NAME)) mod 251 - 125) / 64 where it is F32, F16 or BF16; the tests can work
it out. The other files hold the same in Q8_0.
"""
import pathlib
import shutil

import gguf
import numpy as np

HERE = pathlib.Path(__file__).parent
DATA = HERE / "data" / "gguf"
CORPUS = HERE.parent / "fuzz" / "corpus" / "gguf"
HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, EXPERTS, TOP_K, VOCAB = 32, 64, 1, 4, 2, 8, 3, 2, 270
SPACE = "\u2581"


def values(name, *shape):
    i = np.arange(np.prod(shape), dtype=np.int64)
    return (((7 * i + 13 * len(name)) % 251 - 125) / 64).astype(np.float32).reshape(shape)


def tensors(tied=False):
    yield "token_embd.weight", values("token_embd.weight", VOCAB, HIDDEN)
    if not tied:
        yield "output.weight", values("output.weight", VOCAB, HIDDEN)
    yield "output_norm.weight", values("output_norm.weight", HIDDEN)
    for layer in range(LAYERS):
        for stem, *shape in [("attn_norm", HIDDEN), ("ffn_norm", HIDDEN),
                             ("attn_q", HEADS * HEAD_DIM, HIDDEN), ("attn_k", KV_HEADS * HEAD_DIM, HIDDEN),
                             ("attn_v", KV_HEADS * HEAD_DIM, HIDDEN),
                             ("attn_output", HIDDEN, HEADS * HEAD_DIM), ("ffn_gate_inp", EXPERTS, HIDDEN),
                             ("ffn_gate_exps", EXPERTS, FFN, HIDDEN), ("ffn_up_exps", EXPERTS, FFN, HIDDEN),
                             ("ffn_down_exps", EXPERTS, HIDDEN, FFN)]:
            name = f"blk.{layer}.{stem}.weight"
            yield name, values(name, *shape)


def per_expert(all_tensors):
    """As files had it before April 2024."""
    for name, data in all_tensors:
        if "_exps" not in name:
            yield name, data
            continue
        for expert in range(EXPERTS):
            yield name.replace("_exps", "").replace(".weight", f".{expert}.weight"), data[expert]


def fused(all_tensors):
    named = dict(all_tensors)
    for layer in range(LAYERS):
        prefix = f"blk.{layer}."
        qkv = [named.pop(f"{prefix}attn_{part}.weight") for part in "qkv"]
        named[prefix + "attn_qkv.weight"] = np.concatenate(qkv)
        gate_up = [named.pop(f"{prefix}ffn_{part}_exps.weight") for part in ("gate", "up")]
        named[prefix + "ffn_gate_up_exps.weight"] = np.concatenate(gate_up, axis=1)
    return named.items()


def add_metadata(writer, vocabulary=True):
    writer.add_name("small")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e6)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(TOP_K)
    if not vocabulary:
        writer.add_vocab_size(VOCAB)
        return
    pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)]
    pieces += [(f"<0x{byte:02X}>", 0, 6) for byte in range(256)]
    pieces += [(SPACE, -1e9, 1), ("a", -5, 1), ("b", -6, 1), (SPACE + "a", -1, 1), ("ab", -2, 1),
               ("two words", -1000, 4), ("[INST]", -1000, 3), ("[/INST]", -1000, 3)]
    pieces += [(f"[PAD{i}]", -10000, 5) for i in range(len(pieces), VOCAB)]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _, _ in pieces])
    writer.add_token_scores([float(score) for _, score, _ in pieces])
    writer.add_token_types([kind for _, _, kind in pieces])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_chat_template("{{ messages }}")


def add_tensor(writer, name, data, dtype):
    plain = data.ndim == 1 or "ffn_gate_inp" in name
    if dtype == "F32" or plain:
        writer.add_tensor(name, data)
        return
    kind = gguf.GGMLQuantizationType[dtype]
    writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)


def write(path, all_tensors, dtype="Q8_0", vocabulary=True, **options):
    writer = gguf.GGUFWriter(path, "llama", **options)
    add_metadata(writer, vocabulary)
    for name, data in all_tensors:
        add_tensor(writer, name, data, dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    for folder in DATA, CORPUS:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    write(DATA / "merged.gguf", tensors(), "F32")
    write(DATA / "bf16.gguf", tensors(), "BF16", vocabulary=False)
    write(DATA / "per_expert.gguf", per_expert(tensors()))
    write(DATA / "fused.gguf", fused(tensors()))
    write(DATA / "tied.gguf", tensors(tied=True))
    write(DATA / "split.gguf", tensors(), split_max_tensors=5)

    for name in "tied", "per_expert":
        whole = (DATA / f"{name}.gguf").read_bytes()
        (CORPUS / name).write_bytes(whole)
    whole = (DATA / "tied.gguf").read_bytes()
    for length in 3, 7, 23, 100, 700, 3000, len(whole) - 1:
        (CORPUS / f"cut_{length}").write_bytes(whole[:length])
    writer = gguf.GGUFWriter(CORPUS / "empty", "llama")
    writer.add_custom_alignment(64)
    writer.add_array("array", [[1, 2][i] for i in range(2)])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


main()
