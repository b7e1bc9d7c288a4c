//! Against the plainest arithmetic, in double precision, for every kind of processor that this one can be.

use std::ops::Range;

use proptest::prelude::*;

use super::cpu::Work;
use super::lanes::Lanes;
use super::rows::gelu_rows;
use super::*;

/// Numbers that look random, from -1 to 1.
fn numbers(count: usize, mut seed: u32) -> Vec<f32> {
    let next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn matrix(rows: usize, width: usize, seed: u32) -> Matrix {
    Matrix { width, numbers: numbers(rows * width, seed) }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn cpus() -> impl Iterator<Item = Cpu> {
    Cpu::available()
}

#[test]
fn products_are_right_for_all_shapes() {
    let few = [(1, 2, 1), (1, 384, 16), (5, 32, 17), (6, 64, 15), (7, 1536, 40), (13, 1280, 33), (4, 3, 5), (0, 8, 8)];
    // On both sides of where the right matrix is cut.
    let cut = [(7, 386, 384), (12, 768, 385), (13, 770, 769), (1, 382, 800)];
    let shapes = few.into_iter().chain(cut);
    for cpu in cpus() {
        // The same memory for all of them: what one leaves behind is not to be seen by the next one.
        let mut scratch = Scratch::default();
        for (rows, inputs, outputs) in shapes.clone() {
            let (x, weight, bias) = (matrix(rows, inputs, 1), matrix(outputs, inputs, 2), numbers(outputs, 3));
            let dense = Dense::new(cpu, &weight, bias.clone());
            let product = dense.of(cpu, &x, &mut scratch);
            let mut sum = product.clone();
            dense.add_to(cpu, &x, &mut sum, &mut scratch);
            assert_eq!(product.rows().len(), rows);
            for ((x, product), sum) in x.rows().zip(product.rows()).zip(sum.rows()) {
                for (((weight, bias), product), sum) in weight.rows().zip(&bias).zip(product).zip(sum) {
                    let right = dot(x, weight) + f64::from(*bias);
                    // Numbers that are all alike leave a column ten bits: half a step is 5e-4, over so many products.
                    let room = 1e-3 * (inputs as f64).sqrt();
                    assert!(
                        (f64::from(*product) - right).abs() < room,
                        "{cpu:?} {rows} {inputs} {outputs}: {product}, not {right}"
                    );
                    assert!((f64::from(*sum) - 2.0 * right).abs() < 2.0 * room);
                }
            }
        }
    }
}

fn gelu(x: f64) -> f64 {
    let mut x = [x as f32];
    gelu_rows(Cpu::Baseline, &mut x);
    f64::from(x[0])
}

#[test]
fn the_two_layers_of_a_transformer_are_right_for_any_number_of_rows() {
    // With the second, both products are cut.
    let cases = [(40, 72, vec![0, 1, 5, 6, 7, 47, 48, 49, 97, 200]), (402, 786, vec![1, 6, 13])];
    for (width, inner, counts) in cases {
        let (expand, contract) = (matrix(inner, width, 7), matrix(width, inner, 8));
        let biases = (numbers(inner, 9), numbers(width, 10));
        for cpu in cpus() {
            let first = Dense::new(cpu, &expand, biases.0.clone());
            let second = Dense::new(cpu, &contract, biases.1.clone());
            let mut scratch = Scratch::default();
            for rows in &counts {
                let x = matrix(*rows, width, 11);
                let mut sum = x.clone();
                feed_forward(cpu, &first, &second, &mut sum, &mut scratch);
                assert_eq!(sum.rows().len(), *rows);
                for (x, sum) in x.rows().zip(sum.rows()) {
                    let between: Vec<f32> =
                        expand.rows().zip(&biases.0).map(|(row, bias)| gelu(dot(x, row) + f64::from(*bias)) as f32).collect();
                    // Half a step of either product, over so many of them.
                    let room = 5e-4 * (width as f64 * inner as f64).sqrt();
                    for (((x, sum), row), bias) in x.iter().zip(sum).zip(contract.rows()).zip(&biases.1) {
                        let right = f64::from(*x) + dot(&between, row) + f64::from(*bias);
                        assert!((f64::from(*sum) - right).abs() < room, "{cpu:?} {rows}: {sum}, not {right}");
                    }
                }
            }
        }
    }
}

/// A text has the same vector in whatever batch.
#[test]
fn a_row_is_the_same_whatever_stands_beside_it() {
    let (heads, width) = (2, 64);
    let (to_attention, expand, contract) = (matrix(3 * width, width, 12), matrix(100, width, 13), matrix(width, 100, 14));
    let spans = [0..3, 3..60, 60..61, 61..130];
    let x = matrix(130, width, 15);
    for cpu in cpus() {
        let layer = |weight: &Matrix| Dense::new(cpu, weight, numbers(weight.rows().len(), 16));
        let (to_attention, expand, contract) = (layer(&to_attention), layer(&expand), layer(&contract));
        let compute = |x: &Matrix, spans: &[Range<usize>]| {
            let (mut scratch, mut attended) = (Scratch::default(), Matrix::zeros(0, 0));
            attend(cpu, &to_attention.of(cpu, x, &mut scratch), spans, heads, &mut attended);
            feed_forward(cpu, &expand, &contract, &mut attended, &mut scratch);
            attended.numbers
        };
        let together = compute(&x, &spans);
        for span in &spans {
            let range = span.start * width..span.end * width;
            let alone = Matrix { width, numbers: x.numbers[range.clone()].to_vec() };
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            let whole = 0..span.len();
            assert!(compute(&alone, std::slice::from_ref(&whole)).iter().zip(&together[range]).all(same), "{cpu:?} {span:?}");
        }
    }
}

/// The largest sums that there can be: one that left 32 bits would have the wrong sign.
#[test]
fn no_sum_overflows() {
    for cpu in cpus() {
        for inputs in [2, 384, 386, 512, 768, 1024, 1536, 4096] {
            for value in [1e-20, 1.0, 1e20] {
                let weight = Matrix { width: inputs, numbers: vec![value; inputs * 2] };
                let x =
                    Matrix { width: inputs, numbers: (0..inputs * 2).map(|at| if at < inputs { 3.0 } else { -3.0 }).collect() };
                let product = Dense::new(cpu, &weight, vec![0.0; 2]).of(cpu, &x, &mut Scratch::default());
                let right = 3.0 * value * inputs as f32;
                for (row, right) in product.rows().zip([right, -right]) {
                    assert!(
                        row.iter().all(|x| (x / right - 1.0).abs() < 1e-3),
                        "{cpu:?} {inputs} {value}: {row:?}, not {right}"
                    );
                }
            }
        }
    }
}

#[test]
fn zeros_give_the_biases() {
    for cpu in cpus() {
        let dense = Dense::new(cpu, &Matrix::zeros(20, 64), numbers(20, 4));
        let product = dense.of(cpu, &Matrix::zeros(3, 64), &mut Scratch::default());
        assert!(product.rows().all(|row| row == numbers(20, 4)), "{cpu:?}");
    }
}

#[test]
fn attention_is_within_each_sequence() {
    let (heads, width, spans) = (2, 64, [0..1, 1..8, 8..8, 8..41]);
    let qkv = matrix(41, 3 * width, 5);
    for cpu in cpus() {
        let mut attended = Matrix::zeros(0, 0);
        attend(cpu, &qkv, &spans, heads, &mut attended);
        for span in spans.clone() {
            let rows: Vec<&[f32]> = qkv.rows().skip(span.start).take(span.len()).collect();
            for (row, found) in rows.iter().zip(attended.rows().skip(span.start)) {
                for (head, found) in found.chunks(width / heads).enumerate() {
                    let part = |row: &[f32], which: usize| row[which * width..][head * 32..][..32].to_vec();
                    let scores: Vec<f64> = rows.iter().map(|other| dot(&part(row, 0), &part(other, 1)).exp()).collect();
                    let total: f64 = scores.iter().sum();
                    for (column, found) in found.iter().enumerate() {
                        let of = |(other, score): (&&[f32], &f64)| f64::from(part(other, 2)[column]) * score / total;
                        let right: f64 = rows.iter().zip(&scores).map(of).sum();
                        assert!((f64::from(*found) - right).abs() < 1e-5, "{cpu:?} {span:?}: {found}, not {right}");
                    }
                }
            }
        }
    }
}

/// `erf` to six places, from Abramowitz and Stegun, table 7.1.
#[test]
fn gelu_agrees_with_the_table() {
    for cpu in cpus() {
        for (z, erf) in [(0.0, 0.0), (0.1, 0.112_463), (0.5, 0.520_500), (1.0, 0.842_701), (1.5, 0.966_105), (2.0, 0.995_322)] {
            let x = z * std::f32::consts::SQRT_2;
            let mut found = [x, -x];
            gelu_rows(cpu, &mut found);
            assert!((found[0] - 0.5 * x * (1.0 + erf)).abs() < 5e-6, "{cpu:?}: GELU({x}) = {}", found[0]);
            assert!((found[1] + 0.5 * x * (1.0 - erf)).abs() < 5e-6, "{cpu:?}: GELU(-{x}) = {}", found[1]);
        }
        let mut large = [1e30, -1e30];
        gelu_rows(cpu, &mut large);
        assert!((large[0] / 1e30 - 1.0).abs() < 1e-6 && large[1].abs() < f32::EPSILON, "{cpu:?}: {large:?}");
    }
}

#[test]
fn exp_agrees_with_the_standard_library() {
    struct Exp<'a>(&'a mut [f32]);
    impl Work for Exp<'_> {
        type Output = ();

        #[inline(always)]
        #[allow(clippy::inline_always, reason = "compiled for what calls it")]
        fn run<L: Lanes, const PANELS: usize>(self, _: L) {
            for x in self.0 {
                *x = rows::exp_of_negative::<L>(*x);
            }
        }
    }
    let below: Vec<f32> = std::iter::successors(Some(0.0_f32), |x| Some(x - 0.001_37)).take_while(|x| *x > -86.9).collect();
    for cpu in cpus() {
        let mut found = below.clone();
        cpu.run(Exp(&mut found));
        for (x, got) in below.iter().zip(&found) {
            assert!((got - x.exp()).abs() <= 1e-6 * x.exp(), "{cpu:?}: exp({x}) = {got}, not {}", x.exp());
        }
        let mut ends = [-88.0, f32::NEG_INFINITY, 0.0];
        cpu.run(Exp(&mut ends));
        assert!(ends[0] <= 0.0 && ends[1] <= 0.0 && (ends[2] - 1.0).abs() < f32::EPSILON, "{cpu:?}: {ends:?}");
    }
}

