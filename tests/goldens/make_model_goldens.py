#!/usr/bin/env python3
"""Makes tests/goldens/models/: tiny random Mixtral checkpoints, each with the activations, logits
and greedy continuation that Hugging Face transformers computes from it in float32.

Run as `make_model_goldens.py [--out DIR] [NAME...]`; README.md beside this file names the versions.
Every result of transformers is checked against reference.py before it is written.
"""

import argparse
import datetime
import json
import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from torch.nn import functional
from transformers import DynamicCache, MixtralConfig, MixtralForCausalLM

from reference import ReferenceMixtral, to_bf16

N_GREEDY = 64
# Router margins, in units of the rms of the layer's router logits so far. The prompt's tokens are
# drawn until each is clear of the first; a prompt whose continuation is not clear of the second is
# dropped. Rounding the activations to bf16 then flips no choice (asserted below).
PROMPT_ROUTER_MARGIN = 0.1
GREEDY_ROUTER_MARGIN = 0.02
# The smallest greedy top-1 margin, as a fraction of the largest |logit|: ten times the error that
# an implementation in float32 may have.
GREEDY_MARGIN = 1e-4
LAST = slice(-1, None)
HF_TOLERANCE = 1e-5
BF16_TOLERANCE = 1e-2


@dataclass
class Spec:
    name: str
    purpose: str
    shape: dict  # the keys of config.json that define the model
    n_tokens: int
    dtype: torch.dtype = torch.bfloat16
    v5: bool = False  # config.json as transformers v5 writes it
    fused: bool = False  # the in-memory tensor names of transformers v5
    n_shards: int = 1
    n_logit_rows: int = 0  # keep the logits of this many last tokens only; 0 keeps all
    generation: dict = field(default_factory=dict)  # more keys for generation_config.json


def shape(vocab, hidden, ffn, n_layers, n_heads, n_kv_heads, n_experts, top_k, **more):
    return {
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads,
        "num_local_experts": n_experts,
        "num_experts_per_tok": top_k,
        "head_dim": None,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e6,
        "sliding_window": None,
        "tie_word_embeddings": False,
        **more,
    }


SPECS = [
    Spec(
        "gqa4_top2of8",
        "8x7B in small: 4 query heads per KV head, 2 of 8 experts, BF16",
        shape(96, 64, 96, 2, 8, 2, 8, 2),
        n_tokens=32,
    ),
    Spec(
        "gqa6_shards_f16",
        "8x22B in small: 6 query heads per KV head, F16 in 4 shards",
        shape(101, 48, 64, 2, 6, 1, 8, 2, max_position_embeddings=512),
        n_tokens=40,
        dtype=torch.float16,
        n_shards=4,
    ),
    Spec(
        "mha_top1of4_f32",
        "as many KV heads as query heads, 1 of 4 experts, head_dim not hidden / n_heads, 4 layers, "
        "F32",
        shape(80, 40, 56, 4, 4, 4, 4, 1, head_dim=16, rope_theta=1e4, rms_norm_eps=1e-2),
        n_tokens=24,
        dtype=torch.float32,
    ),
    Spec(
        "window7",
        "sliding window of 7 tokens, shorter than the prompt, BF16",
        shape(112, 32, 48, 3, 4, 2, 4, 2, sliding_window=7, rope_theta=5e5, rms_norm_eps=1e-6),
        n_tokens=48,
    ),
    Spec(
        "vocab32768_tied",
        "vocabulary of tokenizer v3, embeddings tied to the output, 1 layer, BF16",
        shape(32768, 16, 32, 1, 2, 1, 8, 2, tie_word_embeddings=True),
        n_tokens=20,
        n_logit_rows=4,
    ),
    Spec(
        "v5_fused_2of5",
        "transformers v5 config.json and fused expert tensors, 2 of 5 experts, BF16",
        shape(90, 48, 80, 2, 6, 3, 5, 2, rope_theta=2.5e5, rms_norm_eps=1e-3),
        n_tokens=28,
        v5=True,
        fused=True,
        generation={"eos_token_id": [2, 7], "do_sample": True, "temperature": 0.7, "top_p": 0.9},
    ),
    Spec(
        "v5_window_shards_f32",
        "transformers v5 config.json with the published tensor names, sliding window, F32 in 2 "
        "shards",
        shape(72, 24, 40, 2, 3, 3, 4, 2, head_dim=12, sliding_window=16, rope_theta=1e5),
        n_tokens=36,
        dtype=torch.float32,
        v5=True,
        n_shards=2,
    ),
    Spec(
        "odd_top2of3",
        "sizes that no vector width divides: hidden 72, ffn 100, head_dim 20, 3 experts, BF16",
        shape(131, 72, 100, 2, 6, 2, 3, 2, head_dim=20, rope_theta=3e4),
        n_tokens=30,
    ),
    Spec(
        "odd_fused_3of6_f16",
        "odd row lengths (hidden 50, ffn 37, head_dim 10), 3 of 6 experts, fused names, F16 in 3 "
        "shards",
        shape(67, 50, 37, 2, 5, 1, 6, 3, rope_theta=1e6, rms_norm_eps=5e-2),
        n_tokens=50,
        dtype=torch.float16,
        v5=True,
        fused=True,
        n_shards=3,
    ),
]


