//! Owns work that is done at intervals, as the configuration in force says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Config;
use crate::tasks::Tasks;

/// Take a `turn` with what `pick` finds in the configuration, wait as long as it says, and take the
/// next, until `tasks` are to stop. A turn is begun anew when what was picked has changed.
pub(super) async fn in_turns<S, F>(
    mut config: watch::Receiver<Arc<Config>>,
    tasks: Tasks,
    pick: impl Fn(&Config) -> S,
    turn: impl Fn(S) -> F,
) where
    S: Clone + PartialEq,
    F: Future<Output = Duration>,
{
    loop {
        let settings = pick(&config.borrow_and_update());
        let turns = async {
            loop {
                let pause = turn(settings.clone()).await;
                tokio::time::sleep(pause).await;
            }
        };
        let other = async {
            loop {
                if config.changed().await.is_err() {
                    // Nobody will change it any more.
                    std::future::pending::<()>().await;
                }
                if pick(&config.borrow_and_update()) != settings {
                    return;
                }
            }
        };
        tokio::select! {
            () = tasks.stopping() => return,
            () = turns => {}
            () = other => {}
        }
    }
}
