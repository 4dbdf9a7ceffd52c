//! lsm_set_self_attr(2) (Linux 6.8): labels without procfs, which a container could have covered.

use nix::errno::Errno;

/// The call's number, the same on every architecture.
const LSM_SET_SELF_ATTR: libc::c_long = 460;
/// `LSM_ATTR_EXEC` (linux/lsm.h): the label to have from exec on.
const ATTR_EXEC: libc::c_uint = 101;

/// A security module, by its number in linux/lsm.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Module {
    /// `LSM_ID_SELINUX`.
    Selinux = 101,
    /// `LSM_ID_APPARMOR`.
    Apparmor = 104,
}

/// Asks `module` for a label from exec on, in the words in which it takes it by procfs.
pub fn set_exec(module: Module, text: &str) -> Result<(), Errno> {
    // struct lsm_ctx: id, flags, len and ctx_len of 64 bits each, then the text.
    let len = (4 * size_of::<u64>() + text.len()).next_multiple_of(size_of::<u64>());
    let mut context = Vec::with_capacity(len);
    for field in [module as u64, 0, len as u64, text.len() as u64] {
        context.extend_from_slice(&field.to_ne_bytes());
    }
    context.extend_from_slice(text.as_bytes());
    context.resize(len, 0);
    let len = u32::try_from(len).map_err(|_| Errno::E2BIG)?;
    // SAFETY: the kernel reads `len` bytes, which are there.
    let result = unsafe { libc::syscall(LSM_SET_SELF_ATTR, ATTR_EXEC, context.as_ptr(), len, 0) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_the_kernel_lacks_is_an_error() {
        for (module, name) in [(Module::Selinux, "selinux"), (Module::Apparmor, "apparmor")] {
            let active = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
            if !active.contains(name) {
                assert!(set_exec(module, "exec nothing").is_err(), "{name}");
            }
        }
    }
}
