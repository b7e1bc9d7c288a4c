//! Scanned pages, read by Tesseract.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hayro_syntax::object::stream::{ImageColorSpace, ImageDecodeParams};
use hayro_syntax::object::{Array, Dict, Object, Stream};

use super::super::Ocr;
use super::blocks::{Block, Content, Row};
use super::content::Shown;

/// Pixels of a picture that is read: a page of A3 at 600 dpi has 70 million.
const PIXELS: u64 = 80_000_000;
/// Text of a page.
const TEXT: u64 = 1 << 20;

/// What stands on a page that is a picture; `None` if that could not be read.
pub(super) fn read(shown: &Shown<'_>, ocr: &Ocr, deadline: Instant) -> Option<Vec<Block>> {
    let picture = shown.pictures.iter().max_by(|a, b| a.bounds.area().total_cmp(&b.bounds.area()))?;
    let grey = Grey::of(picture.stream.as_ref()?)?;
    let resolution = f64::from(grey.width) / (picture.bounds.width() / 72.0).max(0.1);
    let until = deadline.min(Instant::now() + ocr.timeout);
    let text = run(&grey, resolution, ocr, until)?;
    let blocks: Vec<Block> = text.split("\n\n").filter_map(block).collect();
    (!blocks.is_empty()).then_some(blocks)
}

/// A paragraph as Tesseract writes it.
fn block(text: &str) -> Option<Block> {
    let rows: Vec<Row> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.chars().any(char::is_alphanumeric))
        .enumerate()
        // In the middle of the page, where nothing is taken for its edge.
        .map(|(i, line)| Row { text: unspaced(line), size: 10.0, is_bold: false, y: 300.0 + i as f64 })
        .collect();
    (!rows.is_empty()).then_some(Block { content: Content::Paragraph, rows, is_turned: false, is_note: false, ruled: None })
}

/// Tesseract sets blanks between ideographs.
fn unspaced(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(c) = letters.next() {
        let between = c == ' '
            && out.chars().next_back().is_some_and(super::letters::is_cjk)
            && letters.peek().copied().is_some_and(super::letters::is_cjk);
        if !between {
            out.push(c);
        }
    }
    out
}

/// Stops the program when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(grey: &Grey, resolution: f64, ocr: &Ocr, until: Instant) -> Option<String> {
    let child = Command::new(&ocr.program)
        .args(["stdin", "stdout", "-l", &ocr.languages, "--dpi", &format!("{:.0}", resolution.clamp(70.0, 1200.0))])
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Ok(child) => Running(child),
        Err(e) => {
            tracing::warn!(program = %ocr.program, error = %e, "OCR is wished for, but its program did not start");
            return None;
        }
    };
    let (mut to, from) = (child.0.stdin.take()?, child.0.stdout.take()?);
    let mut text = Vec::new();
    let status = thread::scope(|scope| {
        // Ends with the program, which `Running` or the loop below ends.
        scope.spawn(move || {
            let _ = writeln!(to, "P5 {} {} 255", grey.width, grey.height).and_then(|()| to.write_all(&grey.pixels));
        });
        let reader = scope.spawn(move || {
            let mut text = Vec::new();
            let _ = from.take(TEXT).read_to_end(&mut text);
            text
        });
        let status = loop {
            match child.0.try_wait() {
                Ok(Some(status)) => break status.success(),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(20)),
                _ => {
                    let _ = child.0.kill();
                    let _ = child.0.wait();
                    tracing::warn!("OCR of a page took too long");
                    break false;
                }
            }
        };
        text = reader.join().unwrap_or_default();
        status
    });
    status.then(|| String::from_utf8_lossy(&text).into_owned())
}

