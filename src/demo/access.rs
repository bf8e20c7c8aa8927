//! Owns the access desk: a small web application in which people have roles, like one an identity
//! team would use. A change needs an approval that somebody else gave. Knows nothing of evidence.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::pages::{escaped, shell, tile};
use super::serve::{again, api_refused, page, serve};
use crate::clock::Clock;
use crate::tasks::Tasks;

/// What somebody may do, from little to much.
const ROLES: [&str; 4] = ["None", "Viewer", "Editor", "Admin"];

/// Somebody with a role.
#[derive(Clone, Debug, Serialize)]
struct Person {
    id: &'static str,
    name: &'static str,
    team: &'static str,
    role: &'static str,
    history: Vec<String>,
}

/// A change asked for, as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(expecting = "struct Asked")]
struct ChangeForm {
    #[serde(default)]
    role: String,
    #[serde(default)]
    approval: String,
}

#[derive(Clone, Debug)]
struct App {
    people: Arc<Mutex<Vec<Person>>>,
    clock: Clock,
}

impl App {
    fn people(&self) -> MutexGuard<'_, Vec<Person>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn people() -> Vec<Person> {
    let person = |id, name, team, role| Person { id, name, team, role, history: Vec::new() };
    vec![
        person("alice", "Alice Moreau", "Billing", "Viewer"),
        person("bela", "Béla Kovács", "Billing", "Editor"),
        person("chen", "陈 Wei", "Platform", "Admin"),
        person("dana", "Dana <Ops> O’Brien", "Platform", "None"),
    ]
}

/// Change the role of `id` as asked, or say why not.
fn change(
    people: &mut [Person],
    id: &str,
    asked: &ChangeForm,
    now: &str,
) -> Result<Person, String> {
    let person = people.iter_mut().find(|person| person.id == id);
    let person = person.ok_or("There is no such person.")?;
    let role = ROLES.into_iter().find(|role| *role == asked.role);
    let role = role.ok_or("Choose one of the roles.")?;
    let ticket = asked.approval.trim();
    let sound = |ticket: &str| ticket.len() <= 20 && ticket.bytes().all(|b| b.is_ascii_digit());
    if !ticket.strip_prefix("APR-").is_some_and(|number| !number.is_empty() && sound(number)) {
        return Err("Give the approval's number, like APR-118.".to_owned());
    }
    if role == person.role {
        return Err(format!("{} has that role already.", person.name));
    }
    person.history.push(format!("{now} {} → {role}, approved by {ticket}", person.role));
    person.role = role;
    Ok(person.clone())
}

/// Open the desk; its address.
pub(super) async fn start(clock: Clock, tasks: &Tasks) -> std::io::Result<String> {
    let app = App { people: Arc::new(Mutex::new(people())), clock };
    let router = Router::new()
        .route("/", get(list))
        .route("/people/{id}", get(details))
        .route("/people/{id}/role", get(form).post(submit))
        .route("/api/people/{id}", get(api_details))
        .route("/api/people/{id}/role", axum::routing::post(api_change))
        .fallback(|| async { missing() })
        .with_state(app);
    Ok(format!("http://{}", serve(router, tasks).await?))
}

fn missing() -> Response {
    let html = shell("Access desk", "Not found", "<h1>Not found</h1><p>Nobody is there.</p>");
    (StatusCode::NOT_FOUND, Html(html)).into_response()
}

/// What `show` makes of the person called `id`.
fn of(app: &App, id: &str, show: impl FnOnce(&Person) -> Response) -> Response {
    app.people().iter().find(|person| person.id == id).map_or_else(missing, show)
}

