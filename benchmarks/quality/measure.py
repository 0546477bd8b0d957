"""Measures what the weight formats and mixtures cost in quality, and draws it against their bits per weight.

    measure.py results.json --command build/release/bin/mixtral --plot docs/quantisation \\
        --model pocket-mixtral=examples/models/pocket-mixtral=held_out.ids --model SmolLM2=smollm2=smollm2/text.ids

Each MODEL=DIRECTORY=IDS is packed by every recipe (`mixtral convert`) and compared with itself in f32
(`mixtral perplexity --kl-base`). What results.json holds already isn't measured again. Bits per weight are those
of Mixtral 8x7B and 8x22B, in which experts weigh more than in a small model.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import tempfile

import plot

TYPES = ["f16", "bf16", "q8_0", "q6_k", "q5_k", "q5_1", "q5_0", "q4_k", "q4_1", "q4_0",
         "iq4_nl", "iq4_xs", "mxfp4", "q3_k", "q2_k"]
MIXTURES = ["iq4_xs_mixed", "q3_k_mixed", "q4_k_mixed", "q5_k_mixed"]


def recipe(default, **types):
    """Types by role; an _ at the end stands for any ending: attention_ are four matrices."""
    rules = [{"tensors": role + "*" if role.endswith("_") else role, "type": type} for role, type in types.items()]
    return {"default": default, "rules": rules}


# What was tried besides. lm_head is q6_k but in the first.
CANDIDATES = {
    "iq4_xs + attention q8_0 alone": recipe("iq4_xs", attention_="q8_0"),
    "iq4_xs + attention q6_k": recipe("iq4_xs", attention_="q6_k", lm_head="q6_k"),
    "iq4_xs + attention q8_0": recipe("iq4_xs", attention_="q8_0", lm_head="q6_k"),
    "iq4_xs + down q4_k": recipe("iq4_xs", attention_="q8_0", lm_head="q6_k", expert_down="q4_k"),
    "iq4_xs + down q5_k": recipe("iq4_xs", attention_="q8_0", lm_head="q6_k", expert_down="q5_k"),
    "iq4_nl + attention q8_0": recipe("iq4_nl", attention_="q8_0", lm_head="q6_k"),
    "q4_k + attention q6_k": recipe("q4_k", attention_="q6_k", lm_head="q6_k"),
    "q4_k + attention q8_0": recipe("q4_k", attention_="q8_0", lm_head="q6_k"),
    "q3_k + down q4_k": recipe("q3_k", attention_="q8_0", lm_head="q6_k", expert_down="q4_k"),
}

Shape = collections.namedtuple("Shape", "n_layers hidden ffn q_dim kv_dim n_experts vocab")
SHAPES = {"8x7b": Shape(32, 4096, 14336, 4096, 1024, 8, 32000), "8x22b": Shape(56, 6144, 16384, 6144, 1024, 8, 32000)}


def elements(shape, role):
    """Of all matrices of one role in one layer, or of one outside the layers."""
    return {"embedding": shape.vocab * shape.hidden, "lm_head": shape.vocab * shape.hidden, "final_norm": shape.hidden,
            "attention_query": shape.q_dim * shape.hidden, "attention_output": shape.q_dim * shape.hidden,
            "attention_key": shape.kv_dim * shape.hidden, "attention_value": shape.kv_dim * shape.hidden,
            "attention_norm": shape.hidden, "ffn_norm": shape.hidden, "router": shape.n_experts * shape.hidden,
            "expert_gate": shape.n_experts * shape.ffn * shape.hidden, "expert_up": shape.n_experts * shape.ffn * shape.hidden,
            "expert_down": shape.n_experts * shape.ffn * shape.hidden}[role]


class Command:
    def __init__(self, path, scratch, threads):
        self.path, self.scratch, self.threads = path, pathlib.Path(scratch), threads

    def run(self, command, *arguments):
        line = [self.path, command, *map(str, arguments)]
        return subprocess.run(line, check=True, text=True, stdout=subprocess.PIPE).stdout

    def json(self, command, *arguments):
        return json.loads(self.run(command, *arguments, "--json"))

    def pack(self, source, name):
        """Packs by a recipe's name into the scratch file; returns its path and the report."""
        path = self.scratch / "packed.mixtral"
        if name in CANDIDATES:
            recipe_file = self.scratch / "recipe.json"
            recipe_file.write_text(json.dumps(CANDIDATES[name]))
            how = ["--recipe", recipe_file]
        else:
            how = ["--to", name]
        return path, self.json("convert", source, path, "--force", "-t", self.threads, *how)


