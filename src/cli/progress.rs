//! Long work, shown on standard error: what takes a moment is not worth a word, on a terminal a bar shows the rest, and
//! elsewhere a line now and then, for a log.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::{bytes, escape};
use crate::machine::Host;
use crate::progress::{Amount, Listener, Progress};

/// Operations that end within this time show no progress.
const MOMENT: Duration = Duration::from_secs(1);
/// Between two lines of a log.
const PAUSE: Duration = Duration::from_secs(10);

/// Runs `work` on the host, and shows its progress.
pub fn show<T>(host: &Host, work: impl FnOnce(&Host) -> T) -> T {
    let display = Arc::new(Mutex::new(Display::new(std::io::stderr().is_terminal())));
    let shown = display.clone();
    let listener = Listener::new(move |progress| {
        let mut display = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = display.see(progress, Instant::now()) {
            eprintln!("containerctl: {line}");
        }
    });
    let result = work(&host.clone().reporting_to(listener));
    display.lock().unwrap_or_else(PoisonError::into_inner).clear();
    result
}

/// The display of progress.
enum Display {
    /// On a terminal: from then on, and the bar once there is one.
    Terminal(Instant, Option<ProgressBar>),
    /// In a log: when it is next worth a line.
    Log(Instant),
}

impl Display {
    fn new(terminal: bool) -> Display {
        let now = Instant::now();
        if terminal { Display::Terminal(now + MOMENT, None) } else { Display::Log(now + PAUSE) }
    }

    /// Shows it, or says what is to be logged.
    fn see(&mut self, progress: &Progress, now: Instant) -> Option<String> {
        match self {
            Display::Terminal(from, bar) if now >= *from => {
                draw(bar.get_or_insert_with(|| ProgressBar::no_length().with_elapsed(MOMENT)), progress);
                None
            }
            Display::Log(next) if now >= *next => {
                *next = now + PAUSE;
                Some(line(progress))
            }
            _ => None,
        }
    }

    fn clear(&self) {
        if let Display::Terminal(_, Some(bar)) = self {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    let (template, known) = match progress.amount {
        Amount::Unknown => ("{spinner} {wide_msg} {elapsed}", None),
        Amount::Bytes(done, of) => {
            ("{wide_msg} {bar:20} {binary_bytes}/{binary_total_bytes}", Some((done, of)))
        }
        Amount::Containers(done, of) => ("{spinner} {wide_msg} {pos}/{len} {elapsed}", Some((done, of))),
    };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    if let Some((done, of)) = known {
        bar.set_length(of);
        bar.set_position(done);
    }
    bar.set_message(words(progress));
    bar.tick();
}

/// The amount done and the current step, as text.
fn words(progress: &Progress) -> String {
    match progress.now {
        "" => escape(progress.work),
        now => format!("{}: {}", escape(progress.work), escape(now)),
    }
}

fn line(progress: &Progress) -> String {
    let words = words(progress);
    match progress.amount {
        Amount::Unknown => words,
        Amount::Bytes(done, of) => format!("{words}, {} of {}", bytes(Some(done)), bytes(Some(of))),
        Amount::Containers(done, of) => format!("{words}, {done} of {of} done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNPACKING: Progress =
        Progress { work: "unpacking 'a\x1b[2J.tar'", amount: Amount::Bytes(1024, 4096), now: "" };

    #[test]
    fn a_log_gets_a_line_now_and_then() {
        let mut log = Display::new(false);
        let begun = Instant::now();
        assert_eq!(log.see(&UNPACKING, begun), None);
        let line = log.see(&UNPACKING, begun + 2 * PAUSE).expect("a line");
        assert_eq!(line, "unpacking 'a\\u{1b}[2J.tar', 1.0K of 4.0K");
        assert_eq!(log.see(&UNPACKING, begun + 2 * PAUSE + MOMENT), None);
        assert!(log.see(&UNPACKING, begun + 3 * PAUSE).is_some());
    }

    #[test]
    fn what_is_waited_for_is_named() {
        let waiting =
            Progress { work: "starting", amount: Amount::Containers(1, 3), now: "waiting for 'p2'" };
        assert_eq!(line(&waiting), "starting: waiting for 'p2', 1 of 3 done");
    }
}
