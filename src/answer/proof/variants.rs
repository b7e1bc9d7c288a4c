//! Values of tables, of money and of time in all the ways in which they are written: the same is not doubted, and others are.

use proptest::prelude::*;

use super::forms::{differ, doubts, say_the_same};
use super::*;

#[test]
fn the_head_of_a_table_gives_its_numbers_their_unit() {
    const CSV: &str = "门店,销售额（万元）\n天河城店,986.2\n春熙路店,743.8";
    const ABOVE: &str = "单位：亿元\n项目　2024年　2023年\n营业收入　1,284.56　1,143.87";
    const MARKDOWN: &str = "| 门店 | 销售额（万元） |\n|---|---|\n| 天河城店 | 986.2 |";
    const STATEMENT: &str = "Income statement (in millions of dollars)\nRevenue 1,284.5\nNet income 86.7";
    const SHORT: &str = "Store,Revenue ($m),Staff\nTianhe,986.2,12";
    say_the_same(&[
        ("天河城店销售额986.2万元。", CSV),
        ("天河城店销售额986.2。", CSV),
        ("天河城店销售额约986万元。", CSV),
        ("2024年营业收入1284.56亿元。", ABOVE),
        ("天河城店销售额986.2万元。", MARKDOWN),
        ("Revenue was $1,284.5 million.", STATEMENT),
        ("Revenue was 1,284.5 million dollars.", STATEMENT),
        ("Tianhe had a revenue of $986.2 million.", SHORT),
        ("Tianhe had a staff of 12.", SHORT),
        ("产量320万吨。", "员工（人）：8,642；产量（万吨）：320"),
        ("该市人口1284万人。", "城市\t人口（万人）\n甲市\t1284"),
        ("Sales were $12.5 million.", "Store\tSales (USD million)\nA\t12.5"),
        (
            "公司2024年的每股收益为0.45元。",
            "单位：人民币元\n\n| 项目 | 2024 | 2023 |\n|---|---|---|\n| 每股收益 | 0.45 | 0.40 |",
        ),
        ("2024年的收入是88", "单位：万元\n项目 2024 2023\n收入 88 77"),
        ("It has 3 item(s).", "Name, item(s)\nA, 3"),
    ]);
    differ(&[
        ("天河城店销售额986.2元。", CSV),
        ("天河城店销售额986.2亿元。", CSV),
        ("2024年营业收入1284.56元。", ABOVE),
        ("2024年营业收入1284.56万元。", ABOVE),
        ("天河城店销售额986.2元。", MARKDOWN),
        ("Revenue was $1,284.5 billion.", STATEMENT),
        ("Revenue was $1,284.5.", STATEMENT),
        ("Tianhe had a revenue of $986.2.", SHORT),
        ("产量320吨。", "员工（人）：8,642；产量（万吨）：320"),
        ("该市人口1284人。", "城市\t人口（万人）\n甲市\t1284"),
    ]);
}

#[test]
fn traditional_units_are_units() {
    const MEETING: &str = "會議歷時約兩個小時，午休四十五分鐘，載重3公噸，為期6個月，佔地2公頃，耗資45億元。";
    say_the_same(&[
        ("會議歷時約120分鐘。", MEETING),
        ("会议历时约两小时。", MEETING),
        ("午休45分钟。", MEETING),
        ("載重3000公斤。", MEETING),
        ("耗资45亿元。", MEETING),
        ("導演史蒂芬·史匹柏執導，約翰·羅斯作曲。", "導演史蒂芬·史匹柏執導，由約翰·羅斯作曲。"),
    ]);
    differ(&[
        ("會議歷時約兩個星期。", MEETING),
        ("午休45小時。", MEETING),
        ("午休45秒。", MEETING),
        ("載重3公斤。", MEETING),
        ("為期6年。", MEETING),
        ("耗資45萬元。", MEETING),
    ]);
}

#[test]
fn days_may_be_a_date_or_a_duration() {
    const LAW: &str = "劳动者提前三十日以书面形式通知用人单位，可以解除劳动合同。";
    say_the_same(&[
        ("劳动者提前30天书面通知用人单位，可以解除劳动合同。", LAW),
        ("提前三十天通知即可。", LAW),
        ("The employee gives 30 days' notice.", LAW),
        ("The employee gives thirty days' notice.", LAW),
        ("购买后七日内可退货。", "购买之日起7天内可退货。"),
        ("会议于30日召开。", "会议于6月30日召开。"),
        ("保质期为九十天。", "保质期为九十日。"),
        ("会议在15日结束，报名需3日。", "会议于15日结束，报名需要3天。"),
    ]);
    differ(&[
        ("劳动者提前20天书面通知用人单位，可以解除劳动合同。", LAW),
        ("需提前30小时通知。", LAW),
        ("需提前30个月通知。", LAW),
        ("The employee gives 20 days' notice.", LAW),
        ("保质期为九十个月。", "保质期为九十日。"),
        ("会议于30日召开。", "会议于6月29日召开。"),
    ]);
}

