//! The account of a user as the container itself defines it: by its passwd(5) and group(5), and failing these by its
//! getent(1), all of it with the container's rights.

use rustix::fs::{Mode, OFlags};

use super::program;
use crate::error::{Context, Error, Kind, Result};
use crate::sandbox::user::{Account, Id, UserSpec, group_id, supplementary};
use crate::storage::tree::Tree;

/// Somebody to become.
pub struct Login {
    /// His line of passwd(5), with the group that was asked for.
    pub account: Account,
    /// His supplementary groups.
    pub groups: Vec<u32>,
}

impl Login {
    /// Looks `spec` up.
    pub fn look_up(spec: &UserSpec) -> Result<Login> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::open(c"/", flags, Mode::empty()).context(|| "failed to open the root directory")?;
        let tree = Tree::from_fd(root);
        let read = |path: &str| tree.read(path).unwrap_or_default();
        let mut account = account(&spec.user, &read("/etc/passwd"))?;
        let table = read("/etc/group");
        let Some(group) = &spec.group else {
            return Ok(Login { groups: supplementary(&table, &account.name), account });
        };
        // Who asks for a group gets that one and no others.
        account.gid = match group {
            Id::Number(number) => *number,
            Id::Name(name) => group_id(&table, name)
                .or_else(|| group_id(&asked("group", name), name))
                .ok_or_else(|| unknown("group", name))?,
        };
        Ok(Login { groups: Vec::new(), account })
    }
}

fn account(user: &Id, passwd: &str) -> Result<Account> {
    let found = Account::find(passwd, user);
    match user {
        Id::Number(number) => Ok(found.unwrap_or_else(|| Account::nameless(*number))),
        Id::Name(name) if name == "root" => Ok(found.unwrap_or_else(|| Account::nameless(0))),
        Id::Name(name) => {
            found.or_else(|| Account::find(&asked("passwd", name), user)).ok_or_else(|| unknown("user", name))
        }
    }
}

/// Output of the container's getent(1); empty where it has none.
fn asked(database: &str, name: &str) -> String {
    program::output(&["getent", database, name]).unwrap_or_default()
}

fn unknown(what: &str, name: &str) -> Error {
    Error::new(Kind::NotFound, format!("the container has no {what} '{name}'"))
        .hint(format!("name another {what}, or give its number"))
}
