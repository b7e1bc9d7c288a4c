//! Fonts: what the codes of a page's strings say, and how wide they are.
//!
//! `hayro-font` 0.5 knows `ToUnicode` and the names of glyphs. What it leaves without a letter is looked for here: in the
//! character collection of a CJK font, in the embedded font's own table, and at last in the code itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use encoding_rs::{Encoding, GBK, MACINTOSH, WINDOWS_1252};
use hayro_cmap::{BfString, CMap, CMapName, CidFamily, load_embedded};
use hayro_font::{CMapResolverFn, Font, FontCache, FontGlyph, FontQuery, FontResolverFn};
use hayro_syntax::object::{Array, Dict, Name, Object, Stream};
use skrifa::{FontRef, MetadataProvider};

use super::{bounds, letters};

/// Codes that one entry of a width table may cover; the tables of real fonts have at most this many codes in all.
const RANGE: i64 = 0x1_0000;
/// Glyphs of an embedded font that are looked through for their letters.
const CHARS: usize = 100_000;

/// One code of a string, as it is shown.
#[derive(Clone)]
pub(super) struct Code {
    /// What it says; empty if that is not known.
    pub(super) text: Rc<str>,
    /// How far it moves on, in ems.
    pub(super) advance: f64,
    /// Whether word spacing applies.
    pub(super) is_blank: bool,
}

/// A font as a page uses it.
#[allow(clippy::struct_excessive_bools, reason = "what is known of a font is independent")]
pub(super) struct Face<'a> {
    font: Font<'a>,
    known: RefCell<HashMap<(u32, u8), Code>>,
    rest: Unnamed,
    /// Two bytes make an ideograph: old Chinese programs declare such a font as one of Latin letters.
    is_gbk: bool,
    pub(super) is_bold: bool,
    pub(super) is_mono: bool,
    pub(super) is_vertical: bool,
    /// Height of a line of it in relation to its nominal size: 1 but for fonts of drawings.
    pub(super) scale: f64,
}

/// Where the letters of codes are found that have none by the font's own account.
enum Unnamed {
    /// The code is Unicode itself, in UTF-16.
    Utf16,
    /// Through the characters of a collection.
    Collection { encoding: Box<CMap>, unicode: Box<CMap> },
    /// By glyph, from the embedded font's own table.
    Glyphs(HashMap<u32, char>),
    /// The code is a letter of an old encoding.
    Latin(&'static Encoding),
    /// Nowhere.
    Nothing,
}

impl Face<'_> {
    /// The codes of a string.
    pub(super) fn read(&self, string: &[u8], mut each: impl FnMut(Code)) {
        let mut at = 0;
        while at < string.len() {
            if self.is_gbk
                && let Some(pair @ &[first, second]) = string.get(at..at + 2)
                && first >= 0x81
                && second >= 0x40
            {
                let text = letters::plain(&GBK.decode_without_bom_handling(pair).0);
                each(Code { text: text.into(), advance: 1.0, is_blank: false });
                at += 2;
                continue;
            }
            let (code, length) = self.font.read_code(string, at);
            at += length.max(1);
            let key = (code, length as u8);
            let found = self.known.borrow().get(&key).cloned();
            each(found.unwrap_or_else(|| {
                let code = self.look_up(code, length);
                self.known.borrow_mut().insert(key, code.clone());
                code
            }));
        }
    }

    fn look_up(&self, code: u32, length: usize) -> Code {
        let advance = self.font.code_advance(code);
        let glyph = self.font.map_code(code);
        let said = match self.font.glyph(glyph, code) {
            FontGlyph::Outline(outline) => outline.as_unicode(),
            FontGlyph::Type3(drawing) => drawing.as_unicode(),
        };
        let said = said
            .map(|s| match s {
                BfString::Char(c) => c.to_string(),
                BfString::String(s) => s,
            })
            .filter(|s| letters::is_said(s));
        let text =
            said.or_else(|| self.rest.letter(code, length, glyph.to_u32())).map(|s| letters::plain(&s)).unwrap_or_default();
        Code {
            text: text.into(),
            advance: finite(if self.is_vertical { advance.y } else { advance.x } / 1000.0),
            is_blank: code == 32 && length == 1,
        }
    }
}

fn finite(x: f64) -> f64 {
    if x.is_finite() { x.clamp(-100.0, 100.0) } else { 0.0 }
}

