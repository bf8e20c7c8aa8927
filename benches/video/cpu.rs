//! CPU time of a recorder and all it started, from `/proc`: looked at ten times a second, so that
//! the time of a process which has ended is known but for its last tenth.

use std::collections::{HashMap, HashSet};
use std::ops::Sub;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// The kernel tells times in these, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// CPU-seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cpu {
    /// Every process of the browser.
    pub(crate) browser: f64,
    /// The process that records: the daemon with the encoder in it, or Node.
    pub(crate) recorder: f64,
    /// Its ffmpegs, ended ones included.
    pub(crate) encoder: f64,
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.browser + self.recorder + self.encoder
    }

    pub(crate) fn per(self, seconds: f64) -> Self {
        let Self { browser, recorder, encoder } = self;
        Self {
            browser: browser / seconds,
            recorder: recorder / seconds,
            encoder: encoder / seconds,
        }
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            browser: self.browser - other.browser,
            recorder: self.recorder - other.recorder,
            encoder: self.encoder - other.encoder,
        }
    }
}

/// A process as `/proc/N/stat` tells of it.
struct Process {
    pid: i32,
    name: String,
    parent: i32,
    /// Ticks of its own, and of the children it has waited for.
    own: u64,
    children: u64,
    begun: u64,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let (_, name) = head.split_once(" (")?;
        let fields: Vec<&str> = tail.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            pid,
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            children: number(13)? + number(14)?,
            begun: number(19)?,
        })
    }

    fn all() -> Vec<Self> {
        let entries = std::fs::read_dir("/proc").expect("procfs");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        // A process may end while it is looked at.
        pids.filter_map(Self::read).collect()
    }
}

/// What is known of the processes below `root`.
struct Tree {
    root: i32,
    /// Ticks of each of the browser's processes when last seen, by number and time of start.
    browser: HashMap<(i32, u64), u64>,
    recorder: u64,
    encoder: u64,
}

impl Tree {
    fn look(&mut self) {
        let processes = Process::all();
        let mut below = HashSet::from([self.root]);
        loop {
            let before = below.len();
            below.extend(
                processes
                    .iter()
                    .filter(|p| below.contains(&p.parent))
                    .map(|p| p.pid)
                    .collect::<Vec<_>>(),
            );
            if below.len() == before {
                break;
            }
        }
        let mut encoder = 0;
        for process in &processes {
            let key = (process.pid, process.begun);
            if process.pid == self.root {
                self.recorder = process.own;
                // Of Node's children only ffmpegs end before the last look: the browser outlives it.
                encoder += process.children;
            } else if process.name == "ffmpeg" && below.contains(&process.pid) {
                encoder += process.own + process.children;
            } else if below.contains(&process.pid) || self.browser.contains_key(&key) {
                self.browser.insert(key, process.own);
            }
        }
        self.encoder = encoder;
    }
}

/// Looks at the processes below one until it is dropped.
pub(crate) struct Meter {
    tree: Arc<Mutex<Tree>>,
    over: Arc<AtomicBool>,
}

impl Meter {
    pub(crate) fn of(root: u32) -> Self {
        let root = i32::try_from(root).expect("a process");
        let tree = Tree { root, browser: HashMap::new(), recorder: 0, encoder: 0 };
        let (tree, over) = (Arc::new(Mutex::new(tree)), Arc::new(AtomicBool::new(false)));
        std::thread::spawn({
            let (tree, over) = (Arc::clone(&tree), Arc::clone(&over));
            move || {
                while !over.load(Ordering::Relaxed) {
                    tree.lock().unwrap_or_else(PoisonError::into_inner).look();
                    std::thread::sleep(LOOK_EVERY);
                }
            }
        });
        Self { tree, over }
    }

    /// CPU time until now.
    pub(crate) fn read(&self) -> Cpu {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        tree.look();
        #[expect(clippy::cast_precision_loss, reason = "ticks of hours are far below 2^52")]
        let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
        Cpu {
            browser: seconds(tree.browser.values().sum()),
            recorder: seconds(tree.recorder),
            encoder: seconds(tree.encoder),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// CPU-seconds that everything on the machine has used.
pub(crate) fn machine() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("procfs");
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).map(|field| field.parse::<f64>().unwrap_or(0.0));
    // user, nice, system; then idle, iowait; then irq, softirq.
    let busy = ticks.enumerate().filter(|(at, _)| [0, 1, 2, 5, 6].contains(at));
    busy.map(|(_, ticks)| ticks).sum::<f64>() / TICKS_PER_SECOND
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.expect("a running process") * 1024
}
