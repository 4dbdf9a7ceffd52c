//! Values of `Bind=`, `BindReadOnly=`, `TemporaryFileSystem=` and `Inaccessible=` (systemd.nspawn(5)).

use super::settings::CustomMount;
use super::values::{Parsed, Wrong, path, path_below_root};

/// `SOURCE[:TARGET[:OPTIONS]]`; `\:` is a colon of a path, `-` in front lets the source be missing.
pub fn bind(text: &str, read_only: bool) -> Parsed<CustomMount> {
    let fields = fields(text, 3)?;
    let (optional, shift, source) = match fields[0].1.strip_prefix('-') {
        Some(source) => (true, 1, source),
        None => (false, 0, fields[0].1.as_str()),
    };
    let source = path(source).map_err(|wrong| Wrong::new(wrong.why).shifted(shift))?;
    let target = match fields.get(1) {
        Some(field) => inside(field)?,
        None => path_below_root(&source.to_string_lossy())?,
    };
    let (mut recursive, mut idmap) = (true, false);
    for (offset, option) in fields.get(2).into_iter().flat_map(options) {
        match option {
            "rbind" => recursive = true,
            "norbind" => recursive = false,
            "idmap" => idmap = true,
            "noidmap" => idmap = false,
            _ => {
                return Err(Wrong {
                    offset,
                    why: format!("'{option}' is none of rbind, norbind, idmap and noidmap"),
                });
            }
        }
    }
    Ok(CustomMount::Bind { source, target, read_only, recursive, idmap, optional })
}

/// `TARGET[:OPTIONS]`, options being those of tmpfs(5) that settings name.
pub fn tmpfs(text: &str) -> Parsed<CustomMount> {
    let fields = fields(text, 2)?;
    let mut checked = Vec::new();
    for (offset, option) in fields.get(1).into_iter().flat_map(options) {
        checked.push(tmpfs_option(option).map_err(|wrong| wrong.shifted(offset))?);
    }
    Ok(CustomMount::Tmpfs { target: inside(&fields[0])?, options: checked })
}

/// `TARGET`.
pub fn inaccessible(text: &str) -> Parsed<CustomMount> {
    Ok(CustomMount::Inaccessible { target: path_below_root(text)? })
}

fn tmpfs_option(option: &str) -> Parsed<(String, String)> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let digits = |suffixes: &[char]| value.strip_suffix(suffixes).unwrap_or(value).parse::<u64>().is_ok();
    let valid = match name {
        "size" => digits(&['k', 'K', 'm', 'M', 'g', 'G', '%']),
        "nr_inodes" => digits(&['k', 'K', 'm', 'M', 'g', 'G']),
        "mode" => u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777),
        _ => return Err(Wrong::new(format!("'{option}' is none of size=, nr_inodes= and mode="))),
    };
    if !valid {
        return Err(Wrong::new(format!("'{value}' is no value for {name}=")));
    }
    Ok((name.to_string(), value.to_string()))
}

fn inside((offset, text): &(usize, String)) -> Parsed<std::path::PathBuf> {
    path_below_root(text).map_err(|wrong| Wrong::new(wrong.why).shifted(*offset))
}

/// Comma-separated words with their offsets. Options have no escapes, so that offsets hold.
fn options((offset, text): &(usize, String)) -> impl Iterator<Item = (usize, &str)> {
    let start = text.as_ptr().addr();
    text.split(',').map(move |option| (offset + option.as_ptr().addr() - start, option))
}

/// Splits at each `:` that no `\` stands before; `\` makes any character plain.
fn fields(text: &str, at_most: usize) -> Parsed<Vec<(usize, String)>> {
    let mut fields = vec![(0, String::new())];
    let mut rest = text.char_indices();
    while let Some((offset, c)) = rest.next() {
        let c = match c {
            ':' if fields.len() == at_most => {
                return Err(Wrong { offset, why: "one ':' too many".to_string() });
            }
            ':' => {
                fields.push((offset + 1, String::new()));
                continue;
            }
            // The line check lets no value end in an odd '\'.
            '\\' => rest.next().map_or('\\', |(_, escaped)| escaped),
            c => c,
        };
        if let Some((_, field)) = fields.last_mut() {
            field.push(c);
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(source: &str, target: &str) -> CustomMount {
        CustomMount::Bind {
            source: source.into(),
            target: target.into(),
            read_only: false,
            recursive: true,
            idmap: false,
            optional: false,
        }
    }

    #[test]
    fn binds_take_source_target_and_options() {
        assert_eq!(bind("/a", false), Ok(plain("/a", "/a")));
        assert_eq!(bind("/a b:/c", false), Ok(plain("/a b", "/c")));
        assert_eq!(bind("/a\\:b:/c", false), Ok(plain("/a:b", "/c")));
        let optional = CustomMount::Bind {
            source: "/a".into(),
            target: "/b".into(),
            read_only: true,
            recursive: false,
            idmap: true,
            optional: true,
        };
        assert_eq!(bind("-/a:/b:norbind,idmap", true), Ok(optional));
    }

    #[test]
    fn wrong_binds_are_pointed_at() {
        for (text, offset) in [
            ("a", 0),
            ("-a", 1),
            ("/a:b", 3),
            ("/a:/b:x", 6),
            ("/a:/b:idmap,x", 12),
            ("/a:/b:idmap:", 11),
            ("/a:/", 3),
        ] {
            assert_eq!(bind(text, false).map_err(|wrong| wrong.offset), Err(offset), "{text}");
        }
        assert!(bind("/", false).is_err());
        assert!(bind("/a:/../etc", false).is_err());
    }

    #[test]
    fn tmpfs_options_are_checked() {
        let options = vec![("size".to_string(), "10%".to_string()), ("mode".to_string(), "0755".to_string())];
        assert_eq!(tmpfs("/x:size=10%,mode=0755"), Ok(CustomMount::Tmpfs { target: "/x".into(), options }));
        for text in
            ["/x:size=ten", "/x:mode=9", "/x:mode=17777", "/x:dev", "/", "/x:size=1,", "/x:nr_inodes=1%"]
        {
            assert!(tmpfs(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[-/a:,\\\\=]{0,16}") {
            let _ = (bind(&text, true), tmpfs(&text), inaccessible(&text));
        }

        #[test]
        fn escaped_paths_come_back(source in "/[^\u{0}/.]{1,8}", target in "/[^\u{0}/.]{1,8}") {
            let escape = |path: &str| path.replace('\\', "\\\\").replace(':', "\\:");
            let text = format!("{}:{}", escape(&source), escape(&target));
            prop_assert_eq!(bind(&text, false), Ok(plain(&source, &target)));
        }
    }
}
