use super::*;

fn filter(terms: &[&str]) -> Filter {
    Filter::from(terms.iter().map(|term| term.parse().unwrap()).collect::<Vec<_>>())
}

fn condition(term: &str) -> Option<Condition> {
    term.parse::<Term>().unwrap().condition
}

#[test]
fn paths_match_as_include_does() {
    // What the pattern matches, and what it does not.
    let cases: [(&str, &[&str], &[&str]); 11] = [
        ("docs/api/**", &["docs/api/a.md", "docs/api/b/c.md"], &["docs/a.md", "x/docs/api/a.md", "docs/api"]),
        ("docs/*.md", &["docs/a.md"], &["docs/api/a.md", "docs/a.txt"]),
        ("*.md", &["a.md", "docs/api/a.md", "/srv/a.md", "../a.md"], &["a.mdx"]),
        ("/*.md", &["a.md"], &["docs/a.md"]),
        ("./docs/**/k?ys.{md,rst}", &["docs/keys.md", "docs/a/b/keys.rst"], &["docs/keys.txt"]),
        ("keys.md", &["keys.md", "docs/keys.md"], &["docs/monkeys.md"]),
        ("docs/api", &["docs/api/a.md", "docs/api/b/c.md", "docs/api"], &["docs/api.md", "x/docs/api/a.md"]),
        ("api/", &["api/a.md", "docs/api/a.md"], &["api", "docs/api"]),
        ("/srv/docs/**", &["/srv/docs/a.md", "srv/docs/a.md"], &["/srv/a.md"]),
        ("文档/**", &["文档/a.md"], &["docs/文档.md"]),
        (".", &["a.md", "/srv/a.md"], &[]),
    ];
    for (pattern, matching, others) in cases {
        let (wanted, unwanted) = (filter(&[&format!("path={pattern}")]), filter(&[&format!("path != {pattern}")]));
        for uri in matching {
            assert!(wanted.admits(uri) && !unwanted.admits(uri), "{pattern} {uri}");
        }
        for uri in others {
            assert!(!wanted.admits(uri) && unwanted.admits(uri), "{pattern} {uri}");
        }
    }
}

#[test]
fn what_is_fixed_of_a_path_is_looked_up() {
    let within = |places: &[&str]| Some(Condition::Within(places.iter().map(|place| (*place).to_owned()).collect()));
    let not_within = |places: &[&str]| Some(Condition::NotWithin(places.iter().map(|place| (*place).to_owned()).collect()));
    for (term, expected) in [
        ("path=docs/api/**", within(&["docs/api"])),
        ("path=docs/**/x/*.md", within(&["docs"])),
        ("path=docs/api/keys.md", within(&["docs/api/keys.md"])),
        ("path=/srv/**", within(&["srv", "/srv"])),
        ("path=*.md", None),
        ("path=README.md", None),
        ("path=/**", None),
        ("path!=docs/api/**", not_within(&["docs/api"])),
        ("path!=docs/api/keys.md", not_within(&["docs/api/keys.md"])),
        // All of the folder would be too much.
        ("path!=docs/**/x/*.md", None),
    ] {
        assert_eq!(condition(term), expected, "{term}");
    }
}

#[test]
fn times_are_cut_to_seconds() {
    let day = 1_767_225_600;
    let modified = |from, until| Some(Condition::Modified { from, until });
    for (term, expected) in [
        ("modified>2026-01-01", modified(Some(day + 1), None)),
        ("modified >= 2026-01-01", modified(Some(day), None)),
        ("modified<2026-01-01", modified(None, Some(day))),
        ("modified<=2026-01-01", modified(None, Some(day + 1))),
        ("modified>=2026-01-01T01:00:00+01:00", modified(Some(day), None)),
        ("modified>=2026-01-01T00:00:10", modified(Some(day + 10), None)),
        ("modified>=2026-01-01 00:00:10Z", modified(Some(day + 10), None)),
        ("modified>2026-01-01T00:00:00.5Z", modified(Some(day + 1), None)),
        ("modified>=2026-01-01T00:00:00.5Z", modified(Some(day + 1), None)),
        ("modified<2026-01-01T00:00:00.5Z", modified(None, Some(day + 1))),
        ("modified<=2026-01-01T00:00:00.5Z", modified(None, Some(day + 1))),
        ("modified<1969-12-31T23:59:59.5Z", modified(None, Some(0))),
    ] {
        assert_eq!(condition(term), expected, "{term}");
    }
}

#[test]
fn languages_are_codes() {
    assert_eq!(condition("lang=ZH"), Some(Condition::Lang("zh".into())));
    assert_eq!(condition("lang!=en"), Some(Condition::NotLang("en".into())));
}

#[test]
fn what_cannot_be_read_says_what_can() {
    for (term, told) in [
        ("", "`` says not what is compared with what: such as `path=docs/api/**`"),
        ("docs/api", "says not what is compared with what: such as"),
        ("modified", "quote it, for a shell has its own use for `>` and `<`"),
        ("path=", "has no value"),
        ("path=a[", "is not a glob"),
        ("pth=docs", "unknown field: did you mean `path`? the fields are path, lang, modified"),
        ("title=Keys", "unknown field: the fields are path, lang, modified"),
        ("path>docs", "has no order: compare `path` with `=` or `!=`"),
        ("lang=chinese", "did you mean `zh`?"),
        ("lang=German", "did you mean `de`?"),
        ("lang=zh-CN", "did you mean `zh`?"),
        ("lang=xx", "names no language that is told apart: one of ISO 639-1: af, ak, am, ar"),
        ("modified>yesterday", "names no time: `2026-01-31` (its beginning, in UTC) or"),
        ("modified>2026-13-01", "names no time"),
        ("modified=2026-12-31", "`modified>=2026-12-31` and `modified<2027-01-01`"),
    ] {
        let error = term.parse::<Term>().unwrap_err();
        let said = format!("{error}: {}", error.hint);
        assert!(said.contains(told), "{said}");
    }
}
