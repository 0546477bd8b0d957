"""Mixtral's forward pass in plain numpy float64, read straight from a checkpoint directory.

Written from the definition of the model, not from anybody's code, so that the goldens do not
depend on one implementation. It favours being read over being fast.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def read_safetensors(path):
    """All tensors of one safetensors file, by name; F32, F16 and BF16 are widened to float64."""
    data = Path(path).read_bytes()
    header_size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + header_size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + header_size + offset for offset in entry["data_offsets"])
        raw = data[begin:end]
        if entry["dtype"] == "BF16":  # the upper half of a float32
            values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2", "I32": "<i4"}[entry["dtype"]])
        if entry["dtype"] != "I32":
            values = values.astype(np.float64)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def to_bf16(x):
    """Rounds to the nearest bfloat16 (ties to even); the result is float64 again."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return bits.view(np.float32).astype(np.float64)


@dataclass
class Trace:
    """What one forward pass produced, named and shaped as in golden.safetensors."""

    hidden_states: np.ndarray  # [n_layers + 1, n_tokens, hidden]; the last is before the final norm
    attention_outputs: np.ndarray  # [n_layers, n_tokens, hidden], before the residual add
    moe_outputs: np.ndarray  # [n_layers, n_tokens, hidden], before the residual add
    router_logits: np.ndarray  # [n_layers, n_tokens, n_experts]
    router_choices: np.ndarray  # [n_layers, n_tokens, top_k], highest logit first
    router_weights: np.ndarray  # [n_layers, n_tokens, top_k]
    final_norm: np.ndarray  # [n_tokens, hidden]
    logits: np.ndarray  # [n_tokens or the rows asked for, vocab]


class ReferenceMixtral:
    """round_inputs is applied to the input of every weight matrix (to_bf16 shows what rounding
    the activations does to the result)."""

    def __init__(self, directory, round_inputs=lambda x: x):
        directory = Path(directory)
        self.config = json.loads((directory / "config.json").read_text())
        self.round_inputs = round_inputs
        self.n_heads = self.config["num_attention_heads"]
        self.n_kv_heads = self.config["num_key_value_heads"]
        self.head_dim = self.config.get("head_dim") or self.config["hidden_size"] // self.n_heads
        self.sliding_window = self.config.get("sliding_window")
        rope = self.config.get("rope_parameters", self.config)
        self.rope_theta = rope["rope_theta"]
        index = directory / "model.safetensors.index.json"
        files = ["model.safetensors"]
        if index.exists():
            files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        self.weights = {}
        for file in files:
            self.weights.update(read_safetensors(directory / file))

    def linear(self, x, weight):
        return self.round_inputs(x) @ weight.T

    def rms_norm(self, x, weight):
        mean_square = np.mean(x * x, axis=-1, keepdims=True)
        return weight * x / np.sqrt(mean_square + self.config["rms_norm_eps"])

    def rotate(self, x):
        """x [n_tokens, heads, head_dim]: element p turns with element p + head_dim / 2."""
        half = self.head_dim // 2
        frequencies = self.rope_theta ** (-np.arange(half) / half)
        angles = np.arange(len(x))[:, None, None] * frequencies
        first, second = x[..., :half], x[..., half:]
        return np.concatenate(
            [
                first * np.cos(angles) - second * np.sin(angles),
                second * np.cos(angles) + first * np.sin(angles),
            ],
            axis=-1,
        )

    def attention(self, x, prefix):
        n_tokens = len(x)
        q, k, v = (
            self.linear(x, self.weights[f"{prefix}.{name}.weight"]).reshape(
                n_tokens, -1, self.head_dim
            )
            for name in ("q_proj", "k_proj", "v_proj")
        )
        q, k = self.rotate(q), self.rotate(k)
        # A token sees itself and, with a window, the sliding_window - 1 tokens before it.
        distance = np.arange(n_tokens)[:, None] - np.arange(n_tokens)[None, :]
        visible = (distance >= 0) & (distance < (self.sliding_window or n_tokens))
        heads = []
        for head in range(self.n_heads):
            kv_head = head // (self.n_heads // self.n_kv_heads)
            scores = q[:, head] @ k[:, kv_head].T / np.sqrt(self.head_dim)
            scores = np.where(visible, scores, -np.inf)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            heads.append(weights @ v[:, kv_head])
        return self.linear(np.concatenate(heads, axis=-1), self.weights[f"{prefix}.o_proj.weight"])

    def expert_weights(self, layer, expert):
        """w1 (gate), w3 (up), w2 (down) under either generation of tensor names."""
        fused = f"model.layers.{layer}.mlp.experts"
        if f"{fused}.gate_up_proj" in self.weights:
            gate_up = self.weights[f"{fused}.gate_up_proj"][expert]
            w1, w3 = np.split(gate_up, 2)
            return w1, w3, self.weights[f"{fused}.down_proj"][expert]
        prefix = f"model.layers.{layer}.block_sparse_moe.experts.{expert}"
        return tuple(self.weights[f"{prefix}.{name}.weight"] for name in ("w1", "w3", "w2"))

    def moe(self, x, layer):
        prefix = f"model.layers.{layer}"
        gate = self.weights.get(f"{prefix}.mlp.gate.weight")
        if gate is None:
            gate = self.weights[f"{prefix}.block_sparse_moe.gate.weight"]
        router_logits = self.linear(x, gate)
        top_k = self.config["num_experts_per_tok"]
        choices = np.argsort(-router_logits, axis=-1, kind="stable")[:, :top_k]
        selected = np.take_along_axis(router_logits, choices, axis=-1)
        gates = np.exp(selected - selected.max(axis=-1, keepdims=True))
        gates /= gates.sum(axis=-1, keepdims=True)
        output = np.zeros_like(x)
        for expert in np.unique(choices):
            tokens, slots = np.nonzero(choices == expert)
            w1, w3, w2 = self.expert_weights(layer, expert)
            t = self.linear(x[tokens], w1)
            activated = t / (1 + np.exp(-t)) * self.linear(x[tokens], w3)
            output[tokens] += gates[tokens, slots, None] * self.linear(activated, w2)
        return output, router_logits, choices, gates

    def forward(self, ids, logit_rows=slice(None)):
        """ids [n_tokens] -> Trace, with the logits of the given tokens only"""
        weights = self.weights
        x = weights["model.embed_tokens.weight"][ids]
        hidden_states, attention_outputs, moe_parts = [x], [], []
        for layer in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}"
            h = self.rms_norm(x, weights[f"{prefix}.input_layernorm.weight"])
            attention_outputs.append(self.attention(h, f"{prefix}.self_attn"))
            x = x + attention_outputs[-1]
            h = self.rms_norm(x, weights[f"{prefix}.post_attention_layernorm.weight"])
            moe_parts.append(self.moe(h, layer))
            x = x + moe_parts[-1][0]
            hidden_states.append(x)
        final_norm = self.rms_norm(x, weights["model.norm.weight"])
        lm_head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
        return Trace(
            np.stack(hidden_states),
            np.stack(attention_outputs),
            *(np.stack(part) for part in zip(*moe_parts)),
            final_norm,
            self.linear(final_norm[logit_rows], lm_head),
        )
