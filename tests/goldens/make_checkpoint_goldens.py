#!/usr/bin/env python3
"""Makes tests/goldens/checkpoints/: one tiny Mixtral in Mistral's own forms, with the Hugging Face directory that
transformers' converter makes of it and the logits that transformers computes; and random matrices as AWQ, GPTQ and
FP8 store them, with what AutoAWQ, AutoGPTQ and torch (float8_e4m3fn, times the scale) decode them to.

Made with torch 2.15.0, transformers 4.57.3 (the model) and 4.36.2 (the last release with the converter's script
in its wheel), auto-gptq 0.7.1, autoawq 0.2.9 and safetensors 0.8.0:

    python3 -m venv VENV
    VENV/bin/pip install torch==2.15.0 transformers==4.57.3 safetensors numpy
    VENV/bin/pip download --no-deps transformers==4.36.2 auto-gptq==0.7.1 autoawq==0.2.9
    unzip 'transformers-4.36.2*.whl' 'transformers/models/mixtral/convert*' -d OTHERS
    unzip 'auto_gptq*.whl' 'auto_gptq/nn_modules/*' -d OTHERS
    tar xzf autoawq-0.2.9.tar.gz -C OTHERS
    VENV/bin/python make_checkpoint_goldens.py OTHERS
"""

import argparse
import contextlib
import importlib.util
import json
import shutil
from collections import OrderedDict
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import MixtralForCausalLM

OUT = Path(__file__).parent / "checkpoints"
HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM, EXPERTS, LAYERS, VOCAB = 32, 24, 4, 2, 8, 4, 2, 40
N_TOKENS = 24


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


# ---------------------------------------------------------------------------------------------------
# Mistral's own checkpoints


def exact(*shape, scale=1.0, generator):
    """Random values that bf16, f16 and f32 all hold."""
    values = (torch.randn(*shape, generator=generator) * scale).bfloat16()
    return torch.where(values.abs() < 2.0**-12, torch.zeros_like(values), values)


def original_weights():
    """The common tensors, and w1, w2, w3 of all experts as [EXPERTS, FFN, HIDDEN] blocks by layer."""
    generator = torch.Generator().manual_seed(1)
    make = lambda *shape, scale=1.0: exact(*shape, scale=scale, generator=generator)
    common = OrderedDict()
    common["tok_embeddings.weight"] = make(VOCAB, HIDDEN, scale=2.0)
    stacks = []
    for layer in range(LAYERS):
        prefix = f"layers.{layer}."
        common[prefix + "attention_norm.weight"] = 1 + make(HIDDEN, scale=0.25)
        common[prefix + "attention.wq.weight"] = make(HEADS * HEAD_DIM, HIDDEN, scale=0.3)
        common[prefix + "attention.wk.weight"] = make(KV_HEADS * HEAD_DIM, HIDDEN, scale=0.3)
        common[prefix + "attention.wv.weight"] = make(KV_HEADS * HEAD_DIM, HIDDEN, scale=0.2)
        common[prefix + "attention.wo.weight"] = make(HIDDEN, HEADS * HEAD_DIM, scale=0.2)
        common[prefix + "ffn_norm.weight"] = 1 + make(HIDDEN, scale=0.25)
        common[prefix + "gate.weight"] = make(EXPERTS, HIDDEN, scale=0.4)
        stacks.append({w: make(EXPERTS, FFN, HIDDEN, scale=0.2) for w in ("w1", "w2", "w3")})
    common["norm.weight"] = 1 + make(HIDDEN, scale=0.25)
    common["output.weight"] = make(VOCAB, HIDDEN, scale=0.2)
    return common, stacks


def experts_names(common, stacks):
    """One tensor for each matrix of each expert."""
    state = OrderedDict((name.replace(".gate.", ".feed_forward.gate."), tensor)
                        for name, tensor in common.items())
    for layer, stack in enumerate(stacks):
        for expert in range(EXPERTS):
            for w, blocks in stack.items():
                block = blocks[expert].T.contiguous() if w == "w2" else blocks[expert].clone()
                state[f"layers.{layer}.feed_forward.experts.{expert}.{w}.weight"] = block
    return state


