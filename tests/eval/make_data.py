#!/usr/bin/env python3
"""Makes tests/eval/data: small data sets of our own in the file formats and layouts of the published ones
(PyPI `pyarrow` 26.0.1), and one table in many kinds of Parquet; also the fuzzer's corpus. A seed decides
everything. Run make_goldens.py afterwards, whose results lie in the same folder.

    python3 make_data.py
"""
import csv
import json
import pathlib
import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq

DATA = pathlib.Path(__file__).parent / "data"
CORPUS = pathlib.Path(__file__).parent.parent / "fuzz" / "corpus" / "parquet"
THINGS = ["river", "lamp", "école", "wheel", "stone", "kettle", "ship", "garden", "clock", "piano"]
QUALITIES = ["heavy", "blue", "very old", "made of glass", "naïve", "longer than a day", "Ωmega"]
NAMES = ["Ann", "Ben", "Chloé", "Dov", "Eva", "Finn"]


def write(directory, split, rows, schema=None, **options):
    directory.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, directory / f"{split}-00000-of-00001.parquet", **options)


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def arc_row(rng, number):
    count = rng.choice([4, 4, 4, 5, 3])
    labels = list("ABCDE" if rng.random() < 0.8 else "12345")[:count]
    texts = rng.sample([f"{q} {t}" for q in QUALITIES for t in THINGS] + ["it", "none"], count)
    return {"id": f"Own_{number}", "question": f"What is like a {rng.choice(THINGS)} no. {number}?",
            "choices": {"text": texts, "label": labels}, "answerKey": rng.choice(labels)}


def arc(rng):
    for split, count in [("train", 40), ("validation", 3), ("test", 8)]:
        rows = [arc_row(rng, i) for i in range(count)]
        write(DATA / "arc" / "ARC-Challenge", split, rows)  # snappy, dictionaries


def hellaswag_row(rng, number, split):
    ctx_a = rng.choice(["A man is seen.", "[header] How to fix a lamp [title] Look at it. [step] Wait.",
                        "She  holds   a wheel [substeps] [unclosed", "Two ships\n[not\none] sail. "])
    ctx_b = rng.choice(["the MAN", "école A", "", "ÉTÉ İs", "ǆungla x", "[title] then"])
    endings = [f"{rng.choice(['goes', '[step] takes', ' walks '])} to the {thing} [title] {i}."
               for i, thing in enumerate(rng.sample(THINGS, 4))]
    return {"ind": number, "activity_label": rng.choice(["Sailing", "Home and Garden"]),
            "ctx_a": ctx_a, "ctx_b": ctx_b, "ctx": f"{ctx_a} {ctx_b}", "endings": endings,
            "source_id": f"own~{number}", "split": split, "split_type": "indomain",
            "label": str(rng.randrange(4))}


def hellaswag(rng):
    validation = [hellaswag_row(rng, i, "val") for i in range(8)]
    train = [hellaswag_row(rng, i, "train") for i in range(9)]
    train[2:2] = validation[:3]  # questions among their own examples
    train += validation[:2]      # twice
    for split, rows in [("train", train), ("validation", validation)]:
        write(DATA / "hellaswag" / "data", split, rows, compression="zstd",
              data_page_version="2.0", row_group_size=5)


def mmlu(rng):
    schema = pa.schema([("question", pa.string()), ("subject", pa.string()),
                        ("choices", pa.list_(pa.string())), ("answer", pa.int64())])
    for subject, count in [("anatomy", 5), ("philosophy", 3), ("sociology", 4), ("virology", 3),
                           ("college_physics", 2)]:
        for split, n_rows in [("dev", 5), ("validation", 2), ("test", count)]:
            rows = [{"question": rng.choice([" ", "", "\u00a0"]) + f"What, is \"{t}\"\nin {subject}? ",
                     "subject": subject, "choices": rng.sample(QUALITIES, 4),
                     "answer": rng.randrange(4)} for t in rng.sample(THINGS, n_rows)]
            write(DATA / "mmlu" / subject, split, rows, schema, compression="gzip")
            if split == "validation":
                continue
            path = DATA / "mmlu_csv" / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as file:
                for row in rows:
                    csv.writer(file).writerow(
                        [row["question"], *row["choices"], "ABCD"[row["answer"]]])


def truthfulqa(rng):
    rows = []
    for i in range(6):
        n_true, n_false = rng.randrange(1, 4), rng.randrange(1, 4)
        answers = [f"The {t} is {rng.choice(QUALITIES)}." for t in rng.sample(THINGS, n_true + n_false)]
        targets = {"choices": answers, "labels": [1] * n_true + [0] * n_false}
        if i == 3:  # a true answer after a wrong one
            targets = {"choices": [*answers, "No comment"], "labels": [*targets["labels"], 1]}
        rows.append({"question": f"Is a {rng.choice(THINGS)} {rng.choice(QUALITIES)}?",
                     "mc1_targets": {"choices": answers[:2], "labels": [1, 0]},
                     "mc2_targets": targets})
    targets_type = pa.struct([("choices", pa.list_(pa.string())), ("labels", pa.list_(pa.int32()))])
    schema = pa.schema([("question", pa.string()), ("mc1_targets", targets_type),
                        ("mc2_targets", targets_type)])
    write(DATA / "truthfulqa" / "multiple_choice", "validation", rows, schema,
          compression="none", use_dictionary=False)


