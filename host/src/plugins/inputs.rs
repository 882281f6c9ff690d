use std::path::Path;

use crate::inputs::{InputError, InputName};
use crate::policy::{PluginName, Policy};

/// An input that a plugin is granted and could not be given now. It may be there by the time that it is asked for.
#[derive(Debug, thiserror::Error)]
#[error("{plugin} cannot be given its input {input}: {why}")]
pub struct NotGiven {
    /// Whose.
    pub plugin: PluginName,
    /// Which.
    pub input: InputName,
    /// Why.
    pub why: InputError,
}

impl NotGiven {
    /// All there are of the plugins that `policy`, in the folder `data`, enables. Reads every input: blocks.
    pub fn all(policy: &Policy, data: &Path) -> Vec<Self> {
        let enabled = policy.entries().filter(|entry| entry.enabled);
        let inputs = enabled.flat_map(|entry| {
            let inputs = entry.inputs.iter();
            inputs.map(|(name, input)| (&entry.name, name, input))
        });
        let checked = inputs.filter_map(|(plugin, name, input)| {
            let why = input.within(data).check().err()?;
            Some(Self {
                plugin: plugin.clone(),
                input: name.clone(),
                why,
            })
        });
        checked.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_each_input_of_an_enabled_plugin_that_is_not_there_or_too_short() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("short.txt"), "1\n").expect("written");
        std::fs::write(folder.path().join("long.txt"), "1\n".repeat(20)).expect("written");
        let input = |plugin: &str, name: &str| {
            format!(
                "[[plugin.{plugin}.inputs]]\nname = \"{name}\"\nfile = \"{name}.txt\"\nkind = \"numbers\"\n"
            )
        };
        let text = format!(
            "version = 1\n[plugin.channel-setup]\nenabled = false\n{}{}{}{}",
            input("channel-setup", "gone"),
            input("key-request", "gone"),
            input("key-request", "short"),
            input("key-request", "long"),
        );
        let policy = Policy::parse(&text).expect("a policy");

        let not_given = NotGiven::all(&policy, folder.path());

        let said: Vec<_> = not_given.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("key-request cannot be given its input gone: "));
        assert_eq!(
            said[1],
            "key-request cannot be given its input short: it has fewer rows than min-rows = 20"
        );
    }
}