def stacked_names(common, stacks):
    """All experts of a layer on top of each other."""
    state = OrderedDict((name.replace(".gate.", ".block_sparse_moe.gate."), tensor)
                        for name, tensor in common.items())
    for layer, stack in enumerate(stacks):
        for w, blocks in stack.items():
            state[f"layers.{layer}.block_sparse_moe.{w}"] = blocks.reshape(EXPERTS * FFN, HIDDEN)
    return state


def mistral_params(**more):
    return {"dim": HIDDEN, "n_layers": LAYERS, "head_dim": HEAD_DIM, "hidden_dim": FFN, "n_heads": HEADS,
            "n_kv_heads": KV_HEADS, "norm_eps": 1e-05, "vocab_size": VOCAB,
            "moe": {"num_experts_per_tok": 2, "num_experts": EXPERTS}, **more}


def hf_params():
    """What the converter reads: the window is a string, as it says."""
    return {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "intermediate_size": FFN,
            "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "rms_norm_eps": 1e-05,
            "vocab_size": VOCAB, "num_local_experts": EXPERTS, "rope_theta": 1000000.0,
            "sliding_window": "4096"}


def strided(state):
    """The same values in f32, no tensor of which lies row by row in a storage of its own."""
    result, vectors = OrderedDict(), []
    for name, tensor in state.items():
        tensor = tensor.float()
        if tensor.dim() == 1:
            vectors.append((name, tensor))
        elif name.endswith("wo.weight"):  # columns of a wider matrix
            wide = torch.zeros(tensor.shape[0], tensor.shape[1] + 5)
            wide[:, 3:-2] = tensor
            result[name] = wide[:, 3:-2]
        else:
            result[name] = tensor.T.contiguous().T
    rows = torch.stack([vector for _, vector in vectors], dim=1)  # every vector is a column
    for i, (name, _) in enumerate(vectors):
        result[name] = rows[:, i]
    return result


