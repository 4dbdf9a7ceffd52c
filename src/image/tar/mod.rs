//! An archive → a root file system, by GNU tar, which we do not trust with more than it needs.
//!
//! ```text
//! create ── containerctl-worker unpack ── namespaces, mounts, user namespace ── tar ── gzip, xz, …
//!    └ opens the archive, tells its compression, passes it as standard input; watches the disk and ^C
//! ```
//! The worker has a process of its own, so that it has one thread and no descriptors of ours.

mod compression;
mod jail;

pub use compression::Compression;

use std::fs::{DirBuilder, File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::CWD;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::tool::{self, End, Outcome};
use crate::cancellation::Cancellation;
use crate::error::{Context, Error, Result};
use crate::paths::Root;
use crate::progress::{Amount, Listener};
use crate::sandbox::userns::userns;
use crate::storage::host_path::{Fault, HostPaths};
use crate::storage::remove;
use crate::storage::tree::Tree;
use crate::sys::clone::require_one_thread;
use crate::sys::exec::close_on_exec_from;
use crate::sys::idmap::IdRange;
use crate::worker::helper::Helper;

/// Part of the file system that an archive must leave free.
const RESERVE: u64 = 20;

/// The argument of the helper `unpack`, in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Work {
    /// The empty directory to fill.
    tree: PathBuf,
    /// First host id of the range to work in.
    base: u32,
    /// Ids in it.
    size: u32,
    /// No file may be larger.
    largest_file_bytes: u64,
    /// The compression of standard input.
    compression: Compression,
}

/// Unpacks `archive` (`-` is standard input) into a new directory `rootfs`, as root of `ids`. Returns notes: tar's
/// warnings, and members that were left out.
pub fn build(
    root: &Root,
    archive: &Path,
    rootfs: &Path,
    ids: IdRange,
    cancellation: &Cancellation,
    listener: &Listener,
) -> Result<Vec<String>> {
    let what = format!("failed to unpack '{}'", archive.display());
    DirBuilder::new()
        .mode(0o755)
        .create(rootfs)
        .context(|| format!("failed to make '{}'", rootfs.display()))?;
    let mut input = open(archive)?;
    let reading = Reading::of(&input);
    let start = read_start(&mut input, archive, cancellation)?;
    let room = Room::of(rootfs)?;
    let work = Work {
        tree: rootfs.to_path_buf(),
        base: ids.base,
        size: ids.size,
        largest_file_bytes: room.free_bytes,
        compression: Compression::of(&start),
    };
    let (stdin, feeder) = rewind(input, start).context(|| what.as_str())?;
    let mut command = work.command(root, stdin)?;
    let worker = tool::start(&mut command, &what)?;
    drop(command);
    // After the worker was started: no thread lives while we clone.
    feeder.start();
    let unpacking = format!("unpacking '{}'", archive.display());
    let watch = |_: &[u8]| {
        listener.report(&unpacking, reading.amount(), "");
        Room::of(rootfs)?.check(archive)
    };
    match worker.wait(End::Kill, cancellation, watch)? {
        Outcome::Success(_) if is_empty(rootfs)? => {
            Err(Error::failed(format!("{what}: there is nothing in it")))
        }
        Outcome::Success(warnings) => {
            Ok(complaints_in(&warnings).map(|line| format!("'{}': {line}", archive.display())).collect())
        }
        Outcome::Failure(complaints) => nodes_left_out(&complaints)
            .ok_or_else(|| Error::failed(format!("{what}: {}", cause(&complaints)))),
    }
}