def config_json(spec):
    """config.json with the keys that the release writes: v4 as the published Mixtrals, or v5."""
    config = {
        "architectures": ["MixtralForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "model_type": "mixtral",
        "output_router_logits": False,
        "router_aux_loss_coef": 0.02,
        "use_cache": True,
        **spec.shape,
    }
    dtype = str(spec.dtype).removeprefix("torch.")
    if spec.v5:
        theta = config.pop("rope_theta")
        config["rope_parameters"] = {"rope_theta": theta, "rope_type": "default"}
        config["router_jitter_noise"] = 0.0
        config["pad_token_id"] = None
        config["dtype"] = dtype
        config["transformers_version"] = "5.23.0"
    else:
        if config["head_dim"] is None:
            del config["head_dim"]
        config["torch_dtype"] = dtype
        config["transformers_version"] = "4.36.0.dev0"
    return config


def generation_config_json(spec):
    return {
        "_from_model_config": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "transformers_version": config_json(spec)["transformers_version"],
        **spec.generation,
    }


def random_weights(spec, seed):
    """Weights under the published names, rounded to the stored type.

    Every matrix keeps the scale of its input, except that attention is a little sharper and the
    router has clear preferences, so that a fault in either shows. The residual stream starts at
    twice the scale of what a layer adds, so that rounding errors do not grow from layer to layer.
    """
    generator = torch.Generator().manual_seed(seed)
    s = spec.shape
    hidden, ffn = s["hidden_size"], s["intermediate_size"]
    head_dim = s["head_dim"] or hidden // s["num_attention_heads"]
    q_size, kv_size = (s[key] * head_dim for key in ("num_attention_heads", "num_key_value_heads"))
    weights = {}

    def matrix(name, rows, columns, gain=1.0):
        values = torch.randn(rows, columns, generator=generator) * gain / columns**0.5
        weights[name] = values.to(spec.dtype)

    def norm(name):
        values = 1 + 0.25 * torch.randn(hidden, generator=generator)
        weights[name] = values.to(spec.dtype)

    # With tied embeddings a loud last token would decide the next one nearly alone.
    embedding_scale = 0.5 if s["tie_word_embeddings"] else 2.0
    matrix("model.embed_tokens.weight", s["vocab_size"], hidden, embedding_scale * hidden**0.5)
    for layer in range(s["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        norm(f"{prefix}.input_layernorm.weight")
        matrix(f"{prefix}.self_attn.q_proj.weight", q_size, hidden, 1.2)
        matrix(f"{prefix}.self_attn.k_proj.weight", kv_size, hidden, 1.2)
        matrix(f"{prefix}.self_attn.v_proj.weight", kv_size, hidden)
        matrix(f"{prefix}.self_attn.o_proj.weight", hidden, q_size)
        norm(f"{prefix}.post_attention_layernorm.weight")
        moe = f"{prefix}.block_sparse_moe"
        matrix(f"{moe}.gate.weight", s["num_local_experts"], hidden, 2.0)
        for expert in range(s["num_local_experts"]):
            matrix(f"{moe}.experts.{expert}.w1.weight", ffn, hidden)
            matrix(f"{moe}.experts.{expert}.w2.weight", hidden, ffn)
            matrix(f"{moe}.experts.{expert}.w3.weight", ffn, hidden)
    norm("model.norm.weight")
    if s["tie_word_embeddings"]:  # random signs, or the likeliest next token is the last one again
        weights["model.norm.weight"] *= torch.randn(hidden, generator=generator).sign()
    else:
        matrix("lm_head.weight", s["vocab_size"], hidden)
    return weights


def fuse_experts(weights, spec):
    """The tensor names that transformers v5 has in memory."""
    fused = {}
    experts = range(spec.shape["num_local_experts"])
    for name, tensor in weights.items():
        if ".experts." not in name:
            fused[name.replace("block_sparse_moe.gate", "mlp.gate")] = tensor
    for layer in range(spec.shape["num_hidden_layers"]):
        w1, w2, w3 = (
            [
                weights[f"model.layers.{layer}.block_sparse_moe.experts.{e}.{name}.weight"]
                for e in experts
            ]
            for name in ("w1", "w2", "w3")
        )
        prefix = f"model.layers.{layer}.mlp.experts"
        fused[f"{prefix}.gate_up_proj"] = torch.stack([torch.cat(pair) for pair in zip(w1, w3)])
        fused[f"{prefix}.down_proj"] = torch.stack(w2)
    return fused


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_tensors(directory, weights, n_shards):
    if n_shards == 1:
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
        return
    n_bytes = {name: t.numel() * t.element_size() for name, t in weights.items()}
    total = sum(n_bytes.values())
    weight_map, shards, written = {}, [{} for _ in range(n_shards)], 0
    for name, tensor in weights.items():
        shard = min(n_shards * written // total, n_shards - 1)
        shards[shard][name] = tensor
        weight_map[name] = f"model-{shard + 1:05d}-of-{n_shards:05d}.safetensors"
        written += n_bytes[name]
    for shard, tensors in enumerate(shards, start=1):
        path = directory / f"model-{shard:05d}-of-{n_shards:05d}.safetensors"
        save_file(tensors, path, metadata={"format": "pt"})
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(directory / "model.safetensors.index.json", index)


def write_checkpoint(spec, weights, directory):
    write_json(directory / "config.json", config_json(spec))
    write_json(directory / "generation_config.json", generation_config_json(spec))
    stored = fuse_experts(weights, spec) if spec.fused else weights
    write_tensors(directory, stored, spec.n_shards)


def huggingface_model(spec, weights):
    """transformers' own model with the stored weights widened to float32."""
    keys = {key: value for key, value in spec.shape.items() if value is not None}
    model = MixtralForCausalLM(MixtralConfig(attn_implementation="eager", **keys))
    state = {name: tensor.float() for name, tensor in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    tied = ["lm_head.weight"] if spec.shape["tie_word_embeddings"] else []
    assert missing == tied and not unexpected, (missing, unexpected)
    model.tie_weights()
    return model.eval()


def check_from_pretrained(spec, model, directory, ids):
    """transformers reads the directory itself (v4 spellings only) and gives the same logits."""
    if spec.v5:
        return
    loaded = MixtralForCausalLM.from_pretrained(
        directory, torch_dtype=torch.float32, attn_implementation="eager"
    )
    assert torch.equal(loaded(ids).logits, model(ids).logits)


def huggingface_trace(model, ids):
    """One forward pass of transformers, recorded by hooks: its own `hidden_states` output has the
    final norm applied to the last entry and so lacks the last layer's output."""
    seen = {"layers": [], "attention": [], "moe": [], "router": []}

    def record(name, pick):
        return lambda module, inputs, output: seen[name].append(pick(output).squeeze(0))

    hooks = [
        model.model.embed_tokens.register_forward_hook(record("layers", lambda out: out)),
        model.model.norm.register_forward_hook(
            lambda module, inputs, output: seen.update(norm=output.squeeze(0))
        ),
    ]
    for layer in model.model.layers:
        hooks += [
            layer.register_forward_hook(record("layers", lambda out: out[0])),
            layer.self_attn.register_forward_hook(record("attention", lambda out: out[0])),
            layer.block_sparse_moe.register_forward_hook(record("moe", lambda out: out[0])),
            layer.block_sparse_moe.register_forward_hook(record("router", lambda out: out[1])),
        ]
    logits = model(ids, use_cache=False).logits[0]
    for hook in hooks:
        hook.remove()
    router_logits = torch.stack(seen["router"])
    # The two lines by which transformers picks experts and weighs them.
    probabilities = functional.softmax(router_logits, dim=-1, dtype=torch.float)
    weights, choices = torch.topk(probabilities, model.config.num_experts_per_tok, dim=-1)
    weights /= weights.sum(dim=-1, keepdim=True)
    return {
        "hidden_states": torch.stack(seen["layers"]),
        "attention_outputs": torch.stack(seen["attention"]),
        "moe_outputs": torch.stack(seen["moe"]),
        "router_logits": router_logits,
        "router_choices": choices.int(),
        "router_weights": weights,
        "final_norm": seen["norm"],
        "logits": logits,
    }


def relative_error(a, b):
    """max |a - b| / max |b|"""
    return float(np.abs(a - b).max() / np.abs(b).max())


def check_against_reference(golden, trace):
    """Asserts that transformers and reference.py agree; returns the largest relative error."""
    assert np.array_equal(golden["router_choices"].numpy(), trace.router_choices)
    errors = {
        name: relative_error(tensor.numpy(), getattr(trace, name))
        for name, tensor in golden.items()
        if name != "router_choices"
    }
    assert max(errors.values()) <= HF_TOLERANCE, errors
    return max(errors.values())


def router_margins(router_logits, top_k):
    """[n_layers, n_tokens, n_experts] -> [n_layers, n_tokens]: the lowest chosen logit minus the
    highest not chosen one."""
    ordered = -np.sort(-router_logits, axis=-1)
    return ordered[..., top_k - 1] - ordered[..., top_k]


def relative_router_margins(router_logits, top_k):
    """router_margins in units of the rms of each layer's logits."""
    rms = np.sqrt(np.mean(router_logits**2, axis=(1, 2), keepdims=True))
    return router_margins(router_logits / rms, top_k)


def last_router_margin(reference, trace):
    """The last token's smallest margin over the layers."""
    top_k = reference.config["num_experts_per_tok"]
    return relative_router_margins(trace.router_logits, top_k)[:, -1].min()


def extend_prompt(reference, ids, n_tokens, rng):
    """ids and random ones behind it, each clear of router ties in every layer."""
    while len(ids) < n_tokens:
        candidate = [*ids, int(rng.integers(3, reference.config["vocab_size"]))]
        if (
            last_router_margin(reference, reference.forward(candidate, LAST))
            >= PROMPT_ROUTER_MARGIN
        ):
            ids = candidate
    return ids


def greedy(reference, prompt):
    """The greedy continuation by reference.py, or None as soon as it comes near a tie."""
    ids = list(prompt)
    for _ in range(N_GREEDY):
        trace = reference.forward(ids, LAST)
        if last_router_margin(reference, trace) < GREEDY_ROUTER_MARGIN:
            return None
        second, first = np.sort(trace.logits[-1])[-2:]
        if first - second < GREEDY_MARGIN * np.abs(trace.logits).max():
            return None
        ids.append(int(trace.logits[-1].argmax()))
    return ids[len(prompt) :]


def uses_every_expert(reference, ids):
    choices = reference.forward(ids, LAST).router_choices
    return all(len(np.unique(c)) == reference.config["num_local_experts"] for c in choices)


def find_prompt(reference, n_tokens, rng):
    """A prompt behind <s> and its continuation, both clear of ties. The prompt reaches every
    expert, and the continuation is more than a loop."""
    stem = [1]
    while not uses_every_expert(reference, stem):
        stem = extend_prompt(reference, [1], n_tokens - 4, rng)
    for tries in range(1, 20_000):
        prompt = extend_prompt(reference, stem, n_tokens, rng)
        continuation = greedy(reference, prompt)
        if continuation and len(set(continuation)) >= N_GREEDY // 3:
            return prompt, continuation, tries
    raise RuntimeError("no prompt found")


def clear_weights(spec, seed, directory):
    """Writes the checkpoint of the first seed that routes <s>, which every prompt has, clearly."""
    while True:
        weights = random_weights(spec, seed)
        write_checkpoint(spec, weights, directory)
        reference = ReferenceMixtral(directory)
        if last_router_margin(reference, reference.forward([1])) >= PROMPT_ROUTER_MARGIN:
            return weights, reference, seed
        seed += 100


def greedy_with_cache(model, prompt):
    """64 ids, one forward pass each; </s> does not end it."""
    ids, inputs, cache = [], torch.tensor([prompt]), DynamicCache()
    for _ in range(N_GREEDY):
        logits = model(inputs, past_key_values=cache, use_cache=True).logits[0, -1]
        inputs = logits.argmax().reshape(1, 1)
        ids.append(int(inputs))
    return ids


def greedy_steps(model, prompt, continuation):
    """The 64 steps by transformers, decoded one by one and in one pass over the whole text."""
    assert greedy_with_cache(model, prompt) == continuation
    ids = torch.tensor([prompt + continuation])
    golden = huggingface_trace(model, ids[:, :-1])
    logits = golden["logits"][len(prompt) - 1 :]
    assert torch.equal(logits.argmax(dim=-1), ids[0, len(prompt) :])
    top = torch.topk(logits, 2, dim=-1).values
    margins = router_margins(golden["router_logits"].numpy(), model.config.num_experts_per_tok)
    return {
        "greedy_ids": ids[0, len(prompt) :].int(),
        "greedy_margins": top[:, 0] - top[:, 1],
        "greedy_max_abs_logits": logits.abs().max(dim=-1).values,
        "greedy_router_margins": torch.tensor(margins[:, len(prompt) - 1 :].min(axis=0)),
    }


def sliding_window_effect(directory, ids, logits):
    """How far the logits move when the window is one token wider."""
    wider = ReferenceMixtral(directory)
    wider.sliding_window += 1
    return relative_error(wider.forward(ids).logits, logits)


def make(spec, seed, out):
    directory = out / spec.name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    weights, reference, seed = clear_weights(spec, seed, directory)
    prompt, continuation, tries = find_prompt(reference, spec.n_tokens, np.random.default_rng(seed))

    model = huggingface_model(spec, weights)
    ids = torch.tensor([prompt])
    check_from_pretrained(spec, model, directory, ids)
    golden = huggingface_trace(model, ids)
    trace = reference.forward(prompt)
    reference_error = check_against_reference(golden, trace)

    whole = prompt + continuation[:-1]
    exact = reference.forward(whole)
    rounded = ReferenceMixtral(directory, round_inputs=to_bf16).forward(whole)
    assert np.array_equal(np.sort(rounded.router_choices), np.sort(exact.router_choices))
    bf16_error = relative_error(rounded.logits, exact.logits)
    assert bf16_error < BF16_TOLERANCE, bf16_error

    rows = torch.arange(spec.n_tokens)[-spec.n_logit_rows :]
    golden["logits"] = golden["logits"][rows]
    steps = greedy_steps(model, prompt, continuation)
    tensors = {"prompt_ids": ids[0].int(), "logit_rows": rows.int(), **golden, **steps}
    save_file(
        {name: t.contiguous() for name, t in tensors.items()}, directory / "golden.safetensors"
    )

    top_k = spec.shape["num_experts_per_tok"]
    router_logits = golden["router_logits"].numpy()
    entry = {
        "name": spec.name,
        "purpose": spec.purpose,
        "seed": seed,
        "n_tokens": spec.n_tokens,
        "n_prompts_tried": tries,
        "n_distinct_greedy_ids": len(set(continuation)),
        "min_router_margin": float(router_margins(router_logits, top_k).min()),
        "min_router_margin_over_rms": float(relative_router_margins(router_logits, top_k).min()),
        "min_greedy_router_margin": float(steps["greedy_router_margins"].min()),
        "min_greedy_margin": float(steps["greedy_margins"].min()),
        "n_greedy_margins_above_1e-2": int(
            (steps["greedy_margins"] > 1e-2 * steps["greedy_max_abs_logits"]).sum()
        ),
        "max_abs_logit": float(golden["logits"].abs().max()),
        "relative_error_of_reference": reference_error,
        "relative_error_with_bf16_activations": bf16_error,
    }
    if reference.sliding_window:
        entry["relative_effect_of_a_wider_window"] = sliding_window_effect(
            directory, prompt, trace.logits
        )
        assert entry["relative_effect_of_a_wider_window"] > BF16_TOLERANCE
    return entry


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models")
    parser.add_argument("names", nargs="*", help="make these only and leave manifest.json alone")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    entries = []
    for seed, spec in enumerate(SPECS, start=1):
        if not arguments.names or spec.name in arguments.names:
            entries.append(make(spec, seed, arguments.out))
            print(json.dumps(entries[-1], indent=2), flush=True)
    if arguments.names:
        return
    made_with = {
        "command": "make_model_goldens.py",
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    write_json(arguments.out / "manifest.json", {"made_with": made_with, "models": entries})


if __name__ == "__main__":
    main()