impl Unnamed {
    fn of(dict: &Dict<'_>, descendant: Option<&Dict<'_>>, cmaps: &CMapResolverFn) -> Self {
        let Some(descendant) = descendant else {
            return Self::of_simple(dict);
        };
        // In place of a table, the name of one that changes nothing.
        if dict.get::<Name<'_>>(b"ToUnicode".as_slice()).is_some_and(|n| n.starts_with(b"Identity")) {
            return Self::Utf16;
        }
        let name = dict.get::<Name<'_>>(b"Encoding".as_slice());
        let name = name.as_deref().map(CMapName::from_bytes);
        if let Some(name) = &name {
            let said = String::from_utf8_lossy(name.to_bytes()).into_owned();
            if said.contains("UCS2") || said.contains("UTF16") {
                return Self::Utf16;
            }
        }
        let encoding = match name {
            Some(CMapName::IdentityH) => Some(CMap::identity_h()),
            Some(CMapName::IdentityV) => Some(CMap::identity_v()),
            Some(name) => load_embedded(name).and_then(|data| parse_cmap(data, cmaps)),
            None => dict
                .get::<Stream<'_>>(b"Encoding".as_slice())
                .and_then(|s| s.decoded_data().ok())
                .and_then(|data| parse_cmap(&data, cmaps)),
        };
        let info = descendant.get::<Dict<'_>>(b"CIDSystemInfo".as_slice()).unwrap_or_default();
        let part = |key: &[u8]| info.get::<hayro_syntax::object::String<'_>>(key).map(|s| s.to_vec()).unwrap_or_default();
        let family = encoding
            .as_ref()
            .and_then(|e| e.metadata().character_collection.clone())
            .map(|c| c.family)
            .filter(|f| f.ucs2_cmap().is_some())
            .unwrap_or_else(|| CidFamily::from_registry_ordering(&part(b"Registry"), &part(b"Ordering")));
        let unicode = family.ucs2_cmap().and_then(load_embedded).and_then(|data| parse_cmap(data, cmaps));
        match (encoding, unicode) {
            (Some(encoding), Some(unicode)) => Self::Collection { encoding: Box::new(encoding), unicode: Box::new(unicode) },
            _ => Self::of_program(descendant).unwrap_or(Self::Nothing),
        }
    }

    fn of_simple(dict: &Dict<'_>) -> Self {
        let is_drawn = dict.get::<Name<'_>>(b"Subtype".as_slice()).is_some_and(|n| n.as_ref() == b"Type3");
        // The codes of drawings are often those of the letters; those of a font without a name for its glyphs, too.
        let is_mac = dict.get::<Name<'_>>(b"Subtype".as_slice()).is_some_and(|n| n.as_ref() == b"TrueType");
        let latin = Self::Latin(if is_mac { MACINTOSH } else { WINDOWS_1252 });
        if is_drawn { latin } else { Self::of_program(dict).unwrap_or(latin) }
    }

    /// What the embedded font's own table says of its glyphs.
    fn of_program(dict: &Dict<'_>) -> Option<Self> {
        let descriptor = dict.get::<Dict<'_>>(b"FontDescriptor".as_slice())?;
        let stream = ["FontFile2", "FontFile3"].iter().find_map(|key| descriptor.get::<Stream<'_>>(key.as_bytes()))?;
        let data = stream.decoded_data().ok()?;
        let font = FontRef::new(&data).ok()?;
        let mut glyphs = HashMap::new();
        for (letter, glyph) in font.charmap().mappings().take(CHARS) {
            let Some(letter) = char::from_u32(letter) else { continue };
            // Symbol fonts keep Latin letters in the private area.
            let letter = match u32::from(letter) {
                code @ 0xf020..=0xf07e => char::from_u32(code - 0xf000).unwrap_or(letter),
                _ => letter,
            };
            let best = glyphs.entry(glyph.to_u32()).or_insert(letter);
            if letters::is_private(*best) && !letters::is_private(letter) {
                *best = letter;
            }
        }
        (!glyphs.is_empty()).then_some(Self::Glyphs(glyphs))
    }

    fn letter(&self, code: u32, length: usize, glyph: u32) -> Option<String> {
        let found = match self {
            Self::Utf16 => char::from_u32(code).or_else(|| {
                let units = [(code >> 16) as u16, code as u16];
                char::decode_utf16(units).next()?.ok()
            })?,
            Self::Collection { encoding, unicode } => {
                let cid = encoding.lookup_cid_code(code, length as u8)?;
                return match unicode.lookup_bf_string(cid)? {
                    BfString::Char(c) => Some(c.to_string()),
                    BfString::String(s) => Some(s),
                };
            }
            Self::Glyphs(glyphs) => *glyphs.get(&glyph).filter(|_| glyph != 0)?,
            Self::Latin(encoding) => {
                let byte = [u8::try_from(code).ok().filter(|&b| b >= 0x20)?];
                encoding.decode_without_bom_handling(&byte).0.chars().next()?
            }
            Self::Nothing => return None,
        };
        Some(found.to_string()).filter(|s| letters::is_said(s))
    }
}

