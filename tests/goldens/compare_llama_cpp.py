#!/usr/bin/env python3
"""Holds GGUF files against llama.cpp, in both directions: tokens, logits, greedy text and types of tensors. Not
part of tests/run.sh, since llama.cpp takes long to build. docs/model_files.md has the results.

    python3 -m venv VENV
    VENV/bin/pip install -r benchmarks/requirements.txt
    VENV/bin/python tests/goldens/compare_llama_cpp.py build/release/bin/mixtral examples/models/pocket-mixtral

Files that `mixtral convert` wrote are run by llama.cpp; files that llama.cpp quantised are run by `mixtral` and
compared, type by type, with what `mixtral convert` writes under the same name.
"""
import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

from tokenizer_inputs import SENTENCES

PROMPTS = ["Once upon a time", "The little fox was", "Tom and Lily went to the park. They"]
N_NEW = 40
TYPES = {"q2_k": "MOSTLY_Q2_K", "q3_k_s": "MOSTLY_Q3_K_S", "q3_k_m": "MOSTLY_Q3_K_M",
         "q3_k_l": "MOSTLY_Q3_K_L", "q4_0": "MOSTLY_Q4_0", "q4_1": "MOSTLY_Q4_1",
         "q4_k_s": "MOSTLY_Q4_K_S", "q4_k_m": "MOSTLY_Q4_K_M", "q5_0": "MOSTLY_Q5_0",
         "q5_1": "MOSTLY_Q5_1", "q5_k_s": "MOSTLY_Q5_K_S", "q5_k_m": "MOSTLY_Q5_K_M",
         "q6_k": "MOSTLY_Q6_K", "q8_0": "MOSTLY_Q8_0", "iq4_nl": "MOSTLY_IQ4_NL",
         "iq4_xs": "MOSTLY_IQ4_XS", "mxfp4_moe": "MOSTLY_MXFP4_MOE"}


class Ours:
    def __init__(self, command, scratch):
        self.command = command
        self.scratch = scratch

    def run(self, *arguments, stdin=None):
        return subprocess.run([self.command, *map(str, arguments)], check=True, capture_output=True,
                              input=stdin).stdout.decode()

    def tokens(self, path, text):
        return json.loads(self.run("tokenize", path, "--no-bos", "--json", stdin=text.encode()))["ids"]

    def logits(self, path, ids, *options):
        out = self.scratch / "logits.npy"
        self.run("logits", path, "--ids", ",".join(map(str, ids)), "--output", out, *options)
        return np.load(out)

    def greedy(self, path, ids):
        """By the logits of whole sequences, so that both sides choose in the same way."""
        ids = list(ids)
        for _ in range(N_NEW):
            ids.append(int(self.logits(path, ids, "--precision", "f32")[-1].argmax()))
        return ids


class Theirs:
    def __init__(self, path):
        self.llama = llama_cpp.Llama(str(path), n_ctx=256, n_batch=256, n_threads=2, logits_all=True,
                                     verbose=False, type_k=0, type_v=0)  # f32 caches

    def tokens(self, text):
        return self.llama.tokenize(text.encode(), add_bos=False, special=False)

    def logits(self, ids):
        self.llama.reset()
        self.llama.eval(list(ids))
        return np.array(self.llama.scores[:len(ids)])

    def greedy(self, ids):
        ids = list(ids)
        self.llama.reset()
        self.llama.eval(ids)
        for _ in range(N_NEW):
            ids.append(int(np.array(self.llama.scores[len(ids) - 1]).argmax()))
            self.llama.eval(ids[-1:])
        return ids


def relative_error(actual, expected):
    return float(np.sqrt(np.mean((actual - expected) ** 2) / np.mean(expected ** 2)))


def compare(name, ours, path):
    theirs = Theirs(path)
    same_tokens = all(ours.tokens(path, text) == theirs.tokens(text) for text in SENTENCES)
    ids = [1] + ours.tokens(path, " ".join(PROMPTS))
    expected = theirs.logits(ids)
    exact = relative_error(ours.logits(path, ids, "--precision", "f32"), expected)
    fast = relative_error(ours.logits(path, ids), expected)
    starts = [[1] + ours.tokens(path, prompt) for prompt in PROMPTS]
    same_text = sum(ours.greedy(path, start) == theirs.greedy(start) for start in starts)
    print(f"{name:24} tokens {'equal' if same_tokens else 'DIFFER'}, logits {exact:.1e} (f32), {fast:.1e} (auto), "
          f"greedy texts equal {same_text} of {len(starts)}", flush=True)


def types_of(path):
    return {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}


def quantise(source, target, file_type):
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_{file_type}")
    parameters.allow_requantize = True
    code = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters))
    assert code == 0, code


def main():
    command, model = sys.argv[1:]
    print(f"llama-cpp-python {llama_cpp.__version__}, gguf 0.19.0, {model}")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        ours = Ours(command, scratch)
        print("written by mixtral convert:")
        for to in "f32", "f16", "bf16", "q8_0", "q4_k_m", "nvfp4", "tq1_0", "tq2_0":
            path = scratch / f"{to}.gguf"
            ours.run("convert", model, path, "--to", to)
            compare(to, ours, path)
        print("quantised by llama.cpp:")
        for name, file_type in TYPES.items():
            path, own = scratch / f"theirs-{name}.gguf", scratch / f"ours-{name}.gguf"
            quantise(scratch / "f32.gguf", path, file_type)
            ours.run("convert", model, own, "--to", name)
            compare(name, ours, path)
            theirs, mine = types_of(path), types_of(own)
            different = [f"{t}: {theirs[t]}, not {mine.get(t)}" for t in theirs if mine.get(t) != theirs[t]]
            print("  the types of all tensors are ours" if not different else f"  {different}", flush=True)


if __name__ == "__main__":
    main()
