//! Files and folders that are watched: which of them have changed, as the system tells it.
//!
//! Where each folder is watched by itself (Linux), those alone are watched that a listing enters: no hidden folder, none that is
//! excluded or ignored, none of ragstream's own. Where a whole tree is, what does not concern them is dropped.
//!
//! Invariant: a folder is watched before it is listed, so that nothing falls between the two.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::changes::{Pending, Taken};
use super::focus::Focus;
use super::own::is_own;
use super::walk::{folders, is_refused, reached};
use crate::source::FilesPlan;

/// How often it is looked whether the roots are still what they were: a file system that comes or goes is no event.
const ROOTS: Duration = Duration::from_secs(2);
/// Folders that are watched, at most: each takes some hundred bytes here and a thousand in the kernel.
const MOST: usize = 500_000;
/// Whether a folder is watched by itself, and not with all that is below it.
const EACH: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// What is at or below some paths, if anything.
    Within(Focus),
    /// Anything.
    All,
}

/// Tells of changes to files and folders. Nothing is watched any more when it is dropped.
#[derive(Debug)]
pub struct Events {
    pending: Arc<Pending>,
    watches: Arc<Mutex<Watches>>,
}

#[derive(Debug)]
struct Watches {
    plans: Vec<FilesPlan>,
    pending: Arc<Pending>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    roots: Vec<(PathBuf, Option<Identity>)>,
    /// Why there are no events.
    without: Option<String>,
    most: usize,
}

/// Which folder it is that a path leads to: its file system and its number there.
type Identity = (u64, u64);

impl Events {
    /// Begins to watch. `quiet`: for how long nothing may change before changes have settled. Where it cannot be watched,
    /// [`Self::without`] says why.
    pub async fn start(plans: Vec<FilesPlan>, quiet: Duration) -> Self {
        Self::start_with(plans, quiet, MOST).await
    }

    async fn start_with(plans: Vec<FilesPlan>, quiet: Duration, most: usize) -> Self {
        let pending = Arc::new(Pending::new(plans.clone(), quiet));
        let (watched, roots) = (BTreeSet::new(), Vec::new());
        let watches = Watches { plans, pending: Arc::clone(&pending), watcher: None, watched, roots, without: None, most };
        let events = Self { pending, watches: Arc::new(Mutex::new(watches)) };
        events.blocking(Watches::begin).await;
        events
    }

    /// Returns when something has changed and it was quiet for long enough, or has gone on for a second. May be dropped and called
    /// again at any time. Never returns where there are no events.
    pub async fn settled(&self) {
        while !self.pending.settled_within(ROOTS).await {
            let moved = self.blocking(|watches| watches.without.is_none() && watches.identities() != watches.roots).await;
            if moved == Some(true) {
                self.pending.note_lost();
            }
        }
    }

    /// What has changed since this was last called; new folders are watched from now on. Not to be dropped halfway: what it took
    /// would be lost.
    pub async fn take(&self) -> Changes {
        self.blocking(Watches::take).await.unwrap_or(Changes::All)
    }

    /// Watches what there is by now, before all of it is compared. What has changed since the last time is part of that.
    pub async fn renew(&self) {
        self.blocking(|watches| {
            let Taken { lost, .. } = watches.pending.take();
            watches.follow(lost);
        })
        .await;
    }

    /// How many folders are watched, or trees where the system watches these.
    pub fn folders(&self) -> usize {
        self.watches().watched.len()
    }

    /// Why there are no events, if there are none: then only to compare all of it tells what has changed.
    pub fn without(&self) -> Option<String> {
        self.watches().without.clone()
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: it broke.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&mut Watches) -> T + Send + 'static) -> Option<T> {
        let watches = Arc::clone(&self.watches);
        let work = move || work(&mut watches.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(work).await.ok()
    }
}