fn parse_cmap(data: &[u8], cmaps: &CMapResolverFn) -> Option<CMap> {
    let cmaps = cmaps.clone();
    CMap::parse(data, move |name| cmaps(name))
}

/// The fonts of a document, each read once.
pub(super) struct Fonts<'a> {
    cache: FontCache<'a>,
    faces: HashMap<&'a [u8], Option<Rc<Face<'a>>>>,
    programs: FontResolverFn,
    cmaps: CMapResolverFn,
}

impl<'a> Fonts<'a> {
    pub(super) fn new() -> Self {
        Self {
            cache: FontCache::new(),
            faces: HashMap::new(),
            programs: Arc::new(|query| match query {
                FontQuery::Standard(font) => Some(font.get_font_data()),
                FontQuery::Fallback(font) => Some(font.pick_standard_font().get_font_data()),
            }),
            cmaps: Arc::new(load_embedded),
        }
    }

    pub(super) fn face(&mut self, dict: &Dict<'a>) -> Option<Rc<Face<'a>>> {
        if let Some(face) = self.faces.get(dict.data()) {
            return face.clone();
        }
        let face = self.load(dict).map(Rc::new);
        self.faces.insert(dict.data(), face.clone());
        face
    }

    /// The font of a page that names none: Helvetica, as other readers have it.
    pub(super) fn face_of_none(&mut self) -> Option<Rc<Face<'a>>> {
        if let Some(face) = self.faces.get(b"".as_slice()) {
            return face.clone();
        }
        let font = self.cache.standard_font(hayro_font::StandardFont::Helvetica, &self.programs);
        let face = font.map(|font| Rc::new(Face::new(font, "", &Dict::default(), Unnamed::Latin(WINDOWS_1252), 1.0)));
        self.faces.insert(b"".as_slice(), face.clone());
        face
    }

