//! Documents to measure with: Markdown whose words follow one another as in the project's own documentation, different in
//! every file and the same for the same seed.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::provider::Random;

/// Makes texts.
pub struct Writer {
    words: Vec<String>,
    random: Random,
}

impl Writer {
    pub fn new(seed: u64) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut samples = Vec::new();
        collect(&root.join("data/lantern"), &mut samples);
        collect(&root.join("src"), &mut samples);
        samples.sort();
        let words = samples
            .iter()
            .flat_map(|text| text.split_whitespace())
            .filter(|word| word.is_ascii() && !word.starts_with(['#', '/', '|', '`', '-', '<']))
            .map(str::to_owned)
            .collect::<Vec<_>>();
        assert!(words.len() > 1000, "the project's documentation is gone");
        Self { words, random: Random(seed) }
    }

    /// A document of about so many bytes.
    pub fn markdown(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 400);
        text.push_str("# ");
        self.sentence(&mut text, 5);
        while text.len() < bytes {
            text.push_str("\n\n");
            match self.random.below(12) {
                0 => {
                    text.push_str("## ");
                    self.sentence(&mut text, 4);
                }
                1 => (0..4).for_each(|_| {
                    text.push_str("- ");
                    self.sentence(&mut text, 9);
                    text.push('\n');
                }),
                2 => {
                    text.push_str("```sh\nlantern --retries 3 --");
                    self.sentence(&mut text, 6);
                    text.push_str("\n```");
                }
                _ => (0..3 + self.random.below(4)).for_each(|_| {
                    let words = 6 + self.random.below(16);
                    self.sentence(&mut text, words);
                    text.push(' ');
                }),
            }
        }
        text.push('\n');
        text
    }

    /// Runs of about eight words as somebody wrote them, put together anew.
    fn sentence(&mut self, text: &mut String, words: usize) {
        let mut at = self.random.below(self.words.len());
        for n in 0..words {
            if n > 0 {
                text.push(' ');
            }
            if self.random.below(6) == 0 {
                self.rare(text);
            } else {
                text.push_str(&self.words[at]);
            }
            at = if self.random.below(8) == 0 { self.random.below(self.words.len()) } else { (at + 1) % self.words.len() };
        }
    }

    /// A word of the hundred thousand that a large corpus has and hardly any document repeats: names, numbers, identifiers.
    fn rare(&mut self, text: &mut String) {
        const PARTS: [&str; 16] =
            ["mar", "ten", "vi", "sol", "ka", "ber", "lin", "do", "ra", "quin", "es", "tor", "ne", "hal", "um", "pix"];
        // The product of two makes small numbers likelier, as in Zipf's law.
        let mut rest = (self.random.unit() * self.random.unit() * 100_000.0) as usize;
        for _ in 0..4 {
            text.push_str(PARTS[rest % 16]);
            rest /= 16;
        }
    }

    /// Writes documents until they hold so many bytes, at most 100 a folder, dated in the past so that their stamps can be
    /// trusted. Returns how many there are.
    pub fn fill(&mut self, folder: &Path, bytes: u64, document: usize) -> u64 {
        let dated = SystemTime::now() - Duration::from_secs(100_000);
        let (mut written, mut files) = (0, 0);
        while written < bytes {
            let sub = folder.join(format!("part-{:04}", files / 100));
            if files % 100 == 0 {
                std::fs::create_dir_all(&sub).unwrap();
            }
            let size = document / 2 + self.random.below(document);
            let text = self.markdown(size);
            let mut file = File::create(sub.join(format!("{files:06}.md"))).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.set_modified(dated).unwrap();
            written += text.len() as u64;
            files += 1;
        }
        files
    }
}

/// The prose below a folder: Markdown files, and what source files say of themselves.
fn collect(folder: &Path, texts: &mut Vec<String>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, texts);
            continue;
        }
        let comments = path.extension().is_some_and(|extension| extension == "rs");
        if comments || path.extension().is_some_and(|extension| extension == "md") {
            let text = std::fs::read_to_string(&path).unwrap();
            let said = |line: &&str| !comments || line.trim_start().starts_with("///") || line.starts_with("//!");
            texts.push(text.lines().filter(said).collect::<Vec<_>>().join("\n"));
        }
    }
}
