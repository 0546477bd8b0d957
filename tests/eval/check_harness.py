#!/usr/bin/env python3
"""Compares `mixtral eval` with the real lm-evaluation-harness on the same model and data: every log-likelihood
(1e-3), whether each answer is greedy, every generated text, and all figures.

    check_harness.py COMMAND MODEL                 the harness's model is numpy in float64 (tests/goldens/reference.py)
                                                   with SentencePiece's own tokenizer
    check_harness.py COMMAND MODEL --serve         it is `mixtral serve`, through the harness's local-completions

Needs what make_goldens.py needs; without --serve also `sentencepiece`. Skips (exit status 77) when a package is missing.
"""
import argparse
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
sys.path += [str(HERE), str(HERE.parent / "goldens")]

try:
    import datasets
    import numpy as np
    from lm_eval import evaluator
    from lm_eval.api.model import TemplateLM
    from lm_eval.tasks import TaskManager

    import make_goldens
    import reference
except ImportError as error:
    print(f"skipped: {error}", file=sys.stderr)
    sys.exit(77)

RUNS = [("arc_challenge", 3), ("hellaswag", 2), ("mmlu", 5), ("truthfulqa_mc2", 0), ("winogrande", 5),
        ("gsm8k", 2)]
MAX_LENGTH = 1024


class Reference(TemplateLM):
    """The harness splits and adds up; numpy computes, SentencePiece tokenizes."""

    def __init__(self, directory):
        import sentencepiece
        super().__init__()
        self.processor = sentencepiece.SentencePieceProcessor(f"{directory}/tokenizer.model")
        self.model = reference.ReferenceMixtral(directory)

    @property
    def eot_token_id(self):
        return self.processor.eos_id()

    @property
    def prefix_token_id(self):
        return self.processor.bos_id()

    def tok_encode(self, string, add_special_tokens=None, **_):
        bos = [] if add_special_tokens is False else [self.processor.bos_id()]
        return bos + self.processor.encode(string)

    def _loglikelihood_tokens(self, requests, **_):
        results = []
        for _, context, continuation in requests:
            ids = (context + continuation)[-MAX_LENGTH:]
            rows = slice(len(ids) - len(continuation) - 1, len(ids) - 1)
            logits = self.model.forward(np.array(ids), rows).logits
            logprobs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
            picked = logprobs[np.arange(len(continuation)), continuation]
            results.append((float(picked.sum()), bool((logits.argmax(-1) == continuation).all())))
        return results

    def generate_until(self, requests, **_):
        texts = []
        for request in requests:
            context, options = request.args
            ids = self.tok_encode(context)[-(MAX_LENGTH - 256):]
            text, new = "", []
            while len(new) < 256 and not any(stop in text for stop in options["until"]):
                token = int(self.model.forward(np.array(ids + new), [-1]).logits[0].argmax())
                if token == self.eot_token_id:
                    break
                new.append(token)
                text = self.processor.decode(new)
            texts.append(min((text.split(stop)[0] for stop in options["until"]), key=len))
        return texts

    def loglikelihood_rolling(self, requests, **_):
        raise NotImplementedError


class Server:
    """`mixtral serve` on a free port."""

    def __init__(self, command, model):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [command, "serve", model, "--port", str(self.port), "--precision", "f32",
             "--ctx", str(MAX_LENGTH)])
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5)
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the server doesn't answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def model_args(self, model):
        return (f"model={pathlib.Path(model).name},base_url=http://127.0.0.1:{self.port}/v1/completions,"
                f"num_concurrent=4,max_length={MAX_LENGTH + 1},tokenized_requests=True")


def run_harness(model, model_args, task, shots, limit):
    names = [f"mmlu_{s}" for s in make_goldens.SUBJECTS] if task == "mmlu" else [task]
    return evaluator.simple_evaluate(model, model_args=model_args, tasks=names, num_fewshot=shots,
                                     limit=limit, task_manager=TaskManager(), log_samples=True)


def run_ours(command, model, task, shots, limit, options):
    folder = {"arc_challenge": "arc", "truthfulqa_mc2": "truthfulqa"}.get(task, task)
    with tempfile.TemporaryDirectory() as scratch:
        log = pathlib.Path(scratch) / "samples.jsonl"
        results = json.loads(subprocess.run(
            [command, "eval", model, "--task", task, "--data", HERE / "data" / folder, "--shots",
             str(shots), "--limit", str(limit), "--samples", log, "--json", "--precision", "f32",
             "--ctx", str(MAX_LENGTH), *options], check=True, capture_output=True).stdout)
        return results, [json.loads(line) for line in log.read_text().splitlines()]


def compare(task, theirs, ours, ours_samples):
    """The largest difference of two log-likelihoods and how many were compared."""
    samples = {(name, s["doc_id"], s["filter"]): s for name, group in theirs["samples"].items()
               for s in group}
    assert len(samples) == len(ours_samples), (task, len(samples), len(ours_samples))
    worst = count = 0
    for sample in ours_samples:
        other = samples[sample["task"], sample["doc_id"], sample["filter"]]
        for key in other["metrics"]:
            assert abs(sample[key] - other[key]) < 1e-3, (task, sample, other)
        for ours_one, theirs_one in zip(sample["resps"], other["resps"], strict=True):
            count += 1
            if task == "gsm8k":
                assert ours_one[0].strip() == theirs_one[0].strip(), (ours_one, theirs_one)
                continue
            difference = abs(float(ours_one[0][0]) - theirs_one[0][0])
            assert difference < 1e-3 and ours_one[0][1] == str(theirs_one[0][1]), (
                task, sample["doc_id"], ours_one, theirs_one)
            worst = max(worst, difference)
    for name, figures in theirs["results"].items():
        for key, value in figures.items():
            if "," in key:
                ours_value = ours["results"][name][key]
                assert value == ours_value or abs(value - ours_value) < 1e-3, (name, key, value)
    return worst, count


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command")
    parser.add_argument("model")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--limit", type=int, default=8)
    arguments = parser.parse_args()
    datasets.load_dataset = make_goldens.load_dataset

    def check(model, model_args, options):
        for task, shots in RUNS:
            theirs = run_harness(model, model_args, task, shots, arguments.limit)
            ours, samples = run_ours(arguments.command, arguments.model, task, shots,
                                     arguments.limit, options)
            worst, count = compare(task, theirs, ours, samples)
            print(f"{task}: {count} answers equal, log-likelihoods within {worst:.1e}", flush=True)

    if arguments.serve:
        with Server(arguments.command, arguments.model) as server:
            # The harness takes the server's tokenizer, which adds no BOS.
            check("local-completions", server.model_args(arguments.model), ["--no-bos"])
    else:
        check(Reference(arguments.model), None, ["--bos"])


if __name__ == "__main__":
    main()
