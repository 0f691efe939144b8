"""Embeds texts by Python's onnxruntime and tokenizers, and prints a line of JSON: what the embed bench measures Parley against.

    python python_embed.py MODEL_FOLDER TEXTS.json SESSIONS THREADS BATCH

Each of SESSIONS has THREADS threads (0: the library's choice) and takes BATCH texts at a time, sorted by length. Pooling and
longest input are read from the model's files.
"""

import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder, texts_path = Path(sys.argv[1]), Path(sys.argv[2])
sessions, threads, batch = (int(argument) for argument in sys.argv[3:6])
read = lambda name: json.loads((folder / name).read_text())

sentence, config = read("sentence_bert_config.json"), read("1_Pooling/config.json")
texts = [text.strip().lower() if sentence.get("do_lower_case") else text.strip() for text in json.loads(texts_path.read_text())]
pad = read("config.json").get("pad_token_id", 0)

start = time.perf_counter()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
onnx = next(path for path in (folder / "onnx/model_quantized.onnx", folder / "onnx/model.onnx") if path.exists())
pool = [onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"]) for _ in range(sessions)]
wanted = {value.name for value in pool[0].get_inputs()}
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.enable_truncation(max_length=sentence["max_seq_length"])
tokenizer.enable_padding(pad_id=pad)
load_ms = (time.perf_counter() - start) * 1000


def embed(session, some):
    encoded = tokenizer.encode_batch(some)
    ids = np.array([each.ids for each in encoded], dtype=np.int64)
    mask = np.array([each.attention_mask for each in encoded], dtype=np.int64)
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    states = session.run(None, {name: feeds[name] for name in wanted})[0]
    if config["pooling_mode_cls_token"]:
        vectors = states[:, 0]
    else:
        vectors = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


order = sorted(range(len(texts)), key=lambda at: len(texts[at])) if batch > 1 else list(range(len(texts)))
parts = [order[at : at + batch] for at in range(0, len(order), batch)]


def lane(number):
    mine = {}
    for part in parts[number::sessions]:
        mine.update(zip(part, embed(pool[number], [texts[at] for at in part])))
    return mine


for session in pool:
    embed(session, ["warm up"])
start, cpu = time.perf_counter(), time.process_time()
with ThreadPoolExecutor(sessions) as executor:
    vectors = {at: vector for mine in executor.map(lane, range(sessions)) for at, vector in mine.items()}
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu

print(json.dumps({
    "load_ms": load_ms,
    "seconds": seconds,
    "cpu_seconds": cpu_seconds,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "vectors": [vectors[at].tolist() for at in range(min(20, len(texts)))],
}))
