//! systemd-networkd (org.freedesktop.network1(5)), and the service of ours that goes with it.

use super::block_on;
use super::bus::connect;
use super::manager::SystemdManagerProxy;
use crate::error::{Context, Result};

#[zbus::proxy(
    interface = "org.freedesktop.network1.Manager",
    default_service = "org.freedesktop.network1",
    default_path = "/org/freedesktop/network1"
)]
trait Networkd {
    fn reload(&self) -> zbus::Result<()>;
}

/// Has networkd read its files anew and configure what they change. Fails where it does not run.
pub fn reload() -> Result<()> {
    let failed = || "failed to have systemd-networkd read its files";
    block_on(async {
        let bus = connect().await?;
        NetworkdProxy::new(&bus).await.context(failed)?.reload().await.context(failed)
    })
}

/// Has systemd start the service that answers for the names of containers; it need not be up yet.
pub fn start_names() -> Result<()> {
    const UNIT: &str = "containerctl-names.service";
    let failed = || format!("failed to start '{UNIT}'");
    block_on(async {
        let bus = connect().await?;
        let manager = SystemdManagerProxy::new(&bus).await.context(failed)?;
        manager.start_unit(UNIT, "replace").await.map(drop).context(failed)
    })
}
