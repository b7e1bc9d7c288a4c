//! Numbers of a spreadsheet as its formats show them (ECMA-376, part 1, 18.8.31): `7.5%`, `01803`, `2024-03-15`, `36:05`.

mod date;
mod number;
#[cfg(test)]
mod tests;

/// Tokens of a format: longer ones are no formats that anybody reads.
const MAX_TOKENS: usize = 300;

/// A format that has been read.
#[derive(Debug, Clone, Default)]
pub(super) struct NumberFormat {
    sections: Vec<Section>,
}

#[derive(Debug, Clone, Default)]
struct Section {
    tokens: Vec<Token>,
    condition: Option<(Comparison, f64)>,
    is_date: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Literal(String),
    /// `0`, `#` or `?`.
    Digit(char),
    Point,
    Comma,
    Percent,
    /// `E+` or `E-`: whether a plus is shown.
    Exponent(bool),
    Slash,
    Text,
    General,
    /// Letters of a date: `y`, `m`, `d`, `h`, `s`, `a` (day of the week in Chinese), `b`, `e`, `g`, and how many.
    Part(char, usize),
    /// `[h]`, `[mm]`, `[ss]`: all hours that have gone by.
    Elapsed(char, usize),
    /// `AM/PM`, `A/P`, `上午/下午`: what is shown before and after noon.
    Noon(String, String),
}

impl NumberFormat {
    /// A format by its code; `General` for one that is blank.
    pub(super) fn new(code: &str) -> Self {
        let mut sections = Vec::new();
        let mut reader = Reader { rest: code.chars().collect(), at: 0 };
        while sections.len() < 4 {
            let (section, more) = reader.section();
            sections.push(section);
            if !more {
                break;
            }
        }
        Self { sections }
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
            date::shown(&section.tokens, value, since_1904).unwrap_or_else(|| number::general(value))
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

impl Comparison {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Equal => (value - bound).abs() < f64::EPSILON,
            Self::NotEqual => (value - bound).abs() >= f64::EPSILON,
            Self::GreaterOrEqual => value >= bound,
            Self::Greater => value > bound,
        }
    }
}

impl Section {
    fn is_text(&self) -> bool {
        self.tokens.contains(&Token::Text)
    }
}

struct Reader {
    rest: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += 1;
        c
    }

    fn takes(&mut self, word: &str) -> bool {
        let here = self.rest.get(self.at..).unwrap_or_default();
        let fits = word.chars().enumerate().all(|(i, c)| here.get(i).is_some_and(|h| h.eq_ignore_ascii_case(&c)));
        if fits {
            self.at += word.chars().count();
        }
        fits
    }

    /// A section, and whether another follows.
    fn section(&mut self) -> (Section, bool) {
        let mut section = Section::default();
        let mut more = false;
        while let Some(c) = self.peek() {
            if section.tokens.len() > MAX_TOKENS {
                break;
            }
            if let Some(noon) = self.noon() {
                section.tokens.push(noon);
                continue;
            }
            if self.takes("General") {
                section.tokens.push(Token::General);
                continue;
            }
            self.next();
            match c {
                ';' => {
                    more = true;
                    break;
                }
                '"' => {
                    let mut literal = String::new();
                    while let Some(c) = self.next().filter(|&c| c != '"') {
                        literal.push(c);
                    }
                    section.tokens.push(Token::Literal(literal));
                }
                '\\' | '!' => section.tokens.extend(self.next().map(|c| Token::Literal(c.into()))),
                // As wide as the next character, and filled with it.
                '_' => {
                    self.next();
                    section.tokens.push(Token::Literal(" ".to_owned()));
                }
                '*' => {
                    self.next();
                }
                '[' => self.bracket(&mut section),
                '0' | '#' | '?' => section.tokens.push(Token::Digit(c)),
                '.' => section.tokens.push(Token::Point),
                ',' => section.tokens.push(Token::Comma),
                '%' => section.tokens.push(Token::Percent),
                '@' => section.tokens.push(Token::Text),
                '/' => section.tokens.push(Token::Slash),
                'E' | 'e' if matches!(self.peek(), Some('+' | '-')) => {
                    section.tokens.push(Token::Exponent(self.next() == Some('+')));
                }
                c if "ymdhsabeg".contains(c.to_ascii_lowercase()) => {
                    let letter = c.to_ascii_lowercase();
                    let mut count = 1;
                    while self.peek().is_some_and(|n| n.to_ascii_lowercase() == letter) {
                        self.next();
                        count += 1;
                    }
                    section.tokens.push(Token::Part(letter, count));
                }
                c => section.tokens.push(Token::Literal(c.into())),
            }
        }
        let is_part = |t: &Token| {
            matches!(t, Token::Part('y' | 'm' | 'd' | 'h' | 's' | 'a' | 'e', _) | Token::Elapsed(..) | Token::Noon(..))
        };
        section.is_date = section.tokens.iter().any(is_part) && !section.tokens.contains(&Token::General);
        (section, more)
    }

    fn noon(&mut self) -> Option<Token> {
        [
            ("AM/PM", "AM", "PM"),
            ("A/P", "A", "P"),
            ("上午/下午", "上午", "下午"),
            ("午前/午後", "午前", "午後"),
            ("오전/오후", "오전", "오후"),
        ]
        .into_iter()
        .find(|(code, ..)| self.takes(code))
        .map(|(_, before, after)| Token::Noon(before.to_owned(), after.to_owned()))
    }

    /// A colour, a condition, a currency with a language, or a time that has gone by.
    fn bracket(&mut self, section: &mut Section) {
        let mut inner = String::new();
        while let Some(c) = self.next().filter(|&c| c != ']') {
            inner.push(c);
        }
        if let Some(currency) = inner.strip_prefix('$') {
            let (sign, language) = currency.split_once('-').unwrap_or((currency, ""));
            if !sign.is_empty() {
                section.tokens.push(Token::Literal(sign.to_owned()));
            }
            // The long date and the time of the reader's system.
            let of_system = match language.to_ascii_uppercase().as_str() {
                "F800" => "yyyy-mm-dd",
                "F400" => "h:mm:ss",
                _ => return,
            };
            let mut system = Self { rest: of_system.chars().collect(), at: 0 };
            section.tokens.extend(system.section().0.tokens);
            // What stands behind it is for programs that do not know it.
            while self.peek().is_some_and(|c| c != ';') {
                self.next();
            }
            return;
        }
        let small = inner.to_ascii_lowercase();
        let letter = small.chars().next().unwrap_or_default();
        if "hms".contains(letter) && small.chars().all(|c| c == letter) {
            section.tokens.push(Token::Elapsed(letter, small.len()));
            return;
        }
        for (sign, comparison) in [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<>", Comparison::NotEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("=", Comparison::Equal),
        ] {
            if let Some(bound) = small.strip_prefix(sign) {
                section.condition = bound.trim().parse().ok().map(|bound| (comparison, bound));
                return;
            }
        }
    }
}
