//! Compound files (CFB): the containers of Office 97–2003 and of Outlook. Own reading, since files that are damaged in their
//! tables are read here as far as their chains lead.

/// Entries of a directory.
const MAX_ENTRIES: usize = 200_000;
/// Sector numbers from here on are marks.
const LAST_SECTOR: u32 = 0xffff_fff9;
/// Streams shorter than this lie in sectors of 64 bytes.
const MINI_STREAM: u64 = 4096;
const MINI_SECTOR: usize = 64;

#[derive(Debug)]
pub(super) struct Compound {
    bytes: Vec<u8>,
    sector: usize,
    fat: Vec<u32>,
    mini_fat: Vec<u32>,
    /// What the small streams lie in.
    mini: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    is_storage: bool,
    start: u32,
    size: u64,
    left: u32,
    right: u32,
    child: u32,
}

/// A storage, by its place in the directory; 0 is the root.
pub(super) type Storage = usize;

impl Compound {
    pub(super) fn open(bytes: Vec<u8>) -> Option<Self> {
        let shift = u16_at(&bytes, 30)?;
        let sector = if matches!(shift, 9 | 12) { 1usize << shift } else { return None };
        let mut file = Self { bytes, sector, fat: Vec::new(), mini_fat: Vec::new(), mini: Vec::new(), entries: Vec::new() };
        file.read_fat();
        let mini_fat = file.chain(u32_at(&file.bytes, 60)?, usize::MAX);
        file.mini_fat = mini_fat.chunks_exact(4).filter_map(|b| u32_at(b, 0)).collect();
        let directory = file.chain(u32_at(&file.bytes, 48)?, usize::MAX);
        file.entries = directory.chunks_exact(128).take(MAX_ENTRIES).filter_map(Entry::read).collect();
        let root = file.entries.first()?;
        file.mini = file.chain(root.start, usize::try_from(root.size).ok()?);
        Some(file)
    }

    fn sector_at(&self, number: u32) -> &[u8] {
        let from = (number as usize).saturating_add(1).saturating_mul(self.sector);
        let to = from.saturating_add(self.sector).min(self.bytes.len());
        self.bytes.get(from..to).unwrap_or_default()
    }

    fn read_fat(&mut self) {
        let mut tables: Vec<u32> = (0..109).filter_map(|i| u32_at(&self.bytes, 76 + 4 * i)).collect();
        let mut next = u32_at(&self.bytes, 68).unwrap_or(u32::MAX);
        let most = self.bytes.len() / self.sector + 1;
        let mut steps = 0;
        while next < LAST_SECTOR && steps < most {
            let table = self.sector_at(next);
            let per = self.sector / 4 - 1;
            tables.extend((0..per).filter_map(|i| u32_at(table, 4 * i)));
            next = u32_at(table, 4 * per).unwrap_or(u32::MAX);
            steps += 1;
        }
        let tables = tables.into_iter().filter(|&t| t < LAST_SECTOR).take(most);
        self.fat =
            tables.flat_map(|t| self.sector_at(t).chunks_exact(4).filter_map(|b| u32_at(b, 0)).collect::<Vec<_>>()).collect();
    }

    /// What lies in a chain of sectors. A chain that comes back to itself ends after as many steps as there are sectors.
    fn chain(&self, start: u32, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut next = start;
        for _ in 0..=self.bytes.len() / self.sector {
            if next >= LAST_SECTOR || out.len() >= size {
                break;
            }
            let sector = self.sector_at(next);
            if sector.is_empty() {
                break;
            }
            out.extend_from_slice(sector);
            next = self.fat.get(next as usize).copied().unwrap_or(u32::MAX);
        }
        out.truncate(size);
        out
    }

    fn content(&self, entry: &Entry) -> Vec<u8> {
        let size = usize::try_from(entry.size).unwrap_or(usize::MAX);
        if entry.size >= MINI_STREAM {
            return self.chain(entry.start, size);
        }
        let mut out = Vec::new();
        let mut next = entry.start;
        while next < LAST_SECTOR && out.len() < size {
            let from = (next as usize).saturating_mul(MINI_SECTOR);
            let Some(sector) = self.mini.get(from..(from + MINI_SECTOR).min(self.mini.len())).filter(|s| !s.is_empty()) else {
                break;
            };
            out.extend_from_slice(sector);
            next = self.mini_fat.get(next as usize).copied().unwrap_or(u32::MAX);
        }
        out.truncate(size);
        out
    }

    /// The entries of a storage, by their names.
    pub(super) fn children(&self, storage: Storage) -> Vec<(&str, usize)> {
        let mut out = Vec::new();
        let mut seen = vec![false; self.entries.len()];
        let mut todo: Vec<u32> = self.entries.get(storage).map(|e| e.child).into_iter().collect();
        while let Some(at) = todo.pop() {
            let at = at as usize;
            let Some(entry) = self.entries.get(at) else { continue };
            // A tree that is damaged may be none.
            if std::mem::replace(seen.get_mut(at).unwrap_or(&mut true), true) {
                continue;
            }
            out.push((entry.name.as_str(), at));
            todo.extend([entry.right, entry.left]);
        }
        out
    }

    /// A stream in a storage.
    pub(super) fn stream(&self, storage: Storage, name: &str) -> Option<Vec<u8>> {
        let entry = self.find(storage, name).and_then(|at| self.entries.get(at))?;
        (!entry.is_storage).then(|| self.content(entry))
    }

    /// A storage or a stream in a storage, by its name in letters of any size.
    pub(super) fn find(&self, storage: Storage, name: &str) -> Option<usize> {
        let in_tree = self.children(storage).into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, at)| at);
        // In a damaged tree it may hang nowhere.
        in_tree.or_else(|| (storage == 0).then(|| self.entries.iter().position(|e| e.name.eq_ignore_ascii_case(name)))?)
    }
}

