"""eval: the shipped model on questions of its own domain, and what the command writes."""

import json
import math
import pathlib
import unittest

from support import (BAD_MODEL, IO, MODEL, SOURCE, USAGE, CommandTest, read_npy)

SETS = SOURCE / "examples" / "eval"
DATA = SOURCE / "tests" / "eval" / "data"
EVERYDAY = ("--task", "arc_challenge", "--data", SETS / "everyday", "--shots", 0)


class Eval(CommandTest):
    def samples(self, *arguments):
        """The results and the log of samples."""
        path = self.scratch / "samples.jsonl"
        results = self.json("eval", MODEL, *arguments, "--samples", path)
        return results, [json.loads(line) for line in path.read_text().splitlines()]

    def test_the_shipped_model_answers_questions(self):
        results, samples = self.samples(*EVERYDAY, "--limit", 60)
        figures = results["results"]["arc_challenge"]
        self.assertEqual(figures["sample_len"], 60)
        self.assertGreater(figures["acc,none"], 0.8)  # chance: 0.25
        self.assertAlmostEqual(figures["acc,none"], sum(s["acc"] for s in samples) / 60)
        self.assertEqual(results["n-samples"]["arc_challenge"], {"original": 200, "effective": 60})
        self.assertEqual(results["config"]["limit"], 60)
        self.assertTrue(results["config"]["add_bos_token"])

    def test_the_shipped_model_calculates(self):
        results, samples = self.samples("--task", "gsm8k", "--data", SETS / "sums", "--shots", 0,
                                        "--limit", 20)
        figures = results["results"]["gsm8k"]
        self.assertGreater(figures["exact_match,flexible-extract"], 0.7)
        self.assertEqual(len(samples), 40)  # two ways to find the number
        for sample in samples:
            self.assertNotIn("Question:", sample["resps"][0][0])

    def test_a_likelihood_is_the_sum_of_the_logits_command(self):
        _, samples = self.samples(*EVERYDAY, "--limit", 3, "--precision", "f32")
        for sample in samples:
            arguments = sample["arguments"]["gen_args_0"]
            context, continuation = arguments["arg_0"], arguments["arg_1"]
            n_context = len(self.ids(context))
            ids = self.ids(context + continuation)
            path = self.scratch / "logits.npy"
            self.output("logits", MODEL, "--ids", ",".join(map(str, ids)), "-o", path,
                        "--precision", "f32")
            rows, _ = read_npy(path)
            expected = sum(logits[token] - math.log(math.fsum(map(math.exp, logits)))
                           for logits, token in zip(rows[n_context - 1:], ids[n_context:]))
            self.assertAlmostEqual(float(sample["resps"][0][0][0]), expected, delta=1e-4)

    def ids(self, text):
        return list(map(int, self.output("tokenize", MODEL, "--ids", text).split(",")))

    def test_figures_dont_depend_on_the_batch(self):
        arguments = ("--task", "hellaswag", "--data", DATA / "hellaswag", "--shots", 2)
        logs = [self.samples(*arguments, "--batch", batch)[1] for batch in (1, 5)]
        self.assertEqual(*logs)
        arguments = ("--task", "gsm8k", "--data", SETS / "sums", "--shots", 0, "--limit", 8)
        logs = [self.samples(*arguments, "--batch", batch)[1] for batch in (1, 8)]
        self.assertEqual(*logs)

    def test_shared_beginnings_are_computed_once(self):
        results = self.json("eval", MODEL, "--task", "mmlu", "--data", DATA / "mmlu", "--limit", 2)
        tokens = results["prompt_tokens"]
        self.assertGreater(tokens["shared"], 4 * tokens["computed"])

    def test_rules_of_the_leaderboard(self):
        results, samples = self.samples("--task", "truthfulqa_mc2", "--data", DATA / "truthfulqa",
                                        "--rules", "leaderboard-v1")
        self.assertIn("mc2,none", results["results"]["truthfulqa_mc2"])
        self.assertFalse(results["config"]["add_bos_token"])
        self.assertEqual(results["config"]["fewshot_seed"], 42)
        self.assertEqual(len(samples), 6)

    def test_prompts_longer_than_the_context_lose_their_beginning(self):
        result = self.run_command("eval", MODEL, "--task", "arc_challenge", "--data", DATA / "arc",
                                  "--shots", 3, "--limit", 1, "--ctx", 40, "--json")
        self.assertEqual(result.returncode, 0)
        self.assertIn(b"lost their beginning", result.stderr)
        self.assertGreater(json.loads(result.stdout)["prompts_cut"], 0)

    def test_the_table(self):
        text = self.output("eval", MODEL, *EVERYDAY, "--limit", 2)
        lines = text.splitlines()
        self.assertRegex(lines[2], r"^\| arc_challenge \| 1.0 +\| none +\| 0 +\| acc +\| \d\.\d{4} \|")
        self.assertIn("acc_norm", lines[3])
        self.assertIn("prompt tokens", lines[-1])

    def test_mistakes(self):
        data = ("--data", SETS / "everyday")
        self.assert_fails(USAGE, "eval", MODEL, "--task", "arc", *data, says="--task")
        self.assert_fails(USAGE, "eval", MODEL, "--task", "arc_challenge", *data, says="25 examples")
        self.assert_fails(USAGE, "eval", MODEL, *EVERYDAY, "--limit", 0, says="--limit")
        self.assert_fails(USAGE, "eval", MODEL, *EVERYDAY, "--rules", "mine", says="--rules")
        self.assert_fails(IO, "eval", MODEL, "--task", "gsm8k", "--data", self.scratch / "none",
                          says="none")
        self.assert_fails(BAD_MODEL, "eval", MODEL, "--task", "gsm8k", "--shots", 0,
                          "--data", SETS / "everyday" / "test.jsonl", says="row 1")
        log = pathlib.Path("/nonexistent/log")
        self.assert_fails(IO, "eval", MODEL, *EVERYDAY, "--samples", log, says="nonexistent")


if __name__ == "__main__":
    unittest.main()
