"""Writes a Mixtral in Hugging Face's layout, bf16, as a GGUF file that llama.cpp reads."""

import functools
import json
import pathlib
from collections import namedtuple

import gguf
import numpy
from gguf.utility import SafetensorsLocal

BF16, F32 = gguf.GGMLQuantizationType.BF16, gguf.GGMLQuantizationType.F32

Entry = namedtuple("Entry", "name shape dtype load")  # load() gives the tensor's values


def read_config(directory):
    return json.loads((pathlib.Path(directory) / "config.json").read_text())


def _read_tensors(directory):
    tensors = {}
    for path in sorted(pathlib.Path(directory).glob("*.safetensors")):
        tensors.update(SafetensorsLocal(path).tensors)
    return tensors


def _values(tensor):
    """The bf16 values as the integers that hold them."""
    if tensor.dtype != "BF16":
        raise ValueError(f"expected BF16 weights, found {tensor.dtype}")
    return tensor.mmap_bytes().view(numpy.uint16).reshape(tensor.shape)


def _interleaved(values, n_heads):
    """Rows of queries or keys in the order of GGUF: rotated pairs beside each other, not half a head apart."""
    rows, cols = values.shape
    halves = values.reshape(n_heads, 2, rows // n_heads // 2, cols)
    return halves.swapaxes(1, 2).reshape(rows, cols)


def entries(directory, expert_by_expert=False):
    """What the file holds. `expert_by_expert` is its form before March 2024: a matrix of its own for each expert."""
    config, tensors = read_config(directory), _read_tensors(directory)

    def bf16(name, *sources, convert=lambda values: values):
        shape = tensors[sources[0]].shape
        if len(sources) > 1:
            shape = (len(sources), *shape)

        def load():
            values = [convert(_values(tensors[source])) for source in sources]
            return numpy.stack(values) if len(values) > 1 else values[0]

        return Entry(name + ".weight", shape, BF16, load)

    def f32(name, source):
        tensor = tensors[source]
        return Entry(name + ".weight", tensor.shape, F32,
                     lambda: (_values(tensor).astype(numpy.uint32) << 16).view(numpy.float32))

    yield bf16("token_embd", "model.embed_tokens.weight")
    yield f32("output_norm", "model.norm.weight")
    yield bf16("output", "lm_head.weight")
    for n in range(config["num_hidden_layers"]):
        source, block = f"model.layers.{n}.", f"blk.{n}."
        attention, moe = source + "self_attn.", source + "block_sparse_moe."
        yield f32(block + "attn_norm", source + "input_layernorm.weight")
        yield f32(block + "ffn_norm", source + "post_attention_layernorm.weight")
        for name, heads in [("q", "num_attention_heads"), ("k", "num_key_value_heads")]:
            yield bf16(f"{block}attn_{name}", f"{attention}{name}_proj.weight",
                       convert=functools.partial(_interleaved, n_heads=config[heads]))
        yield bf16(block + "attn_v", attention + "v_proj.weight")
        yield bf16(block + "attn_output", attention + "o_proj.weight")
        yield f32(block + "ffn_gate_inp", moe + "gate.weight")
        for name, weight in [("gate", "w1"), ("up", "w3"), ("down", "w2")]:
            experts = [f"{moe}experts.{e}.{weight}.weight" for e in range(config["num_local_experts"])]
            if expert_by_expert:
                yield from (bf16(f"{block}ffn_{name}.{e}", expert) for e, expert in enumerate(experts))
            else:
                yield bf16(f"{block}ffn_{name}_exps", *experts)


def _add_config(writer, config):
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_expert_count(config["num_local_experts"])
    writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)


def _add_vocabulary(writer, size):
    """Any vocabulary of the right size: a model of random weights has none."""
    kind = gguf.TokenType
    pieces = [("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL)]
    pieces += [(f"<0x{byte:02X}>", kind.BYTE) for byte in range(256)]
    pieces += [(f"word{n}", kind.NORMAL) for n in range(len(pieces), size)]
    if len(pieces) != size:
        raise ValueError(f"expected a vocabulary of at least {len(pieces)}, found {size}")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _ in pieces])
    writer.add_token_scores([-float(n) for n in range(size)])
    writer.add_token_types([kind for _, kind in pieces])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def write_gguf(directory, path, expert_by_expert=False):
    """Takes the memory of the largest tensor."""
    config = read_config(directory)
    tensors = list(entries(directory, expert_by_expert))
    writer = gguf.GGUFWriter(path, "llama")
    _add_config(writer, config)
    _add_vocabulary(writer, config["vocab_size"])
    for entry in tensors:
        size = int(numpy.prod(entry.shape)) * (2 if entry.dtype == BF16 else 4)
        writer.add_tensor_info(entry.name, entry.shape, numpy.dtype("f4"), size, entry.dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for entry in tensors:
        writer.write_tensor_data(entry.load())
    writer.close()


def weight_types(path):
    """{type: bytes} of a GGUF file's tensors."""
    types = {}
    for tensor in gguf.GGUFReader(path).tensors:
        name = tensor.tensor_type.name
        types[name] = types.get(name, 0) + int(tensor.n_bytes)
    return types
