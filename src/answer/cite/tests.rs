//! Citations in all their forms, and what only looks like one.

use super::*;
use proptest::prelude::*;

/// Pieces with neighbouring texts joined, so that cuts do not show.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut all = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => append(&mut all, &text),
            citation @ Piece::Citation { .. } => all.push(citation),
        }
    }
    all
}

fn text_of(pieces: &[Piece]) -> String {
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) | Piece::Citation { text, .. } => text.as_str(),
    });
    texts.collect()
}

/// Known and unknown numbers, in the order of first use and ascending, of an answer that was given 5 sources.
fn scan(answer: &str) -> (Vec<usize>, Vec<usize>) {
    let mut scanner = Scanner::new(5);
    let mut pieces = scanner.push(answer);
    pieces.extend(scanner.finish());
    assert_eq!(text_of(&pieces), answer, "nothing is lost");
    (scanner.citations().to_vec(), scanner.unknown())
}

#[test]
fn citations_in_all_their_forms() {
    assert_eq!(scan("A [3]. B [1]. C [3]."), (vec![3, 1], vec![]));
    assert_eq!(scan("A [1, 3] and [2;4]"), (vec![1, 3, 2, 4], vec![]));
    assert_eq!(scan("A [1][2]"), (vec![1, 2], vec![]));
    assert_eq!(scan("密钥每月更换【1】，见［２、３］。"), (vec![1, 2, 3], vec![]));
    for mark in [
        "[1, p. 12]",
        "[1 p. 12]",
        "[1, pp. 3-5]",
        "[1, lines 1-3]",
        "[1, L3]",
        "[1:3]",
        "[1:1-3]",
        "[Source 1]",
        "[source: 1]",
        "[来源1]",
        "[来源 1]",
        "【1†docs/riga.md】",
        "【1†L1-L3】",
        "[1](docs/riga.md)",
        "[^1]",
        "[#1]",
        "[1，第3页]",
        "[1, § 4]",
        "[Ref. 1]",
    ] {
        let seen = scan(&format!("It employs 450 people {mark}."));
        assert_eq!(seen, if mark == "[Ref. 1]" { (vec![], vec![]) } else { (vec![1], vec![]) }, "{mark}");
    }
    assert_eq!(scan("A [Source 1, Source 3], B [^2, ^4]"), (vec![1, 3, 2, 4], vec![]));
    assert_eq!(scan("A [9, p. 12], B [0], C [Source 8]"), (vec![], vec![0, 8, 9]));
    assert_eq!(scan("A [2-4], B [5–5]"), (vec![2, 3, 4, 5], vec![]));
    assert_eq!(scan("A [1 and 2], B [3, 4 & 5], C [doc 1]"), (vec![1, 2, 3, 4, 5], vec![]));
    assert_eq!(scan("甲[1和2]，乙【3、4及5】"), (vec![1, 2, 3, 4, 5], vec![]));
    // One that begins with a source is one of sources, but lines are not.
    assert_eq!(scan("A [4-6], B [6-9], C [3-40]"), (vec![4, 5], vec![6]));
    assert_eq!(scan("A [7], B [1, 9, 7]"), (vec![1], vec![7, 9]));
    assert_eq!(scan("[1]: first, [[2]] double, [[3]](x)"), (vec![1, 2, 3], vec![]));
}

#[test]
fn doubtful_ones_are_shown_so_and_left_out_all_the_same() {
    assert_eq!(without("a [1?, p. 1] b [Source 2?] c [1?](docs/1.md)"), "a  b  c ");
    assert_eq!(without("a [1?] b [2, 7?] c [3] d [what?]"), "a  b  c  d [what?]");
    assert_eq!(scan("a [1?]"), (vec![], vec![]), "a model writes no such thing");
}

#[test]
fn what_only_looks_like_a_citation() {
    let none = (vec![], vec![]);
    let texts = [
        "[1](https://example.org)",
        "![2](a.png)",
        "argv[0]",
        "in [0, 1]",
        "at [1:30]",
        "【4:0†riga】",
        "[1 page]",
        "[1 people]",
        "[Sources]",
        "[source code]",
        "[page 1]",
        "[1 and more]",
        "[1 android]",
        "[1](#top)",
        "[1](mailto:a@example.org)",
        "[1](two words)",
        "in [2024]",
        "lines [10-31]",
        "[ ] todo, [x] done, []",
        "[1",
        "[1\n]",
        "[1, ]",
        "[a1]",
        "\\[1\\]",
        "【1]",
        "use `a[1]` or ``b`[1]``",
        "```\na[1]\n```",
        "```rust\na[1]\n``\nb[2]\n",
        "  ~~~~\na[1]\n~~~\nb[2]\n~~~~~",
        "```a[1]```",
        "`two\nlines [1]`",
    ];
    for text in texts {
        assert_eq!(scan(text), none, "{text:?}");
    }
    assert_eq!(scan(&format!("[{}1]", " ".repeat(MAX_HELD_BYTES))), none);
}

#[test]
fn code_ends_where_it_ends() {
    assert_eq!(scan("`a[1]` [2]"), (vec![2], vec![]));
    assert_eq!(scan("```\na[1]\n```\n[2]"), (vec![2], vec![]));
    assert_eq!(scan("```inline``` [2]"), (vec![2], vec![]));
    assert_eq!(scan("a stray ` and [1]\n\nthen [2]"), (vec![2], vec![]));
    assert_eq!(scan("~~struck~~ [2]"), (vec![2], vec![]));
}

#[test]
fn text_is_not_held_back_longer_than_needed() {
    let mut scanner = Scanner::new(1);
    assert_eq!(scanner.push("plain `"), [Piece::Text("plain `".into())]);
    assert_eq!(scanner.push("x` a ["), [Piece::Text("x` a ".into())]);
    assert_eq!(scanner.push("1]"), []);
    let citation = |text: &str| Piece::Citation { text: text.into(), numbers: vec![1], unknown: vec![] };
    assert_eq!(scanner.push("."), [citation("[1]"), Piece::Text(".".into())]);
    assert_eq!(scanner.push("【1】"), [citation("【1】")]);
    assert_eq!(scanner.push("[n"), [Piece::Text("[n".into())]);
    assert_eq!(scanner.push("[1]"), []);
    assert_eq!(scanner.finish(), [citation("[1]")]);
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "[1]", "[", "]", "(", "1", ", ", "2", "`", "``", "```", "~~~", "\n", "\n\n", "【", "】", "３", "、", "-", " ",
                "\\", "a", "中", "[7]", "p. ", "Source ", "†", ":", "^", "来源", ".md", ")", "[1][2]", "[1, 3]", "［4］",
            ]),
            0..40,
        ),
        cuts in prop::collection::vec(0_usize..200, 0..20),
    ) {
        let answer = parts.concat();
        let mut whole = Scanner::new(5);
        let mut expected = whole.push(&answer);
        expected.extend(whole.finish());

        let mut cut = Scanner::new(5);
        let mut pieces = Vec::new();
        let mut rest = answer.as_str();
        for at in cuts {
            let (head, tail) = rest.split_at(rest.floor_char_boundary(at.min(rest.len())));
            pieces.extend(cut.push(head));
            rest = tail;
        }
        pieces.extend(cut.push(rest));
        pieces.extend(cut.finish());

        prop_assert_eq!(text_of(&pieces), answer);
        prop_assert_eq!(joined(pieces), joined(expected));
        prop_assert_eq!(cut.citations(), whole.citations());
        prop_assert_eq!(cut.unknown(), whole.unknown());
    }
}
