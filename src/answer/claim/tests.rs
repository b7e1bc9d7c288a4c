//! Which sentences marks stand for, in answers of all shapes.

use super::super::cite::Scanner;
use super::*;
use proptest::prelude::*;

fn parts(answer: &str, cuts: &[usize]) -> Vec<Part> {
    let (mut scanner, mut claims, mut parts) = (Scanner::new(5), Claims::default(), Vec::new());
    let mut rest = answer;
    for at in cuts {
        let (head, tail) = rest.split_at(rest.floor_char_boundary((*at).min(rest.len())));
        parts.extend(scanner.push(head).into_iter().flat_map(|piece| claims.push(piece)));
        rest = tail;
    }
    parts.extend(scanner.push(rest).into_iter().flat_map(|piece| claims.push(piece)));
    parts.extend(scanner.finish().into_iter().flat_map(|piece| claims.push(piece)));
    parts.extend(claims.finish());
    parts
}

/// Texts joined, so that cuts do not show.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        match (all.last_mut(), part) {
            (Some(Part::Piece(Piece::Text(last))), Part::Piece(Piece::Text(text))) => last.push_str(&text),
            (_, part) => all.push(part),
        }
    }
    all
}

fn text_of(parts: &[Part]) -> String {
    let pieces = parts.iter().flat_map(|part| match part {
        Part::Piece(piece) => std::slice::from_ref(piece),
        Part::Marks(_, pieces) => pieces,
    });
    let texts = pieces.map(|piece| match piece {
        Piece::Text(text) | Piece::Citation { text, .. } => text.as_str(),
    });
    texts.collect()
}

/// What each row of marks stands for, and of which sources.
fn claimed(answer: &str) -> Vec<(String, Vec<usize>)> {
    let parts = parts(answer, &[]);
    assert_eq!(text_of(&parts), answer, "nothing is lost");
    let claims = parts.into_iter().filter_map(|part| match part {
        Part::Marks(claims, _) => Some(claims.into_iter().map(|claim| {
            let words: Vec<&str> = claim.text[claim.part.clone()].split_whitespace().collect();
            // Where a mark stood, a blank is left.
            (words.join(" ").replace(" .", ".").replace(" ,", ","), claim.sources)
        })),
        Part::Piece(_) => None,
    });
    claims.flatten().collect()
}

#[test]
fn a_mark_stands_for_its_sentence() {
    let claim = |text: &str, sources: &[usize]| (text.to_owned(), sources.to_vec());
    assert_eq!(claimed("Hello. It takes 90 days [2]. Next."), [claim("It takes 90 days.", &[2])]);
    assert_eq!(claimed("Hello. It takes 90 days. [2] Next."), [claim("It takes 90 days.", &[2])]);
    assert_eq!(claimed("It takes 90 days. [2][3]\n\nNext"), [claim("It takes 90 days.", &[2, 3])]);
    assert_eq!(claimed("It takes 1.5 days [1], [2]."), [claim("It takes 1.5 days,.", &[1, 2])]);
    let says = claim("According to, it takes 90 days.", &[2]);
    assert_eq!(claimed("According to [2], it takes 90 days. Next one."), [says]);
    assert_eq!(claimed("密钥每月更换【1】。其他。"), [claim("密钥每月更换。", &[1])]);
    assert_eq!(claimed("密钥每月更换。【1】其他。"), [claim("密钥每月更换。", &[1])]);
    let rows = [claim("- one is 12", &[1]), claim("- two is 14", &[2])];
    assert_eq!(claimed("Fees:\n- one is 12 [1]\n- two is 14 [2]\n"), rows);
    assert_eq!(claimed("| B2 | 14 [1] |\n| B3 | 15 |"), [claim("| B2 | 14 |", &[1])]);
    let two = [claim("Keys rotate every ninety days", &[1]), claim("and backups every single night.", &[2])];
    assert_eq!(claimed("Keys rotate every ninety days [1] and backups every single night [2]."), two);
    let alone = |text: &str| {
        let claims: Vec<String> = claimed(text).into_iter().map(|(claim, _)| claim).collect();
        claims
    };
    assert_eq!(alone("Alder opened in 1931 [1] and Birch in 1958 [2]."), ["Alder opened in 1931", "and Birch in 1958."]);
    assert_eq!(alone("Alder: 1931 [1]; Birch: 1958 [2]."), ["Alder: 1931", "; Birch: 1958."]);
    assert_eq!(alone("Alder于1931年建成[1]，Birch于1958年建成[2]。"), ["Alder于1931年建成", "，Birch于1958年建成。"]);
    assert_eq!(alone("| Alder | 1931 [1] | Birch | 1958 [2] |"), ["| Alder | 1931", "| Birch | 1958 |"]);
    assert_eq!(alone("Alder [1] and Birch [2] opened in 1931."), ["Alder", "and Birch opened in 1931."]);
    assert_eq!(
        alone("Both Alder [1], in the north, and Birch [2] are bridges."),
        ["Both Alder, in the north,", "and Birch are bridges."]
    );
    assert_eq!(alone("According to [1], it costs 5, while [2] says 6."), ["According to, it costs 5,", "while says 6."]);
    assert_eq!(alone("桥[1]和塔[2]都很高。"), ["桥", "和塔都很高。"]);
    assert_eq!(claimed("e.g. Mr. Fog took 80 days [1]."), [claim("e.g. Mr. Fog took 80 days.", &[1])]);
    assert_eq!(claimed("It left on Nov. 29 with Prof. Li [1]."), [claim("It left on Nov. 29 with Prof. Li.", &[1])]);
}

