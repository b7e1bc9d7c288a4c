"""Files of models for llama.cpp (GGUF, version 3), as far as the tests need them."""

import random
import struct

STRING, ARRAY = 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
ALIGNMENT = 32


def text(value):
    value = value.encode()
    return struct.pack("<Q", len(value)) + value


def field(name, value):
    if isinstance(value, bool):
        return text(name) + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return text(name) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return text(name) + struct.pack("<If", 6, value)
    if isinstance(value, str):
        return text(name) + struct.pack("<I", STRING) + text(value)
    kind, pack = (STRING, text) if isinstance(value[0], str) else (5, lambda number: struct.pack("<i", number))
    return text(name) + struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(map(pack, value))


def padding(length):
    return b"\0" * (-length % ALIGNMENT)


def copy(source, target, fields):
    """A file with more fields."""
    data = open(source, "rb").read()
    magic, version, tensors, count = struct.unpack_from("<4sIQQ", data)
    assert (magic, version) == (b"GGUF", 3)
    at = 24

    def skip(kind):
        nonlocal at
        if kind == STRING:
            at += 8 + struct.unpack_from("<Q", data, at)[0]
        elif kind == ARRAY:
            kind, length = struct.unpack_from("<IQ", data, at)
            at += 12
            for _ in range(length):
                skip(kind)
        else:
            at += SIZES[kind]

    for _ in range(count):
        skip(STRING)
        at += 4
        skip(struct.unpack_from("<I", data, at - 4)[0])
    end_of_fields = at
    for _ in range(tensors):
        skip(STRING)
        at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 12
    head = struct.pack("<4sIQQ", magic, version, tensors, count + len(fields)) + data[24:end_of_fields]
    head += b"".join(field(name, value) for name, value in fields.items()) + data[end_of_fields:at]
    target.write(head + padding(len(head)) + data[at + len(padding(at)):])
    target.flush()


def cross_encoder(target):
    """A BERT of one layer with a classifier of one output, which reads single characters."""
    width, heads, inner, length = 32, 2, 64, 512
    letters = [chr(c) for c in range(33, 127)] + list("密钥轮换每三十天备份数据库什么时候多久一次的是在中文")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # A piece that begins a word has the mark that sentencepiece gives it; llama.cpp has no others for BERT.
    words += ["\u2581" + letter for letter in letters] + letters
    dice = random.Random(7)

    def numbers(*shape):
        count = 1
        for size in shape:
            count *= size
        return shape, struct.pack(f"<{count}f", *(dice.gauss(0, 0.3) for _ in range(count)))

    def layer_norm(name):
        return {f"{name}.weight": ((width,), struct.pack(f"<{width}f", *[1.0] * width)), f"{name}.bias": numbers(width)}

    def linear(name, read, written):
        return {f"{name}.weight": numbers(read, written), f"{name}.bias": numbers(written)}

    tensors = {
        "token_embd.weight": numbers(width, len(words)),
        "token_types.weight": numbers(width, 2),
        "position_embd.weight": numbers(width, length),
        **layer_norm("token_embd_norm"),
        **linear("blk.0.attn_q", width, width),
        **linear("blk.0.attn_k", width, width),
        **linear("blk.0.attn_v", width, width),
        **linear("blk.0.attn_output", width, width),
        **layer_norm("blk.0.attn_output_norm"),
        **linear("blk.0.ffn_up", width, inner),
        **linear("blk.0.ffn_down", inner, width),
        **layer_norm("blk.0.layer_output_norm"),
        **linear("cls", width, width),
        **linear("cls.output", width, 1),
    }
    fields = {
        "general.architecture": "bert",
        "general.name": "tiny cross-encoder",
        "bert.block_count": 1,
        "bert.context_length": length,
        "bert.embedding_length": width,
        "bert.feed_forward_length": inner,
        "bert.attention.head_count": heads,
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
        "bert.pooling_type": 4,
        "bert.classifier.output_labels": ["score"],
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "jina-v2-zh",
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": [3] * 5 + [1] * (len(words) - 5),
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 3,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.seperator_token_id": 3,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.cls_token_id": 2,
        "tokenizer.ggml.mask_token_id": 4,
    }
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(fields))
    head += b"".join(field(name, value) for name, value in fields.items())
    offset = 0
    for name, (shape, data) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        offset += len(data) + len(padding(len(data)))
    target.write(head + padding(len(head)))
    for _, data in tensors.values():
        target.write(data + padding(len(data)))
    target.flush()
