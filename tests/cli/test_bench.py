"""bench: the form of its report, the bytes that it counts, and a weight file that shrinks."""

import os
import pathlib
import re
import signal
import subprocess
import unittest

from support import GOLDENS, IO, MODEL, NO_ROOM, OK, USAGE, CommandTest, command_line, environment

QUICK = ["-r", "1"]


class Bench(CommandTest):
    def names_of(self, *arguments):
        report = self.json("bench", *arguments, *QUICK)
        return [result["test"] for result in report["results"]]

    def assert_keys(self, report, keys):
        self.assertEqual(sorted(report), sorted(keys.split()))

    def test_json(self):
        report = self.json("bench", MODEL, "-p", "16,40", "-n", "4", "-t", "2", *QUICK)
        self.assert_keys(report, "model isa gemm precision cache_dtype n_threads repetitions seed"
                         " weight_bytes results roofs load peak_memory_bytes private_memory_bytes")
        self.assertEqual([r["test"] for r in report["results"]], ["pp16", "pp40", "tg4"])
        for result in report["results"]:
            self.assert_keys(result, "test n_tokens depth batch tokens_per_second samples"
                             " bytes_per_token gb_per_second read_roof_ratio"
                             " operations_per_token gops arithmetic_roof_ratio")
            for key, value in result.items():
                if key not in ("test", "samples", "depth"):
                    self.assertGreater(value, 0, key)
            self.assertEqual(result["samples"], [result["tokens_per_second"]])
            self.assertAlmostEqual(result["gb_per_second"] / result["read_roof_ratio"],
                                   report["roofs"]["read_gb_per_second"])
        self.assertGreater(report["peak_memory_bytes"], report["private_memory_bytes"])
        self.assertEqual((report["n_threads"], report["repetitions"]), (2, 1))
        self.assert_keys(report["load"], "cold_seconds warm_seconds")
        self.assertGreater(report["load"]["warm_seconds"], 0)
        self.assertIsNone(report["load"]["cold_seconds"])

    def test_roofs(self):
        for isa, dtype, arithmetic in [("baseline", "bf16", "f32"), ("baseline", "f32", "f32"),
                                       (None, "f32", "f32"), (None, "bf16", None)]:
            directory = self.synth(f"{isa}-{dtype}", "64x96x2x4x2x4x128", "--dtype", dtype)
            report = self.json("bench", directory, "-p", "3", "-n", "0",
                               *(["--isa", isa] if isa else []), *QUICK)
            roofs = report["roofs"]
            self.assert_keys(roofs, "read_gb_per_second f32_gops bf16_gops int8_gops arithmetic")
            has_bf16 = report["isa"] == "avx512"
            self.assertEqual(roofs["bf16_gops"] is not None, has_bf16)
            for key in ("read_gb_per_second", "f32_gops", "int8_gops"):
                self.assertGreater(roofs[key], 0, key)
            expected = arithmetic or ("bf16" if has_bf16 else "f32")
            self.assertEqual(roofs["arithmetic"], expected)
            result = report["results"][0]
            self.assertAlmostEqual(result["gops"] / result["arithmetic_roof_ratio"],
                                   roofs[expected + "_gops"], delta=1e-6 * roofs["f32_gops"])

    def test_cold_load(self):
        load = self.json("bench", self.synth(), "-p", "0", "-n", "1", "--cold", *QUICK)["load"]
        if load["cold_seconds"] is not None:  # as where files are held in memory alone
            self.assertGreater(load["cold_seconds"], 0)

    def test_without_tokenizer(self):
        self.assertEqual(self.names_of(GOLDENS / "gqa4_top2of8", "-p", "3", "-n", "2"),
                         ["pp3", "tg2"])

    def test_depth_and_batch(self):
        self.assertEqual(self.names_of(MODEL, "-p", "0", "-n", "2", "-d", "0,20", "-b", "1,3"),
                         ["tg2", "tg2@d20", "tg2@b3", "tg2@d20@b3"])

    def test_full(self):
        prompts = ["pp1", "pp4", "pp16", "pp64", "pp128", "pp512"]
        # The model was made for 1024 positions: no pp2048, no depths.
        self.assertEqual(self.names_of(MODEL, "--full"),
                         [*prompts, "tg32", "tg32@b4", "tg32@b16"])
        deep = self.synth(shape="64x96x2x4x2x4x128")
        self.assertEqual(self.names_of(deep, "--full"),
                         [*prompts, "pp2048", "tg32", "tg32@d4096", "tg32@d16384", "tg32@b4",
                          "tg32@b16"])

    def test_bytes_of_decoding(self):
        directory = self.synth(shape="64x96x2x4x2x4x128")
        weights = self.json("info", directory)["weights"]
        report = self.json("bench", directory, "-p", "0", "-n", "2", "--cache-type", "f32", *QUICK)
        embedding = 2 * 128 * 64
        active = 2 * weights["active_parameters"] - embedding + 2 * 64  # one row of the embedding
        cache = 2 * 2 * 2 * 16 * 4  # a position's keys and values, 2 layers
        self.assertAlmostEqual(report["results"][0]["bytes_per_token"],
                               active + cache * (1 + 2) / 2)

    def test_bytes_at_a_depth(self):
        directory = self.synth(shape="64x96x2x4x2x4x128")
        report = self.json("bench", directory, "-p", "0", "-n", "2", "-d", "0,100", *QUICK)
        shallow, deep = report["results"]
        cache = 2 * 2 * 2 * 16 * 2  # a position's keys and values, 2 layers, f16
        self.assertAlmostEqual(deep["operations_per_token"] - shallow["operations_per_token"],
                               4 * 2 * 64 * 100)
        # The same experts or others, of the same size; each token's are 2 of 4 in each layer.
        self.assertAlmostEqual(deep["bytes_per_token"] - shallow["bytes_per_token"], 100 * cache)

    def test_bytes_of_a_batch(self):
        directory = self.synth(shape="64x96x2x4x2x4x128")
        report = self.json("bench", directory, "-p", "0", "-n", "2", "-b", "1,16", *QUICK)
        single, batch = report["results"]
        self.assertAlmostEqual(batch["operations_per_token"], single["operations_per_token"])
        weights = self.json("info", directory)["weights"]
        row = 2 * 64
        cache = 2 * 2 * 2 * 16 * 2 * (1 + 2) / 2
        everything = weights["bytes"] - 128 * row  # every expert is hit by one of 16 tokens
        self.assertAlmostEqual(batch["bytes_per_token"], everything / 16 + row + cache)

    def test_bytes_of_a_prompt(self):
        directory = self.synth(shape="64x96x2x4x2x4x128")
        weights = self.json("info", directory)["weights"]
        report = self.json("bench", directory, "-p", "200", "-n", "0", *QUICK)
        embedding = 2 * 128 * 64
        everything = weights["bytes"] - embedding + 200 * 2 * 64  # every expert is hit
        everything -= 2 * 3 * 64 * 96 * 2  # but two: the last layer's experts are the last token's
        cache = 200 * 2 * 2 * 2 * 16 * 2
        self.assertAlmostEqual(report["results"][0]["bytes_per_token"], (everything + cache) / 200)

    def test_operations_of_a_prompt(self):
        report = self.json("bench", self.synth(shape="64x96x2x4x2x4x128"), "-p", "200", "-n", "0", *QUICK)
        key_value = 2 * 64 * 32
        layer = 2 * 64 * 64 + key_value + 2 * 3 * 64 * 96
        # Of the last layer only keys and values are computed for all tokens.
        products = 200 * layer + 200 * key_value + layer - key_value + 128 * 64
        attended = 200 * 201 / 2 + 200
        expected = (2 * products + 4 * 64 * attended) / 200
        # Norms and routers are counted, too.
        self.assertAlmostEqual(report["results"][0]["operations_per_token"] / expected, 1, delta=0.01)

    def test_table(self):
        result = self.run_command("bench", MODEL, "-p", "8", "-n", "2", *QUICK)
        self.assertEqual(result.returncode, OK, result.stderr)
        lines = result.stdout.decode().splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["test", "pp8", "tg2"])
        self.assertIn(b"roofs: read ", result.stderr)
        self.assertIn(b"loaded to the first logits in ", result.stderr)

    def test_bad_input(self):
        for option, value in [("-p", "x"), ("-p", "16,x"), ("-p", "-1"), ("--tg", "1.5"),
                              ("-b", "0"), ("-r", "0"), ("-d", "-3"), ("-t", "0")]:
            self.assert_fails(USAGE, "bench", MODEL, option, value, says="expected a whole number")
        self.assert_fails(USAGE, "bench", MODEL, "-p", "0", "-n", "0", says="at least one test")
        self.assert_fails(USAGE, "bench", MODEL, "--full", "-p", "16", says=["--full", "--pp"])
        self.assert_fails(NO_ROOM, "bench", MODEL, "-p", "2000", says=["pp2000", "1024"])
        self.assert_fails(NO_ROOM, "bench", MODEL, "-d", "1000", says=["tg32@d1000", "1024"])


class Signals(CommandTest):
    def start(self, directory):
        process = subprocess.Popen(command_line("bench", directory, "-p", "512", "-n", "0",
                                                "-r", "1000000"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment())
        self.addCleanup(process.kill)
        self.wait_until(lambda: self.private_bytes(process) > 400e6, process)
        return process

    @staticmethod
    def private_bytes(process):
        """Once it has the half gibibyte that the read roof takes, all loads are over."""
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
        return 1024 * int(found[1]) if found else 0

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
