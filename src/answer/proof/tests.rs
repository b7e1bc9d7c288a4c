//! What is doubted, and what is not.

use proptest::prelude::*;

use super::*;

const GUIDE: &str = "# Keys\n\nThe operations guide says: \"Signing keys live for 90 days.\" Rotation takes 15 ms and never blocks \
    readers. Version 2.4.1 was released on 29 November 2026 by Ada Lovelace at Lantern Labs. The cache holds 1.5 GB, about \
    1,200,000 entries; up to three replicas follow. Use `--rotate-every` to change the interval. Backups are not encrypted by default.";

const HANDBOOK: &str = "# 灯塔手册\n\n签名密钥每九十天更换一次，由港务局负责。系统于2026年11月29日上线，共有三十二个泊位，最大吞吐量为1.2亿吨。\
    《灯塔运维指南》由李明华编写。备份默认不加密，恢复需要15分钟。该港由马士基公司与招商局集团共同经营。";

fn doubts(claim: &str, source: &str) -> Vec<(DoubtKind, String)> {
    check(claim, 0..claim.len(), &[&Evidence::new(source, false, &[])])
}

fn kinds(claim: &str, source: &str) -> Vec<DoubtKind> {
    doubts(claim, source).into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn what_a_source_says_is_not_doubted_in_whatever_form() {
    for claim in [
        "Keys live for 90 days",
        "Keys live for ninety days, and rotating them takes 0.015 seconds",
        "It was released on 2026-11-29 (Nov. 29, 2026) as 2.4.1",
        "Released in November 2026 by Ada Lovelace",
        "The cache of 1500 MB has 1.2 million entries",
        "There are two ways to rotate: at once, and every 90 days",
        "The guide says that “signing keys  live for 90 days”",
        "Set `--rotate-every` to change it",
        "Backups are not encrypted by default",
        "密钥每90天轮换一次，耗时15毫秒",
        "二〇二六年十一月二十九日发布",
    ] {
        assert_eq!(doubts(claim, GUIDE), [], "{claim}");
    }
    for claim in [
        "密钥每90天更换一次",
        "系统于2026-11-29上线，有32个泊位，吞吐量1.2亿吨",
        "《灯塔运维指南》由李明华编写",
        "备份默认不加密",
        "系统于2026年11月29日发布，共有三十二个泊位，最大吞吐量为1.2亿吨。",
        "The system went live on November 29, 2026 and has 32 berths",
    ] {
        assert_eq!(doubts(claim, HANDBOOK), [], "{claim}");
    }
}

/// A number below a thousand in Chinese.
fn spelled(n: u32) -> String {
    let digit = |n: u32| "零一二三四五六七八九".chars().nth(n as usize).unwrap_or_default();
    let (hundreds, tens, ones) = (n / 100, n / 10 % 10, n % 10);
    let mut text = String::new();
    if hundreds > 0 {
        text.extend([digit(hundreds), '百']);
    }
    match tens {
        0 if hundreds > 0 && ones > 0 => text.push('零'),
        0 => {}
        _ => text.extend([digit(tens), '十']),
    }
    if ones > 0 {
        text.push(digit(ones));
    }
    text
}

/// Units that begin with a character that multiplies numbers elsewhere, and some that begin like them.
const PREFIXED: [&str; 30] = [
    "千瓦时",
    "千瓦小时",
    "千瓦",
    "千克",
    "千米",
    "千卡",
    "千焦",
    "千赫",
    "千赫兹",
    "千帕",
    "百帕",
    "千伏",
    "千伏安",
    "千安",
    "千牛",
    "千升",
    "千字节",
    "千比特",
    "千兆赫",
    "千克力",
    "兆瓦",
    "兆瓦时",
    "兆赫",
    "兆帕",
    "兆字节",
    "毫克",
    "毫升",
    "毫安时",
    "毫秒",
    "大卡",
];

proptest! {
    #[test]
    fn the_prefix_of_a_unit_rounds_nothing(n in 2_u32..1000, m in 2_u32..1000, at in 0..PREFIXED.len(), spell: bool, spelt: bool) {
        let unit = PREFIXED[at];
        let written = |n: u32, spell: bool| if spell { spelled(n) } else { n.to_string() };
        let said = |n: u32, spell| format!("新站每年消耗{}{unit}。", written(n, spell));
        let source = format!("港务局的年度报告写道，新站每年消耗{}{unit}，比去年少。", written(m, spelt));
        let found = kinds(&said(n, spell), &source);
        prop_assert_eq!(found, if n == m { vec![] } else { vec![DoubtKind::Number] }, "{} / {}", said(n, spell), source);
    }

    #[test]
    fn a_factor_before_any_other_word_multiplies(n in 2_u32..10, at in 0..9_usize) {
        let (factor, zeros, of) = [
            ("千", "000", "人"), ("百", "00", "公里"), ("万", "0000", "元"), ("百万", "000000", "吨"), ("千万", "0000000", "千瓦时"),
            ("亿", "00000000", "千瓦"), ("千", "000", "克拉"), ("千", "000", "克朗"), ("万", "0000", "千克"),
        ][at];
        let source = format!("报告写道，全年共计{n}{zeros}{of}，比去年少。");
        for said in [format!("全年共计{n}{factor}{of}。"), format!("全年共计{}{factor}{of}。", spelled(n))] {
            prop_assert_eq!(doubts(&said, &source), vec![], "{} / {}", said, source);
            let other = source.replace(&n.to_string(), &(n * 3).to_string());
            prop_assert_eq!(kinds(&said, &other), vec![DoubtKind::Number], "{} / {}", said, other);
        }
    }
}

#[test]
fn units_with_prefixes_are_compared_by_what_they_measure() {
    for (claim, source) in [
        ("耗电0.3兆瓦时", "耗电300千瓦时"),
        ("It used 300 kWh", "耗电300千瓦时"),
        ("It used 0.3 MWh", "It used 300 kWh"),
        ("耗电三百千瓦时", "耗电300千瓦小时"),
        ("耗电十二千瓦时", "耗电12千瓦时"),
        ("气压三千五百帕", "气压3500帕"),
        ("装机三万五千瓦", "装机35千瓦"),
        ("气压3千帕", "气压3000帕"),
        ("气压三千帕", "气压3千帕"),
        ("线路为110千伏", "The line has 110 kV"),
        ("线路为110千伏", "线路为110000伏"),
        ("装机3万千瓦", "装机30兆瓦"),
        ("装机三万千瓦", "装机30000千瓦"),
        ("重三千克", "重3千克"),
        ("加入500毫升水", "Add 500 ml of water"),
    ] {
        assert_eq!(doubts(claim, source), [], "{claim} / {source}");
    }
    for (claim, source, kind) in [
        ("耗电300千瓦时", "耗电300千瓦", DoubtKind::Unit),
        ("It used 300 kWh", "It used 300 MWh", DoubtKind::Unit),
        ("耗电300千瓦时", "耗电250千瓦时", DoubtKind::Number),
        ("耗电三百千瓦时", "耗电二百五十千瓦时", DoubtKind::Number),
        ("重300千克", "重250千克", DoubtKind::Number),
    ] {
        assert_eq!(kinds(claim, source), [kind], "{claim} / {source}");
    }
}

#[test]
fn a_foreign_name_in_chinese_must_be_there_part_by_part() {
    const SPEECH: &str = "2019年，海因里希·冯·施特凡担任港务局长，亚历山大·谢尔盖耶维奇·普希金写了手册，阿·托尔斯泰作序。由北京和上海的团队维护。";
    for (claim, doubted) in [
        ("现任局长为海因里希·冯·施特凡。", &[][..]),
        ("局长是海因里希・施特凡先生", &[]),
        ("手册由亚历山大•普希金撰写", &[]),
        ("亚历山大谢尔盖耶维奇·普希金写了手册", &[]),
        ("他是阿·托尔斯泰", &[]),
        ("团队：北京·上海", &[]),
        ("现任局长为莱特那·维特莫教授", &["莱特那·维特莫教"]),
        ("局长是海因里希·冯·布劳恩", &["冯·布劳恩"]),
        ("写了手册的是亚历山大·列夫·普希金，作序的是莱特那·维特莫", &["亚历山大·列夫·普希金", "莱特那·维特莫"]),
    ] {
        let said: Vec<String> = doubts(claim, SPEECH).into_iter().map(|(_, said)| said).collect();
        assert_eq!(said, doubted, "{claim}");
        assert_eq!(doubts(claim, claim), []);
    }
    // Of a name that the source has in Latin letters it may be the translation.
    assert_eq!(doubts("局长是海因里希·冯·施特凡", "港务局长由德国人 Heinrich von Stephan 担任，他上任已有三年。"), []);
    assert_eq!(doubts("局长是海因里希·冯·施特凡", "The harbour master is Heinrich von Stephan."), []);
}

#[test]
fn the_very_words_are_not_doubted_and_a_part_of_them_may_be() {
    let odd = "1十。十百万New York";
    assert_eq!(doubts(odd, odd), []);
    assert_eq!(doubts("It has 90 entries.", "It has 190 entries. It has 90 entries.\nMore."), []);
    for (claim, source) in [
        ("90 entries", "It has 190 entries."),
        ("It takes 1", "It takes 1.5 s."),
        ("It is encrypted by default.", "It is said of few: It is not encrypted by default."),
    ] {
        assert_ne!(doubts(claim, source), [], "{claim}");
    }
}

#[test]
fn what_it_does_not_say_is() {
    use DoubtKind::{Date, Name, Negation, Number, Quote, Unit};
    for (claim, kind, said) in [
        ("Keys live for 60 days", Number, "60 days"),
        ("Rotation takes 15 s", Unit, "15 s"),
        ("It was released on 28 November 2026", Date, "28 November 2026"),
        ("It was released in 2025", Date, "2025"),
        ("Version 2.4.2 was released", Number, "2.4.2"),
        ("It was released by Grace Hopper", Name, "Grace Hopper"),
        ("The guide says \"keys live forever\"", Quote, "keys live forever"),
        ("Use `--rotate-never` for that", Name, "--rotate-never"),
        ("Backups are encrypted by default", Negation, "encrypted"),
        ("Rotation takes 15 ms and blocks readers", Negation, "blocks"),
        ("Rotation takes 90 ms and never blocks readers", Unit, "90 ms"),
    ] {
        assert_eq!(doubts(claim, GUIDE), [(kind, said.to_owned())], "{claim}");
    }
    for (claim, kind) in [
        ("密钥每60天更换一次", Number),
        ("系统于2026年10月29日上线", Date),
        ("恢复需要15秒", Unit),
        ("《灯塔安全指南》由李明华编写", Name),
        ("备份默认加密，恢复需要15分钟", Negation),
        ("该港由马士基公司与中远海运集团共同经营", Name),
    ] {
        assert_eq!(kinds(claim, HANDBOOK), [kind], "{claim}");
    }
}

#[test]
fn what_begins_like_a_unit_is_doubted_as_the_number_that_it_is() {
    for (claim, source, doubted) in [
        ("费用为300克朗", "费用为250克朗", &[(DoubtKind::Number, "300")][..]),
        ("费用为250克朗", "费用为250克朗。", &[]),
        ("费用为250克朗", "The fee is 250 kronor.", &[]),
        ("该港成立10周年", "该港成立已10年。", &[]),
        ("重300克", "重250克", &[(DoubtKind::Number, "300克")]),
    ] {
        let said = doubts(claim, source);
        let doubted: Vec<(DoubtKind, String)> = doubted.iter().map(|(kind, said)| (*kind, (*said).to_owned())).collect();
        assert_eq!(said, doubted, "{claim}");
    }
}

#[test]
fn a_value_that_stands_elsewhere_in_the_source_is_found_out() {
    let report = "Sales in the north were 308 million in 2019, ranking sixth. Sales in the south were 24 million in 2021. The north \
                  has 118 shops. Von Miller leads the north and Josh Norman leads the south.";
    assert_eq!(kinds("Sales in the north were 24 million in 2019, ranking sixth.", report), [DoubtKind::Number]);
    assert_eq!(kinds("Sales in the south were 24 million in 2019.", report), [DoubtKind::Date]);
    assert_eq!(kinds("Josh Norman leads the north and Josh Norman leads the south.", report), [DoubtKind::Name]);
    assert_eq!(kinds("The north, with sales of 308 million, has 118 shops.", report), []);
}

#[test]
fn several_sources_stand_for_a_claim_together() {
    let (a, b) = (Evidence::new("It holds 32 berths.", false, &[]), Evidence::new("It opened in 1998.", false, &["Harbour"]));
    let claim = "The Harbour opened in 1998 with 32 berths";
    assert_eq!(check(claim, 0..claim.len(), &[&a, &b]), []);
    assert_eq!(check(claim, 0..claim.len(), &[&a]).len(), 2);
    let part = claim.find("with").unwrap()..claim.len();
    assert_eq!(check(claim, part, &[&a]), [], "of a part, that part");
}

#[test]
fn rows_are_read_with_the_names_of_their_columns() {
    let source =
        Source { columns: Some("berth,fee".into()), text: "B1,12\nB2,14".into(), ..crate::answer::samples::source(1, 1.0) };
    let cited = Cited::new(&[source]);
    let claim = |text: &str| Claim { text: text.into(), part: 0..text.len(), sources: vec![1] };
    assert_eq!(cited.doubts(&claim("The fee of berth B2 is 14")), []);
    let wrong = cited.doubts(&claim("The fee of berth B2 is 16"));
    assert_eq!(wrong, [Doubt { kind: DoubtKind::Number, said: "16".into(), n: vec![1] }]);
    assert_eq!(cited.doubts(&Claim { sources: vec![2], ..claim("99") }), [], "there is no such source");
}

#[test]
fn the_count_of_an_answer_from_all_documents_is_that_of_its_sources() {
    let source = |n| Source { text: format!("A fire happened in warehouse 10{n}."), ..crate::answer::samples::source(n, 1.0) };
    let cited = Cited::new(&[1, 2, 3, 4].map(source));
    let claim = |text: &str, sources: &[usize]| Claim { text: text.into(), part: 0..text.len(), sources: sources.to_vec() };
    for text in ["There were 4 fires.", "There were four fires.", "共有4起火灾。", "共有四起火灾。"] {
        assert_eq!(cited.clone().of_all().doubts(&claim(text, &[1, 2, 3, 4])), [], "{text}");
    }
    for (text, sources) in
        [("There were 5 fires.", &[1, 2, 3, 4][..]), ("There were 4 fires.", &[1, 2, 3]), ("共有5起火灾。", &[1, 2, 3, 4])]
    {
        assert_ne!(cited.clone().of_all().doubts(&claim(text, sources)), [], "{text}");
    }
    assert_ne!(cited.doubts(&claim("There were 4 fires.", &[1, 2, 3, 4])), [], "of the best passages nobody knows");
}

/// A sentence with a number in it, in one of both languages.
fn sentence() -> impl Strategy<Value = (String, std::ops::Range<usize>)> {
    let english = (prop::sample::select(vec!["valve", "berth", "crane", "beacon", "tank"]), 10_u32..100_000, 0_usize..4)
        .prop_map(|(thing, n, form)| match form {
            0 => (format!("The {thing} of the harbour holds "), n.to_string(), " tons of oil.".to_owned()),
            1 => (format!("In winter each {thing} is closed for "), n.to_string(), " hours a year.".to_owned()),
            2 => (format!("Repairs of the {thing} cost $"), n.to_string(), " in Hamburg.".to_owned()),
            _ => ("Until then ".to_owned(), n.to_string(), format!(" people had seen the {thing}.")),
        });
    let chinese = (prop::sample::select(vec!["阀门", "泊位", "吊车", "灯塔"]), 10_u32..100_000, 0_usize..3).prop_map(
        |(thing, n, form)| match form {
            0 => (format!("港口的{thing}可以容纳"), n.to_string(), "吨石油。".to_owned()),
            1 => (format!("每座{thing}的维修费用为"), n.to_string(), "元。".to_owned()),
            _ => ("当时已有".to_owned(), n.to_string(), format!("人见过这座{thing}。")),
        },
    );
    prop_oneof![english, chinese].prop_map(|(before, n, after)| {
        let digits = before.len()..before.len() + n.len();
        (format!("{before}{n}{after}"), digits)
    })
}

proptest! {
    #[test]
    fn a_sentence_of_the_source_is_never_doubted(
        sentences in prop::collection::vec(sentence(), 1..12),
        which in any::<prop::sample::Index>(),
    ) {
        let source: Vec<&str> = sentences.iter().map(|(sentence, _)| sentence.as_str()).collect();
        let claim = source[which.index(source.len())];
        prop_assert_eq!(doubts(claim, &source.join(" ")), []);
    }

    #[test]
    fn a_changed_digit_always_is(
        sentences in prop::collection::vec(sentence(), 1..12),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        digit in 1_u8..9,
    ) {
        let source: Vec<&str> = sentences.iter().map(|(sentence, _)| sentence.as_str()).collect();
        let (sentence, digits) = &sentences[which.index(sentences.len())];
        let at = digits.start + at.index(digits.len());
        let old = sentence.as_bytes()[at];
        // No zero comes to the front, and it is another digit.
        let new = b'1' + (old.wrapping_sub(b'1').wrapping_add(digit)) % 9;
        prop_assume!(new != old);
        let claim = format!("{}{}{}", &sentence[..at], char::from(new), &sentence[at + 1..]);
        // The same sentence with that number may stand elsewhere.
        prop_assume!(!source.contains(&claim.as_str()));
        prop_assert!(!doubts(&claim, &source.join(" ")).is_empty(), "{}", claim);
    }

    #[test]
    fn no_text_is_doubted_against_itself(text in any::<String>()) {
        prop_assert_eq!(doubts(&text, &text), []);
    }

    #[test]
    fn no_text_brings_it_down(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "1", "2026", "-", "/", ":", ".", ",", " ", "\n", "%", "三", "十", "百万", "年", "月", "日", "第", "不", "“", "”", "《", "`",
                "May", "Nov.", "am", "p.m.", "not", "New York", "NASA", "ms", "million", "twenty", "hundred", "°", "v", "'s", "é", "\u{301}",
                "999999999999999999999999999999999999", "万亿", "一", "。", "(", "🙂", "分之", "成", "点", "世纪", "年代", "零下", "下午", "百",
                "Step", "km/h", "$", "99999999", "亿", "half of", "九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九九",
            ]),
            0..30,
        ),
        source in any::<String>(),
    ) {
        let claim = parts.concat();
        let _ = doubts(&claim, &source);
        let _ = doubts(&source, &claim);
        prop_assert_eq!(doubts(&claim, &claim), []);
    }
}

