#!/usr/bin/env python3
"""Makes tests/eval/data/goldens.json: what the real lm-evaluation-harness asks and computes on the data sets
of make_data.py, with a model whose answers are a function of the prompt alone (FakeModel, which the
tests repeat). Also numbers of Python's own random module and results of its text functions.

    python3 -m venv VENV && VENV/bin/pip install 'lm-eval[api]==0.4.13' pyarrow==26.0.1
    VENV/bin/python make_goldens.py [--v1 DIR]

DIR is a checkout of the harness at the leaderboard's commit,
b281b0921b636bc36ad05c0b0b0763bd6dd43463; without it the goldens of its rules stay as they are.
"""
import argparse
import functools
import importlib
import json
import pathlib
import random
import re
import sys
import types
import unittest.mock
import zlib

import datasets

DATA = pathlib.Path(__file__).parent / "data"
FOLDERS = {"allenai/ai2_arc": "arc", "ai2_arc": "arc", "Rowan/hellaswag": "hellaswag",
           "hellaswag": "hellaswag", "cais/mmlu": "mmlu", "truthfulqa/truthful_qa": "truthfulqa",
           "truthful_qa": "truthfulqa", "allenai/winogrande": "winogrande",
           "winogrande": "winogrande", "openai/gsm8k": "gsm8k", "gsm8k": "gsm8k"}
SUBJECTS = sorted(path.name for path in (DATA / "mmlu").iterdir())
SHOTS = {"arc_challenge": [0, 3, 25], "hellaswag": [2, 4], "mmlu": [5], "truthfulqa_mc2": [0],
         "winogrande": [0, 5], "gsm8k": [5]}


def load_dataset(path, name=None, **_):
    return load_directory(DATA / FOLDERS[path] / (name or "data"))


@functools.cache  # the mocks that the old harness gets are too much for `datasets`
def load_directory(directory):
    splits = {file.name.split("-")[0]: str(file) for file in directory.glob("*.parquet")}
    return datasets.DatasetDict(
        {split: datasets.Dataset.from_parquet(file) for split, file in sorted(splits.items())})


class FakeModel:
    """Likelihoods and answers by the checksum of the prompt; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def likelihood(self, context, continuation):
        self.asked.append([context, continuation])
        crc = zlib.crc32((context + "\0" + continuation).encode())
        return -(crc % 9973) / 499, crc % 3 == 0

    def answer(self, context, stop):
        self.asked.append([context, stop])
        crc = zlib.crc32(context.encode())
        numbers = re.findall("[0-9]+", context[context.rindex("Question"):])
        total = sum(map(int, numbers))
        return [f" They have {total}.\n#### {total}", f" #### {total}.\n\nQ", f" That is ${total}.",
                f" #### 7 or {total}", " I don't know.", f" #### -{total}, so {total:,}."][crc % 6]


def current():
    import lm_eval
    from lm_eval import evaluator, tasks
    from lm_eval.api.model import LM

    class Model(LM):
        def __init__(self):
            super().__init__()
            self.fake = FakeModel()

        def loglikelihood(self, requests):
            return [self.fake.likelihood(*r.args) for r in requests]

        def generate_until(self, requests):
            return [self.fake.answer(r.args[0], r.args[1]["until"]) for r in requests]

        def loglikelihood_rolling(self, requests):
            raise NotImplementedError

    manager = tasks.TaskManager()
    cases = []
    for task, shots in SHOTS.items():
        names = [f"mmlu_{subject}" for subject in SUBJECTS] if task == "mmlu" else [task]
        for n_shots in shots:
            for limit in [None, 3]:
                model = Model()
                loaded = evaluator.simple_evaluate(
                    model, tasks=names, num_fewshot=n_shots, limit=limit, task_manager=manager)
                keys = ["results", "versions", "n-shot", "n-samples", "higher_is_better"]
                result = {key: loaded[key] for key in keys}
                if task == "mmlu":
                    result["groups"] = {"mmlu": group(loaded["results"])}
                cases.append({"rules": "current", "task": task, "shots": n_shots, "limit": limit,
                              "asked": [] if limit else model.fake.asked, **result})
    return lm_eval.__version__, cases


def group(results):
    """The harness's own aggregate of a group, over the subjects that the data set has."""
    from lm_eval.api.metrics import aggregate_subtask_metrics, pooled_sample_stderr
    sizes = [r["sample_len"] for r in results.values()]
    return {"acc,none": aggregate_subtask_metrics([r["acc,none"] for r in results.values()], sizes),
            "acc_stderr,none": float(pooled_sample_stderr(
                [r["acc_stderr,none"] for r in results.values()], sizes))}


