//! Words, from glyphs by their places alone: what order they are drawn in, and whether blanks are drawn, says little.

use std::borrow::Cow;
use std::collections::HashMap;

use hayro_font::kurbo::{Point, Rect};

use super::bidi;
use super::content::Glyph;
use super::letters;

/// A gap as wide as this parts words, in ems. Kerning stays below, the narrowest blank of a justified line above.
const BLANK: f64 = 0.14;
/// The same between numbers that are drawn each by itself, as those along the axis of a chart.
const NUMBERS: f64 = 0.06;
/// A letter drawn twice (for bold) stands no farther from its first place, in ems.
const TWICE: f64 = 0.12;

/// A piece of a line without a blank in it: a word, or a part of one where the font changes.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    /// Left, right; the line it stands on; all in the frame of its direction.
    pub(super) x0: f64,
    pub(super) x1: f64,
    pub(super) y: f64,
    pub(super) size: f64,
    pub(super) is_bold: bool,
    pub(super) is_mono: bool,
    /// A blank was drawn before it.
    pub(super) after_blank: bool,
    /// A part of the page that has been read already, by its number: the word is its place.
    pub(super) part: Option<usize>,
    /// The height of that part.
    pub(super) height: f64,
}

impl Word {
    pub(super) fn top(&self) -> f64 {
        if self.part.is_some() { self.y - self.height } else { self.y - 0.72 * self.size }
    }

    pub(super) fn bottom(&self) -> f64 {
        if self.part.is_some() { self.y } else { self.y + 0.2 * self.size }
    }

    pub(super) fn middle(&self) -> Point {
        Point::new(f64::midpoint(self.x0, self.x1), f64::midpoint(self.top(), self.bottom()))
    }

    /// A part that has been read, as something that takes its room.
    pub(super) fn place_of(part: usize, bounds: Rect) -> Self {
        Self {
            text: String::new(),
            x0: bounds.x0,
            x1: bounds.x1,
            y: bounds.y1,
            size: 10.0,
            is_bold: false,
            is_mono: false,
            after_blank: true,
            part: Some(part),
            height: bounds.height(),
        }
    }

    /// Whether a blank belongs between this word and the next one on its line.
    pub(super) fn is_apart_from(&self, next: &Self) -> bool {
        if next.after_blank {
            return true;
        }
        let gap = next.x0 - self.x1;
        if self.is_over(next) || (is_decimal(&self.text) && is_decimal(&next.text)) {
            return true;
        }
        let wide =
            self.text.chars().next_back().is_some_and(letters::is_cjk) && next.text.chars().next().is_some_and(letters::is_cjk);
        let numbers = [self, next].iter().all(|w| w.text.chars().all(|c| c.is_ascii_digit()));
        gap > if wide {
            0.6
        } else if numbers {
            NUMBERS
        } else {
            BLANK
        } * self.size.min(next.size).max(0.6 * self.size.max(next.size))
    }
}

impl Word {
    /// Whether two words are drawn over one another, as the value of a field over its name: no letters of one word are.
    fn is_over(&self, next: &Self) -> bool {
        let shared = self.x1.min(next.x1) - self.x0.max(next.x0);
        let narrow = (self.x1 - self.x0).min(next.x1 - next.x0);
        let is_plain = |c: char| c.is_alphanumeric() && !bidi::is_right_to_left(c);
        shared > 0.8 * narrow.max(0.5 * self.size.min(next.size))
            && self.text.ends_with(is_plain)
            && next.text.starts_with(is_plain)
    }
}

/// Whether this is a whole number with its decimals: what follows it is another one, however near.
fn is_decimal(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('.').is_some_and(|(whole, rest)| is_digits(whole) && is_digits(rest))
}

/// The directions in which a page's text runs, the upright one first, then by the amount of text.
pub(super) fn directions(glyphs: &[Glyph]) -> Vec<Direction> {
    let mut counts: HashMap<Direction, usize> = HashMap::new();
    for glyph in glyphs {
        *counts.entry(Direction::of(glyph)).or_default() += 1;
    }
    let mut all: Vec<(Direction, usize)> = counts.into_iter().collect();
    all.sort_by_key(|&(direction, count)| (direction != Direction::UPRIGHT, std::cmp::Reverse(count), direction.angle));
    all.into_iter().map(|(direction, _)| direction).collect()
}

/// A direction of text, and the frame in which it runs from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Direction {
    /// In halves of a degree, as in [`Glyph::angle`].
    angle: u16,
    is_vertical: bool,
}

impl Direction {
    pub(super) const UPRIGHT: Self = Self { angle: 0, is_vertical: false };

    fn of(glyph: &Glyph) -> Self {
        // Scanned lines are a degree or two askew.
        let angle = [0, 180, 360, 540, 720].into_iter().find(|right| glyph.angle.abs_diff(*right) <= 5).unwrap_or(glyph.angle);
        if glyph.is_vertical { Self { angle: 180, is_vertical: true } } else { Self { angle: angle % 720, is_vertical: false } }
    }

