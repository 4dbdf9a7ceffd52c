//! The rate limit of lines in the journal, per interval, as `LogRateLimitIntervalSec=` and
//! `LogRateLimitBurst=` of systemd.exec(5) count them.

use std::time::Duration;

/// Counts lines per interval.
pub struct RateLimit {
    interval: Duration,
    burst: u32,
    began: Duration,
    passed: u32,
    dropped: u64,
}

/// The treatment of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes through; before it, so many did not.
    Pass {
        /// Lines dropped since the last one that passed.
        dropped: u64,
    },
    /// It is dropped.
    Drop,
}

impl RateLimit {
    /// At most `burst` lines per `interval`; zero of either is no limit.
    pub fn new(interval: Duration, burst: u32) -> RateLimit {
        RateLimit { interval, burst, began: Duration::ZERO, passed: 0, dropped: 0 }
    }

    /// Judges one line at the time `now` of a monotonic clock.
    pub fn judge(&mut self, now: Duration) -> Verdict {
        if self.burst == 0 || self.interval.is_zero() {
            return Verdict::Pass { dropped: 0 };
        }
        if now >= self.began + self.interval {
            self.began = now;
            self.passed = 0;
        }
        if self.passed >= self.burst {
            self.dropped += 1;
            return Verdict::Drop;
        }
        self.passed += 1;
        Verdict::Pass { dropped: std::mem::take(&mut self.dropped) }
    }

    /// Lines that were dropped and not told of yet.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut limit = RateLimit::new(Duration::from_secs(10), 3);
        let second = Duration::from_secs(1);
        let verdicts: Vec<_> = (1..=5).map(|_| limit.judge(second)).collect();
        assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Drop).count(), 2);
        assert_eq!(limit.judge(12 * second), Verdict::Pass { dropped: 2 });
        assert_eq!(limit.judge(12 * second), Verdict::Pass { dropped: 0 });
    }

    #[test]
    fn zero_is_no_limit() {
        let mut limit = RateLimit::new(Duration::ZERO, 1);
        assert!((0..100).all(|_| limit.judge(Duration::ZERO) == Verdict::Pass { dropped: 0 }));
    }
}
