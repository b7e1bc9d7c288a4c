//! The tokens of RTF.

/// A piece of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Token<'a> {
    Open,
    Close,
    /// `\word` or `\word-12`.
    Word(&'a str, Option<i32>),
    /// `\~`, `\*`, `\-`.
    Sign(u8),
    /// `\'e9`.
    Byte(u8),
    /// Bytes as they stand, without line ends.
    Text(&'a [u8]),
}

#[derive(Debug, Clone)]
pub(in super::super) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(in super::super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> Token<'a> {
        let letters = self.rest.iter().take(40).take_while(|b| b.is_ascii_alphabetic()).count();
        let word = std::str::from_utf8(self.take(letters)).unwrap_or_default();
        let sign = usize::from(self.rest.first() == Some(&b'-'));
        let digits = self.rest.iter().skip(sign).take(10).take_while(|b| b.is_ascii_digit()).count();
        let number = if digits > 0 {
            std::str::from_utf8(self.take(sign + digits)).ok().and_then(|n| n.parse::<i64>().ok())
        } else {
            None
        };
        if self.rest.first() == Some(&b' ') {
            self.take(1);
        }
        let number = number.map(|n| n.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32);
        if word == "bin" {
            self.take(number.unwrap_or(0).max(0) as usize);
        }
        Token::Word(word, number)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let first = *self.rest.first()?;
            match first {
                b'{' => {
                    self.take(1);
                    return Some(Token::Open);
                }
                b'}' => {
                    self.take(1);
                    return Some(Token::Close);
                }
                b'\r' | b'\n' | 0 => {
                    self.take(1);
                }
                b'\\' => {
                    self.take(1);
                    let next = *self.rest.first()?;
                    if next.is_ascii_alphabetic() {
                        return Some(self.word());
                    }
                    self.take(1);
                    return Some(match next {
                        b'\'' => {
                            let code = std::str::from_utf8(self.rest.get(..2).unwrap_or_default()).unwrap_or_default();
                            match u8::from_str_radix(code, 16) {
                                Ok(byte) => {
                                    self.take(2);
                                    Token::Byte(byte)
                                }
                                Err(_) => Token::Text(&[]),
                            }
                        }
                        b'\r' | b'\n' => Token::Word("par", None),
                        b'\\' => Token::Text(b"\\"),
                        b'{' => Token::Text(b"{"),
                        b'}' => Token::Text(b"}"),
                        sign => Token::Sign(sign),
                    });
                }
                _ => {
                    let end = self.rest.iter().position(|b| matches!(b, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0));
                    return Some(Token::Text(self.take(end.unwrap_or(self.rest.len()))));
                }
            }
        }
    }
}
