//! `--set key=value`: dotted paths into the spec, indices into lists, values in TOML.

use toml::{Table, Value};

use crate::error::TestbedError;

/// Why the text could not be parsed, or the override at fault.
pub(super) enum Failure {
    Text(String),
    Override(TestbedError),
}

impl Failure {
    pub(super) fn in_file(self, origin: &str) -> TestbedError {
        match self {
            Self::Text(message) => TestbedError::SpecSyntax {
                origin: origin.to_owned(),
                message,
            },
            Self::Override(error) => error,
        }
    }
}

/// The spec's table after all overrides, in their order.
pub(super) fn apply(text: &str, overrides: &[String]) -> Result<Table, Failure> {
    let mut table: Table = text
        .parse()
        .map_err(|e: toml::de::Error| Failure::Text(e.to_string()))?;
    for argument in overrides {
        set(&mut table, argument).map_err(|message| {
            Failure::Override(TestbedError::Override {
                argument: argument.clone(),
                message,
            })
        })?;
    }
    Ok(table)
}

fn set(table: &mut Table, argument: &str) -> Result<(), String> {
    let (path, text) = argument
        .split_once('=')
        .ok_or("expected key=value, found no `=`; write for example --set load.duration_s=5")?;
    let keys: Vec<&str> = path.trim().split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(format!(
            "expected a dotted path, found {path:?} with an empty part"
        ));
    }
    let value = parse_value(text.trim());
    let (last, parents) = keys.split_last().unwrap_or((&path, &[]));
    let mut place = Place::Table(table);
    for key in parents {
        place = place.descend(key)?;
    }
    place.assign(last, value)
}

/// A TOML value, or else a plain string, so that `--set load.arrival=constant` needs no quotes.
fn parse_value(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Where a path has led so far.
enum Place<'a> {
    Table(&'a mut Table),
    List(&'a mut Vec<Value>),
}

impl<'a> Place<'a> {
    fn descend(self, key: &str) -> Result<Self, String> {
        let value = match self {
            Self::Table(table) => table
                .entry(key)
                .or_insert_with(|| Value::Table(Table::new())),
            Self::List(list) => {
                let index = list_index(key, list.len())?;
                &mut list[index]
            }
        };
        match value {
            Value::Table(table) => Ok(Self::Table(table)),
            Value::Array(list) => Ok(Self::List(list)),
            other => Err(format!(
                "expected a table or list at `{key}`, found {}",
                other.type_str()
            )),
        }
    }

    fn assign(self, key: &str, value: Value) -> Result<(), String> {
        match self {
            Self::Table(table) => {
                table.insert(key.to_owned(), value);
            }
            Self::List(list) => {
                let index = list_index(key, list.len())?;
                list[index] = value;
            }
        }
        Ok(())
    }
}

fn list_index(key: &str, len: usize) -> Result<usize, String> {
    key.parse().ok().filter(|&index| index < len).ok_or(format!(
        "expected an index below {len} into the list, found {key:?}"
    ))
}
