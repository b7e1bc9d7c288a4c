//! Verdicts in both languages, as judges put them.

use proptest::prelude::*;

use super::*;

#[test]
fn a_verdict_is_read_however_it_is_put() {
    for (reply, expected) in [
        ("2\nIt cites [1] rightly.", Some((2, "It cites [1] rightly."))),
        (" **Answer 3**\n\n", Some((3, "**Answer 3**"))),
        ("The best of the 12 is 1.", Some((1, "The best of the 12 is 1."))),
        ("The best of the 3 is 1.", Some((1, "The best of the 3 is 1."))),
        ("Well.\nI take answer 2, it is complete.", Some((2, "I take answer 2, it is complete."))),
        ("Of the 2 answers, answer 1 is better", Some((1, "Of the 2 answers, answer 1 is better"))),
        ("Both 2 and 3 are fine.\n1", Some((1, "1"))),
        ("None of them, 4 or 0.", None),
        ("They are all so good!", None),
        ("Answer 1 is wrong.", None),
        ("Answers 1 and 2 are equally good.", None),
        ("", None),
    ] {
        assert_eq!(read(reply, 3), expected, "{reply}");
    }
}

#[test]
fn what_is_compared_is_read_whichever_is_named_first() {
    for (line, expected) in [
        ("Answer 2 is better than answer 1.", 2),
        ("Answer 1 is worse than answer 2.", 2),
        ("Answer 1 lacks a source, so I pick answer 2.", 2),
        ("Compared with answer 1, answer 2 is more complete and better.", 2),
        ("I prefer answer 2 over answer 1", 2),
        ("Between answers 1 and 2, the second answer is the best.", 2),
        ("2: it names 1 day, as [1] says", 2),
        ("2. It is complete [1].", 2),
        ("Best: 2", 2),
        ("[2]", 2),
        ("Answer #2", 2),
        ("My choice is Answer No. 2.", 2),
        ("Answer two is better, for it cites [1].", 2),
        ("Answer 2 says 1.5 hours, as the source does", 2),
        ("回答2比回答1更完整", 2),
        ("在2个回答中，回答1更好。", 1),
        ("回答1不如回答2。", 2),
        ("回答1没有来源，而回答2更完整。", 2),
        ("两个回答中，第二个回答最好", 2),
        ("我选答案２。", 2),
        ("选择：2", 2),
        ("第2个", 2),
        ("比起回答1，回答2更准确", 2),
        ("最好的是回答二", 2),
        ("回答2优于回答1", 2),
    ] {
        assert_eq!(read(line, 2).map(|(n, _)| n), Some(expected), "{line}");
    }
}

#[test]
fn numbers_become_names() {
    let names: Vec<String> = (1..=12).map(|n| format!("p/m{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (why, expected) in [
        ("Answer 12 beats answer 1.", "p/m12 beats p/m1."),
        ("Answers 1, 2 and 3 lack 42 hours [1], answer #4 does not.", "p/m1, p/m2 and p/m3 lack 42 hours [1], p/m4 does not."),
        ("The second answer is complete.", "p/m2 is complete."),
        ("回答2比回答1更完整", "p/m2比p/m1更完整"),
        ("第二个回答写了90天，答案１和3没有[2]。", "p/m2写了90天，p/m1和p/m3没有[2]。"),
        ("回答12最好；第3份回答错了。", "p/m12最好；p/m3错了。"),
        ("It says 2 days, not 1.", "It says 2 days, not 1."),
        ("它写的是2天。", "它写的是2天。"),
        ("Answer 13 is none.", "Answer 13 is none."),
    ] {
        assert_eq!(named(why, &names), expected);
    }
}

/// A verdict for `best` against `other` of `count`, in words that differ by `form`.
fn verdict(form: usize, count: usize, best: usize, other: usize) -> String {
    let forms = [
        format!("Of the {count} answers, answer {best} is better."),
        format!("Answer {best} is better than answer {other}."),
        format!("Answer {other} is worse than answer {best}."),
        format!("All {count} answers are good, but Answer {best} is the best: it says 90 days [1]."),
        format!("Answer {other} is wrong on [2], so I choose answer {best}"),
        format!("I pick **Answer {best}**, since answer {other} lacks a source."),
        format!("Between answers {other} and {best}, I prefer answer {best}."),
        format!("{best}\nOf the {count} answers, answer {other} is not complete."),
        format!("{best}. Answer {other} lacks a source"),
        format!("在{count}个回答中，回答{best}最好。"),
        format!("回答{best}比回答{other}更完整"),
        format!("回答{other}不如回答{best}"),
        format!("回答{other}有错，我选回答{best}。"),
        format!("第{best}个回答更准确，因为第{other}个回答没有引用[1]"),
        format!("这{count}个答案都不错，但答案{best}优于答案{other}。"),
        format!("回答{other}和回答{best}相近，而回答{best}更好"),
        format!("**{best}**\n回答{best}比回答{other}更完整，{count}个回答里它最好。"),
    ];
    forms[form % forms.len()].clone()
}

proptest! {
    #[test]
    fn whatever_the_order_and_the_words_the_better_one_is_read(
        form in 0_usize..17,
        (count, best, other) in (2_usize..9).prop_flat_map(|count| (Just(count), 1..=count, 1..=count)).prop_filter("two", |(_, a, b)| a != b),
    ) {
        let said = verdict(form, count, best, other);
        prop_assert_eq!(read(&said, count).map(|(n, _)| n), Some(best), "{}", said);
        let names: Vec<String> = (0..count).map(|n| format!("p/{}", char::from(b'a' + n as u8))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shown = named(&said, &names);
        let name = |n: usize| names[n - 1];
        for label in ["nswer ", "回答", "答案"] {
            for n in 1..=count {
                prop_assert!(!shown.contains(&format!("{label}{n}")), "{} of {}", shown, said);
            }
        }
        prop_assert!(shown.contains(name(best)) || shown.contains(name(other)), "{}", shown);
    }

    #[test]
    fn nothing_that_is_written_breaks_it(reply in "([a-z0-9 .,\n\\[\\]*#]|answer |回答|第|个|更|比|不如|２|é|than ){0,30}", count in 1_usize..5) {
        if let Some((n, why)) = read(&reply, count) {
            prop_assert!((1..=count).contains(&n) && reply.contains(why));
        }
        let names = ["p/a", "p/b", "p/c", "p/d"];
        named(&reply, &names);
        prop_assert_eq!(read(&format!("{count}\n{reply}"), count).map(|(n, _)| n), Some(count));
    }
}
