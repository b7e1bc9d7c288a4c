//! Arrays as numpy saves them: `.npy` files in a zip archive.
//!
//! Source: numpy's `numpy.lib.format`. Read are arrays in C order, of bytes or of little-endian floats.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

/// The reason why an array cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("it is no zip archive")]
    Archive(#[from] zip::result::ZipError),
    #[error("the array {name} cannot be unpacked")]
    Unpacking { name: String, source: std::io::Error },
    #[error("the array {name} is not {expected}")]
    Array { name: String, expected: String },
}

/// The arrays of a file.
pub(super) struct Npz<'a>(ZipArchive<Cursor<&'a [u8]>>);

impl<'a> Npz<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self(ZipArchive::new(Cursor::new(bytes))?))
    }

    /// A single number of f64.
    pub(super) fn number(&mut self, name: &str) -> Result<f64, Error> {
        let bytes = self.array(name, "<f8", 8, &[])?;
        Ok(bytes.first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes)))
    }

    /// An array of f32 of this shape.
    pub(super) fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let bytes = self.array(name, "<f4", 4, shape)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// An array of bytes of this shape.
    pub(super) fn bytes(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u8>, Error> {
        self.array(name, "|u1", 1, shape)
    }

    fn array(&mut self, name: &str, kind: &str, width: usize, shape: &[usize]) -> Result<Vec<u8>, Error> {
        /// The head of an array is a line that says its kind and shape.
        const LONGEST_HEAD: usize = 4096;
        let wrong = || Error::Array { name: name.to_owned(), expected: format!("{kind} {shape:?}") };
        let length = shape.iter().product::<usize>() * width;
        let mut file = self.0.by_name(&format!("{name}.npy"))?;
        let mut bytes = Vec::new();
        file.by_ref()
            .take((length + LONGEST_HEAD) as u64)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Unpacking { name: name.to_owned(), source })?;
        let Some((head, numbers)) = split(&bytes) else { return Err(wrong()) };
        let dimensions = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(",") + ",";
        let squeezed: String = head.chars().filter(|c| !c.is_whitespace()).collect();
        let of_shape = ["", ","].iter().any(|comma| {
            let dimensions = dimensions.strip_suffix(comma).unwrap_or(&dimensions);
            squeezed.contains(&format!("'shape':({dimensions})"))
        });
        let right = squeezed.contains(&format!("'descr':'{kind}'")) && squeezed.contains("'fortran_order':False") && of_shape;
        if right && numbers.len() == length { Ok(numbers.to_vec()) } else { Err(wrong()) }
    }
}

/// Head and numbers.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (major, rest) = bytes.strip_prefix(b"\x93NUMPY")?.split_first()?;
    let rest = rest.get(1..)?;
    let (length, rest) = if *major == 1 {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>()?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (head, numbers) = rest.split_at_checked(length)?;
    Some((str::from_utf8(head).ok()?, numbers))
}
