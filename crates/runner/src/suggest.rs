//! The name that was probably meant.

/// The name nearest to what was written, or none when nothing is near.
///
/// Nearness is the Damerau–Levenshtein distance (swapped neighbours count once), at most a third of the length of what
/// was written and at least 2, so that `featurs` finds `features` and `abc` does not find `xyz`.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (written.chars().count() / 3).max(2);
    let distances = names.into_iter().map(|name| (strsim::damerau_levenshtein(written, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= limit && distance < written.chars().count().max(2)).then_some(name)
}

/// "unknown …; did you mean …?" or, when nothing is near, the names there are.
pub fn unknown<'a>(what: &str, written: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(name) = nearest(written, names.clone()) {
        return format!("unknown {what} {written:?}; did you mean {name:?}?");
    }
    let known: Vec<&str> = names.into_iter().collect();
    if known.is_empty() {
        return format!("unknown {what} {written:?}; there are none");
    }
    format!("unknown {what} {written:?}; known are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_noise_finds_none() {
        let names = ["features", "classifier", "scale"];
        assert_eq!(nearest("featurs", names), Some("features"));
        assert_eq!(nearest("sclae", names), Some("scale"));
        assert_eq!(nearest("zzzz", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(unknown("key", "x", names), "unknown key \"x\"; known are features, classifier, scale");
    }

    #[test]
    fn a_name_that_shares_nothing_is_not_near_however_short() {
        assert_eq!(nearest("a", ["b"]), Some("b"));
        assert_eq!(nearest("ab", ["xy"]), None);
    }
}
