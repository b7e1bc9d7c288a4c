//! What the tests need and `cargo` does not bring: model weights, and programs to test against. A test passes with them or not
//! at all; the first that misses them ends the run with one line that says what to do, where each would fail in its own words.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The local models and their files.
pub const MODELS: [(&str, &[&str]); 4] = [
    ("potion-base-8M", &PUBLISHED),
    ("all-MiniLM-L6-v2", &PUBLISHED),
    ("multilingual-e5-small", &["e5-small-q4.bin"]),
    ("use-multilingual-v3", &["weights.npz", "sp.model"]),
];
pub const PUBLISHED: [&str; 3] = ["model.safetensors", "tokenizer.json", "config.json"];

/// The folder that the scripts install into.
fn cache() -> PathBuf {
    let set = std::env::var_os("RAGSTREAM_CACHE").map(PathBuf::from);
    set.unwrap_or_else(|| dirs::cache_dir().unwrap().join("ragstream"))
}

/// The cache folder, with the files of the local models below `models/`.
pub fn cache_with_models() -> PathBuf {
    let cache = cache();
    let mut files =
        MODELS.iter().flat_map(|(model, files)| files.iter().map(move |file| Path::new("models").join(model).join(file)));
    if !files.all(|file| cache.join(file).is_file()) {
        give_up(&cache);
    }
    cache
}

/// The Python that has the programs to test against.
pub fn python_with_peers() -> PathBuf {
    let python = cache().join("peers/bin/python");
    if !python.is_file() {
        give_up(&cache());
    }
    python
}

/// A Chromium, by any of its names.
pub fn chromium() -> PathBuf {
    let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    let of_path = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let apps =
        ["Chromium", "Google Chrome"].map(|name| PathBuf::from(format!("/Applications/{name}.app/Contents/MacOS/{name}")));
    of_path.chain(apps).find(|program| program.is_file()).unwrap_or_else(|| give_up(&cache()))
}

/// Ends the process: the other tests are spared saying the same.
fn give_up(cache: &Path) -> ! {
    static SAID: Mutex<()> = Mutex::new(());
    // Kept to the end, which whoever comes second waits for.
    let _said = SAID.lock();
    // On a line of its own also where the name of a test was shown without its end.
    let line = format!(
        "\nerror: the tests need models and programs that are not all in {}: run scripts/test, which installs them with pip and \
         runs every check, or scripts/models and scripts/peers alone\n",
        cache.display()
    );
    // Not by `eprintln!`, which a test's output would swallow.
    std::io::stderr().write_all(line.as_bytes()).ok();
    std::process::exit(101);
}