impl Watches {
    /// Watches everything from scratch.
    fn begin(&mut self) {
        self.watched.clear();
        if self.watcher.take().is_some() {
            // Its thread gives its watches back, which count as the user's until then.
            std::thread::sleep(Duration::from_millis(50));
        }
        self.roots = self.identities();
        let real =
            self.roots.iter().map(|(root, _)| (root.clone(), std::fs::canonicalize(root).unwrap_or_else(|_| root.clone())));
        self.pending.set_real(real.filter(|(root, real)| root != real).collect());
        if self.without.is_some() {
            return;
        }
        let pending = Arc::clone(&self.pending);
        match RecommendedWatcher::new(move |event| pending.note(event), notify::Config::default()) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => return self.give_up(&error),
        }
        self.renew();
    }

    /// Watches what there is by now, from scratch where what was watched may be something else.
    fn follow(&mut self, lost: bool) {
        if lost || self.identities() != self.roots {
            self.begin();
        } else {
            self.renew();
        }
    }

    /// Watches what there is, and nothing else.
    fn renew(&mut self) {
        if self.watcher.is_none() {
            return;
        }
        let mut wanted = BTreeSet::new();
        for plan in &self.plans {
            if EACH {
                wanted.extend(folders(plan, None, self.most));
            } else {
                wanted.extend(plan.paths.iter().filter(|root| root.is_dir()).cloned());
            }
            // An editor that saves a file may put another in its place: that shows in the folder.
            let files = plan.paths.iter().filter(|root| root.is_file());
            wanted.extend(files.filter_map(|root| root.parent().map(Path::to_owned)));
        }
        let old: Vec<PathBuf> = self.watched.difference(&wanted).cloned().collect();
        for folder in old {
            self.unwatch(&folder);
        }
        for folder in wanted {
            self.watch(folder);
        }
    }

    fn watch(&mut self, folder: PathBuf) {
        if self.watched.len() >= self.most {
            let many = ErrorKind::Generic(format!("there are more than {} folders", self.most));
            return self.give_up(&notify::Error::new(many));
        }
        let Some(watcher) = self.watcher.as_mut().filter(|_| !self.watched.contains(&folder)) else { return };
        let is_root = || self.plans.iter().any(|plan| plan.paths.contains(&folder));
        let mode = if !EACH && is_root() { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        match watcher.watch(&folder, mode) {
            Ok(()) => drop(self.watched.insert(folder)),
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => self.give_up(&error),
            // It has gone since it was listed, or must not be read: the listing says so.
            Err(error) => tracing::debug!(folder = %folder.display(), %error, "cannot be watched"),
        }
    }

    fn unwatch(&mut self, folder: &Path) {
        self.watched.remove(folder);
        if let Some(watcher) = &mut self.watcher {
            // The system itself gives up what is gone.
            let _ = watcher.unwatch(folder);
        }
    }

    fn give_up(&mut self, error: &notify::Error) {
        self.watcher = None;
        self.watched.clear();
        self.without = Some(match &error.kind {
            ErrorKind::MaxFilesWatch => {
                "the system watches no more folders for this user (on Linux, `sysctl fs.inotify.max_user_watches` is the limit)"
                    .to_owned()
            }
            ErrorKind::Generic(why) => why.clone(),
            ErrorKind::Io(why) => format!("the system refuses to watch: {why}"),
            _ => error.to_string(),
        });
    }

    fn identities(&self) -> Vec<(PathBuf, Option<Identity>)> {
        let roots = self.plans.iter().flat_map(|plan| &plan.paths);
        roots.map(|root| (root.clone(), identity(root))).collect()
    }

    fn take(&mut self) -> Changes {
        let Taken { all, lost, paths } = self.pending.take();
        if all {
            self.follow(lost);
            return Changes::All;
        }
        let (mut own, mut changed, mut entered, mut files) =
            (HashMap::new(), Focus::default(), Focus::default(), Focus::default());
        for (path, may_be_folder) in paths {
            let kind = std::fs::symlink_metadata(&path).ok().map(|meta| meta.file_type());
            let is_folder = kind.is_some_and(|kind| kind.is_dir());
            if may_be_folder {
                // Another folder may bear the name by now, and this one another name.
                let below = self.watched.range::<Path, _>((Bound::Included(path.as_path()), Bound::Unbounded));
                let below: Vec<PathBuf> = below.take_while(|folder| folder.starts_with(&path)).cloned().collect();
                for folder in below {
                    self.unwatch(&folder);
                }
            }
            if (kind.is_some() && !is_folder && self.refused(&path)) || self.is_own(&path, is_folder, &mut own) {
                continue;
            }
            if is_folder {
                entered.extend([path.clone()]);
            }
            if kind.is_some_and(|kind| kind.is_file()) {
                files.extend([path]);
            } else {
                changed.extend([path]);
            }
        }
        // What an ignore file hides may be written all day long.
        let files = Arc::new(files);
        changed.extend(self.plans.iter().flat_map(|plan| reached(plan, &files)));
        if EACH && !entered.is_empty() {
            let entered = Arc::new(entered);
            let new: Vec<PathBuf> = self.plans.iter().flat_map(|plan| folders(plan, Some(&entered), self.most)).collect();
            for folder in new {
                self.watch(folder);
            }
        }
        Changes::Within(changed)
    }

    /// Whether no root takes a file of this name.
    fn refused(&self, path: &Path) -> bool {
        let roots = self.plans.iter().flat_map(|plan| plan.paths.iter().map(move |root| (plan, root)));
        let mut below = roots.filter_map(|(plan, root)| Some((plan, path.strip_prefix(root).ok()?)));
        below.all(|(plan, below)| below.file_name().is_some() && is_refused(plan, below))
    }

    /// Whether it, or a folder that it lies in, is ragstream's own.
    fn is_own(&self, path: &Path, is_folder: bool, known: &mut HashMap<PathBuf, bool>) -> bool {
        let root = |folder: &&Path| !self.plans.iter().any(|plan| plan.paths.iter().any(|root| root == folder));
        is_own(path, is_folder)
            || path.ancestors().skip(1).take_while(root).any(|folder| match known.get(folder) {
                Some(own) => *own,
                None => *known.entry(folder.to_owned()).or_insert_with_key(|folder| is_own(folder, true)),
            })
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let meta = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    return Some((std::os::unix::fs::MetadataExt::dev(&meta), std::os::unix::fs::MetadataExt::ino(&meta)));
    #[cfg(not(unix))]
    return meta.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map(|at| (at.as_secs(), 0));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use globset::GlobSet;

    use super::*;

    #[tokio::test]
    async fn where_folders_are_too_many_it_says_so_and_tells_of_nothing() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["a", "b/c", ".hidden"] {
            std::fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        let (include, exclude) = (GlobSet::empty(), GlobSet::empty());
        let plan = FilesPlan { paths: vec![home.path().to_owned()], include, exclude, max_bytes: 1, shared: false };
        let start = |most| Events::start_with(vec![plan.clone()], Duration::from_millis(10), most);
        let enough = start(4).await;
        assert_eq!((enough.folders(), enough.without()), (4, None));
        let few = start(3).await;
        assert!(few.without().unwrap().contains("more than 3 folders"));
        assert_eq!(few.folders(), 0);
        std::fs::write(home.path().join("a/a.md"), "text").unwrap();
        assert!(tokio::time::timeout(ROOTS + Duration::from_millis(500), few.settled()).await.is_err());
        tokio::time::timeout(Duration::from_secs(10), enough.settled()).await.unwrap();
        assert_eq!(enough.take().await, Changes::Within([home.path().join("a/a.md")].into_iter().collect()));
        // It is outgrown while it goes on.
        std::fs::create_dir(home.path().join("d")).unwrap();
        tokio::time::timeout(Duration::from_secs(10), enough.settled()).await.unwrap();
        enough.take().await;
        assert!(enough.without().is_some());
    }
}
