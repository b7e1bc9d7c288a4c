//! What is the same in another form is not doubted, and what looks alike and is not the same is.

use proptest::prelude::*;

use super::*;

pub(super) fn doubts(claim: &str, source: &str) -> Vec<(DoubtKind, String)> {
    check(claim, 0..claim.len(), &[&Evidence::new(source, false, &[])])
}

/// Claims and sources that say them.
pub(super) fn say_the_same(pairs: &[(&str, &str)]) {
    for (claim, source) in pairs {
        assert_eq!(doubts(claim, source), [], "{claim} / {source}");
    }
}

/// Claims and sources that say something else.
pub(super) fn differ(pairs: &[(&str, &str)]) {
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

#[test]
fn speeds_areas_and_currencies_are_told_apart_and_converted() {
    say_the_same(&[
        ("The speed is 90 km/h.", "The speed is 25 m/s."),
        ("The speed is 25 metres per second.", "The speed is 90 km/h."),
        ("The speed is 10 knots.", "The speed is 18.52 km/h."),
        ("The car drove at 25 mph.", "The car drove at 25 miles per hour."),
        ("The car drove at 25 mph.", "The car covered 25 miles in each hour."),
        ("时速90公里。", "速度为25米每秒。"),
        ("速度为90公里/小时。", "时速达到90公里。"),
        ("线路为90公里。", "线路为90公里。它每小时开一班。"),
        ("占地75亩。", "占地5公顷。"),
        ("占地500公顷。", "占地5平方公里。"),
        ("It covers 5 square kilometres.", "It covers 500 hectares."),
        ("It covers 300 km².", "It covers 300 km 2."),
        ("全长10里。", "全长5公里。"),
        ("The fee is HK$5.", "费用为5港元。"),
        ("The fee is 5 HKD.", "费用为5港币。"),
        ("The fee is $5.", "费用为5美元。"),
        ("费用为5元。", "费用为5人民币。"),
        ("他住在三里屯。", "他住在三里屯，那里有五家店。"),
    ]);
    differ(&[
        ("25 mph", "25 m/s"),
        ("The car drove at 25 mph.", "The car drove at 25 m/s."),
        ("The ship sails at 25 knots.", "The ship sails at 25 km/h."),
        ("The tank holds 25 gallons.", "The tank holds 25 litres."),
        ("5亩", "5公顷"),
        ("5里", "5公里"),
        ("5港元", "5人民币"),
        ("费用为5港元。", "费用为5美元。"),
        ("浓度为5‰。", "浓度为5%。"),
    ]);
}

#[test]
fn a_temperature_below_zero_is_not_the_same_above_it() {
    say_the_same(&[
        ("The temperature is -20 °C.", "最低气温零下20摄氏度。"),
        ("The temperature is minus 20 °C.", "The temperature is −20 °C."),
        ("It is 20 °C below zero.", "The temperature is −20 °C."),
        ("温度为零下20度。", "温度为-20 °C。"),
        ("Temperatures range from 15-20 °C.", "Temperatures range from 15 to 20 °C."),
        ("最低气温-5℃。", "最低气温零下5℃。"),
        ("气温为20摄氏度。", "气温为10摄氏度-20摄氏度。"),
        ("最低零下30度。", "气温在零下20至30度。"),
        ("Run kill -9.", "Send signal 9 with kill."),
    ]);
    differ(&[
        ("20 °C", "-20 °C"),
        ("-20 °C", "20 °C"),
        ("The temperature is 20 °C.", "The temperature is -20 °C."),
        ("最低20摄氏度", "最低零下20摄氏度"),
        ("最低零下20度", "最低20度"),
    ]);
}

#[test]
fn shares_are_percents() {
    say_the_same(&[
        ("占七成。", "占70%。"),
        ("占70%。", "占七成。"),
        ("占七成五。", "占75%。"),
        ("占约七成。", "占68%。"),
        ("增长百分之三点五。", "增长3.5%。"),
        ("增长3.5%。", "增长百分之三点五。"),
        ("误差为百分之30。", "误差为30%。"),
        ("浓度为5‰。", "浓度为千分之五。"),
        ("A quarter of the users left.", "25 % of the users left."),
        ("A third of the users left.", "One third of the users left."),
        ("A third of the users left.", "33 % of the users left."),
        ("Nearly half of the users left.", "Of the users 48 % left."),
        ("1/3 of the users left.", "One third of the users left."),
        ("三分之一的用户离开了。", "One third of the users left."),
        ("四分之一的用户离开了。", "25%的用户离开了。"),
        ("In the third quarter of the year sales rose.", "Sales rose in the third quarter."),
        ("三点五亿元", "350000000元"),
        ("每天三点五千瓦时", "每天3500瓦时"),
    ]);
    differ(&[
        ("占七成。", "占60%。"),
        ("占70%。", "占六成。"),
        ("增长百分之三点五。", "增长3.2%。"),
        ("A quarter of the users left.", "A third of the users left."),
        ("Two thirds of the users left.", "Three quarters of the users left."),
        ("三分之一的用户离开了。", "四分之一的用户离开了。"),
        ("25 %", "25 shares"),
        ("He holds 25 shares of it.", "He holds 25 % of it."),
        ("他持有25股。", "他持有25%。"),
        ("镇的人口是24人。", "镇的面积24平方公里，人口15518人。"),
        ("湖水面积是4530平方公里。", "湖面海拔4530米，湖水面积2391平方公里。"),
    ]);
}

#[test]
fn parts_of_the_day_tell_hours_apart() {
    say_the_same(&[
        ("会议下午3点开始。", "会议15:00开始。"),
        ("会议3点开始。", "会议下午3点开始。"),
        ("会议下午三点半开始。", "会议15:30开始。"),
        ("会议15点30分开始。", "会议下午三点半开始。"),
        ("The meeting starts at 3 pm.", "会议下午3点开始。"),
        ("店铺凌晨12点关门。", "店铺0:00关门。"),
        ("会议晚8时开始。", "会议20:00开始。"),
        ("有3点建议。", "有三点建议。"),
    ]);
    differ(&[
        ("下午3点", "上午3点"),
        ("会议下午3点开始。", "会议上午3点开始。"),
        ("会议下午3点开始。", "会议下午4点开始。"),
        ("The meeting starts at 3 pm.", "会议上午3点开始。"),
    ]);
}

#[test]
fn labels_are_no_numbers() {
    let (steps, buzhou) = ("Open the valve for 30 seconds. Close the pump. Leave.", "先打开阀门，然后关闭水泵。");
    for claim in [
        "Step 1: Open the valve. Step 2: Close the pump.",
        "**Step 2** – Close the pump.",
        "Question 7: Do you close the pump?",
        "(1) Open the valve; (2) close the pump; (3) leave.",
        "1) Open the valve. 2) Close the pump.",
        "1. Open the valve. 2. Close the pump. 4. Leave.",
        "- **3.** Leave.",
    ] {
        assert_eq!(doubts(claim, steps), [], "{claim}");
    }
    for claim in [
        "步骤2：关闭水泵。",
        "步骤二：关闭水泵。",
        "第一，打开阀门；第二，关闭水泵。",
        "第一步：打开阀门。第二步：关闭水泵。",
        "（1）打开阀门；（2）关闭水泵。",
    ] {
        assert_eq!(doubts(claim, buzhou), [], "{claim}");
    }
    differ(&[
        ("Step 1: Open the valve for 20 seconds.", steps),
        ("Step 3: Close the pump.", "Step 1: Open the valve. Step 2: Close the pump."),
        ("第三步：关闭水泵。", "第一步：打开阀门。第二步：关闭水泵。"),
        ("There are pumps, 7 of them.", steps),
        ("The pump (see pages 2, 3) is closed.", steps),
        ("The pump (12) is closed.", steps),
    ]);
}

#[test]
fn millions_of_money_have_short_names() {
    say_the_same(&[
        ("The bridge cost $12M.", "The bridge cost 12 million dollars."),
        ("The bridge cost $12m.", "The bridge cost 12 million dollars."),
        ("The bridge cost 12 million dollars.", "The bridge cost $12M."),
        ("The bridge cost €310m.", "The bridge cost 310 million euros."),
        ("The bridge cost 310M euros.", "The bridge cost 310 million euros."),
        ("The bridge cost $1.2B.", "The bridge cost 1.2 billion dollars."),
        ("The bridge is 310m long.", "The bridge is 310 metres long."),
    ]);
    differ(&[
        ("The bridge cost $13M.", "The bridge cost 12 million dollars."),
        ("The bridge cost $12B.", "The bridge cost 12 million dollars."),
        ("The bridge is 310m long.", "The bridge cost 310 million euros."),
    ]);
}

#[test]
fn a_century_or_a_decade_holds_its_years() {
    let (bridge, qiao) = ("The bridge was built in 1931.", "大桥建于1931年。");
    for claim in [
        "The bridge was built in the early 20th century.",
        "The bridge was built in the 1930s.",
        "大桥建于上世纪三十年代。",
        "大桥建于20世纪30年代。",
        "大桥建于二十世纪三十年代。",
        "大桥建于20世纪。",
        "大桥建于1930年代。",
        "大桥建于三十年代。",
    ] {
        assert_eq!(doubts(claim, bridge), [], "{claim}");
        assert_eq!(doubts(claim, qiao), [], "{claim}");
    }
    for claim in [
        "The bridge was built in the 19th century.",
        "The bridge was built in the 1940s.",
        "大桥建于上世纪四十年代。",
        "大桥建于19世纪30年代。",
        "大桥建于1940年代。",
        "大桥建于本世纪三十年代。",
    ] {
        assert_ne!(doubts(claim, bridge), [], "{claim}");
        assert_ne!(doubts(claim, qiao), [], "{claim}");
    }
    say_the_same(&[
        ("大桥建于上世纪三十年代。", "大桥建于20世纪30年代。"),
        ("大桥建于上世纪三十年代。", "The bridge was built in the 1930s."),
        ("The bridge was built in the 1930s.", "大桥建于三十年代。"),
        ("三十年代价不低。", "付出了三十年代价。"),
        ("The bridge was built in the 20th century.", "The bridge was built in 1931. Its stones are of the 17th century."),
    ]);
    differ(&[(
        "The stones of it are of the 20th century.",
        "The bridge was built in 1931. The stones are of the 17th century.",
    )]);
    differ(&[
        ("The bridge was built in 1931.", "大桥建于上世纪三十年代。"),
        ("等了三十年。", "等到三十年代。"),
        ("大桥建于1930年。", "大桥建于1930年代。"),
    ]);
}