async fn list(State(app): State<App>) -> Response {
    let row = |person: &Person| {
        format!(
            "<tr><td><a href=\"/people/{id}\">{name}</a><td>{team}<td>\
             <span class=\"chip\">{role}</span></tr>",
            id = person.id,
            name = escaped(person.name),
            team = person.team,
            role = person.role
        )
    };
    let rows: String = app.people().iter().map(row).collect();
    let main = format!(
        "<h1>People</h1><div class=\"card\"><table><thead><tr><th>Name<th>Team<th>Role</tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    );
    page(shell("Access desk", "People", &main))
}

async fn details(State(app): State<App>, Path(id): Path<String>) -> Response {
    of(&app, &id, |person| page(details_page(person)))
}

fn details_page(person: &Person) -> String {
    let history = person.history.iter().map(|line| format!("<li>{}</li>", escaped(line)));
    let history: String = history.collect();
    let history = if history.is_empty() { "<li>No changes</li>".to_owned() } else { history };
    let name = escaped(person.name);
    let main = format!(
        "<h1>{name}</h1><div class=\"tiles\">{role}{team}{count}</div><div class=\"card\">\
         <p role=\"status\">Role of {id}: <strong>{word}</strong></p>\
         <p><a class=\"button\" href=\"/people/{id}/role\">Change role…</a></p></div>\
         <div class=\"card\"><h2>History</h2><ul>{history}</ul></div>",
        role = tile("Role", person.role),
        team = tile("Team", person.team),
        count = tile("Changes", &person.history.len().to_string()),
        id = person.id,
        word = person.role,
    );
    shell("Access desk", &name, &main)
}

async fn form(State(app): State<App>, Path(id): Path<String>) -> Response {
    of(&app, &id, |person| page(form_page(person, &ChangeForm::default(), None)))
}

fn form_page(person: &Person, asked: &ChangeForm, refused: Option<&str>) -> String {
    let alert = refused.map_or_else(String::new, |why| {
        format!("<p class=\"alert\" role=\"alert\">{}</p>", escaped(why))
    });
    let option = |role: &&str| {
        let now = if *role == person.role { " selected" } else { "" };
        format!("<option{now}>{role}</option>")
    };
    let options = ROLES.iter().map(option).collect::<Vec<_>>().concat();
    let (id, name) = (person.id, escaped(person.name));
    let main = format!(
        "<h1>Change the role of {name}</h1><form class=\"card\" method=\"post\" \
         action=\"/people/{id}/role\">{alert}<label>Role<select name=\"role\">{options}</select>\
         </label><label>Approval<input name=\"approval\" required value=\"{approval}\"></label>\
         <p><button class=\"button\">Change</button></p></form>",
        approval = escaped(&asked.approval),
    );
    shell("Access desk", "Change role", &main)
}

async fn submit(
    State(app): State<App>,
    Path(id): Path<String>,
    Form(asked): Form<ChangeForm>,
) -> Response {
    let now = app.clock.now().to_rfc3339();
    let changed = change(&mut app.people(), &id, &asked, &now);
    match changed {
        Ok(_) => Redirect::to(&format!("/people/{id}")).into_response(),
        Err(why) => of(&app, &id, |person| again(form_page(person, &asked, Some(&why)))),
    }
}

async fn api_details(State(app): State<App>, Path(id): Path<String>) -> Response {
    of(&app, &id, |person| Json(person).into_response())
}

async fn api_change(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(asked): Json<ChangeForm>,
) -> Response {
    let now = app.clock.now().to_rfc3339();
    match change(&mut app.people(), &id, &asked, &now) {
        Ok(person) => Json(person).into_response(),
        Err(why) => api_refused(StatusCode::UNPROCESSABLE_ENTITY, &why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(role: &str, approval: &str) -> ChangeForm {
        ChangeForm { role: role.to_owned(), approval: approval.to_owned() }
    }

    #[test]
    fn a_role_changes_only_with_an_approval() {
        let mut people = people();
        for (role, approval) in [
            ("Admin", ""),
            ("Admin", "APR-"),
            ("Admin", "yes"),
            ("Root", "APR-1"),
            ("Viewer", "APR-1"),
        ] {
            assert!(change(&mut people, "alice", &asked(role, approval), "now").is_err(), "{role}");
        }
        let person = change(&mut people, "alice", &asked("Admin", " APR-118 "), "now");
        assert_eq!(person.expect("changed").history, ["now Viewer → Admin, approved by APR-118"]);
        assert!(change(&mut people, "eve", &asked("Admin", "APR-1"), "now").is_err());
    }

    #[test]
    fn names_are_text_and_nothing_else() {
        let people = people();
        assert!(details_page(&people[3]).contains("Dana &lt;Ops&gt;"));
    }
}
