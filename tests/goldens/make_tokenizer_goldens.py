#!/usr/bin/env python3
"""Writes what mistral-common and SentencePiece say about thousands of texts, id sequences and
conversations, next to the tokenizer files of Mistral v1 and v3 themselves.

Run as `make_tokenizer_goldens.py --out DIR` with the packages of requirements.txt; README.md beside
this file describes what is written. The results stay out of the repository: the tests make them.
"""

import argparse
import json
import platform
import random
import shutil
from importlib.metadata import version
from pathlib import Path

import mistral_common
import tokenizers
from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.messages import (
    AssistantMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.tool_calls import Function, FunctionCall, Tool, ToolCall
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from sentencepiece import SentencePieceProcessor

import chat_inputs
import tokenizer_inputs
from tokenizer_json import added_tokens, from_sentencepiece

SEED = 2
MODEL_FILES = {"v1": "tokenizer.model.v1", "v3": "mistral_instruct_tokenizer_240323.model.v3"}
INSTRUCT = {"v1": MistralTokenizer.v1(), "v3": MistralTokenizer.v3()}


def write_jsonl(path, records):
    with path.open("w") as file:
        for record in records:
            file.write(json.dumps(record) + "\n")


def copy_models(out):
    """out/v1, out/v3: tokenizer.model; out/v1_json, out/v3_json: tokenizer.json made from it."""
    data = Path(mistral_common.__file__).parent / "data"
    processors = {}
    for name, file in MODEL_FILES.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / file, out / name / "tokenizer.model")
        processors[name] = SentencePieceProcessor(model_file=str(data / file))
        (out / f"{name}_json").mkdir(exist_ok=True)
        document = from_sentencepiece(processors[name], legacy=name == "v1")
        text = json.dumps(document, ensure_ascii=False)
        (out / f"{name}_json" / "tokenizer.json").write_text(text)
    return processors


def check_tokenizer_json(out, name, processor, texts):
    """Hugging Face's tokenizers encodes by tokenizer.json as SentencePiece does by the model, but
    for two things: names of added tokens in a text become these tokens, and Metaspace puts no space
    before a text that starts with one, so here it gets one."""
    hugging_face = tokenizers.Tokenizer.from_file(str(out / f"{name}_json" / "tokenizer.json"))
    names = [token["content"] for token in added_tokens(processor)]
    n_checked = 0
    for data in texts:
        text = data.decode(errors="replace")
        if text.encode() != data or any(added in text for added in names):
            continue
        first_space = " " if name == "v3" and text[:1] in (" ", "▁") else ""
        ids = hugging_face.encode(first_space + text, add_special_tokens=False).ids
        assert ids == processor.encode(text), (name, text, ids, processor.encode(text))
        n_checked += 1
    return n_checked


def encode_records(processors, texts):
    for data in texts:
        record = {"text": data.hex()}
        for name, processor in processors.items():
            record[name] = processor.encode(data)
        yield record


def decode_records(processor, sequences):
    for ids in sequences:
        yield {"ids": ids, "text": processor.decode(ids).encode().hex()}


def message_object(message, is_last):
    role, text = message["role"], message.get("content")
    if role == "system":
        return SystemMessage(content=text)
    if role == "user":
        return UserMessage(content=text)
    if role == "tool":
        return ToolMessage(content=text, tool_call_id=message["tool_call_id"], name=message["name"])
    calls = [
        ToolCall(
            id=call["id"], function=FunctionCall(name=call["name"], arguments=call["arguments"])
        )
        for call in message.get("tool_calls", [])
    ]
    return AssistantMessage(content=text, tool_calls=calls or None, prefix=is_last)


def chat_ids(name, messages, tools=()):
    """The ids that mistral-common makes, or None where it refuses the conversation. A last
    assistant message is one to go on with."""
    objects = [message_object(m, i + 1 == len(messages)) for i, m in enumerate(messages)]
    functions = [Tool(function=Function(**tool)) for tool in tools] or None
    request = ChatCompletionRequest(messages=objects, tools=functions)
    try:
        return INSTRUCT[name].encode_chat_completion(request).tokens
    except MistralCommonException:
        return None


def hexed(value):
    """Every string of a message but its role as the hex of its bytes."""
    if isinstance(value, dict):
        return {key: item if key == "role" else hexed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hexed(item) for item in value]
    return value.encode().hex()


def chat_records(conversations):
    for messages in conversations:
        ids = {name: chat_ids(name, messages) for name in INSTRUCT}
        yield {"messages": [hexed(message) for message in messages], **ids}


def tool_records(conversations):
    """v1 has no tools."""
    for tools, messages in conversations:
        tools_text = json.dumps(
            [{"type": "function", "function": tool} for tool in tools], ensure_ascii=False
        )
        yield {
            "tools": tools_text.encode().hex() if tools else "",
            "messages": [hexed(message) for message in messages],
            "v3": chat_ids("v3", messages, tools),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    rng = random.Random(SEED)
    processors = copy_models(out)
    texts = tokenizer_inputs.encode_inputs(processors["v3"], rng)
    write_jsonl(out / "encode.jsonl", encode_records(processors, texts))
    for name, processor in processors.items():
        n_checked = check_tokenizer_json(out, name, processor, texts)
        print(f"{name}: tokenizer.json agrees with tokenizer.model on {n_checked} texts")
        sequences = [processor.encode(text) for text in rng.sample(texts, 500)]
        sequences += tokenizer_inputs.random_ids(processor, rng)
        sequences += tokenizer_inputs.spelled_ids(processor, texts, rng)
        write_jsonl(out / f"decode_{name}.jsonl", decode_records(processor, sequences))
    conversations = list(chat_inputs.conversations(rng))
    write_jsonl(out / "chat.jsonl", chat_records(conversations))
    tool_conversations = [chat_inputs.tool_conversation(rng) for _ in range(150)]
    write_jsonl(out / "chat_tools.jsonl", tool_records(tool_conversations))
    made_with = {
        "python": platform.python_version(),
        **{name: version(name) for name in ("mistral-common", "sentencepiece", "tokenizers")},
    }
    counts = {"texts": len(texts), "conversations": len(conversations)}
    (out / "manifest.json").write_text(json.dumps({"made_with": made_with, **counts}) + "\n")


if __name__ == "__main__":
    main()
