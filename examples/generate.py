#!/usr/bin/env python3
"""Continues a text through the C API; needs Python's standard library and libmixtral.so alone.

generate.py LIBRARY MODEL [PROMPT]
"""

import ctypes
import sys


class TokenEvent(ctypes.Structure):  # mixtral_token_event
    _fields_ = [("struct_size", ctypes.c_uint32), ("token", ctypes.c_int32),
                ("text", ctypes.POINTER(ctypes.c_char)), ("text_size", ctypes.c_uint64),
                ("logprob", ctypes.c_double), ("top_logprobs", ctypes.c_void_p),
                ("n_top_logprobs", ctypes.c_uint64), ("finish", ctypes.c_int32),
                ("reserved", ctypes.c_int32)]


TokenCallback = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(TokenEvent), ctypes.c_void_p)


class Model:
    def __init__(self, library, path):
        self.lib = ctypes.CDLL(library)
        self.lib.mixtral_last_error.restype = ctypes.c_char_p
        self.lib.mixtral_model_free.argtypes = [ctypes.c_void_p]
        self.lib.mixtral_context_free.argtypes = [ctypes.c_void_p]
        self.lib.mixtral_generate.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t,
                                              ctypes.c_void_p, TokenCallback, ctypes.c_void_p]
        self.handle = ctypes.c_void_p()
        self.check(self.lib.mixtral_load(path.encode(), None, ctypes.byref(self.handle)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.mixtral_model_free(self.handle)

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.lib.mixtral_last_error().decode())

    def generate(self, prompt, on_text):
        """Calls on_text with each piece of text as it is generated."""
        @TokenCallback
        def on_token(event, _):
            on_text(event.contents.text[:event.contents.text_size].decode())
            return 0

        text = prompt.encode()
        context = ctypes.c_void_p()
        self.check(self.lib.mixtral_context_create(self.handle, None, ctypes.byref(context)))
        try:
            self.check(self.lib.mixtral_generate(context, text, len(text), None, on_token, None))
        finally:
            self.lib.mixtral_context_free(context)


if __name__ == "__main__":
    library, path, *prompt = sys.argv[1:]
    with Model(library, path) as model:
        model.generate(prompt[0] if prompt else "Once upon a time",
                       lambda text: print(text, end="", flush=True))
    print()
