"""Keys, sizes, queues, time, clients that go away, and the end of the server."""

import json
import pathlib
import tempfile
import threading
import time
import unittest

from support import GREEDY, MODEL, PROMPT, Server, ServerTest

LONG = {"prompt": "Tom", "max_tokens": 900, "logit_bias": {"2": -100}, **GREEDY}  # </s> never comes
JSON = {"Content-Type": "application/json"}


def in_background(function, *arguments):
    """A thread, and the list that gets what `function` returns."""
    results = []

    def run():
        try:
            results.append(function(*arguments))
        except OSError:  # the server is gone
            pass

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


class Keys(ServerTest):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as directory:
            keys = pathlib.Path(directory) / "keys"
            keys.write_text("# who may\nfirst-key\n\nsecond-key  \n")
            cls.server = Server("--api-key-file", keys)

    def test_keys(self):
        body = json.dumps({"prompt": PROMPT, "max_tokens": 1}).encode()
        for value, status in [(None, 401), ("", 401), ("Bearer ", 401), ("Bearer wrong", 401),
                              ("Bearer first-keyx", 401), ("Bearer first-ke", 401), ("first-key", 401),
                              ("Bearer # who may", 401), ("Basic first-key", 401),
                              ("Bearer first-key", 200), ("Bearer second-key", 200)]:
            headers = {} if value is None else {"Authorization": value}
            found, reply, _ = self.server.request("POST", "/v1/completions", body, **JSON, **headers)
            self.assertEqual(found, status, value)
            if status == 401:
                self.assertEqual(reply["WWW-Authenticate"], "Bearer")

    def test_what_is_open(self):
        for path, status in [("/health", 200), ("/", 200), ("/swagger.json", 200), ("/metrics", 401),
                             ("/v1/models", 401), ("/tokenizer_info", 401), ("/nothing", 404)]:
            self.assertEqual(self.server.get(path)[0], status, path)


class Sizes(ServerTest):
    OPTIONS = ["--max-body", 1, "--ctx", 64]

    def test_body(self):
        body = {"prompt": "a" * 1_100_000}
        error = self.post("/v1/completions", body, 413)["error"]
        self.assertIn("1000000", error["message"])
        with self.server.socket() as client:  # in chunks the size isn't known before
            client.sendall(b"POST /score HTTP/1.1\r\nContent-Type: application/json\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n")
            client.sendall((b"80000\r\n" + b" " * 0x80000 + b"\r\n") * 3)
            self.assertIn(b" 413 ", client.recv(100))

    def test_bomb(self):
        import gzip
        body = gzip.compress(b" " * 50_000_000)
        status = self.server.request("POST", "/score", body, **JSON, **{"Content-Encoding": "gzip"})[0]
        self.assertEqual(status, 413)

    def test_context(self):
        endless = {"2": -100}
        whole = self.complete(prompt=[1] * 60, max_tokens=4, logit_bias=endless)
        self.assertEqual(whole["usage"]["total_tokens"], 64)
        self.complete(prompt=[1] * 61, max_tokens=4, status=400)
        shrunk = self.post("/v1/completions", {"prompt": [1] * 60, "logit_bias": endless})
        self.assertEqual(shrunk["usage"]["total_tokens"], 64)


class Queue(ServerTest):
    OPTIONS = ["--parallel", 1, "--queue", 2, "--max-connections", 6]

    def test_queue_is_bounded(self):
        stream = self.server.stream("/v1/completions", {**LONG, "n": 16})
        next(stream)
        error = self.assert_error(429, "/v1/completions", {"prompt": PROMPT})
        self.assertEqual(error["code"], "queue_full")
        stream.close()
        self.wait_until(self.server.is_idle)
        self.complete()

    def test_connections_are_bounded(self):
        clients = [self.server.socket() for _ in range(6)]
        self.wait_until(lambda: self.server.request("GET", "/health")[0] == 503)
        for client in clients:
            client.close()
        self.wait_until(lambda: self.server.request("GET", "/health")[0] == 200)


class Time(ServerTest):
    OPTIONS = ["--timeout", 1, "--parallel", 1]

    def test_timeout(self):
        body = {"prompt": ["Tom"] * 64, **{k: v for k, v in LONG.items() if k != "prompt"}}
        error = self.assert_error(503, "/v1/completions", body)
        self.assertEqual(error["code"], "timeout")
        self.wait_until(self.server.is_idle)
        last = list(self.server.stream("/v1/completions", body))[-1]
        self.assertEqual(last["error"]["code"], "timeout")
        self.wait_until(self.server.is_idle)


class Gone(ServerTest):
    OPTIONS = ["--parallel", 1]

    def send(self, **body):
        client = self.server.socket()
        data = json.dumps({**LONG, **body}).encode()
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(data) + data)
        return client

    def test_clients_that_go_away_free_their_place(self):
        for stream in [False, True]:
            clients = [self.send(stream=stream, prompt=["Tom"] * 32) for _ in range(3)]
            self.wait_until(lambda: self.server.metric("mixtral_sequences_waiting") > 64)
            for client in clients:
                client.close()
            self.wait_until(self.server.is_idle)
        n_new = sum(line.get("new_tokens", 0) for line in self.server.log_lines())
        self.assertLess(n_new, 32 * LONG["max_tokens"])  # of six times as many that were asked for


class End(unittest.TestCase):
    def test_running_requests_finish(self):
        server = Server()
        thread, results = in_background(server.post, "/v1/completions", {**LONG, "max_tokens": 500})
        while server.metric("mixtral_sequences_running") == 0:
            time.sleep(0.01)
        idle = server.connect()  # a connection without a request doesn't hold up the end
        idle.request("GET", "/health")
        idle.getresponse().read()
        server.terminate()
        thread.join()
        status, answer = results[0]
        self.assertEqual((status, answer["usage"]["completion_tokens"]), (200, 500))
        self.assertEqual(server.process.wait(timeout=30), 0)
        with self.assertRaises(OSError):
            server.get("/health")
        idle.close()
        server.close()

    def test_new_requests_are_refused(self):
        server = Server("--parallel", 1)
        body = {**LONG, "prompt": ["Tom"] * 8}
        thread, results = in_background(server.post, "/v1/completions", body)
        while server.metric("mixtral_sequences_running") == 0:
            time.sleep(0.01)
        server.terminate()
        deadline = time.monotonic() + 10
        while server.get("/health")[0] == 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(server.get("/health")[0], 503)
        server.process.kill()
        server.process.wait()
        thread.join()
        server.close()

    def test_drain_is_bounded(self):
        server = Server("--parallel", 1, "--drain", 1)
        stream = server.stream("/v1/completions", {**LONG, "prompt": ["Tom"] * 64})
        next(stream)
        server.terminate()
        self.assertEqual(server.process.wait(timeout=30), 0)
        server.close()

    def test_bad_options(self):
        for options in [["--port", 70000], ["--parallel", 0], ["--api-key-file", "/nowhere"],
                        ["--host", "203.0.113.7"]]:
            with self.assertRaises(RuntimeError):
                Server(*options, model=MODEL)


if __name__ == "__main__":
    unittest.main()
