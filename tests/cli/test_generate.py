"""generate: text, JSON, sampling, stop strings, batches, Ctrl-C."""

import math
import os
import signal
import subprocess
import unittest

from support import (GOLDENS, INTERRUPTED, IO, MODEL, NO_ROOM, OK, USAGE, BAD_MODEL, CommandTest,
                     command_line, environment, join_ids, read_npy)

PROMPT = "Once upon a time"
GREEDY = ["--temperature", "0"]


class Generate(CommandTest):
    def generate(self, *arguments, **options):
        return self.json("generate", MODEL, *arguments, **options)

    def test_text_is_what_json_says(self):
        result = self.generate("-p", PROMPT, "-n", 20, *GREEDY)
        text = self.output("generate", MODEL, "-p", PROMPT, "-n", 20, *GREEDY)
        self.assertEqual(text, result["text"] + "\n")
        self.assertEqual(len(result["ids"]), result["timings"]["new_tokens"])
        self.assertEqual(result["prompt"], PROMPT)

    def test_greedy_ids_are_the_likeliest(self):
        result = self.generate("-p", PROMPT, "-n", 12, "--precision", "f32", *GREEDY)
        prompt = self.json("tokenize", MODEL, PROMPT)["ids"]
        self.assertEqual(result["timings"]["prompt_tokens"], len(prompt))
        npy = self.scratch / "l.npy"
        self.output("logits", MODEL, "--precision", "f32", "-o", npy, "--ids",
                    join_ids(prompt + result["ids"][:-1]))
        rows, _ = read_npy(npy)
        likeliest = [max(range(len(row)), key=row.__getitem__) for row in rows[len(prompt) - 1:]]
        self.assertEqual(result["ids"], likeliest)

    def test_length(self):
        result = self.generate("-p", PROMPT, "-n", 5, *GREEDY)
        self.assertEqual((len(result["ids"]), result["finish_reason"]), (5, "length"))

    def test_stop(self):
        whole = self.generate("-p", PROMPT, "-n", 30, *GREEDY)["text"]
        for stop in [whole[10:14], whole[12:13]]:
            result = self.generate("-p", PROMPT, "-n", 30, *GREEDY, "--stop", "\x01", "--stop",
                                   stop)
            self.assertEqual(result["text"], whole[:whole.index(stop)])
            self.assertEqual(result["finish_reason"], "stop")

    def test_seed(self):
        options = ["-p", PROMPT, "-n", 20, "--temperature", "1.5"]
        first = self.generate(*options, "--seed", 1)
        self.assertEqual(first["ids"], self.generate(*options, "--seed", 1, "-t", 1)["ids"])
        self.assertNotEqual(first["ids"], self.generate(*options, "--seed", 2)["ids"])
        unseeded = self.generate(*options)
        self.assertEqual(unseeded["ids"],
                         self.generate(*options, "--seed", unseeded["seed"])["ids"])

    def test_filters_that_leave_one_token_are_greedy(self):
        expected = self.generate("-p", PROMPT, "-n", 10, *GREEDY)["ids"]
        for only in [["--top-k", 1], ["--top-p", "1e-9"], ["--min-p", 1]]:
            self.assertEqual(self.generate("-p", PROMPT, "-n", 10, *only)["ids"], expected, only)

    def test_penalties_change_the_text(self):
        options = ["-p", PROMPT, "-n", 30, *GREEDY]
        plain = self.generate(*options)["ids"]
        for penalty in ["--repeat-penalty", "--presence-penalty", "--frequency-penalty"]:
            self.assertNotEqual(self.generate(*options, penalty, 5)["ids"], plain, penalty)

    def test_logprobs(self):
        result = self.generate("-p", PROMPT, "-n", 4, "--logprobs", 3, *GREEDY)
        self.assertEqual([entry["id"] for entry in result["logprobs"]], result["ids"])
        for entry in result["logprobs"]:
            self.assertEqual(len(entry["top"]), 3)
            self.assertEqual(entry["top"][0]["id"], entry["id"])
            self.assertEqual(entry["top"][0]["logprob"], entry["logprob"])
            self.assertLessEqual(sum(math.exp(top["logprob"]) for top in entry["top"]), 1 + 1e-9)
        alone = self.generate("-p", PROMPT, "-n", 4, "--logprobs", 0, *GREEDY)
        self.assertEqual([e["logprob"] for e in alone["logprobs"]],
                         [e["logprob"] for e in result["logprobs"]])
        self.assertNotIn("logprobs", self.generate("-p", PROMPT, "-n", 1))

    def test_prompt_sources_agree(self):
        expected = self.generate("-p", PROMPT, "-n", 8, *GREEDY)["text"]
        path = self.scratch / "prompt"
        path.write_text(PROMPT + "\n")
        self.assertEqual(self.generate("-f", path, "-n", 8, *GREEDY)["text"], expected)
        self.assertEqual(self.generate("-p", "-", "-n", 8, *GREEDY, stdin=PROMPT + "\n")["text"],
                         expected)

    def test_prompts_that_look_like_syntax(self):
        for prompt in ["[INST] a, b [/INST]", "{}", "a,b", "%s", "\\n"]:
            self.assertEqual(self.generate("-p", prompt, "-n", 1)["prompt"], prompt)

    def test_batch(self):
        prompts = [PROMPT, "2 + 3 =", "The fox"]
        together = self.generate(*[x for p in prompts for x in ("-p", p)], "-n", 10, *GREEDY)
        alone = [self.generate("-p", p, "-n", 10, *GREEDY) for p in prompts]
        self.assertEqual([r["ids"] for r in together], [r["ids"] for r in alone])
        self.assertEqual([r["prompt"] for r in together], prompts)
        text = self.output("generate", MODEL, "-p", prompts[0], "-p", prompts[1], "-n", 10, *GREEDY)
        self.assertEqual(text, f"==> 1 <==\n{alone[0]['text']}\n\n==> 2 <==\n{alone[1]['text']}\n")

    def test_chat(self):
        question = "What is your favourite condiment?"
        asked = self.generate("-p", question, "--chat", "-n", 10, *GREEDY)
        plain = self.generate("-p", question, "-n", 10, *GREEDY)
        self.assertGreater(asked["timings"]["prompt_tokens"], plain["timings"]["prompt_tokens"])
        told = self.generate("-p", "Hi", "--chat", "--system", "Be brief.", "-n", 1)
        self.assertGreater(told["timings"]["prompt_tokens"],
                           self.generate("-p", "Hi", "--chat", "-n", 1)["timings"]["prompt_tokens"])

    def test_timings(self):
        result = self.run_command("generate", MODEL, "-p", PROMPT, "-n", 3, "--timings")
        self.assertEqual(result.returncode, OK)
        self.assertRegex(result.stderr.decode(),
                         r"^prompt: \d+ tokens in .* s; text: 3 tokens in .* s\n$")

    def test_default_length_shrinks_to_the_context(self):
        result = self.generate("-p", PROMPT, "--ctx", 12, "--seed", 1)
        self.assertLessEqual(len(result["ids"]) + result["timings"]["prompt_tokens"], 12)

    def test_bad_input(self):
        def fails(code, *arguments, says=()):
            self.assert_fails(code, "generate", MODEL, *arguments, says=says)

        fails(USAGE, says="-p")
        fails(USAGE, "-p", "", says="no text")
        fails(USAGE, "-p", "x", "-n", "0", says="at least 1")
        fails(USAGE, "-p", "x", "-n", "many", says='"many"')
        fails(USAGE, "-p", "x", "--temperature", "-1", says="temperature")
        fails(USAGE, "-p", "x", "--temperature", "nan", says="temperature")
        fails(USAGE, "-p", "x", "--temperature", "warm", says="warm")
        fails(USAGE, "-p", "x", "--top-p", "0", says="top_p")
        fails(USAGE, "-p", "x", "--min-p", "2", says="min_p")
        fails(USAGE, "-p", "x", "--repeat-penalty", "0", says="repetition_penalty")
        fails(USAGE, "-p", "x", "--logprobs", "2", says="--json")
        fails(USAGE, "-p", "x", "--seed", "-1", says="--seed")
        fails(USAGE, "-p", "x", "--stop", "", says="stop")
        fails(USAGE, "-p", "x", "--system", "Be brief.", says="--chat")
        fails(NO_ROOM, "-p", PROMPT, "--ctx", "2", says=["n_ctx = 2", "1 to generate"])
        fails(NO_ROOM, "-p", PROMPT, "-n", "5000", says="1024")
        fails(IO, "-f", self.scratch / "none", says="none")

    def test_model_without_tokenizer(self):
        self.assert_fails(BAD_MODEL, "generate", GOLDENS / "window7", "-p", "x", says="tokenizer")

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(command_line("generate", MODEL, "-p", PROMPT), stdout=full,
                                    stderr=subprocess.PIPE, env=environment())
        self.assertEqual(result.returncode, IO)


class Interrupt(CommandTest):
    def start(self, *arguments):
        process = subprocess.Popen(command_line("generate", MODEL, "-p", PROMPT, "--temperature",
                                                "3", "-n", "900", *arguments),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment())
        self.addCleanup(process.kill)
        return process

    def test_ctrl_c_prints_what_there_is(self):
        process = self.start()
        first = os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGINT)
        rest, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertEqual(message, b"mixtral generate: interrupted\n")
        self.assertTrue((first + rest).endswith(b"\n"))

    def test_closed_pipe(self):
        process = self.start()
        os.read(process.stdout.fileno(), 1)
        process.stdout.close()
        process.wait(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGPIPE)
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()


if __name__ == "__main__":
    unittest.main()
