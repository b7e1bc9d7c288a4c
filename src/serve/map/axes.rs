//! The two directions in which vectors differ most: their first principal components.

/// Directions that are sought at once: the two that are wanted come out sooner among a few.
const BLOCK: usize = 4;
/// Rounds, at most.
const ROUNDS: usize = 40;
/// When the two largest variances change by less than this part, they are found.
const SETTLED: f32 = 1e-4;

/// What lays vectors out in a plane.
#[derive(Debug, Clone)]
pub(in crate::serve) struct Axes {
    mean: Vec<f32>,
    directions: [Vec<f32>; 2],
    /// The part of the variance that each axis shows, from 0 to 1.
    pub(in crate::serve) shares: [f32; 2],
    /// The largest coordinate of the vectors that they were found with.
    scale: f32,
}

impl Axes {
    /// Of vectors of this width, one behind the other, which are centred in place. By subspace iteration with a Rayleigh-Ritz step at
    /// its end (Saad, *Numerical Methods for Large Eigenvalue Problems*, chapter 5): time grows with their number times their width,
    /// and no matrix is as large as their width squared. `None` where they do not differ.
    pub(super) fn of(vectors: &mut [f32], width: usize) -> Option<Self> {
        let count = vectors.len().checked_div(width)?;
        let mut mean = vec![0.0; width];
        for vector in vectors.chunks_exact(width) {
            add(&mut mean, 1.0 / count as f32, vector);
        }
        for vector in vectors.chunks_exact_mut(width) {
            add(vector, -1.0, &mean);
        }
        let all = vectors.chunks_exact(width).map(|vector| dot(vector, vector)).sum::<f32>() / count as f32;
        if all.is_nan() || all <= f32::EPSILON {
            return None;
        }
        let mut basis = begin(width);
        orthonormalise(&mut basis);
        let mut before = [0.0; 2];
        for _ in 0..ROUNDS {
            basis = applied(vectors, width, &basis);
            let sizes = orthonormalise(&mut basis);
            let [Some(&first), Some(&second)] = [sizes.first(), sizes.get(1)] else { break };
            let moved = (first - before[0]).abs().max((second - before[1]).abs());
            if moved <= SETTLED * first {
                break;
            }
            before = [first, second];
        }
        let images = applied(vectors, width, &basis);
        let small: Vec<Vec<f32>> =
            basis.iter().map(|direction| images.iter().map(|image| dot(direction, image)).collect()).collect();
        let mut found = eigen(small);
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut axis = found.into_iter().map(|(variance, weights)| {
            let mut direction = vec![0.0; width];
            for (weight, one) in weights.iter().zip(&basis) {
                add(&mut direction, *weight, one);
            }
            // Either way round is right, and always the same is better.
            let largest = direction.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
            if largest < 0.0 {
                for number in &mut direction {
                    *number = -*number;
                }
            }
            (direction, (variance / all).clamp(0.0, 1.0))
        });
        let (first, second) = (axis.next()?, axis.next().unwrap_or_else(|| (vec![0.0; width], 0.0)));
        let mut axes = Self { mean, directions: [first.0, second.0], shares: [first.1, second.1], scale: 1.0 };
        let reach = |vector: &[f32]| axes.directions.iter().map(|axis| dot(vector, axis).abs()).fold(0.0, f32::max);
        axes.scale = vectors.chunks_exact(width).map(reach).fold(f32::EPSILON, f32::max);
        Some(axes)
    }

    /// Where a vector lies: within -1 and 1 for those that the axes were found with.
    pub(super) fn place(&self, vector: &[f32]) -> (f32, f32) {
        let mut centred = vector.to_vec();
        centred.resize(self.mean.len(), 0.0);
        add(&mut centred, -1.0, &self.mean);
        self.centred(&centred)
    }

    /// As [`Self::place`], of one that is centred already.
    pub(super) fn centred(&self, vector: &[f32]) -> (f32, f32) {
        let [first, second] = self.directions.each_ref().map(|axis| rounded(dot(vector, axis) / self.scale));
        (first, second)
    }
}

