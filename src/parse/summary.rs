//! What old office files say of themselves (MS-OLEPS).

use super::codepage;
use super::compound::{Compound, u16_at, u32_at, utf16};
use super::package::own_title;

/// Properties of a set.
const MAX_PROPERTIES: usize = 1000;

/// The title that somebody gave a document.
pub(super) fn title(file: &Compound) -> Option<String> {
    let set = file.stream(0, "\u{5}SummaryInformation")?;
    let section = u32_at(&set, 44)? as usize;
    let count = (u32_at(&set, section + 4)? as usize).min(MAX_PROPERTIES);
    let property = |wanted: u32| {
        (0..count).find_map(|nth| {
            let entry = section + 8 + 8 * nth;
            (u32_at(&set, entry)? == wanted).then(|| u32_at(&set, entry + 4))?.map(|at| section.saturating_add(at as usize))
        })
    };
    let page = property(1).and_then(|at| u16_at(&set, at + 4)).unwrap_or(1252);
    let at = property(2)?;
    let length = u32_at(&set, at + 4)? as usize;
    let title = match u32_at(&set, at)? {
        0x1e => {
            let bytes = set.get(at + 8..(at + 8).checked_add(length)?.min(set.len()))?;
            if page == 1200 { utf16(bytes) } else { codepage::decode(u32::from(page), bytes) }
        }
        0x1f => utf16(set.get(at + 8..(at + 8).checked_add(length.checked_mul(2)?)?.min(set.len()))?),
        _ => return None,
    };
    own_title(title.split('\0').next().unwrap_or_default())
}
