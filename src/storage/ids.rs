//! Ranges of user ids: one of 65536 ids for each machine, given out once and kept until destroy.
//!
//! The table is `NAME:BASE:SIZE` per line as in subuid(5), replaced as a whole by rename(2), so that readers
//! need no lock. Writers take a lock on a file of its own; the kernel drops it when they die.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use nix::fcntl::Flock;

use super::host_ids;
use crate::error::{Context, Error, Result};
use crate::name::fnv1a;
use crate::paths::Root;
use crate::sys::idmap::IdRange;
use crate::sys::lock::lock_file;

/// Ids in one range, and the alignment of its base.
const SIZE: u32 = 65536;
/// First base, as systemd.nspawn(5) picks: below lie the host's users and dynamic users.
const FIRST: u32 = 524_288;
/// Last id of the last range.
const LAST: u32 = 1_879_048_191;
/// The number of ranges.
const SLOTS: u32 = (LAST - FIRST) / SIZE + 1;

/// The range of `name`, given out now unless it has one.
pub fn range_of(root: &Root, name: impl AsRef<str>) -> Result<IdRange> {
    let name = name.as_ref();
    if let Some(range) = find(root, name)?.filter(IdRange::is_picked) {
        return Ok(range);
    }
    let _lock = lock(root)?;
    let mut table = read(root)?;
    if let Some((_, range)) = table.iter().find(|(owner, range)| owner == name && range.is_picked()) {
        return Ok(*range);
    }
    table.retain(|(owner, _)| owner != name);
    let range = free_range(root, name, &table)?;
    table.push((name.to_string(), range));
    replace(&root.id_ranges(), &table)?;
    Ok(range)
}

/// Gives `name` the range that its definition names, in place of what it had. Refused where another machine or
/// the host has ids of it; the error tells whose they are.
pub fn claim(root: &Root, name: impl AsRef<str>, range: IdRange) -> Result<()> {
    let name = name.as_ref();
    if find(root, name)? == Some(range) {
        return Ok(());
    }
    let _lock = lock(root)?;
    let mut table = read(root)?;
    table.retain(|(owner, _)| owner != name);
    if let Some((owner, theirs)) = table.iter().find(|(_, theirs)| theirs.overlaps(&range)) {
        let (base, size) = (theirs.base, theirs.size);
        return Err(Error::config(format!("'{base}:{size}' belongs to container '{owner}'"))
            .hint("name a range that is free, or 'pick'"));
    }
    host_ids::refuse(root, &range)?;
    table.push((name.to_string(), range));
    replace(&root.id_ranges(), &table)
}

/// The range of `name`, where it has one.
pub fn find(root: &Root, name: &str) -> Result<Option<IdRange>> {
    let table = read(root)?;
    Ok(table.into_iter().find(|(owner, _)| owner == name).map(|(_, range)| range))
}

/// Takes the range of `name` back; it may have none.
pub fn release(root: &Root, name: impl AsRef<str>) -> Result<()> {
    let name = name.as_ref();
    if find(root, name)?.is_none() {
        return Ok(());
    }
    let _lock = lock(root)?;
    let mut table = read(root)?;
    table.retain(|(owner, _)| owner != name);
    replace(&root.id_ranges(), &table)
}

/// Gives the range of `old` to `new`, which has none; `old` may have none.
pub fn rename(root: &Root, old: &str, new: &str) -> Result<()> {
    if find(root, old)?.is_none() {
        return Ok(());
    }
    let _lock = lock(root)?;
    let mut table = read(root)?;
    table.iter_mut().filter(|(owner, _)| owner == old).for_each(|(owner, _)| *owner = new.to_string());
    replace(&root.id_ranges(), &table)
}

/// The range that [`range_of`] would give; nothing is given out.
pub fn would_be(root: &Root, name: impl AsRef<str>) -> Result<IdRange> {
    let name = name.as_ref();
    match find(root, name)?.filter(IdRange::is_picked) {
        Some(range) => Ok(range),
        None => free_range(root, name, &read(root)?),
    }
}

impl IdRange {
    /// Whether it is one that is given out, not one that a definition named.
    fn is_picked(&self) -> bool {
        self.size == SIZE && self.base.is_multiple_of(SIZE) && (FIRST..LAST).contains(&self.base)
    }
}

