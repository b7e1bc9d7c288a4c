//! Slides of `OpenDocument` presentations, and pages of drawings.

use super::super::order::{self, Frame};
use super::super::writer::Block;
use super::super::xml::Element;
use super::body::Reader;

/// Slides that are read.
const MAX_SLIDES: usize = 20_000;

pub(super) fn read<'a>(reader: &mut Reader<'a>, presentation: &'a Element, out: &mut Vec<Block>) {
    for (nth, page) in (1..).zip(presentation.named("draw:page").take(MAX_SLIDES)) {
        let mut blocks = Vec::new();
        let mut title = None;
        let shapes: Vec<&'a Element> = page.children().filter(|e| e.name().starts_with("draw:")).collect();
        let frames: Vec<Option<Frame>> = shapes.iter().map(|shape| frame(shape)).collect();
        for at in order::reading_order(&frames) {
            let Some(shape) = shapes.get(at) else { continue };
            let mut inner = Vec::new();
            reader.shape(shape, &mut inner);
            if title.is_none() && shape.attribute("class") == Some("title") {
                let text: Vec<String> = inner.iter().map(Block::plain).collect();
                let text = text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
                title = (!text.is_empty()).then_some(text);
                continue;
            }
            blocks.extend(inner);
        }
        let mut notes = Vec::new();
        for shape in page.named("presentation:notes").flat_map(Element::children).filter(|e| e.name() == "draw:frame") {
            reader.shape(shape, &mut notes);
        }
        if let Some(first) = notes.first_mut() {
            *first = Block::Paragraph(format!("Notes: {}", first.plain()));
        }
        let comments: Vec<&'a Element> = page.named("office:annotation").collect();
        let hidden = reader.styles.is_hidden(page.attribute("style-name"));
        if title.is_some() || !blocks.is_empty() || !notes.is_empty() {
            let heading = title.unwrap_or_else(|| format!("Slide {nth}"));
            out.push(Block::Heading(2, if hidden { format!("{heading} (hidden)") } else { heading }));
        }
        out.append(&mut blocks);
        out.append(&mut notes);
        for comment in comments {
            reader.comment(comment, out);
        }
    }
}

/// Where a shape is.
fn frame(shape: &Element) -> Option<Frame> {
    let length = |name: &str| shape.attribute(name).and_then(micrometres);
    Some(Frame::new((length("x")?, length("y")?), (length("width")?, length("height")?)))
}

/// A length such as `2.5cm`, in thousandths of a millimetre.
fn micrometres(length: &str) -> Option<i64> {
    let unit = length.trim().trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    let number: f64 = length.trim().strip_suffix(unit)?.parse().ok()?;
    let scale = match unit {
        "cm" => 10_000.0,
        "mm" => 1000.0,
        "in" | "inch" => 25_400.0,
        "pt" => 352.8,
        "pc" => 4233.0,
        "px" => 264.6,
        _ => return None,
    };
    Some((number * scale) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert_eq!(
            (micrometres("2.5cm"), micrometres("-1in"), micrometres("3"), micrometres("")),
            (Some(25_000), Some(-25_400), None, None)
        );
    }
}
