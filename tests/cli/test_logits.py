"""logits, against what Hugging Face transformers computed."""

import os
import signal
import subprocess
import unittest

from support import (GOLDENS, INTERRUPTED, IO, NO_ROOM, USAGE, CommandTest, command_line,
                     environment, join_ids, read_npy, read_safetensors)


def relative_error(found, expected):
    """max |a - b| / max |b|."""
    return (max(abs(a - b) for a, b in zip(found, expected, strict=True)) /
            max(abs(b) for b in expected))


class Logits(CommandTest):
    def logits(self, model, ids, *options):
        path = self.scratch / "logits.npy"
        text = self.output("logits", model, "--ids", join_ids(ids), "-o", path, *options)
        self.assertEqual(text, "")
        self.assertEqual(os.listdir(self.scratch), ["logits.npy"])
        return read_npy(path)

    def check_golden(self, directory, tolerance, *options):
        (ids, _), (golden, shape), (kept, _) = read_safetensors(
            directory / "golden.safetensors", "prompt_ids", "logits", "logit_rows")
        rows, found_shape = self.logits(directory, ids, *options)
        self.assertEqual(found_shape, (len(ids), shape[1]))
        found = [value for row in kept for value in rows[row]]
        self.assertLessEqual(relative_error(found, golden), tolerance, directory.name)

    def test_every_golden_model(self):
        directories = [d for d in sorted(GOLDENS.iterdir()) if d.is_dir()]
        self.assertGreater(len(directories), 0)
        for directory in directories:
            self.check_golden(directory, 1e-5, "--precision", "f32")
            self.check_golden(directory, 1e-2)

    def test_threads_agree(self):
        directory = GOLDENS / "gqa4_top2of8"
        one = self.logits(directory, [1, 5, 9, 30], "-t", 1)
        self.assertEqual(one, self.logits(directory, [1, 5, 9, 30], "-t", 3))

    def test_more_ids_than_a_chunk(self):
        directory = self.synth(shape="64x96x1x4x2x4x50")
        ids = [i % 50 for i in range(1100)]
        path = self.scratch / "l.npy"
        self.output("logits", directory, "--ids", "-", "-o", path, stdin=join_ids(ids) + "\n")
        rows, shape = read_npy(path)
        self.assertEqual(shape, (1100, 50))
        short = self.scratch / "s.npy"
        self.output("logits", directory, "--ids", join_ids(ids[:700]), "-o", short)
        self.assertEqual(read_npy(short)[0], rows[:700])

    def test_numpy_reads_it(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("no numpy")
        rows, shape = self.logits(GOLDENS / "window7", [1, 2, 3])
        loaded = numpy.load(self.scratch / "logits.npy")
        self.assertEqual((loaded.shape, loaded.dtype), (shape, numpy.float32))
        self.assertEqual(loaded.tolist(), [list(row) for row in rows])

    def test_bad_ids_leave_nothing(self):
        output = self.scratch / "x.npy"
        model = GOLDENS / "window7"
        for ids, shown in [("1,2,x", '"x"'), ("1,-2", '"-2"'), ("", '""'),
                           ("1,1000000", "1000000")]:
            self.assert_fails(USAGE, "logits", model, "--ids", ids, "-o", output, says=shown)
        self.assert_fails(NO_ROOM, "logits", model, "--ids", "1,2,3", "--ctx", "2", "-o", output)
        self.assertEqual(os.listdir(self.scratch), [])

    def test_interrupt_leaves_nothing(self):
        directory = self.synth(shape="256x512x4x2x2x8x64")
        process = subprocess.Popen(command_line("logits", directory, "--ids", "-", "-o",
                                                self.scratch / "x.npy"),
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        process.stdin.write(b"1" + b",1" * 30000)
        process.stdin.close()
        process.stdin = None
        self.wait_until(lambda: len(os.listdir(self.scratch)) > 1, process)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=120)
        self.assertEqual((process.returncode, message),
                         (INTERRUPTED, b"mixtral logits: interrupted\n"))
        self.assertEqual(os.listdir(self.scratch), ["synth"])

    def test_unwritable_output(self):
        model = GOLDENS / "window7"
        self.assert_fails(IO, "logits", model, "--ids", "1", "-o", self.scratch / "no" / "x.npy",
                          says="x.npy")
        self.assert_fails(IO, "logits", model, "--ids", "1", "-o", self.scratch,
                          says=str(self.scratch))

    def test_an_old_file_survives_a_failure(self):
        output = self.scratch / "x.npy"
        output.write_text("old")
        self.assert_fails(USAGE, "logits", GOLDENS / "window7", "--ids", "1,1000000", "-o", output)
        self.assertEqual(output.read_text(), "old")


if __name__ == "__main__":
    unittest.main()