fn free_range(root: &Root, name: &str, table: &[(String, IdRange)]) -> Result<IdRange> {
    let mut taken: Vec<IdRange> = host_ids::used(root)?.iter().map(|used| used.range).collect();
    taken.extend(table.iter().map(|(_, range)| *range));
    choose(name, &taken)
        .ok_or_else(|| Error::failed("every range of 65536 user ids is taken").hint("destroy a container"))
}

/// The first free range from the one that the name hashes to; `None` if all are taken.
pub fn choose(name: &str, taken: &[IdRange]) -> Option<IdRange> {
    let taken: BTreeSet<u32> = taken.iter().flat_map(slots).collect();
    let first = (fnv1a(name) % u64::from(SLOTS)) as u32;
    let slot = (0..SLOTS).map(|step| (first + step) % SLOTS).find(|slot| !taken.contains(slot))?;
    Some(IdRange { base: FIRST + slot * SIZE, size: SIZE })
}

/// The slots that a range touches.
fn slots(range: &IdRange) -> std::ops::Range<u32> {
    let slot = |id: u64| (id.clamp(FIRST.into(), u64::from(LAST) + 1) - u64::from(FIRST)) / u64::from(SIZE);
    let end = u64::from(range.base) + u64::from(range.size);
    let last = if end <= FIRST.into() { 0 } else { slot(end + u64::from(SIZE) - 1) };
    slot(range.base.into()) as u32..last as u32
}

/// The whole table; a line that we did not write is an error, never overwritten.
pub fn read(root: &Root) -> Result<Vec<(String, IdRange)>> {
    let path = &root.id_ranges();
    let wrong = |number: usize| {
        Error::failed(format!("'{}' line {} is not NAME:BASE:SIZE", path.display(), number + 1))
            .hint("repair or remove that line")
    };
    let lines = lines(path)?;
    lines.iter().enumerate().map(|(number, line)| parse(line).ok_or_else(|| wrong(number))).collect()
}

/// One line of the table, and of subuid(5).
pub fn parse(line: &str) -> Option<(String, IdRange)> {
    let mut fields = line.split(':');
    let (name, base, size) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    (fields.next().is_none() && size > 0).then(|| (name.to_string(), IdRange { base, size }))
}

/// The lines of a file, which need not be there.
pub(super) fn lines(path: &Path) -> Result<Vec<String>> {
    match fs::read(path) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).lines().map(str::to_string).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).context(|| format!("failed to read '{}'", path.display())),
    }
}

/// Writers queue here, each for a moment.
fn lock(root: &Root) -> Result<Flock<File>> {
    crate::storage::store::make(root)?;
    let path = root.id_ranges().with_extension("lock");
    let failed = || format!("failed to lock '{}'", path.display());
    lock_file(&path).context(failed)
}

