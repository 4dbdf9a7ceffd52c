//! Users of a container: whom a caller asks for, and what the container's own passwd(5) and group(5) say. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The longest name that is looked for, as login(1) has it.
const LONGEST: usize = 256;

/// A user or a group: by name or by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Id {
    /// By name.
    Name(String),
    /// By number; never 4294967295, which means "leave as it is" to setresuid(2).
    Number(u32),
}

impl Id {
    /// A number is digits and nothing else. What begins like one is never taken for a name.
    fn parse(text: &str) -> Option<Id> {
        let first = text.chars().next()?;
        if text.chars().all(|c| c.is_ascii_digit()) {
            return text.parse().ok().filter(|number| *number != u32::MAX).map(Id::Number);
        }
        let allowed = |c: char| !c.is_control() && !c.is_whitespace() && !"/:,".contains(c);
        let begins = !first.is_ascii_digit() && !"+-~".contains(first);
        (begins && text.len() <= LONGEST && text.chars().all(allowed)).then(|| Id::Name(text.to_string()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Name(name) => f.write_str(name),
            Id::Number(number) => write!(f, "{number}"),
        }
    }
}

/// `USER[:GROUP]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// The user.
    pub user: Id,
    /// The group, in place of the user's own ones.
    pub group: Option<Id>,
}

impl UserSpec {
    /// The container's root.
    pub fn root() -> UserSpec {
        UserSpec { user: Id::Number(0), group: None }
    }
}

impl FromStr for UserSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<UserSpec, Error> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let parsed = || {
            Some(UserSpec {
                user: Id::parse(user)?,
                group: group.map(Id::parse).map_or(Some(None), |id| id.map(Some))?,
            })
        };
        parsed().ok_or_else(|| {
            Error::config(format!("'{}' is not a user", text.escape_debug()))
                .hint("give a name or a number, and after a colon a group if need be: 'www-data', '1000:100'")
        })
    }
}

/// A line of passwd(5), as far as it is of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

impl Account {
    /// The first line of `passwd` that is of `user`.
    pub fn find(passwd: &str, user: &Id) -> Option<Account> {
        passwd.lines().filter_map(Account::parse).find(|account| match user {
            Id::Name(name) => account.name == *name,
            Id::Number(number) => account.uid == *number,
        })
    }

    /// A line of passwd(5); none if it is broken.
    pub fn parse(line: &str) -> Option<Account> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        let or = |text: &str, default: &str| if text.starts_with('/') { text } else { default }.to_string();
        Some(Account {
            name: name.to_string(),
            uid: number(uid)?,
            gid: number(gid)?,
            home: or(home, "/"),
            shell: or(shell, SHELL),
        })
    }

    /// Of a number that the container has no name for. Its group has the same number: never root's by accident.
    pub fn nameless(uid: u32) -> Account {
        let home = if uid == 0 { "/root" } else { "/" }.to_string();
        let name = if uid == 0 { "root".to_string() } else { uid.to_string() };
        Account { name, uid, gid: uid, home, shell: SHELL.to_string() }
    }
}

/// The shell of whoever has none.
const SHELL: &str = "/bin/sh";

/// The id of a group by name, after group(5).
pub fn group_id(group: &str, name: &str) -> Option<u32> {
    let ours = |fields: &[&str]| fields.first() == Some(&name);
    group_lines(group).find(|fields| ours(fields)).and_then(|fields| number(fields[2]))
}

/// The groups that list `user` as a member, after group(5); at most as many as the kernel takes of one process.
pub fn supplementary(group: &str, user: &str) -> Vec<u32> {
    const LIMIT: usize = 65536;
    let member = |fields: &[&str]| fields[3].split(',').any(|member| member == user);
    let groups = group_lines(group).filter(|fields| member(fields)).filter_map(|fields| number(fields[2]));
    groups.take(LIMIT).collect()
}

fn group_lines(group: &str) -> impl Iterator<Item = Vec<&str>> {
    group.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|fields| fields.len() == 4)
}

fn number(text: &str) -> Option<u32> {
    match Id::parse(text) {
        Some(Id::Number(number)) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(text: &str) -> Option<(Id, Option<Id>)> {
        text.parse::<UserSpec>().ok().map(|spec| (spec.user, spec.group))
    }

    fn name(text: &str) -> Id {
        Id::Name(text.to_string())
    }

    #[test]
    fn a_user_is_a_name_or_a_number_and_nothing_in_between() {
        assert_eq!(user("1"), Some((Id::Number(1), None)));
        assert_eq!(user("01:0"), Some((Id::Number(1), Some(Id::Number(0)))));
        assert_eq!(user("root:adm"), Some((name("root"), Some(name("adm")))));
        assert_eq!(user("a.b@c\\d-e$"), Some((name("a.b@c\\d-e$"), None)));
        assert_eq!(user("4294967294"), Some((Id::Number(4294967294), None)));
        for refused in [
            "",
            "1:",
            ":1",
            ":",
            "0x0",
            "+1",
            "1 ",
            " 1",
            "-1",
            "4294967295",
            "4294967296",
            "99999999999999999999",
            "1:1:1",
            "a b",
            "a\n",
            "a/b",
            "1a",
            "a:1x",
            "a:-1",
            "+",
            "~x",
            "root:",
            "\u{1b}[2J",
        ] {
            assert_eq!(user(refused), None, "{refused:?}");
        }
    }

    proptest! {
        // SEC-19, CVE-2026-30892: a text that is not quite a number became root.
        #[test]
        fn nobody_becomes_root_but_by_asking_for_it(text in "[-+0-9a-fx: \t]{0,12}") {
            if let Some((user, group)) = user(&text) {
                let (first, rest) = text.split_once(':').unwrap_or((&text, "1"));
                let zero = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte == b'0');
                prop_assert_eq!(user == Id::Number(0), zero(first));
                prop_assert_eq!(group == Some(Id::Number(0)), zero(rest));
            }
        }

        #[test]
        fn numbers_are_what_they_say(number in 0..u32::MAX) {
            prop_assert_eq!(user(&number.to_string()), Some((Id::Number(number), None)));
        }

        #[test]
        fn no_text_breaks_the_parsers(text in "[a-c0-3:,\n/x-]{0,60}") {
            let _ = (user(&text), Account::find(&text, &name("a")), supplementary(&text, "a"));
        }
    }

    const PASSWD: &str =
        "broken\nroot:x:0:0:root:/root:/bin/bash\nbad:x:-1:0::/:/bin/sh\nann:x:1000:100:,,,:relative:\n";

    #[test]
    fn accounts_are_found_by_name_and_by_number() {
        let ann = Account::find(PASSWD, &name("ann")).expect("ann");
        assert_eq!((ann.uid, ann.gid, ann.home.as_str(), ann.shell.as_str()), (1000, 100, "/", "/bin/sh"));
        assert_eq!(Account::find(PASSWD, &Id::Number(0)).expect("root").shell, "/bin/bash");
        assert_eq!(Account::find(PASSWD, &name("bad")), None);
        assert_eq!(Account::nameless(7).gid, 7);
    }

    #[test]
    fn groups_are_those_that_name_the_user() {
        let group = "root:x:0:\nadm:x:4:bob,ann\nnope:x:x:ann\nusers:x:100:annette\n";
        assert_eq!(supplementary(group, "ann"), [4]);
        assert_eq!(group_id(group, "users"), Some(100));
        assert_eq!(group_id(group, "none"), None);
    }
}
