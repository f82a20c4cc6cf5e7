//! Deserializers that check ranges, so that an odd value is refused with its line like a bad type.

use serde::de::{Deserialize, Deserializer, Error};
use transport::Backend;
use types::CommitRule;

/// An integer in `LO..=HI`.
pub(super) fn ranged<'de, D: Deserializer<'de>, const LO: u64, const HI: u64>(
    deserializer: D,
) -> Result<u64, D::Error> {
    in_range::<D::Error, LO, HI>(i64::deserialize(deserializer)?)
}

fn in_range<E: Error, const LO: u64, const HI: u64>(found: i64) -> Result<u64, E> {
    match u64::try_from(found) {
        Ok(value) if (LO..=HI).contains(&value) => Ok(value),
        _ => Err(E::custom(format!(
            "expected an integer from {LO} to {HI}, found {found}"
        ))),
    }
}

/// As [`ranged`], where the key may be absent.
pub(super) fn optional<'de, D: Deserializer<'de>, const LO: u64, const HI: u64>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    match Option::<i64>::deserialize(deserializer)? {
        Some(found) => in_range::<D::Error, LO, HI>(found).map(Some),
        None => Ok(None),
    }
}

/// Milliseconds from 0 to `HI`, with fractions.
pub(super) fn millis<'de, D: Deserializer<'de>, const HI: u64>(
    deserializer: D,
) -> Result<f64, D::Error> {
    within(deserializer, HI as f64)
}

/// From 0 to 1.
pub(super) fn probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, 1.0)
}

fn within<'de, D: Deserializer<'de>>(deserializer: D, hi: f64) -> Result<f64, D::Error> {
    let found = f64::deserialize(deserializer)?;
    match found {
        value if (0.0..=hi).contains(&value) => Ok(value),
        _ => Err(D::Error::custom(format!(
            "expected a number from 0 to {hi}, found {found}"
        ))),
    }
}

pub(super) fn backend<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Backend, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}

pub(super) fn rule<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CommitRule>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let rule = CommitRule::from_name(&name).ok_or_else(|| {
        D::Error::custom(format!(
            "unknown rule {name:?}; expected two-chain or three-chain"
        ))
    })?;
    Ok(Some(rule))
}
