//! `winmail.dat`: what Outlook packs the files of a message into when it sends rich text (TNEF, MS-OXTNEF).

use super::charset;

const SIGNATURE: &[u8] = &[0x78, 0x9f, 0x3e, 0x22];
/// Attributes, by their numbers with their types: the text of the message, the start of a file, its name, its bytes.
const BODY: u32 = 0x0002_800c;
const NEXT_FILE: u32 = 0x0006_9002;
const TITLE: u32 = 0x0001_8010;
const DATA: u32 = 0x0006_800f;

/// What such a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// The text, where it is there as plain text.
    pub(super) body: String,
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// As far as the bytes go; `None` if they are no such file.
pub(super) fn unpack(bytes: &[u8]) -> Option<Unpacked> {
    let mut rest = bytes.strip_prefix(SIGNATURE)?.get(2..)?;
    let mut unpacked = Unpacked::default();
    // The level; the attribute; its length; its bytes; their sum.
    while let Some((attribute, length, after)) = head(rest) {
        let Some((data, after)) = after.split_at_checked(length) else { break };
        match (attribute, unpacked.files.last_mut()) {
            (BODY, _) => unpacked.body = text_of(data),
            (NEXT_FILE, _) => unpacked.files.push((String::new(), Vec::new())),
            (TITLE, Some((title, _))) => *title = text_of(data),
            (DATA, Some((_, bytes))) => *bytes = data.to_vec(),
            _ => {}
        }
        rest = after.get(2..).unwrap_or_default();
    }
    unpacked.files.retain(|(_, bytes)| !bytes.is_empty());
    Some(unpacked)
}

fn head(bytes: &[u8]) -> Option<(u32, usize, &[u8])> {
    let (_level, rest) = bytes.split_first()?;
    let (attribute, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*attribute), u32::from_le_bytes(*length) as usize, rest))
}

fn text_of(data: &[u8]) -> String {
    charset::decode(data.split(|&b| b == 0).next().unwrap_or_default(), None).replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_text_are_taken_out() {
        let attribute = |level: u8, id: u32, data: &[u8]| {
            [&[level][..], &id.to_le_bytes(), &u32::try_from(data.len()).unwrap_or(0).to_le_bytes(), data, &[0, 0]].concat()
        };
        let mut bytes = [SIGNATURE, &[1, 0]].concat();
        for part in [
            attribute(1, 0x0008_9006, &[0, 0, 1, 0]),
            attribute(1, BODY, b"The plans.\r\n\0"),
            attribute(2, NEXT_FILE, &[0; 14]),
            attribute(2, TITLE, "码头.txt\0".as_bytes()),
            attribute(2, DATA, b"quokka"),
            attribute(2, NEXT_FILE, &[0; 14]),
            attribute(2, DATA, b"second"),
        ] {
            bytes.extend_from_slice(&part);
        }
        let want = Unpacked {
            body: "The plans.\n".to_owned(),
            files: vec![("码头.txt".to_owned(), b"quokka".to_vec()), (String::new(), b"second".to_vec())],
        };
        assert_eq!(unpack(&bytes), Some(want));
        for cut in 0..bytes.len() {
            assert_eq!(unpack(bytes.get(..cut).unwrap_or_default()).is_some(), cut >= 6, "{cut}");
        }
    }
}