#[test]
fn times_of_day_have_many_forms() {
    say_the_same(&[
        ("末班列车20:43到达。", "末班列车于20时43分到达。"),
        ("末班列车20点43分到达。", "末班列车于20时43分到达。"),
        ("末班列车晚上8点43分到达。", "末班列车于20时43分到达。"),
        ("末班列车20时43分到达。", "末班列车于20:43到达。"),
        ("末班列车20时43分到达。", "末班列车晚上8点43分到达。"),
        ("讲座15:30开始。", "讲座于下午3:30开始。"),
        ("The talk starts at 3:30 pm.", "讲座于下午3:30开始。"),
        ("會議上午9:30開始。", "會議於上午9時30分召開。"),
    ]);
    differ(&[
        ("讲座上午3:30开始。", "讲座于下午3:30开始。"),
        ("讲座凌晨3:30开始。", "讲座于下午3:30开始。"),
        ("末班列车20时34分到达。", "末班列车于20时43分到达。"),
        ("末班列车早上8点43分到达。", "末班列车于20时43分到达。"),
        ("The talk starts at 3:30 am.", "讲座于下午3:30开始。"),
    ]);
}

#[test]
fn capital_numerals_are_numbers() {
    const BILL: &str = "本票据金额：人民币壹佰贰拾叁万肆仟伍佰元整。";
    say_the_same(&[
        ("金额为1234500元。", BILL),
        ("金额为123.45万元。", BILL),
        ("金額：壹佰貳拾參萬肆仟伍佰圓整。", BILL),
        ("应付12.35元。", "应付壹拾贰元叁角伍分。"),
        ("应付12元3角5分。", "应付12.35元。"),
        ("应付壹拾贰元零伍分。", "应付12.05元。"),
        ("大陆万人空巷，队伍整齐。", "大陆万人空巷，队伍整齐而漫长。"),
    ]);
    differ(&[
        ("本票据金额：人民币玖佰贰拾叁万肆仟伍佰元整。", BILL),
        ("金额：人民币壹佰叁拾叁万肆仟伍佰元整。", "金额为123.45万元。"),
        ("合同总金额为人民币叁佰贰拾元整。", "合同总金额为人民币叁佰贰拾万元整。"),
        ("应付12.36元。", "应付壹拾贰元叁角伍分。"),
    ]);
}

/// An amount of money in capital numerals.
fn in_capitals(n: u32) -> String {
    let digit = |n: u32| "零壹贰叁肆伍陆柒捌玖".chars().nth(n as usize).unwrap_or_default();
    let section = |n: u32| {
        let mut text = String::new();
        for (power, name) in [(1000, "仟"), (100, "佰"), (10, "拾"), (1, "")] {
            let here = n / power % 10;
            if here > 0 {
                if !text.is_empty() && (n / (power * 10)).is_multiple_of(10) {
                    text.push('零');
                }
                text.push(digit(here));
                text.push_str(name);
            }
        }
        text
    };
    let (above, below) = (n / 10_000, n % 10_000);
    let zero = if above > 0 && (1..1000).contains(&below) { "零" } else { "" };
    let above = if above > 0 { section(above) + "万" } else { above.to_string().replace('0', "") };
    format!("{above}{zero}{}元整", section(below))
}

proptest! {
    #[test]
    fn money_in_capital_numerals_is_read_back(n in 1_u32..100_000_000, other in 1_u32..100_000_000) {
        let source = format!("本合同总金额为人民币{}，分三期支付。", in_capitals(n));
        let said = |n: u32| format!("合同总金额为{n}元。");
        prop_assert_eq!(doubts(&said(n), &source), vec![], "{} / {}", n, source);
        if other != n {
            prop_assert_ne!(doubts(&said(other), &source), vec![], "{} / {}", other, source);
        }
    }

    #[test]
    fn any_day_of_the_week_is_told_from_the_others(a in 0_usize..7, b in 0_usize..7, english: bool, forms in 0_usize..3) {
        const ENGLISH: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
        let han = "一二三四五六日".chars().nth(b).unwrap();
        let source = format!("图书馆{}{han}上午闭馆。", ["每周", "星期", "禮拜"][forms]);
        let claim = if english {
            format!("The library is closed on {} mornings.", ENGLISH[a])
        } else {
            format!("图书馆在周{}闭馆。", "一二三四五六日".chars().nth(a).unwrap())
        };
        prop_assert_eq!(doubts(&claim, &source).is_empty(), a == b, "{} / {}", claim, source);
    }

    #[test]
    fn an_altered_sign_is_found(n in 1_u32..1000, cents in 1_u32..100, at in 0_usize..4) {
        let (before, after) = [("公司2024年净利润为", "亿元"), ("净利润增长率为", "%"), ("湖面海拔", "米"), ("Net profit was ", " billion yuan")][at];
        let (plus, minus) = (format!("{before}{n}.{cents}{after}。"), format!("{before}-{n}.{cents}{after}。"));
        let with = |said: &str| format!("年度报告写道：{said}Of that year.");
        prop_assert_ne!(doubts(&plus, &with(&minus)), vec![], "{}", plus);
        prop_assert_ne!(doubts(&minus, &with(&plus)), vec![], "{}", minus);
        prop_assert_eq!(doubts(&minus, &with(&minus)), vec![]);
    }
}

