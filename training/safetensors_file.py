"""Writes a safetensors file: an 8-byte little-endian header length, a JSON header, the raw tensors."""

import json
import struct

import torch


def write_bf16(path, tensors):
    """`tensors` maps names to float32 tensors; each is stored rounded to bfloat16, in the given order."""
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.detach().contiguous().to(torch.bfloat16).view(torch.int16).numpy().astype("<i2").tobytes()
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(blobs)


def read_bf16(path):
    """The tensors of such a file, widened to float32."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__")
    out = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        bits = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.int16)
        out[name] = bits.view(torch.bfloat16).float().view(entry["shape"])
    return out
