"""Measures an exported model: perplexity by kind of document, arithmetic, use of the experts, samples.

Everything is computed in float32 from the bf16 file. The held-out documents come from a seed of
their own; held-out problems never occur in the training documents (see corpus/arithmetic.py).
"""

import argparse
import collections
import itertools
import json
import math
import random

import torch
from torch.nn import functional as F

import corpus
import data
import safetensors_file
import tokenizer as tokenizer_module
from corpus import arithmetic
from model import Config, Mixtral

N_DOCUMENTS = 800
N_PROBLEMS = 400
PROBLEM_SEED = 300
N_SAMPLE = 160  # tokens of a sample at most
PROMPTS = [
    (False, "Once upon a time"), (False, "Lily and Tom went to the beach"), (False, "The fox was very proud."), (False, "12 + 7 ="),
    (False, "What is your favourite condiment?"), (False, "Do you have mayonnaise recipes?"), (False, "Question: Why does it rain?\nAnswer:"),
    (True, "What is your favourite condiment?"), (True, "Do you have mayonnaise recipes?"), (True, "What is 38 plus 45?"),
    (True, "What is the opposite of loud?"), (True, "Tell me a story about a lost kite."), (True, "Write a Python function that checks whether a number is even."),
]


def load(folder):
    """Returns the model of an exported directory and its tokenizer."""
    tokenizer = tokenizer_module.load(folder + "/tokenizer.model")
    c = Config(vocab=tokenizer.vocab_size())
    tensors = safetensors_file.read_bf16(folder + "/model.safetensors")
    state = {}
    for name, tensor in tensors.items():
        if ".experts." not in name:
            state[name.replace("model.", "", 1)] = tensor
    for i in range(c.n_layers):
        moe = f"layers.{i}.block_sparse_moe."
        experts = [{w: tensors[f"model.{moe}experts.{e}.{w}.weight"] for w in ("w1", "w2", "w3")} for e in range(c.n_experts)]
        state[moe + "w13"] = torch.stack([torch.cat([x["w1"], x["w3"]]) for x in experts])
        state[moe + "w2"] = torch.stack([x["w2"] for x in experts])
    model = Mixtral(c)
    model.load_state_dict(state)
    return model.eval(), tokenizer


@torch.no_grad()
def perplexity(model, tokenizer):
    """Returns {kind: (perplexity, n_tokens)} and the share of the tokens of each expert, [n_layers, n_experts]."""
    loss, n_tokens, counts = collections.Counter(), collections.Counter(), 0
    for document in itertools.islice(corpus.documents(data.HELD_OUT_SEED), N_DOCUMENTS):
        ids = torch.tensor([tokenizer_module.encode(tokenizer, document)])
        logits, _, count = model(ids[:, :-1])
        for kind in (document.kind, "all"):
            loss[kind] += F.cross_entropy(logits[0], ids[0, 1:], reduction="sum").item()
            n_tokens[kind] += ids.shape[1] - 1
        counts = counts + count
    share = counts / counts.sum(1, keepdim=True)
    return {kind: (math.exp(loss[kind] / n_tokens[kind]), n_tokens[kind]) for kind in n_tokens}, share.tolist()


def prompt_ids(tokenizer, is_chat, text):
    return [tokenizer.bos_id()] + tokenizer.encode(f"[INST] {text} [/INST]" if is_chat else text)


@torch.no_grad()
def greedy(model, tokenizer, prompts, n_new):
    """Greedy continuations of lists of ids, in batches of prompts of the same length; returns (text, is_cut) without the prompt."""
    by_length, out = collections.defaultdict(list), {}
    for prompt in prompts:
        by_length[len(prompt)].append(prompt)
    for length, group in by_length.items():
        ids = torch.tensor(group)
        for _ in range(n_new):
            ids = torch.cat([ids, model(ids)[0][:, -1].argmax(-1, keepdim=True)], dim=1)
        for prompt, row in zip(group, ids[:, length:].tolist()):
            has_ended = tokenizer.eos_id() in row
            out[tuple(prompt)] = tokenizer.decode(row[:row.index(tokenizer.eos_id())] if has_ended else row), not has_ended
    return [out[tuple(prompt)] for prompt in prompts]


def is_right(text, expected):
    """True if the first line's last number is the expected one, so "12 + 7 = 19." and "19" both count."""
    numbers = "".join(ch if ch.isdigit() else " " for ch in text.split("\n")[0]).split()
    return bool(numbers) and int(numbers[-1]) == expected


def arithmetic_accuracy(model, tokenizer, split):
    """Returns {(form, op): (n_right, n)} for equations and for instruct questions, greedy."""
    rng = random.Random(PROBLEM_SEED)
    problems = set()
    while len(problems) < N_PROBLEMS:
        problems.add(arithmetic.problem(rng, split))
    tally = collections.defaultdict(lambda: [0, 0])
    problems = sorted(problems)
    forms = {"equation": (False, {op: "{a} " + op + " {b} =" for op in "+-*"}),
             "question": (True, {"+": "What is {a} plus {b}?", "-": "What is {a} minus {b}?", "*": "What is {a} times {b}?"})}
    for form, (is_chat, texts) in forms.items():
        prompts = [prompt_ids(tokenizer, is_chat, texts[op].format(a=a, b=b)) for op, a, b in problems]
        for (op, a, b), (text, _) in zip(problems, greedy(model, tokenizer, prompts, 6 if form == "equation" else 16)):
            tally[form, op][0] += is_right(text, arithmetic.result(op, a, b))
            tally[form, op][1] += 1
    return {f"{form} {op}": counts for (form, op), counts in tally.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--json", help="write the figures to this file too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load(args.model)
    by_kind, share = perplexity(model, tokenizer)
    report = {"perplexity": by_kind, "expert_share": share,
              "arithmetic": {split: arithmetic_accuracy(model, tokenizer, split) for split in ("held-out", "train")},
              "samples": [(is_chat, text, *greedy(model, tokenizer, [prompt_ids(tokenizer, is_chat, text)], N_SAMPLE)[0]) for is_chat, text in PROMPTS]}
    print(json.dumps(report, indent=1, ensure_ascii=False))
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1, ensure_ascii=False)
