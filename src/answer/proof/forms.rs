//! What is the same in another form is not doubted, and what looks alike and is not the same is.

use proptest::prelude::*;

use super::*;

fn doubts(claim: &str, source: &str) -> Vec<(DoubtKind, String)> {
    check(claim, 0..claim.len(), &[&Evidence::new(source, false, &[])])
}

/// Claims and sources that say them.
fn say_the_same(pairs: &[(&str, &str)]) {
    for (claim, source) in pairs {
        assert_eq!(doubts(claim, source), [], "{claim} / {source}");
    }
}

/// Claims and sources that say something else.
fn differ(pairs: &[(&str, &str)]) {
    for (claim, source) in pairs {
        assert_ne!(doubts(claim, source), [], "{claim} / {source}");
    }
}

#[test]
fn a_copula_and_what_is_measured_are_no_names() {
    say_the_same(&[
        ("黄河长度为5464公里。", "黄河全长5464公里。"),
        ("清华大学校长为邱勇。", "清华大学在北京。校长邱勇。"),
        ("产品价格为99元。", "产品售价99元。"),
        ("产品的单价99元。", "产品售价99元。"),
        ("面积为300平方公里。", "占地300平方公里。"),
        ("大桥造价为12亿元。", "大桥耗资12亿元。"),
        ("上海中心大厦高度为632米。", "上海中心大厦位于浦东,高632米,2016年建成。"),
        ("灯岭风电场造价为三亿一千万欧元。", "灯岭风电场耗资三亿一千万欧元，2019年并网。"),
    ]);
    differ(&[
        ("黄河长度为5463公里。", "黄河全长5464公里。"),
        ("清华大学校长为王勇。", "清华大学在北京。校长邱勇。"),
        ("清华大学校长王大伟2016年上任。", "清华大学校长邱勇2016年上任。"),
        ("手册由王大伟编写。", "手册由李明华编写。"),
    ]);
}

#[test]
fn numbers_in_digits_and_in_characters_are_one() {
    say_the_same(&[
        ("造价3.1亿欧元。", "造价三亿一千万欧元。"),
        ("造价三亿一千万欧元。", "造价3.1亿欧元。"),
        ("造价3亿1千万欧元。", "造价3.1亿欧元。"),
        ("造价3亿1000万欧元。", "造价三亿一千万欧元。"),
        ("人口3.5亿", "人口三亿五千万"),
        ("人口为1.2亿人。", "人口为一亿两千万人。"),
        ("2万5千人", "25,000人"),
        ("该市有25,000人。", "该市有2万5千人。"),
        ("该市有3万5000人。", "该市有35,000人。"),
        ("共35000000吨", "共3千5百万吨"),
        ("共12,000吨", "共一万二吨"),
        ("共10,002吨", "共一万零二吨"),
        ("债务为2万亿元", "债务为两万亿元"),
        ("310 million euros", "三亿一千万欧元"),
        ("It cost 310 million euros.", "造价三亿一千万欧元。"),
    ]);
    differ(&[
        ("造价3.1亿欧元。", "造价三亿二千万欧元。"),
        ("造价3亿1千万欧元。", "造价3.2亿欧元。"),
        ("该市有2万5千人。", "该市有26,000人。"),
        ("债务为2万亿元", "债务为两亿元"),
        ("共3万2019年底交付", "共32,019件"),
    ]);
}

/// A whole number in Chinese; `short` says 十 for a 一十 that begins it.
fn spelled(n: u64, short: bool) -> String {
    if n == 0 {
        return "零".to_owned();
    }
    let mut text = String::new();
    let mut gap = false;
    for (power, name) in [(1_000_000_000_000, "万亿"), (100_000_000, "亿"), (10_000, "万"), (1, "")] {
        let section = n / power % 10_000;
        if section == 0 {
            gap |= !text.is_empty();
            // 万亿 and 亿 are one: `一万亿`, `一万零五亿`.
            continue;
        }
        if !text.is_empty() && (gap || section < 1000) {
            text.push('零');
        }
        let (mut zero, mut begun) = (false, false);
        for (place, mark) in [(1000, "千"), (100, "百"), (10, "十"), (1, "")] {
            match section / place % 10 {
                0 => zero |= begun,
                digit => {
                    if std::mem::take(&mut zero) {
                        text.push('零');
                    }
                    text.push("零一二三四五六七八九".chars().nth(usize::try_from(digit).unwrap()).unwrap());
                    text.push_str(mark);
                    begun = true;
                }
            }
        }
        text.push_str(name);
        gap = false;
    }
    if short && text.starts_with("一十") { text.trim_start_matches('一').to_owned() } else { text }
}

proptest! {
    #[test]
    fn every_number_in_chinese_reads_as_itself(
        digits in 1..10_000_000_000_000_u64,
        zeros in 0..13_u32,
        low in 0..10_000_u64,
        short: bool,
    ) {
        // Many zeros in the midst are what spelling is about.
        for n in [digits, digits / 10_u64.pow(zeros), digits / 10_u64.pow(zeros) * 10_u64.pow(zeros), digits / 100_000_000 * 100_000_000 + low] {
            let text = spelled(n, short);
            let read = amount::chinese(&lex::lex(&text)).unwrap();
            prop_assert_eq!(read.value.whole(), Some(i128::from(n)), "{}", text);
            prop_assert_eq!(read.length, text.chars().count(), "{}", text);
        }
    }

    #[test]
    fn a_number_by_turns_reads_as_itself(large in 1..10_000_u64, small in 1..10_000_u64) {
        for (text, value) in [
            (format!("{large}亿{small}万"), large * 100_000_000 + small * 10_000),
            (format!("{large}万{small:04}"), large * 10_000 + small),
            (format!("{large}亿{}万", spelled(small, false)), large * 100_000_000 + small * 10_000),
        ] {
            let (read, length) = amount::mixed(&lex::lex(&text)).unwrap();
            prop_assert_eq!(read.whole(), Some(i128::from(value)), "{}", text);
            prop_assert_eq!(length, lex::lex(&text).len(), "{}", text);
        }
    }
}