fn replace(path: &Path, table: &[(String, IdRange)]) -> Result<()> {
    let mut text = String::new();
    for (name, range) in table {
        let _infallible = writeln!(text, "{name}:{}:{}", range.base, range.size);
    }
    crate::replace::replace(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        (dir, root)
    }

    proptest! {
        #[test]
        fn a_range_is_aligned_within_bounds_and_free(
            name in "[a-z0-9]{1,12}",
            taken in prop::collection::vec((any::<u32>(), 1u32..200_000), 0..200),
        ) {
            let taken: Vec<_> = taken.into_iter().map(|(base, size)| IdRange { base, size }).collect();
            let range = choose(&name, &taken).unwrap();
            prop_assert_eq!(range.base % SIZE, 0);
            prop_assert!(range.base >= FIRST && range.base + (range.size - 1) <= LAST);
            prop_assert!(!taken.iter().any(|other| other.overlaps(&range)));
        }
    }

    #[test]
    fn when_all_is_taken_nothing_is_given() {
        assert_eq!(choose("p1", &[IdRange { base: 0, size: u32::MAX }]), None);
    }

    #[test]
    fn a_range_is_kept_until_it_is_released() {
        let (_dir, root) = host();
        let range = range_of(&root, "p1").unwrap();
        assert_eq!(range_of(&root, "p1").unwrap(), range);
        release(&root, "p1").unwrap();
        release(&root, "p1").unwrap();
        assert_eq!(find(&root, "p1").unwrap(), None);
    }

    #[test]
    fn ranges_of_the_hosts_users_are_left_alone() {
        let (dir, root) = host();
        let hashed = choose("p1", &[]).unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/subuid"), format!("me:{}:1000\n", hashed.base + 5)).unwrap();
        let next = choose("p1", &[hashed]).unwrap();
        fs::write(dir.path().join("etc/group"), format!("g:x:{}:\n", next.base + 65535)).unwrap();
        let given = range_of(&root, "p1").unwrap();
        assert!(!given.overlaps(&hashed) && !given.overlaps(&next));
    }

    #[test]
    fn a_range_that_is_named_is_nobody_elses() {
        let (_dir, root) = host();
        let range = |base, size| IdRange { base, size };
        claim(&root, "a", range(1_000_000, 100)).unwrap();
        claim(&root, "a", range(1_000_050, 100)).unwrap();
        let told = claim(&root, "b", range(1_000_149, 1)).unwrap_err();
        assert_eq!(told.message(), "'1000050:100' belongs to container 'a'");
        claim(&root, "b", range(1_000_150, 1)).unwrap();
        // What was named is not what is picked, but nobody is given it.
        let picked = range_of(&root, "b").unwrap();
        assert!(picked.is_picked() && would_be(&root, "b").unwrap() == picked);
        assert!(claim(&root, "c", range(picked.base + 7, 1)).is_err());
    }

    /// The other half of SEC-27: whoever is killed while it gives out ranges leaves a table that is whole.
    #[test]
    fn a_killed_allocator_leaves_a_whole_table() {
        let (dir, root) = host();
        for round in 0..20u64 {
            let mut allocator = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "storage::ids::tests::allocates_until_killed",
                    "--ignored",
                    "--test-threads=1",
                ])
                .env("ALLOCATE_BELOW", dir.path())
                .env("ALLOCATE_AS", round.to_string())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let at_work = |root: &Root| {
                let prefix = format!("m{round}x");
                read(root).unwrap().iter().any(|(owner, _)| owner.starts_with(&prefix))
            };
            while !at_work(&root) {
                assert!(allocator.try_wait().unwrap().is_none(), "allocator {round} does nothing");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            std::thread::sleep(std::time::Duration::from_micros(round * 331));
            allocator.kill().unwrap();
            allocator.wait().unwrap();
            range_of(&root, format!("after{round}")).unwrap();
        }
        let mut ranges: Vec<IdRange> = read(&root).unwrap().into_iter().map(|(_, range)| range).collect();
        ranges.sort_by_key(|range| range.base);
        assert!(ranges.windows(2).all(|pair| !pair[0].overlaps(&pair[1])));
    }

    #[test]
    #[ignore = "is run and killed by another test"]
    fn allocates_until_killed() {
        let root = Root::at(std::env::var("ALLOCATE_BELOW").unwrap());
        let prefix = std::env::var("ALLOCATE_AS").unwrap();
        for number in 0.. {
            range_of(&root, format!("m{prefix}x{number}")).unwrap();
        }
    }

    /// SEC-27.
    #[test]
    fn five_hundred_at_once_get_disjoint_ranges() {
        let (_dir, root) = host();
        let mut ranges: Vec<IdRange> = std::thread::scope(|scope| {
            let give = |i: u32| range_of(&root, format!("m{i}")).unwrap();
            let threads: Vec<_> = (0..500).map(|i| scope.spawn(move || give(i))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        ranges.sort_by_key(|range| range.base);
        assert!(ranges.windows(2).all(|pair| !pair[0].overlaps(&pair[1])));
        assert_eq!(read(&root).unwrap().len(), 500);
    }

    #[test]
    fn a_damaged_table_is_named_and_kept() {
        let (_dir, root) = host();
        range_of(&root, "p1").unwrap();
        fs::write(root.id_ranges(), "p1:nonsense\n").unwrap();
        assert!(range_of(&root, "p2").unwrap_err().message().contains("line 1"));
        assert_eq!(fs::read_to_string(root.id_ranges()).unwrap(), "p1:nonsense\n");
    }
}
