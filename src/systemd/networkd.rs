//! systemd-networkd (org.freedesktop.network1(5)), as far as it has to be told of files that changed.

use super::block_on;
use super::bus::connect;
use crate::error::{Context, Result};

#[zbus::proxy(
    interface = "org.freedesktop.network1.Manager",
    default_service = "org.freedesktop.network1",
    default_path = "/org/freedesktop/network1"
)]
trait Networkd {
    fn reload(&self) -> zbus::Result<()>;
}

/// Has networkd read its files again and configure what they change. Fails where it does not run.
pub fn reload() -> Result<()> {
    let failed = || "failed to have systemd-networkd read its files";
    block_on(async {
        let bus = connect().await?;
        NetworkdProxy::new(&bus).await.context(failed)?.reload().await.context(failed)
    })
}
