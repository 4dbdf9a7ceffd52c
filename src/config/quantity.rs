//! Sizes, time spans and resource limits.

use super::values::{Parsed, Wrong, number};

/// A size in bytes with an optional suffix to the base of 1024: `512`, `64K`, `1M`, `2G`, `1T`.
pub fn size(text: &str) -> Parsed<u64> {
    let wrong = || Wrong::new(format!("'{text}' is not a size like 512, 64K or 1G"));
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        _ => return Err(wrong()),
    };
    let count: u64 = number(digits.trim_end(), 0, u64::MAX).map_err(|_| wrong())?;
    count.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A time span in microseconds: `30`, `5min 20s`, `1.5h`; a bare number is seconds (systemd.time(7)).
pub fn time_span(text: &str) -> Parsed<u64> {
    span(text, 1_000_000).ok_or_else(|| Wrong::new(format!("'{text}' is not a time span like 30s or 5min")))
}

/// `LimitCPU=` in seconds, rounded up.
pub fn cpu_time(text: &str) -> Parsed<u64> {
    Ok(time_span(text)?.div_ceil(1_000_000))
}

/// `LimitRTTIME=` in microseconds; so is a bare number.
pub fn real_time(text: &str) -> Parsed<u64> {
    span(text, 1).ok_or_else(|| Wrong::new(format!("'{text}' is not a time span like 500ms")))
}

/// A plain count.
pub fn count(text: &str) -> Parsed<u64> {
    number(text, 0, u64::MAX)
}

/// `LimitNICE=`: the kernel's 0 to 40, or a signed nice level.
pub fn nice(text: &str) -> Parsed<u64> {
    if text.starts_with(['+', '-']) {
        return Ok((20 - number::<i64>(text, -20, 19)?).unsigned_abs());
    }
    number(text, 0, 40)
}

/// `VALUE` or `SOFT:HARD`, each `infinity` or what `one` reads; infinity is `None`.
pub fn limits(text: &str, one: fn(&str) -> Parsed<u64>) -> Parsed<(Option<u64>, Option<u64>)> {
    let bound = |text: &str| match text {
        "infinity" => Ok(None),
        // The kernel's own number for infinity.
        text => one(text).map(|limit| Some(limit).filter(|limit| *limit != u64::MAX)),
    };
    let Some((soft, hard)) = text.split_once(':') else {
        return bound(text).map(|both| (both, both));
    };
    let (soft, hard) = (bound(soft)?, bound(hard).map_err(|wrong| wrong.shifted(soft.len() + 1))?);
    if hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard)) {
        return Err(Wrong::new(format!("the soft limit of '{text}' is above the hard one")));
    }
    Ok((soft, hard))
}

/// Microseconds in `text`; a number without unit counts `bare` microseconds.
fn span(text: &str, bare: u64) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = leading(rest, |c| c.is_ascii_digit() || c == '.');
        let after = rest[number.len()..].trim_start();
        let unit = leading(after, char::is_alphabetic);
        total = total.checked_add(scaled(number, unit_usec(unit, bare)?)?)?;
        rest = after[unit.len()..].trim_start();
    }
    Some(total)
}

fn leading(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    text.split(|c| !belongs(c)).next().unwrap_or_default()
}

/// `number`, with up to six decimals, times `unit`.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if decimals.is_empty() || decimals.len() > 6 {
        return None;
    }
    let fraction = decimals.parse::<u64>().ok()?.checked_mul(unit)? / 10_u64.pow(decimals.len() as u32);
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(fraction)
}

fn unit_usec(unit: &str, bare: u64) -> Option<u64> {
    const SECOND: u64 = 1_000_000;
    Some(match unit {
        "" => bare,
        "us" | "µs" | "μs" | "usec" => 1,
        "ms" | "msec" => 1000,
        "s" | "sec" | "second" | "seconds" => SECOND,
        "m" | "min" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hour" | "hours" => 3600 * SECOND,
        "d" | "day" | "days" => 86400 * SECOND,
        "w" | "week" | "weeks" => 7 * 86400 * SECOND,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_to_the_base_of_1024() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("64K", 65536), ("1M", 1 << 20), ("2G", 2 << 30), ("1 T", 1 << 40)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1Q", "1KB", "99999999999G", "1.5G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn time_spans_add_up() {
        for (text, usec) in
            [("30", 30_000_000), ("5min 20s", 320_000_000), ("1.5s", 1_500_000), ("2h3ms", 7_200_003_000)]
        {
            assert_eq!(time_span(text), Ok(usec), "{text}");
        }
        for text in ["", "s", "5parsec", "1..5s", "1.s", "-1s", "999999999999999w"] {
            assert!(time_span(text).is_err(), "{text}");
        }
        assert_eq!(cpu_time("1min"), Ok(60));
        assert_eq!(real_time("500"), Ok(500));
        assert_eq!(real_time("500ms"), Ok(500_000));
    }

    #[test]
    fn limits_are_one_or_two() {
        assert_eq!(limits("1:2", count), Ok((Some(1), Some(2))));
        assert_eq!(limits("1G", size), Ok((Some(1 << 30), Some(1 << 30))));
        assert_eq!(limits("infinity", count), Ok((None, None)));
        assert_eq!(limits("1:infinity", count), Ok((Some(1), None)));
        assert_eq!(limits("1:x", count).map_err(|wrong| wrong.offset), Err(2));
        assert!(limits("2:1", count).is_err());
        assert!(limits("infinity:1", count).is_err());
        assert_eq!((nice("-5"), nice("+19"), nice("40")), (Ok(25), Ok(1), Ok(40)));
        assert!(nice("41").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[0-9. kKmsh:+-]{0,12}") {
            let _ = (size(&text), time_span(&text), real_time(&text), nice(&text), limits(&text, count));
        }
    }
}
