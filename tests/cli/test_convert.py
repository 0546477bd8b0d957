"""convert and verify, and native files under the other commands."""

import json
import os
import resource
import shutil
import signal
import subprocess
import unittest

from support import (BAD_MODEL, GOLDENS, INTERRUPTED, IO, MODEL, USAGE, CommandTest, command_line,
                     environment, read_npy)

CHECKPOINTS = GOLDENS.parent / "checkpoints"
SLOW_SHAPE = "512x2048x2x4x2x8x100"  # 50 million weights


def limit_file_size():
    """In a child: writing past a megabyte fails, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


class NativeTest(CommandTest):
    def convert(self, source=MODEL, to="q8_0", name="model.mixtral", *options):
        path = self.scratch / name
        self.output("convert", source, path, "--to", to, *options)
        return path

    def write(self, name, content):
        path = self.scratch / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path


class Convert(NativeTest):
    def test_report(self):
        path = self.scratch / "out.mixtral"
        report = self.json("convert", MODEL, path, "--to", "q8_0")
        self.assertEqual(report["file"], str(path))
        self.assertEqual(report["file_bytes"], path.stat().st_size)
        self.assertEqual(report["substitutions"], [])
        self.assertEqual(report["recipe"], "q8_0")
        info = self.json("info", path)
        self.assertEqual(info["weights"]["bytes"], report["weight_bytes"])
        self.assertEqual(info["weights"]["parameters"], report["n_weights"])
        self.assertAlmostEqual(report["bits_per_weight"],
                               8 * report["weight_bytes"] / report["n_weights"])
        self.assertAlmostEqual(report["bits_per_weight"], 8.5, delta=0.1)
        self.assertEqual(os.listdir(self.scratch), ["out.mixtral"])

    def test_text(self):
        text = self.output("convert", MODEL, self.scratch / "out", "--to", "q4_0", "-t", 1)
        self.assertRegex(text, r"^\S+/out: 4\.\d+ MB, 8\.01 M weights of 4\.\d+ bits \(q4_0\), in ")

    def test_default_is_a_mixture(self):
        path = self.scratch / "out"
        self.output("convert", MODEL, path)
        self.assertGreater(len(self.json("info", path)["weights"]["parameters_by_dtype"]), 2)

    def test_existing_file_is_left_alone_without_force(self):
        path = self.write("keep", "mine")
        self.assert_fails(USAGE, "convert", MODEL, path, says=[str(path), "--force"])
        self.assertEqual(path.read_text(), "mine")
        self.convert(MODEL, "q8_0", "keep", "--force")
        self.output("verify", path)
        self.assert_fails(USAGE, "convert", MODEL, self.scratch, "--force", says="directory")

    def test_recipe_file(self):
        recipe = self.write("mine.json", {
            "default": "q4_k",
            "rules": [{"tensors": "attention_*", "type": "q8_0"},
                      {"tensors": "layers.0.expert_up.*", "type": "q6_k"}]})
        path = self.scratch / "out"
        self.output("convert", MODEL, path, "--recipe", recipe)
        info = self.json("info", path, "--tensors")
        types = {tensor["name"]: tensor["type"] for tensor in info["tensors"]}
        self.assertEqual(types["layers.3.attention_output"], "q8_0")
        self.assertEqual(types["layers.0.expert_up.7"], "q6_k")
        self.assertEqual(types["layers.1.expert_up.7"], "q4_k")
        self.assertEqual(types["layers.1.router"], "f32")
        self.assertEqual(info["recipe"]["name"], "mine.json")
        self.assertEqual(info["recipe"]["rules"][1]["tensors"], "layers.0.expert_up.*")
        self.output("convert", MODEL, self.scratch / "again", "--recipe", "-",
                    stdin=recipe.read_text().replace('{', '{"name": "mine.json", ', 1))
        self.assertEqual((self.scratch / "again").read_bytes(), path.read_bytes())
        self.output("convert", MODEL, self.scratch / "to", "--to", recipe)
        self.assertEqual((self.scratch / "to").read_bytes(), path.read_bytes())
        self.assert_fails(IO, "convert", MODEL, self.scratch / "none", "--to", self.scratch / "absent.json",
                          says="absent.json")

    def test_bad_recipes(self):
        path = self.scratch / "out"
        for content, code, says in [
                ("{", BAD_MODEL, "JSON"),
                ({"default": "q9"}, BAD_MODEL, ["default", "q9"]),
                ({"default": "q8_0", "rules": [{"tensors": "experts", "type": "q8_0"}]}, USAGE,
                 ["experts", "no tensor"]),
                ({"default": "q8_0", "rules": [{"tensors": "router", "type": "q8_0"}]}, USAGE,
                 ["router", "f32"])]:
            recipe = self.write("r.json", content)
            self.assert_fails(code, "convert", MODEL, path, "--recipe", recipe, says=says)
        self.assert_fails(IO, "convert", MODEL, path, "--recipe", self.scratch / "absent.json",
                          says="absent.json")
        self.assert_fails(USAGE, "convert", MODEL, path, "--to", "q5", says=["q5", "q4_k_mixed"])
        self.assert_fails(USAGE, "convert", MODEL, path, "--to", "q8_0", "--recipe", recipe,
                          says="--recipe")
        self.assertFalse(path.exists())

    def test_widths_that_do_not_fit(self):
        directory = self.synth(shape="64x96x2x4x2x4x50")
        path = self.scratch / "out"
        self.assert_fails(USAGE, "convert", directory, path, "--to", "q4_k",
                          says=["embedding", "64", "256", "q8_0"])
        self.assertFalse(path.exists())
        text = self.output("convert", directory, path, "--to", "q4_k_mixed")
        self.assertIn("iq4_nl instead of q4_k in 17 tensors of width 64", text)
        report = self.json("convert", directory, path, "--to", "q4_k_mixed", "--force")
        self.assertIn({"asked_for": "q6_k", "used": "q8_0", "width": 64, "n_tensors": 1},
                      report["substitutions"])

    def test_same_bytes_with_any_number_of_threads(self):
        one = self.convert(MODEL, "q4_k", "one", "-t", 1)
        three = self.convert(MODEL, "q4_k", "three", "-t", 3)
        self.assertEqual(one.read_bytes(), three.read_bytes())

    def test_full_disk_leaves_the_old_file(self):
        path = self.write("out", "old")
        result = subprocess.run(command_line("convert", MODEL, path, "--to", "q8_0", "--force"), capture_output=True,
                                env=environment(), preexec_fn=limit_file_size, timeout=120)
        self.assertEqual(result.returncode, IO)
        self.assertIn(str(path), result.stderr.decode())
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertEqual((path.read_text(), os.listdir(self.scratch)), ("old", ["out"]))

    def test_native_file_to_another_type(self):
        exact = self.convert(MODEL, "bf16", "exact")
        self.assertEqual(self.convert(exact, "q4_k", "a").read_bytes(),
                         self.convert(MODEL, "q4_k", "b").read_bytes())

    def test_interrupt_leaves_nothing(self):
        directory = self.synth("slow", SLOW_SHAPE)
        process = subprocess.Popen(command_line("convert", directory, self.scratch / "out",
                                                "--to", "q4_k"),
                                   stderr=subprocess.PIPE, env=environment())
        self.wait_until(lambda: len(os.listdir(self.scratch)) > 1, process)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=120)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertEqual(len(message.splitlines()), 1, message)
        self.assertEqual(os.listdir(self.scratch), ["slow"])

    def test_kill_keeps_the_old_file(self):
        directory = self.synth("slow", SLOW_SHAPE)
        path = self.write("out", "old")
        process = subprocess.Popen(command_line("convert", directory, path, "--to", "q4_k", "--force"),
                                   env=environment())
        self.wait_until(lambda: len(os.listdir(self.scratch)) > 2, process)
        process.kill()
        process.wait(timeout=120)
        self.assertEqual(path.read_text(), "old")
        left = set(os.listdir(self.scratch)) - {"slow", "out"}
        self.assertTrue(all(name.startswith("out.tmp-") for name in left), left)
        self.convert(MODEL, "q8_0", "out", "--force")
        self.output("verify", path)


class HuggingFaceOut(NativeTest):
    def convert_to_hf(self, source, name="hf", *options):
        path = self.scratch / name
        report = self.json("convert", source, path, "--to", "hf", *options)
        return path, report

    def test_what_a_killed_conversion_left_goes_with_the_next(self):
        directory = self.synth("slow", SLOW_SHAPE)
        process = subprocess.Popen(command_line("convert", directory, self.scratch / "hf", "--to", "hf"),
                                   env=environment())
        self.wait_until(lambda: len(os.listdir(self.scratch)) > 1, process)
        process.kill()
        process.wait(timeout=120)
        left = set(os.listdir(self.scratch)) - {"slow"}
        self.assertEqual(len(left), 1, left)
        self.convert_to_hf(MODEL)
        self.assertEqual(set(os.listdir(self.scratch)), {"slow", "hf"})

    def test_round_trip(self):
        packed = self.convert(MODEL, "bf16")
        path, report = self.convert_to_hf(packed)
        info = self.json("info", path)
        self.assertEqual(report["format"], "hf")
        self.assertEqual(report["weight_bytes"], info["weights"]["bytes"])
        self.assertEqual(report["file_bytes"], sum(file.stat().st_size for file in path.iterdir()))
        self.assertEqual(info["config"], self.json("info", MODEL)["config"])
        for file in ["tokenizer.model", "tokenizer.json", "tokenizer_config.json",
                     "special_tokens_map.json", "generation_config.json"]:
            self.assertEqual((path / file).read_bytes(), (MODEL / file).read_bytes())
        self.assertEqual(self.output("generate", path, "-p", "Once", "-n", 8, "--temperature", 0),
                         self.output("generate", MODEL, "-p", "Once", "-n", 8, "--temperature", 0))

    def test_shards_and_type(self):
        path, _ = self.convert_to_hf(MODEL, "hf", "--dtype", "f16", "--shard-size", "4MB")
        sizes = [file.stat().st_size for file in path.glob("model-*-of-*.safetensors")]
        self.assertGreater(len(sizes), 3)
        self.assertLess(max(sizes), 4_100_000)
        index = json.loads((path / "model.safetensors.index.json").read_text())
        self.assertEqual(len(set(index["weight_map"].values())), len(sizes))
        self.assertEqual(list(self.json("info", path)["weights"]["parameters_by_dtype"]), ["f16"])

    def test_what_is_there_is_left_alone(self):
        path = self.scratch / "mine"
        path.mkdir()
        for options in [[], ["--force"]]:
            self.assert_fails(USAGE, "convert", MODEL, path, "--to", "hf", *options, says=str(path))
        self.assertEqual(os.listdir(self.scratch), ["mine"])
        self.assert_fails(USAGE, "convert", MODEL, self.scratch / "x", "--to", "hf", "--dtype", "q8_0",
                          says="--dtype")

    def test_interrupt_leaves_nothing(self):
        directory = self.synth("slow", SLOW_SHAPE)
        process = subprocess.Popen(command_line("convert", directory, self.scratch / "out", "--to", "hf",
                                                "--dtype", "f32", "-t", 1),
                                   stderr=subprocess.PIPE, env=environment())
        self.wait_until(lambda: len(os.listdir(self.scratch)) > 1, process)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=120)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertEqual(len(message.splitlines()), 1, message)
        self.assertEqual(os.listdir(self.scratch), ["slow"])

    def test_full_disk_leaves_nothing(self):
        result = subprocess.run(command_line("convert", MODEL, self.scratch / "out", "--to", "hf"),
                                capture_output=True, env=environment(), preexec_fn=limit_file_size)
        self.assertEqual(result.returncode, IO)
        self.assertEqual(os.listdir(self.scratch), [])


class OtherCheckpoints(NativeTest):
    """Mistral's own and quantised ones under the commands; test_io compares their weights."""

    def test_original(self):
        directory = CHECKPOINTS / "stacked"
        info = self.json("info", directory, "--tensors")
        self.assertEqual(info["config"]["rope_theta"], 1e6)
        tensors = {tensor["name"]: tensor for tensor in info["tensors"]}
        self.assertEqual(tensors["layers.1.expert_down.2"]["stored_name"], "layers.1.block_sparse_moe.w2")
        for path in [directory / "params.json", directory / "consolidated.03.pt"]:
            self.assertEqual(self.json("info", path)["config"], info["config"])
        packed = self.convert(directory, "f32")
        self.assertEqual(self.json("info", packed)["config"], info["config"])

    def test_quantised(self):
        weights = self.json("info", CHECKPOINTS / "gptq4")["weights"]
        self.assertLess(weights["file_bytes"], weights["bytes"])
        self.assertAlmostEqual(weights["bits_per_weight"],
                               8 * weights["file_bytes"] / weights["parameters"])
        packed = self.convert(CHECKPOINTS / "gptq4", "q8_0")
        self.output("verify", packed)

    def test_bitsandbytes_is_refused(self):
        directory = self.scratch / "model"
        shutil.copytree(CHECKPOINTS / "awq", directory)
        config = json.loads((directory / "config.json").read_text())
        config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
        (directory / "config.json").write_text(json.dumps(config))
        self.assert_fails(BAD_MODEL, "info", directory, says=["bitsandbytes", "dequantize"])


