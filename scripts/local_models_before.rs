//! MiniLM by this code and by the code of before it, in single precision on `ndarray`, batch by batch in turn: `scripts/local-models
//! before` copies both beside this file and runs it on a model's folder and texts as numbers of tokens, one text a line.

#![allow(dead_code)]

mod old {
    pub mod bert;
}
mod new {
    pub mod bert;
    pub mod classifier;
    pub mod published;
    pub mod sequence;
    pub mod encoder {
        pub trait Network {
            fn encode(&self, tokens: &[Vec<u32>]) -> Vec<Vec<f32>>;
        }
    }
}

use new::encoder::Network as _;

const ROUNDS: usize = 9;
/// Passages a call, and tokens computed together, as the program has them.
const BATCH: usize = 32;
const GROUP_TOKENS: usize = 512;

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn groups(batch: &[Vec<u32>]) -> Vec<Vec<Vec<u32>>> {
    let total: usize = batch.iter().map(Vec::len).sum();
    let size = total.div_ceil(total.div_ceil(GROUP_TOKENS).max(1));
    let (mut groups, mut filled) = (vec![Vec::new()], 0);
    for text in batch {
        if filled >= size {
            groups.push(Vec::new());
            filled = 0;
        }
        filled += text.len();
        groups.last_mut().unwrap().push(text.clone());
    }
    groups
}

/// Multiplications and additions of the products and of attention.
fn operations(text: &Vec<u32>) -> f64 {
    let tokens = text.len() as f64;
    6.0 * tokens * (2.0 * (4.0 * 384.0 * 384.0 + 2.0 * 384.0 * 1536.0) + 4.0 * 384.0 * tokens)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = |name: &str| std::fs::read(format!("{}/{name}", arguments[0])).unwrap();
    let texts: Vec<Vec<u32>> = std::fs::read_to_string(&arguments[1])
        .unwrap()
        .lines()
        .map(|line| line.split(' ').map(|id| id.parse().unwrap()).collect())
        .collect();
    let old = old::bert::Bert::from_safetensors(&file("config.json"), &file("model.safetensors")).unwrap();
    let cpu = ragstream_kernel::Cpu::detect();
    let new = new::published::read(cpu, &file("config.json"), file("model.safetensors")).unwrap();
    let codes: [(&str, &dyn Fn(&[Vec<u32>]) -> Vec<Vec<f32>>); 2] = [("before", &|g| old.encode(g)), ("now", &|g| new.encode(g))];

    let (mut rates, mut difference) = ([Vec::new(), Vec::new()], 0.0_f32);
    for round in 0..ROUNDS {
        let mut spent = [0.0; 2];
        for (at, batch) in texts.chunks(BATCH).enumerate() {
            let mut found: [Vec<f32>; 2] = Default::default();
            for turn in 0..2 {
                let code = (turn + round + at) % 2;
                let started = cpu_seconds();
                found[code] = groups(batch).iter().flat_map(|group| codes[code].1(group)).flatten().collect();
                spent[code] += cpu_seconds() - started;
            }
            difference = found[0].iter().zip(&found[1]).map(|(a, b)| (a - b).abs()).fold(difference, f32::max);
        }
        for (rates, spent) in rates.iter_mut().zip(spent) {
            rates.push(texts.len() as f64 / spent);
        }
    }
    let giga = texts.iter().map(operations).sum::<f64>() / texts.len() as f64 / 1e9;
    let middle = |numbers: &[f64]| {
        let mut numbers = numbers.to_vec();
        numbers.sort_by(f64::total_cmp);
        (numbers[0], numbers[numbers.len() / 2], numbers[numbers.len() - 1])
    };
    for ((name, _), rates) in codes.iter().zip(&rates) {
        let (least, median, most) = middle(rates);
        println!("{name}: {median:.1} passages a CPU second ({least:.1} to {most:.1}), {:.0} GFLOP/s", median * giga);
    }
    let ratios: Vec<f64> = rates[1].iter().zip(&rates[0]).map(|(now, before)| now / before).collect();
    let (least, median, most) = middle(&ratios);
    println!("{median:.2} times as many ({least:.2} to {most:.2}), vectors at most {difference:.1e} apart");
}
