//! Numbers of a spreadsheet as its formats show them (ECMA-376, part 1, 18.8.31): `7.5%`, `01803`, `2024-03-15`, `36:05`.

mod code;
mod date;
mod names;
mod number;
#[cfg(test)]
mod tests;

use self::code::{Comparison, Section, Token};

/// A format that has been read.
#[derive(Debug, Clone, Default)]
pub(super) struct NumberFormat {
    sections: Vec<Section>,
}

impl NumberFormat {
    /// A format by its code; `General` for one that is blank.
    pub(super) fn new(code: &str) -> Self {
        Self { sections: code::sections(code) }
    }

    /// One of those that every workbook has without saying so. Those that follow the reader's country are shown as ISO dates.
    #[rustfmt::skip]
    pub(super) fn built_in(id: u32) -> Option<Self> {
        Some(Self::new(match id {
            0 => "General", 1 => "0", 2 => "0.00", 3 => "#,##0", 4 => "#,##0.00",
            5 | 6 => "\"$\"#,##0_);(\"$\"#,##0)", 7 | 8 => "\"$\"#,##0.00_);(\"$\"#,##0.00)",
            9 => "0%", 10 => "0.00%", 11 => "0.00E+00", 12 => "# ?/?", 13 => "# ??/??",
            14 | 30 => "yyyy-mm-dd", 15 => "d-mmm-yy", 16 => "d-mmm", 17 => "mmm-yy", 18 => "h:mm AM/PM", 19 => "h:mm:ss AM/PM",
            20 => "h:mm", 21 => "h:mm:ss", 22 => "yyyy-mm-dd h:mm",
            27 | 36 | 50 | 52 | 57 => "yyyy\"年\"m\"月\"", 28 | 29 | 51 | 54 | 58 => "m\"月\"d\"日\"", 31 => "yyyy\"年\"m\"月\"d\"日\"",
            32 => "h\"时\"mm\"分\"", 33 => "h\"时\"mm\"分\"ss\"秒\"", 34 | 55 => "上午/下午h\"时\"mm\"分\"", 35 | 56 => "上午/下午h\"时\"mm\"分\"ss\"秒\"",
            37 | 38 => "#,##0_);(#,##0)", 39 | 40 => "#,##0.00_);(#,##0.00)",
            41 => "_(* #,##0_);_(* (#,##0);_(* \"-\"_);_(@_)", 42 => "_(\"$\"* #,##0_);_(\"$\"* (#,##0);_(\"$\"* \"-\"_);_(@_)",
            43 => "_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_);_(@_)", 44 => "_(\"$\"* #,##0.00_);_(\"$\"* (#,##0.00);_(\"$\"* \"-\"??_);_(@_)",
            45 => "mm:ss", 46 => "[h]:mm:ss", 47 => "mm:ss.0", 48 => "##0.0E+0", 49 => "@",
            _ => return None,
        }))
    }

    /// A number as it is shown. `since_1904`: in a workbook whose days begin there.
    pub(super) fn number(&self, value: f64, since_1904: bool) -> String {
        let Some((section, value)) = self.section_for(value) else { return number::general(value) };
        let shown = if section.is_date {
            date::shown(&section.tokens, section.names, value, since_1904).unwrap_or_else(|| number::general(value))
        } else {
            number::shown(&section.tokens, value)
        };
        // A format that shows nothing hides a value from the eye, not from the sheet.
        if shown.trim().is_empty() { String::new() } else { shown.trim().to_owned() }
    }

    /// Whether it shows days or times.
    pub(super) fn is_date(&self) -> bool {
        self.sections.first().is_some_and(|section| section.is_date)
    }

    /// A text as it is shown: a format may add words to it.
    pub(super) fn text(&self, text: &str) -> String {
        let of_text =
            self.sections.get(3).or_else(|| self.sections.first().filter(|s| self.sections.len() == 1 && s.is_text()));
        let Some(section) = of_text.filter(|s| s.tokens.contains(&Token::Text)) else { return text.to_owned() };
        let mut out = String::new();
        for token in &section.tokens {
            match token {
                Token::Text => out.push_str(text),
                Token::Literal(literal) => out.push_str(literal),
                _ => {}
            }
        }
        out.trim().to_owned()
    }

    /// The section for a number, and the number as that section shows it: its sign may be in the section.
    fn section_for(&self, value: f64) -> Option<(&Section, f64)> {
        let numbers: Vec<&Section> = self.sections.iter().take(3).collect();
        if numbers.iter().any(|s| s.condition.is_some()) {
            for (nth, section) in numbers.iter().enumerate() {
                let fits = match section.condition {
                    Some((comparison, bound)) => comparison.holds(value, bound),
                    None => nth + 1 == numbers.len() || nth == 2 || (nth == 1 && value < 0.0),
                };
                if fits {
                    let signed = nth == 0 || value >= 0.0 || section.condition.is_none_or(|(c, _)| c == Comparison::NotEqual);
                    return Some((section, if signed { value } else { value.abs() }));
                }
            }
            return numbers.last().map(|s| (*s, value));
        }
        match (numbers.as_slice(), value) {
            ([_, negative, ..], v) if v < 0.0 => Some((*negative, v.abs())),
            ([_, _, zero], 0.0) if !zero.is_text() => Some((*zero, 0.0)),
            ([first, ..], v) => Some((*first, v)),
            ([], _) => None,
        }
    }
}
