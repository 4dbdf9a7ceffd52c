//! `containerctl create`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Target, output, progress, require_root};
use crate::error::{Error, Result};
use crate::machine::Host;
use crate::machine::change::create::{Debian, Finishing, Request, Source};

/// Create a container from a template, a tree or an archive
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    /// Build the root file system: busybox from the host's binary; debian by mmdebstrap or debootstrap
    #[arg(long, group = "source")]
    template: Option<Template>,
    /// Use the root file system at PATH in place; 'destroy' does not delete it
    #[arg(long, group = "source", value_name = "PATH")]
    rootfs: Option<PathBuf>,
    /// Unpack a tar archive, uncompressed or compressed by gzip, bzip2, xz or zstd; '-' reads standard input
    #[arg(long, group = "source", value_name = "FILE")]
    from_tar: Option<PathBuf>,
    /// Release of Debian; trixie by default
    #[arg(long, value_name = "SUITE", conflicts_with_all = ["rootfs", "from_tar"])]
    release: Option<String>,
    /// Mirror of Debian; chosen by the tool by default
    #[arg(long, value_name = "URL", conflicts_with_all = ["rootfs", "from_tar"])]
    mirror: Option<String>,
    /// Additional packages of Debian, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with_all = ["rootfs", "from_tar"])]
    packages: Vec<String>,
    /// Leave host name, hosts, resolv.conf and machine-id of the tree or archive as they are
    #[arg(long)]
    as_is: bool,
    /// Run this command instead of an init
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Template {
    Busybox,
    Debian,
}

pub fn run(host: &Host, args: &Args) -> Result<()> {
    args.refuse_idle()?;
    let request = Request {
        name: args.machine.name()?,
        source: args.source(),
        command: args.command.clone(),
        finishing: if args.as_is { Finishing::AsIs } else { Finishing::Complete },
    };
    require_root("create a container")?;
    output::warn(&progress::show(host, |host| host.create(&request))?);
    Ok(())
}

impl Args {
    /// clap has seen to it that there is exactly one.
    fn source(&self) -> Source {
        match (&self.rootfs, &self.from_tar, self.template) {
            (Some(path), ..) => Source::Rootfs(path.clone()),
            (_, Some(archive), _) => Source::Tar(archive.clone()),
            (_, _, Some(Template::Debian)) => Source::Debian(self.debian()),
            _ => Source::Busybox,
        }
    }

    /// An option without effect is a mistake.
    fn refuse_idle(&self) -> Result<()> {
        let debian = self.release.is_some() || self.mirror.is_some() || !self.packages.is_empty();
        match self.template {
            Some(Template::Busybox) if debian => Err(Error::config(
                "--release, --mirror and --packages mean nothing to the template 'busybox'",
            )
            .hint("leave them out, or use '--template debian'")),
            _ => Ok(()),
        }
    }

    fn debian(&self) -> Debian {
        let release = self.release.clone().unwrap_or_else(|| "trixie".to_string());
        Debian { release, mirror: self.mirror.clone(), packages: self.packages.clone() }
    }
}
