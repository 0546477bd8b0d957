"""Many clients at once: short and long, whole and streamed, slow readers, and some that leave.

MIXTRAL_LOAD_SECONDS in the environment makes it longer."""

import json
import os
import random
import threading
import time
import unittest

from support import ServerTest

SECONDS = float(os.environ.get("MIXTRAL_LOAD_SECONDS", "15"))
N_CLIENTS = 64
PROMPTS = ["Once upon a time", "2 + 3 =", "The fox was very proud.", "Question: Why does it rain?\nAnswer:",
           "Lily and Tom went to the beach. " * 12, "def is_even(a):\n", "Tom"]


def requests():
    """Requests whose texts must always be the same."""
    for i, prompt in enumerate(PROMPTS):
        for max_tokens in [1, 7, 40]:
            yield {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0}
            yield {"prompt": prompt, "max_tokens": max_tokens, "temperature": 1.2, "seed": i, "top_p": 0.9}


class Load(ServerTest):
    OPTIONS = ["--parallel", 16, "--no-log"]

    def resident_bytes(self):
        with open(f"/proc/{self.server.process.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    def client(self, rng, deadline):
        while time.monotonic() < deadline and not self.failures:
            body, expected = rng.choice(self.cases)
            try:
                getattr(self, rng.choice(["whole", "whole", "streamed", "slow", "leaving"]))(body, expected, rng)
                self.n_done += 1
            except Exception as error:  # in a thread nobody would see it
                self.failures.append(f"{type(error).__name__}: {error}")

    def check(self, found, expected):
        if found != expected:
            self.failures.append(f"expected {expected!r}, found {found!r}")

    def whole(self, body, expected, _):
        status, answer = self.server.post("/v1/completions", body)
        self.check((status, answer["choices"][0]["text"]), (200, expected))

    def streamed(self, body, expected, _, pause=0):
        text = ""
        for event in self.server.stream("/v1/completions", body):
            if event != "[DONE]":
                text += event["choices"][0]["text"]
            time.sleep(pause)
        self.check(text, expected)

    def slow(self, body, expected, rng):
        self.streamed(body, expected, rng, pause=0.03)

    def leaving(self, body, _, rng):
        client = self.server.socket()
        data = json.dumps({**body, "max_tokens": 400, "stream": rng.random() < 0.5}).encode()
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(data) + data)
        time.sleep(rng.random() * 0.3)
        client.close()

    def run_clients(self, seconds):
        deadline = time.monotonic() + seconds
        threads = [threading.Thread(target=self.client, args=(random.Random(i), deadline))
                   for i in range(N_CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_no_answer_is_lost_or_crossed(self):
        self.failures, self.n_done = [], 0
        self.cases = [(body, self.complete(**body)["choices"][0]["text"]) for body in requests()]
        self.run_clients(SECONDS / 2)
        before = self.resident_bytes()
        self.run_clients(SECONDS / 2)
        self.wait_until(self.server.is_idle, 60)
        after = self.resident_bytes()
        self.assertEqual(self.failures, [])
        self.assertGreater(self.n_done, N_CLIENTS)
        self.assertLess(after, before + (64 << 20))
        print(f"{self.n_done} requests; memory {before >> 20} -> {after >> 20} MiB")
        for body, expected in self.cases:
            self.assertEqual(self.complete(**body)["choices"][0]["text"], expected)


if __name__ == "__main__":
    unittest.main()
