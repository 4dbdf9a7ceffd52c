//! LXC's seccomp profile files (lxc.container.conf(5), `lxc.seccomp.profile`), read and nothing else.
//!
//! Version 1 is a list of call numbers that are allowed. Version 2 is a list of names in sections, one for each
//! architecture, with actions and conditions on arguments:
//!
//! ```text
//! 2
//! denylist allow
//! reject_force_umount
//! [all]
//! kexec_load errno 1
//! [x86_64]
//! ioctl errno 1 [1,0x5412,SCMP_CMP_MASKED_EQ,0xffffffff]
//! ```
//!
//! Lines that LXC skips with a warning are errors here: a rule that is not understood would be missing from the filter.

/// A profile as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Profile {
    /// The action for calls without a rule.
    pub default: Action,
    /// The rules in their order.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The line that it stands in, from 1.
    pub line: usize,
    /// The architecture section of the rule.
    pub section: Section,
    /// Which call.
    pub call: Call,
    /// The action for the call.
    pub action: Action,
    /// Conditions on its arguments; the rule applies when all are true.
    pub conditions: Vec<Condition>,
}

/// Which call a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Version 1: the native number.
    Number(i32),
    /// Version 2: the name.
    Name(String),
    /// `reject_force_umount`: umount2(2) with `MNT_FORCE`.
    ForcedUmount,
}

/// The action for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Kills the calling thread.
    Kill,
    /// It gives this error; 0 is success without effect.
    Errno(i32),
    /// It is let through.
    Allow,
    /// Sends SIGSYS to the calling thread.
    Trap,
    /// It is let through and logged.
    Log,
    /// A program outside is asked.
    Notify,
}

/// The architecture that a section is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// `[all]`, and what stands before the first section: this machine's and those that it runs as well.
    All,
    /// One.
    One(Arch),
}

/// Architectures by libseccomp's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Arch {
    X86,
    X8664,
    X32,
    Arm,
    Arm64,
    Mips,
    Mips64,
    Mips64N32,
    Mipsel,
    Mipsel64,
    Mipsel64N32,
    Ppc,
    Ppc64,
    Ppc64Le,
    S390,
    S390X,
    Riscv64,
    Loongarch64,
}

/// Names of sections, in lower case.
const SECTIONS: [(&str, Section); 19] = [
    ("all", Section::All),
    ("x86", Section::One(Arch::X86)),
    ("x86_64", Section::One(Arch::X8664)),
    ("x32", Section::One(Arch::X32)),
    ("arm", Section::One(Arch::Arm)),
    ("arm64", Section::One(Arch::Arm64)),
    ("mips", Section::One(Arch::Mips)),
    ("mips64", Section::One(Arch::Mips64)),
    ("mips64n32", Section::One(Arch::Mips64N32)),
    ("mipsel", Section::One(Arch::Mipsel)),
    ("mipsel64", Section::One(Arch::Mipsel64)),
    ("mipsel64n32", Section::One(Arch::Mipsel64N32)),
    ("ppc", Section::One(Arch::Ppc)),
    ("ppc64", Section::One(Arch::Ppc64)),
    ("ppc64le", Section::One(Arch::Ppc64Le)),
    ("s390", Section::One(Arch::S390)),
    ("s390x", Section::One(Arch::S390X)),
    ("riscv64", Section::One(Arch::Riscv64)),
    ("loongarch64", Section::One(Arch::Loongarch64)),
];

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Which argument, from 0 to 5.
    pub index: u32,
    /// The comparison.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
}

/// A comparison of an argument with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `&=`: equal in the bits of this mask.
    MaskedEqual(u64),
}

/// Calls have six arguments (syscall(2)).
const ARGUMENTS: u32 = 6;
/// The largest error that the kernel hands out (linux/err.h).
const MAX_ERRNO: i32 = 4095;

/// A mistake and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The mistake, as the end of a sentence.
    pub why: String,
}

type Parsed<T> = Result<T, String>;

