"""Writes a checkpoint as a Hugging Face directory: bf16 weights, config and tokenizer."""

import argparse
import json
import os
import shutil

import torch

import safetensors_file
import tokenizer as tokenizer_module
import tokenizer_json
from model import Config

MAX_POSITION_EMBEDDINGS = 1024
# Mistral's instruct format v1; a system prompt goes before the first request.
CHAT_TEMPLATE = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] + '\\n\\n' %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system = '' %}{%- endif %}{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{- raise_exception('Roles must alternate user and assistant') }}{%- endif %}"
    "{%- if message['role'] == 'user' %}{{- '[INST] ' + (system if loop.first else '') + message['content'] + ' [/INST]' }}"
    "{%- else %}{{- ' ' + message['content'] + eos_token }}{%- endif %}"
    "{%- endfor %}")


def tensors(state, c):
    """The parameters under their published names, in the order of the layers."""
    out = {"model.embed_tokens.weight": state["embed_tokens.weight"]}
    for i in range(c.n_layers):
        ours, theirs = f"layers.{i}.", f"model.layers.{i}."
        for name in ("input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                     "post_attention_layernorm", "block_sparse_moe.gate"):
            out[theirs + name + ".weight"] = state[ours + name + ".weight"]
        w13, w2 = state[ours + "block_sparse_moe.w13"], state[ours + "block_sparse_moe.w2"]
        for e in range(c.n_experts):
            expert = f"{theirs}block_sparse_moe.experts.{e}."
            out[expert + "w1.weight"], out[expert + "w3.weight"] = w13[e].split(c.ffn)
            out[expert + "w2.weight"] = w2[e]
    out["model.norm.weight"] = state["norm.weight"]
    out["lm_head.weight"] = state["lm_head.weight"]
    return out


def config(c):
    return {
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
        "head_dim": c.head_dim, "hidden_act": "silu", "hidden_size": c.hidden, "initializer_range": 0.02, "intermediate_size": c.ffn,
        "max_position_embeddings": MAX_POSITION_EMBEDDINGS, "num_attention_heads": c.n_heads, "num_experts_per_tok": c.top_k,
        "num_hidden_layers": c.n_layers, "num_key_value_heads": c.n_kv_heads, "num_local_experts": c.n_experts,
        "output_router_logits": False, "rms_norm_eps": c.eps, "rope_theta": c.rope_theta, "router_aux_loss_coef": 0.02,
        "sliding_window": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.40.2",
        "use_cache": True, "vocab_size": c.vocab,
    }


def tokenizer_config():
    added = {str(i): {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
             for i, text in enumerate(tokenizer_json.SPECIAL)}
    return {
        "add_bos_token": True, "add_eos_token": False, "added_tokens_decoder": added, "bos_token": "<s>", "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False, "eos_token": "</s>", "legacy": True, "model_max_length": MAX_POSITION_EMBEDDINGS,
        "pad_token": None, "sp_model_kwargs": {}, "tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>",
        "use_default_system_prompt": False,
    }


def write_json(path, content):
    with open(path, "w") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")


def export(checkpoint, tokenizer_path, folder):
    tokenizer = tokenizer_module.load(tokenizer_path)
    c = Config(vocab=tokenizer.vocab_size())
    os.makedirs(folder, exist_ok=True)
    safetensors_file.write_bf16(folder + "/model.safetensors", tensors(torch.load(checkpoint)["model"], c))
    write_json(folder + "/config.json", config(c))
    write_json(folder + "/generation_config.json", {
        "bos_token_id": 1, "eos_token_id": 2, "do_sample": True, "temperature": 0.7, "top_p": 0.95, "transformers_version": "4.40.2"})
    shutil.copyfile(tokenizer_path, folder + "/tokenizer.model")
    write_json(folder + "/tokenizer.json", tokenizer_json.make(tokenizer))
    write_json(folder + "/tokenizer_config.json", tokenizer_config())
    write_json(folder + "/special_tokens_map.json", {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("tokenizer")
    parser.add_argument("folder")
    args = parser.parse_args()
    export(args.checkpoint, args.tokenizer, args.folder)
