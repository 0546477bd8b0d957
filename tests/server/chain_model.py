"""A Mixtral checkpoint that says what it is told to: each token of a chain is followed by the next.

Attention and experts give nothing, so what follows a token depends on that token alone: its embedding is
one unit vector, and lm_head has the same vector in the row of the token that follows."""

import json
import struct

CONTROLS = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]",
            "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
EOS = "</s>"


def write(directory, chains):
    """`chains` are lists of pieces; the last one of each ends the text, as does any other token."""
    pieces = list(dict.fromkeys([*CONTROLS, *BYTES, "▁", *(piece for chain in chains for piece in chain)]))
    follower = {piece: after for chain in chains for piece, after in zip(chain, chain[1:])}
    hidden = 32 * (len(follower) // 32 + 1)
    unit = {piece: i + 1 for i, piece in enumerate(follower)}  # the others share number 0

    embedding = [one_hot(hidden, unit.get(piece, 0)) for piece in pieces]
    head = [[0.0] * hidden for _ in pieces]
    head[pieces.index(EOS)][0] = 10.0
    for piece, after in follower.items():
        head[pieces.index(after)][unit[piece]] = 10.0

    directory.mkdir(parents=True)
    write_tokenizer(directory, pieces)
    write_config(directory, hidden, len(pieces))
    write_weights(directory / "model.safetensors", tensors(hidden, embedding, head))


def one_hot(size, index):
    return [1.0 if i == index else 0.0 for i in range(size)]


def write_tokenizer(directory, pieces):
    added = [{"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, name in enumerate(CONTROLS)]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
             "vocab": {piece: i for i, piece in enumerate(pieces)}, "merges": []}
    document = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
                "normalizer": None, "pre_tokenizer": metaspace, "post_processor": None, "decoder": None,
                "model": model}
    (directory / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False))


def write_config(directory, hidden, vocab):
    (directory / "config.json").write_text(json.dumps({
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "bos_token_id": 1,
        "eos_token_id": 2, "hidden_act": "silu", "hidden_size": hidden, "intermediate_size": 32,
        "max_position_embeddings": 8192, "num_attention_heads": 1, "num_key_value_heads": 1,
        "head_dim": 32, "num_experts_per_tok": 1, "num_hidden_layers": 1, "num_local_experts": 2,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "torch_dtype": "float32", "vocab_size": vocab}))


def tensors(hidden, embedding, head):
    def zeros(rows, cols):
        return [[0.0] * cols for _ in range(rows)]

    layer = "model.layers.0."
    yield "model.embed_tokens.weight", embedding
    for name in ["q_proj", "k_proj", "v_proj"]:
        yield layer + f"self_attn.{name}.weight", zeros(32, hidden)
    yield layer + "self_attn.o_proj.weight", zeros(hidden, 32)
    yield layer + "block_sparse_moe.gate.weight", zeros(2, hidden)
    for expert in range(2):
        for name, shape in [("w1", (32, hidden)), ("w2", (hidden, 32)), ("w3", (32, hidden))]:
            yield layer + f"block_sparse_moe.experts.{expert}.{name}.weight", zeros(*shape)
    for name in [layer + "input_layernorm", layer + "post_attention_layernorm", "model.norm"]:
        yield name + ".weight", [1.0] * hidden
    yield "lm_head.weight", head


def write_weights(path, named):
    header, data = {}, b""
    for name, rows in named:
        shape = [len(rows), len(rows[0])] if isinstance(rows[0], list) else [len(rows)]
        values = [x for row in rows for x in row] if len(shape) == 2 else rows
        block = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