/// Makes a vector one long, for what counts is its direction; one of nothing stays.
pub(super) fn unit(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt();
    if length > f32::EPSILON {
        for number in vector.iter_mut() {
            *number /= length;
        }
    }
}

/// More digits than a screen has points are not worth their bytes.
fn rounded(value: f32) -> f32 {
    (value * 10_000.0).round() / 10_000.0
}

/// A few directions, by `SplitMix64`: the same every time.
fn begin(width: usize) -> Vec<Vec<f32>> {
    let mut state: u64 = 0x6d61_7020_6f66_2061;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1_u32 << 24) as f32 - 0.5
    };
    (0..BLOCK.min(width)).map(|_| (0..width).map(|_| next()).collect()).collect()
}

/// The covariance times each direction.
fn applied(vectors: &[f32], width: usize, basis: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut images = vec![vec![0.0; width]; basis.len()];
    let count = (vectors.len() / width.max(1)).max(1) as f32;
    for vector in vectors.chunks_exact(width) {
        for (direction, image) in basis.iter().zip(&mut images) {
            add(image, dot(vector, direction) / count, vector);
        }
    }
    images
}

/// Gram-Schmidt, twice (Kahan and Parlett: twice is enough); the lengths of what each added. What adds nothing becomes nothing.
fn orthonormalise(basis: &mut [Vec<f32>]) -> Vec<f32> {
    let mut sizes = Vec::with_capacity(basis.len());
    for place in 0..basis.len() {
        let (done, rest) = basis.split_at_mut(place);
        let Some(direction) = rest.first_mut() else { break };
        let whole = dot(direction, direction).sqrt();
        for _ in 0..2 {
            for other in done.iter() {
                let along = dot(direction, other);
                add(direction, -along, other);
            }
        }
        let size = dot(direction, direction).sqrt();
        if size > whole * 1e-6 && size > f32::MIN_POSITIVE {
            for number in direction.iter_mut() {
                *number /= size;
            }
        } else {
            direction.fill(0.0);
        }
        sizes.push(size);
    }
    sizes
}