/// A picture in shades of grey.
struct Grey {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Grey {
    fn of(stream: &Stream<'_>) -> Option<Self> {
        let dict = stream.dict();
        let number = |key: &[u8]| dict.get::<u32>(key);
        let (width, height) = (number(b"Width")?, number(b"Height")?);
        if u64::from(width) * u64::from(height) > PIXELS || width == 0 || height == 0 {
            return None;
        }
        let is_mask = dict.get::<bool>(b"ImageMask".as_slice()).unwrap_or(false);
        let bits = if is_mask { 1 } else { number(b"BitsPerComponent").unwrap_or(8) };
        let space = Space::of(dict);
        let parts = if is_mask { Some(1) } else { space.as_ref().map(|s| s.parts) };
        let params = ImageDecodeParams {
            is_indexed: space.as_ref().is_some_and(|s| !s.palette.is_empty()),
            bpc: u8::try_from(bits).ok(),
            num_components: parts,
            target_dimension: None,
            width,
            height,
        };
        let decoded = stream.decoded_image(&params).ok()?;
        let (mut width, mut height, mut bits, mut parts) = (width, height, bits, parts.unwrap_or(0));
        if let Some(of) = &decoded.image_data {
            (width, height, bits) = (of.width, of.height, u32::from(of.bits_per_component));
            match of.color_space {
                Some(ImageColorSpace::Gray) => parts = 1,
                Some(ImageColorSpace::Rgb) => parts = 3,
                Some(ImageColorSpace::Cmyk) => parts = 4,
                Some(ImageColorSpace::Unknown(n)) => parts = n,
                None => {}
            }
        }
        if u64::from(width) * u64::from(height) > PIXELS || !matches!(bits, 1 | 2 | 4 | 8 | 16) || !(1..=4).contains(&parts) {
            return None;
        }
        // Black is what is painted through a mask; a bit that is set is not painted.
        let inverted = dict.get::<[f32; 2]>(b"Decode".as_slice()).is_some_and(|[low, high]| low > high);
        let palette = space.map(|s| s.palette).unwrap_or_default();
        let pixels = shades(&decoded.data, width, height, bits, parts, &palette, inverted);
        Some(Self { width, height, pixels })
    }
}

/// One byte for each pixel, from rows that begin at whole bytes.
fn shades(data: &[u8], width: u32, height: u32, bits: u32, parts: u8, palette: &[u8], inverted: bool) -> Vec<u8> {
    let row = (width as usize * usize::from(parts) * bits as usize).div_ceil(8);
    let mut out = Vec::with_capacity(width as usize * height as usize);
    for y in 0..height as usize {
        let line = data.get(y * row..).map(|rest| rest.get(..row).unwrap_or(rest)).unwrap_or_default();
        for x in 0..width as usize {
            let part = |i: usize| -> u8 {
                let at = (x * usize::from(parts) + i) * bits as usize;
                let byte = line.get(at / 8).copied().unwrap_or(255);
                match bits {
                    8 | 16 => byte,
                    _ => (byte >> (8 - bits as usize - at % 8)) & ((1 << bits) - 1),
                }
            };
            let scale = |v: u8| if bits >= 8 { v } else { (u32::from(v) * 255 / ((1 << bits) - 1)) as u8 };
            let mut shade = match parts {
                1 if !palette.is_empty() => palette.get(usize::from(part(0))).copied().unwrap_or(255),
                3 => luma(scale(part(0)), scale(part(1)), scale(part(2))),
                4 => {
                    let light = |v: u8| u32::from(255 - v);
                    let key = light(scale(part(3)));
                    let mixed = [0, 1, 2].map(|i| (light(scale(part(i))) * key / 255) as u8);
                    luma(mixed[0], mixed[1], mixed[2])
                }
                _ => scale(part(0)),
            };
            if inverted {
                shade = 255 - shade;
            }
            out.push(shade);
        }
    }
    out
}

fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114) / 1000) as u8
}

/// A colour space as far as shades need it.
struct Space {
    parts: u8,
    /// A shade for each colour of a palette.
    palette: Vec<u8>,
}

impl Space {
    fn of(dict: &Dict<'_>) -> Option<Self> {
        Self::read(&dict.get::<Object<'_>>(b"ColorSpace".as_slice())?, 4)
    }

    fn read(object: &Object<'_>, depth: u8) -> Option<Self> {
        let plain = |parts| Some(Self { parts, palette: Vec::new() });
        match object {
            Object::Name(name) => match name.as_ref() {
                b"DeviceGray" | b"CalGray" | b"G" => plain(1),
                b"DeviceRGB" | b"CalRGB" | b"RGB" => plain(3),
                b"DeviceCMYK" | b"CMYK" => plain(4),
                _ => None,
            },
            Object::Array(array) => {
                let mut parts = array.iter::<Object<'_>>();
                let kind = parts.next()?.into_name()?;
                match kind.as_ref() {
                    b"ICCBased" => plain(parts.next()?.into_stream()?.dict().get::<u8>(b"N".as_slice())?),
                    b"CalGray" | b"Separation" => plain(1),
                    b"CalRGB" | b"Lab" => plain(3),
                    b"Indexed" | b"I" if depth > 0 => Self::indexed(array, depth - 1),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn indexed(array: &Array<'_>, depth: u8) -> Option<Self> {
        let mut parts = array.iter::<Object<'_>>().skip(1);
        let base = Self::read(&parts.next()?, depth)?;
        let colours = match parts.nth(1)? {
            Object::String(s) => s.to_vec(),
            Object::Stream(s) => s.decoded_data().ok()?.into_owned(),
            _ => return None,
        };
        let palette = colours
            .chunks_exact(usize::from(base.parts).max(1))
            .map(|c| match *c {
                [r, g, b] => luma(r, g, b),
                [c, m, y, k] => luma(255 - c.saturating_add(k), 255 - m.saturating_add(k), 255 - y.saturating_add(k)),
                [grey, ..] => grey,
                [] => 255,
            })
            .collect();
        Some(Self { parts: 1, palette })
    }
}
