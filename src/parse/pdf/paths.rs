//! Paths: the rules among them.

use hayro_font::kurbo::{Point, Rect};

/// Rules of a page; a drawing that has more is no table.
pub(super) const RULES: usize = 20_000;
/// A filled box no thicker than this is a rule, in points.
const THIN: f64 = 2.5;

/// A path that is being made, in points of the page.
#[derive(Default)]
pub(super) struct Path {
    pub(super) from: Point,
    pub(super) at: Point,
    lines: Vec<(Point, Point)>,
    boxes: Vec<Rect>,
    pub(super) bounds: Option<Rect>,
    pub(super) clips: bool,
}

impl Path {
    pub(super) fn reach(&mut self, p: Point) {
        let here = Rect::from_points(p, p);
        self.bounds = Some(self.bounds.map_or(here, |b| b.union(here)));
    }

    /// A straight line from where the path is.
    pub(super) fn line(&mut self, to: Point) {
        if self.lines.len() < RULES {
            self.lines.push((self.at, to));
        }
        self.curve(to);
    }

    pub(super) fn rect(&mut self, rect: Rect) {
        if self.boxes.len() < RULES {
            self.boxes.push(rect);
        }
    }

    /// A curve to some point: no rule.
    pub(super) fn curve(&mut self, to: Point) {
        self.at = to;
        self.reach(to);
    }

    /// The path as it is when it is painted; another begins.
    pub(super) fn end(&mut self) -> Self {
        let next = Self { at: self.at, from: self.from, ..Self::default() };
        std::mem::replace(self, next)
    }

    /// The rules that are drawn by painting it.
    pub(super) fn rules(self, strokes: bool, fills: bool, clip: Rect, rules: &mut Vec<Rect>) {
        let mut rule = |r: Rect| {
            let r = r.inflate(0.05, 0.05).intersect(clip.inflate(1.0, 1.0));
            if r.is_finite() && (r.width() > 3.0 || r.height() > 3.0) && r.width() > 0.0 && r.height() > 0.0 {
                rules.push(r);
            }
        };
        if strokes {
            for (a, b) in self.lines {
                if (a.x - b.x).abs() < 0.3 || (a.y - b.y).abs() < 0.3 {
                    rule(Rect::from_points(a, b));
                }
            }
        } else if fills && self.lines.len() < 6 && self.boxes.is_empty() {
            // A box drawn by its corners.
            if let Some(b) = self.bounds.filter(|b| b.width() < THIN || b.height() < THIN) {
                rule(b);
            }
        }
        for b in self.boxes {
            if b.width() < THIN || b.height() < THIN {
                rule(b);
            } else if strokes {
                rule(Rect::new(b.x0, b.y0, b.x1, b.y0));
                rule(Rect::new(b.x0, b.y1, b.x1, b.y1));
                rule(Rect::new(b.x0, b.y0, b.x0, b.y1));
                rule(Rect::new(b.x1, b.y0, b.x1, b.y1));
            }
        }
    }
}
