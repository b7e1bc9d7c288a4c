use std::sync::Arc;

use tempfile::TempDir;

use super::super::key::Vector;
use super::*;
use crate::providers::InputType;

const MAX: u64 = 1 << 30;
const PAGE: usize = super::PAGE as usize;

fn key(n: usize) -> Key {
    Key::new("test/model/8", InputType::Passage, &format!("text {n}"))
}

/// Different for every n, and nothing that a page of zeros would give.
fn vector(n: usize, width: usize) -> Vector {
    (0..width).map(|i| (n * 31 + i * 7 + 1) as f32 * 0.01).collect()
}

fn entries(range: std::ops::Range<usize>, width: usize) -> Vec<(Key, Vector)> {
    range.map(|n| (key(n), vector(n, width))).collect()
}

fn keys(range: std::ops::Range<usize>) -> Vec<Key> {
    range.map(key).collect()
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self) -> PathBuf {
        self.0.path().join("embeddings.sqlite3")
    }
    fn aside(&self) -> PathBuf {
        self.path().with_extension("damaged")
    }
    fn file(&self) -> CacheFile<Vector> {
        CacheFile::<Vector>::new(self.path(), MAX)
    }
    /// A file with entries 0 to `count`, closed.
    fn with(count: usize, width: usize) -> Self {
        let folder = Self::new();
        folder.file().put(&entries(0..count, width));
        assert_eq!(folder.found(count, width), count);
        folder
    }
    /// How many of the first entries a new reader finds; each is checked to be right.
    fn found(&self, count: usize, width: usize) -> usize {
        let found = self.file().get(&keys(0..count));
        assert_eq!(found.len(), count);
        found
            .into_iter()
            .enumerate()
            .filter_map(|(n, found)| found.map(|found| assert_eq!(found, vector(n, width), "a wrong vector")))
            .count()
    }
    /// A reader finds what it finds, and what it puts there then is found. Not always at once: a damaged key can hide a
    /// neighbour until the page is written again.
    fn heals(&self, count: usize, width: usize) {
        for _ in 0..5 {
            let mut file = self.file();
            let found = file.get(&keys(0..count));
            let missing: Vec<usize> = (0..count).filter(|n| found[*n].is_none()).collect();
            let paid: Vec<(Key, Vector)> = missing.into_iter().map(|n| (key(n), vector(n, width))).collect();
            file.put(&paid);
            drop(file);
            if self.found(count, width) == count {
                return;
            }
        }
        panic!("what was paid for again was not kept");
    }
}

#[test]
fn what_is_put_is_there_for_another_and_nothing_else_is() {
    let folder = Folder::with(100, 8);
    let mut found = folder.file().get(&keys(50..150));
    assert!(found.split_off(50).iter().all(Option::is_none));
    assert!(found.iter().all(Option::is_some));
    assert_eq!(held(&folder.path()).unwrap().entries, 100);
    assert_eq!(held(&folder.0.path().join("none.sqlite3")), None);
}

#[test]
fn any_numbers_come_back_bit_for_bit() {
    let folder = Folder::new();
    let odd: Vector = Arc::from([0.0, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX, -1.5e-30]);
    folder.file().put(&[(key(0), Arc::clone(&odd)), (key(1), Arc::from([]))]);
    let found = folder.file().get(&keys(0..2));
    let bits = |vector: &Vector| vector.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    assert_eq!(found[0].as_ref().map(bits), Some(bits(&odd)));
    assert_eq!(found[1].as_deref(), Some([].as_slice()));
}

#[test]
fn four_who_read_and_write_at_once_lose_nothing() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let mut file = folder.file();
            scope.spawn(move || {
                for batch in 0..20 {
                    // Every other batch is one that another worker writes as well.
                    let start = if batch % 2 == 0 { batch * 10 } else { 1000 * (worker + 1) + batch * 10 };
                    file.put(&entries(start..start + 10, 8));
                    assert!(file.get(&keys(start..start + 10)).iter().all(Option::is_some));
                    file.touch();
                }
                assert!(!file.replaced && matches!(file.state, State::Open(_)));
            });
        }
    });
    assert!(folder.file().get(&keys(0..10)).iter().all(Option::is_some));
    assert_eq!(held(&folder.path()).unwrap().entries, 100 + 4 * 100);
}

#[test]
fn a_flipped_byte_anywhere_is_a_miss_at_most() {
    let folder = Folder::with(60, 300);
    drop(folder.file().connect_to_checkpoint());
    let whole = fs::read(folder.path()).unwrap();
    // All of the header, and places all over the rest.
    let places = (0..100).chain((100..whole.len()).step_by(whole.len() / 150));
    for place in places {
        let damaged = Folder::new();
        let mut bytes = whole.clone();
        bytes[place] ^= 0xff;
        fs::write(damaged.path(), bytes).unwrap();
        damaged.found(60, 300);
        damaged.heals(60, 300);
    }
}