class NativeFile(NativeTest):
    def test_every_command_takes_it(self):
        path = self.convert(MODEL, "bf16")
        self.assertEqual(self.output("tokenize", path, "Once upon", "--ids"),
                         self.output("tokenize", MODEL, "Once upon", "--ids"))
        self.assertEqual(self.output("detokenize", path, "--ids", "300,301"),
                         self.output("detokenize", MODEL, "--ids", "300,301"))
        self.assertTrue(self.output("generate", path, "-p", "Once upon", "-n", 5, "--temperature", 0))
        info, plain = self.json("info", path), self.json("info", MODEL)
        for key in ["config", "tokenizer", "default_sampling"]:
            self.assertEqual(info[key], plain[key])
        self.assertIsNone(plain["recipe"])
        self.assertIsInstance(plain["weights"]["bits_per_weight"], float)

    def test_packed_under_one_instruction_set_it_runs_under_every_other(self):
        isas = ["baseline", "avx2", "avx512"]
        isas = isas[:isas.index(self.json("info", MODEL)["compute"]["isa"]) + 1]
        files = [self.scratch / isa for isa in isas]
        for path in files:
            self.output("convert", MODEL, path, "--to", "q4_k_mixed", MIXTRAL_ISA=path.name)
            self.assertEqual(path.read_bytes(), files[0].read_bytes())
        rows = {}
        for isa in isas:
            npy = self.scratch / f"{isa}.npy"
            self.output("logits", files[-1], "--isa", isa, "--precision", "f32", "--ids", "1,400,500,600", "-o", npy)
            rows[isa] = read_npy(npy)[0][-1]
        for row in rows.values():
            largest = max(map(abs, row))
            self.assertLess(max(abs(a - b) for a, b in zip(row, rows["baseline"])), 1e-4 * largest)

    def test_same_ids_for_every_thread_count(self):
        path = self.convert(MODEL, "q4_k_mixed")
        for cache_type in ["f16", "q8_0"]:
            texts = {self.output("generate", path, "-p", "Once upon", "-n", 20, "--temperature", 1, "--seed", 3,
                                 "--cache-type", cache_type, "-t", n) for n in [1, 2, 5]}
            self.assertEqual(len(texts), 1)

    def test_with_the_extension_of_safetensors_beside_a_model(self):
        shutil.copytree(MODEL, self.scratch / "model")
        path = self.convert(MODEL, "q4_k", "model/packed.safetensors")
        self.assertIn("q4_k", self.json("info", path)["weights"]["parameters_by_dtype"])
        self.assertIn("bf16", self.json("info", self.scratch / "model")["weights"]
                      ["parameters_by_dtype"])

    def test_tied_embeddings_count_once_though_stored_twice(self):
        tied = GOLDENS / "vocab32768_tied"
        info = self.json("info", self.convert(tied, "bf16"))["weights"]
        plain = self.json("info", tied)["weights"]
        self.assertEqual(info["parameters"], plain["parameters"])
        self.assertGreater(info["bytes"], plain["bytes"])
        self.assertEqual(info["bytes"], sum(info["bytes_by_dtype"].values()))

    def test_list_of_tensors(self):
        text = self.output("info", self.convert(), "--tensors")
        self.assertRegex(text, r"\n  lm_head  q8_0  2048  256  tiled  (\d+)  lm_head  q8_0  \1\n")
        self.assertRegex(text, r"\n  layers.3.expert_down.7  q8_0  256  256  tiled  (\d+)  layers.3.expert_down.7  q8_0  \1\n")


