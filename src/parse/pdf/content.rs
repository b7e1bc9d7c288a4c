//! A page's content stream, as far as it shows text, rules and pictures.
//!
//! All places are in points from the top left corner of the page as it is shown (turned by `/Rotate`, cut by its crop box).

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Instant;

use hayro_font::kurbo::{Affine, Point, Rect, Vec2};
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction as T;
use hayro_syntax::object::{Array, Dict, Name, Object, ObjectIdentifier, Stream, String as PdfString};
use hayro_syntax::page::{Page, Resources};

use super::font::{Code, Face, Fonts};
use super::paths::{Path, RULES};
use super::{bounds, strings};

/// Forms within one another. Real pages nest a handful.
const DEPTH: usize = 16;
/// Operators of a page, forms included: a large map has a few million.
const OPERATORS: u64 = 30_000_000;
/// Glyphs of a page.
const GLYPHS: usize = 1_000_000;
/// Operators between two looks at the clock.
const TICK: u64 = 1024;

/// A letter, or what one glyph stands for.
#[derive(Clone)]
pub(super) struct Glyph {
    pub(super) text: Rc<str>,
    /// Where it stands: on its line, at its beginning.
    pub(super) at: Point,
    /// From there to where the next one would stand.
    pub(super) advance: Vec2,
    /// Which string of the content it is from: those that a page shows are counted.
    pub(super) string: u32,
    /// Height of the font, in points.
    pub(super) size: f64,
    /// Which way it reads, in halves of a degree clockwise from left to right: 0 to 719.
    pub(super) angle: u16,
    pub(super) is_bold: bool,
    pub(super) is_mono: bool,
    /// Written from top to bottom by its font (not by being turned); it stands in the middle of its line then.
    pub(super) is_vertical: bool,
}

/// A picture, and where it stands.
pub(super) struct Picture<'a> {
    pub(super) bounds: Rect,
    /// Its data, unless they stand in the content itself.
    pub(super) stream: Option<Stream<'a>>,
}

/// What a page shows.
pub(super) struct Shown<'a> {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) glyphs: Vec<Glyph>,
    /// Straight rules, each a box that is thin in one direction.
    pub(super) rules: Vec<Rect>,
    pub(super) pictures: Vec<Picture<'a>>,
    /// Whether there was more than is read of one page.
    pub(super) is_cut: bool,
}

/// The time is over.
pub(super) struct Late;

/// Reads a page.
pub(super) fn read<'a>(
    page: &Page<'a>,
    fonts: &mut Fonts<'a>,
    hidden: &HashSet<ObjectIdentifier>,
    deadline: Instant,
) -> Result<Shown<'a>, Late> {
    let (width, height) = page.render_dimensions();
    let (width, height) = (f64::from(width), f64::from(height));
    let mut reader = Reader {
        fonts,
        hidden,
        deadline,
        operators: 0,
        strings: 0,
        active: Vec::new(),
        marked: Vec::new(),
        covered: 0,
        shown: Shown { width, height, glyphs: Vec::new(), rules: Vec::new(), pictures: Vec::new(), is_cut: false },
    };
    let state = State::new(Affine::new(page.initial_transform(true).as_coeffs()), Rect::new(0.0, 0.0, width, height));
    reader.run(&contents(page), page.resources(), state.clone())?;
    if let Some(notes) = page.raw().get::<Array<'_>>(b"Annots".as_slice()) {
        for note in notes.iter::<Dict<'_>>() {
            reader.annotation(&note, page.resources(), &state)?;
        }
    }
    Ok(reader.shown)
}

#[derive(Clone)]
struct State<'a> {
    ctm: Affine,
    clip: Rect,
    face: Option<Rc<Face<'a>>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

impl State<'_> {
    fn new(ctm: Affine, clip: Rect) -> Self {
        Self { ctm, clip, face: None, size: 1.0, char_space: 0.0, word_space: 0.0, stretch: 1.0, leading: 0.0, rise: 0.0 }
    }
}

/// A marked part of the content, and what it says instead of its glyphs.
struct Marked {
    instead: Option<String>,
    is_hidden: bool,
    first: usize,
}

struct Reader<'a, 'r> {
    fonts: &'r mut Fonts<'a>,
    hidden: &'r HashSet<ObjectIdentifier>,
    deadline: Instant,
    operators: u64,
    strings: u32,
    /// The forms that are being drawn.
    active: Vec<ObjectIdentifier>,
    marked: Vec<Marked>,
    /// Hidden parts that are open.
    covered: usize,
    shown: Shown<'a>,
}