/// The eigenvalues of a small symmetric matrix, each with its vector: by Jacobi's rotations (Golub and Van Loan, 8.5).
fn eigen(mut matrix: Vec<Vec<f32>>) -> Vec<(f32, Vec<f32>)> {
    let size = matrix.len();
    let mut vectors: Vec<Vec<f32>> =
        (0..size).map(|row| (0..size).map(|column| f32::from(u8::from(row == column))).collect()).collect();
    let at = |matrix: &[Vec<f32>], row: usize, column: usize| {
        matrix.get(row).and_then(|row| row.get(column)).copied().unwrap_or_default()
    };
    // Rows `p` and `q` turned into each other.
    let turn = |rows: &mut [Vec<f32>], p: usize, q: usize, c: f32, s: f32| {
        let (head, tail) = rows.split_at_mut(q);
        if let (Some(a), Some(b)) = (head.get_mut(p), tail.first_mut()) {
            for (a, b) in a.iter_mut().zip(b) {
                (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
            }
        }
    };
    for _ in 0..30 {
        for p in 0..size {
            for q in p + 1..size {
                let off = at(&matrix, p, q);
                if off.abs() <= f32::MIN_POSITIVE {
                    continue;
                }
                let theta = (at(&matrix, q, q) - at(&matrix, p, p)) / (2.0 * off);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                turn(&mut matrix, p, q, c, s);
                for row in &mut matrix {
                    let (head, tail) = row.split_at_mut(q);
                    if let (Some(a), Some(b)) = (head.get_mut(p), tail.first_mut()) {
                        (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
                    }
                }
                turn(&mut vectors, p, q, c, s);
            }
        }
    }
    vectors.into_iter().enumerate().map(|(place, vector)| (at(&matrix, place, place), vector)).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    <f32 as simsimd::SpatialSimilarity>::dot(a, b).unwrap_or_default() as f32
}

/// Adds so much of another vector.
fn add(to: &mut [f32], factor: f32, of: &[f32]) {
    for (to, of) in to.iter_mut().zip(of) {
        *to += factor * of;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Vectors that spread by these lengths along directions at right angles.
    fn spread(count: usize, width: usize, along: &[f32]) -> (Vec<f32>, Vec<Vec<f32>>) {
        let mut directions = begin(width);
        orthonormalise(&mut directions);
        let mut vectors = Vec::new();
        for n in 0..count {
            let mut vector = vec![0.25; width];
            for (k, (direction, length)) in directions.iter().zip(along).enumerate() {
                // Cosines of different frequencies: uncorrelated, each with a variance of a half.
                let wave = (std::f32::consts::TAU * (k + 1) as f32 * (n as f32 + 0.5) / count as f32).cos();
                add(&mut vector, length * wave, direction);
            }
            vectors.extend(vector);
        }
        (vectors, directions)
    }

    #[test]
    fn the_axes_are_those_along_which_vectors_spread_most() {
        let (mut vectors, directions) = spread(400, 32, &[1.0, 3.0, 0.5, 2.0]);
        let before = vectors.clone();
        let axes = Axes::of(&mut vectors, 32).unwrap();
        let near = |a: f32, b: f32| (a - b).abs() < 1e-3;
        assert!(
            near(dot(&axes.directions[0], &directions[1]).abs(), 1.0)
                && near(dot(&axes.directions[1], &directions[3]).abs(), 1.0)
        );
        assert!(near(axes.shares[0], 9.0 / 14.25) && near(axes.shares[1], 4.0 / 14.25), "{:?}", axes.shares);
        let places: Vec<(f32, f32)> = before.chunks_exact(32).map(|vector| axes.place(vector)).collect();
        let reach = places.iter().map(|(x, y)| x.abs().max(y.abs())).fold(0.0, f32::max);
        assert!(near(reach, 1.0));
        let centred: Vec<(f32, f32)> = vectors.chunks_exact(32).map(|vector| axes.centred(vector)).collect();
        assert!(places.iter().zip(&centred).all(|(a, b)| near(a.0, b.0) && near(a.1, b.1)));
    }

    #[test]
    fn what_does_not_differ_has_no_axes_and_what_differs_one_way_has_one() {
        assert!(Axes::of(&mut [0.5; 40], 4).is_none());
        assert!(Axes::of(&mut [], 4).is_none() && Axes::of(&mut [1.0], 0).is_none());
        assert!(Axes::of(&mut [f32::NAN; 8], 4).is_none());
        let axes = Axes::of(&mut [1.0, 0.0, -1.0, 0.0, 0.5, 0.0], 2).unwrap();
        assert!((axes.shares[0] - 1.0).abs() < 1e-4 && axes.shares[1] < 1e-4);
        let narrow = Axes::of(&mut [1.0, 2.0, 4.0], 1).unwrap();
        assert!((narrow.shares[0] - 1.0).abs() < 1e-4);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn no_two_directions_show_more(values in proptest::collection::vec(-1.0..1.0_f32, 60), width in 2..6_usize) {
            let mut vectors = values;
            vectors.truncate(vectors.len() / width * width);
            let Some(axes) = Axes::of(&mut vectors, width) else { return Ok(()) };
            let [first, second] = axes.shares;
            prop_assert!(first >= second - 1e-3 && first + second <= 1.0 + 1e-3);
            prop_assert!(dot(&axes.directions[0], &axes.directions[1]).abs() < 1e-2);
            let all: f32 = vectors.iter().map(|number| number * number).sum();
            for direction in 0..width {
                let along: f32 = vectors.chunks_exact(width).map(|vector| vector[direction] * vector[direction]).sum();
                prop_assert!(along / all <= first + 1e-2, "{} along {direction}, {first} along the first axis", along / all);
            }
        }
    }
}
