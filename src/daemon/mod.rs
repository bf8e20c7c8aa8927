//! Owns the life of the daemon: what is started in which order, and how everything comes to an
//! orderly end. It decides nothing about captures or evidence.

mod connections;
pub mod descriptors;
pub mod gate;
pub mod guard;
pub mod logging;
pub mod preflight;
pub mod socket;
mod starting;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::connections::Connections;
use self::gate::{Gate, Linked, Source, pace};
use self::socket::SocketFile;
use self::starting::Started;
use crate::api::{Api, router};
use crate::auth::SignIn;
use crate::auth::keyring::SharedKeyring;
use crate::backend::chromium::Chromium;
use crate::capture::{Backends, Captures};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::watch::ConfigWatch;
use crate::error::{Code, Problem, chain};
use crate::evidence::{Amiss, LogKey};
use crate::hosted::Hosted;
use crate::jobs::Jobs;
use crate::masks::Masks;
use crate::policy::Policy;
use crate::quotas::Shares;
use crate::runs::Runs;
use crate::sequences::StoredSequences;
use crate::spans;
use crate::tasks::Tasks;
use crate::web::{self, Web};

/// How long work that was given up may take to notice.
const ABORT: Duration = Duration::from_secs(5);

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    config: watch::Receiver<Arc<Config>>,
    watch: Option<ConfigWatch>,
    /// Work that must finish: captures, writing, answers.
    work: Tasks,
    /// What runs beside it: the browser's supervisor, watching, expiry.
    background: Tasks,
    runs: Runs,
    captures: Captures,
    browser: Chromium,
    /// Tells the listeners to accept nothing more.
    closing: CancellationToken,
    socket: PathBuf,
    socket_file: Option<SocketFile>,
    tcp: Option<SocketAddr>,
}

impl Daemon {
    /// Start everything; it is being listened when this returns. `file` is followed for changes.
    ///
    /// # Errors
    /// What stands in the way, with the remedy.
    pub async fn start(
        config: Arc<Config>,
        file: Option<&Path>,
        clock: Clock,
    ) -> Result<Self, Problem> {
        let (work, background) = (Tasks::new(), Tasks::new());
        let started = Self::start_on(&work, &background, config, file, clock).await;
        if started.is_err() {
            for tasks in [&work, &background] {
                tasks.stop();
                tasks.drain(ABORT).await;
            }
        }
        started
    }

    /// The same; `work` and `background` carry what was started, also when not all could be.
    async fn start_on(
        work: &Tasks,
        background: &Tasks,
        config: Arc<Config>,
        file: Option<&Path>,
        clock: Clock,
    ) -> Result<Self, Problem> {
        let files = descriptors::raise();
        preflight::check(&config)?;
        look_first(&config)?;
        let log_key = LogKey::load_or_create(&config.keys.log_file()).map_err(|error| {
            let message = format!("`keys.log` cannot be used: {}", chain(&error));
            Problem::new(Code::InvalidConfig, message).field("keys.log")
        })?;
        let keys = SharedKeyring::open(&config.keys.api)?;
        let (following, watch) = follow(Arc::clone(&config), file, background)?;
        let connections =
            Connections::new(following.clone(), descriptors::for_connections(files, &config));
        let runs = Runs::open(following.clone(), &log_key, clock, work.clone())
            .map_err(|problem| preflight::of_store(problem, &config.store.path))?;
        let bound = socket::unix(&config.daemon)?;
        let tcp = match config.daemon.listen {
            Some(address) => Some(socket::tcp(address).await?),
            None => None,
        };
        let browser = Chromium::start(&config.browser, config.sessions.max_duration, background)?;

        let tcp_address = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
        let policy = follow_policy(following.clone(), tcp_address, background)?;
        let hosted = Hosted::new(following.clone(), work.clone())?;
        let backends =
            Backends::new(Arc::new(browser.clone()), Arc::new(hosted), following.clone());
        let captures =
            Captures::new(runs.clone(), backends, policy, following.clone(), work.clone());
        let sequences =
            StoredSequences::open(following.clone(), runs.clock().clone(), work.clone());
        let api = Api {
            captures: captures.clone(),
            runs: runs.clone(),
            jobs: Jobs::new(runs.clock().clone()),
            sequences,
            keys: keys.clone(),
            requests: Shares::default(),
            config: following.clone(),
        };
        let web = Web {
            runs: runs.clone(),
            keys,
            config: following.clone(),
            listen: tcp_address,
            sign_in: SignIn::default(),
        };

        // Before anybody is answered: what the daemon writes from here on is known as its own.
        drop(background.spawn(runs.integrity().watch(background.clone())));
        drop(background.spawn(runs.integrity().clone().alert(background.clone())));
        drop(background.spawn(runs.guard().clone().keep_locked(background.clone())));
        let closing = CancellationToken::new();
        let (listener, socket_file) = bound.split();
        let app = router(api)
            .merge(web::router(web))
            .layer(middleware::from_fn_with_state(following.clone(), pace));
        let listener = Gate::new(listener, &connections);
        drop(work.spawn(serve_on(listener, app.clone(), closing.clone())));
        if let Some(listener) = tcp {
            let listener = Gate::new(listener, &connections);
            drop(work.spawn(serve_on(listener, app, closing.clone())));
        }
        run_beside(&runs, &captures, background);
        let socket = config.daemon.socket.clone();
        tracing::info!(socket = %socket.display(), tcp = tcp_address.map(tracing::field::display), "listening");
        let config = following;
        let tcp = tcp_address;
        Ok(Self {
            config,
            watch,
            work: work.clone(),
            background: background.clone(),
            runs,
            captures,
            browser,
            closing,
            socket,
            socket_file,
            tcp,
        })
    }

