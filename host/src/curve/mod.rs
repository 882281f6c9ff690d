//! Ids as points of the curve P-256, blinded: parties can tell how many they have in common, and none sees another's.
//!
//! In reading order: a [`Domain`] makes points of ids, for one run only; [`Points`] are checked where they come in; a [`Blind`] is the
//! secret scalar that they are multiplied with. Who has blinded both knows `a·b·H(id)`, whoever began; without a or b, nobody can tell which
//! `H(id)` a point was (decisional Diffie-Hellman).
//!
//! Nothing here knows files, guests or peers. What is long is done on all cores, and can be [stopped](Stop).

mod blind;
mod domain;
mod points;
mod work;

pub use blind::{Blind, BlindError};
pub use domain::{Domain, NotHashed};
pub use points::{NotPoints, POINT_BYTES, Points};
pub use work::{Stop, Stopped};
