//! The tables of a scenario's file, as they stand there. Unknown keys are refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Written {
    pub(super) nodes: Spanned<toml::Value>,
    pub(super) suite: Option<Spanned<u64>>,
    pub(super) heal: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) plugin: Vec<Spanned<PluginTable>>,
    #[serde(default)]
    pub(super) start: Vec<StartTable>,
    #[serde(default)]
    pub(super) run: Vec<RunTable>,
    #[serde(default)]
    pub(super) ask: Vec<AskTable>,
    #[serde(default)]
    pub(super) faults: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    #[serde(default)]
    pub(super) fault: Vec<FaultTable>,
    #[serde(default)]
    pub(super) hit: Vec<Spanned<HitTable>>,
    #[serde(default)]
    pub(super) expect: ExpectTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PluginTable {
    pub(super) built_in: Option<Spanned<String>>,
    pub(super) file: Option<Spanned<String>>,
    pub(super) nodes: Option<Vec<Spanned<String>>>,
    pub(super) grants: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) limits: BTreeMap<Spanned<String>, Spanned<u64>>,
    #[serde(default)]
    pub(super) inputs: Vec<Spanned<InputTable>>,
    pub(super) enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct InputTable {
    pub(super) name: Spanned<String>,
    pub(super) nodes: Option<Vec<Spanned<String>>>,
    pub(super) kind: Spanned<String>,
    pub(super) values: Option<Vec<Spanned<toml::Value>>>,
    pub(super) ramp: Option<usize>,
    pub(super) file: Option<String>,
    pub(super) column: Option<String>,
    pub(super) min_rows: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StartTable {
    pub(super) at: Spanned<String>,
    pub(super) set_up: Spanned<String>,
    pub(super) run: Spanned<String>,
    pub(super) parties: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RunTable {
    pub(super) at: Spanned<String>,
    pub(super) protocol: String,
    pub(super) run: Spanned<String>,
    pub(super) parties: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) params: Option<Spanned<toml::Table>>,
    pub(super) outcome: Option<Spanned<toml::Value>>,
    pub(super) result: Option<Spanned<toml::Table>>,
    #[serde(default)]
    pub(super) alike: Vec<String>,
    pub(super) sum_of: Option<Spanned<String>>,
    pub(super) blames: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AskTable {
    pub(super) at: Spanned<String>,
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) fields: Option<Spanned<toml::Table>>,
    pub(super) times: Option<Spanned<u32>>,
    pub(super) every: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) until_answered: bool,
    pub(super) outcome: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FaultTable {
    pub(super) at: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) node: Option<Spanned<String>>,
    pub(super) r#for: Spanned<String>,
    pub(super) draw: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct HitTable {
    pub(super) message: Option<u64>,
    pub(super) kind: Option<String>,
    pub(super) from: Option<Spanned<String>>,
    pub(super) to: Option<Spanned<String>>,
    pub(super) nth: Option<Spanned<u32>>,
    pub(super) fault: Spanned<String>,
    pub(super) later: Option<Spanned<String>>,
    pub(super) byte: Option<u64>,
    pub(super) add: Option<u8>,
    pub(super) behind: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ExpectTable {
    pub(super) set_ups: Option<Spanned<toml::Value>>,
    #[serde(default)]
    pub(super) failed: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) refuses_to_start: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) store: Vec<StoreTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StoreTable {
    pub(super) node: Spanned<String>,
    pub(super) plugin: String,
    pub(super) key: String,
    pub(super) value: Option<Spanned<toml::Value>>,
}
