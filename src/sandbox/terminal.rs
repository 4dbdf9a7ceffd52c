//! A container's terminals: its console, and as many more as `Ttys=` asks for.
//!
//! The init learns of them in its own way. systemd reads their names from its environment and starts a
//! container-getty@.service on each; it must see no `/dev/tty1`, which to it is a virtual console (CONTAINER_INTERFACE).
//! Every other init is told by its own files to run a getty on `/dev/tty1` and those after it, and finds them there.

use crate::config::tty::Tty;
use crate::sandbox::init::InitKind;
use crate::sandbox::operation::Operation;

/// The operations that make them. A devpts that is new counts from 0, so the console is `pts/0` and `ttyN` is `pts/N`.
pub fn operations(ttys: u8, init: Option<InitKind>) -> Vec<Operation> {
    let console = Operation::Terminal { number: 0, target: Some("/dev/console".to_string()) };
    let more = Tty::first(ttys).map(|tty| Operation::Terminal {
        number: tty.number().into(),
        target: (!is_told(init)).then(|| format!("/dev/{tty}")),
    });
    [console].into_iter().chain(more).collect()
}

/// The environment variable that tells systemd about the terminals.
pub fn environment(ttys: u8, init: Option<InitKind>) -> Option<(String, String)> {
    let names: Vec<String> = Tty::first(ttys).map(|tty| format!("pts/{}", tty.number())).collect();
    (is_told(init) && !names.is_empty()).then(|| ("container_ttys".to_string(), names.join(" ")))
}

fn is_told(init: Option<InitKind>) -> bool {
    init == Some(InitKind::Systemd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INITS: [Option<InitKind>; 7] = [
        None,
        Some(InitKind::Systemd),
        Some(InitKind::Busybox),
        Some(InitKind::OpenRc),
        Some(InitKind::Sysvinit),
        Some(InitKind::Runit),
        Some(InitKind::Other),
    ];

    proptest! {
        #[test]
        fn an_init_learns_of_each_terminal_in_just_one_way(
            ttys in any::<u8>(), init in prop::sample::select(INITS.to_vec()),
        ) {
            let (made, told) = (operations(ttys, init), environment(ttys, init));
            let named = told.map(|(_, names)| names).unwrap_or_default();
            prop_assert_eq!(made.len(), 1 + usize::from(ttys.min(crate::config::tty::MOST)));
            for (expected, operation) in made.iter().enumerate() {
                let Operation::Terminal { number, target } = operation else { panic!("{operation}") };
                prop_assert_eq!(*number as usize, expected);
                let is_named = named.split(' ').any(|name| name == format!("pts/{number}"));
                prop_assert!(target.is_some() != is_named);
            }
        }
    }

    #[test]
    fn systemd_is_told_and_others_find_them() {
        let told = environment(2, Some(InitKind::Systemd)).expect("told");
        assert_eq!(told, ("container_ttys".to_string(), "pts/1 pts/2".to_string()));
        assert_eq!(environment(0, Some(InitKind::Systemd)), None);
        assert_eq!(environment(2, Some(InitKind::Busybox)), None);
        let last = operations(2, Some(InitKind::Busybox)).pop();
        assert_eq!(last, Some(Operation::Terminal { number: 2, target: Some("/dev/tty2".to_string()) }));
    }
}
