//! The package's build script: renders the manual pages, `NAME.SECTION.md` beside this file, into `$OUT_DIR/man`.
//!
//! It runs on the build machine, so a cross build has the pages, too. `contrib/install` asks cargo for the directory.

use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{env, fs};

mod roff;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=contrib/man");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let to = Path::new(&env::var("OUT_DIR")?).join("man");
    // Pages that were renamed or removed must not be installed.
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    fs::create_dir(&to)?;
    let date = roff::date(build_time()?);
    for entry in fs::read_dir("contrib/man")? {
        let path = entry?.path();
        let Some(page) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".md")) else {
            continue;
        };
        let (name, section) = page.rsplit_once('.').ok_or_else(|| format!("'{page}' has no section"))?;
        let text = roff::page(name, section, &date, &fs::read_to_string(&path)?);
        fs::write(to.join(page), text)?;
    }
    Ok(())
}

/// Seconds since the epoch: <https://reproducible-builds.org/specs/source-date-epoch/>, or else now.
fn build_time() -> Result<u64> {
    match env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => Ok(seconds.parse()?),
        Err(_) => {
            Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
        }
    }
}
