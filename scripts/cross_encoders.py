"""Cross-encoders for the tests: two tiny ones with weights drawn by chance, and what a reference scores with them.

The reference is `transformers` itself: its tokenizers, its BERT and its XLM-R (in Flax, in double precision, which needs no
gigabytes of PyTorch). See scripts/cross-encoders, which installs what this imports.
"""

import argparse
import json
import pathlib
import tempfile

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
import sentencepiece
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save_file
from tokenizers import BertWordPieceTokenizer
from transformers import (
    BertConfig,
    BertTokenizerFast,
    FlaxBertForSequenceClassification,
    FlaxXLMRobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaTokenizerFast,
)

TEXTS = [
    "How do I rotate a signing key without stopping the service?",
    "Rotate the signing key every ninety days with `lanternctl rotate`; old tokens stay valid for an hour.",
    "The cafeteria opens at eight and serves lunch until two.",
    "Backups are written to the second region every night, and kept for thirty days.",
    "Naïve café — 50 % off! Ｆｕｌｌ width, ﬁnal ½ ①",
    "签名密钥多久更换一次?",
    "签名密钥每九十天更换一次,旧令牌在一小时内仍然有效。",
    "食堂八点开门,午餐供应到两点。",
    "备份每晚写入第二个区域,保留三十天。",
    "",
    " \t\n",
    "🦀 unknown ☃ символы",
    "key",
    "密钥",
]
# Several windows of passage; a question that leaves little room; both.
LONG = [
    " ".join(TEXTS[:4] * 6),
    "".join(TEXTS[5:9] * 6),
    " ".join(f"word {n}" for n in range(40)),
]
PAIRS = (
    [(question, passage) for question in (TEXTS[0], TEXTS[5], TEXTS[12]) for passage in TEXTS]
    + [(question, passage) for question in (TEXTS[0], TEXTS[5]) for passage in LONG]
    + [("", TEXTS[1]), ("", ""), (LONG[0], TEXTS[1]), (LONG[1], TEXTS[6]), (LONG[0], LONG[1]), (LONG[2], "")]
)


def bert(folder):
    with tempfile.TemporaryDirectory() as scratch:
        corpus = pathlib.Path(scratch, "corpus")
        corpus.write_text("\n".join(TEXTS * 4 + LONG))
        trained = BertWordPieceTokenizer()
        trained.train([str(corpus)], vocab_size=400, min_frequency=1)
        trained.save_model(scratch)
        tokenizer = BertTokenizerFast(str(pathlib.Path(scratch, "vocab.txt")), model_max_length=64)
    # The published files ask for cutting and padding of their own.
    tokenizer.backend_tokenizer.enable_truncation(48)
    tokenizer.backend_tokenizer.enable_padding(length=48)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=1,
        architectures=["BertForSequenceClassification"],
    )
    return tokenizer, config, FlaxBertForSequenceClassification, 64


def xlm_roberta(folder):
    with tempfile.TemporaryDirectory() as scratch:
        corpus, rules, prefix = (pathlib.Path(scratch, name) for name in ("corpus", "rules", "sentencepiece"))
        corpus.write_text("\n".join(TEXTS * 4 + LONG))
        # A few of the replacements that the published vocabulary has: of one character by one, by several, by a blank.
        replaced = {"ﬁ": "fi", "½": "1⁄2", "①": "1", "\t": " ", "\n": " ", "\u3000": " ", "e\u0301": "é"}
        replaced |= {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
        hexed = lambda text: " ".join(f"{ord(c):X}" for c in text)
        rules.write_text("".join(f"{hexed(a)}\t{hexed(b)}\n" for a, b in replaced.items()))
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus),
            model_prefix=str(prefix),
            vocab_size=320,
            hard_vocab_limit=False,
            character_coverage=0.99,
            normalization_rule_tsv=str(rules),
            num_threads=1,
        )
        tokenizer = XLMRobertaTokenizerFast(f"{prefix}.model", model_max_length=64)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=96,
        max_position_embeddings=66,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        num_labels=1,
        architectures=["XLMRobertaForSequenceClassification"],
    )
    return tokenizer, config, FlaxXLMRobertaForSequenceClassification, 64