/// Reads a profile.
pub fn parse(text: &str) -> Result<Profile, Fault> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let missing = |line: usize, what: &str| Fault { line, why: format!("{what} is missing") };
    let (line, version) = lines.next().ok_or_else(|| missing(1, "the version"))?;
    let numbers = match version {
        "1" => true,
        "2" => false,
        other => return Err(Fault { line, why: format!("the version is 1 or 2, not '{other}'") }),
    };
    let (line, policy) = lines.next().ok_or_else(|| missing(2, "the kind of list"))?;
    let (default, unless_said) = self::policy(policy, numbers).map_err(|why| Fault { line, why })?;
    let mut profile = Profile { default, rules: Vec::new() };
    let mut section = Section::All;
    for (line, text) in lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#')) {
        let rule = if numbers {
            number(text).map(|call| Some((call, Action::Allow, Vec::new())))
        } else if text.starts_with('[') {
            self::section(text).map(|named| section = named).map(|()| None)
        } else {
            self::rule(text, unless_said).map(Some)
        };
        if let Some((call, action, conditions)) = rule.map_err(|why| Fault { line, why })? {
            profile.rules.push(Rule { line, section, call, action, conditions });
        }
    }
    Ok(profile)
}

/// The second line: what becomes of calls without a rule, and of those whose rule does not say.
fn policy(text: &str, numbers: bool) -> Parsed<(Action, Action)> {
    let (kind, rest) = split_word(text);
    let (default, unless_said) = match kind {
        "allowlist" | "whitelist" => (Action::Kill, Action::Allow),
        "denylist" | "blacklist" if numbers => return Err("version 1 knows only an allowlist".to_string()),
        "denylist" | "blacklist" => (Action::Allow, Action::Kill),
        other => return Err(format!("'{other}' is neither allowlist nor denylist")),
    };
    let (action, rest) = match (numbers, without_comment(rest)) {
        (_, "") => return Ok((default, unless_said)),
        (true, extra) => return Err(format!("'{extra}' is not known in version 1")),
        (false, said) => action(said)?,
    };
    match rest {
        "" => Ok((action.unwrap_or(default), unless_said)),
        extra => Err(format!("'{extra}' is too much")),
    }
}

fn number(text: &str) -> Parsed<Call> {
    let (number, rest) = split_word(text);
    match (number.parse(), without_comment(rest)) {
        (Ok(number), "") if number >= 0 => Ok(Call::Number(number)),
        _ => Err(format!("'{text}' is not the number of a system call")),
    }
}

fn section(text: &str) -> Parsed<Section> {
    let inside = text.strip_prefix('[').and_then(|text| without_comment(text).trim().strip_suffix(']'));
    let name = inside.ok_or_else(|| format!("'{text}' does not end in ']'"))?.trim().to_ascii_lowercase();
    let known = SECTIONS.iter().find(|(known, _)| *known == name);
    known.map(|(_, section)| *section).ok_or_else(|| format!("'[{name}]' is no architecture that is known"))
}

/// `NAME [ACTION] [CONDITION…]`.
fn rule(text: &str, unless_said: Action) -> Parsed<(Call, Action, Vec<Condition>)> {
    let end = text.find(|c: char| c.is_whitespace() || c == '[').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err(format!("'{name}' is not the name of a system call"));
    }
    let (action, rest) = action(without_comment(rest.trim_start()))?;
    let conditions = conditions(rest)?;
    match (name, &action, conditions.is_empty()) {
        ("reject_force_umount", None, true) => {
            Ok((Call::ForcedUmount, Action::Errno(libc::EACCES), conditions))
        }
        ("reject_force_umount", ..) => {
            Err("'reject_force_umount' takes neither an action nor conditions".to_string())
        }
        _ => Ok((Call::Name(name.to_string()), action.unwrap_or(unless_said), conditions)),
    }
}

/// The action at the beginning of `text`, if there is one, and what follows it.
fn action(text: &str) -> Parsed<(Option<Action>, &str)> {
    if text.is_empty() || text.starts_with('[') {
        return Ok((None, text));
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '[').unwrap_or(text.len());
    let (word, rest) = (&text[..end], text[end..].trim_start());
    let action = match word {
        "kill" => Action::Kill,
        "allow" => Action::Allow,
        "trap" => Action::Trap,
        "log" => Action::Log,
        "notify" => Action::Notify,
        "errno" => return errno(rest),
        other => return Err(format!("'{other}' is none of kill, errno, allow, trap, log and notify")),
    };
    Ok((Some(action), rest))
}

fn errno(text: &str) -> Parsed<(Option<Action>, &str)> {
    let end = text.find(|c: char| c.is_whitespace() || c == '[').unwrap_or(text.len());
    match text[..end].parse() {
        Ok(errno) if (0..=MAX_ERRNO).contains(&errno) => {
            Ok((Some(Action::Errno(errno)), text[end..].trim_start()))
        }
        _ => Err(format!("'{}' is not an error number from 0 to {MAX_ERRNO}", &text[..end])),
    }
}

