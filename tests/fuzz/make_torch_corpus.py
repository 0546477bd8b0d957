#!/usr/bin/env python3
"""Writes the corpora of fuzz_zip, fuzz_pickle and fuzz_quantised: small files of torch, archives and quantised
matrices, and each in ways in which they can be wrong.

Made with torch 2.15.0 and safetensors 0.8.0:

    python3 -m venv VENV
    VENV/bin/pip install torch==2.15.0 safetensors==0.8.0 numpy
    VENV/bin/python tests/fuzz/make_torch_corpus.py
"""
import io
import json
import os
import pathlib
import pickle
import struct
import warnings
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save

CORPUS = pathlib.Path(__file__).parent / "corpus"
ROWS, COLS = 32, 64  # of fuzz_quantised's matrix


def write(target, name, content):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / name).write_bytes(content)


def torch_file(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def pickle_in(file):
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))


class Command:
    def __reduce__(self):
        return os.system, ("true",)


def make_pickles():
    base = torch.arange(12.0)
    state = torch_file(OrderedDict(a=torch.nn.Parameter(torch.ones(2, 3).bfloat16()), b=base[2:8].view(2, 3).T))
    small = torch_file({"w": base.view(3, 4)})
    torch.manual_seed(1)
    files = {
        "torch": state,
        "torch_strided": torch_file({"x": base.view(3, 4).T, "y": base[::2], "z": torch.zeros(())}),
        "torch_module": torch_file(torch.nn.Linear(2, 2).state_dict()),
        "torch_double": torch_file({"d": torch.ones(2).double(), "i": torch.ones(2).long()}),
        "torch_float": torch_file({"x": 1.5}),
        "torch_nested": torch_file({"m": {"w": base}}),
        "torch_fp8": torch_file({"w": torch.ones(2).to(torch.float8_e4m3fn)}),
        "legacy": torch_file({"w": base}, _use_new_zipfile_serialization=False),
        "state": pickle_in(state),
        "small": pickle_in(small),
        "cut": pickle_in(state)[:-20],
        "system": pickle.dumps({"w": Command()}, protocol=2),
        "protocol4": pickle.dumps({"w": 1}, protocol=4),
        "deep": b"\x80\x02)" + b"\x85" * 3000 + b".",
        "self": b"\x80\x02}q\x01X\x01\x00\x00\x00wh\x01s.",
        "length": b"\x80\x02}X\xff\xff\xff\xffw",
        "negative": pickle_in(small).replace(b"K\x04K\x01\x86", b"\x8a\x01\xfcK\x01\x86"),  # a stride
    }
    for name, content in files.items():
        write("pickle", name, content)
    write("zip", "torch", small)


class Stream(io.BytesIO):
    """Can't seek, so that sizes follow the data."""

    def seekable(self):
        return False

    def seek(self, *_):
        raise io.UnsupportedOperation

    def tell(self):
        raise AttributeError


def archive(files, out=None, **options):
    out = out or io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as target:
        for name, content in files:
            target.writestr(zipfile.ZipInfo(name), content, options.get("compression"))
    return out.getvalue()


def zip64():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target, target.open(zipfile.ZipInfo("big"), "w", force_zip64=True) as file:
        file.write(b"x" * 10)
    return out.getvalue()


def patched(content, at, new):
    return content[:at] + new + content[at + len(new):]


def make_archives():
    warnings.simplefilter("ignore")  # of a name that occurs twice
    plain = archive([("a/one", b"first"), ("a/two", b""), ("../x", b"third")])
    entry = plain.index(b"PK\x01\x02")  # of the central directory
    next_entry, end = plain.index(b"PK\x01\x02", entry + 4), plain.rindex(b"PK\x05\x06")
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 2**64 - 1, 1)
    files = {
        "plain": plain,
        "zip64": zip64(),
        "deflated": archive([("packed", b"x" * 100)], compression=zipfile.ZIP_DEFLATED),
        "descriptor": archive([("streamed", b"sizes follow")], Stream()),
        "empty": archive([]),
        "cut": plain[:-30],
        "comment": plain[:-2] + b"\x05\x00hello",
        "twice": archive([("a", b"1"), ("a", b"2")]),
        "overlap": patched(plain, next_entry + 42, plain[entry + 42:entry + 46]),
        "size": patched(plain, entry + 24, b"\xf0\xff\xff\xff"),
        "directory": patched(plain, end + 16, b"\xff\xff\xff\x7f"),
        "locator": plain[:end] + locator + plain[end:],
    }
    for name, content in files.items():
        write("zip", name, content)


def make_quantised():
    random = torch.Generator().manual_seed(1)

    def words(*shape):
        return torch.randint(-2**31, 2**31, shape, generator=random, dtype=torch.int64).int()

    def scales(*shape):
        return torch.rand(*shape, generator=random)

    def put(name, config, tensors, cut=0):
        content = save(tensors)
        write("quantised", name, json.dumps({"quantization_config": config}).encode() + b"\0" +
              content[:len(content) - cut])

    def packed(bits, groups, **others):
        return {"x.qweight": words(COLS * bits // 32, ROWS), "x.qzeros": words(groups, ROWS * bits // 32),
                "x.scales": scales(groups, ROWS).half(), **others}

    awq = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}
    awq_parts = {"x.qzeros": words(2, ROWS // 8), "x.scales": scales(2, ROWS).half()}
    put("awq", awq, {"x.qweight": words(COLS, ROWS // 8), **awq_parts})
    put("awq_shape", awq, {"x.qweight": words(ROWS, ROWS // 8), **awq_parts})
    put("cut", awq, {"x.qweight": words(COLS, ROWS // 8)}, cut=5)
    put("plain", awq, {"x.weight": torch.zeros(ROWS, COLS).half()})

    for bits in 2, 3, 4, 8:
        put(f"gptq{bits}", {"quant_method": "gptq", "bits": bits, "group_size": 32},
            packed(bits, 2, **{"x.g_idx": (torch.arange(COLS) % 2).int()}))
    put("gptq_groups", {"quant_method": "gptq", "bits": 4, "group_size": 32},
        packed(4, 2, **{"x.g_idx": torch.arange(COLS).int() - 3}))
    put("gptq_bias", {"quant_method": "gptq", "bits": 4, "group_size": -1, "checkpoint_format": "gptq_v2"},
        packed(4, 1, **{"x.bias": torch.zeros(ROWS).half()}))

    codes = torch.randn(ROWS, COLS, generator=random).to(torch.float8_e4m3fn)
    put("fp8", {"quant_method": "fp8"},
        {"x.weight": codes, "x.weight_scale": torch.tensor(0.5), "x.input_scale": torch.tensor(0.5)})
    put("fp8_blocks", {"quant_method": "fp8", "weight_block_size": [24, 16]},
        {"x.weight": codes, "x.weight_scale_inv": scales(2, 4)})
    put("fp8_rows", {"quant_method": "compressed-tensors", "format": "float-quantized",
                     "config_groups": {"a": {"weights": {"num_bits": 8, "type": "float"}}}},
        {"x.weight": codes, "x.weight_scale": scales(ROWS, 1).bfloat16()})
    put("fp8_stack", {"quant_method": "fp8", "weight_block_size": [24, 16]},
        {"stack": codes.repeat(4, 1).view(2, 2 * ROWS, COLS), "stack_scale_inv": scales(2, 3, 4)})
    put("fp8_none", {"quant_method": "fp8"}, {"x.weight": codes})
    put("bitsandbytes", {"quant_method": "bitsandbytes", "load_in_4bit": True}, {})


if __name__ == "__main__":
    make_pickles()
    make_archives()
    make_quantised()
