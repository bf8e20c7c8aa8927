//! A local Chromium that captures and records web pages under an operator's policy, and says what it
//! saw of them: the picture or document exactly as the browser gave it, with the answer it was made
//! from, the requests, the console and the redirects.
//!
//! In scope: what a backend is ([`backend`]) and the one that drives a local browser ([`chromium`]);
//! what may be loaded ([`policy`]), what is covered in a page before it is painted ([`masks`]), what is
//! kept from loading because a caller asks for that ([`blocking`]); the settings of pages, pictures,
//! documents and sequences ([`settings`]); recordings as MP4 ([`video`]); the caption drawn around a
//! picture ([`caption`]).
//!
//! Out of scope: evidence. Nothing here knows a run, writes to a store, reads a configuration file or
//! answers HTTP. Settings are plain structs that the caller builds; bytes of a recording go to a
//! [`video::Sink`] of the caller's; times come from a [`backend::WallClock`]. The only files are the
//! browser's own, in a private folder, and documents too large for memory, in nameless files.
//!
//! # How it is built
//! [`chromium::Chromium`] keeps one browser running and replaces it when it dies, hangs or grows old.
//! Each capture has a context of its own, which is disposed of afterwards. The browser is driven over a
//! pipe (the Chrome DevTools Protocol), so no port is open that somebody else could connect to. Inside
//! `chromium`, from the bottom: `pipe` (transport), `page` (a context with one page, watched),
//! `observe` (pure bookkeeping of events), `take` (one capture) and `steps` (a sequence), `sessions`
//! (pages kept between captures), `instance` and `launch` (the process).
//!
//! A failure is a [`CaptureError`]: an [`ErrorKind`] for programs, a sentence with its remedy for
//! people, and the cause for the log.
//!
//! # Example
//! Policy judges an address before any browser moves:
//!
//! ```
//! use exhibit_browser::ErrorKind;
//! use exhibit_browser::masks::Masks;
//! use exhibit_browser::policy::{Policy, PolicySettings};
//!
//! let settings = PolicySettings {
//!     allow_hosts: vec!["*.desk.example".to_owned()],
//!     ..PolicySettings::default()
//! };
//! let policy = Policy::new(&settings, Masks::default(), None)?;
//!
//! assert!(policy.check_url(&"https://refunds.desk.example/1042".parse()?).is_ok());
//! let refused = policy.check_url(&"https://evil.example/".parse()?).unwrap_err();
//! assert_eq!(refused.kind, ErrorKind::TargetForbidden);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Taking a picture needs a Chromium on the host:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use exhibit_browser::backend::{Backend as _, CaptureRequest};
//! use exhibit_browser::chromium::{BrowserSettings, Chromium};
//! use exhibit_browser::policy::Policy;
//! use exhibit_browser::settings::{CaptureSettings, PageSettings, Picture, Product, Target};
//! use exhibit_browser::tasks::Tasks;
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = std::env::temp_dir().join("browser");
//! let settings = BrowserSettings { runtime, ..BrowserSettings::default() };
//! let browser = Chromium::start(&settings, Duration::from_secs(60), &Tasks::new())?;
//!
//! let page = PageSettings::of(Target::Url("https://desk.example/".parse()?));
//! let request = CaptureRequest {
//!     gone: CancellationToken::new(),
//!     sent: None,
//!     settings: CaptureSettings { page, product: Product::Picture(Picture::default()) },
//!     snapshot: false,
//!     documents: false,
//!     metadata: false,
//!     max_pixels: 100_000_000,
//!     spool: std::env::temp_dir(),
//!     deadline: tokio::time::Instant::now() + Duration::from_secs(30),
//!     policy: Policy::default(),
//! };
//! let taken = browser.take(request).await.map_err(|failed| failed.problem)?;
//! println!("{} bytes of PNG, status {:?}", taken.product.len(), taken.status());
//! browser.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod backend;
pub mod blocking;
pub mod caption;
pub mod chromium;
pub mod error;
pub mod facts;
mod jpeg;
pub mod markdown;
pub mod masks;
pub mod media;
pub mod policy;
mod scratch;
pub mod secret;
pub mod settings;
pub mod tasks;
pub mod video;
mod view_facts;

pub use error::{CaptureError, ErrorKind};