#[test]
fn a_word_that_is_said_for_another_is_no_name_and_names_are_told_as_ever() {
    const RULES: &str = "未成年人不得单独入内。系统没有保存用户密码，默认关闭自动更新。会议决定推迟发布新版本。这家公司位于沿海地区。\
        羊角哀途经雍州，与左伯桃结为兄弟。";
    for claim in [
        "未成年人禁止单独入内。",
        "系统从不保存用户密码，默认停用自动更新。",
        "会议决定延期发布新版本。",
        "这家企业坐落沿海地区。",
        "這家公司位於沿海區域。",
    ] {
        assert_eq!(doubts(claim, RULES), [], "{claim}");
    }
    for claim in ["羊角哀途经雍州，与诸葛亮结为兄弟。", "羊角哀途经云南，与左伯桃结为兄弟。"]
    {
        assert_eq!(kinds(claim, RULES), [DoubtKind::Name], "{claim}");
    }
}

#[test]
fn what_follows_for_whoever_does_not_reverses_nothing() {
    const DUTY: &str = "用户应当每90天更换一次密码；逾期不更换的，账号将被锁定。乙方可不经甲方同意转让权利。";
    const POLICY: &str = "Users must change their password every 90 days; accounts that do not change it are locked.";
    for (claim, source) in [
        ("用户应每90天更换一次密码。", DUTY),
        ("Users must change their password every 90 days.", POLICY),
        ("乙方可以不经甲方同意转让权利。", DUTY),
        ("购买后7天内可以无理由退货。", "购买后7天内可无理由退货。"),
        ("購買後可不可以退貨？", "购买后可以退货。"),
    ] {
        assert_eq!(doubts(claim, source), [], "{claim}");
    }
    for (claim, source) in [
        ("用户不应每90天更换一次密码。", "用户应当每90天更换一次密码。"),
        ("乙方可以经甲方同意转让全部权利。", "乙方可以不经甲方同意转让全部权利。"),
        ("Users must not change their password every 90 days.", "Users must change their password every 90 days."),
    ] {
        assert_eq!(kinds(claim, source), [DoubtKind::Negation], "{claim}");
    }
}

#[test]
fn a_quotation_in_the_other_script_is_a_translation() {
    const BOOK: &str = "司馬光主編了《資治通鑑》。他說：「品質是企業的生命線」，這句話寫在牆上。";
    assert_eq!(doubts("司马光主编了《资治通鉴》，他说“品质是企业的生命线”。", BOOK), []);
    assert_eq!(kinds("司馬光主編了《史記》。", BOOK), [DoubtKind::Name]);
    assert_eq!(kinds("他說：「品質是企業的根本」。", BOOK), [DoubtKind::Quote]);
}
