//! The one error type: what was tried, on what object, why it failed, and what the user can do.
//!
//! A message is lower case, operation first, object in single ticks, cause last:
//! `failed to mount '/run/x' on '/y': device or resource busy`. Library functions return it; the verb, the
//! D-Bus method and the supervisor's loop print it, once.

use std::fmt;

/// Result of everything fallible in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error: callers branch on it, and each kind is one documented exit code of all our programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The operation was tried and failed.
    Failed,
    /// No such container, root file system or file.
    NotFound,
    /// The caller lacks the rights.
    Denied,
    /// The object exists already, is running, or another operation holds it.
    Busy,
    /// The host lacks a feature that is needed.
    Unsupported,
    /// Processes of it cannot be ended.
    Stuck,
    /// A time limit ran out.
    TimedOut,
    /// A definition or an argument is wrong.
    Config,
    /// The user interrupted us (SIGINT, SIGTERM).
    Interrupted,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 9] = [
        Kind::Failed,
        Kind::NotFound,
        Kind::Denied,
        Kind::Busy,
        Kind::Unsupported,
        Kind::Stuck,
        Kind::TimedOut,
        Kind::Config,
        Kind::Interrupted,
    ];

    /// The kind that a program of ours meant by its exit code.
    pub fn of_exit_code(code: u64) -> Kind {
        Kind::ALL.into_iter().find(|kind| u64::from(kind.exit_code()) == code).unwrap_or(Kind::Failed)
    }

    /// Exit code as documented in containerctl(1), those of sysexits(3) where they fit; 2 is left to usage errors,
    /// 133 to a container's reboot.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::NotFound => 66,
            Kind::Denied => 77,
            Kind::Busy => 75,
            Kind::Unsupported => 69,
            Kind::Stuck => 71,
            Kind::TimedOut => 124,
            Kind::Config => 78,
            Kind::Interrupted => 130,
        }
    }
}

/// A failure, described for a person.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), hint: None }
    }

    /// The commonest kind: the operation failed.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::new(Kind::Failed, message)
    }

    /// A wrong definition or argument.
    pub fn config(message: impl Into<String>) -> Error {
        Error::new(Kind::Config, message)
    }

    /// Adds the next step that the user can take; one sentence without a full stop.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// The kind of this error.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence without its hint.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Puts the operation and its object in front of a foreign error.
pub trait Context<T> {
    /// `operation` reads like `failed to open '/etc/x'`; it is only built on failure.
    fn context<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Cause> Context<T> for std::result::Result<T, E> {
    fn context<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|cause| Error::failed(format!("{}: {}", operation().into(), cause.cause())))
    }
}

/// The text of a foreign error at the end of a sentence.
pub trait Cause {
    /// The cause alone, in the kernel's words where it is an errno.
    fn cause(&self) -> String;
}

impl Cause for std::io::Error {
    fn cause(&self) -> String {
        match self.raw_os_error() {
            Some(errno) => nix::errno::Errno::from_raw(errno).cause(),
            None => self.to_string(),
        }
    }
}

impl Cause for nix::errno::Errno {
    fn cause(&self) -> String {
        self.desc().to_string()
    }
}

impl Cause for rustix::io::Errno {
    fn cause(&self) -> String {
        nix::errno::Errno::from_raw(self.raw_os_error()).cause()
    }
}

impl Cause for Error {
    fn cause(&self) -> String {
        self.to_string()
    }
}