def bits_per_weight(command, name):
    """By shape: packs a narrow model for the type of each tensor, and weighs them by true sizes."""
    bits = {}
    for shape_name, shape in SHAPES.items():
        n_layers = shape.n_layers if name in MIXTURES else 1  # only mixtures tell layers apart
        narrow = command.scratch / f"narrow-{n_layers}"
        if not narrow.exists():
            command.run("synth", narrow, "--shape", f"256x256x{n_layers}x2x2x1x256")
        path, _ = command.pack(narrow, name)
        total = weights = 0
        for tensor in command.json("info", path, "--tensors")["tensors"]:
            role = tensor["name"].removeprefix("layers.").lstrip("0123456789.").split(".")[0]
            n = elements(shape, role) * (shape.n_layers // n_layers if tensor["name"].startswith("layers.") else 1)
            total += n * 8 * tensor["bytes"] / (tensor["rows"] * tensor["cols"])
            weights += n
        bits[shape_name] = total / weights
    return bits


def quality(command, model, ids, name, n_ctx):
    path, report = command.pack(model, name)
    found = command.json("perplexity", path, ids, "--ids", "--kl-base", model, "--ctx", n_ctx, "--stride", n_ctx,
                         "-t", command.threads)
    kl = found["kl"]
    return {"file_bytes": report["file_bytes"], "bits_per_weight": report["bits_per_weight"], "n_tokens": found["n_tokens"],
            "perplexity": found["perplexity"], "reference_perplexity": kl["reference_perplexity"], "kl": kl["mean"],
            "kl_standard_error": kl["standard_error"], "kl_99": kl["percentile_99"], "top_1": kl["top_1_agreement"]}


def table(results, model):
    """In Markdown, by bits per weight."""
    lines = ["| recipe | file MB | bits/weight here | 8x7B | 8x22B | perplexity | mean KL | 99 % KL | same top token |",
             "|---|---|---|---|---|---|---|---|---|"]
    for name, result in sorted(results.items(), key=lambda item: -item[1]["bits"]["8x7b"]):
        if (found := result["models"].get(model)) is None:
            continue
        lines.append(f"| {name} | {found['file_bytes'] / 1e6:.1f} | {found['bits_per_weight']:.2f} | "
                     f"{result['bits']['8x7b']:.2f} | {result['bits']['8x22b']:.2f} | {found['perplexity']:.4f} | "
                     f"{found['kl']:.5f} | {found['kl_99']:.4f} | {100 * found['top_1']:.2f} % |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--command", required=True)
    parser.add_argument("--model", action="append", default=[], metavar="MODEL=DIRECTORY=IDS")
    parser.add_argument("--recipes", help="some of them, with commas between (default: all)")
    parser.add_argument("--ctx", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", metavar="PREFIX", help="writes PREFIX.png and PREFIX.svg")
    args = parser.parse_args()
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    names = args.recipes.split(",") if args.recipes else [*TYPES, *MIXTURES, *CANDIDATES]
    models = [model.split("=") for model in args.model]
    with tempfile.TemporaryDirectory() as scratch:
        command = Command(args.command, scratch, args.threads)
        for model, directory, ids in models:
            for name in names:
                result = results.setdefault(name, {"models": {}})
                if "bits" not in result:
                    result["bits"] = bits_per_weight(command, name)
                if model not in result["models"]:
                    result["models"][model] = quality(command, directory, ids, name, args.ctx)
                    print(model, name, result["bits"], result["models"][model], flush=True)
                args.results.write_text(json.dumps(results, indent=1))
    for model in dict.fromkeys(model for result in results.values() for model in result["models"]):
        print(f"\n{model}\n\n{table(results, model)}")
    if args.plot:
        plot.draw(results, args.plot)


if __name__ == "__main__":
    main()