#[test]
fn a_truncated_file_is_a_miss_at_most() {
    let folder = Folder::with(60, 300);
    drop(folder.file().connect_to_checkpoint());
    let whole = fs::read(folder.path()).unwrap();
    for length in [0, 1, 16, 100, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, whole.len() / 2, whole.len() - PAGE, whole.len() - 1] {
        let damaged = Folder::new();
        fs::write(damaged.path(), &whole[..length]).unwrap();
        damaged.found(60, 300);
        damaged.heals(60, 300);
    }
}

#[test]
fn a_page_of_zeros_or_noise_is_a_miss_at_most() {
    let folder = Folder::with(60, 300);
    drop(folder.file().connect_to_checkpoint());
    let whole = fs::read(folder.path()).unwrap();
    for page in 0..whole.len() / PAGE {
        for noise in [0, 0xff, 0x5a] {
            let damaged = Folder::new();
            let mut bytes = whole.clone();
            bytes[page * PAGE..(page + 1) * PAGE].fill(noise);
            fs::write(damaged.path(), bytes).unwrap();
            damaged.found(60, 300);
            damaged.heals(60, 300);
        }
    }
}

#[test]
fn a_file_that_is_damaged_under_an_open_reader_is_a_miss_at_most() {
    let folder = Folder::with(60, 300);
    drop(folder.file().connect_to_checkpoint());
    let mut file = folder.file();
    assert!(file.get(&keys(0..1))[0].is_some());
    let length = fs::metadata(folder.path()).unwrap().len();
    fs::write(folder.path(), vec![0x5a; length as usize]).unwrap();
    file.get(&keys(0..60));
    file.put(&entries(0..60, 300));
    file.touch();
    file.trim(&entries(0..60, 300));
    folder.heals(60, 300);
}

#[test]
fn what_is_no_cache_is_set_aside_and_one_such_file_is_kept() {
    let folder = Folder::new();
    for content in ["first garbage ".repeat(500), "second garbage ".repeat(500)] {
        fs::write(folder.path(), &content).unwrap();
        folder.heals(5, 8);
        assert_eq!(fs::read_to_string(folder.aside()).unwrap(), content);
        assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 3, "the cache, its lock, and what was set aside");
    }
    // Somebody else's database, and a cache of another version.
    for sql in
        ["CREATE TABLE theirs (x); INSERT INTO theirs VALUES (7);", "PRAGMA application_id = 0x72616763; CREATE TABLE t (x);"]
    {
        fs::remove_file(folder.path()).unwrap();
        Connection::open(folder.path()).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(folder.path()).unwrap();
        folder.heals(5, 8);
        assert_eq!(fs::read(folder.aside()).unwrap(), before, "unchanged");
    }
}

#[test]
fn a_folder_in_its_place_is_set_aside_or_left_alone() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path().join("inside")).unwrap();
    folder.heals(5, 8);
    assert!(folder.aside().join("inside").is_dir());
    // A second one cannot be set aside without removing the first.
    fs::remove_file(folder.path()).unwrap();
    fs::create_dir_all(folder.path().join("inside")).unwrap();
    let mut file = folder.file();
    file.put(&entries(0..5, 8));
    assert!(file.get(&keys(0..5)).iter().all(Option::is_none));
    assert!(folder.path().join("inside").is_dir() && folder.aside().join("inside").is_dir());
}

#[test]
fn where_nothing_can_be_written_there_is_nothing() {
    let folder = Folder::new();
    let blocker = folder.0.path().join("a file");
    fs::write(&blocker, "x").unwrap();
    let mut file = CacheFile::<Vector>::new(blocker.join("embeddings.sqlite3"), MAX);
    file.put(&entries(0..5, 8));
    file.trim(&entries(0..5, 8));
    assert_eq!(file.get(&keys(0..5)), vec![None; 5]);
    assert!(matches!(file.state, State::GivenUp));
}

#[test]
fn a_full_disk_costs_the_cache_and_nothing_else() {
    let folder = Folder::with(10, 300);
    let mut file = folder.file();
    file.get(&keys(0..1));
    let State::Open(opened) = &file.state else { unreachable!() };
    opened.connection.pragma_update(None, "max_page_count", 1).unwrap();
    file.put(&entries(10..200, 300));
    assert!(matches!(file.state, State::GivenUp), "one failure is enough");
    assert_eq!(file.get(&keys(0..5)), vec![None; 5]);
    assert_eq!(folder.found(200, 300), 10, "what was there before is still there, and the file is whole");
    assert!(!folder.aside().exists());
}

