"""Log-likelihoods of texts, as lm-evaluation-harness asks for them (model type local-completions)."""

import json
import math
import subprocess
import tempfile
import unittest

from support import COMMAND, GREEDY, MODEL, ServerTest, environment

TEXTS = ["Question: What is 2 + 3?\nAnswer: 5", "Once upon a time, a fox", "A"]


def reference_logits(ids):
    """[len(ids)][vocab], by `mixtral logits`."""
    import array
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        subprocess.run([COMMAND, "logits", str(MODEL), "-o", file.name, "--ids", ",".join(map(str, ids))],
                       check=True, env=environment())
        data = open(file.name, "rb").read()
    start = 10 + int.from_bytes(data[8:10], "little")
    values = array.array("f", data[start:])
    vocab = len(values) // len(ids)
    return [values[i * vocab:(i + 1) * vocab] for i in range(len(ids))]


def log_softmax(row, index):
    highest = max(row)
    return row[index] - highest - math.log(sum(math.exp(x - highest) for x in row))


class Scoring(ServerTest):
    def ids(self, text):
        return self.post("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]

    def score(self, prompt, logprobs=1):
        return self.post("/v1/completions", {"model": "pocket-mixtral", "prompt": prompt, "temperature": 0,
                                             "max_tokens": 1, "logprobs": logprobs, "seed": 1234,
                                             "echo": True})["choices"]

    def test_log_likelihoods(self):
        prompts = [self.ids(text) for text in TEXTS]
        for ids, choice in zip(prompts, self.score(prompts)):
            rows = reference_logits(ids)
            logprobs, tops = choice["logprobs"]["token_logprobs"], choice["logprobs"]["top_logprobs"]
            self.assertEqual((len(logprobs), len(tops)), (len(ids) + 1, len(ids) + 1))
            self.assertEqual((logprobs[0], tops[0]), (None, None))
            for i, token in enumerate(ids[1:]):
                self.assertAlmostEqual(logprobs[i + 1], log_softmax(rows[i], token), delta=1e-3)
                is_greedy = rows[i][token] == max(rows[i])
                self.assertEqual(logprobs[i + 1] == max(tops[i + 1].values()), is_greedy)
            self.assertEqual(logprobs[-1], max(tops[-1].values()))

    def test_texts_get_no_token_of_their_own(self):
        by_ids = self.score([self.ids(text) for text in TEXTS])
        self.assertEqual(self.score(TEXTS), by_ids)
        self.assertEqual(self.score(TEXTS[0]), by_ids[:1])
        for text, choice in zip(TEXTS, by_ids):
            self.assertTrue(choice["text"].startswith(text))
            self.assertEqual(len(choice["logprobs"]["tokens"]), len(self.ids(text)) + 1)

    def test_the_taken_token_is_among_the_likeliest(self):
        for logprobs in [0, 1, 5]:
            for choice in self.score([self.ids(text) for text in TEXTS], logprobs):
                entries = choice["logprobs"]
                for token, logprob, top in list(zip(entries["tokens"], entries["token_logprobs"],
                                                    entries["top_logprobs"]))[1:]:
                    self.assertEqual(top[token], logprob)
                    self.assertLessEqual(len(top), logprobs + 1)

    def test_shared_beginnings_change_nothing(self):
        context = self.ids("Question: Where did Lily go?\nAnswer:")
        prompts = [context + self.ids(f" To the {place}.") for place in ["forest", "lake", "moon"]]
        together = self.score(prompts)
        again = self.score(prompts)
        alone = [self.score(prompt)[0] for prompt in prompts]
        for i, choice in enumerate(alone):
            self.assertEqual(together[i]["logprobs"], choice["logprobs"])
            self.assertEqual(again[i]["logprobs"], choice["logprobs"])

    def test_many_requests_at_once(self):
        prompts = [self.ids(f"{a} + {b} = {a + b}") for a in range(8) for b in range(8)]
        choices = self.score(prompts)
        self.assertEqual([choice["index"] for choice in choices], list(range(64)))
        self.assertEqual(choices[37]["logprobs"], self.score([prompts[37]])[0]["logprobs"])

    def test_generation_request(self):
        body = {"prompt": [self.ids("Question: What is 2 + 3?\nAnswer:")], "model": "pocket-mixtral",
                "max_tokens": 32, "stop": ["\n\n", "Question:", "</s>", "<|im_end|>", "e", "f", "g"],
                "seed": 1234, **GREEDY}
        choice = self.post("/v1/completions", body)["choices"][0]
        self.assertNotIn("Question", choice["text"])
        self.assertEqual(choice["index"], 0)

    def test_tokenizer_discovery(self):
        info = json.loads(self.server.get("/tokenizer_info")[2])
        self.assertEqual(info["eos_token"], "</s>")
        self.assertTrue(all(isinstance(info[key], str) for key in ["bos_token", "eos_token"]))
        self.assertEqual(self.ids("<s>")[0], 1)


if __name__ == "__main__":
    unittest.main()