    /// Path of the Unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Address of the TCP socket, if there is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Completes when captures can be taken.
    ///
    /// # Errors
    /// When the browser cannot be started.
    pub async fn ready(&self) -> Result<(), Problem> {
        Ok(self.browser.started().await?)
    }

    /// Read the configuration file again now, and sign with the key that waits, where one does.
    pub fn reload(&self) {
        let runs = self.runs.clone();
        drop(self.work.spawn(async move {
            if let Err(error) = runs.signing().exchange().await {
                tracing::error!(error = chain(&error), "the key that signs is not exchanged");
            }
        }));
        match &self.watch {
            Some(watch) => watch.reload(),
            None => tracing::info!("there is no configuration file to read again"),
        }
    }

    /// Come to an orderly end: accept nothing more, finish the work under way within
    /// `daemon.drain`, seal what is open as interrupted, end the browser.
    pub async fn stop(self) {
        let limit = self.config.borrow().daemon.drain;
        tracing::info!(limit_ms = spans::millis(limit), "stopping: finishing the work under way");
        self.work.stop();
        self.closing.cancel();
        if !self.work.drain(limit).await {
            tracing::warn!("not all work finished in time; it is given up, and on record as such");
            self.browser.abort();
            self.work.drain(ABORT).await;
        }
        // What still holds on to its run after that is sealed by the next start.
        if tokio::time::timeout(ABORT, self.runs.interrupt_all()).await.is_err() {
            tracing::error!("not all open runs could be sealed; the next start does it");
        }
        if tokio::time::timeout(ABORT, self.runs.stopped()).await.is_err() {
            tracing::error!("the log does not say that the daemon stopped");
        }
        // A session would keep the browser from ending.
        if tokio::time::timeout(ABORT, self.captures.close_sessions()).await.is_err() {
            tracing::warn!("not all sessions were closed in time; they end with the browser");
        }
        if tokio::time::timeout(Duration::from_secs(10), self.browser.stop()).await.is_err() {
            tracing::warn!("the browser did not end in time");
        }
        self.background.stop();
        self.background.drain(Duration::from_secs(5)).await;
        drop(self.socket_file);
        tracing::info!("stopped");
    }
}

/// Start what runs beside the work until `tasks` are to stop.
fn run_beside(runs: &Runs, captures: &Captures, tasks: &Tasks) {
    drop(tasks.spawn(runs.clone().expire(tasks.clone())));
    drop(tasks.spawn(runs.clone().live(tasks.clone())));
    drop(tasks.spawn(runs.clone().keep_room(tasks.clone())));
    drop(tasks.spawn(runs.registry().clone().keep_heads(tasks.clone())));
    drop(tasks.spawn(runs.integrity().clone().scrub(tasks.clone())));
    drop(tasks.spawn(runs.access_log().clone().keep_attested(tasks.clone())));
    drop(tasks.spawn(runs.log().clone().stamp(tasks.clone())));
    drop(tasks.spawn(runs.log().clone().have_cosigned(tasks.clone())));
    drop(tasks.spawn(captures.clone().expire_sessions(tasks.clone())));
}

