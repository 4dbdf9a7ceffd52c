//! Definitions: INI files read in three stages, fragment → merged → [`settings::Settings`].

pub mod settings;
