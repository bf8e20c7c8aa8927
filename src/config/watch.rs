//! Owns the following of the configuration file while the daemon runs: a good new file is
//! published, a broken one is reported and leaves the old configuration in force. What a change
//! means is up to whoever listens.
//!
//! The *folder* is watched and not the file, because a careful editor saves by renaming a new file
//! over the old one, and a configuration manager by exchanging a symbolic link beside it. Nothing
//! is read while a file is still being written: its closing is the signal. A link to a file in
//! another folder is followed when read, but that folder is not watched: ask for
//! [`ConfigWatch::reload`] (SIGHUP).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};

use super::load::{load_text, text_of};
use super::{Config, ConfigErrors};
use crate::tasks::Tasks;

/// Why a configuration file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system has no watch to give, or the folder is not there.
    #[error(
        "cannot watch {folder} for changes of the configuration (the limit is \
         fs.inotify.max_user_watches)"
    )]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// What the system answered.
        source: notify::Error,
    },
}

/// Follows one configuration file until dropped.
#[derive(Debug)]
pub struct ConfigWatch {
    nudge: Arc<Notify>,
    rejected: watch::Receiver<Option<Arc<ConfigErrors>>>,
    #[expect(dead_code, reason = "held, not read: dropping it ends the watch")]
    watcher: RecommendedWatcher,
}

impl ConfigWatch {
    /// Follow `file`, of which `initial` is in force. The receiver sees every accepted
    /// configuration; keys marked as needing a restart may differ in it from what is in use.
    ///
    /// # Errors
    /// When the folder of `file` cannot be watched.
    pub fn start(
        file: &Path,
        initial: Arc<Config>,
        tasks: &Tasks,
    ) -> Result<(watch::Receiver<Arc<Config>>, Self), WatchError> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        // A `Notify` holds one permit: any number of events while one reload runs become one more.
        let nudge = Arc::new(Notify::new());
        let wake = Arc::clone(&nudge);
        let failed = |source| WatchError::Watch { folder: folder.clone(), source };
        let mut watcher = notify::recommended_watcher(move |event| {
            if matters(&event) {
                wake.notify_one();
            }
        })
        .map_err(failed)?;
        watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(failed)?;

        let (publish, receiver) = watch::channel(initial);
        let (reject, rejected) = watch::channel(None);
        // The file may have changed between its first reading and the watch.
        nudge.notify_one();
        let follower = Follower { file, publish, reject };
        drop(tasks.spawn(follower.follow(Arc::clone(&nudge), tasks.clone())));
        Ok((receiver, Self { nudge, rejected, watcher }))
    }

    /// Read the file again, whether or not it looks changed.
    pub fn reload(&self) {
        self.nudge.notify_one();
    }

    /// What is wrong with the file as it is now, when it was not accepted; else nothing.
    pub fn rejected(&self) -> watch::Receiver<Option<Arc<ConfigErrors>>> {
        self.rejected.clone()
    }
}

/// Whether an event can mean that a file has new content that is whole.
fn matters(event: &notify::Result<notify::Event>) -> bool {
    match event {
        // Events may have been lost: better to look once too often.
        Err(_) => true,
        Ok(event) if event.need_rescan() => true,
        Ok(event) => match event.kind {
            // Opening is what we do ourselves, and data without a close is a file half written.
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            EventKind::Modify(kind) => {
                matches!(kind, ModifyKind::Name(_) | ModifyKind::Metadata(_))
            }
            EventKind::Create(kind) => kind != notify::event::CreateKind::File,
            EventKind::Any | EventKind::Remove(_) | EventKind::Other => true,
        },
    }
}

/// The task's state.
struct Follower {
    file: PathBuf,
    publish: watch::Sender<Arc<Config>>,
    reject: watch::Sender<Option<Arc<ConfigErrors>>>,
}

impl Follower {
    async fn follow(self, nudge: Arc<Notify>, tasks: Tasks) {
        loop {
            tokio::select! {
                () = tasks.stopping() => return,
                () = nudge.notified() => {}
            }
            let file = self.file.clone();
            // An editor that writes in place empties the file first: that is no wish for defaults.
            let read = move || match text_of(&file)? {
                text if text.is_empty() => Ok(None),
                text => load_text(&text, &file).map(Some),
            };
            match tasks.spawn_blocking(read).await {
                Ok(Ok(Some(config))) => self.accept(config),
                Ok(Ok(None)) => {
                    let file = self.file.display();
                    tracing::warn!(%file, "the file is empty; what was read before stays in force");
                }
                Ok(Err(errors)) => self.refuse(errors),
                Err(panicked) => tracing::error!(error = %panicked, "reading the configuration"),
            }
        }
    }

    fn accept(&self, config: Config) {
        if self.reject.send_if_modified(|rejected| rejected.take().is_some()) {
            tracing::info!(file = %self.file.display(), "the configuration is sound again");
        }
        let old = Arc::clone(&self.publish.borrow());
        let changed = old.changed(&config);
        if changed.is_empty() {
            return;
        }
        let restart = old.needs_restart(&config);
        let now: Vec<_> = changed.into_iter().filter(|key| !restart.contains(key)).collect();
        if !now.is_empty() {
            tracing::info!(keys = now.join(", "), "the new configuration is in force");
        }
        if !restart.is_empty() {
            let keys = restart.join(", ");
            tracing::warn!(keys, "these keys of the new configuration need a restart of exhibit");
        }
        self.publish.send_replace(Arc::new(config));
    }

