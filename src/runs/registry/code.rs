//! Owns what is put on record of the code that runs (layer 2): the caller's word, and what was seen
//! of it here, by a file in the run or in a git work tree.

use serde_json::{Value, json};

use super::Registry;
use super::open::Work;
use crate::artifact::{Artifact, NewArtifact, is_safe_name};
use crate::error::{Code, Problem};
use crate::request::CodeRequest;
use crate::run::{CodeReference, Event, REDACTED};
use crate::runs::problem::store_problem;
use crate::workflow::CODE_EVENT;
use crate::worktree::{WorkTree, WorktreeStatus};

impl Registry {
    /// Put a code reference on record; what its caller is told.
    ///
    /// # Errors
    /// `target_forbidden`, `conflicting_fields` or `invalid_field` for what was seen, or what the
    /// store says.
    pub async fn reference_code(
        &self,
        work: &Work,
        request: CodeRequest,
    ) -> Result<Value, Problem> {
        let CodeRequest { code, attachment, work_tree } = request;
        if let Some(path) = work_tree {
            let (seen, content) = self.look_at(&path, code.path.clone()).await?;
            let code =
                agreed(code, seen.file.as_ref().map(|file| file.sha256), Some(&seen.commit))?;
            return self.keep_code(work, code, Some(seen), content).await;
        }
        let Some(name) = attachment else { return self.keep_code(work, code, None, None).await };
        let path = format!("data/attachments/{name}");
        let found = self.artifact(work, path).await?.ok_or_else(|| {
            let message = "`attachment` names no file of the run; attach it first with POST \
                           /runs/{id}/attachments?name=…";
            Problem::new(Code::InvalidField, message).field("attachment")
        })?;
        let code = agreed(code, Some(found.sha256), None)?;
        let (code, redacted) = self.code_without_secrets(code).await?;
        let mut event = Event::exhibit(CODE_EVENT, json!({ "code": code, "artifact": found }));
        event.data.extend(redacted.map(|told| (REDACTED.to_owned(), told)));
        let recorded = self.record(work, vec![event]).await?;
        Ok(answer(work, &code, Some(&found), None, &json!(recorded.first())))
    }

    /// Look at the work tree at `path`, and at the file in it.
    async fn look_at(
        &self,
        path: &str,
        file: Option<String>,
    ) -> Result<(WorktreeStatus, Option<Vec<u8>>), Problem> {
        let allowed = self.0.context.config.borrow().code.folders();
        let path = path.to_owned();
        let opened = self
            .0
            .context
            .blocking("opening the work tree", move || WorkTree::open(&path, &allowed));
        let tree = opened.await?;
        let listed = tree.listed().await?;
        self.0
            .context
            .blocking("comparing the work tree", move || tree.compare(&listed, file.as_deref()))
            .await
    }

    async fn artifact(&self, work: &Work, path: String) -> Result<Option<Artifact>, Problem> {
        self.with_draft(work, "looking for a file", move |draft, _| {
            Ok(draft.artifacts().find(|one| one.path == path).cloned())
        })
        .await
    }

    async fn keep_code(
        &self,
        work: &Work,
        code: CodeReference,
        seen: Option<WorktreeStatus>,
        content: Option<Vec<u8>>,
    ) -> Result<Value, Problem> {
        let state = seen.as_ref().map(|seen| seen.state);
        let path = code.path.clone();
        let (code, redacted) = self.code_without_secrets(code).await?;
        let mut data = json!({ "code": code });
        if let Some(told) = redacted {
            data[REDACTED] = told;
        }
        if let Some(seen) = &seen {
            data["work_tree"] = json!(seen);
        }
        let name = path.as_deref().and_then(|path| path.rsplit('/').next());
        let name = name.filter(|name| is_safe_name(name) && name.len() < 90).unwrap_or("file");
        let files: Vec<NewArtifact> = content
            .map(|bytes| NewArtifact {
                path: format!("code/{:04}/{name}", work.next_code()),
                media_type: "text/plain",
                bytes: bytes.into(),
            })
            .into_iter()
            .collect();
        let counts = self.0.counts.clone();
        let (artifacts, recorded) = self
            .with_draft(work, "keeping the code reference", move |draft, at| {
                let artifacts = draft.add(files).map_err(store_problem)?;
                if let Some(artifact) = artifacts.first() {
                    data["artifact"] = json!(artifact);
                }
                let event = Event::exhibit(CODE_EVENT, data);
                let recorded = counts.record(draft, &[event], at)?;
                Ok((artifacts, recorded))
            })
            .await?;
        Ok(answer(
            work,
            &code,
            artifacts.first(),
            state.map(|s| json!(s)),
            &json!(recorded.first()),
        ))
    }
}

/// `code` with what was seen, which must not contradict what was said.
fn agreed(
    mut code: CodeReference,
    sha256: Option<crate::digest::Digest>,
    commit: Option<&str>,
) -> Result<CodeReference, Problem> {
    let conflict = |field: &str, seen: &str| {
        let message =
            format!("`{field}` is not what was seen ({seen}); correct it, or leave it out");
        Problem::new(Code::ConflictingFields, message).field(field)
    };
    if let Some(commit) = commit {
        let given = code.commit.get_or_insert_with(|| commit.to_owned());
        // People shorten commits.
        if given.len() < 7 || !commit.starts_with(given.as_str()) {
            return Err(conflict("commit", commit));
        }
        commit.clone_into(given);
    }
    if let Some(sha256) = sha256
        && *code.sha256.get_or_insert(sha256) != sha256
    {
        return Err(conflict("sha256", &sha256.to_string()));
    }
    Ok(code)
}

/// What the caller is told. The work tree's folder and other files stay in the evidence.
fn answer(
    work: &Work,
    code: &CodeReference,
    artifact: Option<&Artifact>,
    state: Option<Value>,
    recorded: &Value,
) -> Value {
    json!({
        "run": work.run.id, "code": code, "artifact": artifact, "state": state,
        "recorded": recorded,
    })
}
