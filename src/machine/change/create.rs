//! Creates a container from a template, a tree or an archive. A failure leaves nothing behind.

use std::path::{Path, PathBuf};

use crate::config;
use crate::error::{Error, Kind, Result};
use crate::image::finish::{self, Origin};
use crate::image::{busybox, debian, defaults, in_place, tar};
use crate::machine::change::first_definition;
use crate::machine::{Host, Machine};
use crate::name::MachineName;
use crate::sandbox::init;
use crate::storage::store::{Partial, Published};
use crate::storage::tree::Tree;
use crate::storage::{ids, image_entry};

pub use crate::image::debian::Debian;

/// The source of a root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The host's static busybox.
    Busybox,
    /// A Debian system with systemd.
    Debian(Debian),
    /// A tree that exists, used in place and never deleted.
    Rootfs(PathBuf),
    /// An archive; `-` is standard input.
    Tar(PathBuf),
}

/// A container to create.
#[derive(Clone, Debug)]
pub struct Request {
    /// The name of the container.
    pub name: MachineName,
    /// The source of the root file system.
    pub source: Source,
    /// The command that runs instead of an init; empty to boot.
    pub command: Vec<String>,
    /// Names, name servers and machine-id of the tree.
    pub finishing: Finishing,
}

/// The treatment of `/etc/hostname`, `/etc/hosts`, `/etc/resolv.conf` and `/etc/machine-id` of a new container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finishing {
    /// They become the container's ([`finish`]).
    #[default]
    Complete,
    /// They stay as they are.
    AsIs,
}

impl Host {
    /// Creates a container. Returns warnings; an error means that nothing was changed.
    pub fn create(&self, request: &Request) -> Result<Vec<String>> {
        self.cancellation().check()?;
        create(self, request)
    }
}

fn create(host: &Host, request: &Request) -> Result<Vec<String>> {
    let (root, name) = (host.root(), &request.name);
    refuse_taken(host, name)?;
    let in_place = match &request.source {
        Source::Rootfs(path) => Some(path.as_path()),
        _ => None,
    };
    // Before the long part: all checks of the arguments.
    let text = first_definition::text(in_place, &request.command)?;
    let mut warnings = host.sweep()?;
    let published = publish(host, request, &text, &mut warnings)?;
    if let Err(error) = host.cancellation().check().and_then(|()| first_definition::write(root, name, &text))
    {
        return match published.map_or(Ok(()), Published::undo) {
            Ok(()) => Err(error),
            Err(_) => Err(error.hint(format!("'containerctl destroy {name}' removes what is left of it"))),
        };
    }
    // The container exists. The rest can be done again, and its failure undoes nothing.
    let linked = image_entry::make(root, name);
    warnings.extend(linked.err().map(|error| format!("{error}, machinectl will not find its image")));
    warnings.extend(host.reload().err().map(|error| error.to_string()));
    Ok(warnings)
}

/// Builds the tree and puts it in its place; one that exists is only looked at. `text` is the definition.
fn publish(
    host: &Host,
    request: &Request,
    text: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Published>> {
    let root = host.root();
    if let Source::Rootfs(path) = &request.source {
        let tree = in_place::open(root, path)?;
        warnings.extend(require_command(text, &tree, path)?);
        if request.finishing == Finishing::Complete {
            warnings.extend(finish::finish(&tree, path, &request.name, Origin::Existing));
        }
        return Ok(None);
    }
    let partial = Partial::new(root, &request.name)?;
    warnings.extend(build(host, request, &partial)?);
    let rootfs = partial.rootfs();
    // The user knows the archive, not the directory that it was unpacked to.
    let shown = if let Source::Tar(archive) = &request.source { archive } else { &rootfs };
    let tree = Tree::open(&rootfs)?;
    warnings.extend(require_command(text, &tree, shown)?);
    if request.finishing == Finishing::Complete {
        let notes = finish::finish(&tree, shown, &request.name, Origin::New);
        // Nobody knows what a template had before.
        warnings.extend(notes.into_iter().filter(|_| matches!(request.source, Source::Tar(_))));
    }
    host.cancellation().check()?;
    partial.publish().map(Some)
}

/// Builds the tree. Returns notes.
fn build(host: &Host, request: &Request, partial: &Partial) -> Result<Vec<String>> {
    let (cancellation, listener) = (host.cancellation(), host.listener());
    let rootfs = partial.rootfs();
    match &request.source {
        Source::Busybox => busybox::build(&request.name, &rootfs)?,
        Source::Debian(debian) => debian::build(debian, &request.name, &rootfs, cancellation, listener)?,
        Source::Tar(archive) => {
            // Ids that nobody else has, for as long as foreign bytes are being unpacked.
            let range = ids::range_of(host.root(), partial.owner())?;
            let built = tar::build(host.root(), archive, &rootfs, range, cancellation, listener);
            let released = ids::release(host.root(), partial.owner());
            let mut notes = built?;
            released?;
            notes.extend(tar::lift(&rootfs)?);
            return Ok(notes);
        }
        Source::Rootfs(_) => {}
    }
    Ok(Vec::new())
}

/// Fails where nothing would run: neither the command, nor one of the image's defaults, nor an init of the tree that
/// messages call `shown`. Returns warnings about the image's defaults.
fn require_command(text: &str, tree: &Tree, shown: &Path) -> Result<Vec<String>> {
    let mut definition = config::parse(Path::new("the definition"), text)?;
    defaults::advise(&mut definition, tree, shown);
    let exec = &definition.settings.exec;
    if exec.boot || exec.parameters.is_empty() {
        let hint = "install one, or say what runs instead: 'containerctl create NAME … -- COMMAND'";
        init::require(tree, shown).map_err(|error| error.hint(hint))?;
    }
    Ok(definition.warnings.iter().map(ToString::to_string).collect())
}

/// Fails where a definition or a tree has the name, and for `localhost`.
pub(super) fn refuse_taken(host: &Host, name: &MachineName) -> Result<()> {
    if name.as_str() == "localhost" {
        return Err(Error::config("a container cannot be called 'localhost', which names every host itself")
            .hint("choose another name"));
    }
    let tree = host.root().store_of(name);
    let taken = Machine::new(host, name).file().or_else(|| tree.symlink_metadata().is_ok().then_some(tree));
    match taken {
        None => Ok(()),
        Some(path) => {
            Err(Error::new(Kind::Busy, format!("'{name}' exists already: '{}' is there", path.display()))
                .hint(format!("choose another name, or 'containerctl destroy {name}' first")))
        }
    }
}