#[test]
fn rows_are_normalised() {
    for cpu in cpus() {
        let mut rows = numbers(3 * 48, 6);
        let norm = Norm { weight: vec![2.0; 48], bias: vec![0.5; 48], epsilon: 1e-12 };
        norm.apply(cpu, &mut rows);
        for row in rows.chunks(48) {
            let mean = row.iter().sum::<f32>() / 48.0;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 48.0;
            assert!((mean - 0.5).abs() < 1e-5 && (variance - 4.0).abs() < 1e-3, "{cpu:?}: {mean} {variance}");
        }
    }
}

/// What a matrix holds.
#[derive(Debug, Clone, Copy)]
enum Content {
    /// Anything from -1 to 1, times this.
    Random(f32),
    /// One number everywhere: as a row and as a column, the largest sum that there can be.
    Same(f32),
    /// The same magnitude everywhere, in both signs.
    Signs(f32),
}

impl Content {
    fn matrix(self, rows: usize, width: usize, seed: u32) -> Matrix {
        let mut matrix = matrix(rows, width, seed);
        for x in &mut matrix.numbers {
            *x = match self {
                Self::Random(scale) => *x * scale,
                Self::Same(value) => value,
                Self::Signs(value) => value.copysign(*x),
            };
        }
        matrix
    }
}

