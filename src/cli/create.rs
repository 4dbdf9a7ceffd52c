//! `containerctl create`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Target, output, progress, require_root};
use crate::error::{Error, Result};
use crate::machine::Host;
use crate::machine::change::create::{Debian, Finishing, Request, Source};
use crate::machine::operation::CREATE;

#[derive(Debug, clap::Args)]
#[command(about = CREATE.summary)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub struct Args {
    #[command(flatten)]
    machine: Target,
    #[arg(long, group = "source", help = CREATE.help("template"))]
    template: Option<Template>,
    #[arg(long, group = "source", value_name = "PATH", help = CREATE.help("rootfs"))]
    rootfs: Option<PathBuf>,
    #[arg(long, group = "source", value_name = "FILE", help = CREATE.help("from_tar"))]
    from_tar: Option<PathBuf>,
    #[arg(long, value_name = "SUITE", conflicts_with_all = ["rootfs", "from_tar"], help = CREATE.help("release"))]
    release: Option<String>,
    #[arg(long, value_name = "URL", conflicts_with_all = ["rootfs", "from_tar"], help = CREATE.help("mirror"))]
    mirror: Option<String>,
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with_all = ["rootfs", "from_tar"], help = CREATE.help("packages"))]
    packages: Vec<String>,
    #[arg(long, help = CREATE.help("as_is"))]
    as_is: bool,
    #[arg(last = true, help = CREATE.help("command"))]
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
