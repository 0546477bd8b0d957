"""bench: the form of its report, the bytes that it counts, and a weight file that shrinks."""

import os
import pathlib
import signal
import subprocess
import unittest

from support import GOLDENS, IO, MODEL, NO_ROOM, OK, USAGE, CommandTest, command_line, environment

QUICK = ["-r", "1"]


class Bench(CommandTest):
    def test_json(self):
        report = self.json("bench", MODEL, "-p", "16,40", "-n", "4", "-t", "2", *QUICK)
        self.assertEqual([r["test"] for r in report["results"]], ["pp16", "pp40", "tg4"])
        for result in report["results"]:
            self.assertGreater(result["tokens_per_second"], 0)
            self.assertGreater(result["gb_per_second"], 0)
            self.assertGreater(result["read_roof_ratio"], 0)
            self.assertEqual(result["samples"], [result["tokens_per_second"]])
        self.assertGreater(report["roofs"]["read_gb_per_second"], 0)
        self.assertGreater(report["peak_memory_bytes"], report["private_memory_bytes"])
        self.assertEqual(report["n_threads"], 2)

    def test_without_tokenizer(self):
        report = self.json("bench", GOLDENS / "gqa4_top2of8", "-p", "3", "-n", "2", *QUICK)
        self.assertEqual([r["test"] for r in report["results"]], ["pp3", "tg2"])

    def test_depth_and_batch(self):
        report = self.json("bench", MODEL, "-p", "0", "-n", "2", "-d", "0,20", "-b", "1,3", *QUICK)
        self.assertEqual([r["test"] for r in report["results"]],
                         ["tg2", "tg2@d20", "tg2@b3", "tg2@d20@b3"])

    def test_bytes_of_decoding(self):
        directory = self.synth(shape="64x96x2x4x2x4x128")
        weights = self.json("info", directory)["weights"]
        report = self.json("bench", directory, "-p", "0", "-n", "2", "--cache-type", "f32", *QUICK)
        embedding = 2 * 128 * 64
        active = 2 * weights["active_parameters"] - embedding + 2 * 64  # one row of the embedding
        cache = 2 * 2 * 2 * 16 * 4  # a position's keys and values, 2 layers
        self.assertAlmostEqual(report["results"][0]["bytes_per_token"],
                               active + cache * (1 + 2) / 2)

    def test_bytes_of_a_prompt(self):
        directory = self.synth(shape="64x96x2x4x2x4x128")
        weights = self.json("info", directory)["weights"]
        report = self.json("bench", directory, "-p", "200", "-n", "0", *QUICK)
        embedding = 2 * 128 * 64
        everything = weights["bytes"] - embedding + 200 * 2 * 64  # every expert is hit
        cache = 200 * 2 * 2 * 2 * 16 * 2
        self.assertAlmostEqual(report["results"][0]["bytes_per_token"], (everything + cache) / 200)

    def test_table(self):
        result = self.run_command("bench", MODEL, "-p", "8", "-n", "2", *QUICK)
        self.assertEqual(result.returncode, OK, result.stderr)
        lines = result.stdout.decode().splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["test", "pp8", "tg2"])
        self.assertIn(b"roofs: read ", result.stderr)

    def test_bad_input(self):
        for option, value in [("-p", "x"), ("-p", "16,x"), ("-p", "-1"), ("--decode", "1.5"),
                              ("-b", "0"), ("-r", "0"), ("-d", "-3"), ("-t", "0")]:
            self.assert_fails(USAGE, "bench", MODEL, option, value, says="expected a whole number")
        self.assert_fails(USAGE, "bench", MODEL, "-p", "0", "-n", "0", says="at least one test")
        self.assert_fails(NO_ROOM, "bench", MODEL, "-p", "2000", says=["pp2000", "1024"])


class Signals(CommandTest):
    def start(self, directory):
        process = subprocess.Popen(command_line("bench", directory, "-p", "512", "-n", "0",
                                                "-r", "1000000"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment())
        self.addCleanup(process.kill)
        maps = pathlib.Path(f"/proc/{process.pid}/maps")
        self.wait_until(lambda: "model.safetensors" in maps.read_text(), process)
        return process

    def test_a_weight_file_that_shrinks(self):
        directory = self.synth(shape="256x512x4")
        process = self.start(directory)
        os.truncate(directory / "model.safetensors", 100000)
        output, message = process.communicate(timeout=120)
        self.assertEqual((process.returncode, output), (IO, b""), message)
        self.assertRegex(message.decode(), "model")

    def test_bus_error(self):
        process = self.start(self.synth(shape="256x512x4"))
        process.send_signal(signal.SIGBUS)  # as the system does for a page that is gone
        _, message = process.communicate(timeout=120)
        self.assertEqual(process.returncode, IO)
        self.assertIn(b"cut short while in use", message)

    def test_terminate(self):
        process = self.start(self.synth(shape="256x512x4"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
