//! The code of a format, in tokens.

use super::names::Names;

/// Tokens of a format: longer ones are no formats that anybody reads.
const MAX_TOKENS: usize = 300;

#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) tokens: Vec<Token>,
    pub(super) condition: Option<(Comparison, f64)>,
    pub(super) is_date: bool,
    /// Of the language that it asks for.
    pub(super) names: Option<&'static Names>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
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

/// The sections of a code.
pub(super) fn sections(code: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut reader = Reader { rest: code.chars().collect(), at: 0 };
    while sections.len() < 4 {
        let (section, more) = reader.section();
        sections.push(section);
        if !more {
            break;
        }
    }
    sections
}

impl Comparison {
    pub(super) fn holds(self, value: f64, bound: f64) -> bool {
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
    pub(super) fn is_text(&self) -> bool {
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
                "F800" | "X-SYSDATE" => "yyyy-mm-dd",
                "F400" | "X-SYSTIME" => "h:mm:ss",
                _ => {
                    section.names = Names::of(language).or(section.names);
                    return;
                }
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
