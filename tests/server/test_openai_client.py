"""The official openai client, unchanged."""

import unittest

import openai

from support import GREEDY, NAME, PROMPT, ServerTest

QUESTION = [{"role": "user", "content": "What is 38 plus 45?"}]


class Client(ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = openai.OpenAI(base_url=f"{cls.server.url}/v1", api_key="none", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        super().tearDownClass()

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], [NAME])
        self.assertEqual(self.client.models.retrieve(NAME).owned_by, "mixtral")
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("gpt-4")

    def test_completion(self):
        answer = self.client.completions.create(model=NAME, prompt=PROMPT, max_tokens=8, logprobs=2, **GREEDY)
        self.assertEqual(answer.choices[0].text, self.complete()["choices"][0]["text"])
        self.assertEqual(len(answer.choices[0].logprobs.token_logprobs), 8)
        self.assertEqual(answer.usage.completion_tokens, 8)

    def test_completion_stream(self):
        parts = self.client.completions.create(model=NAME, prompt=[PROMPT, "The fox"], max_tokens=8,
                                               stream=True, **GREEDY)
        texts = ["", ""]
        for part in parts:
            texts[part.choices[0].index] += part.choices[0].text
        whole = self.complete(prompt=[PROMPT, "The fox"])
        self.assertEqual(texts, [choice["text"] for choice in whole["choices"]])

    def test_chat(self):
        answer = self.client.chat.completions.create(
            model=NAME, messages=QUESTION, max_completion_tokens=30, logprobs=True, top_logprobs=2, n=2,
            stop=["\n"], seed=3, presence_penalty=0.1, logit_bias={"5": -1}, temperature=0)
        self.assertEqual([choice.message.role for choice in answer.choices], ["assistant"] * 2)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(len(answer.choices[0].logprobs.content[0].top_logprobs), 2)

    def test_chat_stream(self):
        whole = self.client.chat.completions.create(model=NAME, messages=QUESTION, **GREEDY)
        with self.client.chat.completions.stream(model=NAME, messages=QUESTION,
                                                 stream_options={"include_usage": True}, **GREEDY) as stream:
            events = list(stream)
            final = stream.get_final_completion()
        self.assertEqual(final.choices[0].message.content, whole.choices[0].message.content)
        self.assertEqual(final.usage, whole.usage)
        self.assertGreater(sum(event.type == "content.delta" for event in events), 1)

    def test_errors(self):
        for error, call in [
            (openai.BadRequestError, lambda: self.client.completions.create(
                model=NAME, prompt=PROMPT, temperature=-1)),
            (openai.BadRequestError, lambda: self.client.chat.completions.create(model=NAME, messages=[])),
            (openai.NotFoundError, lambda: self.client.chat.completions.create(
                model="gpt-4", messages=QUESTION)),
            (openai.NotFoundError, lambda: self.client.embeddings.create(model=NAME, input="text")),
        ]:
            with self.assertRaises(error) as caught:
                call()
            self.assertTrue(caught.exception.message)

    def test_leaving_a_stream_frees_its_place(self):
        stream = self.client.completions.create(model=NAME, prompt="Tom", max_tokens=900, stream=True,
                                                logit_bias={"2": -100}, **GREEDY)
        next(iter(stream))
        stream.close()
        self.wait_until(self.server.is_idle)


if __name__ == "__main__":
    unittest.main()