/// The worker: confines itself and runs tar. Returns tar's exit status.
pub fn unpack(work: &str) -> Result<u8> {
    let work: Work =
        serde_json::from_str(work).map_err(std::io::Error::from).context(|| "failed to read the work")?;
    require_one_thread()?;
    close_on_exec_from(3).context(|| "failed to mark descriptors close-on-exec")?;
    let namespace = userns(IdRange { base: work.base, size: work.size })?;
    jail::enter(&work.tree, namespace.as_fd(), work.largest_file_bytes)?;
    drop(namespace);
    let status = tar(work.compression).status().context(|| "failed to run 'tar'")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Sees nothing of our environment, but what keeps xz from one thread, and one stack, per processor.
fn tar(compression: Compression) -> Command {
    let mut command = Command::new("/usr/bin/tar");
    command
        // The name that begins each line of its messages.
        .arg0("tar")
        .env_clear()
        .env("PATH", "/usr/bin:/usr/sbin")
        .env("LC_ALL", "C.UTF-8")
        .env("XZ_DEFAULTS", "--threads=1");
    command.args(["--extract", "--file=-", "--numeric-owner", "--same-owner", "--preserve-permissions"]);
    command.args(["--acls", "--xattrs", "--xattrs-include=user.*", "--xattrs-include=security.capability"]);
    // The host makes /dev anew, and a user namespace can make no device node.
    command.args(["--anchored", "--exclude=dev/*", "--exclude=./dev/*"]);
    command.args(["--warning=no-timestamp", "--warning=no-unknown-keyword"]).args(compression.option());
    command
}

impl Work {
    fn command(&self, root: &Root, stdin: OwnedFd) -> Result<Command> {
        let work = serde_json::to_string(self).map_err(std::io::Error::from);
        let mut command = Helper::Unpack.command(root);
        command.arg(work.context(|| "failed to pass the work on")?).stdin(Stdio::from(stdin));
        Ok(command)
    }
}

/// Opens the archive ourselves: tar sees a stream, never a path.
fn open(archive: &Path) -> Result<File> {
    let failed = || format!("failed to open '{}'", archive.display());
    if archive == Path::new("-") {
        return std::io::stdin().as_fd().try_clone_to_owned().map(File::from).context(failed);
    }
    // Nothing but a regular file is waited for: a FIFO would hold us in open(2), deaf to ^C.
    let place = std::path::absolute(archive).context(failed)?;
    HostPaths::new(&Root::system()).file(&place).map_err(|fault| match fault {
        Fault::Errno(Errno::NOENT) => {
            Error::new(crate::error::Kind::NotFound, format!("'{}' does not exist", archive.display()))
        }
        Fault::Errno(Errno::ISDIR | Errno::INVAL) => {
            Error::config(format!("'{}' is not a regular file", archive.display()))
                .hint("pipe it in with '--from-tar -'; a directory can be used in place with '--rootfs'")
        }
        fault => fault.of(failed()),
    })
}

fn read_start(input: &mut File, archive: &Path, cancellation: &Cancellation) -> Result<Vec<u8>> {
    let mut start = vec![0u8; Compression::MAGIC];
    let mut count = 0;
    while count < start.len() {
        cancellation.wait_readable(input.as_fd())?;
        let read = input.read(&mut start[count..]);
        match read.context(|| format!("failed to read '{}'", archive.display()))? {
            0 => break,
            more => count += more,
        }
    }
    start.truncate(count);
    Ok(start)
}

/// Gives back what was read of the start: by seeking, or for a pipe through a pipe of ours.
fn rewind(mut input: File, start: Vec<u8>) -> Result<(OwnedFd, Feeder)> {
    if input.seek(SeekFrom::Current(-(start.len() as i64))).is_ok() {
        return Ok((input.into(), Feeder(None)));
    }
    let (theirs, ours) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).context(|| "failed to make a pipe")?;
    Ok((theirs, Feeder(Some((start, input, ours.into())))))
}

/// The read position of an archive. The worker's descriptor is a copy of ours and shares its offset (dup(2)).
struct Reading(Option<(OwnedFd, u64)>);

impl Reading {
    /// Of a pipe nobody knows.
    fn of(input: &File) -> Reading {
        let length = input.metadata().ok().filter(Metadata::is_file).map(|metadata| metadata.len());
        Reading(length.and_then(|length| Some((input.as_fd().try_clone_to_owned().ok()?, length))))
    }

    fn amount(&self) -> Amount {
        let Some((fd, length)) = &self.0 else { return Amount::Unknown };
        rustix::fs::tell(fd).map_or(Amount::Unknown, |done| Amount::Bytes(done, *length))
    }
}

/// Copies an archive from a pipe to the worker, beginning with the bytes that were read already.
struct Feeder(Option<(Vec<u8>, File, File)>);

impl Feeder {
    /// In a thread, which ends with the archive, the worker, or with us.
    fn start(self) {
        if let Some((start, input, mut output)) = self.0 {
            // An archive cut short is for tar to complain about, a worker gone for the one who waits for it.
            std::thread::spawn(move || std::io::copy(&mut start.chain(input), &mut output));
        }
    }
}

/// Free space of a file system, less the reserve.
struct Room {
    free_bytes: u64,
    free_files: u64,
}

impl Room {
    fn of(path: &Path) -> Result<Room> {
        let fs = rustix::fs::statvfs(path).context(|| format!("failed to look at '{}'", path.display()))?;
        // btrfs counts no files, and says 0.
        let files = if fs.f_files == 0 { u64::MAX } else { fs.f_favail.saturating_sub(fs.f_files / RESERVE) };
        let blocks = fs.f_bavail.saturating_sub(fs.f_blocks / RESERVE);
        Ok(Room { free_bytes: blocks.saturating_mul(fs.f_frsize), free_files: files })
    }

