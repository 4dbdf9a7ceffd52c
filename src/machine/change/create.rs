//! A name and a source → a machine, or nothing at all.

use std::path::{Path, PathBuf};

use crate::config;
use crate::error::{Error, Kind, Result};
use crate::image::finish::{self, Origin};
use crate::image::{busybox, debian, defaults, in_place, tar};
use crate::machine::change::first_definition;
use crate::machine::inspect::registry;
use crate::machine::lifecycle::unit;
use crate::name::MachineName;
use crate::paths::Root;
use crate::progress::Listener;
use crate::sandbox::init;
use crate::storage::store::{Partial, Published};
use crate::storage::tree::Tree;
use crate::storage::{ids, image_entry};
use crate::sys::interrupt::Interrupt;

/// Where the root file system comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The host's static busybox.
    Busybox,
    /// A Debian system with systemd.
    Debian(debian::Debian),
    /// A tree that exists, used in place and never deleted.
    Rootfs(PathBuf),
    /// An archive; `-` is standard input.
    Tar(PathBuf),
}

/// What to create.
#[derive(Clone, Debug)]
pub struct Request {
    /// The new machine's name.
    pub name: MachineName,
    /// Its root file system.
    pub source: Source,
    /// What runs instead of an init; empty to boot.
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

/// Creates the machine. Returns warnings; an error means that nothing was changed.
pub fn create(
    root: &Root,
    request: &Request,
    interrupt: Interrupt,
    listener: Listener,
) -> Result<Vec<String>> {
    let name = &request.name;
    refuse_taken(root, name)?;
    let in_place = match &request.source {
        Source::Rootfs(path) => Some(path.as_path()),
        _ => None,
    };
    // Before the long part: all that can be wrong with the arguments is told now.
    let text = first_definition::text(in_place, &request.command)?;
    let mut warnings = crate::machine::sweep(root)?;
    let published = publish(root, request, &text, &mut warnings, interrupt, listener)?;
    if let Err(error) = interrupt.check().and_then(|()| first_definition::write(root, name, &text)) {
        return match published.map_or(Ok(()), Published::undo) {
            Ok(()) => Err(error),
            Err(_) => Err(error.hint(format!("'containerctl destroy {name}' removes what is left of it"))),
        };
    }
    // The machine exists. What fails now can be done again, and undoes nothing.
    let linked = image_entry::make(root, name);
    warnings.extend(linked.err().map(|error| format!("{error}, machinectl will not find its image")));
    warnings.extend(unit::reload(root).err().map(|error| error.to_string()));
    Ok(warnings)
}

/// Builds the tree and puts it in its place; one that exists is only looked at. `text` is the definition.
fn publish(
    root: &Root,
    request: &Request,
    text: &str,
    warnings: &mut Vec<String>,
    interrupt: Interrupt,
    listener: Listener,
) -> Result<Option<Published>> {
    if let Source::Rootfs(path) = &request.source {
        let tree = in_place::open(root, path)?;
        warnings.extend(require_command(text, &tree, path)?);
        if request.finishing == Finishing::Complete {
            warnings.extend(finish::finish(&tree, path, &request.name, Origin::Existing));
        }
        return Ok(None);
    }
    let partial = Partial::new(root, &request.name)?;
    warnings.extend(build(root, request, &partial, interrupt, listener)?);
    let rootfs = partial.rootfs();
    // The user knows his archive, not the directory that it was unpacked to.
    let shown = if let Source::Tar(archive) = &request.source { archive } else { &rootfs };
    let tree = Tree::open(&rootfs)?;
    warnings.extend(require_command(text, &tree, shown)?);
    if request.finishing == Finishing::Complete {
        let notes = finish::finish(&tree, shown, &request.name, Origin::New);
        // Nobody knows what a template had before.
        warnings.extend(notes.into_iter().filter(|_| matches!(request.source, Source::Tar(_))));
    }
    interrupt.check()?;
    partial.publish().map(Some)
}

/// Returns notes.
fn build(
    root: &Root,
    request: &Request,
    partial: &Partial,
    interrupt: Interrupt,
    listener: Listener,
) -> Result<Vec<String>> {
    let rootfs = partial.rootfs();
    match &request.source {
        Source::Busybox => busybox::build(&request.name, &rootfs)?,
        Source::Debian(debian) => debian::build(debian, &request.name, &rootfs, interrupt, listener)?,
        Source::Tar(archive) => {
            // Ids that nobody else has, for as long as foreign bytes are being unpacked.
            let range = ids::range_of(root, partial.owner())?;
            let built = tar::build(archive, &rootfs, range, interrupt, listener);
            let released = ids::release(root, partial.owner());
            let mut notes = built?;
            released?;
            notes.extend(tar::lift(&rootfs)?);
            return Ok(notes);
        }
        Source::Rootfs(_) => {}
    }
    Ok(Vec::new())
}

/// Something must run: the command, what the image says, or an init of the tree that messages call `shown`. Returns
/// what in the image's advice is passed over.
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
pub(super) fn refuse_taken(root: &Root, name: &MachineName) -> Result<()> {
    if name.as_str() == "localhost" {
        return Err(Error::config("a container cannot be called 'localhost', which names every host itself")
            .hint("choose another name"));
    }
    let tree = root.store_of(name);
    let taken = registry::definition(root, name).or_else(|| tree.symlink_metadata().is_ok().then_some(tree));
    match taken {
        None => Ok(()),
        Some(path) => {
            Err(Error::new(Kind::Busy, format!("'{name}' exists already: '{}' is there", path.display()))
                .hint(format!("choose another name, or 'containerctl destroy {name}' first")))
        }
    }
}
