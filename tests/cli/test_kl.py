"""perplexity --kl-base and --ids, against sums over what `mixtral logits` writes."""

import json
import math
import shutil
import unittest

from support import BAD_MODEL, IO, MODEL, USAGE, CommandTest, join_ids, read_npy

F32 = ("--precision", "f32")
TEXT = "Once upon a time there was a little fox. It lived in the forest.\n" * 2


def log_softmax(row):
    highest = max(row)
    normaliser = highest + math.log(math.fsum(math.exp(x - highest) for x in row))
    return [x - normaliser for x in row]


def percentile_99(values):
    """As NumPy's default."""
    values = sorted(values)
    rank = 0.99 * (len(values) - 1)
    below = int(rank)
    above = min(below + 1, len(values) - 1)
    return values[below] + (rank - below) * (values[above] - values[below])


class KlTest(CommandTest):
    def write(self, text):
        path = self.scratch / "text"
        path.write_text(text)
        return path

    def coarse_model(self):
        """The model with four bits of each weight's mantissa cleared."""
        directory = self.scratch / "coarse"
        shutil.copytree(MODEL, directory)
        path = directory / "model.safetensors"
        data = bytearray(path.read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        data[start::2] = data[start::2].translate(bytes(i & 0xF0 for i in range(256)))
        path.write_bytes(data)
        return directory


class Divergence(KlTest):
    def rows(self, model, ids):
        npy = self.scratch / "logits.npy"
        self.output("logits", model, *F32, "-o", npy, "--ids", join_ids(ids))
        return [log_softmax(row) for row in read_npy(npy)[0]]

    def expected(self, model, reference, ids, n_ctx, stride):
        """What the help defines, from the logits of each window."""
        bos, ids = ids[0], ids[1:]
        divergences, agreements, nll, scored, begin = [], 0, 0.0, 0, 0
        while scored < len(ids):
            end = min(begin + n_ctx, len(ids))
            window = [bos] + ids[begin:end - 1]
            found, true = self.rows(model, window), self.rows(reference, window)
            for i in range(scored, end):
                p, q = true[i - begin], found[i - begin]
                divergences.append(math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q)))
                agreements += p.index(max(p)) == q.index(max(q))
                nll -= p[ids[i]]
            scored, begin = end, begin + stride
        return {"mean": math.fsum(divergences) / len(ids),
                "percentile_99": percentile_99(divergences),
                "top_1_agreement": agreements / len(ids),
                "reference_perplexity": math.exp(nll / len(ids))}

    def check(self, text, n_ctx, stride):
        coarse = self.coarse_model()
        ids = self.json("tokenize", MODEL, stdin=text)["ids"]
        result = self.json("perplexity", coarse, self.write(text), *F32, "--kl-base", MODEL,
                           "--ctx", n_ctx, "--stride", stride)
        kl = result["kl"]
        for key, value in self.expected(coarse, MODEL, ids, n_ctx, stride).items():
            self.assertAlmostEqual(kl[key], value, delta=1e-5, msg=key)
        self.assertAlmostEqual(kl["perplexity_ratio"],
                               result["perplexity"] / kl["reference_perplexity"])
        self.assertGreater(kl["mean"], 1e-3)
        self.assertGreater(kl["percentile_99"], kl["mean"])
        self.assertLess(kl["top_1_agreement"], 1)

    def test_overlapping_windows(self):
        self.check(TEXT, 16, 5)

    def test_a_window_of_several_chunks(self):
        self.check("The fox saw 12 red kites. " * 90, 1024, 1024)

    def test_a_model_equals_itself(self):
        kl = self.json("perplexity", MODEL, self.write(TEXT), *F32, "--kl-base", MODEL)["kl"]
        self.assertEqual((kl["mean"], kl["standard_error"], kl["percentile_99"]), (0, 0, 0))
        self.assertEqual((kl["top_1_agreement"], kl["perplexity_ratio"]), (1, 1))

    def test_the_reference_is_computed_in_f32(self):
        path = self.write(TEXT)
        kl = self.json("perplexity", MODEL, path, "--kl-base", MODEL)["kl"]
        self.assertEqual(kl["reference_perplexity"],
                         self.json("perplexity", MODEL, path, *F32)["perplexity"])
        self.assertGreater(kl["mean"], 0)
        self.assertLess(kl["mean"], 0.01)

    def test_text_output(self):
        text = self.output("perplexity", MODEL, self.write(TEXT), *F32, "--kl-base", MODEL)
        self.assertRegex(text, r"^perplexity .*\n"
                               r"KL divergence 0\.0+ \+- 0\.0+ nats/token, 99th percentile 0\.0+, "
                               r"top-1 agreement 100\.00 %\n"
                               r"reference perplexity \d+\.\d+, ratio 1\.0+\n$")


class BadReference(KlTest):
    def assert_refused(self, code, reference, says):
        self.assert_fails(code, "perplexity", MODEL, self.write(TEXT), "--kl-base", reference,
                          says=says)

    def test_another_vocabulary(self):
        self.assert_refused(USAGE, self.synth(shape="64x96x1x4x2x4x128"),
                            ["--kl-base", "2048", "128"])

    def test_other_tokens_of_the_same_number(self):
        directory = self.coarse_model()
        (directory / "tokenizer.model").unlink()
        path = directory / "tokenizer.json"
        tokenizer = json.loads(path.read_text())
        vocabulary = tokenizer["model"]["vocab"]
        vocabulary["z"], vocabulary["q"] = vocabulary["q"], vocabulary["z"]
        path.write_text(json.dumps(tokenizer))
        self.assert_refused(USAGE, directory, ["--kl-base", '"z"', '"q"'])

    def test_no_model(self):
        self.assert_refused(IO, self.scratch / "none", "none")
        (self.scratch / "config.json").write_text("{}")
        self.assert_refused(BAD_MODEL, self.scratch, "config.json")

    def test_too_short_a_context(self):
        reference = self.coarse_model()
        path = reference / "config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "max_position_embeddings": 8}))
        self.assert_refused(USAGE, reference, ["n_ctx", "8"])


class Ids(KlTest):
    def test_ids_of_a_text(self):
        ids = self.json("tokenize", MODEL, "--no-bos", stdin=TEXT)["ids"]
        of_text = self.json("perplexity", MODEL, "-", stdin=TEXT)
        of_ids = self.json("perplexity", MODEL, self.write(join_ids(ids) + "\n"), "--ids")
        self.assertEqual(of_ids["mean_nll"], of_text["mean_nll"])
        self.assertEqual(of_ids["n_tokens"], len(ids))
        self.assertNotIn("bits_per_byte", of_ids)
        self.assertNotIn("bits/byte", self.output("perplexity", MODEL, self.scratch / "text",
                                                  "--ids"))

    def test_a_model_without_tokenizer(self):
        model = self.synth(shape="64x96x1x4x2x4x128")
        result = self.json("perplexity", model, self.write("5,6,7"), "--ids", "--kl-base", model,
                           *F32)
        self.assertEqual((result["n_tokens"], result["kl"]["mean"]), (3, 0))

    def test_bad_ids(self):
        for ids, shown in [("1,x", '"x"'), ("", '""'), ("1,2048,1", "2048"), ("1,2048", "2048")]:
            self.assert_fails(USAGE, "perplexity", MODEL, self.write(ids), "--ids", says=shown)


if __name__ == "__main__":
    unittest.main()
