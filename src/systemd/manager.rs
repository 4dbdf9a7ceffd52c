//! `org.freedesktop.systemd1.Manager` (org.freedesktop.systemd1(5)): units, their jobs and their files.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use super::bus::{self, Bus, failure};
use super::jobs::{Job, JobEnds};
use crate::config::resources::{Property, Value};
use crate::error::Result;

/// One row of `ListUnits`, in the bus's order.
pub(super) type ListedUnit =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(super) trait SystemdManager {
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;
    fn subscribe(&self) -> zbus::Result<()>;
    fn reload(&self) -> zbus::Result<()>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: &[(&str, Variant<'_>)],
        aux: &[(&str, &[(&str, Variant<'_>)])],
    ) -> zbus::Result<OwnedObjectPath>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn get_unit_processes(&self, name: &str) -> zbus::Result<Vec<(String, u32, String)>>;
    fn freeze_unit(&self, name: &str) -> zbus::Result<()>;
    fn thaw_unit(&self, name: &str) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn list_units_by_patterns(&self, states: &[&str], patterns: &[&str]) -> zbus::Result<Vec<ListedUnit>>;
    fn set_unit_properties(
        &self,
        name: &str,
        runtime: bool,
        properties: &[(&str, Variant<'_>)],
    ) -> zbus::Result<()>;
    fn get_unit_file_state(&self, file: &str) -> zbus::Result<String>;
    fn enable_unit_files(
        &self,
        files: &[&str],
        runtime: bool,
        force: bool,
    ) -> zbus::Result<(bool, Vec<(String, String, String)>)>;
    fn disable_unit_files(
        &self,
        files: &[&str],
        runtime: bool,
    ) -> zbus::Result<Vec<(String, String, String)>>;
}

#[zbus::proxy(interface = "org.freedesktop.systemd1.Unit", default_service = "org.freedesktop.systemd1")]
trait Unit {
    #[zbus(property)]
    fn job(&self) -> zbus::Result<(u32, OwnedObjectPath)>;
}

#[zbus::proxy(interface = "org.freedesktop.systemd1.Job", default_service = "org.freedesktop.systemd1")]
trait Job {
    #[zbus(property)]
    fn job_type(&self) -> zbus::Result<String>;
}

#[zbus::proxy(interface = "org.freedesktop.DBus.Properties", default_service = "org.freedesktop.systemd1")]
trait Properties {
    fn get_all(&self, interface: &str) -> zbus::Result<HashMap<String, OwnedVariant>>;
}

/// A unit and its state, as systemctl(1) words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitState {
    /// `container@p1.service`.
    pub name: String,
    /// `ActiveState`: `active`, `activating`, `deactivating`, `failed`, `inactive`, …
    pub active: String,
    /// `SubState`, finer.
    pub sub: String,
}

impl From<ListedUnit> for UnitState {
    fn from((name, _, _, active, sub, ..): ListedUnit) -> UnitState {
        UnitState { name, active, sub }
    }
}

/// Which processes of a unit get a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The main process.
    Main,
    /// Every process of the unit.
    All,
}

/// Properties of a unit by name, those that are strings or numbers.
pub struct UnitProperties(HashMap<String, OwnedVariant>);

impl UnitProperties {
    /// A string; empty where there is none.
    pub fn text(&self, name: &str) -> String {
        self.0.get(name).and_then(|value| <&str>::try_from(value).ok()).unwrap_or_default().to_string()
    }

    /// A number; `u64::MAX` is systemd's word for none.
    pub fn number(&self, name: &str) -> Option<u64> {
        let value = self.0.get(name)?;
        let number = u64::try_from(value)
            .or_else(|_| u32::try_from(value).map(u64::from))
            .ok()
            .or_else(|| u64::try_from(i32::try_from(value).ok()?).ok());
        number.filter(|number| *number != u64::MAX)
    }

    /// Whether a flag is set.
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(|value| bool::try_from(value).ok()).unwrap_or_default()
    }

    /// A set of numbers, bit by bit.
    pub fn bits(&self, name: &str) -> Vec<u8> {
        self.array(name)
    }

    /// A number for each of some devices.
    pub fn devices(&self, name: &str) -> Vec<(String, u64)> {
        self.array(name)
    }

    /// Two words for each of some things.
    pub fn pairs(&self, name: &str) -> Vec<(String, String)> {
        self.array(name)
    }

    fn array<T>(&self, name: &str) -> Vec<T>
    where
        Vec<T>: TryFrom<OwnedVariant>,
    {
        let value = self.0.get(name).and_then(|value| value.try_clone().ok());
        value.and_then(|value| Vec::try_from(value).ok()).unwrap_or_default()
    }
}

/// The lifetime of a property that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// For good, in `/etc/systemd/system.control`.
    Persistent,
    /// Until the next boot, in `/run/systemd/system.control`.
    Runtime,
}

/// systemd, over the system bus.
pub struct Manager {
    connection: zbus::Connection,
    proxy: SystemdManagerProxy<'static>,
}

impl Manager {
    /// On a connection of its own, for a caller that has no [`Bus`] and wants no thread to stay.
    pub async fn connect() -> Result<Manager> {
        Manager::on(&bus::connect().await?).await
    }

    /// On this connection.
    pub(super) async fn on(bus: &zbus::Connection) -> Result<Manager> {
        let proxy = SystemdManagerProxy::new(bus).await;
        let proxy = proxy.map_err(|error| failure("failed to reach systemd", &error))?;
        Ok(Manager { proxy, connection: bus.clone() })
    }

    /// `Subscribe`: signals are sent from now on, until this connection ends. It may be subscribed already.
    pub(super) async fn subscribe(&self) -> zbus::Result<()> {
        match self.proxy.subscribe().await {
            Err(error) if bus::is(&error, "org.freedesktop.systemd1.AlreadySubscribed") => Ok(()),
            subscribed => subscribed,
        }
    }

    /// Listens for jobs that end, from now on.
    pub(super) async fn job_ends(&self) -> zbus::Result<JobEnds> {
        let ends = JobEnds::listen(&self.connection).await?;
        self.subscribe().await?;
        Ok(ends)
    }

    /// The job that a unit has, if it has one.
    pub(super) async fn job_of(&self, unit: &str) -> Result<Option<OwnedObjectPath>> {
        let failed = |error| failure(&format!("failed to ask for '{unit}'"), &error);
        let path = self.proxy.load_unit(unit).await.map_err(failed)?;
        let proxy = UnitProxy::builder(&self.connection).path(path).build().await.map_err(failed)?;
        let (number, path) = proxy.job().await.map_err(failed)?;
        Ok((number != 0).then_some(path))
    }

    /// The type of a unit's queued job: `start`, `stop`, `restart`, …
    pub(super) async fn job_type(&self, unit: &str) -> Result<Option<String>> {
        let failed = |error| failure(&format!("failed to ask for the job of '{unit}'"), &error);
        let Some(path) = self.job_of(unit).await? else { return Ok(None) };
        let job = JobProxy::builder(&self.connection).path(path).build().await.map_err(failed)?;
        // It may have ended just now.
        Ok(job.job_type().await.ok())
    }

    /// Asks for a job in mode `replace`, and waits for nothing.
    pub(super) async fn queue_job(&self, job: Job, unit: &str) -> zbus::Result<OwnedObjectPath> {
        match job {
            Job::Start => self.proxy.start_unit(unit, "replace").await,
            Job::Stop => self.proxy.stop_unit(unit, "replace").await,
            Job::Restart => self.proxy.restart_unit(unit, "replace").await,
        }
    }

    /// Asks for a job, and waits for nothing.
    pub async fn ask(&self, job: Job, unit: &str) -> Result<()> {
        let result = self.queue_job(job, unit).await.map(drop);
        result.map_err(|error| failure(&format!("failed to {} '{unit}'", job.verb()), &error))
    }

    /// `KillUnit`: sends a signal by its number.
    pub async fn kill_unit(&self, unit: &str, whom: Whom, signal: i32) -> Result<()> {
        let whom = if whom == Whom::Main { "main" } else { "all" };
        let result = self.proxy.kill_unit(unit, whom, signal).await;
        result.map_err(|error| failure(&format!("failed to send signal {signal} to '{unit}'"), &error))
    }

    /// `FreezeUnit`; it returns once all processes are frozen.
    pub async fn freeze_unit(&self, unit: &str) -> Result<()> {
        let result = self.proxy.freeze_unit(unit).await;
        result.map_err(|error| failure(&format!("failed to freeze '{unit}'"), &error))
    }

    /// `ThawUnit`; one that is not frozen is fine.
    pub async fn thaw_unit(&self, unit: &str) -> Result<()> {
        let result = self.proxy.thaw_unit(unit).await;
        result.map_err(|error| failure(&format!("failed to thaw '{unit}'"), &error))
    }

    /// `ResetFailedUnit`.
    pub async fn reset_failed_unit(&self, unit: &str) -> Result<()> {
        let result = self.proxy.reset_failed_unit(unit).await;
        result.map_err(|error| failure(&format!("failed to reset '{unit}'"), &error))
    }

    /// `Version`: `257.13-1~deb13u1`.
    pub async fn version(&self) -> Result<String> {
        self.proxy.version().await.map_err(|error| failure("failed to ask systemd for its version", &error))
    }

    /// `Reload`: as `systemctl daemon-reload`.
    pub async fn reload(&self) -> Result<()> {
        self.proxy.reload().await.map_err(|error| failure("failed to reload systemd", &error))
    }

    /// `EnableUnitFiles`.
    pub async fn enable_unit_files(&self, units: &[&str]) -> Result<()> {
        let result = self.proxy.enable_unit_files(units, false, false).await;
        result
            .map(drop)
            .map_err(|error| failure(&format!("failed to enable '{}'", units.join("', '")), &error))
    }

    /// `DisableUnitFiles`.
    pub async fn disable_unit_files(&self, units: &[&str]) -> Result<()> {
        let result = self.proxy.disable_unit_files(units, false).await;
        result
            .map(drop)
            .map_err(|error| failure(&format!("failed to disable '{}'", units.join("', '")), &error))
    }

    /// `GetUnitFileState`: `enabled`, `disabled`, `generated`, …
    pub async fn get_unit_file_state(&self, unit: &str) -> Result<String> {
        let result = self.proxy.get_unit_file_state(unit).await;
        result.map_err(|error| failure(&format!("failed to ask for the state of '{unit}'"), &error))
    }

    /// `ListUnitsByPatterns`: the loaded units whose name matches one of `patterns`. Asked again where the bus is
    /// restarted before there is an answer.
    pub async fn find_units(bus: &Bus, patterns: &[&str]) -> Result<Vec<UnitState>> {
        Manager::find_units_by(async || bus.manager().await, patterns).await
    }

    /// As [`Manager::find_units`], each time on the manager that `connect` makes.
    pub(super) async fn find_units_by(
        connect: impl AsyncFn() -> Result<Manager>,
        patterns: &[&str],
    ) -> Result<Vec<UnitState>> {
        let began = Instant::now();
        loop {
            match connect().await?.proxy.list_units_by_patterns(&[], patterns).await {
                Ok(units) => return Ok(units.into_iter().map(UnitState::from).collect()),
                Err(error) if bus::is_lost(&error) && began.elapsed() < bus::PATIENCE => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(failure("failed to list units", &error)),
            }
        }
    }

    /// `SetUnitProperties`: all of them or none; in effect at once, and kept as `lasting` says.
    pub async fn set_unit_properties(
        &self,
        unit: &str,
        lasting: Lasting,
        properties: &[Property],
    ) -> Result<()> {
        let named: Vec<(&str, Variant<'_>)> =
            properties.iter().map(|property| (property.name.as_str(), variant(&property.value))).collect();
        let result = self.proxy.set_unit_properties(unit, lasting == Lasting::Runtime, &named).await;
        result.map_err(|error| failure(&format!("failed to change '{unit}'"), &error))
    }

    /// All properties of `unit`, of its `org.freedesktop.systemd1` interfaces `Unit` and `kind` (`Service`, `Slice`).
    pub async fn properties(&self, unit: &str, kind: &str) -> Result<UnitProperties> {
        let failed = |error| failure(&format!("failed to ask for '{unit}'"), &error);
        let path = self.proxy.load_unit(unit).await.map_err(failed)?;
        let builder = PropertiesProxy::builder(&self.connection).path(path);
        let proxy = builder.build().await.map_err(failed)?;
        let mut all = proxy.get_all("org.freedesktop.systemd1.Unit").await.map_err(failed)?;
        all.extend(proxy.get_all(&format!("org.freedesktop.systemd1.{kind}")).await.map_err(failed)?);
        Ok(UnitProperties(all))
    }
}

/// A value as the bus takes it.
fn variant(value: &Value) -> Variant<'_> {
    match value {
        Value::Flag(flag) => Variant::from(*flag),
        Value::Number(number) => Variant::from(*number),
        Value::Share(share) => Variant::from(*share),
        Value::Word(word) => Variant::from(word.as_str()),
        Value::Bits(bits) => Variant::from(bits.clone()),
        Value::Device(path, number) => Variant::from(vec![(path.as_str(), *number)]),
        Value::Rules(rules) => Variant::from(rules.clone()),
    }
}