    fn refuse(&self, errors: ConfigErrors) {
        let errors = Arc::new(errors);
        let news = self.reject.send_if_modified(|rejected| {
            let news = rejected.as_ref() != Some(&errors);
            *rejected = Some(Arc::clone(&errors));
            news
        });
        // Touching a broken file again does not repeat the list.
        if news {
            for problem in &errors.0 {
                tracing::error!("{problem}");
            }
            let problems = errors.0.len();
            tracing::error!(
                problems,
                "the new configuration is refused; the old one stays in force"
            );
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test plays the editor of the file")]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::config::load;

    const LIMIT: Duration = Duration::from_secs(20);

    struct Followed {
        folder: tempfile::TempDir,
        file: PathBuf,
        config: watch::Receiver<Arc<Config>>,
        watch: ConfigWatch,
        tasks: Tasks,
    }

    impl Followed {
        /// Follow a file that `lay` has laid into a fresh folder.
        fn start(lay: impl Fn(&Path)) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            lay(folder.path());
            let file = folder.path().join("config.toml");
            let initial = Arc::new(load(&file).expect("sound"));
            let tasks = Tasks::new();
            let (config, watch) = ConfigWatch::start(&file, initial, &tasks).expect("watching");
            Self { folder, file, config, watch, tasks }
        }

        async fn wait_for_deadline(&mut self, seconds: u64) {
            let wanted =
                |config: &Arc<Config>| config.capture.deadline == Duration::from_secs(seconds);
            let waited = tokio::time::timeout(LIMIT, self.config.wait_for(wanted)).await;
            drop(waited.expect("in time").expect("the watch lives"));
        }

        async fn wait_for_refusal(&self, refused: bool) {
            let mut rejected = self.watch.rejected();
            let wanted = |errors: &Option<Arc<ConfigErrors>>| errors.is_some() == refused;
            let waited = tokio::time::timeout(LIMIT, rejected.wait_for(wanted)).await;
            drop(waited.expect("in time").expect("the watch lives"));
        }
    }

    fn text(seconds: u64) -> String {
        format!("[capture]\ndeadline = \"{seconds}s\"\n")
    }

    fn plain(folder: &Path) {
        fs::write(folder.join("config.toml"), text(30)).expect("written");
    }

    #[tokio::test]
    async fn a_save_by_rename_is_seen_again_and_again() {
        let mut followed = Followed::start(plain);
        for seconds in [31, 32, 33] {
            let new = followed.folder.path().join(".config.toml.swp");
            fs::write(&new, text(seconds)).expect("written");
            fs::rename(&new, &followed.file).expect("renamed");
            followed.wait_for_deadline(seconds).await;
        }
    }

    #[tokio::test]
    async fn a_write_in_place_is_seen() {
        let mut followed = Followed::start(plain);
        fs::write(&followed.file, text(31)).expect("written");
        followed.wait_for_deadline(31).await;
    }

    #[tokio::test]
    async fn an_exchanged_link_is_seen() {
        // As Kubernetes lays out a mounted ConfigMap: config.toml → ..data/config.toml.
        let mut followed = Followed::start(|folder| {
            for (name, seconds) in [("..one", 30), ("..two", 31)] {
                fs::create_dir(folder.join(name)).expect("made");
                fs::write(folder.join(name).join("config.toml"), text(seconds)).expect("written");
            }
            std::os::unix::fs::symlink("..one", folder.join("..data")).expect("linked");
            std::os::unix::fs::symlink("..data/config.toml", folder.join("config.toml"))
                .expect("linked");
        });
        let folder = followed.folder.path();
        std::os::unix::fs::symlink("..two", folder.join("..data_tmp")).expect("linked");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("exchanged");
        followed.wait_for_deadline(31).await;
    }

    #[tokio::test]
    async fn a_broken_file_leaves_the_old_configuration_in_force_until_it_is_mended() {
        let mut followed = Followed::start(plain);
        fs::write(&followed.file, "[capture]\ndeadline = \"60 parsecs\"\nqueue = 1\n")
            .expect("written");
        followed.wait_for_refusal(true).await;
        assert_eq!(followed.config.borrow().capture.deadline, Duration::from_secs(30));
        assert_eq!(followed.config.borrow().capture.queue, 64, "not even its good parts");
        fs::write(&followed.file, text(60)).expect("written");
        followed.wait_for_deadline(60).await;
        followed.wait_for_refusal(false).await;
    }

    #[tokio::test]
    async fn a_vanished_file_leaves_the_old_configuration_in_force() {
        let followed = Followed::start(plain);
        fs::remove_file(&followed.file).expect("removed");
        followed.wait_for_refusal(true).await;
        assert_eq!(followed.config.borrow().capture.deadline, Duration::from_secs(30));
        plain(followed.folder.path());
        followed.wait_for_refusal(false).await;
        assert!(!followed.config.has_changed().expect("the watch lives"), "the same as before");
    }

    #[tokio::test]
    async fn a_file_elsewhere_is_read_when_asked_to_and_stopping_ends_the_task() {
        let elsewhere = tempfile::tempdir().expect("a folder");
        plain(elsewhere.path());
        let target = elsewhere.path().join("config.toml");
        let mut followed = Followed::start(|folder| {
            std::os::unix::fs::symlink(&target, folder.join("config.toml")).expect("linked");
        });
        fs::write(&target, text(31)).expect("written");
        followed.watch.reload();
        followed.wait_for_deadline(31).await;
        followed.tasks.stop();
        assert!(followed.tasks.drain(LIMIT).await);
    }
}
