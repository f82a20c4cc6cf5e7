//! The axes of an experiment: each a value or a list of values.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

/// An enum whose names in TOML, configs and results are the same.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $first:ident = $first_text:literal $(, $variant:ident = $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            #[default]
            #[doc = concat!("`", $first_text, "`")]
            #[serde(rename = $first_text)]
            $first,
            $(
                #[doc = concat!("`", $text, "`")]
                #[serde(rename = $text)]
                $variant,
            )*
        }

        impl $name {
            /// The name in TOML, configs and results.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}
pub(super) use named;

named! {
    /// The commit rule.
    Rule { TwoChain = "two-chain", ThreeChain = "three-chain" }
}
named! {
    /// The signature scheme of certificates.
    Scheme { Bls = "bls", Ed25519 = "ed25519" }
}
named! {
    /// What is on disk before a message leaves.
    Durability { Strict = "strict", Memory = "memory" }
}
named! {
    /// The transport's back end.
    Backend { Epoll = "epoll", TokioUring = "tokio-uring", IoUring = "io-uring" }
}
named! {
    /// Client authentication.
    Auth { None = "none", Signed = "signed" }
}
named! {
    /// The application.
    App { Kv = "kv", Null = "null" }
}

/// A list that may be written as its only value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct OneOrMany<T>(pub Vec<T>);

/// Axes; absent ones come from the base, or from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AxisLists {
    /// Committee sizes.
    pub replicas: Option<OneOrMany<u32>>,
    /// Commit rules.
    pub rule: Option<OneOrMany<Rule>>,
    /// Signature schemes.
    pub scheme: Option<OneOrMany<Scheme>>,
    /// Durabilities.
    pub durability: Option<OneOrMany<Durability>>,
    /// Transports.
    pub backend: Option<OneOrMany<Backend>>,
    /// Encryption of the links between replicas.
    pub encryption: Option<OneOrMany<bool>>,
    /// Client authentication.
    pub auth: Option<OneOrMany<Auth>>,
    /// Applications.
    pub app: Option<OneOrMany<App>>,
    /// Offered rates of all generators together, transactions per second.
    pub rate_tps: Option<OneOrMany<f64>>,
    /// Payload sizes in bytes.
    pub size_bytes: Option<OneOrMany<u32>>,
    /// Whether replicas can recover: `baseline` against `recovery-ready`. Left to them without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<OneOrMany<bool>>,
    /// Delay of every link between replicas, one way. None without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<OneOrMany<f64>>,
}

impl AxisLists {
    /// What a spec means when it says nothing.
    #[must_use]
    pub fn defaults() -> Self {
        fn one<T>(value: T) -> Option<OneOrMany<T>> {
            Some(OneOrMany(vec![value]))
        }
        Self {
            replicas: one(4),
            rule: one(Rule::TwoChain),
            scheme: one(Scheme::Bls),
            durability: one(Durability::Strict),
            backend: one(Backend::Epoll),
            encryption: one(false),
            auth: one(Auth::None),
            app: one(App::Kv),
            rate_tps: one(1000.0),
            size_bytes: one(512),
            // Nothing is written for these where the spec says nothing: older specs keep their hash.
            recovery: None,
            delay_ms: None,
        }
    }

    /// Takes every absent axis from `base`.
    pub fn fill_from(&mut self, base: &Self) {
        fn fill<T: Clone>(mine: &mut Option<OneOrMany<T>>, base: &Option<OneOrMany<T>>) {
            if mine.is_none() {
                mine.clone_from(base);
            }
        }
        fill(&mut self.replicas, &base.replicas);
        fill(&mut self.rule, &base.rule);
        fill(&mut self.scheme, &base.scheme);
        fill(&mut self.durability, &base.durability);
        fill(&mut self.backend, &base.backend);
        fill(&mut self.encryption, &base.encryption);
        fill(&mut self.auth, &base.auth);
        fill(&mut self.app, &base.app);
        fill(&mut self.rate_tps, &base.rate_tps);
        fill(&mut self.size_bytes, &base.size_bytes);
        fill(&mut self.recovery, &base.recovery);
        fill(&mut self.delay_ms, &base.delay_ms);
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

/// Not an untagged enum: that one forgets which value was wrong, and why.
struct OneOrManyVisitor<T>(PhantomData<T>);

macro_rules! visit_one {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E: serde::de::Error>(self, value: $type) -> Result<Self::Value, E> {
            use serde::de::IntoDeserializer;
            Ok(OneOrMany(vec![T::deserialize(value.into_deserializer())?]))
        })*
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(OneOrMany)
    }

    visit_one!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}
