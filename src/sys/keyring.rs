//! keyctl(2): keyrings are not namespaced, so a container gets a session keyring of its own.

use nix::errno::Errno;

/// Joins a new, anonymous session keyring (`KEYCTL_JOIN_SESSION_KEYRING`).
pub fn join_new_session_keyring() -> Result<(), Errno> {
    // SAFETY: a null name asks for an anonymous keyring; no memory is touched.
    let key = unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
    Errno::result(key).map(drop)
}
