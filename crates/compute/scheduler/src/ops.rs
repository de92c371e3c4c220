//! Operators in extra spec values: `>= 4`, `s== x`, `<in> x`, `<or> a <or> b`.

/// Whether `value` satisfies `wanted`. No operator in front: they must be equal. What should be a number and is none
/// never matches.
pub(crate) fn matches(value: &str, wanted: &str) -> bool {
    let mut words = wanted.split_whitespace();
    let Some(op) = words.next() else { return value == wanted };
    let rest: Vec<&str> = words.collect();
    let numbers = |holds: fn(f64, f64) -> bool| match (value.trim().parse(), rest.first().and_then(|w| w.parse().ok()))
    {
        (Ok(a), Some(b)) => holds(a, b),
        _ => false,
    };
    let text = |holds: fn(&str, &str) -> bool| rest.first().is_some_and(|w| holds(value, w));
    match op {
        "=" | ">=" => numbers(|a, b| a >= b),
        "==" => numbers(|a, b| a == b),
        "!=" => numbers(|a, b| a != b),
        "<=" => numbers(|a, b| a <= b),
        "s==" => text(|a, b| a == b),
        "s!=" => text(|a, b| a != b),
        "s<" => text(|a, b| a < b),
        "s<=" => text(|a, b| a <= b),
        "s>" => text(|a, b| a > b),
        "s>=" => text(|a, b| a >= b),
        "<in>" => text(|a, b| a.contains(b)),
        "<all-in>" => !rest.is_empty() && rest.iter().all(|w| value.contains(w)),
        // every other word is the operator again
        "<or>" => rest.iter().step_by(2).any(|w| *w == value),
        _ => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn every_operator() {
        for (value, wanted, expected) in [
            ("x", "x", true),
            ("x", "y", false),
            ("", "", true),
            ("5", "= 4", true),
            ("3", "= 4", false),
            ("4.0", "== 4", true),
            ("4", "!= 4", false),
            ("10", ">= 9", true),
            ("9", "<= 10", true),
            ("many", ">= 9", false),
            ("9", ">= many", false),
            ("9", ">=", false),
            ("b", "s== b", true),
            ("b", "s!= b", false),
            ("10", "s< 9", true),
            ("b", "s<= b", true),
            ("c", "s> b", true),
            ("b", "s>= c", false),
            ("['aes', 'avx']", "<in> avx", true),
            ("['aes', 'avx']", "<all-in> aes avx", true),
            ("['aes', 'avx']", "<all-in> aes vmx", false),
            ("v2", "<or> v1 <or> v2", true),
            ("v3", "<or> v1 <or> v2", false),
            ("<or>", "<or> v1 <or> v2", false),
            // not an operator: the whole text counts
            ("> 4", "> 4", true),
            ("5", "> 4", false),
        ] {
            assert_eq!(matches(value, wanted), expected, "{value:?} against {wanted:?}");
        }
    }
}
