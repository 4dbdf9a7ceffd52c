//! The fuzz targets' entry points, fed with random bytes and with seeds that were cut, joined and changed: a small
//! part of what the fuzzer does, on every machine and in every run.

#[path = "entries.rs"]
mod entries;

use entries::ENTRIES;
use proptest::prelude::*;
use proptest::sample::Index;

/// One change of an input.
#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    /// Goes on with a seed, from some place in it.
    Join(Index, Index),
    /// Repeats a part.
    Repeat(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    // What means something in any of these formats.
    let byte = || prop_oneof![any::<u8>(), prop::sample::select(b"\n\r=:[]#\\'\"~-,/ \x0019af".to_vec())];
    prop_oneof![
        (at(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (at(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        at().prop_map(Change::Remove),
        at().prop_map(Change::Cut),
        (at(), at()).prop_map(|(seed, from)| Change::Join(seed, from)),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

fn changed(seeds: &[&[u8]], first: Index, changes: &[Change]) -> Vec<u8> {
    let mut input = first.get(seeds).to_vec();
    for change in changes {
        let len = input.len();
        match change {
            Change::Insert(at, byte) => input.insert(at.index(len + 1), *byte),
            Change::Join(seed, from) => {
                let seed = seed.get(seeds);
                input.extend_from_slice(&seed[from.index(seed.len())..]);
            }
            _ if input.is_empty() => {}
            Change::Replace(at, byte) => input[at.index(len)] = *byte,
            Change::Remove(at) => drop(input.remove(at.index(len))),
            Change::Cut(at) => input.truncate(at.index(len)),
            Change::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                input.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
    input
}

#[test]
fn every_seed_is_taken() {
    for (_, entry, seeds) in ENTRIES {
        seeds.iter().for_each(|seed| entry(seed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_break_nothing(input in prop::collection::vec(any::<u8>(), 0..256)) {
        ENTRIES.iter().for_each(|(_, entry, _)| entry(&input));
    }

    #[test]
    fn changed_seeds_break_nothing(
        first in any::<Index>(),
        changes in prop::collection::vec(change(), 1..24),
    ) {
        for (_, entry, seeds) in ENTRIES {
            entry(&changed(seeds, first, &changes));
        }
    }
}
