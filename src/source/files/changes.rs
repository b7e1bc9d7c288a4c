//! What the system says has changed, gathered until it is quiet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind};
use notify::{Event, EventKind};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::walk::{is_hidden, is_refused};
use crate::source::FilesPlan;

/// Nobody waits longer than this since the first change.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many changed paths are too many to be looked at one by one.
const MOST: usize = 2_048;

/// Changes that nobody has taken yet. Bounded, however many there are.
#[derive(Debug)]
pub(super) struct Pending {
    plans: Vec<FilesPlan>,
    /// After a change it must be quiet for this long.
    quiet: Duration,
    gathered: Mutex<Gathered>,
    woken: Notify,
}

#[derive(Debug, Default)]
struct Gathered {
    taken: Taken,
    /// What the roots are really called, where that is another name.
    real: Vec<(PathBuf, PathBuf)>,
    /// The first change and the last.
    since: Option<(Instant, Instant)>,
}

/// Changes that were taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Anything may have changed.
    pub all: bool,
    /// Events were lost, or what is watched is not what is there.
    pub lost: bool,
    /// Paths that changed, and whether each may be a folder or have been one.
    pub paths: HashMap<PathBuf, bool>,
}

/// What a change of a path concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Concerns {
    Nothing,
    Path,
    Everything,
}

impl Pending {
    pub fn new(plans: Vec<FilesPlan>, quiet: Duration) -> Self {
        Self { plans, quiet, gathered: Mutex::default(), woken: Notify::new() }
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the roots are really called, as some systems say it in their events.
    pub fn set_real(&self, real: Vec<(PathBuf, PathBuf)>) {
        self.gathered().real = real;
    }

    /// Takes note of what the system says. Called on a thread of the watcher's own.
    pub fn note(&self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) if event.need_rescan() => return self.note_lost(),
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(%error, "the system cannot tell of all changes");
                return self.note_lost();
            }
        };
        let may_be_folder = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Data(_))
            | EventKind::Create(CreateKind::File)
            | EventKind::Remove(RemoveKind::File) => false,
            EventKind::Access(_) => return,
            EventKind::Any | EventKind::Other | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) => true,
        };
        let mut gathered = self.gathered();
        for path in event.paths {
            let path =
                gathered.real.iter().find_map(|(root, real)| Some(root.join(path.strip_prefix(real).ok()?))).unwrap_or(path);
            match self.concerns(&path, may_be_folder) {
                Concerns::Nothing => continue,
                Concerns::Path if gathered.taken.all => {}
                Concerns::Path => *gathered.taken.paths.entry(path).or_default() |= may_be_folder,
                Concerns::Everything => gathered.taken.all = true,
            }
            gathered.touch();
        }
        if gathered.taken.paths.len() > MOST {
            gathered.taken.all = true;
        }
        if gathered.taken.all {
            gathered.taken.paths = HashMap::new();
        }
        if gathered.since.is_some() {
            self.woken.notify_one();
        }
    }

    /// Takes note that anything may have changed, and that what is watched is to be looked up anew.
    pub fn note_lost(&self) {
        let mut gathered = self.gathered();
        gathered.taken = Taken { all: true, lost: true, paths: HashMap::new() };
        gathered.touch();
        self.woken.notify_one();
    }

    fn concerns(&self, path: &Path, may_be_folder: bool) -> Concerns {
        let of_root = |plan: &FilesPlan, root: &Path| {
            let Ok(below) = path.strip_prefix(root) else { return Concerns::Nothing };
            let Some(name) = below.file_name() else {
                // A root that is a file is saved like any other; a folder comes and goes as a whole.
                return if may_be_folder { Concerns::Everything } else { Concerns::Path };
            };
            if below.parent().is_some_and(|above| above.iter().any(is_hidden)) {
                Concerns::Nothing
            } else if name == ".gitignore" || name == ".ignore" {
                Concerns::Everything
            } else if is_hidden(name) || (!may_be_folder && is_refused(plan, below)) {
                Concerns::Nothing
            } else {
                Concerns::Path
            }
        };
        let roots = self.plans.iter().flat_map(|plan| plan.paths.iter().map(move |root| (plan, root)));
        roots.map(|(plan, root)| of_root(plan, root)).max().unwrap_or(Concerns::Nothing)
    }

    /// Returns as soon as something has changed and it is quiet, or has been loud for long enough; or after this time.
    pub async fn settled_within(&self, time: Duration) -> bool {
        let give_up = tokio::time::sleep(time);
        tokio::pin!(give_up);
        loop {
            let due = self.due();
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep(due.saturating_duration_since(Instant::now())).await,
                    None => self.woken.notified().await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = &mut give_up => return false,
            }
            // More may have come while this one slept.
            if self.due().is_some_and(|due| due <= Instant::now()) {
                return true;
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.gathered().since.map(|(first, last)| (last + self.quiet).min(first + PATIENCE))
    }

    /// All that has changed by now.
    pub fn take(&self) -> Taken {
        let mut gathered = self.gathered();
        gathered.since = None;
        std::mem::take(&mut gathered.taken)
    }
}

