//! MiniLM by the code of before the kernel, in single precision on `ndarray`, and by this code, for all that this processor can be, batch
//! by batch in turn: `scripts/local-models before` copies both beside this file and runs it on a model's folder and texts as numbers of
//! tokens, one text a line.

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
use ragstream_kernel::Cpu;

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
    let kinds: Vec<_> = Cpu::available().filter(|cpu| !matches!(cpu, Cpu::Baseline)).collect();
    let read = |cpu| new::published::read(cpu, &file("config.json"), file("model.safetensors")).unwrap();
    let news: Vec<_> = kinds.iter().map(|cpu| read(*cpu)).collect();
    let encode = |code: usize, group: &[Vec<u32>]| if code == 0 { old.encode(group) } else { news[code - 1].encode(group) };
    let count = 1 + kinds.len();

    let (mut rates, mut difference) = (vec![Vec::new(); count], vec![0.0_f32; count]);
    for round in 0..ROUNDS {
        let mut spent = vec![0.0; count];
        for (at, batch) in texts.chunks(BATCH).enumerate() {
            let mut found: Vec<Vec<f32>> = vec![Vec::new(); count];
            for turn in 0..count {
                let code = (turn + round + at) % count;
                let started = cpu_seconds();
                found[code] = groups(batch).iter().flat_map(|group| encode(code, group)).flatten().collect();
                spent[code] += cpu_seconds() - started;
            }
            for (difference, found_now) in difference.iter_mut().zip(&found) {
                *difference = found[0].iter().zip(found_now).map(|(a, b)| (a - b).abs()).fold(*difference, f32::max);
            }
            assert!(found.iter().skip(2).all(|vectors| *vectors == found[1]), "two kinds of this processor differ");
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
    for (code, now) in rates.iter().enumerate() {
        let (least, median, most) = middle(now);
        let name = code.checked_sub(1).map_or("before".into(), |at| format!("{:?}", kinds[at]));
        println!(
            "{}: {median:.1} passages a CPU second ({least:.1} to {most:.1}), {:.0} GFLOP/s",
            name.split('(').next().unwrap(),
            median * giga
        );
        if code > 0 {
            let ratios: Vec<f64> = now.iter().zip(&rates[0]).map(|(now, before)| now / before).collect();
            let (least, median, most) = middle(&ratios);
            let apart = difference[code];
            println!("  {median:.2} times as many ({least:.2} to {most:.2}), vectors at most {apart:.1e} apart");
        }
    }
}
