"""Help, bad command lines, info and synth."""

import json
import os
import signal
import subprocess
import unittest

from support import (BAD_MODEL, GOLDENS, INTERRUPTED, IO, MODEL, OK, USAGE, CommandTest,
                     command_line, environment)

COMMANDS = ["generate", "chat", "tokenize", "detokenize", "logits", "perplexity", "info",
            "convert", "verify", "synth", "bench"]


class Help(CommandTest):
    def test_lists_commands_and_exit_codes(self):
        text = self.output("--help")
        for command in COMMANDS:
            self.assertIn(command, text)
        self.assertIn("Exit codes", text)

    def test_every_command_shows_examples(self):
        for command in COMMANDS:
            text = self.output(command, "--help")
            self.assertIn("Examples:\n  mixtral " + command, text)

    def test_version(self):
        self.assertRegex(self.output("--version"), r"^mixtral \d+\.\d+\.\d+\n$")


class BadCommandLine(CommandTest):
    def test_no_command(self):
        self.assert_fails(USAGE, says="expected a command")
        self.assert_fails(USAGE, "", says="unknown command")

    def test_unknown_command(self):
        self.assert_fails(USAGE, "frobnicate", says='"frobnicate"')

    def test_unknown_option(self):
        for command in COMMANDS:
            self.assert_fails(USAGE, command, "DIR", "--frobnicate",
                              says=["mixtral " + command, "--help"])

    def test_missing_model_argument(self):
        self.assert_fails(USAGE, "info", says="MODEL")

    def test_numbers(self):
        for value in ["0", "-1", "x", "1.5", "", "99999999999999999999"]:
            self.assert_fails(USAGE, "info", MODEL, "--threads", value, says=["--threads", value])

    def test_choices(self):
        for option in ["--precision", "--gemm", "--isa", "--cache-type"]:
            self.assert_fails(USAGE, "info", MODEL, option, "fast", says=[option, "fast"])

    def test_environment(self):
        self.assert_fails(BAD_MODEL, "info", MODEL, MIXTRAL_ISA="mmx", says=["MIXTRAL_ISA", "mmx"])


class BadModel(CommandTest):
    def test_missing_directory(self):
        for command in [["info"], ["bench"], ["chat"], ["generate", "-p", "x"],
                        ["logits", "--ids", "1", "-o", self.scratch / "x.npy"],
                        ["tokenize"], ["detokenize", "--ids", "1"]]:
            missing = self.scratch / "missing"
            self.assert_fails(IO, command[0], missing, *command[1:], says=str(missing))
        self.assertEqual(os.listdir(self.scratch), [])

    def test_empty_directory(self):
        self.assert_fails(IO, "info", self.scratch, says="config.json")

    def test_broken_config(self):
        directory = self.synth()
        (directory / "config.json").write_text("{")
        self.assert_fails(BAD_MODEL, "info", directory, says="config.json")

    def test_truncated_weights(self):
        directory = self.synth()
        weights = directory / "model.safetensors"
        os.truncate(weights, weights.stat().st_size - 1)
        self.assert_fails(BAD_MODEL, "info", directory, says="model.safetensors")

    def test_unreadable_file(self):
        directory = self.synth()
        (directory / "config.json").chmod(0)
        if os.access(directory / "config.json", os.R_OK):
            self.skipTest("root reads everything")
        self.assert_fails(IO, "info", directory, says="config.json")


class Output(CommandTest):
    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(command_line("info", MODEL), stdout=full,
                                    stderr=subprocess.PIPE, env=environment())
        self.assertEqual(result.returncode, IO)
        self.assertIn(b"standard output", result.stderr)

    def test_closed_pipe_is_silent(self):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb") as closed:
            result = subprocess.run(command_line("info", MODEL), stdout=closed,
                                    stderr=subprocess.PIPE, env=environment())
        self.assertEqual(result.stderr, b"")
        self.assertNotEqual(result.returncode, OK)


