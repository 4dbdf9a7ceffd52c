//! Giving memory back.

use nix::errno::Errno;

use crate::error::Context;
use crate::sys::idmap::IdRange;

/// The part of our program that stays reachable through `/proc/1` of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The program's file: the container's root has no right to open it.
    Mapped,
    /// No file of the host: the container's root has the rights of the host's root.
    Own,
}

impl Memory {
    /// By the ids of a container; none shares the host's.
    pub fn of(ids: Option<IdRange>) -> Memory {
        if ids.is_none_or(|ids| ids.base == 0) { Memory::Own } else { Memory::Mapped }
    }
}

/// Gives back the pages of our program that have been read so far; those that are used are read again.
///
/// The kernel maps sixteen pages around each that is touched, so that a start leaves most of the program resident
/// in a process that then waits for days.
pub fn give_back_program() -> crate::error::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/maps").context(|| "failed to read '/proc/self/maps'")?;
    let program = std::env::current_exe().context(|| "failed to name our own program")?;
    for (start, end) in maps.lines().filter_map(|line| clean_mapping(line, &program.to_string_lossy())) {
        // SAFETY: these pages are the file's, were never written to, and are read from it again when touched.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
    Ok(())
}

/// Replaces every page that is a file's by a copy in memory of our own, so that no file can be reached through us.
///
/// Our own code is among them: it is the same before and after, and each piece is replaced in one call.
pub fn leave_files() -> Result<(), Errno> {
    let maps = std::fs::read_to_string("/proc/self/maps").map_err(|_| Errno::ENOENT)?;
    maps.lines()
        .filter_map(file_mapping)
        .try_for_each(|(start, end, rights)| copy_over(start, end - start, rights))
}

/// Start, end and protection of a line of proc_pid_maps(5), if it maps a file.
fn file_mapping(line: &str) -> Option<(usize, usize, libc::c_int)> {
    let mut fields = line.split_ascii_whitespace();
    let (range, rights) = (fields.next()?, fields.next()?);
    fields.nth(3).filter(|path| path.starts_with('/'))?;
    let (from, to) = range.split_once('-')?;
    let has = |letter, flag| if rights.contains(letter) { flag } else { 0 };
    let protection = has('r', libc::PROT_READ) | has('w', libc::PROT_WRITE) | has('x', libc::PROT_EXEC);
    Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?, protection))
}

fn copy_over(start: usize, len: usize, protection: libc::c_int) -> Result<(), Errno> {
    let place = start as *mut libc::c_void;
    let (both, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory at no particular place.
    let copy = unsafe { libc::mmap(std::ptr::null_mut(), len, both, private, -1, 0) };
    if copy == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    if protection & libc::PROT_READ != 0 {
        // SAFETY: both are `len` bytes long, the one is readable and the other new.
        unsafe { std::ptr::copy_nonoverlapping(place.cast::<u8>(), copy.cast::<u8>(), len) };
    }
    // SAFETY: the copy is ours alone.
    Errno::result(unsafe { libc::mprotect(copy, len, protection) })?;
    let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: what was there is replaced by the same bytes with the same protection; the process has one thread, so
    // nobody has written to them since.
    let moved = unsafe { libc::mremap(copy, len, len, how, place) };
    if moved == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(()) }
}

/// Start and end of a line of proc_pid_maps(5), if it maps what nobody writes: the code, and what lies at the start
/// of the file. What is read-only elsewhere was written to by the dynamic linker.
fn clean_mapping(line: &str, program: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (range, rights, offset) = (fields.next()?, fields.next()?, fields.next()?);
    let (path, start) = (fields.nth(2)?, u64::from_str_radix(offset, 16).ok()? == 0);
    if path != program || !(rights == "r-xp" || rights == "r--p" && start) {
        return None;
    }
    let (from, to) = range.split_once('-')?;
    Some((usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_wrote_is_given_back() {
        let mapping = |line| clean_mapping(line, "/x");
        assert_eq!(mapping("1000-3000 r-xp 00058000 fe:00 42   /x"), Some((0x1000, 0x3000)));
        assert_eq!(mapping("1000-3000 r--p 00000000 fe:00 42   /x"), Some((0x1000, 0x3000)));
        assert_eq!(mapping("1000-3000 r--p 00174000 fe:00 42   /x"), None);
        assert_eq!(mapping("1000-3000 rw-p 00174000 fe:00 42   /x"), None);
        assert_eq!(mapping("1000-3000 r-xp 00058000 fe:00 42   /lib/libc.so.6"), None);
        assert_eq!(mapping("1000-3000 rw-p 00000000 00:00 0 "), None);
    }

    #[test]
    fn a_program_runs_on_without_its_pages() {
        give_back_program().expect("give back");
        assert_eq!("still here".len(), 10);
    }
}
