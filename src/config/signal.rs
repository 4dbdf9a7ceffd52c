//! Signal names, as in systemd.kill(5).

use super::values::{Parsed, Wrong};

const NAMES: [(&str, i32); 31] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// The number of `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` or `RTMAX-2`. `SIGRTMIN` is the C library's.
pub fn signal(text: &str) -> Parsed<i32> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let found = named.or_else(|| real_time(name)).or_else(|| text.parse().ok());
    match found {
        Some(number) if (1..=libc::SIGRTMAX()).contains(&number) => Ok(number),
        _ => Err(Wrong::new(format!("'{text}' is not a signal like SIGTERM or SIGRTMIN+3"))),
    }
}

fn real_time(name: &str) -> Option<i32> {
    let offset = |rest: &str, sign| match rest {
        "" => Some(0),
        rest => rest.strip_prefix(sign).and_then(|n| n.parse::<u8>().ok()).map(i32::from),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => libc::SIGRTMIN() + offset(rest, '+')?,
        (_, Some(rest)) => libc::SIGRTMAX() - offset(rest, '-')?,
        _ => return None,
    };
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_real_time_signals_are_taken() {
        let rtmin = libc::SIGRTMIN();
        for (text, number) in
            [("SIGTERM", 15), ("TERM", 15), ("15", 15), ("SIGRTMIN+3", rtmin + 3), ("RTMAX-0", 64)]
        {
            assert_eq!(signal(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in
            ["", "0", "65", "SIG", "sigterm", "SIGRTMIN+31", "SIGRTMIN-1", "RTMAX-31", "SIGRTMIN+", "-9"]
        {
            assert!(signal(text).is_err(), "{text}");
        }
    }
}
