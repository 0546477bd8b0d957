"""Completions, chats and /score: what is generated, and in which form."""

import json
import subprocess
import unittest

from support import COMMAND, GREEDY, MODEL, NAME, PROMPT, ServerTest, environment


def generate(*arguments):
    """What `mixtral generate` makes of the same request."""
    output = subprocess.run([COMMAND, "generate", str(MODEL), "--json", *map(str, arguments)],
                            capture_output=True, check=True, env=environment()).stdout
    return json.loads(output)


class Completions(ServerTest):
    def test_text_is_that_of_generate(self):
        for options, flags in [(GREEDY, ["--temperature", 0]),
                               ({"temperature": 1.3, "seed": 7}, ["--temperature", 1.3, "--seed", 7]),
                               ({"temperature": 1, "top_p": 0.8, "top_k": 20, "min_p": 0.05,
                                 "presence_penalty": 0.5, "frequency_penalty": 0.25, "seed": 1},
                                ["--temperature", 1, "--top-p", 0.8, "--top-k", 20, "--min-p", 0.05,
                                 "--presence-penalty", 0.5, "--frequency-penalty", 0.25, "--seed", 1])]:
            answer = self.complete(max_tokens=24, **options)
            expected = generate("-p", PROMPT, "-n", 24, *flags)
            self.assertEqual(answer["choices"][0]["text"], expected["text"])
            self.assertEqual(answer["usage"]["prompt_tokens"], expected["timings"]["prompt_tokens"])
            self.assertEqual(answer["usage"]["completion_tokens"], len(expected["ids"]))

    def test_shape(self):
        answer = self.complete()
        self.assertEqual(answer["object"], "text_completion")
        self.assertEqual(answer["model"], NAME)
        self.assertTrue(answer["id"].startswith("cmpl-"))
        choice = answer["choices"][0]
        self.assertEqual((choice["index"], choice["finish_reason"], choice["logprobs"]), (0, "length", None))
        self.assertEqual(answer["usage"]["total_tokens"],
                         answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"])

    def test_default_length(self):
        answer = self.post("/v1/completions", {"prompt": PROMPT, **GREEDY})
        self.assertEqual(answer["usage"]["completion_tokens"], 16)

    def test_prompts_in_every_form(self):
        ids = self.post("/tokenize", {"prompt": PROMPT})["tokens"]
        text = self.complete()["choices"][0]["text"]
        other = self.complete(prompt="2 + 3 =")["choices"][0]["text"]
        for prompt in [[PROMPT, "2 + 3 ="],
                       [ids, self.post("/tokenize", {"prompt": "2 + 3 ="})["tokens"]]]:
            choices = self.complete(prompt=prompt)["choices"]
            self.assertEqual([(c["index"], c["text"]) for c in choices], [(0, text), (1, other)])
        for prompt in [ids, [ids], [PROMPT]]:
            self.assertEqual(self.complete(prompt=prompt)["choices"][0]["text"], text)

    def test_n_texts_differ_and_begin_with_the_seed(self):
        answer = self.complete(n=3, temperature=1.5, seed=5, max_tokens=12)
        texts = [choice["text"] for choice in answer["choices"]]
        self.assertEqual(len(set(texts)), 3)
        self.assertEqual(answer["usage"]["prompt_tokens"], self.complete()["usage"]["prompt_tokens"])
        for i, text in enumerate(texts):
            alone = self.complete(temperature=1.5, seed=5 + i, max_tokens=12)
            self.assertEqual(alone["choices"][0]["text"], text)

    def test_stop(self):
        whole = self.complete(max_tokens=40)["choices"][0]["text"]
        for stop in [whole[9:13], ["\x01", whole[12], "\x02", "\x03", "\x04", "\x05"]]:
            choice = self.complete(max_tokens=40, stop=stop)["choices"][0]
            found = [stop] if isinstance(stop, str) else stop
            cut = min(whole.index(s) for s in found if s in whole)
            self.assertEqual((choice["text"], choice["finish_reason"]), (whole[:cut], "stop"))

    def test_logit_bias(self):
        ids = self.post("/tokenize", {"prompt": "Tom", "add_special_tokens": False})["tokens"]
        text = self.complete(logit_bias={str(ids[0]): 100}, max_tokens=3)["choices"][0]["text"]
        piece = self.post("/detokenize", {"tokens": ids[:1]})["prompt"]
        self.assertEqual(text.replace(" ", ""), piece * 3)

    def test_logprobs(self):
        choice = self.complete(logprobs=3, max_tokens=5)["choices"][0]
        logprobs = choice["logprobs"]
        expected = generate("-p", PROMPT, "-n", 5, "--temperature", 0, "--logprobs", 3)["logprobs"]
        self.assertEqual(logprobs["token_logprobs"], [entry["logprob"] for entry in expected])
        self.assertEqual([len(top) for top in logprobs["top_logprobs"]], [3] * 5)
        self.assertEqual("".join(logprobs["tokens"]), choice["text"])
        offsets = [sum(map(len, logprobs["tokens"][:i])) for i in range(5)]
        self.assertEqual(logprobs["text_offset"], offsets)
        for token, logprob, top in zip(logprobs["tokens"], logprobs["token_logprobs"],
                                       logprobs["top_logprobs"]):
            self.assertEqual(top[token], logprob)

    def test_echo(self):
        text = self.complete()["choices"][0]["text"]
        self.assertEqual(self.complete(echo=True)["choices"][0]["text"], PROMPT + text)
        ids = self.post("/tokenize", {"prompt": PROMPT})["tokens"]
        self.assertEqual(self.complete(prompt=ids, echo=True)["choices"][0]["text"], PROMPT + text)
        nothing = self.complete(echo=True, max_tokens=0)
        self.assertEqual(nothing["choices"][0]["text"], PROMPT)
        self.assertEqual(nothing["usage"]["completion_tokens"], 0)
        self.assertEqual(self.complete(prompt=[1], echo=True, max_tokens=0)["choices"][0]["text"], "")

    def test_stream_is_the_whole(self):
        body = {"prompt": [PROMPT, "The fox"], "max_tokens": 12, "n": 2, "temperature": 1, "seed": 3,
                "logprobs": 2, "echo": True, "stream_options": {"include_usage": True}}
        whole = self.post("/v1/completions", body)
        events = list(self.server.stream("/v1/completions", body))
        self.assertEqual(events.pop(), "[DONE]")
        self.assertEqual(events.pop()["usage"], whole["usage"])
        for choice in whole["choices"]:
            parts = [e["choices"][0] for e in events if e["choices"][0]["index"] == choice["index"]]
            self.assertEqual("".join(p["text"] for p in parts), choice["text"])
            for key, values in choice["logprobs"].items():
                self.assertEqual(sum((p["logprobs"][key] for p in parts), []), values)
            reasons = [p["finish_reason"] for p in parts]
            self.assertEqual(reasons, [None] * (len(parts) - 1) + [choice["finish_reason"]])


class Chats(ServerTest):
    QUESTION = [{"role": "user", "content": "What is 38 plus 45?"}]

    def chat(self, status=200, **body):
        return self.post("/v1/chat/completions", {"messages": self.QUESTION, **GREEDY, **body}, status)

    def test_answer_is_that_of_generate(self):
        answer = self.chat()
        expected = generate("-p", self.QUESTION[0]["content"], "--chat", "--temperature", 0)
        choice = answer["choices"][0]
        self.assertEqual(choice["message"], {"role": "assistant", "content": expected["text"],
                                             "refusal": None})
        self.assertEqual(choice["finish_reason"], "stop")
        self.assertEqual(answer["object"], "chat.completion")
        self.assertEqual(answer["usage"]["prompt_tokens"], expected["timings"]["prompt_tokens"])

    def test_system_message_and_parts(self):
        plain = self.chat(messages=[{"role": "system", "content": "Be brief."}, *self.QUESTION])
        parts = self.chat(messages=[
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": [{"type": "text", "text": self.QUESTION[0]["content"]}]}])
        expected = generate("-p", self.QUESTION[0]["content"], "--chat", "--system", "Be brief.",
                            "--temperature", 0)
        for answer in [plain, parts]:
            self.assertEqual(answer["choices"][0]["message"]["content"], expected["text"])

    def test_lengths(self):
        for key in ["max_tokens", "max_completion_tokens"]:
            answer = self.chat(**{key: 2})
            self.assertEqual(answer["choices"][0]["finish_reason"], "length")
            self.assertEqual(answer["usage"]["completion_tokens"], 2)

    def test_logprobs(self):
        choice = self.chat(logprobs=True, top_logprobs=2)["choices"][0]
        content = choice["logprobs"]["content"]
        text = b"".join(bytes(entry["bytes"]) for entry in content[:-1]).decode()
        self.assertEqual(text.lstrip(), choice["message"]["content"])
        for entry in content:
            self.assertEqual(len(entry["top_logprobs"]), 2)
            self.assertEqual(entry["top_logprobs"][0]["logprob"], entry["logprob"])

    def test_stream_is_the_whole(self):
        for extra in [{}, {"logprobs": True, "top_logprobs": 1}]:
            body = {"messages": self.QUESTION, "n": 2, "temperature": 1, "seed": 3, "max_tokens": 20, **extra}
            whole = self.post("/v1/chat/completions", body)
            events = list(self.server.stream("/v1/chat/completions", body))
            self.assertEqual(events.pop(), "[DONE]")
            for choice in whole["choices"]:
                parts = [e["choices"][0] for e in events if e["choices"][0]["index"] == choice["index"]]
                self.assertEqual(parts[0]["delta"], {"role": "assistant", "content": ""})
                self.assertEqual("".join(p["delta"].get("content", "") for p in parts),
                                 choice["message"]["content"])
                self.assertEqual([p["finish_reason"] for p in parts],
                                 [None] * (len(parts) - 1) + [choice["finish_reason"]])
                if extra:
                    content = sum((p["logprobs"]["content"] for p in parts if p["logprobs"]), [])
                    self.assertEqual(content, choice["logprobs"]["content"])


class Scores(ServerTest):
    CARD = {"input_data": {"input_string": ["What is your favourite condiment?",
                                            "Do you have mayonnaise recipes?"],
                           "parameters": {"max_new_tokens": 100, "do_sample": True,
                                          "return_full_text": False}}}

    def score(self, data, parameters=None, **beside):
        inner = {"input_string": data} if parameters is None else {"input_string": data,
                                                                   "parameters": parameters}
        return self.post("/score", {"input_data": inner, **beside})

    def test_sample_request_of_the_model_card(self):
        answer = self.post("/score", self.CARD)
        self.assertEqual([list(object) for object in answer], [["0", "1"]])
        for prompt, text in zip(self.CARD["input_data"]["input_string"], answer[0].values()):
            self.assertTrue(text)
            self.assertFalse(text.startswith(prompt))

    def test_text_is_that_of_generate(self):
        prompts = ["Once upon a time", "2 + 3 ="]
        answer = self.score(prompts, {"max_new_tokens": 20, "do_sample": False,
                                      "return_full_text": False})
        for prompt, text in zip(prompts, answer[0].values()):
            expected = generate("-p", prompt, "-n", 20, "--temperature", 0)["text"]
            self.assertEqual(text, expected)

    def test_parameters_in_either_place(self):
        parameters = {"max_new_tokens": 5, "do_sample": False, "return_full_text": False}
        expected = self.score(["The fox"], parameters)
        self.assertEqual(self.score(["The fox"], params=parameters), expected)
        self.assertEqual(self.post("/score", {"input_data": {"input_string": ["The fox"]},
                                              "parameters": parameters}), expected)

    def test_the_whole_text_by_default(self):
        parameters = {"max_new_tokens": 5, "do_sample": False}
        text = self.score(["The fox"], {**parameters, "return_full_text": False})[0]["0"]
        self.assertEqual(self.score(["The fox"], parameters), [{"0": "The fox" + text}])

    def test_list_form(self):
        parameters = {"max_new_tokens": 5, "do_sample": False}
        expected = self.score(["The fox", "2 + 3 ="], parameters)[0]
        self.assertEqual(self.post("/score", {"input_data": ["The fox", "2 + 3 ="], "params": parameters}),
                         list(expected.values()))

    def test_chat_form(self):
        messages = [{"role": "user", "content": "What is 38 plus 45?"}]
        parameters = {"max_new_tokens": 50, "do_sample": False}
        expected = generate("-p", messages[0]["content"], "--chat", "--temperature", 0)["text"]
        self.assertEqual(self.score(messages, parameters), {"output": expected})
        self.assertEqual(self.post("/score", {"input_data": messages, "params": parameters}),
                         {"output": expected})

    def test_faults(self):
        for body, param in [({}, "input_data"), ({"input_data": 3}, "input_data"),
                            ({"input_data": {"input_string": "text"}}, "input_data.input_string"),
                            ({"input_data": {"input_string": [1]}}, "input_data.input_string[0]"),
                            ({"input_data": ["a"], "params": {"temperature": "hot"}},
                             "parameters.temperature"),
                            ({"input_data": ["a"], "params": {"num_beams": 4}}, "parameters.num_beams"),
                            ({"input_data": {"input_string": ["a"], "parameters": {"return_full_text": False}},
                              "params": {"return_full_text": {}}}, "parameters.return_full_text")]:
            self.assert_error(400, "/score", body, param)


if __name__ == "__main__":
    unittest.main()
