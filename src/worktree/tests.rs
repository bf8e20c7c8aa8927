//! Tests of the looking at work trees: what is told of an honest one, and that a hostile one starts
//! nothing and leads nowhere.
#![expect(clippy::disallowed_methods, reason = "tests make repositories of their own")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::compare::blob_id;
use super::*;

/// A repository with a few files and one commit.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new(format: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let this = Self(folder);
        this.git(&["init", "-q", &format!("--object-format={format}"), "desk"]);
        fs::create_dir(this.path().join("src")).expect("made");
        fs::write(this.path().join("src/refund.py"), "print('refund')\n").expect("written");
        fs::write(this.path().join("run.sh"), "#!/bin/sh\n").expect("written");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(this.path().join("run.sh"), mode).expect("changed");
        symlink("src/refund.py", this.path().join("link")).expect("linked");
        this.git(&["-C", "desk", "add", "."]);
        this.git(&["-C", "desk", "commit", "-q", "-m", "one"]);
        this
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(self.0.path()).args(["-c", "user.name=t", "-c", "user.email=t@x"]);
        let output = command.args(arguments).output().expect("git is there");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("desk")
    }

    fn open(&self) -> Result<WorkTree, Problem> {
        WorkTree::open(&self.path().to_string_lossy(), &[self.0.path().to_owned()])
    }

    async fn seen(&self, file: Option<&str>) -> Result<(WorktreeStatus, Option<Vec<u8>>), Problem> {
        let tree = self.open()?;
        let listed = tree.listed().await?;
        tree.compare(&listed, file)
    }
}

#[tokio::test]
async fn an_honest_tree_is_told_as_git_tells_it() {
    for format in ["sha1", "sha256"] {
        let repository = Repository::new(format);
        let (seen, content) = repository.seen(Some("src/refund.py")).await.expect("seen");
        assert_eq!((seen.state, seen.compared), (State::Clean, 3), "{seen:?}");
        assert_eq!(seen.commit, repository.git(&["-C", "desk", "rev-parse", "HEAD"]));
        let file = seen.file.expect("a file");
        assert_eq!(file.blob, repository.git(&["-C", "desk", "rev-parse", "HEAD:src/refund.py"]));
        assert_eq!(file.blob_at_commit.as_ref(), Some(&file.blob));
        assert_eq!(content.expect("bytes"), b"print('refund')\n");
    }
}

/// What is done to the files of a repository.
type Damage = fn(&Path);

#[tokio::test]
async fn every_change_of_a_tracked_file_makes_it_dirty() {
    let changes: [(Damage, &str); 5] = [
        (
            |path| fs::write(path.join("src/refund.py"), "print('more')\n").expect("written"),
            "src/refund.py",
        ),
        (|path| fs::remove_file(path.join("src/refund.py")).expect("removed"), "src/refund.py"),
        (
            |path| {
                let mode = fs::Permissions::from_mode(0o644);
                fs::set_permissions(path.join("run.sh"), mode).expect("changed");
            },
            "run.sh",
        ),
        (
            |path| {
                fs::remove_file(path.join("link")).expect("removed");
                symlink("run.sh", path.join("link")).expect("linked");
            },
            "link",
        ),
        (
            |path| {
                // The same bytes, but not there.
                fs::rename(path.join("src"), path.join("real")).expect("renamed");
                symlink("real", path.join("src")).expect("linked");
            },
            "src/refund.py",
        ),
    ];
    for (change, name) in changes {
        let repository = Repository::new("sha1");
        change(&repository.path());
        let (seen, _) = repository.seen(None).await.expect("seen");
        assert_eq!((seen.state, seen.changed), (State::Dirty, vec![name.to_owned()]));
    }
}

#[tokio::test]
async fn a_hostile_repository_starts_nothing() {
    let repository = Repository::new("sha1");
    let (path, mark) = (repository.path(), repository.0.path().join("started"));
    let program = repository.0.path().join("evil");
    fs::write(&program, format!("#!/bin/sh\ntouch {}\n", mark.display())).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("changed");
    let evil = program.to_string_lossy();
    for (key, value) in [
        ("core.fsmonitor", &*evil),
        ("core.hooksPath", &*repository.0.path().to_string_lossy()),
        ("core.pager", &*evil),
        ("core.sshCommand", &*evil),
        ("core.alternateRefsCommand", &*evil),
        ("diff.external", &*evil),
        ("filter.evil.clean", &*evil),
        ("filter.evil.smudge", &*evil),
        ("filter.evil.process", &*evil),
        ("pager.ls-tree", &*evil),
        ("pager.rev-parse", &*evil),
        ("remote.origin.url", &*format!("ext::{evil}")),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", &*evil),
        ("extensions.partialClone", "origin"),
        ("protocol.ext.allow", "always"),
    ] {
        repository.git(&["-C", "desk", "config", key, value]);
    }
    fs::write(path.join(".gitattributes"), "* filter=evil\n").expect("written");
    fs::write(path.join("src/refund.py"), "changed\n").expect("written");
    let (seen, _) = repository.seen(Some("src/refund.py")).await.expect("seen");
    assert_eq!(seen.changed, ["src/refund.py"]);
    // A commit that is not there would be fetched.
    fs::write(path.join(".git/HEAD"), format!("{}\n", "1".repeat(40))).expect("written");
    let problem = repository.seen(None).await.expect_err("no such commit");
    assert_eq!(problem.field.as_deref(), Some("work_tree"));
    // A tree that is not there would be, too.
    let tree = repository.git(&["-C", "desk", "rev-parse", "master^{tree}"]);
    fs::write(path.join(".git/HEAD"), "ref: refs/heads/master\n").expect("written");
    fs::remove_file(path.join(format!(".git/objects/{}/{}", &tree[..2], &tree[2..])))
        .expect("removed");
    assert!(repository.seen(None).await.is_err());
    assert!(!mark.exists(), "something of the repository was run");
}