impl<'a> Reader<'a, '_> {
    #[allow(clippy::too_many_lines, clippy::many_single_char_names, reason = "one arm for each operator")]
    fn run(&mut self, content: &[u8], resources: &Resources<'a>, state: State<'a>) -> Result<(), Late> {
        let mut now = state;
        let mut saved: Vec<State<'a>> = Vec::new();
        let (mut line, mut text) = (Affine::IDENTITY, Affine::IDENTITY);
        let mut path = Path::default();
        let open = self.marked.len();
        let mut operators = TypedIter::new(content);
        while let Some(operator) = operators.next() {
            self.tick()?;
            if self.shown.is_cut {
                break;
            }
            match operator {
                T::SaveState(_) if saved.len() < 1000 => saved.push(now.clone()),
                T::RestoreState(_) => now = saved.pop().unwrap_or(now),
                T::Transform(m) => now.ctm *= matrix([m.0, m.1, m.2, m.3, m.4, m.5].map(|n| n.as_f64())),
                T::SetGraphicsState(name) => {
                    let font = resources.get_ext_g_state(name.0).and_then(|d| d.get::<Array<'_>>(b"Font".as_slice()));
                    if let Some(font) = font {
                        let mut parts = font.flex_iter();
                        let (dict, size) = (parts.next::<Dict<'_>>(), parts.next::<f64>());
                        now.face = dict.and_then(|d| self.fonts.face(&d)).or(now.face);
                        now.size = size.unwrap_or(now.size);
                    }
                }
                T::BeginText(_) => (line, text) = (Affine::IDENTITY, Affine::IDENTITY),
                T::TextFont(font) => {
                    now.face =
                        resources.get_font(font.0).and_then(|d| self.fonts.face(&d)).or_else(|| self.fonts.face_of_none());
                    now.size = font.1.as_f64();
                }
                T::CharacterSpacing(n) => now.char_space = n.0.as_f64(),
                T::WordSpacing(n) => now.word_space = n.0.as_f64(),
                T::HorizontalScaling(n) => now.stretch = n.0.as_f64() / 100.0,
                T::TextLeading(n) => now.leading = n.0.as_f64(),
                T::TextRise(n) => now.rise = n.0.as_f64(),
                T::NextLine(n) => next_line(&mut line, &mut text, n.0.as_f64(), n.1.as_f64()),
                T::NextLineAndSetLeading(n) => {
                    now.leading = -n.1.as_f64();
                    next_line(&mut line, &mut text, n.0.as_f64(), n.1.as_f64());
                }
                T::NextLineUsingLeading(_) => next_line(&mut line, &mut text, 0.0, -now.leading),
                T::SetTextMatrix(m) => {
                    line = matrix([m.0, m.1, m.2, m.3, m.4, m.5].map(|n| n.as_f64()));
                    text = line;
                }
                T::ShowText(s) => self.show(&mut now, &mut text, s.0.as_bytes()),
                T::NextLineAndShowText(s) => {
                    next_line(&mut line, &mut text, 0.0, -now.leading);
                    self.show(&mut now, &mut text, s.0.as_bytes());
                }
                T::ShowTextWithParameters(s) => {
                    now.word_space = s.0.as_f64();
                    now.char_space = s.1.as_f64();
                    next_line(&mut line, &mut text, 0.0, -now.leading);
                    self.show(&mut now, &mut text, s.2.as_bytes());
                }
                T::ShowTexts(parts) => {
                    for part in parts.0.iter::<Object<'_>>() {
                        match part {
                            Object::Number(n) => {
                                let by = -n.as_f64() / 1000.0 * now.size;
                                let is_vertical = now.face.as_ref().is_some_and(|f| f.is_vertical);
                                text *= Affine::translate(if is_vertical { (0.0, by) } else { (by * now.stretch, 0.0) });
                            }
                            Object::String(s) => self.show(&mut now, &mut text, s.as_bytes()),
                            _ => {}
                        }
                    }
                }
                T::BeginMarkedContent(_) => self.marked.push(Marked { instead: None, is_hidden: false, first: 0 }),
                T::BeginMarkedContentWithProperties(m) => self.begin_marked(m.0, m.1, resources),
                T::EndMarkedContent(_) if self.marked.len() > open => self.end_marked(),
                T::XObject(name) => {
                    if let Some(stream) = resources.get_x_object(name.0) {
                        self.draw(&stream, resources, &now)?;
                    }
                }
                T::InlineImage(_) => self.picture(&now, None),
                T::RectPath(r) => {
                    let (x, y) = (r.0.as_f64(), r.1.as_f64());
                    let [a, b] = [(x, y), (x + r.2.as_f64(), y + r.3.as_f64())].map(|p| now.ctm * Point::from(p));
                    path.rect(Rect::from_points(a, b));
                    path.reach(a);
                    path.reach(b);
                    path.at = now.ctm * Point::new(x, y);
                    path.from = path.at;
                }
                T::MoveTo(p) => {
                    path.at = now.ctm * Point::new(p.0.as_f64(), p.1.as_f64());
                    path.from = path.at;
                    path.reach(path.at);
                }
                T::LineTo(p) => {
                    let to = now.ctm * Point::new(p.0.as_f64(), p.1.as_f64());
                    path.line(to);
                }
                T::CubicTo(c) => path.curve(now.ctm * Point::new(c.4.as_f64(), c.5.as_f64())),
                T::CubicStartTo(c) => path.curve(now.ctm * Point::new(c.2.as_f64(), c.3.as_f64())),
                T::CubicEndTo(c) => path.curve(now.ctm * Point::new(c.2.as_f64(), c.3.as_f64())),
                T::ClosePath(_) => path.line(path.from),
                T::ClipNonZero(_) | T::ClipEvenOdd(_) => path.clips = true,
                T::StrokePath(_) | T::CloseAndStrokePath(_) => self.paint(&mut path, &mut now, true, false),
                T::FillPathNonZero(_) | T::FillPathNonZeroCompatibility(_) | T::FillPathEvenOdd(_) => {
                    self.paint(&mut path, &mut now, false, true);
                }
                T::FillAndStrokeNonZero(_)
                | T::FillAndStrokeEvenOdd(_)
                | T::CloseFillAndStrokeNonZero(_)
                | T::CloseFillAndStrokeEvenOdd(_) => self.paint(&mut path, &mut now, true, true),
                T::EndPath(_) => self.paint(&mut path, &mut now, false, false),
                _ => {}
            }
        }
        while self.marked.len() > open {
            self.end_marked();
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Late> {
        self.operators += 1;
        self.strings = self.strings.wrapping_add(1);
        if self.operators.is_multiple_of(TICK) && Instant::now() >= self.deadline {
            return Err(Late);
        }
        self.shown.is_cut |= self.operators > OPERATORS || self.shown.glyphs.len() > GLYPHS;
        Ok(())
    }

    fn show(&mut self, now: &mut State<'a>, text: &mut Affine, string: &[u8]) {
        if now.face.is_none() {
            now.face = self.fonts.face_of_none();
        }
        let Some(face) = now.face.clone() else { return };
        let is_covered = self.covered > 0;
        face.read(string, |code: Code| {
            let place = now.ctm * *text * Affine::new([now.size * now.stretch, 0.0, 0.0, now.size, 0.0, now.rise]);
            let space = now.char_space + if code.is_blank { now.word_space } else { 0.0 };
            let (along, step) = if face.is_vertical {
                let by = code.advance * now.size + space;
                (Vec2::new(0.0, code.advance), Affine::translate((0.0, by)))
            } else {
                let by = (code.advance * now.size + space) * now.stretch;
                (Vec2::new(code.advance, 0.0), Affine::translate((by, 0.0)))
            };
            *text *= step;
            // Letters set apart on purpose are no words of one letter.
            let along = if !face.is_vertical && now.size != 0.0 {
                Vec2::new(along.x + (now.char_space / now.size).clamp(0.0, 0.6), along.y)
            } else {
                along
            };
            if code.text.is_empty() || is_covered {
                return;
            }
            let at = place * Point::ZERO;
            let advance = place * along.to_point() - at;
            let upright = place * Point::new(0.0, 1.0) - at;
            let size = upright.hypot() * face.scale;
            let right = place * Point::new(1.0, 0.0) - at;
            let angle = right.y.atan2(right.x).to_degrees() * 2.0;
            if !(at.is_finite() && advance.is_finite() && size.is_finite() && size > 0.01 && angle.is_finite()) {
                return;
            }
            let middle = at + advance * 0.5 + upright * (face.scale * 0.3);
            let slack = size * 0.5;
            if self.shown.glyphs.len() > GLYPHS || !now.clip.inflate(slack, slack).contains(middle) {
                return;
            }
            self.shown.glyphs.push(Glyph {
                text: code.text,
                at,
                advance,
                string: self.strings,
                size,
                angle: (angle.round() as i32).rem_euclid(720) as u16,
                is_bold: face.is_bold,
                is_mono: face.is_mono,
                is_vertical: face.is_vertical,
            });
        });
    }

    fn begin_marked(&mut self, tag: &Name<'_>, properties: &Object<'_>, resources: &Resources<'a>) {
        let (mut instead, mut is_hidden) = (None, false);
        match properties {
            Object::Dict(dict) => instead = dict.get::<PdfString<'_>>(b"ActualText".as_slice()).map(|s| strings::decode(&s)),
            Object::Name(name) => {
                if tag.as_ref() == b"OC" {
                    is_hidden = self.is_hidden(&resources.properties, name);
                }
                instead = resources
                    .properties
                    .get::<Dict<'_>>(name.as_ref())
                    .and_then(|d| d.get::<PdfString<'_>>(b"ActualText".as_slice()))
                    .map(|s| strings::decode(&s));
            }
            _ => {}
        }
        self.covered += usize::from(is_hidden);
        self.marked.push(Marked { instead, is_hidden, first: self.shown.glyphs.len() });
    }

    /// Puts the text that a part of the content gives for itself in the place of its glyphs.
    fn end_marked(&mut self) {
        let Some(marked) = self.marked.pop() else { return };
        self.covered -= usize::from(marked.is_hidden);
        let Some(instead) = marked.instead else { return };
        let Some((first, rest)) = self.shown.glyphs.get(marked.first..).and_then(|glyphs| glyphs.split_first()) else { return };
        let one_line = rest.iter().all(|g| g.angle == first.angle && (g.at - first.at).cross(first.advance).abs() < first.size);
        let drawn: usize = rest.iter().chain([first]).map(|g| g.text.chars().count()).sum();
        let said = instead.trim().chars().count();
        // Some write there what a picture shows, or nothing at all, or the text of many lines.
        if !one_line || said == 0 || said > drawn * 4 + 4 || said * 3 < drawn {
            return;
        }
        let last = rest.last().unwrap_or(first);
        let text = super::letters::plain(&instead);
        let glyph = Glyph { text: text.into(), advance: last.at + last.advance - first.at, ..first.clone() };
        self.shown.glyphs.truncate(marked.first);
        self.shown.glyphs.push(glyph);
    }

    /// Whether what names this layer is switched off when the document is opened.
    fn is_hidden(&self, of: &Dict<'a>, key: &[u8]) -> bool {
        if self.hidden.is_empty() {
            return false;
        }
        if of.get_ref(key).is_some_and(|r| self.hidden.contains(&r.into())) {
            return true;
        }
        let Some(group) = of.get::<Dict<'_>>(key) else { return false };
        if let Some(members) = group.get::<Array<'_>>(b"OCGs".as_slice()) {
            let mut members = members.raw_iter().filter_map(|m| m.as_obj_ref()).peekable();
            return members.peek().is_some() && members.all(|r| self.hidden.contains(&r.into()));
        }
        group.get_ref(b"OCGs".as_slice()).is_some_and(|r| self.hidden.contains(&r.into()))
    }

    fn draw(&mut self, stream: &Stream<'a>, resources: &Resources<'a>, now: &State<'a>) -> Result<(), Late> {
        let dict = stream.dict();
        if self.covered > 0 || self.is_hidden(dict, b"OC") {
            return Ok(());
        }
        let kind = dict.get::<Name<'_>>(b"Subtype".as_slice());
        match kind.as_deref() {
            Some(b"Image") => {
                self.picture(now, Some(stream.clone()));
                Ok(())
            }
            // Some forms forget to say that they are.
            _ => self.form(stream, resources, now.clone()),
        }
    }

    fn form(&mut self, stream: &Stream<'a>, resources: &Resources<'a>, mut now: State<'a>) -> Result<(), Late> {
        let id = stream.obj_id();
        if self.active.len() >= DEPTH || self.active.contains(&id) {
            return Ok(());
        }
        let Some(content) = bounds::is_sane(stream).then(|| stream.decoded_data().ok()).flatten() else { return Ok(()) };
        // What is drawn over and over costs as if it were written so often.
        self.operators += content.len() as u64 / 64;
        self.tick()?;
        let dict = stream.dict();
        if let Some(m) = dict.get::<[f64; 6]>(b"Matrix".as_slice()) {
            now.ctm *= matrix(m);
        }
        if let Some([x0, y0, x1, y1]) = dict.get::<[f64; 4]>(b"BBox".as_slice()) {
            let bounds = now.ctm.transform_rect_bbox(Rect::new(x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)));
            now.clip = now.clip.intersect(bounds);
        }
        let own = dict.get::<Dict<'_>>(b"Resources".as_slice()).map(Resources::new);
        self.active.push(id);
        let done = self.run(&content, own.as_ref().unwrap_or(resources), now);
        self.active.pop();
        done
    }

    /// What a note or a field of a form looks like on the page.
    fn annotation(&mut self, note: &Dict<'a>, resources: &Resources<'a>, page: &State<'a>) -> Result<(), Late> {
        let flags = note.get::<u32>(b"F".as_slice()).unwrap_or(0);
        let kind = note.get::<Name<'_>>(b"Subtype".as_slice());
        // Hidden, not to be seen; links and pop-ups look like nothing.
        if flags & 0b10_0010 != 0 || matches!(kind.as_deref(), Some(b"Popup" | b"Link")) {
            return Ok(());
        }
        let looks = note.get::<Dict<'_>>(b"AP".as_slice()).and_then(|ap| ap.get::<Object<'_>>(b"N".as_slice()));
        let stream = match looks {
            Some(Object::Stream(stream)) => Some(stream),
            Some(Object::Dict(states)) => {
                note.get::<Name<'_>>(b"AS".as_slice()).and_then(|state| states.get::<Stream<'_>>(state.as_ref()))
            }
            _ => None,
        };
        let (Some(stream), Some(to)) = (stream, note.get::<[f64; 4]>(b"Rect".as_slice())) else { return Ok(()) };
        let Some([x0, y0, x1, y1]) = stream.dict().get::<[f64; 4]>(b"BBox".as_slice()) else { return Ok(()) };
        let own = stream.dict().get::<[f64; 6]>(b"Matrix".as_slice()).map_or(Affine::IDENTITY, matrix);
        let from = own.transform_rect_bbox(Rect::new(x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)));
        let [tx0, ty0, tx1, ty1] = to;
        let to = Rect::new(tx0.min(tx1), ty0.min(ty1), tx0.max(tx1), ty0.max(ty1));
        if from.width() <= 0.0 || from.height() <= 0.0 {
            return Ok(());
        }
        let (sx, sy) = (to.width() / from.width(), to.height() / from.height());
        let mut now = page.clone();
        now.ctm *= Affine::new([sx, 0.0, 0.0, sy, to.x0 - sx * from.x0, to.y0 - sy * from.y0]);
        self.form(&stream, resources, now)
    }

    fn picture(&mut self, now: &State<'a>, stream: Option<Stream<'a>>) {
        let bounds = now.ctm.transform_rect_bbox(Rect::new(0.0, 0.0, 1.0, 1.0)).intersect(now.clip);
        if bounds.is_finite() && bounds.area() > 0.0 && self.shown.pictures.len() < RULES {
            self.shown.pictures.push(Picture { bounds, stream });
        }
    }

    fn paint(&mut self, path: &mut Path, now: &mut State<'a>, strokes: bool, fills: bool) {
        let done = path.end();
        if done.clips
            && let Some(bounds) = done.bounds
        {
            now.clip = now.clip.intersect(bounds);
        }
        if self.covered == 0 && self.shown.rules.len() < RULES {
            done.rules(strokes, fills, now.clip, &mut self.shown.rules);
        }
    }
}

/// The content of a page. (`Page::page_stream` would keep each page's until the document is done with.)
fn contents(page: &Page<'_>) -> Vec<u8> {
    let key = b"Contents".as_slice();
    let parts: Vec<Stream<'_>> = match page.raw().get::<Stream<'_>>(key) {
        Some(stream) => vec![stream],
        None => page.raw().get::<Array<'_>>(key).map(|a| a.iter::<Stream<'_>>().collect()).unwrap_or_default(),
    };
    let mut whole = Vec::new();
    for part in parts {
        // A part that is damaged takes no other with it.
        if bounds::is_sane(&part) {
            whole.extend_from_slice(&part.decoded_data().unwrap_or_default());
        }
        whole.push(b'\n');
    }
    whole
}

fn matrix(m: [f64; 6]) -> Affine {
    Affine::new(m.map(|n| if n.is_finite() { n.clamp(-1e9, 1e9) } else { 0.0 }))
}

fn next_line(line: &mut Affine, text: &mut Affine, x: f64, y: f64) {
    *line *= Affine::translate((x, y));
    *text = *line;
}
