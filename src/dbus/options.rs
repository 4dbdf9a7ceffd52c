//! Options of a method (`a{sv}`): each is taken once, and one that nobody takes is a mistake.

use std::collections::HashMap;

use zbus::OwnedVariant;

use crate::error::{Error, Result};

/// As they come.
pub type Given = HashMap<String, OwnedVariant>;

/// Options that were not taken yet.
pub struct Options(Given);

impl From<Given> for Options {
    fn from(given: Given) -> Options {
        Options(given)
    }
}

impl Options {
    /// Takes an option that must be of a type.
    pub fn take<T: TryFrom<OwnedVariant>>(&mut self, name: &str) -> Result<Option<T>> {
        let wrong = |_| Error::config(format!("option '{name}' is of another type"));
        self.0.remove(name).map(|value| T::try_from(value).map_err(wrong)).transpose()
    }

    /// All must have been taken.
    pub fn refuse_rest(self) -> Result<()> {
        match self.0.keys().min() {
            None => Ok(()),
            Some(name) => Err(Error::config(format!("option '{}' means nothing here", name.escape_debug()))),
        }
    }
}