    fn load(&self, dict: &Dict<'a>) -> Option<Face<'a>> {
        let descendant = dict.get::<Array<'_>>(b"DescendantFonts".as_slice()).and_then(|a| a.iter::<Dict<'_>>().next());
        if descendant.as_ref().is_some_and(|d| !has_sane_widths(d)) {
            tracing::debug!("a font whose widths have no bounds is left out");
            return None;
        }
        let descriptor = descendant.as_ref().unwrap_or(dict).get::<Dict<'_>>(b"FontDescriptor".as_slice()).unwrap_or_default();
        let parts = [
            (dict, "ToUnicode"),
            (dict, "Encoding"),
            (&descriptor, "FontFile"),
            (&descriptor, "FontFile2"),
            (&descriptor, "FontFile3"),
        ];
        let mut streams = parts.iter().filter_map(|(of, key)| of.get::<Stream<'_>>(key.as_bytes()));
        if !streams.all(|stream| bounds::is_sane(&stream)) {
            return None;
        }
        let font = self.cache.font(dict, &self.programs, &self.cmaps)?;
        let name = dict.get::<Name<'_>>(b"BaseFont".as_slice()).map(|n| n.as_str().to_owned()).unwrap_or_default();
        let rest = Unnamed::of(dict, descendant.as_ref(), &self.cmaps);
        let mut face = Face::new(font, &name, &descriptor, rest, drawn_height(dict));
        let raw = dict.get::<Name<'_>>(b"BaseFont".as_slice()).map(|n| n.to_vec()).unwrap_or_default();
        face.is_gbk = descendant.is_none() && !dict.contains_key(b"ToUnicode") && is_chinese(&raw) && !has_program(&descriptor);
        Some(face)
    }
}

impl<'a> Face<'a> {
    fn new(font: Font<'a>, name: &str, descriptor: &Dict<'_>, rest: Unnamed, scale: f64) -> Self {
        let name = name.split_once('+').map_or(name, |(_, name)| name).to_lowercase();
        let flags = descriptor.get::<u32>(b"Flags".as_slice()).unwrap_or(0);
        let weight = descriptor.get::<f32>(b"FontWeight".as_slice()).unwrap_or(0.0);
        let is_bold = ["bold", "black", "heavy", "demi", "cmbx", "-bd", "sfbx", "medi"].iter().any(|part| name.contains(part))
            || flags & (1 << 18) != 0
            || weight >= 600.0;
        let is_mono =
            ["courier", "mono", "consol", "cmtt", "typewriter", "menlo", "sftt"].iter().any(|part| name.contains(part))
                || flags & 1 != 0;
        Self {
            is_vertical: !font.is_horizontal(),
            font,
            known: RefCell::default(),
            rest,
            is_gbk: false,
            is_bold,
            is_mono,
            scale,
        }
    }
}

fn has_program(descriptor: &Dict<'_>) -> bool {
    ["FontFile", "FontFile2", "FontFile3"].iter().any(|key| descriptor.contains_key(key.as_bytes()))
}

/// Whether a font's name is that of one of Chinese programs' own, in any of the ways in which these write it.
fn is_chinese(name: &[u8]) -> bool {
    let (said, _, damaged) = GBK.decode(name);
    let named = ["宋体", "黑体", "楷体", "仿宋", "细明体"].iter().any(|font| said.contains(font)) && !damaged;
    let latin = String::from_utf8_lossy(name).to_lowercase();
    named || ["simsun", "simhei", "fangsong", "kaiti", "nsimsun"].iter().any(|font| latin.contains(font))
}

/// The height of the letters of a font of drawings, whose nominal size may be anything.
fn drawn_height(dict: &Dict<'_>) -> f64 {
    if dict.get::<Name<'_>>(b"Subtype".as_slice()).is_none_or(|n| n.as_ref() != b"Type3") {
        return 1.0;
    }
    let matrix = dict.get::<[f64; 6]>(b"FontMatrix".as_slice()).unwrap_or([0.001, 0.0, 0.0, 0.001, 0.0, 0.0]);
    let bounds = dict.get::<[f64; 4]>(b"FontBBox".as_slice()).unwrap_or_default();
    let height = (matrix[3] * (bounds[3] - bounds[1])).abs();
    // The box is often that of a page, or empty: letters are about half as wide as high.
    let widths: Vec<f64> =
        dict.get::<Array<'_>>(b"Widths".as_slice()).map(|w| w.iter::<f64>().take(256).collect()).unwrap_or_default();
    let drawn: Vec<f64> = widths.into_iter().map(|w| (w * matrix[0]).abs()).filter(|w| w.is_finite() && *w > 1e-6).collect();
    let width = drawn.iter().sum::<f64>() / drawn.len().max(1) as f64;
    match (height.is_finite() && height > 1e-6, width > 0.0) {
        (true, true) => height.clamp(1.4 * width, 2.6 * width),
        (true, false) => height,
        (false, true) => 2.0 * width,
        (false, false) => 1.0,
    }
}

/// Whether the widths of a CID font can be read in bounded time and memory: `hayro-font` 0.5 writes each range of them out,
/// which a hostile file has go to four thousand million.
fn has_sane_widths(descendant: &Dict<'_>) -> bool {
    let mut left = RANGE * 4;
    for (key, numbers) in [(b"W".as_slice(), 3), (b"W2", 5)] {
        let Some(table) = descendant.get::<Array<'_>>(key) else { continue };
        let mut entry: Vec<f64> = Vec::new();
        for object in table.iter::<Object<'_>>() {
            match object {
                Object::Number(n) => entry.push(n.as_f64()),
                Object::Array(_) => {
                    entry.clear();
                    continue;
                }
                // What it does with anything else is not ours to foresee.
                _ => return false,
            }
            if entry.len() == numbers {
                let (Some(first), Some(last)) = (entry.first(), entry.get(1)) else { return false };
                left -= ((last - first) as i64).clamp(0, i64::from(u32::MAX)) + 1;
                if left < 0 {
                    return false;
                }
                entry.clear();
            }
        }
    }
    true
}