impl Gathered {
    fn touch(&mut self) {
        let now = Instant::now();
        self.since = Some((self.since.map_or(now, |(first, _)| first), now));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use globset::GlobSet;
    use notify::event::{DataChange, Flag, MetadataKind, RenameMode};

    use super::*;
    use crate::source::{glob, glob_set};

    fn pending(roots: &[&str], include: &[&str], exclude: &[&str]) -> Pending {
        let set = |globs: &[&str]| match globs {
            [] => GlobSet::empty(),
            globs => glob_set(globs.iter().map(|text| glob(text).unwrap()).collect()).unwrap(),
        };
        let paths = roots.iter().map(PathBuf::from).collect();
        Pending::new(
            vec![FilesPlan { paths, include: set(include), exclude: set(exclude), max_bytes: 1, shared: false }],
            QUIET,
        )
    }

    const QUIET: Duration = Duration::from_millis(100);
    const SAVED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::Any));

    fn taken(pending: &Pending, kind: EventKind, path: &str) -> Option<Vec<PathBuf>> {
        pending.note(Ok(Event::new(kind).add_path(path.into())));
        let taken = pending.take();
        (!taken.all).then(|| taken.paths.into_keys().collect())
    }

    #[test]
    fn what_cannot_become_a_document_is_no_change() {
        let pending = pending(&["/d", "/d/.own", "/f/a.md"], &["**/*.md"], &["old/**"]);
        let nothing = Some(Vec::new());
        for path in [
            "/x/a.md",
            "/d/.git/a.md",
            "/d/.a.md.swp",
            "/d/~$a.md",
            "/d/a.txt",
            "/d/old/a.md",
            "/f/b.md",
            "/d/a/.hidden/b/c.md",
        ] {
            assert_eq!(taken(&pending, SAVED, path), nothing, "{path}");
        }
        for path in ["/d/a.md", "/d/b/c/a.md", "/d/.own/a.md", "/f/a.md"] {
            assert_eq!(taken(&pending, SAVED, path), Some(vec![path.into()]), "{path}");
        }
        // What may be a folder is not judged by its name.
        assert_eq!(taken(&pending, RENAMED, "/d/a.txt"), Some(vec!["/d/a.txt".into()]));
        let looked_at = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert_eq!(taken(&pending, looked_at, "/d/a.md"), nothing);
        assert_eq!(taken(&pending, EventKind::Access(AccessKind::Close(AccessMode::Read)), "/d/a.md"), nothing);
    }

    #[test]
    fn ignore_files_roots_lost_events_and_very_many_paths_concern_everything() {
        let pending = pending(&["/d"], &[], &[]);
        for (kind, path) in [
            (SAVED, "/d/.gitignore"),
            (EventKind::Remove(RemoveKind::File), "/d/a/b/.ignore"),
            (EventKind::Remove(RemoveKind::Folder), "/d"),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), "/d"),
        ] {
            assert_eq!(taken(&pending, kind, path), None, "{path}");
        }
        pending.note(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(pending.take().lost);
        pending.note(Err(notify::Error::generic("away")));
        assert!(pending.take().lost);
        let changed = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for n in 0..=MOST * 3 {
            pending.note(Ok(Event::new(changed).add_path(format!("/d/{n}.md").into())));
            assert!(pending.gathered().taken.paths.len() <= MOST);
        }
        assert!(pending.take().all);
        assert!(!pending.take().all, "it was taken");
    }

    #[test]
    fn what_a_root_is_really_called_leads_back_to_it() {
        let pending = pending(&["/tmp/d"], &[], &[]);
        pending.set_real(vec![("/tmp/d".into(), "/private/tmp/d".into())]);
        assert_eq!(taken(&pending, SAVED, "/private/tmp/d/a/b.md"), Some(vec!["/tmp/d/a/b.md".into()]));
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_until_it_is_quiet_and_no_longer_than_patience_lasts() {
        let pending = std::sync::Arc::new(pending(&["/d"], &[], &[]));
        assert!(!pending.settled_within(Duration::from_millis(10)).await);
        let save = |pending: &Pending| pending.note(Ok(Event::new(SAVED).add_path("/d/a.md".into())));
        let began = Instant::now();
        save(&pending);
        assert!(pending.settled_within(Duration::from_secs(60)).await);
        assert!(began.elapsed() >= QUIET);
        assert_eq!(pending.take().paths.len(), 1);
        let writer = std::sync::Arc::clone(&pending);
        let writing = tokio::spawn(async move {
            loop {
                save(&writer);
                tokio::time::sleep(QUIET / 6).await;
            }
        });
        let began = Instant::now();
        assert!(pending.settled_within(Duration::from_secs(60)).await);
        writing.abort();
        assert!(began.elapsed() >= PATIENCE && began.elapsed() < PATIENCE * 10, "{:?}", began.elapsed());
    }
}