#[test]
fn a_writer_who_waits_too_long_goes_on_without_it() {
    let folder = Folder::with(10, 8);
    let mut file = folder.file();
    file.get(&keys(0..1));
    let State::Open(opened) = &file.state else { unreachable!() };
    opened.connection.busy_timeout(Duration::from_millis(20)).unwrap();
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    file.put(&entries(10..20, 8));
    assert!(matches!(file.state, State::GivenUp));
    drop(other);
    assert_eq!(folder.found(20, 8), 10);
}

#[test]
fn the_bound_is_kept_and_what_was_used_is_kept_longest() {
    let folder = Folder::new();
    let max = 2 << 20;
    let mut file = CacheFile::<Vector>::new(folder.path(), max);
    // 40 entries that are wanted every day, among 1000 that are not; all from long ago.
    file.put(&entries(0..1000, 100));
    let State::Open(opened) = &file.state else { unreachable!() };
    opened.connection.execute_batch("UPDATE entries SET used = used - 30").unwrap();
    let wanted: Vec<Key> = (0..40).map(|n| key(n * 25)).collect();
    assert!(file.get(&wanted).iter().all(Option::is_some));
    assert_eq!(file.stale.len(), 40);
    file.touch();
    file.get(&wanted);
    assert!(file.stale.is_empty(), "marked once a day");

    for batch in 10..60 {
        file.put(&entries(batch * 100..(batch + 1) * 100, 100));
        file.trim(&entries(batch * 100..(batch + 1) * 100, 100));
        assert!(bytes(opened_of(&file)).unwrap() <= max + (100 << 10), "batch {batch}");
    }
    drop(file);
    let size = fs::metadata(folder.path()).unwrap().len();
    assert!(size < max + (512 << 10), "the file is {size} bytes long");
    let mut file = folder.file();
    let found = |file: &mut CacheFile<Vector>, keys: &[Key]| file.get(keys).iter().filter(|found| found.is_some()).count();
    assert_eq!(found(&mut file, &keys(5900..6000)), 100, "the newest are there");
    let old: Vec<Key> = (0..1000).filter(|n| n % 25 != 0).map(key).collect();
    assert_eq!(found(&mut file, &old), 0, "what nobody wanted is gone");
    assert!(held(&folder.path()).unwrap().entries > 1500, "and no more than that has to be");
}

#[test]
fn what_was_used_outlives_what_is_as_old() {
    let folder = Folder::new();
    let mut file = CacheFile::<Vector>::new(folder.path(), 2 << 20);
    file.put(&entries(0..4000, 100));
    opened_of(&file).execute_batch("UPDATE entries SET used = used - 30").unwrap();
    let wanted: Vec<Key> = (0..40).map(|n| key(n * 25)).collect();
    file.get(&wanted);
    file.touch();
    file.put(&entries(4000..4600, 100));
    file.trim(&entries(4000..4600, 100));
    assert!(file.get(&wanted).iter().all(Option::is_some));
    let old = file.get(&keys(0..1000)).iter().filter(|found| found.is_some()).count();
    assert!(old < 1000, "others of the same age are gone");
}

#[test]
fn in_a_large_file_the_oldest_of_a_sample_go_and_all_keys_have_their_turn() {
    let folder = Folder::new();
    let mut file = CacheFile::<Vector>::new(folder.path(), 0);
    file.put(&entries(0..12_000, 4));
    opened_of(&file).execute_batch("UPDATE entries SET used = used - 30").unwrap();
    file.put(&entries(12_000..24_000, 4));
    for n in 0..16 {
        file.trim(&entries(n..n + 1, 4));
    }
    let mut found = |range| file.get(&keys(range)).iter().filter(|found| found.is_some()).count();
    assert_eq!((found(0..12_000), found(12_000..24_000)), (12_000 - 16 * SLICE, 12_000), "only old ones are gone");
    let mut held = opened_of(&file)
        .prepare("SELECT count(*), sum(used = ?1) FROM entries WHERE substr(key, 1, 1) BETWEEN ?2 AND ?3")
        .unwrap();
    for part in 0..4u8 {
        let (first, last) = (vec![part * 64], vec![part * 64 + 63]);
        let (all, new): (i64, i64) =
            held.query_row(params![today(), first, last], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert!(all - new < 2500, "of the {part}th quarter of the keys {} of 3000 old ones are left", all - new);
    }
}

fn opened_of(file: &CacheFile<Vector>) -> &Connection {
    match &file.state {
        State::Open(opened) => &opened.connection,
        _ => unreachable!("the file is not open"),
    }
}

impl CacheFile<Vector> {
    /// Opens it; when that connection is closed, all is in the one file.
    fn connect_to_checkpoint(mut self) -> Connection {
        self.get(&[]);
        match self.state {
            State::Open(opened) => opened.connection,
            _ => unreachable!("the file is not open"),
        }
    }
}
