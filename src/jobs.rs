//! Owns the work whose answer is fetched later: recordings asked for with `async`. A job belongs to
//! its caller; its recording is in the evidence, whatever becomes of the job.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::blob::Blob;
use crate::clock::{Clock, Moment};
use crate::error::{Code, Problem};
use crate::id::{RandomId, RunId};
use crate::run::Caller;

/// Most jobs of one caller that are not done yet: the hosted API's limit.
const PENDING: usize = 5;
/// Most jobs that are remembered; the oldest done ones of whoever has the most are forgotten first.
const MOST: usize = 256;

/// The jobs there are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs {
    clock: Clock,
    jobs: Arc<Mutex<HashMap<RandomId, Job>>>,
}

#[derive(Debug)]
struct Job {
    caller: Caller,
    created: Moment,
    completed: Option<Moment>,
    /// The answer, or the sentence of the refusal.
    output: Option<Result<Value, String>>,
    /// The recording, and its media type.
    file: Option<(Blob, &'static str)>,
}

impl Jobs {
    /// No job yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, jobs: Arc::default() }
    }

    /// Begin a job; its id, and how many of the caller's are before it.
    ///
    /// # Errors
    /// `busy` when too many of the caller's are not done.
    pub fn begin(&self, caller: &Caller) -> Result<(RandomId, usize), Problem> {
        let mut jobs = self.lock();
        let own = |job: &&Job| job.output.is_none() && caller.may_act_on(&job.caller);
        let before = jobs.values().filter(own).count();
        if before >= PENDING {
            let message = format!("{before} of your jobs are not done yet; wait for one of them");
            return Err(Problem::new(Code::Busy, message));
        }
        while jobs.len() >= MOST {
            let mut counts = HashMap::<String, usize>::new();
            for job in jobs.values().filter(|job| job.output.is_some()) {
                *counts.entry(job.caller.account()).or_default() += 1;
            }
            let Some((most, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else { break };
            let theirs = |job: &Job| job.output.is_some() && job.caller.account() == most;
            let theirs = jobs.iter().filter(|(_, job)| theirs(job));
            let oldest = theirs.min_by_key(|(_, job)| job.created.monotonic).map(|(id, _)| *id);
            jobs.remove(&oldest.expect("whoever has the most has some"));
        }
        let id = RandomId::new().map_err(|error| Problem::internal("making an id", error))?;
        let created = self.clock.now();
        let caller = caller.clone();
        jobs.insert(id, Job { caller, created, completed: None, output: None, file: None });
        Ok((id, before))
    }

    /// A job is done.
    pub fn complete(&self, id: RandomId, output: Result<(Value, Blob, &'static str), String>) {
        let now = self.clock.now();
        if let Some(job) = self.lock().get_mut(&id) {
            job.completed = Some(now);
            match output {
                Ok((answer, file, media_type)) => {
                    job.output = Some(Ok(answer));
                    job.file = Some((file, media_type));
                }
                Err(why) => job.output = Some(Err(why)),
            }
        }
    }

    /// The jobs of `caller`, newest first.
    pub fn list(&self, caller: &Caller) -> Vec<Value> {
        let jobs = self.lock();
        let mut own: Vec<_> =
            jobs.iter().filter(|(_, job)| caller.may_act_on(&job.caller)).collect();
        own.sort_by_key(|(_, job)| std::cmp::Reverse(job.created.monotonic));
        own.into_iter().map(|(id, job)| job.to_json(*id)).collect()
    }

    /// One of `caller`'s jobs.
    ///
    /// # Errors
    /// `job_not_found`.
    pub fn get(&self, caller: &Caller, id: RandomId) -> Result<Value, Problem> {
        self.of(caller, id, |job| job.to_json(id))
    }

    /// The run in which one of `caller`'s jobs is on record; none while it is not done.
    ///
    /// # Errors
    /// `job_not_found`.
    pub fn run(&self, caller: &Caller, id: RandomId) -> Result<Option<RunId>, Problem> {
        self.of(caller, id, |job| {
            let answer = job.output.as_ref()?.as_ref().ok()?;
            answer["evidence"]["run"].as_str()?.parse().ok()
        })
    }

    /// The recording of one of `caller`'s jobs.
    ///
    /// # Errors
    /// `job_not_found`, also while it is not done.
    pub fn file(&self, caller: &Caller, id: RandomId) -> Result<(Blob, &'static str), Problem> {
        self.of(caller, id, |job| job.file.clone())?.ok_or_else(|| not_found(id))
    }

    fn of<T>(
        &self,
        caller: &Caller,
        id: RandomId,
        look: impl FnOnce(&Job) -> T,
    ) -> Result<T, Problem> {
        let jobs = self.lock();
        let job = jobs.get(&id).filter(|job| caller.may_act_on(&job.caller));
        job.map(look).ok_or_else(|| not_found(id))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RandomId, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    fn to_json(&self, id: RandomId) -> Value {
        let status = match &self.output {
            None => "processing",
            Some(Ok(_)) => "completed",
            Some(Err(_)) => "failed",
        };
        let mut told = json!({
            "id": id,
            "type": "video",
            "status": status,
            "created_at": self.created.to_rfc3339(),
            "completed_at": self.completed.map(Moment::to_rfc3339),
        });
        match &self.output {
            Some(Ok(answer)) => {
                let mut output = answer.clone();
                let url = format!("/api/v1/jobs/{id}/file");
                output["id"] = json!(id);
                output["content_type"] =
                    json!(self.file.as_ref().map(|(_, media_type)| media_type));
                output["url"] = json!(url);
                output["embed_url"] = json!(url);
                output["file_url"] = json!(url);
                output["visibility"] = json!("private");
                told["output"] = output;
            }
            Some(Err(why)) => told["error"] = json!(why),
            None => {}
        }
        told
    }
}

fn not_found(id: RandomId) -> Problem {
    let message = format!("there is no job {id} of yours, or it is not done; GET /jobs lists them");
    Problem::new(Code::JobNotFound, message).field("id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_its_callers_alone_and_few_are_pending() {
        let clock = Clock::fixed("2026-11-24T08:00:00Z".parse().expect("a time"));
        let jobs = Jobs::new(clock);
        let caller = |uid| Caller::Socket { uid, gid: 1, pid: None };
        let (id, before) = jobs.begin(&caller(1)).expect("the first");
        assert_eq!(
            (before, &jobs.get(&caller(1), id).expect("there")["status"]),
            (0, &json!("processing"))
        );
        assert_eq!(jobs.get(&caller(2), id).expect_err("not theirs").code, Code::JobNotFound);
        for _ in 1..PENDING {
            jobs.begin(&caller(1)).expect("not too many");
        }
        assert_eq!(jobs.begin(&caller(1)).expect_err("too many").code, Code::Busy);
        jobs.file(&caller(1), id).expect_err("not done");
        jobs.complete(id, Ok((json!({ "frames": 3 }), vec![1, 2].into(), "video/mp4")));
        let told = jobs.get(&caller(1), id).expect("there");
        assert_eq!((&told["status"], &told["output"]["frames"]), (&json!("completed"), &json!(3)));
        assert_eq!(jobs.file(&caller(1), id).expect("done").0.len(), 2);
        jobs.begin(&caller(1)).expect("one is done");
    }

    #[test]
    fn one_callers_jobs_do_not_push_out_anothers() {
        let clock = Clock::fixed("2026-11-24T08:00:00Z".parse().expect("a time"));
        let jobs = Jobs::new(clock.clone());
        let caller = |uid| Caller::Socket { uid, gid: 1, pid: None };
        let done = |uid| {
            clock.advance(std::time::Duration::from_secs(1));
            let (id, _) = jobs.begin(&caller(uid)).expect("not too many");
            jobs.complete(id, Err("it was refused".to_owned()));
            id
        };
        let (first, own) = (done(1), done(2));
        for _ in 0..MOST {
            done(2);
        }
        assert_eq!(jobs.list(&caller(1)).len(), 1);
        jobs.get(&caller(1), first).expect("still there");
        assert_eq!(jobs.get(&caller(2), own).expect_err("its own went").code, Code::JobNotFound);
    }
}