impl Entry {
    fn read(raw: &[u8]) -> Option<Self> {
        let length = usize::from(u16_at(raw, 64)?).min(64).saturating_sub(2);
        let units: Vec<u16> = raw.get(..length)?.chunks_exact(2).filter_map(|b| u16_at(b, 0)).collect();
        Some(Self {
            name: String::from_utf16_lossy(&units),
            is_storage: *raw.get(66)? != 2,
            left: u32_at(raw, 68)?,
            right: u32_at(raw, 72)?,
            child: u32_at(raw, 76)?,
            start: u32_at(raw, 116)?,
            // The upper half is rubbish in old files.
            size: u64::from(u32_at(raw, 120)?),
        })
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Text in UTF-16, as Windows writes it.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).filter_map(|b| u16_at(b, 0)).collect();
    String::from_utf16_lossy(&units)
}

/// Compound files for tests: storages are written `name/`, and what is in them as `name/stream`.
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]
pub(super) fn built(streams: &[(&str, &[u8])]) -> Vec<u8> {
    // Each stream is padded to a size that lies in whole sectors.
    let mut sectors: Vec<Vec<u8>> = Vec::new();
    let mut fat: Vec<u32> = Vec::new();
    let mut place = |content: &[u8], sectors: &mut Vec<Vec<u8>>| {
        let start = sectors.len() as u32;
        for chunk in content.chunks(512) {
            let mut sector = chunk.to_vec();
            sector.resize(512, 0);
            sectors.push(sector);
            fat.push(sectors.len() as u32);
        }
        *fat.last_mut().unwrap() = 0xffff_fffe;
        start
    };
    let mut names: Vec<(String, String)> = vec![(String::new(), "Root Entry".to_owned())];
    let mut contents: Vec<Option<(u32, u32)>> = vec![None];
    for (path, content) in streams {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !folder.is_empty() && !names.iter().any(|(_, n)| n == folder) {
            names.push((String::new(), folder.to_owned()));
            contents.push(None);
        }
        let mut padded = content.to_vec();
        padded.resize(content.len().max(4096), 0);
        contents.push(Some((place(&padded, &mut sectors), padded.len() as u32)));
        names.push((folder.to_owned(), name.to_owned()));
    }
    let mut directory = Vec::new();
    for (i, (folder, name)) in names.iter().enumerate() {
        let mut raw = vec![0u8; 128];
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        raw[..units.len()].copy_from_slice(&units);
        raw[64..66].copy_from_slice(&(units.len() as u16 + 2).to_le_bytes());
        raw[66] = if i == 0 {
            5
        } else if contents[i].is_some() {
            2
        } else {
            1
        };
        // Siblings hang on one another to the right.
        let right = if i == 0 { None } else { (i + 1..names.len()).find(|&j| names[j].0 == *folder) };
        let own = if i == 0 { "" } else { name.as_str() };
        let child = if contents[i].is_none() { (1..names.len()).find(|&j| names[j].0 == own) } else { None };
        let link = |at: Option<usize>| at.map_or(u32::MAX, |at| at as u32).to_le_bytes();
        raw[68..72].copy_from_slice(&u32::MAX.to_le_bytes());
        raw[72..76].copy_from_slice(&link(right));
        raw[76..80].copy_from_slice(&link(child));
        let (start, size) = contents[i].unwrap_or((0xffff_fffe, 0));
        raw[116..120].copy_from_slice(&start.to_le_bytes());
        raw[120..124].copy_from_slice(&size.to_le_bytes());
        directory.extend(raw);
    }
    let directory_at = place(&directory, &mut sectors);
    let fat_at = sectors.len();
    let tables = (fat.len() + 1).div_ceil(127);
    fat.extend(std::iter::repeat_n(0xffff_fffd, tables));
    let mut raw: Vec<u8> = fat.iter().flat_map(|n| n.to_le_bytes()).collect();
    raw.resize(tables * 512, 0xff);
    let mut header = vec![0u8; 512];
    header[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    header[30..32].copy_from_slice(&9u16.to_le_bytes());
    header[48..52].copy_from_slice(&directory_at.to_le_bytes());
    header[60..64].copy_from_slice(&0xffff_fffeu32.to_le_bytes());
    header[68..72].copy_from_slice(&0xffff_fffeu32.to_le_bytes());
    header[76..].fill(0xff);
    for i in 0..tables {
        header[76 + 4 * i..80 + 4 * i].copy_from_slice(&((fat_at + i) as u32).to_le_bytes());
    }
    [header, sectors.concat(), raw].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    #[test]
    fn streams_and_storages() {
        let file = Compound::open(built(&[("One", b"first"), ("in/Two", b"second"), ("in/Three", &vec![7; 70_000])])).unwrap();
        assert!(file.stream(0, "one").unwrap().starts_with(b"first"));
        let within = file.find(0, "in").unwrap();
        assert!(file.stream(within, "Two").unwrap().starts_with(b"second"));
        assert_eq!(file.stream(within, "Three").unwrap(), vec![7; 70_000]);
        assert_eq!(file.children(within).len(), 2);
        assert_eq!(file.stream(0, "none"), None);
    }

    #[test]
    fn circles_end() {
        let mut bytes = built(&[("One", &[1; 5000])]);
        // Every sector is followed by the first.
        let from = bytes.len() - 512;
        for chunk in bytes.get_mut(from..).unwrap().chunks_exact_mut(4) {
            chunk.copy_from_slice(&[0; 4]);
        }
        let _ = Compound::open(bytes).map(|file| file.stream(0, "One"));
        assert!(Compound::open(b"\xd0\xcf\x11\xe0".to_vec()).is_none());
    }
}