class Info(CommandTest):
    def test_golden_model(self):
        directory = GOLDENS / "gqa4_top2of8"
        info = self.json("info", directory)
        config = json.loads((directory / "config.json").read_text())
        self.assertEqual(info["config"]["hidden"], config["hidden_size"])
        self.assertEqual(info["config"]["n_experts"], config["num_local_experts"])
        self.assertIsNone(info["tokenizer"])

    def test_parameters_by_hand(self):
        info = self.json("info", self.synth(shape="64x96x2x4x2x4x128"))
        expert = 3 * 64 * 96
        layer = 64 * 64 * 2 + 64 * 32 * 2 + 4 * 64 + 2 * 64 + 4 * expert
        total = 2 * layer + 2 * 128 * 64 + 64
        self.assertEqual(info["weights"]["parameters"], total)
        self.assertEqual(info["weights"]["active_parameters"], total - 2 * 2 * expert)
        self.assertEqual(info["weights"]["bytes"], 2 * total)
        self.assertEqual(info["weights"]["parameters_by_dtype"], {"bf16": total})

    def test_tied_embeddings_count_once(self):
        info = self.json("info", GOLDENS / "vocab32768_tied")
        self.assertTrue(info["config"]["tie_embeddings"])
        dtype_bytes = {"f32": 4, "f16": 2, "bf16": 2}
        stored = sum(n * dtype_bytes[d] for d, n in info["weights"]["parameters_by_dtype"].items())
        self.assertEqual(info["weights"]["bytes"], stored)

    def test_memory_of_a_context(self):
        directory = self.synth(shape="64x96x2x4x2x4x128")
        memory = self.json("info", directory, "--ctx", 1000, "--cache-type", "f32")["memory"]
        self.assertEqual(memory["n_ctx"], 1000)
        self.assertEqual(memory["cache_bytes"], 1000 * 2 * 2 * 2 * 16 * 4)
        self.assertGreater(memory["context_bytes"], memory["cache_bytes"])
        self.assertEqual(self.json("info", directory)["memory"]["cache_dtype"], "f16")
        exact = self.json("info", directory, "--precision", "f32")
        self.assertEqual(exact["memory"]["cache_dtype"], "f32")
        self.assertEqual(self.json("info", MODEL, "--cache-type", "q8_0")["memory"]["cache_bytes_per_token"],
                         2 * 4 * 2 * (32 + 2))
        self.assert_fails(USAGE, "info", directory, "--cache-type", "q8_0", says=["q8_0", "32", "16"])

    def test_compute(self):
        compute = self.json("info", MODEL, "--isa", "baseline", "-t", 3)["compute"]
        self.assertEqual((compute["isa"], compute["n_threads"]), ("baseline", 3))
        self.assertEqual(self.json("info", MODEL, MIXTRAL_ISA="baseline")["compute"]["isa"],
                         "baseline")
        self.assertIn(compute["gemm"], compute["gemm_available"])
        for gemm in compute["gemm_available"]:
            self.assertEqual(self.json("info", MODEL, "--gemm", gemm)["compute"]["gemm"], gemm)

    def test_tokenizer(self):
        tokenizer = self.json("info", MODEL)["tokenizer"]
        self.assertEqual(tokenizer["file"], "tokenizer.model")
        self.assertEqual(tokenizer["bos_id"], 1)
        self.assertIn(tokenizer["chat_version"], ["v1", "v3"])

    def test_file_of_the_directory(self):
        self.assertEqual(self.json("info", MODEL / "model.safetensors")["config"],
                         self.json("info", MODEL)["config"])

    def test_text(self):
        text = self.output("info", MODEL)
        self.assertRegex(text, r"n_experts +8\n")
        self.assertRegex(text, r"isa +\w+\n")

    def test_context_beyond_the_model(self):
        self.assert_fails(USAGE, "info", MODEL, "--ctx", 10**9, says="1024")


class Synth(CommandTest):
    def test_same_seed_same_bytes(self):
        first = self.synth("a", "64x96x2x4x2x4x128", "--seed", "5")
        second = self.synth("b", "64x96x2x4x2x4x128", "--seed", "5", "-t", "1")
        other = self.synth("c", "64x96x2x4x2x4x128", "--seed", "6")
        weights = [(d / "model.safetensors").read_bytes() for d in (first, second, other)]
        self.assertEqual(weights[0], weights[1])
        self.assertNotEqual(weights[0], weights[2])

    def test_shapes(self):
        def config(shape, *options):
            directory = self.synth(shape + "-".join(options), shape, *options)
            return self.json("info", directory)["config"]

        c = config("256x32x1")
        self.assertEqual([c[k] for k in ["hidden", "ffn", "n_layers", "n_heads", "n_kv_heads",
                                         "head_dim", "n_experts", "top_k", "vocab"]],
                         [256, 32, 1, 2, 2, 128, 8, 2, 32000])
        c = config("96x32x1x6x3x1x50", "--layers", "3", "--dtype", "f32")
        self.assertEqual([c[k] for k in ["hidden", "ffn", "n_layers", "n_heads", "n_kv_heads",
                                         "head_dim", "n_experts", "top_k", "vocab"]],
                         [96, 32, 3, 6, 3, 16, 1, 1, 50])

    def test_bad_shapes(self):
        for shape in ["", "8x7", "8x22B!", "64x96", "64x96x0", "64xx2", "64x96x2x", "-64x96x2",
                      "64x96x2x4x2x4x128x9", "64x96x99999999999999999999", "64x96x2x5"]:
            self.assert_fails(USAGE, "synth", self.scratch / "x", "--shape", shape, says="shape")
        self.assertEqual(os.listdir(self.scratch), [])

    def test_existing_directory_is_left_alone(self):
        (self.scratch / "keep").write_text("mine")
        self.assert_fails(USAGE, "synth", self.scratch, "--shape", "64x96x1",
                          says=str(self.scratch))
        self.assertEqual(os.listdir(self.scratch), ["keep"])

    def test_missing_parent(self):
        self.assert_fails(IO, "synth", self.scratch / "no" / "where", "--shape", "64x96x1")

    def test_interrupt_leaves_nothing(self):
        process = subprocess.Popen(command_line("synth", self.scratch / "x", "--shape",
                                                "1024x4096x8"),
                                   stderr=subprocess.PIPE, env=environment())
        self.wait_until(lambda: os.listdir(self.scratch), process)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=120)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertEqual(len(message.splitlines()), 1, message)
        self.assertEqual(os.listdir(self.scratch), [])

    def test_more_than_the_disk_holds(self):
        result = self.run_command("synth", self.scratch / "huge", "--shape", "8x22b", "--layers",
                                  "100000")
        self.assertIn(result.returncode, [IO, USAGE], result.stderr)
        self.assertEqual(os.listdir(self.scratch), [])


if __name__ == "__main__":
    unittest.main()