#[tokio::test]
async fn nothing_outside_is_read() {
    let repository = Repository::new("sha1");
    let path = repository.path();
    let secret = repository.0.path().join("secret");
    fs::write(&secret, "secret").expect("written");
    symlink(&secret, path.join("to-secret")).expect("linked");
    symlink(repository.0.path(), path.join("up")).expect("linked");
    let absolute = secret.to_string_lossy().into_owned();
    let mut names =
        vec!["to-secret", "up/secret", "../secret", "src", ".git/config", "", &absolute];
    names.extend(["src/../../secret", "src/../.git/HEAD", "no/such"]);
    for name in names {
        let problem = repository.seen(Some(name)).await.expect_err(name);
        assert_eq!(problem.field.as_deref(), Some("path"), "{name}");
        assert!(problem.message.contains(';'), "{problem}");
    }
}

#[tokio::test]
async fn another_name_of_a_file_elsewhere_is_not_read() {
    let repository = Repository::new("sha1");
    let (path, secret) = (repository.path(), repository.0.path().join("secret"));
    fs::write(&secret, "secret").expect("written");
    fs::hard_link(&secret, path.join("to-secret")).expect("linked");
    fs::hard_link(&secret, path.join("src/to-secret")).expect("linked");
    for name in ["to-secret", "src/to-secret"] {
        let problem = repository.seen(Some(name)).await.expect_err(name);
        assert_eq!((problem.code, problem.field.as_deref()), (Code::InvalidField, Some("path")));
        assert!(problem.message.contains("a hard link"), "{problem}");
    }
    // Nor does it tell whether the file elsewhere is one that the commit names.
    fs::write(&secret, "print('refund')\n").expect("written");
    fs::remove_file(path.join("src/refund.py")).expect("removed");
    fs::hard_link(&secret, path.join("src/refund.py")).expect("linked");
    let (seen, _) = repository.seen(None).await.expect("seen");
    assert_eq!((seen.state, seen.changed), (State::Dirty, vec!["src/refund.py".to_owned()]));
    fs::remove_file(&secret).expect("removed");
    fs::remove_file(path.join("to-secret")).expect("removed");
    fs::remove_file(path.join("src/to-secret")).expect("removed");
    let (seen, _) = repository.seen(Some("src/refund.py")).await.expect("one name is left");
    assert_eq!(seen.state, State::Clean);
}

/// What is done to a repository, with another one at hand.
type Change = fn(&Path, &Path);

#[test]
fn only_ordinary_clones_in_allowed_folders_are_looked_at() {
    let repository = Repository::new("sha1");
    let other = Repository::new("sha1");
    let path = repository.path().to_string_lossy().into_owned();
    let forbidden = |path: &str, allowed: &[PathBuf]| {
        WorkTree::open(path, allowed).expect_err("forbidden").code == Code::TargetForbidden
    };
    let own = [repository.0.path().to_owned()];
    assert!(repository.open().is_ok());
    assert!(forbidden(&path, &[]) && forbidden(&path, &[other.path()]));
    assert!(forbidden("desk", &own) && forbidden("/no/such/folder", &own));
    symlink(other.path(), repository.0.path().join("away")).expect("linked");
    let away = repository.0.path().join("away").to_string_lossy().into_owned();
    assert!(forbidden(&away, &own), "a link out of the folder");
    // Repositories that take from elsewhere.
    let changes: [Change; 6] = [
        |path, other| {
            fs::remove_dir_all(path.join(".git")).expect("removed");
            let text = format!("gitdir: {}\n", other.join(".git").display());
            fs::write(path.join(".git"), text).expect("written");
        },
        |path, other| {
            fs::remove_dir_all(path.join(".git")).expect("removed");
            symlink(other.join(".git"), path.join(".git")).expect("linked");
        },
        |path, other| {
            fs::create_dir_all(path.join(".git/objects/info")).expect("made");
            let text = format!("{}\n", other.join(".git/objects").display());
            fs::write(path.join(".git/objects/info/alternates"), text).expect("written");
        },
        |path, other| {
            fs::create_dir_all(path.join(".git/objects/info")).expect("made");
            let list = other.join("alternates");
            fs::write(&list, "/nowhere\n").expect("written");
            symlink(&list, path.join(".git/objects/info/alternates")).expect("linked");
        },
        |path, other| {
            fs::remove_dir_all(path.join(".git/objects/pack")).expect("removed");
            let pack = other.join(".git/objects/pack");
            symlink(pack, path.join(".git/objects/pack")).expect("linked");
        },
        |path, other| {
            let text = format!("{}\n", other.join(".git").display());
            fs::write(path.join(".git/commondir"), text).expect("written");
        },
    ];
    for change in changes {
        let repository = Repository::new("sha1");
        change(&repository.path(), &other.path());
        let problem = repository.open().expect_err("it leads elsewhere");
        assert_eq!(problem.code, Code::InvalidField, "{problem}");
    }
}

#[test]
fn the_id_of_a_blob_is_gits() {
    // From git's own manual: the id of "what is up, doc?".
    assert_eq!(blob_id(b"what is up, doc?", false), "bd9dbf5aae1a3862dd1526723246b20206e5fc37");
}