#[test]
fn a_minus_is_a_minus_and_a_dash_is_none() {
    const LOSS: &str = "公司2024年净利润为-3.2亿元，基本每股收益-0.45元，净利润增长率为-12.5%。";
    say_the_same(&[
        ("公司2024年净利润为负3.2亿元。", LOSS),
        ("公司净亏损3.2亿元。", LOSS),
        ("净利润下降12.5%。", LOSS),
        ("经营现金流净流出15.3亿元。", "经营活动现金流量净额为-15.3亿元。"),
        ("公司2024年净利润为-3.2亿元。", "公司2024年亏损3.2亿元。"),
        ("The company lost 3.2 billion yuan.", "Net profit was -3.2 billion yuan."),
        ("艾丁湖低于海平面154.31米。", "艾丁湖海拔-154.31米。"),
        ("票价3元到5元。", "票价3元-5元。"),
        ("票价为5元。", "票价3-5元。"),
        ("票价为5元。", "- 票价5元\n-5元起售"),
        ("长度为5米。", "长度为3米-5米。"),
        ("Net loss was $3.2 million.", "Net income was -$3.2 million."),
    ]);
    differ(&[
        ("公司2024年净利润为3.2亿元。", LOSS),
        ("基本每股收益0.45元。", LOSS),
        ("净利润增长率为12.5%。", LOSS),
        ("经营活动现金流量净额为15.3亿元。", "经营活动现金流量净额为-15.3亿元。"),
        ("艾丁湖海拔154.31米。", "艾丁湖海拔-154.31米。"),
        ("Net income was $3.2 million.", "Net income was -$3.2 million."),
        ("Growth was 12.5 %.", "Growth was -12.5 %."),
    ]);
}

#[test]
fn days_of_the_week_are_compared() {
    say_the_same(&[
        ("图书馆星期三上午闭馆。", "图书馆每周三上午闭馆。"),
        ("图书馆周三开放。", "图书馆周一至周五开放。"),
        ("The library is open on Wednesdays.", "图书馆周一至周五开放。"),
        ("会议在星期一举行。", "会议于2026年11月30日举行。"),
        ("每周三次。", "她每周游泳三次。"),
    ]);
    differ(&[
        ("图书馆星期四上午闭馆。", "图书馆每周三上午闭馆。"),
        ("The library is closed every Thursday morning.", "图书馆每周三上午闭馆。"),
        ("The library is closed every Thursday morning.", "The library is closed every Wednesday morning."),
        ("图书馆周六开放。", "图书馆周一至周五开放。"),
    ]);
}

#[test]
fn a_year_and_a_month_in_digits_are_a_date() {
    say_the_same(&[
        ("产品于2023年5月上市。", "产品上市时间：2023-05。"),
        ("It was discontinued in November 2024.", "Released: 2023-05. Discontinued: 2024/11."),
        ("上市时间：2023.05", "产品于2023年5月上市。"),
        ("上市时间：2023-05", "产品于2023年5月上市。"),
        ("He played from 2019 to 2020.", "He played in 2019-20."),
        ("He played until 2009.", "He played in 2008-09."),
    ]);
    differ(&[
        ("产品于2023年6月上市。", "产品上市时间：2023-05。"),
        ("It was released in June 2023.", "Released: 2023-05."),
        ("版本为2023.06。", "版本为2023.05。"),
    ]);
}

#[test]
fn what_is_counted_is_no_amount() {
    const MEETING: &str = "大会共有128位代表参加，召开了3次会议，讨论45项提案。";
    say_the_same(&[("共128名代表参加，讨论了45项提案。", MEETING), ("There were 128 delegates.", MEETING)]);
    differ(&[
        ("大会持续3天。", MEETING),
        ("大会经费128元。", MEETING),
        ("讨论45分钟。", MEETING),
        ("The fee is 128 dollars.", "The meeting had 128 delegates."),
    ]);
}