#[test]
fn a_mark_that_closes_a_line_stands_for_its_sentences() {
    let said = |answer: &str| claimed(answer).into_iter().map(|(claim, _)| claim).collect::<Vec<_>>();
    let two = ["It weighs 13.5 kg.", "It is red."];
    for answer in [
        "It weighs 13.5 kg. It is red. [1]",
        "It weighs 13.5 kg. It is red. [1]\nNext.",
        "Hello.\n\nIt weighs 13.5 kg. It is red. [1]\n\nNext.",
        "# Weight of 5\nIt weighs 13.5 kg. It is red. [1]",
        "It costs 5 [2]. It weighs 13.5 kg. It is red. [1]",
        "The source says:\nIt weighs 13.5 kg. It is red. [1]",
        "It weighs 13.5 kg. It is red.\n\n[1]",
    ] {
        let said = said(answer);
        assert!(said.ends_with(&two.map(str::to_owned)), "{answer}: {said:?}");
        assert!(said.iter().all(|said| !said.contains("Hello") && !said.contains("of 5")), "{answer}: {said:?}");
    }
    assert_eq!(said("重13.5公斤。红色。[1]\n"), ["重13.5公斤。", "红色。"]);
    // A mark in its sentence is that sentence's, and so is one that others follow.
    assert_eq!(said("It weighs 13.5 kg. It is red [1].\n"), ["It is red."]);
    assert_eq!(said("It weighs 13.5 kg. It is red. [1] It is new."), ["It is red."]);
    // An item's is the item's.
    assert_eq!(said("- It costs 5.\n- It weighs 13.5 kg. It is red. [1]\n"), ["- It weighs 13.5 kg.", "It is red."]);
    // A line of marks is about what stands above it.
    assert_eq!(said("- It costs 5.\n- It is red.\n[1]"), ["- It costs 5.", "- It is red."]);
    let rows = "| pump | weight |\n|---|:-:|\n| A | 13.5 kg |\n| B | 14 kg |\n";
    assert_eq!(said(&format!("Text. More.\n\n{rows}[1]\n")), ["| A | 13.5 kg |", "| B | 14 kg |"]);
    assert_eq!(said(&format!("{rows}\n[1]")), ["| A | 13.5 kg |", "| B | 14 kg |"]);
}

#[test]
fn what_is_remembered_of_a_paragraph_is_bounded() {
    let many = (0..100).map(|n| format!("It is {n}. ")).collect::<Vec<_>>().concat();
    let said = claimed(&format!("{many}[1]"));
    assert_eq!((said.len(), said.last().unwrap().0.as_str()), (MOST_BEFORE + 1, "It is 99."));
    let long = format!("It is {}. ", "very ".repeat(700));
    assert_eq!(claimed(&format!("{}[1]", long.repeat(5))).len(), 3);
}