def weights(model, seed, kind):
    """Numbers of the size that training leaves, for all tensors, as `kind` can hold them."""
    draw = np.random.default_rng(seed)
    drawn = {}
    for name, tensor in sorted(flatten_dict(model.params).items()):
        x = draw.normal(size=tensor.shape)
        is_norm = "LayerNorm" in name
        x = 1 + 0.2 * x if is_norm and name[-1] == "scale" else 0.1 * x if name[-1] == "bias" else x / np.sqrt(tensor.shape[0] / 2)
        if name[-1] == "embedding":
            x = 0.5 * draw.normal(size=tensor.shape)
        drawn[name] = x.astype(kind)
    model.params = unflatten_dict({name: jnp.asarray(x, jnp.float64) for name, x in drawn.items()})
    return drawn


def published(name, tensor):
    """A tensor of Flax by the name and in the shape of the published weights."""
    *path, last = name
    last = {"scale": "weight", "embedding": "weight", "kernel": "weight", "bias": "bias"}[last]
    return ".".join([*path, last]), np.ascontiguousarray(tensor.T if name[-1] == "kernel" else tensor)


class Reference:
    def __init__(self, tokenizer, model, longest):
        self.tokenizer, self.model, self.longest = tokenizer, model, longest

    def score(self, encoding):
        return float(self.model(**{name: np.array([list(ids)]) for name, ids in encoding.items()}).logits[0, 0])

    def cut(self, question, passage):
        """As `CrossEncoder` of sentence-transformers scores: what is too long is cut."""
        # In lists, as it does: of two texts alone, an empty one would be none.
        batch = self.tokenizer([question], [passage], truncation="longest_first", max_length=self.longest)
        return self.score({name: ids[0] for name, ids in batch.items()})

    def whole(self, question, passage):
        """The best of all windows of the passage, as wide as what is left of the cut pair, a fourth of each in the one before."""
        plain = lambda text: self.tokenizer(text, add_special_tokens=False)["input_ids"]
        question, passage = plain(question), plain(passage)
        room = self.longest - self.tokenizer.num_special_tokens_to_add(pair=True)
        if len(question) + len(passage) > room:
            question = question[: max(room - len(passage), (room + (len(question) > len(passage))) // 2)]
        width = room - len(question)
        starts = [0]
        if len(passage) > width:
            count = -(-(len(passage) - width) // (width - width // 4)) + 1
            starts = [n * (len(passage) - width) // (count - 1) for n in range(count)]
        windows = [passage[start : start + width] for start in starts]
        pairs = [self.tokenizer.prepare_for_model(question, window, add_special_tokens=True) for window in windows]
        assert all(len(pair["input_ids"]) <= self.longest for pair in pairs)
        return max(self.score(pair) for pair in pairs), len(windows)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=pathlib.Path)
    folder = arguments.parse_args().folder
    for name, make, seed, kind in (("bert", bert, 20, np.float32), ("xlm-roberta", xlm_roberta, 21, np.float16)):
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        tokenizer, config, architecture, longest = make(target)
        model = architecture(config, dtype=jnp.float64)
        tensors = dict(published(*item) for item in weights(model, seed, kind).items())
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
        (target / "model.safetensors").chmod(0o644)
        config.save_pretrained(target)
        tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"), pretty=False)
        # Padding and truncation belong to the file, not to what follows.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        reference = Reference(tokenizer, model, longest)
        scored = []
        for question, passage in PAIRS:
            (whole, windows), cut = reference.whole(question, passage), reference.cut(question, passage)
            assert windows > 1 or abs(whole - cut) < 1e-9, (question, passage, whole, cut)
            assert whole > cut - 1e-9
            scored.append({"question": question, "passage": passage, "score": round(whole, 6), "windows": windows})
        lines = ",\n".join(json.dumps(pair, ensure_ascii=False) for pair in scored)
        (target / "scores.json").write_text(f"[\n{lines}\n]\n")
        values = np.array([pair["score"] for pair in scored])
        print(f"{name}: {len(scored)} pairs, scores from {values.min():.3f} to {values.max():.3f}")


if __name__ == "__main__":
    main()