/// `[INDEX,VALUE,OPERATOR[,MASK]]…`, with or without spaces or commas between them.
fn conditions(mut text: &str) -> Parsed<Vec<Condition>> {
    let mut conditions = Vec::new();
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if text.is_empty() {
            return Ok(conditions);
        }
        let inside = text.strip_prefix('[').ok_or_else(|| format!("'{text}' is no condition"))?;
        let (inside, rest) = inside.split_once(']').ok_or_else(|| format!("'{text}' does not end in ']'"))?;
        conditions.push(condition(inside)?);
        text = rest;
    }
}

fn condition(text: &str) -> Parsed<Condition> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let (index, value, operator, mask) = match fields[..] {
        [index, value, operator] => (index, value, operator, None),
        [index, value, operator, mask] => (index, value, operator, Some(mask)),
        _ => return Err(format!("'[{text}]' is not [INDEX,VALUE,OPERATOR[,MASK]]")),
    };
    let index = index.parse().ok().filter(|index| *index < ARGUMENTS);
    let index = index.ok_or_else(|| format!("'[{text}]': an argument's index is from 0 to 5"))?;
    let value = integer(value)?;
    let comparison = match operator {
        "==" | "SCMP_CMP_EQ" => Comparison::Equal,
        "!=" | "SCMP_CMP_NE" => Comparison::NotEqual,
        "<" | "SCMP_CMP_LT" => Comparison::Less,
        "<=" | "SCMP_CMP_LE" => Comparison::LessOrEqual,
        ">" | "SCMP_CMP_GT" => Comparison::Greater,
        ">=" | "SCMP_CMP_GE" => Comparison::GreaterOrEqual,
        "&=" | "SCMP_CMP_MASKED_EQ" => {
            let mask = mask.ok_or_else(|| format!("'[{text}]': '{operator}' needs a mask"))?;
            Comparison::MaskedEqual(integer(mask)?)
        }
        other => return Err(format!("'[{text}]': '{other}' is no comparison")),
    };
    if mask.is_some() && !matches!(comparison, Comparison::MaskedEqual(_)) {
        return Err(format!("'[{text}]': '{operator}' takes no mask"));
    }
    Ok(Condition { index, comparison, value })
}

/// A number as C writes it: decimal, 0x, 0, and negative ones as their two's complement.
fn integer(text: &str) -> Parsed<u64> {
    let (digits, negative) = text.strip_prefix('-').map_or((text, false), |digits| (digits, true));
    let parsed = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        u64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(&digits[1..], 8)
    } else {
        digits.parse()
    };
    match parsed {
        // from_str_radix takes a sign of its own, which would be the second.
        Ok(number) if !digits.contains(['+', '-']) => {
            Ok(if negative { number.wrapping_neg() } else { number })
        }
        _ => Err(format!("'{text}' is not a number")),
    }
}

fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

