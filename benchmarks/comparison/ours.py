"""The `mixtral` command, run as its users do."""

import json
import pathlib
import subprocess
import tempfile

import numpy


def run(command, *arguments):
    result = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{command} {arguments[0]}: {result.stderr.strip()}")
    return result.stdout


def version(command):
    return run(command, "--version").strip()


def convert(command, source, target, file_type, n_threads):
    run(command, "convert", source, target, "--to", file_type, "--threads", n_threads)


def bench(command, path, pp, tg, depths, n_threads, repetitions):
    """The report of `mixtral bench`."""
    return json.loads(run(command, "bench", path, "--json", "--pp", ",".join(map(str, pp)) or 0, "--tg", tg,
                          "--tg-depth", ",".join(map(str, depths)), "--threads", n_threads,
                          "--repetitions", repetitions))


def logits_of(command, path, tokens, n_threads):
    with tempfile.TemporaryDirectory() as directory:
        output = pathlib.Path(directory) / "logits.npy"
        run(command, "logits", path, "--ids", ",".join(map(str, tokens)), "-o", output, "--threads", n_threads)
        return numpy.load(output)
