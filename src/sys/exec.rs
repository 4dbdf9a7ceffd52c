//! execve(2) and close_range(2).

use std::ffi::{CString, c_char};

use nix::errno::Errno;

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

    /// The first string, if there is one.
    fn first(&self) -> Option<&CString> {
        self.strings.first()
    }
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