#[test]
fn a_million_millions_and_a_prefix_are_one_character() {
    const BUDGET: &str = "總預算歲出2兆8,818億元。";
    say_the_same(&[
        ("歲出2.8818兆元。", BUDGET),
        ("岁出28,818亿元。", BUDGET),
        ("岁出2.8818万亿元。", BUDGET),
        ("内存2兆字节。", "内存2MB。"),
        ("功率为3兆瓦。", "功率为3000千瓦。"),
    ]);
    differ(&[
        ("歲出28.818兆元。", BUDGET),
        ("歲出2兆8818萬元。", BUDGET),
        ("歲出3兆8818億元。", BUDGET),
        ("歲出2億8818萬元。", BUDGET),
    ]);
}

#[test]
fn parts_of_a_time_are_one_time() {
    say_the_same(&[
        ("行车间隔195秒。", "行车间隔为3分15秒。"),
        ("行车间隔3分钟15秒。", "行车间隔为三分十五秒。"),
        ("工程耗时42个月。", "工程耗時3年又6個月，總長12公里。"),
        ("It took 195 minutes.", "It took 3 hours and 15 minutes."),
        ("成绩为1小时23分。", "成绩为83分钟。"),
        ("退款将在7个工作日内到账。", "The refund takes 7 business days."),
    ]);
    differ(&[
        ("行车间隔3小时15分。", "行车间隔为3分15秒。"),
        ("工程耗时3个月。", "工程耗時3年又6個月，總長12公里。"),
        ("It took 3 hours and 16 minutes.", "It took 3 hours and 15 minutes."),
        ("退款将在7天内到账。", "退款将在7个工作日内到账。"),
        ("The refund takes 7 days.", "The refund takes 7 business days."),
    ]);
}

#[test]
fn what_is_about_so_much_may_have_another_unit() {
    say_the_same(&[("样品约1.73公斤。", "样品重1731克。"), ("The sample weighs about 1.73 kg.", "The sample weighs 1731 g.")]);
    differ(&[("样品约1.83公斤。", "样品重1731克。"), ("样品重1.73公斤。", "样品重1731克。")]);
    say_the_same(&[("万一下雨，会议改期。", "会议如遇下雨改期。"), ("四周有山。", "该村有4个门，四面有山。")]);
}

#[test]
fn rows_have_the_units_of_the_names_of_their_columns() {
    let source = Source {
        columns: Some("| 门店 | 销售额（万元） |".into()),
        text: "| 春熙路店 | 743.8 |\n| 天河城店 | 986.2 |".into(),
        ..crate::answer::samples::source(1, 1.0)
    };
    let cited = Cited::new(&[source]);
    let kinds = |text: &str| -> Vec<DoubtKind> {
        let claim = Claim { text: text.into(), part: 0..text.len(), sources: vec![1] };
        cited.doubts(&claim).into_iter().map(|doubt| doubt.kind).collect()
    };
    assert_eq!(kinds("天河城店销售额986.2万元。"), []);
    assert_eq!(kinds("天河城店销售额986.2元。"), [DoubtKind::Unit]);
}

proptest! {
    #[test]
    fn a_row_of_a_table_is_not_doubted_against_it(cells in prop::collection::vec((1_u32..100_000, 0_u32..100), 2..6), unit in 0_usize..6, bars: bool) {
        let unit = ["万元", "%", "USD million", "kg", "亿立方米", "件"][unit];
        let row = |at: usize, (whole, part): (u32, u32)| if bars { format!("| 第{at}店 | {whole}.{part} |") } else { format!("第{at}店,{whole}.{part}") };
        let head = if bars { format!("| 门店 | 数量（{unit}） |\n|---|---|\n") } else { format!("门店,数量（{unit}）\n") };
        let rows: Vec<String> = cells.iter().enumerate().map(|(at, cell)| row(at, *cell)).collect();
        let table = format!("以下为统计。\n\n{head}{}\n\n其他内容见附录。", rows.join("\n"));
        for said in rows.iter().map(String::as_str).chain(table.split("\n\n")) {
            prop_assert_eq!(doubts(said, &table), vec![], "{} / {}", said, table);
        }
    }
}

#[test]
fn how_often_something_is_must_not_be_altered() {
    say_the_same(&[
        ("备份任务每日凌晨2点30分执行。", "备份任务每天凌晨2点30分执行。"),
        ("餐补每天120元。", "其他城市不超过400元；餐补每天120元。每周报销一次。"),
        ("The backup runs every day at 2:30.", "The backup runs daily at 2:30 in the morning."),
        ("每年两次。", "每六个月一次。"),
    ]);
    differ(&[
        ("备份任务每周凌晨2点30分执行。", "备份任务每天凌晨2点30分执行，默认并发数为8。"),
        ("餐补每周120元。", "其他城市不超过400元；餐补每天120元。"),
        ("耗資45億元，每月施工6天。", "工程耗資45億元，每週施工6天。"),
        ("The backup runs weekly at 2:30.", "The backup runs daily at 2:30 in the morning."),
    ]);
}
