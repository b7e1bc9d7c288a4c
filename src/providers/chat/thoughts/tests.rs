//! Thoughts and answers, cut anywhere.

use proptest::prelude::*;

use super::*;

/// The thoughts and the answer of a text that comes in these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a str>, hold: bool) -> (String, String) {
    let mut reader = Reader::new(hold);
    let mut given: Vec<ChatEvent> = pieces.into_iter().flat_map(|piece| reader.push(piece)).collect();
    given.extend(reader.finish());
    let (mut thoughts, mut answer) = (String::new(), String::new());
    for event in given {
        match event {
            ChatEvent::Reasoning(more) => thoughts.push_str(&more),
            ChatEvent::Text(more) => answer.push_str(&more),
            ChatEvent::Retracted => thoughts.push_str(&std::mem::take(&mut answer)),
            ChatEvent::Done { .. } => {}
        }
    }
    (thoughts, answer)
}

const TEXTS: [(&str, &str, &str); 24] = [
    ("<think>\nhm [7]\n</think>\n\nIt is 250 [1].", "\nhm [7]\n", "It is 250 [1]."),
    (" \n<Think>hm</THINK>yes", "hm", "yes"),
    ("<thinking>a </think> b</thinking> yes", "a </think> b", "yes"),
    ("<thought>a</thought><reasoning>b</reasoning>\nyes", "ab", "yes"),
    ("<think></think>\n\n<think>b</think>yes <think>no</think>", "b", "yes <think>no</think>"),
    ("<think>never closed, a < b", "never closed, a < b", ""),
    // The opening tag is in the prompt.
    ("hm [7]\n</think>\n\nyes", "hm [7]\n", "yes"),
    ("hm.</think>\nyes", "hm.", "yes"),
    ("hm.</think> \t\r\nyes", "hm.", "yes"),
    ("hm\n </think>yes", "hm\n ", "yes"),
    ("hm</think>", "hm", ""),
    ("hm `</think>`, but now:\n</think>\nyes </think>\n", "hm `</think>`, but now:\n", "yes </think>\n"),
    ("hm\n</thinking>\nyes", "hm\n", "yes"),
    // Tags that are spoken of.
    ("yes, the </think> tag ends it\n</think>\n", "", "yes, the </think> tag ends it\n</think>\n"),
    ("Write <think> first.\n</think>\nThen", "", "Write <think> first.\n</think>\nThen"),
    ("It is `<think>` and\n```\n</think>\n```\nso", "", "It is `<think>` and\n```\n</think>\n```\nso"),
    ("```xml\n<think>\n</think>\n```\nyes", "", "```xml\n<think>\n</think>\n```\nyes"),
    ("~~~\n</think>\n~~~\nyes", "", "~~~\n</think>\n~~~\nyes"),
    ("a `b`</think>\nyes", "a `b`", "yes"),
    // Nothing of the kind.
    ("", "", ""),
    ("  a < b <i>c</i> <", "", "  a < b <i>c</i> <"),
    ("<thin", "", "<thin"),
    ("<b>思考</b> 中文答案 [1]。", "", "<b>思考</b> 中文答案 [1]。"),
    ("<think>思考</think>答案", "思考", "答案"),
];

#[test]
fn thoughts_are_told_from_the_answer_however_the_text_is_cut() {
    for (text, thoughts, answer) in TEXTS {
        let wanted = (thoughts.to_owned(), answer.to_owned());
        for hold in [false, true] {
            assert_eq!(read([text], hold), wanted, "{text:?}");
            let letters: Vec<String> = text.chars().map(String::from).collect();
            assert_eq!(read(letters.iter().map(String::as_str), hold), wanted, "{text:?}");
            for (at, _) in text.char_indices() {
                let (before, after) = text.split_at(at);
                assert_eq!(read([before, after], hold), wanted, "{text:?} at {at}");
            }
        }
    }
}

#[test]
fn an_answer_without_tags_passes_at_once_and_one_that_may_be_thoughts_does_not() {
    let mut reader = Reader::new(false);
    assert_eq!(reader.push("a "), [ChatEvent::Text("a ".into())]);
    assert_eq!(reader.push("</th"), []);
    assert_eq!(reader.push("e> b"), [ChatEvent::Text("</the> b".into())]);
    let mut reader = Reader::new(true);
    assert_eq!(reader.push("a b"), []);
    assert_eq!(reader.push("</think>\nc"), [ChatEvent::Reasoning("a b".into()), ChatEvent::Text("c".into())]);
    let mut reader = Reader::new(true);
    reader.told_apart();
    assert_eq!(reader.push("a"), [ChatEvent::Text("a".into())], "its thoughts came apart");
    let mut reader = Reader::new(true);
    let long = "x".repeat(MAX_HELD);
    assert_eq!(reader.push(&long), []);
    assert_eq!(reader.push("y"), [ChatEvent::Text(long + "y")], "bounded");
}

#[test]
fn the_models_that_begin_with_thoughts_are_known_by_their_names() {
    for name in ["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "Qwen/QwQ-32B", "Qwen3-30B-A3B-Thinking-2507", "x/r1-1776"] {
        assert!(thinks_untagged(name), "{name}");
    }
    for name in ["gpt-4o", "qwen3:8b", "llama3.2", "mistral-small", "qwen3-no-think", "command-r"] {
        assert!(!thinks_untagged(name), "{name}");
    }
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<think>", "</think>", "<thinking>", "</thinking>", "<", "</", "think>", "`", "```", "\n", " ", "a", "中", "[1]",
        ]), 0..14),
        cuts in prop::collection::vec(0_usize..60, 0..6),
        hold in any::<bool>(),
    ) {
        let text = parts.concat();
        let whole = read([text.as_str()], false);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces = cuts.iter().zip(cuts.iter().skip(1)).map(|(from, to)| text.get(*from..*to).unwrap_or_default());
        prop_assert_eq!(read(pieces, hold), whole);
    }
}
