//! What a page asks of robots.

/// What is not to be done with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Robots {
    /// It is not to be indexed.
    pub noindex: bool,
    /// Its links are not to be followed.
    pub nofollow: bool,
}

impl Robots {
    /// Takes further rules, as `<meta name=robots>` and `X-Robots-Tag` have them: words with commas between them. What one rule
    /// forbids no other allows.
    pub fn add(&mut self, rules: &str) {
        for rule in rules.split([',', ';']).map(|rule| rule.trim().to_ascii_lowercase()) {
            self.noindex |= matches!(rule.as_str(), "noindex" | "none");
            self.nofollow |= matches!(rule.as_str(), "nofollow" | "none");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_rule_wins() {
        let read = |all: &[&str]| {
            let mut robots = Robots::default();
            for rules in all {
                robots.add(rules);
            }
            (robots.noindex, robots.nofollow)
        };
        assert_eq!(read(&[" NoIndex , follow"]), (true, false));
        assert_eq!(read(&["index,nofollow", "all"]), (false, true));
        assert_eq!(read(&["NONE"]), (true, true));
        assert_eq!(read(&["noindex", "index, nofollow"]), (true, true));
        assert_eq!(read(&["max-snippet:-1, noindexing, unavailable_after: 2030-01-01"]), (false, false));
    }
}
