"""batch: OpenAI lines, model-card lines, bad lines; killed, gone on with, disk full."""

import json
import resource
import signal
import subprocess
import time
import unittest

from support import (INTERRUPTED, IO, MODEL, OK, USAGE, BAD_MODEL, CommandTest, command_line,
                     environment)

GREEDY = {"temperature": 0}


def completion(custom_id, prompt, n=8, **body):
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/completions",
            "body": {"model": "m", "prompt": prompt, "max_tokens": n, **GREEDY, **body}}


def chat(custom_id, text, n=8):
    messages = [{"role": "user", "content": text}]
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": messages, "max_tokens": n, **GREEDY}}


def card(texts, n=8):
    return {"input_data": {"input_string": texts,
                           "parameters": {"max_new_tokens": n, "do_sample": False,
                                          "return_full_text": False}}}


def without_ids(result):
    """A result without what differs from run to run."""
    result = json.loads(json.dumps(result))
    response = result["response"]
    if response:
        del response["request_id"]
        if isinstance(response["body"], dict):
            for key in ["id", "created"]:
                response["body"].pop(key, None)
    return result


class Batch(CommandTest):
    def setUp(self):
        super().setUp()
        self.input = self.scratch / "in.jsonl"
        self.out = self.scratch / "out.jsonl"

    def write(self, lines):
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self.input.write_text("\n".join(texts) + "\n")

    def results(self):
        """By line; each line must have one result."""
        records = [json.loads(line) for line in self.out.read_text().splitlines()]
        by_line = {record["line"]: record for record in records}
        self.assertEqual(len(by_line), len(records))
        return by_line

    def batch(self, *options):
        return self.json("batch", MODEL, self.input, self.out, *options)

    def generated(self, prompt, *options, n=8):
        return self.json("generate", MODEL, "-p", prompt, "-n", n, "--temperature", 0, *options)["text"]

    def test_answers(self):
        self.write([completion("a", "Once upon a time"), "", chat("b", "Hello"),
                    card(["The dog", "A cat"]), completion("c", ["One", "Two"], n=3)])
        summary = self.batch()
        self.assertEqual((summary["lines"], summary["answered"], summary["failed"]), (4, 4, 0))
        results = self.results()
        self.assertEqual(sorted(results), [1, 3, 4, 5])
        for result in results.values():
            self.assertEqual((result["response"]["status_code"], result["error"]), (200, None))
        body = results[1]["response"]["body"]
        self.assertEqual(results[1]["custom_id"], "a")
        self.assertEqual(body["object"], "text_completion")
        self.assertEqual(body["choices"][0]["text"], self.generated("Once upon a time"))
        body = results[3]["response"]["body"]
        self.assertEqual(body["choices"][0]["message"]["content"], self.generated("Hello", "--chat"))
        self.assertEqual(results[4]["custom_id"], None)
        self.assertEqual(results[4]["response"]["body"],
                         [{"0": self.generated("The dog"), "1": self.generated("A cat")}])
        choices = results[5]["response"]["body"]["choices"]
        self.assertEqual([choice["text"] for choice in choices],
                         [self.generated("One", n=3), self.generated("Two", n=3)])

    def test_scored_prompts(self):
        self.write([completion("a", "Once upon a time", n=0, echo=True, logprobs=1)])
        self.batch()
        body = self.results()[1]["response"]["body"]
        logprobs = body["choices"][0]["logprobs"]["token_logprobs"]
        self.assertEqual(logprobs[0], None)
        self.assertEqual(len(logprobs), body["usage"]["prompt_tokens"])
        self.assertTrue(all(value <= 0 for value in logprobs[1:]))

    def test_bad_lines(self):
        good = completion("good", "Once")
        bad_url = {**completion("url", "a"), "url": "/v1/images"}
        bad_method = {**completion("method", "a"), "method": "GET"}
        self.write(["not json", good, "{}", bad_url, bad_method, completion("type", 5),
                    completion("long", "a b c d " * 5000), completion("stream", "a", stream=True),
                    "[1]", good])
        summary = self.batch()
        self.assertEqual((summary["answered"], summary["failed"]), (2, 8))
        results = self.results()
        for line in [1, 3, 9]:
            self.assertEqual(results[line]["response"], None)
            self.assertTrue(results[line]["error"]["message"])
        status = {line: results[line]["response"]["status_code"] for line in [2, 4, 5, 6, 7, 8, 10]}
        self.assertEqual(status, {2: 200, 4: 404, 5: 405, 6: 400, 7: 400, 8: 400, 10: 200})
        self.assertIn("prompt", results[6]["response"]["body"]["error"]["message"])
        self.assertEqual(results[6]["custom_id"], "type")

    def test_killed_and_gone_on(self):
        lines = [completion(str(i), f"Story {i} is", n=60) for i in range(60)]
        self.write(lines)
        for _ in range(3):
            process = subprocess.Popen(command_line("batch", MODEL, self.input, self.out, "--parallel", 4),
                                       env=environment(), stderr=subprocess.DEVNULL)
            before = len(self.out.read_bytes().splitlines()) if self.out.exists() else 0
            deadline = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < deadline:
                if self.out.exists() and len(self.out.read_bytes().splitlines()) >= before + 5:
                    break
                time.sleep(0.01)
            process.kill()
            process.wait()
        n_before = len(self.results())
        self.assertTrue(15 <= n_before < 60, n_before)
        with self.out.open("ab") as out:  # as if killed in the middle of a line
            out.write(b'{"id":"batch_req_60","line":60,"cus')
        summary = self.batch()
        self.assertEqual((summary["answered"], summary["answered_before"]), (60 - n_before, n_before))
        results = self.results()
        self.assertEqual(sorted(results), list(range(1, 61)))

        self.out.unlink()
        self.batch("--parallel", 16)
        once = self.results()
        self.assertEqual({i: without_ids(results[i]) for i in results},
                         {i: without_ids(once[i]) for i in once})
        self.assertEqual(self.batch()["answered"], 0)

    def test_interrupted(self):
        self.write([completion(str(i), "Once", n=100) for i in range(200)])
        process = subprocess.Popen(command_line("batch", MODEL, self.input, self.out),
                                   env=environment(), stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (self.out.exists() and self.out.stat().st_size):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(), INTERRUPTED)
        for result in self.results().values():
            self.assertIn(result["response"]["body"]["choices"][0]["finish_reason"], ["length", "stop"])
            self.assertTrue(result["response"]["body"]["choices"][0]["text"])

    def test_wrong_files(self):
        self.write([completion("a", "Once", n=1)])
        nowhere = self.scratch / "none" / "out.jsonl"
        self.assert_fails(IO, "batch", MODEL, self.scratch / "none.jsonl", self.out, says=["none.jsonl"])
        self.assert_fails(IO, "batch", MODEL, self.input, nowhere, says=["out.jsonl"])
        self.assert_fails(IO, "batch", MODEL, self.input, "/dev/null", says=["regular file"])
        self.assert_fails(USAGE, "batch", MODEL, self.input)
        self.out.write_text('{"hello": 1}\n')
        self.assert_fails(BAD_MODEL, "batch", MODEL, self.input, self.out, says=["line 1"])
        self.assertEqual(self.out.read_text(), '{"hello": 1}\n')
        self.out.write_text('{"line": 1, "custom_id": "other"}\n')
        self.assert_fails(USAGE, "batch", MODEL, self.input, self.out, says=["line 1", "other"])

    def test_disk_full(self):
        self.write([completion(str(i), "Once", n=1) for i in range(40)])

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

        result = subprocess.run(command_line("batch", MODEL, self.input, self.out), env=environment(),
                                preexec_fn=limit, capture_output=True, timeout=240)
        self.assertEqual(result.returncode, IO, result.stderr)
        self.assertIn(b"can't write", result.stderr)
        self.assertEqual(self.out.stat().st_size, 5000)
        self.assertLess(self.batch()["answered"], 40)
        self.assertEqual(sorted(self.results()), list(range(1, 41)))

    def test_one_at_a_time(self):
        self.write([completion(str(i), "Once", n=200) for i in range(100)])
        process = subprocess.Popen(command_line("batch", MODEL, self.input, self.out), env=environment(),
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (self.out.exists() and self.out.stat().st_size):
            time.sleep(0.01)
        self.assert_fails(IO, "batch", MODEL, self.input, self.out, says=["another process"])


if __name__ == "__main__":
    unittest.main()
