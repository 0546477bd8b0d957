"""Paths, methods, headers and bodies, good and broken; none may stop the server."""

import json
import unittest

from support import NAME, PROMPT, ServerTest

JSON = {"Content-Type": "application/json"}
BODY = json.dumps({"prompt": PROMPT, "max_tokens": 2}).encode()


class Http(ServerTest):
    def send(self, data, end=False):
        """What the server sends back to these bytes until it closes the connection. `end` says that no
        more will come, which the server takes for a client that has gone."""
        with self.server.socket(timeout=30) as client:
            client.sendall(data)
            if end:
                client.shutdown(1)
            reply = b""
            while part := client.recv(65536):
                reply += part
            return reply

    def head(self, length, *headers):
        lines = ["POST /v1/completions HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def assert_refused(self, status, data, end=False):
        reply = self.send(data, end)
        self.assertTrue(reply.startswith(f"HTTP/1.1 {status} ".encode()), reply[:200])
        body = reply.split(b"\r\n\r\n", 1)[1]
        self.assertIn("message", json.loads(body)["error"])

    def test_health(self):
        self.assertEqual(self.server.get("/health")[0], 200)
        for accept in ["*/*", "application/json"]:
            status, headers, body = self.server.get("/", Accept=accept)
            self.assertEqual((status, headers["Content-Type"], body), (200, "application/json", b'"healthy"'))

    def test_page_for_browsers(self):
        status, headers, body = self.server.get("/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn(b"<!doctype html>", body)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])

    def test_models(self):
        listed = json.loads(self.server.get("/v1/models")[2])["data"]
        self.assertEqual([model["id"] for model in listed], [NAME])
        self.assertEqual(json.loads(self.server.get(f"/v1/models/{NAME}")[2]), listed[0])
        self.assertEqual(self.server.get("/v1/models/other")[0], 404)

    def test_head(self):
        status, headers, body = self.server.request("HEAD", "/health")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 0)

    def test_unknown_paths_and_methods(self):
        for path in ["/nothing", "/v1", "//", "/v1/completions/", "/%0a", "/..%2f..%2fetc/passwd"]:
            self.assertEqual(self.server.get(path)[0], 404, path)
            self.assertEqual(self.server.request("POST", path, BODY, **JSON)[0], 404, path)
        for method, path, allowed in [("GET", "/v1/completions", "POST"), ("POST", "/health", "GET"),
                                      ("DELETE", "/v1/models", "GET"), ("PUT", "/score", "POST"),
                                      ("PATCH", "/", "GET"), ("OPTIONS", "/score", "POST")]:
            status, headers, body = self.server.request(method, path, BODY, **JSON)
            self.assertEqual(status, 405, (method, path))
            self.assertEqual(headers["Allow"], allowed)
            self.assertIn("message", json.loads(body)["error"])

    def test_embeddings_are_refused(self):
        self.assert_error(404, "/v1/embeddings", {"input": "text", "model": NAME})

    def test_keep_alive(self):
        connection = self.server.connect()
        connection.request("GET", "/health")
        connection.getresponse().read()
        socket = connection.sock
        for _ in range(20):
            connection.request("POST", "/v1/completions", BODY, JSON)
            self.assertEqual(connection.getresponse().read()[:1], b"{")
            connection.request("POST", "/v1/completions", b"[]", JSON)
            self.assertIn(b"error", connection.getresponse().read())
        self.assertIs(connection.sock, socket)
        connection.close()

    def test_pipelined_requests(self):
        one = self.head(len(BODY)) + BODY
        last = self.head(len(BODY), "Connection: close") + BODY
        self.assertEqual(self.send(one + one + last).count(b"HTTP/1.1 200"), 3)

    def test_chunked_body(self):
        chunks = b"5\r\n" + BODY[:5] + b"\r\n" + f"{len(BODY) - 5:x}\r\n".encode() + BODY[5:] + b"\r\n0\r\n\r\n"
        head = self.head(None, "Transfer-Encoding: chunked", "Connection: close")
        self.assertIn(b"HTTP/1.1 200", self.send(head + chunks))
        self.assert_refused(400, head + b"0" * 17_000_000)

    def test_malformed_requests(self):
        for data in [b"\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"BREW / HTTP/1.1\r\n\r\n",
                     b"GET /?a?b? HTTP/1.1\r\n\r\n", b"\xff\xfe GET / HTTP/1.1\r\n\r\n"]:
            self.assert_refused(400, data)
        self.assert_refused(414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n")

    def test_malformed_lengths(self):
        for length in ["-1", "abc", "1e3", "0x10", "", "9" * 30]:
            with self.subTest(length):
                reply = self.send(self.head(length))
                self.assertRegex(reply[:40], rb"^HTTP/1.1 (400|411|413) ")
        self.assert_refused(400, self.head(3, "Transfer-Encoding: chunked") + b"{}\r\n")
        self.assert_refused(400, self.head(2, "Content-Length: 3") + b"{} ")
        self.assert_refused(400, self.head(None, "Transfer-Encoding: gzip") + b"{}")
        self.assert_refused(411, self.head(None))
        self.assert_refused(400, self.head(None, "Transfer-Encoding: chunked") + b"zz\r\n")
        self.assert_refused(400, self.head(100) + b"{}", end=True)

    def test_endless_headers(self):
        self.assertIn(b" 400 ", self.send(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000)[:20])
        self.send(b"GET /" + b"a" * 200000)  # nothing that could be answered

    def test_content_types(self):
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]:
            status = self.server.request("POST", "/score", b"{}", **{"Content-Type": kind})[0]
            self.assertEqual(status, 415, kind)
        status = self.server.request("POST", "/v1/completions", BODY,
                                     **{"Content-Type": "Application/JSON; charset=utf-8"})[0]
        self.assertEqual(status, 200)

    def test_ranges_and_encodings_change_nothing(self):
        for headers in [{"Range": "bytes=0-3"}, {"Range": "bytes=0-1,3-4"}, {"Accept-Encoding": "gzip, br"}]:
            status, found, body = self.server.request("POST", "/v1/completions", BODY, **JSON, **headers)
            self.assertEqual(status, 200)
            self.assertNotIn("Content-Encoding", found)
            json.loads(body)

    def test_bodies_that_are_no_request(self):
        for body in [b"", b"{", b"[]", b"3", b'"text"', b"null", b"{}{}", b'{"prompt": "\xff"}', b"\xef\xbb\xbf",
                     b'{"prompt": "\\ud800"}', b'{"prompt": NaN}', b"{}\x00", b'{"a": 1e999}',
                     b'{"prompt": ' + b"[" * 100000 + b"]" * 100000 + b"}",
                     b'{"a":' * 100000 + b"1" + b"}" * 100000,
                     b"{" + b",".join(b'"%d": 0' % i for i in range(5000)) + b"}"]:
            self.assert_error(400, "/v1/completions", body)
            self.assert_error(400, "/v1/chat/completions", body)
            self.assert_error(400, "/score", body)

    def test_wrong_types_and_ranges(self):
        for field, values in {
            "prompt": [3, {}, [], [[]], [1, "a"], ["a", 1], [-1], [2048], [1.5], [[1], "a", 3], True],
            "max_tokens": [0, -1, 1.5, "8", True, 10**30], "n": [0, -1, 2000, "2"],
            "temperature": [-1, "hot", 1000, True], "top_p": [0, 1.5, -1], "top_k": [-2, 1.5, "all"],
            "min_p": [-0.1, 1.1], "presence_penalty": [3, "a"], "frequency_penalty": [-3],
            "seed": [1.5, "x"], "stop": [3, [3], [""], "", ["a"] * 65, "a" * 257], "stream": ["yes", 1],
            "echo": [1], "logprobs": [-1, 21, True], "logit_bias": [[], 3], "model": [3],
            "suffix": ["text"], "best_of": [5], "stream_options": [3],
        }.items():
            for value in values:
                with self.subTest(field=field, value=str(value)[:40]):
                    error = self.post("/v1/completions", {"prompt": PROMPT, "n": 1, field: value}, 400)["error"]
                    self.assertTrue(error["param"].startswith(field), error)

    def test_wrong_biases(self):
        for bias in [{"x": 1}, {"2048": 1}, {"-1": 1}, {"1.0": 1}, {"1": 101}, {"1": "a"}, {"": 1}]:
            self.post("/v1/completions", {"prompt": PROMPT, "logit_bias": bias}, 400)

    def test_wrong_messages(self):
        user = {"role": "user", "content": "Hi"}
        for messages, param in [
            (None, "messages"), ([], "messages"), ("Hi", "messages"), (["Hi"], "messages[0]"),
            ([{"content": "Hi"}], "messages[0].role"), ([{"role": "king", "content": "Hi"}], "messages[0].role"),
            ([user, {"role": "user", "content": 3}], "messages[1].content"),
            ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0].type"),
            ([{"role": "user", "content": ["Hi"]}], "messages[0].content[0]"),
            ([user, {"role": "assistant", "content": ""}], "messages"),
            ([{"role": "assistant", "content": "Hi"}], "messages"),
            ([user, {"role": "assistant", "tool_calls": [3]}], "messages[1].tool_calls[0]"),
        ]:
            self.assert_error(400, "/v1/chat/completions", {"messages": messages}, param)

    def test_tools_need_a_vocabulary_that_has_them(self):
        tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
        error = self.assert_error(400, "/v1/chat/completions", {
            "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}, "messages")
        self.assertEqual(error["code"], "unsupported")

    def test_other_models(self):
        error = self.assert_error(404, "/v1/completions", {"prompt": "a", "model": "gpt-4"}, "model")
        self.assertEqual(error["code"], "model_not_found")
        self.complete(model=NAME)

    def test_too_long(self):
        error = self.assert_error(400, "/v1/completions", {"prompt": [1] * 1024}, "prompt")
        self.assertEqual(error["code"], "context_length_exceeded")
        error = self.post("/v1/completions", {"prompt": [1] * 1000, "max_tokens": 25}, 400)["error"]
        self.assertEqual(error["code"], "context_length_exceeded")
        self.post("/v1/completions", {"prompt": [[1], [1] * 1000], "max_tokens": 25}, 400)  # none stays
        self.assertEqual(self.post("/v1/completions", {"prompt": [1] * 1000, "max_tokens": 24, "temperature": 0})
                         ["usage"]["prompt_tokens"], 1000)

    def test_tokenize(self):
        ids = self.post("/tokenize", {"prompt": PROMPT, "add_special_tokens": False})["tokens"]
        self.assertEqual(self.post("/tokenize", {"prompt": PROMPT})["tokens"], [1, *ids])
        self.assertEqual(self.post("/detokenize", {"tokens": ids}), {"prompt": PROMPT})
        self.assertEqual(self.post("/tokenize", {"prompt": "<s>", "add_special_tokens": False})["tokens"], [1])
        self.assertEqual(self.post("/detokenize", {"tokens": []}), {"prompt": ""})
        info = json.loads(self.server.get("/tokenizer_info")[2])
        self.assertEqual((info["bos_token"], info["eos_token"]), ("<s>", "</s>"))
        for path, body in [("/tokenize", {}), ("/tokenize", {"prompt": 3}), ("/detokenize", {"tokens": [9999]}),
                           ("/detokenize", {"tokens": "a"})]:
            self.post(path, body, 400)

    def test_metrics(self):
        before = self.server.metric("mixtral_generated_tokens_total")
        self.complete(max_tokens=5)
        # Requests are counted and logged once they are answered.
        self.wait_until(lambda: self.server.metric("mixtral_generated_tokens_total") == before + 5)
        text = self.server.get("/metrics")[2].decode()
        self.assertRegex(text, r'mixtral_requests_total\{path="/v1/completions",status="200"\} \d+')
        self.assertRegex(text, r'mixtral_first_token_seconds_bucket\{le="\+Inf"\} \d+')

    def test_log_has_no_text(self):
        self.complete(prompt="a secret kite", max_tokens=3)
        self.post("/v1/completions", {"prompt": {"another": "secret"}}, 400)
        self.wait_until(lambda: any(line["status"] == 200 and line.get("new_tokens") == 3
                                    for line in self.server.log_lines()))
        lines = self.server.log_lines()
        self.assertNotIn("secret", json.dumps(lines))
        for line in lines:
            self.assertGreaterEqual(line.keys(), {"time", "method", "path", "status", "seconds"})

    def test_cors_is_off(self):
        headers = self.server.request("POST", "/v1/completions", BODY, **JSON, Origin="http://evil.example")[1]
        self.assertNotIn("Access-Control-Allow-Origin", headers)


if __name__ == "__main__":
    unittest.main()
