"""llama.cpp through the C functions that llama-cpp-python binds; as a program it times a GGUF file.

A process of its own, so that neither side's threads or memory are there while the other is timed.
"""

import argparse
import ctypes
import json
import random
import statistics
import sys
import time
from collections import namedtuple

import llama_cpp
import numpy

ERROR = 4  # GGML_LOG_LEVEL_ERROR


@llama_cpp.llama_log_callback
def _log(level, text, _):
    if level == ERROR:
        sys.stderr.write(text.decode(errors="replace"))


llama_cpp.llama_log_set(_log, None)

MIN_SECONDS = 0.1  # of a sample, as in `mixtral bench`

# repack: weights copied at load into the layout of the kernels; flash: fused attention.
Variant = namedtuple("Variant", "repack flash")
VARIANTS = {f"{'repack' if repack else 'plain'}+{'flash' if flash else 'noflash'}": Variant(repack, flash)
            for repack in (True, False) for flash in (True, False)}

Test = namedtuple("Test", "name n_tokens depth is_prompt")


def make_tests(pp, tg, depths):
    """Named as `mixtral bench` names them."""
    decodes = [Test(f"tg{tg}" + (f"@d{depth}" if depth else ""), tg, depth, False) for depth in depths]
    return [Test(f"pp{n}", n, 0, True) for n in pp] + decodes


class Model:
    def __init__(self, path, repack):
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        params.use_extra_bufts = repack
        self.handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise RuntimeError(f"llama.cpp can't load {path}")
        self.vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.handle))

    def close(self):
        llama_cpp.llama_model_free(self.handle)


class Context:
    """One sequence."""

    def __init__(self, model, n_ctx, n_threads, flash):
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = min(n_ctx, 512)  # as our chunks of a prompt
        params.n_threads = params.n_threads_batch = n_threads
        params.flash_attn_type = (llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash
                                  else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED)
        self.vocab = model.vocab
        self.chunk = params.n_batch
        self.handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise RuntimeError("llama.cpp can't make a context")
        self.memory = llama_cpp.llama_get_memory(self.handle)

    def close(self):
        llama_cpp.llama_free(self.handle)

    def append(self, tokens):
        """Evaluates `tokens` with the logits of the last one."""
        for first in range(0, len(tokens), self.chunk):
            part = tokens[first:first + self.chunk]
            array = (llama_cpp.llama_token * len(part))(*part)
            self._decode(llama_cpp.llama_batch_get_one(array, len(part)))
        llama_cpp.llama_synchronize(self.handle)

    def truncate(self, size):
        if not llama_cpp.llama_memory_seq_rm(self.memory, 0, size, -1):
            raise RuntimeError(f"llama.cpp can't rewind a context to {size} tokens")

    def size(self):
        return llama_cpp.llama_memory_seq_pos_max(self.memory, 0) + 1

    def logits(self, tokens):
        """After each of `tokens`, at most a chunk, in an empty context."""
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, i, True
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        self._decode(batch)
        rows = llama_cpp.llama_get_logits(self.handle)
        result = numpy.ctypeslib.as_array(rows, (len(tokens), self.vocab)).copy()
        llama_cpp.llama_batch_free(batch)
        return result

    def _decode(self, batch):
        status = llama_cpp.llama_decode(self.handle, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode: status {status}")


def run_once(context, test, tokens):
    """Seconds for one run of `test`; the context is brought to its depth before."""
    context.truncate(min(context.size(), test.depth))
    context.append(tokens[:test.depth - context.size()])
    start = time.perf_counter()
    if test.is_prompt:
        context.append(tokens[:test.n_tokens])
    else:
        for token in tokens[:test.n_tokens]:
            context.append([token])
    return time.perf_counter() - start


def sample(context, test, tokens):
    """Tokens per second over MIN_SECONDS or more."""
    n_runs, seconds = 0, 0
    while seconds < MIN_SECONDS:
        seconds += run_once(context, test, tokens)
        n_runs += 1
    return n_runs * test.n_tokens / seconds


def time_variant(model, flash, tests, n_threads, repetitions):
    """{test: tokens per second}, each the median of the repetitions after one that isn't counted."""
    context = Context(model, max(test.depth + test.n_tokens for test in tests), n_threads, flash)
    choose = random.Random(0)
    tokens = [choose.randrange(model.vocab) for _ in range(max(t.depth + t.n_tokens for t in tests))]
    samples = {test.name: [] for test in tests}
    for repetition in range(repetitions + 1):
        for test in tests:
            rate = sample(context, test, tokens)
            if repetition > 0:
                samples[test.name].append(rate)
    context.close()
    return {name: statistics.median(rates) for name, rates in samples.items()}


def time_file(path, variants, tests, n_threads, repetitions):
    """{variant: {test: tokens per second}}"""
    results = {}
    for repack in (True, False):
        names = [name for name in variants if VARIANTS[name].repack == repack]
        if not names:
            continue
        model = Model(path, repack)
        for name in names:
            results[name] = time_variant(model, VARIANTS[name].flash, tests, n_threads, repetitions)
        model.close()
    return results


def logits_of(path, tokens, n_threads):
    model = Model(path, repack=True)
    context = Context(model, len(tokens), n_threads, flash=False)
    logits = context.logits(tokens)
    context.close()
    model.close()
    return logits


def quantise(source, target, file_type, n_threads):
    """Rewrites a bf16 GGUF file; `file_type` such as "Q4_0". Every matrix but the routers gets that type."""
    names = {"Q4_K": "Q4_K_S", "Q5_K": "Q5_K_S"}
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = n_threads
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{names.get(file_type, file_type)}")
    params.pure = True
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), params) != 0:
        raise RuntimeError(f"llama.cpp can't quantise {source} to {file_type}")


def versions():
    return {"llama-cpp-python": llama_cpp.__version__,
            "system": llama_cpp.llama_print_system_info().decode().strip()}


def numbers(text):
    return [int(number) for number in text.split(",") if number]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path")
    parser.add_argument("--variants", type=lambda text: text.split(","), default=list(VARIANTS))
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--pp", type=numbers, default=[])
    parser.add_argument("--tg", type=int, default=32)
    parser.add_argument("--tg-depth", type=numbers, default=[0])
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()
    tests = make_tests(args.pp, args.tg, args.tg_depth)
    print(json.dumps(time_file(args.path, args.variants, tests, args.threads, args.repetitions)))


if __name__ == "__main__":
    main()
