//! Runs whose files are still being written: nobody takes such a file over, and no seal comes before
//! its writer's end.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use serde_json::json;

use super::{DaemonFolder, operator};
use crate::evidence::GrowingFile;
use crate::run::{Ending, Event};
use crate::runs::{Runs, Work};

const NAME: &str = "recordings/0001.mp4";

fn begun(place: &DaemonFolder, runs: &Runs) -> (Work, GrowingFile) {
    let run = place.begun(runs).expect("a run");
    let work = place.wait(runs.work(run, &operator())).expect("open");
    let file = place.wait(runs.begin_growing(&work, NAME.to_owned())).expect("begun");
    (work, file)
}

/// Whether `future`, which would be done in far less, is not done after a tenth of a second.
async fn waits(future: impl Future) -> bool {
    tokio::time::timeout(Duration::from_millis(100), future).await.is_err()
}

#[test]
fn what_takes_a_file_over_waits_for_its_writer() {
    let place = DaemonFolder::new();
    let runs = place.open().expect("a store");
    let (work, mut file) = begun(&place, &runs);
    file.append(b"the beginning, ").expect("written");
    let (artifacts, _) = place.wait(async {
        let tell =
            |artifacts: &[_]| Event::exhibit("recording.taken", json!({ "artifacts": artifacts }));
        let mut finishing = pin!(runs.finish_growing(&work, NAME.to_owned(), Vec::new(), tell));
        assert!(waits(finishing.as_mut()).await, "its writer lives");
        file.append(b"and the end").expect("written");
        drop(file);
        finishing.await.expect("its writer is gone")
    });
    assert_eq!(artifacts[0].size_bytes, 26);
    let run = work.run.id;
    drop(work);
    place.wait(runs.seal(run, &operator(), Ending::sealed("done"))).expect("sealed");
    assert_eq!(place.wrong(&runs), Vec::<String>::new());
}

#[test]
fn a_seal_waits_for_a_writer_whose_work_nobody_holds_any_more() {
    let place = DaemonFolder::new();
    let runs = place.open().expect("a store");
    let (work, mut file) = begun(&place, &runs);
    let run = work.run.id;
    drop(work);
    place.wait(async {
        let caller = operator();
        let mut sealing = pin!(runs.seal(run, &caller, Ending::sealed("done")));
        assert!(waits(sealing.as_mut()).await, "its writer lives");
        file.append(b"the end").expect("written");
        drop(file);
        sealing.await.expect("sealed");
    });
    assert_eq!(place.wrong(&runs), Vec::<String>::new());
}

#[test]
fn what_goes_on_until_it_is_told_to_end_hears_of_a_seal_also_when_it_begins_later() {
    let place = DaemonFolder::new();
    let runs = place.open().expect("a store");
    let run = place.begun(&runs).expect("a run");
    let work = place.wait(runs.work(run, &operator())).expect("open");
    place.wait(async {
        let mut before = Box::pin(work.ending());
        assert!(waits(before.as_mut()).await, "nobody seals it");
        let caller = operator();
        let mut sealing = Box::pin(runs.seal(run, &caller, Ending::sealed("done")));
        tokio::select! {
            () = before => {}
            _ = sealing.as_mut() => panic!("there is work under way"),
        }
        work.ending().await;
        // Whoever gave up sealing leaves a run in which work can go on.
        drop(sealing);
        let mut after = Box::pin(work.ending());
        assert!(waits(after.as_mut()).await, "nobody seals it any more");
    });
}

#[test]
fn the_store_is_not_let_go_of_while_a_file_of_it_is_written() {
    let place = DaemonFolder::new();
    let runs = place.open().expect("a store");
    let (work, file) = begun(&place, &runs);
    drop((work, runs));
    assert!(place.open().is_err(), "another daemon would recover what is being written");
    drop(file);
    let runs = place.open().expect("nobody writes");
    assert_eq!(place.wrong(&runs), Vec::<String>::new());
}