#[test]
fn a_quotation_that_opens_a_sentence_is_its_own() {
    // Of the marks that close a line, what they stand for last.
    let said = |answer: &str| claimed(answer).pop().map(|(claim, _)| vec![claim]).unwrap_or_default();
    let quoted = "\"We never planned to buy it\".";
    assert_eq!(said("\"We never planned to buy it\" [1]."), [quoted]);
    assert_eq!(said("Foo bar. \"We never planned to buy it\" [1]."), [quoted]);
    assert_eq!(said("A 5\" pipe. \"We never planned to buy it\" [1]."), [quoted]);
    assert_eq!(said("Foo bar. 'We never planned to buy it' [1]."), ["'We never planned to buy it'."]);
    assert_eq!(said("他很高兴。\"我们明天就要卖掉整个风电场。\"[1]"), ["\"我们明天就要卖掉整个风电场。\""]);
    // What closes belongs to what it closes.
    assert_eq!(said("He said: \"It is sold.\" [1] Next."), ["He said: \"It is sold.\""]);
    assert_eq!(said("\"It is sold. All of it.\" [1] Next."), ["All of it.\""]);
    assert_eq!(said("\"卖了。全部卖了。\"[1]"), ["全部卖了。\""]);
}

#[test]
fn a_sentence_goes_on_in_the_next_line() {
    let said = |answer: &str| claimed(answer).into_iter().map(|(claim, _)| claim).collect::<Vec<_>>();
    assert_eq!(
        said("The bridge cost 99 million\ndollars and is of steel [1]."),
        ["The bridge cost 99 million dollars and is of steel."]
    );
    assert_eq!(
        said("- It has a total of 61 wind\n  turbines at work [1].\n"),
        ["- It has a total of 61 wind turbines at work."]
    );
    assert_eq!(said("共有九十九台风机，\n分布在山脊上[1]。"), ["共有九十九台风机， 分布在山脊上。"]);
    // But not in what is no part of it.
    for between in ["\n\n", "\n \n", "\n- ", "\n  * ", "\n| ", "\n> ", "\n1. "] {
        let said = said(&format!("It cost 99 million{between}Trucks wait here [1]."));
        assert!(said.len() == 1 && said[0].ends_with("Trucks wait here.") && !said[0].contains("99"), "{between:?}: {said:?}");
    }
    assert_eq!(said("# Costs of 99 million\nTrucks wait here [1]."), ["Trucks wait here."]);
    assert_eq!(said("Of 99 million:\nTrucks wait here [1]."), ["Trucks wait here."]);
    assert_eq!(said("One is 12 [1]\nand two is 14 [2]"), ["One is 12", "and two is 14"]);
}

#[test]
fn nothing_waits_but_what_is_behind_an_open_mark() {
    let mut claims = Claims::default();
    let text = |text: &str| Piece::Text(text.into());
    let mark = |n| Piece::Citation { text: format!("[{n}]"), numbers: vec![n], unknown: vec![] };
    assert_eq!(claims.push(text("Keys live for 90 days")), [Part::Piece(text("Keys live for 90 days"))]);
    assert_eq!(claims.push(mark(1)), []);
    let parts = claims.push(text(". As"));
    assert!(matches!(&parts[..], [Part::Marks(..), Part::Piece(_)]), "{parts:?}");
    assert_eq!(text_of(&parts), "[1]. As");
    assert_eq!(claims.push(mark(2)), []);
    assert_eq!(claims.push(text(" says")), []);
    let long = "word ".repeat(MOST_HELD / 5);
    let parts = claims.push(text(&long));
    assert_eq!(text_of(&parts), format!("[2] says{long}"), "not for ever");
    assert_eq!(claims.push(mark(3)), []);
    assert_eq!(text_of(&claims.finish()), "[3]");
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(
        parts_of in prop::collection::vec(
            prop::sample::select(vec![
                "[1]", "[2]", "[7]", "【3】", ". ", ".", "。", "\n", "\n\n", "- ", ", ", " ", "word", "密钥", "90 days", "According to ", "1.5",
                "e.g. ", "?", "| ", "**", "[", "](x)", "\"", "'", " and ", "Alder ", "# ", ":",
            ]),
            0..40,
        ),
        cuts in prop::collection::vec(0_usize..40, 0..20),
    ) {
        let answer = parts_of.concat();
        let cut = parts(&answer, &cuts);
        prop_assert_eq!(text_of(&cut), answer.clone());
        prop_assert_eq!(joined(cut), joined(parts(&answer, &[])));
    }
}