class GgufFile(NativeTest):
    def logits(self, path):
        self.output("logits", path, "--ids", "1,300,1500,42,7,900", "--output", self.scratch / "out.npy")
        return (self.scratch / "out.npy").read_bytes()

    def test_every_command_takes_it(self):
        path = self.convert(MODEL, "bf16", "model.gguf")
        self.assertEqual(self.logits(path), self.logits(MODEL))
        for command in ["tokenize", path, "Once upon", "--ids"], ["detokenize", path, "--ids", "300,301"], \
                ["generate", path, "-p", "Once upon", "-n", 5, "--temperature", 0]:
            plain = [MODEL if argument == path else argument for argument in command]
            self.assertEqual(self.output(*command), self.output(*plain))

    def test_quantised_it_gives_the_bits_of_the_native_file(self):
        for to in "q8_0", "q5_k_mixed":
            self.assertEqual(self.logits(self.convert(MODEL, to, f"{to}.gguf")),
                             self.logits(self.convert(MODEL, to, to)))

    def test_info(self):
        info = self.json("info", self.convert(MODEL, "Q4_K_M", "model.gguf"), "--tensors")
        plain = self.json("info", MODEL)
        self.assertEqual(info["config"], plain["config"])
        self.assertEqual(info["tokenizer"], plain["tokenizer"])
        self.assertEqual(info["metadata"]["general.architecture"], "llama")
        self.assertEqual(info["metadata"]["general.file_type"], "15")
        self.assertEqual(info["metadata"]["tokenizer.ggml.tokens"], "2048 x string")
        self.assertIsNone(plain["metadata"])
        tensors = {tensor["name"]: tensor for tensor in info["tensors"]}
        down = tensors["layers.3.expert_down.7"]
        self.assertEqual((down["stored_name"], down["stored_type"]), ("blk.3.ffn_down_exps.weight", "Q6_K"))
        self.assertEqual(down["layout"], "row_major")

    def test_format_by_name_or_option(self):
        path = self.scratch / "odd.name"
        report = self.json("convert", MODEL, path, "--to", "q8_0", "--format", "gguf")
        self.assertEqual(report["format"], "gguf")
        self.assertEqual(path.read_bytes()[:4], b"GGUF")
        self.assertEqual(self.json("convert", MODEL, self.scratch / "a.gguf", "--to", "q8_0",
                                   "--format", "native")["format"], "native")
        self.assertIsNotNone(self.json("info", self.scratch / "a.gguf")["recipe"])
        self.assertEqual(self.json("convert", MODEL, self.scratch / "b.gguf")["recipe"], "q4_k_m")
        self.assert_fails(USAGE, "convert", MODEL, self.scratch / "c.gguf", "--to", "q5", says=["q5", "q4_k_m"])

    def test_back_to_a_native_file(self):
        native = self.convert(self.convert(MODEL, "q8_0", "a.gguf"), "q8_0", "a.mixtral")
        self.output("verify", native)
        self.assertEqual(self.logits(native), self.logits(self.convert(MODEL, "q8_0", "b.mixtral")))
        self.assertEqual(self.json("info", native)["tokenizer"], self.json("info", MODEL)["tokenizer"])

    def test_directory_that_holds_one(self):
        (self.scratch / "dir").mkdir()
        self.convert(MODEL, "q8_0", "dir/model.gguf")
        self.assertEqual(self.output("tokenize", self.scratch / "dir", "Once"),
                         self.output("tokenize", MODEL, "Once"))
        self.assertTrue(self.output("generate", self.scratch / "dir", "-p", "Once", "-n", 2))

    def test_cut_off(self):
        path = self.convert(MODEL, "q8_0", "model.gguf")
        os.truncate(path, path.stat().st_size // 2)
        self.assert_fails(BAD_MODEL, "info", path, says=[str(path), "cut off"])


class Verify(NativeTest):
    def damage(self, path, offset):
        with open(path, "r+b") as file:
            file.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))

    def test_intact(self):
        path = self.convert()
        self.assertRegex(self.output("verify", path), r": all 13\d parts of 8\.\d+ MB are as ")
        self.assertEqual(self.json("verify", path)["damaged"], [])

    def test_damage_is_named(self):
        path = self.convert()
        data = path.read_bytes()
        header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
        begin = 8 + int.from_bytes(data[:8], "little")
        names = ["layers.2.expert_up.5", "lm_head"]
        for name in names:
            self.damage(path, begin + header[name]["data_offsets"][0] + 1000)
        self.assert_fails(BAD_MODEL, "verify", path, says=[str(path), ": " + ", ".join(names)])
        result = self.run_command("verify", path, "--json", "-t", 1)
        self.assertEqual(result.returncode, BAD_MODEL)
        self.assertEqual(json.loads(result.stdout)["damaged"], names)

    def test_damaged_header(self):
        path = self.convert()
        self.damage(path, path.read_bytes().index(b"\\\"rules\\\"") + 3)
        for command in ["verify", "info"]:
            self.assert_fails(BAD_MODEL, command, path, says=["header", "checksum"])

    def test_cut_off(self):
        path = self.convert()
        os.truncate(path, path.stat().st_size - 1)
        self.assert_fails(BAD_MODEL, "verify", path, says=str(path))

    def test_what_is_no_native_file(self):
        self.assert_fails(BAD_MODEL, "verify", MODEL / "model.safetensors", says="mixtral convert")
        self.assert_fails(BAD_MODEL, "verify", __file__, says="native file")
        self.assert_fails(IO, "verify", self.scratch / "absent", says="absent")
        self.assert_fails(IO, "verify", MODEL, says="directory")


if __name__ == "__main__":
    unittest.main()
