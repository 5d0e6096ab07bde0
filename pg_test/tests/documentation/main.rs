//! The manual is true: its links lead somewhere, what can be run in it runs, and messages that it quotes exist.

mod blocks;
mod links;
mod messages;
mod page;
mod programs;
mod service;
