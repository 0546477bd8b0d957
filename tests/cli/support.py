"""Runs the mixtral command; reads what it writes."""

import array
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

COMMAND = os.environ["MIXTRAL_COMMAND"]
SOURCE = pathlib.Path(os.environ["MIXTRAL_SOURCE_DIR"])
GOLDENS = SOURCE / "tests" / "goldens" / "models"
MODEL = SOURCE / "examples" / "models" / "pocket-mixtral"  # has a tokenizer

OK, FAILURE, USAGE, IO, BAD_MODEL, NO_ROOM, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


def environment(**changes):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MIXTRAL_")}
    return {**clean, **changes}


def command_line(*arguments):
    return [COMMAND, *map(str, arguments)]


class CommandTest(unittest.TestCase):
    """Each test has a scratch directory of its own."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="mixtral-cli-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)

    def run_command(self, *arguments, stdin=b"", timeout=240, **changes):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        return subprocess.run(command_line(*arguments), input=stdin, capture_output=True,
                              timeout=timeout, env=environment(**changes))

    def output(self, *arguments, **options):
        """The text on stdout of a run that must succeed and say nothing on stderr."""
        result = self.run_command(*arguments, **options)
        self.assertEqual((result.returncode, result.stderr.decode()), (OK, ""), arguments)
        return result.stdout.decode()

    def json(self, command, *arguments, **options):
        return json.loads(self.output(command, "--json", *arguments, **options))

    def assert_fails(self, code, *arguments, says=(), **options):
        """The run must fail with `code`, print nothing, and explain itself in one line."""
        result = self.run_command(*arguments, **options)
        message = result.stderr.decode()
        self.assertEqual(result.returncode, code, f"{arguments}: {message}")
        self.assertEqual(result.stdout, b"", arguments)
        lines = message.splitlines()
        if code == USAGE and lines[-1].startswith("Try "):
            lines.pop()
        self.assertEqual(len(lines), 1, message)
        self.assertTrue(message.startswith("mixtral"), message)
        for words in [says] if isinstance(says, str) else says:
            self.assertIn(words, message)

    def wait_until(self, condition, process):
        """Waits while `process` runs."""
        while not condition():
            self.assertIsNone(process.poll(), "the command ended too early")
            time.sleep(0.02)

    def synth(self, name="synth", shape="64x96x2x4x2x4x128", *options):
        directory = self.scratch / name
        self.output("synth", directory, "--shape", shape, *options)
        return directory


def read_npy(path):
    """The rows of a float32 .npy file, and its shape."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    (length,) = struct.unpack_from("<H", data, 8)
    assert (10 + length) % 64 == 0 and data[9 + length:10 + length] == b"\n"
    header = eval(data[10:10 + length], {"__builtins__": {}})  # a dict literal, as NumPy reads it
    assert header["descr"] == "<f4" and header["fortran_order"] is False
    rows, cols = header["shape"]
    values = array.array("f", data[10 + length:])
    if sys.byteorder == "big":
        values.byteswap()
    assert len(values) == rows * cols
    return [values[i * cols:(i + 1) * cols] for i in range(rows)], (rows, cols)


def read_safetensors(path, *names):
    """Tensors of F32 or I32 as flat arrays, and their shapes."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    tensors = []
    for name in names:
        entry = header[name]
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = array.array({"F32": "f", "I32": "i"}[entry["dtype"]], data[begin:end])
        tensors.append((values, entry["shape"]))
    return tensors


def join_ids(ids):
    return ",".join(map(str, ids))
