//! The service's one loop: calls are answered in tasks beside each other, and when there was none for a while the
//! service leaves. Nothing is kept: the next call starts it anew.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_core::Stream;
use zbus::fdo::RequestNameFlags;
use zbus::message::{Message, Type};
use zbus::{Connection, MessageStream};
use zruntime::SharedRuntime;

use super::call;
use super::interface::Interface;
use super::node::Node;
use super::subscribers::Subscribers;
use super::work::Worker;
use crate::error::{Context, Error, Result};
use crate::machine::Host;
use crate::paths::Root;
use crate::systemd::{connect, notify};

/// Interval at which a service that is about to exit checks for unfinished calls.
const GLANCE: Duration = Duration::from_millis(20);

/// The service.
pub struct Service {
    /// The system bus.
    pub bus: Connection,
    /// The host, on the same bus.
    pub host: Host,
    /// Callers that get signals.
    pub subscribers: Arc<Subscribers>,
    manager: Vec<Interface>,
    network: Vec<Interface>,
    container: Vec<Interface>,
    /// Calls that are not done.
    busy: AtomicUsize,
    /// When the last call came or was done.
    last: Mutex<Instant>,
}

/// Events of the loop.
enum Event {
    Message(Message),
    Quiet,
    Closed,
}

/// Serves until there was no call for so long.
pub fn serve(root: Root, idle: Duration) -> Result<()> {
    zbus::block_on(async {
        let bus = connect().await?;
        let mut messages = MessageStream::from(&bus);
        let service = Arc::new(Service {
            host: Host::new(root).on(bus.clone().into()),
            bus,
            subscribers: Arc::default(),
            manager: Node::Manager.interfaces(),
            network: Node::Network.interfaces(),
            container: Node::Container(String::new()).interfaces(),
            busy: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
        });
        let flags = RequestNameFlags::DO_NOT_QUEUE;
        let named = service.bus.request_name_with_flags(super::NAME, flags).await;
        named.context(|| format!("failed to take the name '{}'", super::NAME))?;
        service.run(&mut messages, idle).await?;
        service.leave(&mut messages).await
    })
}

impl Service {
    /// The interfaces of a node.
    pub fn interfaces(&self, node: &Node) -> &[Interface] {
        match node {
            Node::Manager => &self.manager,
            Node::Network => &self.network,
            Node::Container(_) => &self.container,
            Node::Above(_) | Node::Containers => &[],
        }
    }

    async fn run(self: &Arc<Self>, messages: &mut MessageStream, idle: Duration) -> Result<()> {
        loop {
            let left = if self.is_in_use() { idle } else { idle.saturating_sub(self.last().elapsed()) };
            match next(messages, left).await? {
                Event::Message(message) => self.take(message),
                Event::Quiet if !self.is_in_use() && self.last().elapsed() >= idle => return Ok(()),
                Event::Quiet => {}
                Event::Closed => return Err(Error::failed("the system bus went away")),
            }
        }
    }

    fn is_in_use(&self) -> bool {
        self.busy.load(Ordering::SeqCst) > 0 || !self.subscribers.is_empty()
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, message: Message) {
        match message.message_type() {
            Type::MethodCall => {
                *self.last() = Instant::now();
                self.busy.fetch_add(1, Ordering::SeqCst);
                let service = self.clone();
                let call = async move {
                    let worker = call::answer(&service, message).await;
                    service.settle(worker);
                };
                zruntime::spawn(call).detach();
            }
            Type::Signal => self.subscribers.receive(&message),
            _ => {}
        }
    }

    /// A shell may last for days: its process is waited for in a thread that nobody else needs. Where there can be no
    /// thread, the service stays.
    fn settle(self: Arc<Self>, worker: Option<Worker>) {
        let _ = std::thread::Builder::new().spawn(move || {
            if let Some(worker) = worker {
                worker.wait();
            }
            *self.last() = Instant::now();
            self.busy.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Gives the name back, so that the next call starts a successor, and answers those that came before.
    async fn leave(self: &Arc<Self>, messages: &mut MessageStream) -> Result<()> {
        notify::stopping("Idle.");
        self.bus
            .release_name(super::NAME)
            .await
            .context(|| format!("failed to give back '{}'", super::NAME))?;
        loop {
            match next(messages, GLANCE).await? {
                Event::Message(message) => self.take(message),
                Event::Quiet if self.busy.load(Ordering::SeqCst) == 0 => return Ok(()),
                Event::Quiet => {}
                Event::Closed => return Ok(()),
            }
        }
    }
}

/// The next message, or a silence of `limit`.
async fn next(messages: &mut MessageStream, limit: Duration) -> Result<Event> {
    let runtime = SharedRuntime::current().context(|| "failed to set a timer")?;
    let mut silence = std::pin::pin!(runtime.sleep(limit));
    Ok(poll_fn(|context| match Pin::new(&mut *messages).poll_next(context) {
        Poll::Ready(Some(Ok(message))) => Poll::Ready(Event::Message(message)),
        Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Event::Closed),
        Poll::Pending => silence.as_mut().poll(context).map(|_| Event::Quiet),
    })
    .await)
}