fn without_comment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(text: &str) -> Vec<Rule> {
        parse(&format!("2\nallowlist\n{text}")).expect("parsed").rules
    }

    fn fault(text: &str) -> (usize, String) {
        let fault = parse(text).expect_err(text);
        (fault.line, fault.why)
    }

    #[test]
    fn version_1_is_a_list_of_numbers() {
        let profile = parse("1\nallowlist\n0\n1\n1079\n").expect("parsed");
        assert_eq!(profile.default, Action::Kill);
        let numbers: Vec<_> = profile.rules.iter().map(|rule| &rule.call).collect();
        assert_eq!(numbers, [&Call::Number(0), &Call::Number(1), &Call::Number(1079)]);
        assert_eq!(fault("1\ndenylist\n1\n").0, 2);
        assert_eq!(fault("1\nallowlist\nread\n").0, 3);
        assert_eq!(fault("1\nallowlist\n-1\n").0, 3);
    }

    #[test]
    fn an_allowlist_may_have_an_action_and_a_section_for_each_architecture() {
        let text = "2\nwhitelist trap\n# a comment\n[x86_64]\nopen\n\n[X86]\nopen\n[all]\nread errno 0\n";
        let profile = parse(text).expect("parsed");
        assert_eq!(profile.default, Action::Trap);
        let seen: Vec<_> = profile.rules.iter().map(|r| (r.line, r.section, r.action)).collect();
        assert_eq!(
            seen,
            [
                (5, Section::One(Arch::X8664), Action::Allow),
                (8, Section::One(Arch::X86), Action::Allow),
                (10, Section::All, Action::Errno(0)),
            ]
        );
    }

    #[test]
    fn a_denylist_allows_and_its_rules_kill_unless_they_say_otherwise() {
        let profile =
            parse("2\nblacklist\nreject_force_umount  # do\n[all]\nkexec_load errno 1\ninit_module\n");
        let profile = profile.expect("parsed");
        assert_eq!(profile.default, Action::Allow);
        let seen: Vec<_> = profile.rules.iter().map(|rule| (rule.call.clone(), rule.action)).collect();
        let name = |name: &str| Call::Name(name.to_string());
        assert_eq!(
            seen,
            [
                (Call::ForcedUmount, Action::Errno(libc::EACCES)),
                (name("kexec_load"), Action::Errno(1)),
                (name("init_module"), Action::Kill),
            ]
        );
        assert_eq!(parse("2\ndenylist log").expect("parsed").default, Action::Log);
    }

    #[test]
    fn conditions_are_read_with_all_operators_and_bases() {
        let text = "ioctl errno 1 [1,0x5412,SCMP_CMP_MASKED_EQ,0xffffffff]\n\
                    socket notify [0,16,==][2,-1,!=] , [1,010,&=,7]\nmknod [1,8192,<=]\nread[0,1,>]\n";
        let seen: Vec<_> = rules(text).into_iter().map(|rule| (rule.action, rule.conditions)).collect();
        let condition = |index, comparison, value| Condition { index, comparison, value };
        assert_eq!(
            seen,
            [
                (Action::Errno(1), vec![condition(1, Comparison::MaskedEqual(0xffff_ffff), 0x5412)]),
                (
                    Action::Notify,
                    vec![
                        condition(0, Comparison::Equal, 16),
                        condition(2, Comparison::NotEqual, u64::MAX),
                        condition(1, Comparison::MaskedEqual(7), 8),
                    ]
                ),
                (Action::Allow, vec![condition(1, Comparison::LessOrEqual, 8192)]),
                (Action::Allow, vec![condition(0, Comparison::Greater, 1)]),
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        let cases = [
            ("", 1, "version"),
            ("3\nallowlist\n", 1, "'3'"),
            ("2\n", 2, "missing"),
            ("2\nlist\n", 2, "'list'"),
            ("2\nallowlist debug\n", 2, "'debug'"),
            ("2\nallowlist kill kill\n", 2, "too much"),
            ("2\nallowlist\n[vax]\n", 3, "'[vax]'"),
            ("2\nallowlist\n[x86\n", 3, "']'"),
            ("2\nallowlist\n\nopen perhaps\n", 4, "'perhaps'"),
            ("2\nallowlist\nOpen\n", 3, "'Open'"),
            ("2\nallowlist\nopen errno\n", 3, "error number"),
            ("2\nallowlist\nopen errno 9999\n", 3, "'9999'"),
            ("2\nallowlist\nopen [6,1,==]\n", 3, "0 to 5"),
            ("2\nallowlist\nopen [0,1,&=]\n", 3, "mask"),
            ("2\nallowlist\nopen [0,1,==,1]\n", 3, "mask"),
            ("2\nallowlist\nopen [0,x,==]\n", 3, "'x'"),
            ("2\nallowlist\nopen [0,1,=]\n", 3, "'='"),
            ("2\nallowlist\nopen [0,1\n", 3, "']'"),
            ("2\nallowlist\nreject_force_umount kill\n", 3, "reject_force_umount"),
        ];
        for (text, line, why) in cases {
            let fault = fault(text);
            assert_eq!(fault.0, line, "{text:?}");
            assert!(fault.1.contains(why), "{text:?}: {}", fault.1);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn nothing_that_looks_like_a_rule_panics(
            lines in prop::collection::vec("[a-z_\\[\\]0-9,x&=<>!# -]{0,24}", 0..12),
        ) {
            let text = lines.join("\n");
            for head in ["1\nallowlist\n", "2\ndenylist errno 1\n"] {
                if let Err(fault) = parse(&format!("{head}{text}")) {
                    prop_assert!(fault.line > 2 && fault.line <= lines.len() + 2);
                }
            }
        }
    }
}