    /// A point of the page in this frame.
    pub(super) fn turn(self, p: Point) -> Point {
        match self.angle {
            0 => p,
            180 => Point::new(p.y, -p.x),
            360 => Point::new(-p.x, -p.y),
            540 => Point::new(-p.y, p.x),
            a => {
                let (sin, cos) = (f64::from(a) / 2.0).to_radians().sin_cos();
                Point::new(p.x * cos + p.y * sin, p.y * cos - p.x * sin)
            }
        }
    }

    /// A box of the page in this frame; `None` where it would stand askew.
    pub(super) fn turn_box(self, r: Rect) -> Option<Rect> {
        let [a, b] = [Point::new(r.x0, r.y0), Point::new(r.x1, r.y1)].map(|p| self.turn(p));
        self.angle.is_multiple_of(180).then(|| Rect::from_points(a, b))
    }
}

/// The words that run in one direction, in the order in which they are drawn.
pub(super) fn words(glyphs: &[Glyph], direction: Direction) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut seen = Drawn::new();
    let mut after_blank = false;
    let mut is_open = false;
    let mut accent: Option<(char, f64, f64)> = None;
    let mut string = 0;
    for glyph in glyphs.iter().filter(|g| Direction::of(g) == direction) {
        let from = direction.turn(glyph.at);
        let to = direction.turn(glyph.at + glyph.advance);
        let (x0, x1) = (from.x.min(to.x), from.x.max(to.x));
        // The letters of vertical writing hang on the middle of their line.
        let y = if direction.is_vertical { from.y + 0.35 * glyph.size } else { from.y };
        let size = glyph.size;
        let blank = glyph.text.trim().is_empty();
        if !blank && was_drawn(&mut seen, &glyph.text, Point::new(x0, y), size, x1 - x0) {
            continue;
        }
        if blank {
            // A blank of no width, or one drawn elsewhere, parts nothing.
            let follows = words.last().is_some_and(|w| (w.y - y).abs() < 0.1 * size && x0 > w.x1 - 0.05 * size);
            after_blank |= follows || x1 - x0 > 0.05 * size;
            is_open = false;
            continue;
        }
        // Accents of their own, set over the letter that follows.
        if let Some(mark) = accent.take() {
            let (mark, begins, ends): (char, f64, f64) = mark;
            let over = (ends.min(x1) - begins.max(x0)) > 0.4 * (ends - begins).min(x1 - x0);
            if let Some(letter) = over.then(|| letters::with_accent(&glyph.text, mark)).flatten()
                && let Some(word) = words.last_mut().filter(|w| w.text.ends_with(mark))
            {
                word.text.pop();
                word.text.push_str(&letter);
                word.x1 = word.x1.max(x1);
                word.x0 = word.x0.min(if word.text == letter { x0 } else { word.x0 });
                is_open = true;
                continue;
            }
        }
        accent = glyph.text.chars().next().filter(|_| letters::is_accent(&glyph.text)).map(|mark| (mark, x0, x1));
        if let Some(word) = words.last_mut().filter(|_| is_open)
            && (word.y - y).abs() < 0.05 * size
            && (word.size - size).abs() < 0.05 * size
            && (-0.35 * size..if glyph.string == string { BLANK } else { NUMBERS } * size).contains(&(x0 - word.x1))
            && word.is_bold == glyph.is_bold
            && word.is_mono == glyph.is_mono
            && !glyph.text.starts_with(letters::is_cjk)
        {
            word.text.push_str(&as_drawn(&glyph.text));
            word.x1 = word.x1.max(x1);
            continue;
        }
        string = glyph.string;
        words.push(Word {
            text: as_drawn(&glyph.text).trim_start().to_owned(),
            x0,
            x1,
            y,
            size,
            is_bold: glyph.is_bold,
            is_mono: glyph.is_mono,
            after_blank,
            part: None,
            height: 0.0,
        });
        after_blank = false;
        is_open = true;
    }
    words
}

/// What one glyph says, from left to right.
fn as_drawn(text: &str) -> Cow<'_, str> {
    let turns = text.chars().nth(1).is_some() && bidi::has_right_to_left(text);
    if turns { Cow::Owned(text.chars().rev().collect()) } else { Cow::Borrowed(text) }
}

/// The letters that were drawn, and where.
type Drawn<'g> = HashMap<(&'g str, i64, i64), Vec<Point>>;

/// Whether the same letter stands at the same place already; else remembers it.
fn was_drawn<'g>(drawn: &mut Drawn<'g>, text: &'g str, at: Point, size: f64, width: f64) -> bool {
    // Cells by the letters' size, in steps, so that the same letter in the same size falls into the same cells.
    let cell = ((size.ln() * 4.0).round() / 4.0).exp();
    let (cx, cy) = ((at.x / cell).floor() as i64, (at.y / cell).floor() as i64);
    // Of narrow letters two in a row stand as near as that.
    let beside = (TWICE * size).min(0.4 * width.max(0.05 * size));
    let near = |p: &Point| (p.x - at.x).abs() < beside && (p.y - at.y).abs() < TWICE * size;
    let is_there = (-1..=1)
        .any(|dx| (-1..=1).any(|dy| drawn.get(&(text, cx + dx, cy + dy)).is_some_and(|places| places.iter().any(near))));
    if !is_there {
        drawn.entry((text, cx, cy)).or_default().push(at);
    }
    is_there
}
