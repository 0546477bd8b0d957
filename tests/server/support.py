"""Runs `mixtral serve` and talks to it."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

SOURCE = pathlib.Path(os.environ["MIXTRAL_SOURCE_DIR"])
COMMAND = os.environ["MIXTRAL_COMMAND"]
MODEL = SOURCE / "examples" / "models" / "pocket-mixtral"

NAME = "pocket-mixtral"
PROMPT = "Once upon a time"
GREEDY = {"temperature": 0}


def environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("MIXTRAL_")}


class Server:
    """A running `mixtral serve`."""

    def __init__(self, *options, model=MODEL):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="mixtral-serve-"))
        self.log = (self.scratch / "log").open("w+")
        arguments = [COMMAND, "serve", str(model), "--port", "0", *map(str, options)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=self.log,
                                        env=environment())
        self.url = self.process.stdout.readline().decode().strip()
        if not self.url:
            reason = (self.scratch / "log").read_text()
            self.close()
            raise RuntimeError(reason)
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port = parts.hostname, parts.port

    def connect(self, timeout=120):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def socket(self, timeout=120):
        return socket.create_connection((self.host, self.port), timeout=timeout)

    def request(self, method, path, body=None, **headers):
        """(status, headers, bytes) of the reply."""
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, body, **headers):
        """(status, JSON) of the reply to a body of JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        status, _, reply = self.request("POST", path, data, **headers)
        return status, json.loads(reply)

    def stream(self, path, body):
        """The events of a stream as they come: JSON, and at last "[DONE]"."""
        connection = self.connect()
        connection.request("POST", path, json.dumps({**body, "stream": True}).encode(),
                           {"Content-Type": "application/json"})
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        assert reply.headers["Content-Type"] == "text/event-stream"
        for line in reply:
            line = line.decode().rstrip("\n")
            if line:
                assert line.startswith("data: "), line
                yield line[6:] if line == "data: [DONE]" else json.loads(line[6:])
        connection.close()

    def metric(self, name):
        for line in self.get("/metrics")[2].decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split(" ")[1])
        raise KeyError(name)

    def is_idle(self):
        return self.metric("mixtral_sequences_running") + self.metric("mixtral_sequences_waiting") == 0

    def log_lines(self):
        return [json.loads(line) for line in (self.scratch / "log").read_text().splitlines()]

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def close(self):
        """Ends the server and returns its exit code."""
        if self.process.poll() is None and self.url:
            self.terminate()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        return code


class ServerTest(unittest.TestCase):
    """Tests that share one server."""

    OPTIONS = []

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.OPTIONS)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.close()
        assert code == 0, f"the server ended with {code}"

    def post(self, path, body, status=200, **headers):
        found, answer = self.server.post(path, body, **headers)
        self.assertEqual(found, status, answer)
        return answer

    def complete(self, status=200, **body):
        return self.post("/v1/completions", {"prompt": PROMPT, "max_tokens": 8, **GREEDY, **body}, status)

    def assert_error(self, status, path, body, param=None, **headers):
        error = self.post(path, body, status, **headers)["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertTrue(error["message"])
        self.assertEqual(error["param"], param, error)
        return error

    def wait_until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it took too long")
            time.sleep(0.02)
