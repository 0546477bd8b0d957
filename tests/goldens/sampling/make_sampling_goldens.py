#!/usr/bin/env python3
"""Writes sampling.json: what Hugging Face's LogitsProcessors, chained in the order in which
transformers' generate() chains them, make of random logits; and tokens drawn from them by inversion
with SplitMix64, the generator that the library documents.

Made with transformers 4.44.2, torch 1.13.0 (Debian 12's python3-torch) and numpy 1.24.2:

    python3 -m venv --system-site-packages VENV
    VENV/bin/pip install transformers==4.44.2 'numpy<2'
    VENV/bin/python make_sampling_goldens.py
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

VOCAB = 40
N_ROWS = 6


def chain(options):
    processors = LogitsProcessorList()
    if options["logit_bias"]:
        bias = {(int(token),): value for token, value in options["logit_bias"].items()}
        processors.append(SequenceBiasLogitsProcessor(bias))
    if options["repetition_penalty"] != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
    processors.append(TemperatureLogitsWarper(options["temperature"]))
    if options["top_k"] > 0:
        processors.append(TopKLogitsWarper(options["top_k"]))
    if options["top_p"] < 1:
        processors.append(TopPLogitsWarper(options["top_p"]))
    if options["min_p"] > 0:
        processors.append(MinPLogitsWarper(options["min_p"]))
    return processors


def all_options():
    plain = {"logit_bias": {}, "repetition_penalty": 1.0, "temperature": 1.0, "top_k": 0,
             "top_p": 1.0, "min_p": 0.0}
    single = [{"temperature": t} for t in (0.1, 0.7, 1.0, 2.5)]
    single += [{"top_k": k} for k in (1, 2, 7, 39, 40, 1000)]
    single += [{"top_p": p} for p in (0.01, 0.3, 0.8, 0.95, 0.999)]
    single += [{"min_p": p} for p in (0.001, 0.05, 0.3, 1.0)]
    single += [{"repetition_penalty": p} for p in (0.5, 1.1, 1.8)]
    single += [{"logit_bias": {"3": 2.5, "17": -4.0, "39": 0.125}}]
    combined = [
        {"logit_bias": bias, "repetition_penalty": r, "temperature": t, "top_k": k, "top_p": p,
         "min_p": m}
        for bias, r, t, k, p, m in itertools.product(
            ({}, {"5": 1.5}), (1.0, 1.3), (0.6, 1.7), (0, 12), (1.0, 0.85), (0.0, 0.1))
    ]
    return [plain | changed for changed in single + combined]


def splitmix64(state):
    """The generator of Steele, Lea and Flood (2014) as Vigna's splitmix64.c states it."""
    mask = 2**64 - 1
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def draws(logits, seed, count):
    """Ids drawn by inversion, in id order, from the softmax of `logits`."""
    cumulative = torch.softmax(torch.tensor(logits, dtype=torch.float64), dim=-1).cumsum(-1)
    stream = splitmix64(next(splitmix64(seed)))
    uniforms = [(next(stream) >> 11) * 2.0**-53 for _ in range(count)]
    assert all((cumulative - u).abs().min() > 1e-9 for u in uniforms)  # no draw is at an edge
    return [int((cumulative <= u).sum()) for u in uniforms]


def main():
    generator = np.random.default_rng(20240101)
    logits = (generator.standard_normal((N_ROWS, VOCAB)) * 3).astype(np.float32)
    # Distinct values: transformers keeps every tie at the edge of top-k, this library the lower ids.
    assert all(len(set(row.tolist())) == VOCAB for row in logits)
    prompts = [generator.integers(0, VOCAB, size=12).tolist() for _ in range(N_ROWS)]

    cases = []
    for number, options in enumerate(all_options()):
        row = number % N_ROWS
        # In double, so that a rounding at the edge of top-p can't decide what is kept.
        scores = chain(options)(torch.tensor([prompts[row]]),
                                torch.tensor(logits[row:row + 1], dtype=torch.float64))
        probabilities = torch.softmax(scores, dim=-1)[0].tolist()
        kept = {str(token): p for token, p in enumerate(probabilities) if p > 0}
        cases.append({"row": row, "options": options, "probabilities": kept})

    golden = {"transformers": transformers.__version__, "torch": torch.__version__,
              "numpy": np.__version__, "vocab": VOCAB, "prompts": prompts,
              "logits": logits.tolist(), "cases": cases,
              "draws": [{"row": row, "seed": seed, "ids": draws(logits[row], seed, 32)}
                        for row, seed in ((0, 0), (1, 1), (2, 2), (3, 123456789))]}
    path = Path(__file__).with_name("sampling.json")
    path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"row"', '\n{"row"') + "\n")
    print(f"{path}: {len(cases)} cases")


if __name__ == "__main__":
    main()