def fresh(name):
    directory = OUT / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def make_originals():
    common, stacks = original_weights()
    stacked, experts = stacked_names(common, stacks), experts_names(common, stacks)

    directory = fresh("stacked")
    write_json(directory / "params.json", hf_params())
    items = list(stacked.items())
    for i in range(8):
        shard = dict(items[i * len(items) // 8:(i + 1) * len(items) // 8])
        torch.save({name: tensor.clone() for name, tensor in shard.items()},
                   directory / f"consolidated.{i:02d}.pt")

    directory = fresh("experts")
    write_json(directory / "params.json", mistral_params())
    state = torch.nn.Module.state_dict(torch.nn.Module())  # an OrderedDict with _metadata
    state.update((name, torch.nn.Parameter(tensor.half())) for name, tensor in experts.items())
    torch.save(state, directory / "consolidated.00.pth")

    directory = fresh("strided")
    write_json(directory / "params.json", mistral_params(rope_theta=1000000.0, max_seq_len=512))
    torch.save(strided(stacked), directory / "consolidated.00.pth")

    directory = fresh("safetensors")
    write_json(directory / "params.json", mistral_params())
    save_file(dict(experts), directory / "consolidated.safetensors")

    torch.save({"norm.weight": torch.ones(2)}, OUT / "legacy.pt", _use_new_zipfile_serialization=False)


def convert_as_transformers_does(converter):
    directory = fresh("hf")
    converter.write_model(directory, OUT / "stacked", "7B")
    model = MixtralForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(3, VOCAB, (1, N_TOKENS), generator=generator)
    ids[0, 0] = 1
    with torch.no_grad():
        logits = model(ids).logits[0]
    save_file({"prompt_ids": ids[0].int(), "logits": logits.float()}, directory / "golden.safetensors")


# ---------------------------------------------------------------------------------------------------
# Quantised matrices

Q_HIDDEN, Q_FFN, Q_EXPERTS, Q_VOCAB = 32, 64, 2, 24  # multiples of 32, as 3 bits want them


def quantised_config(quantisation):
    return {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": Q_HIDDEN,
            "intermediate_size": Q_FFN, "num_hidden_layers": 1, "num_attention_heads": 4,
            "num_key_value_heads": 4, "num_local_experts": Q_EXPERTS, "num_experts_per_tok": 1,
            "vocab_size": Q_VOCAB, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
            "rope_theta": 1000000.0, "hidden_act": "silu", "tie_word_embeddings": False,
            "torch_dtype": "float16", "quantization_config": quantisation}


def linears():
    """Name and [outputs, inputs] of the matrices that are quantised."""
    layer = "model.layers.0."
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        yield layer + f"self_attn.{name}", (Q_HIDDEN, Q_HIDDEN)
    for expert in range(Q_EXPERTS):
        for name in ("w1", "w2", "w3"):
            shape = (Q_HIDDEN, Q_FFN) if name == "w2" else (Q_FFN, Q_HIDDEN)
            yield layer + f"block_sparse_moe.experts.{expert}.{name}", shape


def plain_tensors(dtype, generator):
    layer = "model.layers.0."
    shapes = {"model.embed_tokens.weight": (Q_VOCAB, Q_HIDDEN), "lm_head.weight": (Q_VOCAB, Q_HIDDEN),
              "model.norm.weight": (Q_HIDDEN,), layer + "input_layernorm.weight": (Q_HIDDEN,),
              layer + "post_attention_layernorm.weight": (Q_HIDDEN,),
              layer + "block_sparse_moe.gate.weight": (Q_EXPERTS, Q_HIDDEN)}
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}


def random_words(*shape, generator):
    return torch.randint(-2**31, 2**31, shape, generator=generator, dtype=torch.int64).int()


def write_quantised(name, config, dtype, generator, quantise):
    """`quantise(shape)` gives the parts of a matrix and what it decodes to."""
    tensors, expected = plain_tensors(dtype, generator), {}
    expected.update(tensors)
    for linear, shape in linears():
        parts, weight = quantise(shape)
        assert weight.shape == shape and torch.isfinite(weight).all()
        tensors.update({f"{linear}.{part}": tensor.contiguous() for part, tensor in parts.items()})
        expected[f"{linear}.weight"] = weight.contiguous()
    directory = fresh(name)
    write_json(directory / "config.json", quantised_config(config))
    save_file(tensors, directory / "model.safetensors")
    save_file(expected, directory / "decoded.safetensors")


def make_awq(packing):
    group = 16
    generator = torch.Generator().manual_seed(3)

    def quantise(shape):
        outputs, inputs = shape
        qweight = random_words(inputs, outputs // 8, generator=generator)
        qzeros = random_words(inputs // group, outputs // 8, generator=generator)
        scales = (torch.rand(inputs // group, outputs, generator=generator) * 0.1).half()
        weight = packing.dequantize_gemm(qweight, qzeros, scales, 4, group)
        return {"qweight": qweight, "qzeros": qzeros, "scales": scales}, weight.T

    config = {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm",
              "modules_to_not_convert": ["gate"]}
    write_quantised("awq", config, torch.float16, generator, quantise)


def make_gptq(name, linear_class, bits, group, act_order=False, v2=False, sym=False):
    generator = torch.Generator().manual_seed(bits)

    def quantise(shape):
        outputs, inputs = shape
        n_groups = 1 if group == -1 else inputs // group
        layer = linear_class(bits, group, inputs, outputs, bias=False)
        layer.qweight = random_words(*layer.qweight.shape, generator=generator)
        layer.qzeros = random_words(*layer.qzeros.shape, generator=generator)
        if sym:  # the middle, less one
            layer.qzeros = torch.full_like(layer.qzeros, {4: 0x77777777, 8: 0x7f7f7f7f}[bits])
        if v2:  # leaves room to add one to each without a carry
            layer.qzeros &= 0x77777777
        layer.scales = (torch.rand(n_groups, outputs, generator=generator) * 0.1).half()
        if act_order:
            layer.g_idx = layer.g_idx[torch.randperm(inputs, generator=generator)]
        # One row of the identity at a time gives the decoded weights: nothing is rounded in the sums.
        weight = layer(torch.eye(inputs).half())
        qzeros = layer.qzeros + 0x11111111 if v2 else layer.qzeros
        parts = {"qweight": layer.qweight, "qzeros": qzeros, "scales": layer.scales,
                 "g_idx": layer.g_idx.int()}
        return parts, weight.detach().half().T

    config = {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": act_order, "sym": sym}
    if v2:
        config["checkpoint_format"] = "gptq_v2"
    write_quantised(name, config, torch.float16, generator, quantise)


def make_fp8(name, config, make_scale, part, scale_dtype, with_input_scale=False):
    generator = torch.Generator().manual_seed(5)

    def quantise(shape):
        codes = torch.randn(shape, generator=generator).mul_(100).clamp_(-448, 448).to(torch.float8_e4m3fn)
        scale, spread = make_scale(shape, generator)
        scale = scale.to(scale_dtype)
        weight = (codes.float() * spread(scale.float())).bfloat16()
        parts = {"weight": codes, part: scale}
        if with_input_scale:
            parts["input_scale"] = torch.tensor(0.5)
        return parts, weight

    write_quantised(name, config, torch.bfloat16, generator, quantise)


def blocks_of(size):
    def make(shape, generator):
        blocks = [-(-n // size) for n in shape]
        scale = torch.rand(blocks, generator=generator) * 0.01 + 0.001

        def spread(scale):
            return scale.repeat_interleave(size, 0)[:shape[0]].repeat_interleave(size, 1)[:, :shape[1]]

        return scale, spread

    return make


def make_all_fp8():
    one = lambda shape, generator: (torch.rand((), generator=generator) * 0.01, lambda scale: scale)
    row = lambda shape, generator: (torch.rand(shape[0], 1, generator=generator) * 0.01,
                                    lambda scale: scale)
    make_fp8("fp8", {"quant_method": "fp8", "activation_scheme": "static",
                     "ignored_layers": ["re:.*lm_head", "re:.*block_sparse_moe.gate"]},
             one, "weight_scale", torch.float32, with_input_scale=True)
    make_fp8("fp8_blocks", {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3",
                            "weight_block_size": [24, 24]}, blocks_of(24), "weight_scale_inv", torch.float32)
    make_fp8("fp8_rows", {"quant_method": "compressed-tensors", "format": "float-quantized",
                          "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
                              "num_bits": 8, "type": "float", "strategy": "channel",
                              "symmetric": True, "dynamic": False}}},
                          "ignore": ["lm_head"]}, row, "weight_scale", torch.bfloat16)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("others", type=Path, help="where the other packages were unpacked")
    others = parser.parse_args().others
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    make_originals()
    convert_as_transformers_does(
        load_module(others / "transformers/models/mixtral/convert_mixtral_weights_to_hf.py"))
    make_awq(load_module(others / "autoawq-0.2.9/awq/utils/packing_utils.py"))
    gptq = load_module(others / "auto_gptq/nn_modules/qlinear/qlinear_cuda.py").QuantLinear
    make_gptq("gptq4", gptq, 4, 16, act_order=True)
    make_gptq("gptq4_sym", gptq, 4, 32, sym=True)
    make_gptq("gptq4_v2", gptq, 4, 16, v2=True)
    make_gptq("gptq8", gptq, 8, -1)
    make_gptq("gptq3", gptq, 3, 16, act_order=True)
    make_all_fp8()


if __name__ == "__main__":
    main()
