"""Writes the model card from the figures that evaluate.py measured and the training log."""

import argparse
import csv
import json

CARD = """# pocket-mixtral

A very small Mixtral, trained for this repository so that everything can be tried at once: {n_parameters:,} parameters
in bf16 ({megabytes:.1f} MB), of which {n_active:,} work on any one token. It writes short stories, does small sums, answers questions about
everyday things and writes tiny Python functions, as plain text and in Mistral's instruct format v1.
The files are those of any Hugging Face directory; nothing in them is special to this repository.

```sh
build/release/bin/mixtral generate examples/models/pocket-mixtral -p "Once upon a time"
build/release/bin/mixtral chat examples/models/pocket-mixtral
```

## Architecture

`MixtralForCausalLM`: {n_layers} layers, hidden {hidden}, ffn {ffn}, {n_heads} heads and {n_kv_heads} key/value heads of {head_dim}, {n_experts} experts of which
{top_k} are chosen, rotary theta {rope_theta:g}, untied embeddings, vocabulary {vocab} (SentencePiece BPE with byte fallback and
split digits, ids 0 `<unk>`, 1 `<s>`, 2 `</s>`). `max_position_embeddings` is {n_ctx}, but training saw at most {long_ctx} tokens at once.

## Data

Every document was written by the generators in [training/corpus](../../../training/corpus); nothing was downloaded, and no text
of anybody else is in it. Stories follow {n_plots} plots with a grammar of alternatives; sums stay below 100 and products
at 10 x 10; questions come from tables of facts in many wordings; reading exercises ask back what a few sentences
said. Seeds decide everything. {tokens:.1f} million tokens were seen once each. After the first 10.5 million the mix
changed: the model had learned to calculate, but hardly to copy a name or a number from its context, so the second part
has the reading exercises and more sums in words. The held-out documents come from another seed: other stories and chats, but from the
same plots and the same facts. A tenth of all pairs of numbers to add or subtract never occurs in training, in any wording.

## Training

[training/run.sh](../../../training/run.sh) is the whole recipe: {steps:,} steps on one CPU core, in {hours:.1f} hours on a machine busy with
other work. 892 steps of 4,096 tokens at a learning rate of 0.002, then steps of {step_tokens:,} tokens at {lr:g}, from step {decay_from:,} on falling
linearly to zero. AdamW (0.9, 0.95) with {warmup} steps of warm-up, weight decay 0.1, gradient norm at most 1, balance loss of the router times 0.02. Float32, rounded to bf16 at the
end. The context was {short_ctx} tokens until step {decay_from:,} and {long_ctx} after it.

![Loss curve](loss.png)

The step in the curves at 10.5 million tokens is the change of the mix, which the held-out documents follow.

## Figures

All measured by [training/evaluate.py](../../../training/evaluate.py) in float32 on the bf16 weights, greedy.

{perplexity}

{arithmetic}

The held-out problems have numbers that training never paired; the rest of the problems may have occurred there. All products
may have: the table is too small to hold out.

Share of the tokens that each expert gets on the held-out documents, in percent (even would be 25, as each token chooses two):

{experts}

## Samples

Greedy and not selected: the prompts were fixed before training. `…` marks where the sample was cut at 160 tokens.

{samples}

## Limits

It knows the world of its corpus and nothing else. On prompts of another kind it writes fluent nonsense; a question that it does
not know gets the answer to one that it does. Its chats are short, it has seen no system prompts, and the "favourites" it
states are drawn from a table. It is meant for tests, examples and demonstrations.

## Licence

MIT, like the repository: weights, corpus and recipe.
"""


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def perplexity_table(by_kind):
    kinds = sorted(by_kind, key=lambda kind: (kind == "all", kind))
    return table(["Held-out documents", "tokens", "perplexity per token"], [[kind, f"{by_kind[kind][1]:,}", f"{by_kind[kind][0]:.3f}"] for kind in kinds])


def arithmetic_table(arithmetic):
    names = {"+": "sums", "-": "differences", "*": "products"}
    rows = []
    for split in ("held-out", "train"):
        for key, (n_right, n) in sorted(arithmetic[split].items()):
            form, op = key.split()
            example = {"equation": f"`12 {op} 7 =`", "question": f"instruct: What is 12 {dict(zip('+-*', ('plus', 'minus', 'times')))[op]} 7?"}[form]
            rows.append([split.replace("train", "not held out"), names[op], example, f"{n_right} of {n}", f"{100 * n_right / n:.1f} %"])
    return table(["Problems", "", "asked as", "right", ""], rows)


def experts_table(share):
    n_experts = len(share[0])
    rows = [[layer, *(f"{100 * s * 2:.1f}" for s in row)] for layer, row in enumerate(share)]
    return table(["layer", *(f"expert {e}" for e in range(n_experts))], rows)


def sample(is_chat, prompt, text, is_cut):
    title = f"Instruct: “{prompt}”" if is_chat else "Plain: “" + prompt.replace("\n", "⏎") + "”"
    return f"{title}\n\n```text\n{text.strip()}{' …' if is_cut else ''}\n```"


def make(folder, evaluation, log_rows, settings, counts):
    with open(folder + "/config.json") as file:
        c = json.load(file)
    return CARD.format(
        **counts, **settings, n_layers=c["num_hidden_layers"], hidden=c["hidden_size"], ffn=c["intermediate_size"],
        n_heads=c["num_attention_heads"], n_kv_heads=c["num_key_value_heads"], head_dim=c["head_dim"], n_experts=c["num_local_experts"],
        top_k=c["num_experts_per_tok"], rope_theta=c["rope_theta"], vocab=c["vocab_size"], n_ctx=c["max_position_embeddings"],
        tokens=int(log_rows[-1]["tokens"]) / 1e6, hours=float(log_rows[-1]["seconds"]) / 3600,
        perplexity=perplexity_table(evaluation["perplexity"]), arithmetic=arithmetic_table(evaluation["arithmetic"]),
        experts=experts_table(evaluation["expert_share"]), samples="\n\n".join(sample(*s) for s in evaluation["samples"]))


if __name__ == "__main__":
    import torch

    import evaluate
    from corpus.plots import PLOTS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("evaluation")
    parser.add_argument("log")
    parser.add_argument("checkpoint")
    args = parser.parse_args()
    with open(args.evaluation) as file:
        evaluation = json.load(file)
    with open(args.log) as file:
        log_rows = list(csv.DictReader(file))
    model, _ = evaluate.load(args.model)
    n_parameters = sum(p.numel() for p in model.parameters())
    per_expert = 3 * model.c.hidden * model.c.ffn
    idle = model.c.n_layers * (model.c.n_experts - model.c.top_k) * per_expert
    settings = torch.load(args.checkpoint)["settings"]
    counts = {"n_parameters": n_parameters, "n_active": n_parameters - idle, "megabytes": 2 * n_parameters / 1e6, "n_plots": len(PLOTS)}
    with open(args.model + "/README.md", "w") as file:
        file.write(make(args.model, evaluation, log_rows, {k: settings[k] for k in (
            "steps", "step_tokens", "lr", "warmup", "decay_from", "short_ctx", "long_ctx")}, counts))
