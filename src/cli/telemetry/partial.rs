//! What a collector says that it has not taken of what it got: `ExportTraceServiceResponse` and its like for metrics, of which one
//! number is wanted.
//!
//! Field 1 of the answer is `partial_success`, and field 1 of that the number of spans, or of data points, that were refused.

/// How many were refused. An answer that is not understood says nothing.
pub(super) fn refused(answer: &[u8]) -> u64 {
    let partial = first(answer).and_then(|field| if let Field::Bytes(bytes) = field { Some(bytes) } else { None });
    match partial.and_then(first) {
        // It is signed.
        Some(Field::Number(n)) => u64::try_from(n as i64).unwrap_or(0),
        _ => 0,
    }
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The last field 1 of a message, as protobuf has it.
fn first(mut message: &[u8]) -> Option<Field<'_>> {
    let mut found = None;
    while !message.is_empty() {
        let tag = number(&mut message)?;
        let field = match tag & 7 {
            0 => Field::Number(number(&mut message)?),
            1 => Field::Bytes(taken(&mut message, 8)?),
            2 => {
                let length = usize::try_from(number(&mut message)?).ok()?;
                Field::Bytes(taken(&mut message, length)?)
            }
            5 => Field::Bytes(taken(&mut message, 4)?),
            _ => return None,
        };
        if tag >> 3 == 1 {
            found = Some(field);
        }
    }
    found
}

/// A number in groups of seven bits, the lowest first.
fn number(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for group in 0..10 {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn taken<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_refused_is_read_and_nothing_else() {
        assert_eq!(refused(&[]), 0);
        // partial_success { rejected_spans: 300, error_message: "no" }
        assert_eq!(refused(&[0x0a, 7, 0x08, 0xac, 0x02, 0x12, 2, b'n', b'o']), 300);
        // Only a remark.
        assert_eq!(refused(&[0x0a, 4, 0x12, 2, b'n', b'o']), 0);
        // -1
        assert_eq!(refused(&[0x0a, 11, 0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]), 0);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(answer in proptest::collection::vec(any::<u8>(), 0..64)) {
            refused(&answer);
        }
    }
}
