//! From 2.86: extra specs in namespaces that Nova knows must have a known name and a fitting value. Anything in other
//! namespaces passes. The table is `data/flavor-extra-specs.json`; traits are those of `data/standard-traits.json`.

use regex::Regex;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    value: Rule,
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    name: String,
    pattern: String,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: Kind,
    pattern: Option<String>,
    #[serde(rename = "enum")]
    one_of: Option<Vec<String>>,
    min: Option<i64>,
    max: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Str,
    Int,
    Bool,
}

struct Known {
    /// Names without parameters, the most by far.
    plain: HashMap<String, Rule>,
    patterns: Vec<(Regex, Rule)>,
    namespaces: Vec<Regex>,
}

/// Stands in the table for any standard trait.
const ANY_TRAIT: &str = "<any of standard-traits.json>";

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let entries: Vec<Entry> =
        serde_json::from_str(include_str!("../../data/flavor-extra-specs.json")).expect("the table is JSON");
    let traits: Vec<String> =
        serde_json::from_str(include_str!("../../data/standard-traits.json")).expect("the list is JSON");
    let any_trait = format!("(?:{})", traits.join("|"));
    let mut known = Known { plain: HashMap::new(), patterns: Vec::new(), namespaces: Vec::new() };
    let mut namespaces = BTreeSet::new();
    for entry in entries {
        let filled = |template: &str| {
            entry.parameters.iter().fold(template.replace(ANY_TRAIT, &any_trait), |text, p| {
                text.replace(&format!("{{{}}}", p.name), &format!("(?:{})", p.pattern))
            })
        };
        namespaces.extend(entry.name.split_once(':').map(|(namespace, _)| filled(namespace)));
        if entry.parameters.is_empty() {
            known.plain.insert(entry.name, entry.value);
        } else {
            known.patterns.push((whole(&filled(&entry.name)), entry.value));
        }
    }
    known.namespaces = namespaces.iter().map(|n| whole(n)).collect();
    known
});

/// The pattern, for all of a text.
fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("the table's patterns are regular expressions")
}

/// Whether the extra spec may be set; else why not, in Nova's words.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    let by_pattern = || KNOWN.patterns.iter().find(|(pattern, _)| pattern.is_match(name)).map(|(_, rule)| rule);
    if let Some(rule) = KNOWN.plain.get(name).or_else(by_pattern) {
        return rule.check(value);
    }
    let known_namespace = name.split_once(':').is_some_and(|(ns, _)| KNOWN.namespaces.iter().any(|n| n.is_match(ns)));
    if known_namespace {
        return Err(format!("Validation failed; extra spec '{name}' does not appear to be a valid extra spec."));
    }
    Ok(())
}

impl Rule {
    fn check(&self, value: &str) -> Result<(), String> {
        match self.kind {
            Kind::Str => self.check_text(value),
            Kind::Int => self.check_number(value),
            Kind::Bool => crate::input::truth(value)
                .map(drop)
                .ok_or_else(|| format!("Validation failed; '{value}' is not a valid boolean-like value.")),
        }
    }

    fn check_text(&self, value: &str) -> Result<(), String> {
        if let Some(pattern) = &self.pattern
            && !whole(pattern).is_match(value)
        {
            return Err(format!("Validation failed; '{value}' is not of the format '{pattern}'."));
        }
        match &self.one_of {
            Some(values) if !values.iter().any(|v| v == value) => {
                Err(format!("Validation failed; '{value}' is not one of: {}.", values.join(", ")))
            }
            _ => Ok(()),
        }
    }

    fn check_number(&self, value: &str) -> Result<(), String> {
        let number: i64 =
            value.trim().parse().map_err(|_| format!("Validation failed; '{value}' is not a valid integer value."))?;
        if let Some(max) = self.max.filter(|max| number > *max) {
            return Err(format!("Validation failed; '{number}' is greater than the max value of '{max}'."));
        }
        if let Some(min) = self.min.filter(|min| number < *min) {
            return Err(format!("Validation failed; '{number}' is less than the min value of '{min}'."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn known_namespaces_are_held_to_the_table() {
        for (name, value) in [
            ("hw:cpu_policy", "dedicated"),
            ("hw:numa_mem.1", "512"),
            ("hw:mem_page_size", "large"),
            ("hw:watchdog_action", "none"),
            ("resources:VCPU", "2"),
            ("resources_a1:CUSTOM_GOLD", "1"),
            ("trait:CUSTOM_FAST", "required"),
            ("trait1:HW_CPU_X86_AVX", "forbidden"),
            ("aggregate_instance_extra_specs:anything", "x"),
            ("nobodys:key", "x"),
            ("plain", "x"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}={value}");
        }
        for (name, value, why) in [
            ("hw:cpu_policy", "odd", "Validation failed; 'odd' is not one of: dedicated, shared, mixed."),
            ("hw:cpu_polcy", "shared", "extra spec 'hw:cpu_polcy' does not appear to be a valid extra spec."),
            ("hw:numa_nodes", "0", "'0' is less than the min value of '1'."),
            ("hw:numa_nodes", "two", "'two' is not a valid integer value."),
            ("resources:NOPE", "1", "does not appear to be a valid extra spec."),
            ("trait:HW_CPU_X86_AVX", "perhaps", "is not one of: required, forbidden."),
            ("trait:NOT_A_TRAIT", "required", "does not appear to be a valid extra spec."),
        ] {
            let refused = check(name, value).expect_err(name);
            assert!(refused.contains(why), "{refused}");
        }
    }
}
