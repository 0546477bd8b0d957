"""tokenize, detokenize and perplexity."""

import math
import unittest

from support import GOLDENS, IO, MODEL, USAGE, CommandTest, join_ids, read_npy

TEXTS = ["Hello, world!", " two  spaces ", "tab\tand\nline", "naïve café 北京 🦙",
         "<s>[INST] hi [/INST]</s>", "-dash", "[a,b]", "%d %s", "{}"]


class Tokenize(CommandTest):
    def test_json(self):
        tokens = self.json("tokenize", MODEL, "Once upon a time")
        self.assertEqual(list(tokens), ["ids", "pieces"])
        self.assertEqual(tokens["ids"][0], 1)
        self.assertEqual(tokens["pieces"][0], "<s>")
        self.assertEqual("".join(tokens["pieces"][1:]).replace("\u2581", " ").strip(),
                         "Once upon a time")

    def test_no_bos(self):
        self.assertEqual(self.json("tokenize", MODEL, "Hi", "--no-bos")["ids"],
                         self.json("tokenize", MODEL, "Hi")["ids"][1:])

    def test_lines(self):
        tokens = self.json("tokenize", MODEL, "Hi there")
        lines = [f"{i}\t{piece}\n" for i, piece in zip(tokens["ids"], tokens["pieces"])]
        self.assertEqual(self.output("tokenize", MODEL, "Hi there"), "".join(lines))

    def test_argument_and_standard_input_agree(self):
        for text in TEXTS:
            expected = self.json("tokenize", MODEL, stdin=text)
            self.assertEqual(self.json("tokenize", MODEL, "-", stdin=text), expected)
            self.assertEqual(self.json("tokenize", MODEL, "--", text), expected)

    def test_round_trip(self):
        for text in TEXTS:
            ids = self.output("tokenize", MODEL, "--ids", stdin=text)
            self.assertEqual(self.json("detokenize", MODEL, "--ids", ids.strip()), {"text": text})
            self.assertEqual(self.output("detokenize", MODEL, "--ids", "-", stdin=ids), text + "\n")

    def test_empty_text(self):
        self.assertEqual(self.json("tokenize", MODEL, stdin="")["ids"], [1])
        self.assertEqual(self.json("tokenize", MODEL, "", "--no-bos")["ids"], [])

    def test_invalid_utf8(self):
        self.assertEqual(self.json("tokenize", MODEL, stdin=b"a\xffb"),
                         self.json("tokenize", MODEL, stdin="a\ufffdb"))

    def test_without_tokenizer(self):
        self.assert_fails(IO, "tokenize", GOLDENS / "window7", "x", says="tokenizer")


class Detokenize(CommandTest):
    def test_bad_ids(self):
        for ids, shown in [("1,2,x", '"x"'), ("1,,2", '""'), ("", '""'), ("-1", '"-1"'),
                           ("1.5", '"1.5"'), ("99999999999", '"99999999999"'), ("1 2", '"1 2"')]:
            self.assert_fails(USAGE, "detokenize", MODEL, "--ids", ids, says=["--ids", shown])

    def test_id_out_of_range(self):
        self.assert_fails(USAGE, "detokenize", MODEL, "--ids", "2048", says="2048")

    def test_spaces(self):
        self.assertEqual(self.output("detokenize", MODEL, "--ids", " 300 , 301\n"),
                         self.output("detokenize", MODEL, "--ids", "300,301"))


class Perplexity(CommandTest):
    TEXT = "Once upon a time there was a little fox. It lived in the forest.\n" * 4

    def write(self, text):
        path = self.scratch / "text"
        path.write_bytes(text.encode())
        return path

    def reference(self, text, n_ctx, stride):
        """Mean of -ln p as the help defines it, from the logits of each window."""
        ids = self.json("tokenize", MODEL, stdin=text)["ids"]
        bos, ids = ids[0], ids[1:]
        total, scored, begin = 0.0, 0, 0
        while scored < len(ids):
            end = min(begin + n_ctx, len(ids))
            npy = self.scratch / "logits.npy"
            self.output("logits", MODEL, "--precision", "f32", "-o", npy, "--ids",
                        join_ids([bos] + ids[begin:end - 1]))
            rows, _ = read_npy(npy)
            for i in range(scored, end):
                row = rows[i - begin]
                highest = max(row)
                total += highest + math.log(sum(math.exp(x - highest) for x in row)) - row[ids[i]]
            scored, begin = end, begin + stride
        return total / len(ids)

    def test_one_window(self):
        path = self.write(self.TEXT)
        result = self.json("perplexity", MODEL, path, "--precision", "f32")
        self.assertAlmostEqual(result["mean_nll"], self.reference(self.TEXT, 1024, 512), places=5)
        self.assertAlmostEqual(result["perplexity"], math.exp(result["mean_nll"]))
        self.assertEqual(result["n_tokens"], len(self.json("tokenize", MODEL, "--no-bos",
                                                           stdin=self.TEXT)["ids"]))
        self.assertEqual(result["n_bytes"], len(self.TEXT))
        self.assertAlmostEqual(result["bits_per_byte"],
                               result["mean_nll"] * result["n_tokens"] / math.log(2) /
                               len(self.TEXT))

    def test_sliding_windows(self):
        path = self.write(self.TEXT)
        for n_ctx, stride in [(16, 8), (16, 5), (16, 16), (7, 1)]:
            result = self.json("perplexity", MODEL, path, "--precision", "f32", "--ctx", n_ctx,
                               "--stride", stride)
            self.assertAlmostEqual(result["mean_nll"], self.reference(self.TEXT, n_ctx, stride),
                                   places=5, msg=(n_ctx, stride))

    def test_tiny_context(self):
        path = self.write("Once upon a time")
        for n_ctx in [1, 2]:
            result = self.json("perplexity", MODEL, path, "--ctx", n_ctx)
            self.assertEqual(result["n_ctx"], n_ctx)
            self.assertTrue(math.isfinite(result["perplexity"]))

    def test_better_than_chance_and_worse_when_shuffled(self):
        usual = self.json("perplexity", MODEL, self.write(self.TEXT))["perplexity"]
        words = " ".join(sorted(self.TEXT.split()))
        self.assertLess(usual, self.json("perplexity", MODEL, self.write(words))["perplexity"])

    def test_text_output_and_standard_input(self):
        text = self.output("perplexity", MODEL, "-", stdin=self.TEXT)
        self.assertRegex(text,
                         r"^perplexity \d+\.\d+ \+- \d+\.\d+ \(\d+ tokens, context 1024, stride 512")

    def test_bad_input(self):
        self.assert_fails(USAGE, "perplexity", MODEL, self.write(""), says="empty")
        self.assert_fails(IO, "perplexity", MODEL, self.scratch / "none", says="none")
        self.assert_fails(IO, "perplexity", MODEL, self.scratch, says=str(self.scratch))
        self.assert_fails(USAGE, "perplexity", MODEL, self.write("x"), "--ctx", "4",
                          "--stride", "5", says="--stride")
        self.assert_fails(USAGE, "perplexity", MODEL, self.write("x"), "--ctx", "0", says="--ctx")


if __name__ == "__main__":
    unittest.main()