    fn check(&self, archive: &Path) -> Result<()> {
        if self.free_bytes > 0 && self.free_files > 0 {
            return Ok(());
        }
        let message =
            format!("failed to unpack '{}': no space left but the reserve of 5 %", archive.display());
        Err(Error::failed(message).hint("make room, then try again"))
    }
}

fn is_empty(directory: &Path) -> Result<bool> {
    let entries = std::fs::read_dir(directory);
    Ok(entries.context(|| format!("failed to list '{}'", directory.display()))?.next().is_none())
}

/// Lines of tar's standard error without those that only announce its end.
fn complaints_in(stderr: &str) -> impl Iterator<Item = &str> {
    let noise =
        ["tar: Removing leading", "tar: Child ", "tar: Exiting with", "tar: Error is not recoverable"];
    let lines = stderr.lines().filter(move |line| !noise.iter().any(|noise| line.starts_with(noise)));
    lines.filter(|line| !line.trim().is_empty())
}

/// The first complaint.
fn cause(complaints: &str) -> String {
    complaints_in(complaints).next().unwrap_or("tar says no more").to_string()
}

/// A note for each device node that was left out, where nothing else failed: a user namespace cannot make nodes
/// (mknod(2)), and tar goes on with the next member.
fn nodes_left_out(complaints: &str) -> Option<Vec<String>> {
    let name = |line: &str| {
        let line = line.strip_prefix("tar: ")?;
        line.strip_suffix(": Cannot mknod: Operation not permitted").map(str::to_string)
    };
    let names: Option<Vec<String>> = complaints_in(complaints).map(name).collect();
    let note = |name: String| format!("the device node '{name}' was left out; 'DeviceAllow=' gives devices");
    names.filter(|names| !names.is_empty()).map(|names| names.into_iter().map(note).collect())
}

/// Moves the tree up where the archive holds it in `rootfs/`, beside `metadata.yaml`, as images of LXD and Incus do.
/// Returns a note.
pub fn lift(rootfs: &Path) -> Result<Option<String>> {
    let tree = Tree::open(rootfs)?;
    let is_image = tree.read("/metadata.yaml").is_ok() && tree.resolve_strict("/rootfs/").is_ok();
    if !is_image || ["/etc", "/usr", "/bin", "/sbin"].iter().any(|path| tree.resolve_strict(path).is_ok()) {
        return Ok(None);
    }
    let failed = || format!("failed to move the image's root file system to '{}'", rootfs.display());
    let (outer, inner) = (rootfs.with_extension("image"), rootfs.with_extension("inner"));
    let top = tree.resolve_strict("/").context(failed)?;
    rustix::fs::renameat(&top, "rootfs", CWD, &inner).context(failed)?;
    std::fs::rename(rootfs, &outer).and_then(|()| std::fs::rename(&inner, rootfs)).context(failed)?;
    let outer_directory = File::open(&outer).context(failed)?;
    remove::empty(outer_directory.as_fd(), &outer.to_string_lossy())?;
    std::fs::remove_dir(&outer).context(failed)?;
    Ok(Some(
        "the image's metadata and templates were left out; its root file system was unpacked".to_string(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_first_line_that_says_something() {
        let complaints = "tar: Removing leading `/' from member names\n\ntar: x: Cannot mknod: Operation not permitted\n\
                          tar: Exiting with failure status due to previous errors\n";
        assert_eq!(cause(complaints), "tar: x: Cannot mknod: Operation not permitted");
    }

    #[test]
    fn only_nodes_that_cannot_be_made_are_forgiven() {
        let node = "tar: jail/null: Cannot mknod: Operation not permitted\n";
        let end = "tar: Exiting with failure status due to previous errors\n";
        assert_eq!(nodes_left_out(&format!("{node}{end}")).map(|notes| notes.len()), Some(1));
        assert_eq!(nodes_left_out(&format!("{node}tar: a: Cannot open: No such file\n{end}")), None);
        assert_eq!(nodes_left_out(end), None);
        assert_eq!(nodes_left_out(""), None);
    }

    #[test]
    fn a_pipe_gets_back_the_start_that_was_read() {
        let (theirs, ours) = rustix::pipe::pipe().unwrap();
        std::thread::spawn(move || rustix::io::write(&ours, b"hello world").unwrap());
        let mut input = File::from(theirs);
        let start = read_start(&mut input, Path::new("-"), &Cancellation::never()).unwrap();
        assert_eq!(start, b"hello ");
        let (stdin, feeder) = rewind(input, start).unwrap();
        feeder.start();
        let mut text = String::new();
        File::from(stdin).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello world");
    }
}
