//! The order in which one reads the shapes of a slide: from top to bottom where a line can be drawn between them, else from
//! left to right.

/// Shapes that are put into order by where they are; with more of them the file's order stands.
const MAX_SHAPES: usize = 2000;
/// Shapes may overlap by this part of the smaller one, and still stand one after the other.
const OVERLAP: i64 = 5;

/// Where a shape is, in the slide's units: left, top, right, bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Frame {
    /// From its left upper corner and its size.
    pub(super) fn new((left, top): (i64, i64), (width, height): (i64, i64)) -> Self {
        let sane = |n: i64| n.clamp(-1_000_000_000, 1_000_000_000);
        let (left, top) = (sane(left), sane(top));
        Self { left, top, right: left + sane(width).max(0), bottom: top + sane(height).max(0) }
    }
}

/// The places of shapes in their list, in reading order. Those that are nowhere stay behind the one before them.
pub(super) fn reading_order(frames: &[Option<Frame>]) -> Vec<usize> {
    let placed: Vec<(usize, Frame)> = frames.iter().enumerate().filter_map(|(i, frame)| Some((i, (*frame)?))).collect();
    if placed.len() * 2 < frames.len() || placed.len() > MAX_SHAPES {
        return (0..frames.len()).collect();
    }
    let mut sorted = Vec::new();
    cut(placed, &mut sorted);
    let first_unplaced = frames.iter().take_while(|frame| frame.is_none()).count();
    let mut out: Vec<usize> = (0..first_unplaced).collect();
    for at in sorted {
        out.push(at);
        out.extend((at + 1..frames.len()).take_while(|&next| frames.get(next).is_some_and(Option::is_none)));
    }
    out
}

/// Splits shapes between rows, else between columns, until nothing can be split.
fn cut(all: Vec<(usize, Frame)>, out: &mut Vec<usize>) {
    // What is to be split; the last comes first.
    let mut todo = vec![all];
    while let Some(shapes) = todo.pop() {
        let mut parts = bands(&shapes, |f| (f.top, f.bottom));
        if parts.len() < 2 {
            parts = bands(&shapes, |f| (f.left, f.right));
        }
        if parts.len() < 2 {
            // They lie on one another: as they lie.
            out.extend(shapes.iter().map(|(at, _)| *at));
            continue;
        }
        todo.extend(parts.into_iter().rev());
    }
}

fn bands(shapes: &[(usize, Frame)], along: impl Fn(&Frame) -> (i64, i64)) -> Vec<Vec<(usize, Frame)>> {
    let mut sorted: Vec<(usize, Frame)> = shapes.to_vec();
    sorted.sort_by_key(|(_, frame)| along(frame));
    let mut out: Vec<Vec<(usize, Frame)>> = Vec::new();
    let mut end = i64::MIN;
    for shape in sorted {
        let (from, to) = along(&shape.1);
        let slack = (to - from).max(0) / OVERLAP;
        if from.saturating_add(slack) >= end || out.is_empty() {
            out.push(Vec::new());
            end = to;
        }
        end = end.max(to);
        if let Some(band) = out.last_mut() {
            band.push(shape);
        }
    }
    for band in &mut out {
        band.sort_by_key(|(at, _)| *at);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(frames: &[(i64, i64, i64, i64)]) -> Vec<usize> {
        let frames: Vec<Option<Frame>> =
            frames.iter().map(|&(left, top, right, bottom)| Some(Frame { left, top, right, bottom })).collect();
        reading_order(&frames)
    }

    #[test]
    fn rows_then_columns() {
        // A footer first, a title, two columns that are no rows.
        assert_eq!(
            order(&[(0, 90, 100, 99), (0, 0, 100, 10), (60, 20, 100, 80), (0, 15, 40, 50), (0, 55, 40, 85)]),
            [1, 3, 4, 2, 0]
        );
        // Cards: row by row.
        assert_eq!(order(&[(50, 50, 90, 90), (0, 50, 40, 90), (50, 0, 90, 40), (0, 0, 40, 40)]), [3, 2, 1, 0]);
        // A picture behind everything.
        assert_eq!(order(&[(0, 0, 100, 100), (0, 50, 40, 90), (0, 0, 40, 40)]), [0, 1, 2]);
        assert_eq!(order(&[]), [0usize; 0]);
        assert_eq!(
            reading_order(&[
                None,
                Some(Frame { left: 0, top: 9, right: 1, bottom: 10 }),
                Some(Frame { left: 0, top: 0, right: 1, bottom: 1 })
            ]),
            [0, 2, 1]
        );
    }
}
