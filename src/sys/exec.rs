//! execve(2) and close_range(2).

use std::ffi::{CString, OsString, c_char};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;

use crate::error::{Error, Result};

/// A null-terminated list of strings, as execve(2) takes it; laid out before the clone.
pub struct StringList {
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl StringList {
    /// Lays out `strings`.
    pub fn new(strings: Vec<CString>) -> StringList {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        StringList { strings, pointers }
    }

    /// Lays out text, which must hold no zero byte.
    pub fn of(strings: impl IntoIterator<Item = OsString>) -> Result<StringList> {
        strings.into_iter().map(c_string).collect::<Result<Vec<_>>>().map(StringList::new)
    }

    /// The first string, if there is one.
    fn first(&self) -> Option<&CString> {
        self.strings.first()
    }
}

/// Text as the kernel takes it; a zero byte in it is the user's mistake.
pub fn c_string(text: OsString) -> Result<CString> {
    CString::new(text.into_vec()).map_err(|error| {
        let text = error.into_vec();
        Error::config(format!("'{}' holds a zero byte", String::from_utf8_lossy(&text).escape_debug()))
    })
}

/// Executes `program`, whatever the first of `arguments` says; returns only the reason why it could not. Allocates
/// nothing.
pub fn execve_as(program: &CString, arguments: &StringList, environment: &StringList) -> Errno {
    // SAFETY: all three are C strings and null-terminated lists of such, alive during the call.
    unsafe { libc::execve(program.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    Errno::last()
}

/// Executes the first of `arguments`; returns only the reason why it could not. Allocates nothing.
pub fn execve(arguments: &StringList, environment: &StringList) -> Errno {
    arguments.first().map_or(Errno::ENOENT, |program| execve_as(program, arguments, environment))
}

/// Executes an open file (execveat(2)); returns only the reason why it could not.
pub fn fexecve(program: RawFd, arguments: &StringList, environment: &StringList) -> Errno {
    let (arguments, environment) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
    // SAFETY: an empty path and null-terminated lists of C strings, alive during the call.
    unsafe {
        libc::syscall(libc::SYS_execveat, program, c"".as_ptr(), arguments, environment, libc::AT_EMPTY_PATH)
    };
    Errno::last()
}

/// Closes every descriptor from `first` on. Only exec or the end may follow, as their owners still hold them.
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: no memory is passed, and nobody uses or drops a descriptor any more.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Marks every descriptor from `first` on close-on-exec (`CLOSE_RANGE_CLOEXEC`).
pub fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    // SAFETY: no memory is passed, and marking a descriptor breaks no owner's claim on it.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(result).map(drop)
}