/// Refuse what is amiss with store and keys before anything is made or changed.
fn look_first(config: &Config) -> Result<(), Problem> {
    match config.inventory().amiss().into_iter().next() {
        None => Ok(()),
        Some(amiss) => {
            let code = match amiss {
                Amiss::OthersLog { .. } => Code::LogDamaged,
                _ => Code::InvalidConfig,
            };
            let message = format!("nothing was made or changed: {}", chain(&amiss));
            Err(Problem::new(code, message).field(amiss.field()))
        }
    }
}

/// The configuration in force, following `file` where there is one.
fn follow(
    config: Arc<Config>,
    file: Option<&Path>,
    tasks: &Tasks,
) -> Result<(watch::Receiver<Arc<Config>>, Option<ConfigWatch>), Problem> {
    let Some(file) = file else {
        return Ok((watch::Sender::new(config).subscribe(), None));
    };
    let started = ConfigWatch::start(file, config, tasks);
    let (following, watch) = started.map_err(|error| {
        let message = format!("the configuration cannot be followed: {}", chain(&error));
        Problem::new(Code::InvalidConfig, message)
    })?;
    Ok((following, Some(watch)))
}

/// The policy of the configuration in force, anew whenever that changes.
fn follow_policy(
    mut config: watch::Receiver<Arc<Config>>,
    own: Option<SocketAddr>,
    tasks: &Tasks,
) -> Result<watch::Receiver<Policy>, Problem> {
    let read = move |config: &Config| {
        Policy::new(&config.policy, Masks::new(&config.privacy), own).map_err(|error| {
            let message = format!("`policy.deny_addresses` holds what is {error}");
            Problem::new(Code::InvalidConfig, message).field("policy.deny_addresses")
        })
    };
    let policies = watch::Sender::new(read(&config.borrow_and_update())?);
    let following = policies.subscribe();
    let following_config = async move {
        while config.changed().await.is_ok() {
            match read(&config.borrow_and_update()) {
                Ok(policy) => drop(policies.send_replace(policy)),
                Err(error) => tracing::error!(%error, "the policy stays as it was"),
            }
        }
        // Nothing changes any more, and the last policy stays in force.
        policies.closed().await;
    };
    let stopping = tasks.clone();
    drop(tasks.spawn(async move {
        // A connection that does not end holds on to the policy, and must not hold up the end.
        tokio::select! {
            () = following_config => {}
            () = stopping.stopping() => {}
        }
    }));
    Ok(following)
}

/// Serve the API on a listener until `closing`, then finish the answers under way.
async fn serve_on<L: Source>(listener: Gate<L>, app: Router, closing: CancellationToken) {
    let service = app.into_make_service_with_connect_info::<Linked>();
    let served = axum::serve(listener, service)
        .with_graceful_shutdown(async move { closing.cancelled().await })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "a listener failed");
    }
}

/// Run the daemon until a signal ends it: the first lets it finish, a second does not wait, and
/// SIGHUP reads the configuration again.
///
/// # Errors
/// What stood in the way of starting.
pub async fn serve(config: Config, file: Option<&Path>) -> Result<(), Problem> {
    logging::start(&config.log)?;
    let handler = |kind| signal(kind).map_err(|error| Problem::internal("handling signals", error));
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut hang_up = handler(SignalKind::hangup())?;
    // On a thread of its own: what it spawns while it holds an async one would wait for that.
    let (file, runtime) = (file.map(Path::to_owned), tokio::runtime::Handle::current());
    let start =
        move || runtime.block_on(Daemon::start(Arc::new(config), file.as_deref(), Clock::system()));
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let daemon = match starting::until_told(Tasks::new().spawn_blocking(start), told).await? {
        Started::Wanted(daemon) => daemon?,
        Started::Unwanted(daemon) => {
            daemon?.stop().await;
            return Ok(());
        }
        Started::GivenUp => return Ok(()),
    };
    tell_systemd(sd_notify::NotifyState::Ready);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => daemon.reload(),
        }
    }
    tell_systemd(sd_notify::NotifyState::Stopping);
    tokio::select! {
        () = daemon.stop() => {}
        _ = terminate.recv() => tracing::warn!("stopping at once, as asked; open runs are sealed at the next start"),
        _ = interrupt.recv() => tracing::warn!("stopping at once, as asked; open runs are sealed at the next start"),
    }
    Ok(())
}

fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd is not told");
    }
}
