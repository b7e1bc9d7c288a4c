//! Cuts Markdown that is being written into pieces that stand for themselves: what is finished is rendered once.
//!
//! A piece ends at an empty line outside of a listing, where the next line begins at the margin and does not go on with a list.
//! That is decided by whole lines alone, so the pieces are the same however the text comes. A piece is as `CommonMark` has it in the
//! whole text, but for addresses that are defined elsewhere (`[name]: https://…`), which a piece knows of itself alone.

/// Bytes of a piece, and of a line, at most: they end there whatever they are.
const LONGEST: usize = 128 << 10;

/// A text that is being written.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Whole lines of the piece that is being written.
    block: String,
    /// A line without its end.
    line: String,
    /// The listing that is open: its sign, and how many of it opened it.
    fence: Option<(char, usize)>,
    /// The last line was empty.
    blank: bool,
    /// The piece has a list.
    list: bool,
}

impl Blocks {
    /// More of the text; the pieces that it finishes are added to `finished`.
    pub(super) fn push(&mut self, text: &str, finished: &mut Vec<String>) {
        for part in text.split_inclusive('\n') {
            self.line.push_str(part);
            while self.line.len() >= LONGEST {
                let rest = self.line.split_off(self.line.floor_char_boundary(LONGEST));
                let long = std::mem::replace(&mut self.line, rest);
                self.end_line(&long, finished);
            }
            if self.line.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                self.end_line(&line, finished);
            }
        }
    }

    /// The piece that is being written.
    pub(super) fn open(&self) -> String {
        [self.block.as_str(), &self.line].concat()
    }

    /// Bytes of it.
    pub(super) fn open_len(&self) -> usize {
        self.block.len() + self.line.len()
    }

    /// Nothing more comes: the last piece, if there is one.
    pub(super) fn finish(&mut self, finished: &mut Vec<String>) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, finished);
        }
        self.end_block(finished);
    }

    fn end_line(&mut self, line: &str, finished: &mut Vec<String>) {
        if self.block.len() + line.len() > LONGEST {
            self.end_block(finished);
        }
        let bare = line.trim_start_matches(' ');
        let margin = line.len() - bare.len();
        if let Some((sign, count)) = self.fence {
            let run = bare.chars().take_while(|c| *c == sign).count();
            if margin < 4 && run >= count && bare.trim_start_matches(sign).trim().is_empty() {
                self.fence = None;
            }
        } else if line.trim().is_empty() {
            self.blank = true;
            // Before the first line of a piece it says nothing.
            if self.block.is_empty() {
                return;
            }
        } else {
            let marked = margin < 4 && begins_item(bare);
            if self.blank && !line.starts_with([' ', '\t']) && !(self.list && marked) {
                self.end_block(finished);
            }
            self.blank = false;
            self.list |= marked;
            self.fence = if margin < 4 { opens_listing(bare) } else { None };
        }
        self.block.push_str(line);
    }

    fn end_block(&mut self, finished: &mut Vec<String>) {
        if !self.block.is_empty() {
            finished.push(std::mem::take(&mut self.block));
        }
        (self.fence, self.blank, self.list) = (None, false, false);
    }
}

/// Whether a line begins an item of a list.
fn begins_item(line: &str) -> bool {
    let rest = match line.strip_prefix(['-', '*', '+']) {
        Some(rest) => rest,
        None => match line.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(['.', ')']) {
            Some(rest) if line.starts_with(|c: char| c.is_ascii_digit()) => rest,
            _ => return false,
        },
    };
    rest.is_empty() || rest.starts_with(char::is_whitespace)
}

/// The sign and the number of them that open a listing.
fn opens_listing(line: &str) -> Option<(char, usize)> {
    let sign = line.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
    let count = line.chars().take_while(|c| *c == sign).count();
    let info = line.trim_start_matches(sign);
    (count >= 3 && !(sign == '`' && info.contains('`'))).then_some((sign, count))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail loudly")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let (mut blocks, mut finished) = (Blocks::default(), Vec::new());
        parts.into_iter().for_each(|part| blocks.push(part, &mut finished));
        blocks.finish(&mut finished);
        finished
    }

    #[test]
    fn pieces_end_where_their_blocks_do() {
        let text = "# Keys\n\nRotate them.\nOften.\n\n- one\n\n- two\n\n  more of two\n\nAfter.\n\n```sh\na\n\nb\n```\n\n1. first\n\n2. second\n";
        let expected = [
            "# Keys\n\n",
            "Rotate them.\nOften.\n\n",
            "- one\n\n- two\n\n  more of two\n\n",
            "After.\n\n",
            "```sh\na\n\nb\n```\n\n",
        ];
        let found = pieces([text]);
        assert_eq!(found[..5], expected);
        assert_eq!(found[5..], ["1. first\n\n2. second\n"]);
    }

    #[test]
    fn a_piece_and_a_line_have_a_bound() {
        let endless = "x".repeat(3 * LONGEST);
        let found = pieces([endless.as_str()]);
        assert!(found.iter().all(|piece| piece.len() <= LONGEST) && found.concat() == endless);
        let listing = format!("```\n{}", "line\n".repeat(LONGEST));
        let found = pieces([listing.as_str()]);
        assert!(found.len() > 4 && found.iter().all(|piece| piece.len() <= LONGEST));
    }

    proptest! {
        /// However it comes, the pieces are the same, and nothing of it is lost.
        #[test]
        fn pieces_do_not_depend_on_how_the_text_comes(
            words in prop::collection::vec(prop_oneof!["[a-z*_`#>|\\[\\]()-]{1,4}", "\n{1,3}", "```", "- ", "1. ", " {1,5}", "页", "~~~\n", "\t"], 0..60),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = words.concat();
            let mut places: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let cut = pieces(places.windows(2).map(|pair| &text[pair[0]..pair[1]]));
            prop_assert_eq!(&cut, &pieces([text.as_str()]));
            let lost = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(lost(&cut.concat()), lost(&text));
        }
    }
}