def v1(source):
    """Runs the old task classes and the old evaluator; what they import and don't use here is a mock."""
    sys.path.insert(0, str(source))
    for name in ["torch", "torch.nn", "torch.nn.functional", "transformers", "lm_eval.models",
                 "lm_eval.decontamination", "lm_eval.decontamination.decontaminate", "accelerate", "omegaconf"]:
        sys.modules[name] = unittest.mock.MagicMock()
    for name in [n for n in sys.modules if n == "lm_eval" or n.startswith("lm_eval.")]:
        if not isinstance(sys.modules[name], unittest.mock.MagicMock):
            del sys.modules[name]
    package = types.ModuleType("lm_eval.tasks")
    package.__path__ = [str(source / "lm_eval" / "tasks")]
    sys.modules["lm_eval.tasks"] = package

    classes = {"arc_challenge": ("arc", "ARCChallenge"), "hellaswag": ("hellaswag", "HellaSwag"),
               "truthfulqa_mc2": ("truthfulqa", "TruthfulQAMultipleChoice"),
               "winogrande": ("winogrande", "Winogrande"), "gsm8k": ("gsm8k", "GradeSchoolMath8K")}
    base = importlib.import_module("lm_eval.base")
    package.arc = importlib.import_module("lm_eval.tasks.arc")
    evaluator = importlib.import_module("lm_eval.evaluator")

    class Model(base.LM):
        def __init__(self):
            super().__init__()
            self.fake = FakeModel()

        def loglikelihood(self, requests):
            return [self.fake.likelihood(*r) for r in requests]

        def greedy_until(self, requests):
            return [self.fake.answer(r[0], r[1]["until"]) for r in requests]

        def loglikelihood_rolling(self, requests):
            raise NotImplementedError

    def objects(task):
        if task == "mmlu":
            module = importlib.import_module("lm_eval.tasks.hendrycks_test")
            return {f"mmlu_{subject}": module.create_task(subject)() for subject in SUBJECTS}
        module, name = classes[task]
        return {task: getattr(importlib.import_module(f"lm_eval.tasks.{module}"), name)()}

    cases = []
    for task, shots in SHOTS.items():
        for n_shots in shots:
            for limit in [None, 3]:
                model = Model()
                result = evaluator.evaluate(lm=model, task_dict=objects(task), num_fewshot=n_shots,
                                            limit=limit)
                cases.append({"rules": "leaderboard-v1", "task": task, "shots": n_shots,
                              "limit": limit, "asked": [] if limit else model.fake.asked,
                              "results": result["results"], "versions": result["versions"]})
    return cases


def python_functions():
    randoms = []
    for seed in [0, 42, 1234, 2**32 - 1]:
        rng = random.Random(seed)
        shuffled = list(range(50))
        rng.shuffle(shuffled)
        samples = [[n, k, rng.sample(range(n), k)]
                   for n, k in [(5, 5), (21, 5), (22, 5), (85, 6), (86, 6), (1119, 25), (277, 25),
                                (276, 25), (39905, 11), (7473, 5), (1, 1), (64, 3)]]
        randoms.append({"seed": seed, "below": [rng.randrange(n) for n in range(1, 200)],
                        "big": [rng.randrange(2**40 + i) for i in range(5)],
                        "shuffled": shuffled, "samples": samples})
    texts = ["", "abc", " a b ", "ÉTÉ İs Ω", "ǆABC", "straSSE", "\u00a0x\u3000\x1c\x85", "éCOLE", "1A",
             "ŉ", "ΑΒΓ Δ", "🙂Hi", "\u200bx\u200b", "  ", "ﬁSH", "TİTLE"]
    spaces = [code for code in range(0x110000) if chr(code).isspace()]
    return {"random": randoms,
            "texts": [{"text": t, "strip": t.strip(), "rstrip": t.rstrip(), "length": len(t),
                       "capitalize": t.capitalize()} for t in texts],
            "spaces": spaces}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--v1", type=pathlib.Path)
    arguments = parser.parse_args()
    datasets.load_dataset = load_dataset
    path = DATA / "goldens.json"
    old_cases = []
    if path.exists():
        old_cases = [c for c in json.loads(path.read_text())["cases"] if c["rules"] != "current"]
    version, cases = current()
    if arguments.v1:
        old_cases = v1(arguments.v1)
    goldens = {"made_with": {"lm_eval": version, "datasets": datasets.__version__,
                             "python": sys.version.split()[0],
                             "v1": "b281b0921b636bc36ad05c0b0b0763bd6dd43463"},
               "python": python_functions(), "cases": cases + old_cases}
    path.write_text(json.dumps(goldens, ensure_ascii=False, indent=None,
                               default=lambda o: getattr(o, "item", str)()) + "\n")


if __name__ == "__main__":
    main()
