//! Dense vectors as they are kept: in half precision, by which they are compared in the end, and in 8 bits with a scale, by which
//! the few that are worth it are found. Both are of unit length, so that the inner product is the cosine.

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use simsimd::SpatialSimilarity as _;

/// The largest number in 8 bits.
const FULL: f32 = 127.0;
/// Bytes of a scale, which stands before the 8-bit numbers of its vector.
pub(super) const SCALE: usize = 4;

/// The vector with a length of 1. One without a direction stays as it is: it is as near to all.
pub(super) fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if length > 0.0 && length.is_finite() {
        vector.iter().map(|x| (f64::from(*x) / length) as f32).collect()
    } else {
        vector.to_vec()
    }
}

/// In half precision: two bytes a dimension, little-endian.
pub(super) fn to_half(unit: &[f32]) -> Vec<u8> {
    unit.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect()
}

/// Out of half precision.
pub(super) fn from_half(bytes: &[u8]) -> Vec<f32> {
    let halves: Vec<f16> = bytes.as_chunks::<2>().0.iter().map(|half| f16::from_le_bytes(*half)).collect();
    let mut vector = vec![0.0; halves.len()];
    halves.convert_to_f32_slice(&mut vector);
    vector
}

/// In 8 bits: the scale, then a byte a dimension. A number is its byte times the scale.
pub(super) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    let largest = vector.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let scale = largest / FULL;
    let byte = |x: &f32| if scale > 0.0 { (x / scale).round().clamp(-FULL, FULL) as i8 } else { 0 };
    scale.to_le_bytes().into_iter().chain(vector.iter().map(|x| byte(x).cast_unsigned())).collect()
}

/// A question's vector, ready to be compared with many.
#[derive(Debug)]
pub(super) struct Asked {
    unit: Vec<f32>,
    scale: f32,
    bytes: Vec<i8>,
}

impl Asked {
    pub(super) fn new(vector: &[f32]) -> Self {
        let unit = unit(vector);
        let kept = to_bytes(&unit);
        let (scale, bytes) = split(&kept);
        Self { scale, bytes: bytes.iter().map(|byte| byte.cast_signed()).collect(), unit }
    }

    /// About the cosine with a vector in 8 bits. `i8`s in memory are what bytes are there.
    pub(super) fn about(&self, scale: f32, bytes: &[i8]) -> f32 {
        let product = i8::dot(&self.bytes, bytes).unwrap_or_default() as f32;
        product * scale * self.scale
    }

    /// The cosine with a vector in half precision, of what length that may be; 0 where one of them has no direction.
    pub(super) fn cosine(&self, half: &[u8]) -> f32 {
        let other = from_half(half);
        let (mut product, mut square) = (0.0_f64, 0.0_f64);
        for (x, y) in self.unit.iter().zip(&other) {
            product += f64::from(*x) * f64::from(*y);
            square += f64::from(*y) * f64::from(*y);
        }
        if square > 0.0 { (product / square.sqrt()) as f32 } else { 0.0 }
    }
}

/// A kept vector's scale and its bytes.
pub(super) fn split(kept: &[u8]) -> (f32, &[u8]) {
    match kept.split_first_chunk::<SCALE>() {
        Some((scale, bytes)) => (f32::from_le_bytes(*scale), bytes),
        None => (0.0, &[]),
    }
}
