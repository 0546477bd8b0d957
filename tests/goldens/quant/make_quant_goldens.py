#!/usr/bin/env python3
"""Writes quant.safetensors: what the gguf package reads from random blocks of each quantised type, and
the bytes that it quantises weights to; NVFP4, which the package only reads, is quantised by llama.cpp.

Made with gguf 0.19.0, llama-cpp-python 0.3.36 and numpy 2.4.6:

    python3 -m venv VENV
    VENV/bin/pip install gguf==0.19.0 llama-cpp-python==0.3.36 numpy==2.4.6 safetensors
    VENV/bin/python make_quant_goldens.py
"""

import ctypes
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants
from safetensors.numpy import save_file

TYPES = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl",
         "iq4_xs", "mxfp4", "nvfp4", "tq1_0", "tq2_0"]
QUANTISED = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "mxfp4", "tq1_0", "tq2_0"]  # the types that the package can quantise
N_VALUES = 2048


def weights(random):
    """Rows of 32 weights."""
    normal = random.standard_normal((40, 32)) * 10.0 ** random.uniform(-4, 2, (40, 1))
    spike = np.zeros((2, 32))
    spike[0, 7] = 3
    spike[1, 30] = -0.02
    # For each type a row whose scale is 1 and most of whose weights lie halfway between two levels.
    halves = np.arange(31) - 14.5
    ties = np.stack([np.append(halves, -127), np.append(np.clip(halves, -7.5, 7.5), -8),
                     np.append(halves, -16), np.append(np.arange(31) / 2, 15),
                     np.append(np.arange(30) + 0.5, [0, 31])])
    two_largest = random.uniform(-1, 1, (2, 32))  # of opposite signs: the first one sets the scale
    two_largest[:, 5] = [2, -2]
    two_largest[:, 20] = [-2, 2]
    tiny = random.standard_normal((2, 32)) * [[1e-6], [1e-8]]  # scales are subnormal, or round to 0
    shifted = random.uniform(5, 6, (2, 32)) * [[1], [-1]]
    sizes = np.outer(np.geomspace(1e-3, 3000, 9), np.linspace(-1, 1, 32))
    rows = [normal, spike, ties, two_largest, tiny, shifted, np.zeros((1, 32)), np.ones((1, 32)), sizes]
    return np.concatenate(rows).astype(np.float32)


def llama_cpp_nvfp4(values):
    library = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib/libggml-base.so"))
    blocks = np.zeros((values.size // 64, 36), np.uint8)
    library.quantize_row_nvfp4_ref(values.ctypes.data_as(ctypes.c_void_p),
                                   blocks.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(values.size))
    return blocks


def main():
    random = np.random.default_rng(20261124)
    tensors = {"weights": weights(random)}
    for name in TYPES:
        qtype = GGMLQuantizationType[name.upper()]
        elements, size = GGML_QUANT_SIZES[qtype]
        blocks = random.integers(0, 256, (N_VALUES // elements, size), dtype=np.uint8)
        tensors[f"{name}.blocks"] = blocks
        with np.errstate(all="ignore"):  # scales are any f16: infinities and NaN too
            tensors[f"{name}.values"] = quants.dequantize(blocks, qtype)
        if name in QUANTISED:
            rows = tensors["weights"].reshape(-1, max(32, elements))
            tensors[f"{name}.quantised"] = quants.quantize(rows, qtype)
    tensors["nvfp4.quantised"] = llama_cpp_nvfp4(tensors["weights"])
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()},
              Path(__file__).with_name("quant.safetensors"))


main()
