//! The lists of old documents: what stands before their items.

use super::super::compound::{u16_at, u32_at};
use super::super::numbering::{Level, Numbering};

/// Lists of a document.
const MAX_LISTS: usize = 20_000;

/// `lists`: the table of lists, with their levels behind it. `uses`: where which list is used.
pub(super) fn numbering(lists: &[u8], uses: &[u8]) -> Numbering {
    let mut numbering = Numbering::default();
    read_lists(lists, &mut numbering);
    read_uses(uses, &mut numbering);
    numbering
}

fn read_lists(table: &[u8], numbering: &mut Numbering) -> Option<()> {
    let count = usize::from(u16_at(table, 0)?).min(MAX_LISTS);
    let mut at = 2 + 28 * count;
    for nth in 0..count {
        let head = 2 + 28 * nth;
        let id = u32_at(table, head)?;
        let levels = if table.get(head + 26)? & 1 != 0 { 1 } else { 9 };
        let mut read = Vec::new();
        for number in 0..levels {
            let (level, after) = level(table, at)?;
            at = after;
            read.push((number, level));
        }
        numbering.define(&id.to_string(), read);
    }
    Some(())
}

fn read_uses(table: &[u8], numbering: &mut Numbering) -> Option<()> {
    let count = (u32_at(table, 0)? as usize).min(MAX_LISTS);
    let mut at = 4 + 16 * count;
    for nth in 0..count {
        let head = 4 + 16 * nth;
        let list = u32_at(table, head)?;
        let mut others = Vec::new();
        // What is other at this place is told in a second table, which may be cut off.
        at += 4;
        for _ in 0..table.get(head + 12).copied().unwrap_or(0) {
            let (Some(start), Some(flags)) = (u32_at(table, at), u32_at(table, at + 4)) else { break };
            at += 8;
            let own = if flags & 0x20 != 0 { level(table, at) } else { None };
            if let Some((_, after)) = &own {
                at = *after;
            }
            let start = (flags & 0x10 != 0).then_some(u64::from(start));
            others.push(((flags & 15) as usize, start, own.map(|(level, _)| level)));
        }
        numbering.instantiate(&(nth + 1).to_string(), &list.to_string(), others);
    }
    Some(())
}

/// A level, and where the next one begins.
fn level(table: &[u8], at: usize) -> Option<(Level, usize)> {
    let start = u64::from(u32_at(table, at)?.min(1 << 20));
    let format = *table.get(at + 4)?;
    let legal = table.get(at + 5)? & 4 != 0;
    let letters = usize::from(*table.get(at + 24)?) + usize::from(*table.get(at + 25)?);
    let from = at + 28 + letters;
    let count = usize::from(u16_at(table, from)?);
    let mut text = String::new();
    for nth in 0..count {
        match u16_at(table, from + 2 + 2 * nth)? {
            place @ 0..=8 => text.push_str(&format!("%{}", place + 1)),
            unit => text.extend(char::from_u32(u32::from(unit)).filter(|c| !c.is_control())),
        }
    }
    Some((Level::new(start, name(format), text, legal), from + 2 + 2 * count))
}

/// The format of a number, as newer files name it.
fn name(format: u8) -> &'static str {
    match format {
        1 => "upperRoman",
        2 => "lowerRoman",
        3 => "upperLetter",
        4 => "lowerLetter",
        5 => "ordinal",
        11 | 33 | 35 | 37 | 39 => "chineseCounting",
        12 => "aiueo",
        13 => "iroha",
        14 | 19 => "decimalFullWidth",
        16 | 34 | 38 => "chineseLegalSimplified",
        18 | 28 => "decimalEnclosedCircle",
        22 => "decimalZero",
        23 => "bullet",
        24 => "ganada",
        25 => "chosung",
        30 => "ideographTraditional",
        31 => "ideographZodiac",
        47 => "hebrew2",
        57 => "numberInDash",
        58 => "russianLower",
        59 => "russianUpper",
        255 => "none",
        _ => "decimal",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::numbering::Label;
    use super::*;

    fn level_of(format: u8, text: &[u16]) -> Vec<u8> {
        let mut raw = vec![0u8; 28];
        raw.splice(0..1, [1]);
        raw.splice(4..5, [format]);
        raw.extend((text.len() as u16).to_le_bytes());
        raw.extend(text.iter().flat_map(|n| n.to_le_bytes()));
        raw
    }

    #[test]
    fn numbers_of_lists() {
        let mut lists = vec![1, 0, 7, 0, 0, 0];
        lists.resize(2 + 28, 0);
        for nth in 0..9u16 {
            lists.extend(if nth == 1 { level_of(4, &[40, 1, 41]) } else { level_of(0, &[nth, 46]) });
        }
        let mut uses = vec![2, 0, 0, 0];
        for overridden in [0u8, 1] {
            let mut head = vec![7, 0, 0, 0];
            head.resize(12, 0);
            head.extend([overridden, 0, 0, 0]);
            uses.extend(head);
        }
        // The second begins at 5.
        uses.extend([0xff; 8]);
        uses.extend([5, 0, 0, 0, 0x10, 0, 0, 0]);
        let mut numbering = numbering(&lists, &uses);
        let seen: Vec<Option<Label>> =
            [("1", 0), ("1", 1), ("1", 1), ("2", 0), ("2", 1)].into_iter().map(|(list, at)| numbering.next(list, at)).collect();
        let label = |text: &str| Some(Label::Number(text.to_owned()));
        assert_eq!(seen, [label("1."), label("(a)"), label("(b)"), label("5."), label("(a)")]);
        for cut in 0..lists.len() {
            let _ = super::numbering(lists.get(..cut).unwrap_or_default(), uses.get(..cut.min(uses.len())).unwrap_or_default());
        }
    }
}