fn content() -> impl Strategy<Value = Content> {
    let magnitude =
        prop_oneof![4 => Just(1.0_f32), 1 => Just(0.0), 1 => Just(1e-38), 1 => Just(1e-20), 1 => Just(3.0), 1 => Just(1e15)];
    (0..3, magnitude).prop_map(|(kind, scale)| match kind {
        0 => Content::Random(scale),
        1 => Content::Same(scale),
        _ => Content::Signs(scale),
    })
}

/// All kinds of processors that multiply in 16 bits give the same, down to the last bit, and so do those that this one can be.
fn same_by_all(compute: impl Fn(Cpu) -> Vec<f32>) -> Result<(), TestCaseError> {
    let found: Vec<(Cpu, Vec<u32>)> = cpus()
        .filter(|cpu| !matches!(cpu, Cpu::Baseline))
        .map(|cpu| (cpu, compute(cpu).into_iter().map(f32::to_bits).collect()))
        .collect();
    for two in found.windows(2) {
        let differs = two[0].1.iter().zip(&two[1].1).position(|(a, b)| a != b);
        prop_assert!(two[0].1 == two[1].1, "{:?} and {:?} differ, first at {differs:?}", two[0].0, two[1].0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn products_are_the_same_to_the_bit_by_all_instructions(
        (rows, inputs, outputs) in (prop_oneof![0_usize..3, 0_usize..40], 1_usize..900, prop_oneof![1_usize..70, 300_usize..800]),
        (left, right) in (content(), content()),
        seed: u32,
    ) {
        let x = left.matrix(rows, inputs, seed);
        let (weight, bias) = (right.matrix(outputs, inputs, seed ^ 1), numbers(outputs, seed ^ 2));
        same_by_all(|cpu| {
            let mut scratch = Scratch::default();
            let (dense, single) = (Dense::new(cpu, &weight, bias.clone()), Dense::single(&weight, bias.clone()));
            let mut sum = dense.of(cpu, &x, &mut scratch);
            let mut all = sum.numbers.clone();
            dense.add_to(cpu, &x, &mut sum, &mut scratch);
            all.extend(sum.numbers);
            all.extend(single.of(cpu, &x, &mut scratch).numbers);
            all
        })?;
    }

    #[test]
    fn the_two_layers_of_a_transformer_are_the_same_to_the_bit_by_all_instructions(
        (rows, width, inner) in (0_usize..40, 1_usize..200, prop_oneof![1_usize..100, 380_usize..800]),
        (of_x, first, second) in (content(), content(), content()),
        seed: u32,
    ) {
        let x = of_x.matrix(rows, width, seed);
        let (expand, contract) = (first.matrix(inner, width, seed ^ 1), second.matrix(width, inner, seed ^ 2));
        let norm = Norm { weight: numbers(width, seed ^ 3), bias: numbers(width, seed ^ 4), epsilon: 1e-12 };
        same_by_all(|cpu| {
            let layer = |weight: &Matrix| Dense::new(cpu, weight, numbers(weight.rows().len(), seed ^ 5));
            let mut sum = x.clone();
            feed_forward(cpu, &layer(&expand), &layer(&contract), &mut sum, &mut Scratch::default());
            let mut all = sum.numbers.clone();
            norm.apply(cpu, &mut sum.numbers);
            all.extend(sum.numbers);
            all
        })?;
    }

    #[test]
    fn attention_is_the_same_to_the_bit_by_all_instructions(
        (heads, head) in (1_usize..4, (1_usize..5).prop_map(|count| 16 * count)),
        lengths in prop::collection::vec(0_usize..70, 0..4),
        of_qkv in content(),
        seed: u32,
    ) {
        let mut from = 0;
        let spans: Vec<Range<usize>> = lengths.iter().map(|length| { from += length; from - length..from }).collect();
        let qkv = of_qkv.matrix(from, 3 * heads * head, seed);
        same_by_all(|cpu| {
            let mut attended = Matrix::zeros(0, 0);
            attend(cpu, &qkv, &spans, heads, &mut attended);
            attended.numbers
        })?;
    }
}
