//! Vertical writing that only its places tell of.

use hayro_font::kurbo::Vec2;

use super::content::Glyph;
use super::letters;

/// Vertical writing without a font for it: each ideograph is set by itself, below the one before.
pub(super) fn stand_up(glyphs: &mut [Glyph]) {
    let is_whole = |g: &Glyph| g.angle == 0 && !g.is_vertical && g.text.chars().all(letters::is_cjk);
    let next = |a: &Glyph, b: &Glyph| -> Option<bool> {
        let by = (b.at - a.at) / a.size.max(0.1);
        let alike = is_whole(a) && is_whole(b) && (a.size - b.size).abs() < 0.2 * a.size;
        match alike {
            true if by.x.abs() < 0.15 && (0.7..2.2).contains(&by.y) => Some(true),
            true if by.y.abs() < 0.15 && (0.7..2.2).contains(&by.x) => Some(false),
            _ => None,
        }
    };
    let pairs: Vec<Option<bool>> = glyphs.iter().zip(glyphs.iter().skip(1)).map(|(a, b)| next(a, b)).collect();
    let (down, across) = pairs.iter().flatten().fold((0, 0), |(d, a), down| (d + usize::from(*down), a + usize::from(!*down)));
    if down < 8 || down < 2 * across {
        return;
    }
    let before = std::iter::once(&None).chain(&pairs);
    let after = pairs.iter().chain(std::iter::once(&None));
    for (glyph, (before, after)) in glyphs.iter_mut().zip(before.zip(after)) {
        let is_down = *before == Some(true) || *after == Some(true);
        let is_across = *before == Some(false) || *after == Some(false);
        if is_down || (is_whole(glyph) && !is_across) {
            glyph.at += Vec2::new(0.5 * glyph.advance.x, -0.88 * glyph.size);
            glyph.advance = Vec2::new(0.0, glyph.size);
            glyph.is_vertical = true;
        }
    }
}
