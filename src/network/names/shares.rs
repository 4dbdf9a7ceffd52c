//! Room for questions, shared among containers: none takes it from another, however much it asks.

/// The source of a question. All addresses that belong to no container are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A container.
    Machine(String),
    /// Anybody else on the bridge.
    Other,
}

/// Limits of questions under way.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one owner.
    pub each: usize,
    /// Of all.
    pub all: usize,
}

impl Limits {
    /// Makes room for one more of `owner` in `items`, which are in the order of their age: whoever has a full share loses
    /// its own oldest, and where all is taken, whoever has the most.
    pub fn make_room<T>(self, items: &mut Vec<T>, owner: &Owner, owner_of: impl Fn(&T) -> &Owner) {
        let count = |wanted: &Owner| items.iter().filter(|item| owner_of(item) == wanted).count();
        let loser = match () {
            () if count(owner) >= self.each => Some(owner.clone()),
            () if items.len() >= self.all => {
                items.iter().map(&owner_of).max_by_key(|owner| count(owner)).cloned()
            }
            () => None,
        };
        if let Some(loser) = loser
            && let Some(oldest) = items.iter().position(|item| *owner_of(item) == loser)
        {
            items.remove(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { each: 4, all: 8 };

    fn owner(number: u8) -> Owner {
        Owner::Machine(number.to_string())
    }

    fn add(items: &mut Vec<(Owner, usize)>, owner: Owner, number: usize) {
        LIMITS.make_room(items, &owner, |(owner, _)| owner);
        items.push((owner, number));
    }

    #[test]
    fn who_has_a_full_share_loses_its_own_oldest() {
        let mut items = Vec::new();
        (0..5).for_each(|number| add(&mut items, owner(1), number));
        assert_eq!(items.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn where_all_is_taken_who_has_most_makes_room_for_a_newcomer() {
        let mut items = Vec::new();
        (0..4).for_each(|number| add(&mut items, owner(1), number));
        (4..6).for_each(|number| add(&mut items, owner(2), number));
        (6..8).for_each(|number| add(&mut items, owner(3), number));
        add(&mut items, owner(4), 8);
        assert_eq!(items.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    proptest! {
        #[test]
        fn a_newcomer_always_has_room_and_stays_while_others_ask(asked in prop::collection::vec(0..7_u8, 0..100)) {
            let mut items = Vec::new();
            add(&mut items, Owner::Other, 0);
            for (number, asker) in (1..).zip(asked) {
                add(&mut items, owner(asker), number);
                prop_assert!(items.len() <= LIMITS.all && items.last().is_some_and(|(_, last)| *last == number));
            }
            // Seven others share the rest of eight places.
            prop_assert!(items.iter().any(|(owner, _)| *owner == Owner::Other));
        }
    }
}
