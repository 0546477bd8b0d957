"""Tool calls in Mistral's v3 format, with a model that always calls get_weather."""

import json
import pathlib
import tempfile
import unittest

import chain_model
from support import Server, ServerTest

CALL = ['[{"name": "get_weather", "arguments": {', '"city": "Paris", "days": 3}, "id": "abc123XYZ"}]']
CHAINS = [["[/INST]", "[TOOL_CALLS]", *CALL, "</s>"],
          ["[/TOOL_RESULTS]", "▁It", "▁is", "▁22.", "</s>"],
          ["<0x7B>", CALL[1]]]  # "{", where the prompt says whom to call
TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
QUESTION = {"role": "user", "content": "How is the weather in Paris?"}
ARGUMENTS = {"city": "Paris", "days": 3}


class Tools(ServerTest):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "chain"
            chain_model.write(path, CHAINS)
            cls.server = Server("--name", "chain", model=path)

    def chat(self, **body):
        return self.post("/v1/chat/completions", {"messages": [QUESTION], "tools": [TOOL], **body})

    def check_call(self, call, call_id="abc123XYZ"):
        if call_id:
            self.assertEqual(call["id"], call_id)
        self.assertEqual(call["type"], "function")
        self.assertEqual(call["function"]["name"], "get_weather")
        self.assertEqual(json.loads(call["function"]["arguments"]), ARGUMENTS)

    def test_a_call(self):
        for choice in [None, "auto", "required",
                       {"type": "function", "function": {"name": "get_weather"}}]:
            answer = self.chat(tool_choice=choice)["choices"][0]
            self.assertEqual(answer["finish_reason"], "tool_calls", choice)
            self.assertIsNone(answer["message"]["content"])
            self.assertEqual(len(answer["message"]["tool_calls"]), 1)
            self.check_call(answer["message"]["tool_calls"][0])

    def test_a_call_in_a_stream(self):
        body = {"messages": [QUESTION], "tools": [TOOL]}
        choices = [event["choices"][0] for event in self.server.stream("/v1/chat/completions", body)
                   if event != "[DONE]"]
        calls = sum((choice["delta"].get("tool_calls", []) for choice in choices), [])
        self.assertEqual([call["index"] for call in calls], [0])
        self.check_call(calls[0])
        self.assertEqual(choices[-1]["finish_reason"], "tool_calls")

    def test_the_result_of_a_call(self):
        call = self.chat()["choices"][0]["message"]
        answer = self.chat(messages=[QUESTION, call, {"role": "tool", "tool_call_id": "abc123XYZ",
                                                      "content": "22"}])["choices"][0]
        self.assertEqual(answer["message"]["content"], "It is 22.")
        self.assertEqual(answer["finish_reason"], "stop")

    def test_without_tools_it_is_text(self):
        for body in [{"tools": []}, {"tools": None}, {"tool_choice": "none"}]:
            answer = self.chat(**body)["choices"][0]
            self.assertEqual(answer["message"]["content"], "".join(CALL))
            self.assertNotIn("tool_calls", answer["message"])

    def test_half_a_call_is_text(self):
        answer = self.chat(max_tokens=2)["choices"][0]
        self.assertEqual((answer["message"]["content"], answer["finish_reason"]), (CALL[0], "length"))

    def test_faults(self):
        for body, param in [
            ({"tools": 3}, "tools"), ({"tools": [3]}, "tools[0]"), ({"tools": [{}]}, "tools[0].function"),
            ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
            ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
            ({"tool_choice": "sometimes"}, "tool_choice"),
            ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice.function.name"),
            ({"messages": [QUESTION, {"role": "tool", "tool_call_id": "abc123XYZ", "content": "22"}]}, "messages"),
            ({"messages": [QUESTION, {"role": "assistant", "tool_calls": [
                {"id": "call_1", "type": "function",
                 "function": {"name": "get_weather", "arguments": "{}"}}]}]}, "messages"),
        ]:
            self.assert_error(400, "/v1/chat/completions",
                              {"messages": [QUESTION], "tools": [TOOL], **body}, param)


if __name__ == "__main__":
    unittest.main()