def winogrande_row(rng, number):
    a, b = rng.sample(NAMES, 2)
    thing = rng.choice(THINGS)
    sentence = rng.choice([f"{a} helped {b} with the {thing} no. {number} because _  was kind.",
                           f"_ and not {b} broke the {thing} no. {number}."])
    return {"sentence": sentence, "option1": a, "option2": b, "answer": rng.choice("12")}


def winogrande(rng):
    validation = [winogrande_row(rng, i) for i in range(8)]
    train = [winogrande_row(rng, i + 100) for i in range(30)]
    train[1] = validation[0]
    train[5] = validation[4]
    for split, rows in [("train", train), ("validation", validation)]:
        write(DATA / "winogrande" / "winogrande_xl", split, rows, data_page_size=256)
    write_jsonl(DATA / "winogrande_jsonl" / "train_xl.jsonl", train)
    write_jsonl(DATA / "winogrande_jsonl" / "train_xs.jsonl", train[:4])
    write_jsonl(DATA / "winogrande_jsonl" / "dev.jsonl", validation)


def gsm8k_row(rng):
    a, b = rng.randrange(2, 1500), rng.randrange(2, 50)
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    total = f"{a + b:,}" if rng.random() < 0.5 else str(a + b)
    return {"question": f"{name} has {a} of one {thing} and {b} of another. How many in all?",
            "answer": f"{name} has {a}+{b}=<<{a}+{b}={a + b}>>{a + b}.\n#### {total}"}


def gsm8k(rng):
    splits = {"train": [gsm8k_row(rng) for _ in range(30)], "test": [gsm8k_row(rng) for _ in range(10)]}
    for split, rows in splits.items():
        write(DATA / "gsm8k" / "main", split, rows, compression={"question": "snappy", "answer": "zstd"})
        write_jsonl(DATA / "gsm8k_jsonl" / f"{split}.jsonl", rows)


def parquet_table(rng, n_rows):
    def maybe(value):
        return None if rng.random() < 0.2 else value

    rows = []
    for i in range(n_rows):
        rows.append({
            "text": maybe(rng.choice(THINGS)), "id": i, "small": maybe(rng.randrange(-9, 9)),
            "single": maybe(rng.randrange(100) / 4), "double": maybe(rng.random()),
            "flag": maybe(rng.random() < 0.5),
            "numbers": maybe([maybe(rng.randrange(9)) for _ in range(rng.randrange(4))]),
            "pair": maybe({"a": maybe("x" * rng.randrange(3)), "b": [i] * rng.randrange(3)}),
            "deep": [maybe([maybe({"t": maybe("é")}) for _ in range(rng.randrange(3))])
                     for _ in range(rng.randrange(3))]})
    return pa.Table.from_pylist(rows, schema=pa.schema([
        ("text", pa.string()), pa.field("id", pa.int64(), nullable=False), ("small", pa.int32()),
        ("single", pa.float32()), ("double", pa.float64()), ("flag", pa.bool_()),
        ("numbers", pa.list_(pa.int32())),
        ("pair", pa.struct([("a", pa.string()), ("b", pa.list_(pa.int64()))])),
        ("deep", pa.list_(pa.list_(pa.struct([("t", pa.string())]))))]))


def parquet(rng):
    directory = DATA / "parquet"
    directory.mkdir(parents=True)
    table = parquet_table(rng, 60)
    write_jsonl(directory / "expected.jsonl", table.to_pylist())
    for codec in ["none", "snappy", "gzip", "zstd"]:
        for version in ["1.0", "2.0"]:
            for dictionary in [True, False]:
                name = f"{codec}_v{version[0]}_{'dictionary' if dictionary else 'plain'}.parquet"
                pq.write_table(table, directory / name, compression=codec, data_page_version=version,
                               use_dictionary=dictionary, row_group_size=25, data_page_size=64)
    for name, options in {"brotli": {"compression": "brotli"}, "lz4": {"compression": "lz4"},
                          "delta": {"use_dictionary": False,
                                    "column_encoding": {"id": "DELTA_BINARY_PACKED"}}}.items():
        pq.write_table(table, directory / f"unsupported_{name}.parquet", **options)
    shutil.rmtree(CORPUS, ignore_errors=True)
    CORPUS.mkdir(parents=True)
    for codec in ["none", "snappy", "gzip", "zstd"]:
        for version in ["1.0", "2.0"]:
            pq.write_table(parquet_table(rng, 4), CORPUS / f"{codec}_v{version[0]}",
                           compression=codec, data_page_version=version, store_schema=False,
                           use_dictionary=["text"], row_group_size=3, write_statistics=False)


def main():
    shutil.rmtree(DATA, ignore_errors=True)
    for number, make in enumerate([arc, hellaswag, mmlu, truthfulqa, winogrande, gsm8k, parquet]):
        make(random.Random(number))


if __name__ == "__main__":
    main()
