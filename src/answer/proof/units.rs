//! Units and rates against each other: what is one converts, and what is another is found out.

use proptest::prelude::*;

use super::forms::{differ, doubts, say_the_same};
use super::*;

/// A unit with what it measures, in English and in Chinese, and how many of the first of its measure it is.
type Named = (&'static str, &'static str, &'static str, f64);

const UNITS: [Named; 34] = [
    ("mass", "kilograms", "公斤", 1.0),
    ("mass", "grams", "克", 1e-3),
    ("mass", "mg", "毫克", 1e-6),
    ("mass", "tonnes", "吨", 1e3),
    ("length", "metres", "米", 1.0),
    ("length", "cm", "厘米", 1e-2),
    ("length", "km", "公里", 1e3),
    ("length", "nautical miles", "海里", 1852.0),
    ("volume", "litres", "升", 1.0),
    ("volume", "ml", "毫升", 1e-3),
    ("volume", "m³", "立方米", 1e3),
    ("volume", "cubic centimetres", "立方厘米", 1e-3),
    ("pressure", "bar", "巴", 1.0),
    ("pressure", "kPa", "千帕", 1e-2),
    ("pressure", "MPa", "兆帕", 10.0),
    ("pressure", "atm", "个大气压", 1.01325),
    ("power", "kW", "千瓦", 1.0),
    ("power", "MW", "兆瓦", 1e3),
    ("horsepower", "hp", "马力", 1.0),
    ("energy", "kWh", "千瓦时", 1.0),
    ("energy", "MWh", "兆瓦时", 1e3),
    ("area", "square metres", "平方米", 1.0),
    ("area", "cm²", "平方厘米", 1e-4),
    ("area", "hectares", "公顷", 1e4),
    ("time", "seconds", "秒", 1.0),
    ("time", "hours", "小时", 3600.0),
    ("gallons", "gallons", "加仑", 1.0),
    ("gallons", "pints", "品脱", 0.125),
    ("barrels", "barrels", "桶", 1.0),
    ("bytes", "GB", "吉字节", 1.0),
    ("bytes", "MB", "兆字节", 1e-3),
    ("temperature", "°C", "摄氏度", 1.0),
    ("fahrenheit", "°F", "华氏度", 1.0),
    ("share", "%", "％", 1.0),
];

/// What a number may be for each of, with its seconds, grams and so on.
const RATES: [Named; 10] = [
    ("time", "second", "秒", 1.0),
    ("time", "minute", "分钟", 60.0),
    ("time", "hour", "小时", 3600.0),
    ("time", "day", "天", 86_400.0),
    ("months", "month", "月", 1.0),
    ("months", "year", "年", 12.0),
    ("mass", "kg", "公斤", 1.0),
    ("mass", "tonne", "吨", 1e3),
    ("volume", "litre", "升", 1.0),
    ("area", "square metre", "平方米", 1.0),
];

/// A number as it is written, without what a division leaves behind; `None` where it has no end soon.
fn written(amount: f64) -> Option<String> {
    let text = format!("{amount:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    let back: f64 = text.parse().unwrap();
    ((back - amount).abs() <= amount * 1e-14 && back > 0.0).then_some(text)
}

proptest! {
    // Each of them is each pair of units.
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn each_unit_against_each_other(whole in 2_usize..1000, tenth in 1_u32..10) {
        let n = format!("{whole}.{tenth}");
        let amount: f64 = n.parse().unwrap();
        let sentence = |english: bool, n: &str, unit: &Named| {
            if english { format!("The value is {n} {}.", unit.1) } else { format!("数值为{n}{}。", unit.2) }
        };
        for (at, mine) in UNITS.iter().enumerate() {
            for (other, its) in UNITS.iter().enumerate() {
                let (say, tell) = ((whole + at) % 2 == 0, (whole / 2 + other) % 2 == 0);
                let (claim, source) = (sentence(say, &n, mine), sentence(tell, &n, its));
                let same = mine.0 == its.0 && mine.3.total_cmp(&its.3).is_eq();
                // `300 km` may be of a square that was lost.
                if ["lengtharea", "arealength"].contains(&&*[mine.0, its.0].concat()) {
                    continue;
                }
                prop_assert_eq!(doubts(&claim, &source).is_empty(), same, "{} / {}", claim, source);
                if mine.0 == its.0 && let Some(converted) = written(amount * its.3 / mine.3) {
                    let claim = sentence(say, &converted, mine);
                    prop_assert_eq!(doubts(&claim, &source), vec![], "{} / {}", claim, source);
                }
            }
        }
    }

    #[test]
    fn each_rate_against_each_other(n in 13_usize..10_000) {
        for (english, chinese) in [("grams", "克"), ("requests", "次"), ("dollars", "美元")] {
            let sentence = |form: usize, rate: &Named| match form % 5 {
                0 => format!("It is {n} {english} per {}.", rate.1),
                1 => format!("It is {n} {english}/{}.", rate.1),
                2 => format!("标准为{n}{chinese}/{}。", rate.2),
                3 => format!("每{}为{n}{chinese}。", rate.2),
                _ => format!("标准为{n}{chinese}每{}。", rate.2),
            };
            for (at, mine) in RATES.iter().enumerate() {
                for (other, its) in RATES.iter().enumerate() {
                    let (claim, source) = (sentence(n + at, mine), sentence(n / 5 + other, its));
                    let found = doubts(&claim, &source);
                    let told = found.iter().any(|(kind, _)| *kind == DoubtKind::Unit);
                    prop_assert_eq!((told, found.is_empty()), (at != other, at == other), "{} / {}", claim, source);
                }
            }
        }
    }
}

#[test]
fn rates_convert_and_one_that_is_not_told_is_none() {
    say_the_same(&[
        ("The pump delivers 2,700 litres per hour.", "The pump delivers 45 litres per minute."),
        ("The pump delivers 0.75 l/s.", "The pump delivers 45 l/min."),
        ("水泵每小时输送2700升。", "The pump delivers 45 litres per minute."),
        ("流量为2.7立方米/小时。", "流量为45升/分钟。"),
        ("The pump delivers 45 litres.", "The pump delivers 45 litres per minute."),
        ("It costs $7.50 per kg.", "It costs $7,500 per tonne."),
        ("It costs $7.50.", "It costs $7.50 per kilogram."),
        ("The fee is 10 euros per user.", "The fee is 10 euros per user per month."),
        ("The fee is 10 euros a month.", "The fee is 10 euros per user per month."),
        ("每月10欧元。", "The fee is 10 euros per user per month."),
        ("The limit is 5 g per 100 g.", "每100克含5克。"),
        ("It handles 450,000 requests per minute.", "It handles 7,500 requests per second."),
        ("The density is 7.5 kg/l.", "The density is 7.5 g/cm³."),
        ("Give 10 mg/kg per day.", "Give 10 mg/kg daily."),
        ("The link has 100 Mbps.", "The link has 100 Mbit/s."),
        ("He gave 5 people a second chance.", "He gave 5 people a chance every day."),
        ("It sold 5 flats a year ago.", "It sold 5 flats a month."),
        ("It works 8 hours a day and 5 days a week.", "每周工作5天，每天8小时。"),
        ("电价为0.5元/度。", "每度电0.5元。"),
        ("Speeds are 90 km/h.", "时速90公里。"),
        ("Back up every 90 days.", "Backups run every 90 days, 3 a week."),
        ("One update a day is made.", "One update a week is made."),
    ]);
    differ(&[
        ("It handles 7,500 requests per day.", "It handles 7,500 requests per second."),
        ("It handles 7,500 API requests a day.", "It handles 7,500 requests/s."),
        ("It costs $7.5 per tonne.", "It costs $7.5 per kilogram."),
        ("It costs $7.5 per piece.", "It costs $7.5 per kilogram."),
        ("The pump delivers 45 l/s.", "The pump delivers 45 litres per minute."),
        ("The rent is 750 euros a year.", "The rent is 750 euros a month."),
        ("年租金每年750欧元。", "The rent is 750 euros a month."),
        ("The limit is 7.5 mg/kg.", "The limit is 7.5 mg/l."),
        ("The memory has 7.5 Gb/s.", "The memory has 7.5 GB/s."),
        ("The memory has 7.5 GB/min.", "The memory has 7.5 GB/s."),
        ("The belt moves 7.5 km per day.", "The belt moves at 7.5 km/h."),
        ("流量为45升/小时。", "流量为45升/分钟。"),
        ("每小时流量45升。", "流量为每分钟45升。"),
        ("Give 5 mg weekly.", "Give 5 mg daily."),
        ("5升/小时", "| 型号 | 流量（升/分钟） |\n|---|---|\n| A | 5 |"),
    ]);
    let claim = "It handles 7,500 requests per day.";
    assert_eq!(
        doubts(claim, "It handles 7,500 requests per second."),
        [(DoubtKind::Unit, "7,500 requests per day".to_owned())]
    );
}

#[test]
fn everyday_units_are_told_apart_and_converted() {
    say_the_same(&[
        ("水箱重25斤。", "水箱重12.5公斤。"),
        ("黄金重10两。", "黄金重1斤。"),
        ("压力为0.6兆帕。", "压力为6巴。"),
        ("The pressure is 0.6 MPa.", "The pressure is 6 bar."),
        ("耗电7.5度。", "耗电7.5千瓦时。"),
        ("耗电7.5度电。", "It used 7.5 kWh."),
        ("今天20度。", "今天20摄氏度。"),
        ("航速15节。", "The ship sails at 15 knots."),
        ("55寸电视", "55英寸电视"),
        ("增长300%。", "增长3倍。"),
        ("人数是原来的两倍。", "The number doubled."),
        ("占75%。", "占7.5成。"),
        ("打八折。", "优惠20%。"),
        ("七五折优惠。", "按原价的75%销售。"),
        ("1台3折叠屏手机。", "1台3折叠屏手机售出。"),
        ("12 tons were moved.", "搬运了12吨。"),
        ("The box has 12 stone walls.", "箱子有12座石墙。"),
        ("利率由3升至5。", "利率由3升至5个点。"),
        ("2012两岸会谈。", "2012年两岸会谈。"),
        ("It has 12 pints.", "It has 1.5 gallons."),
        ("费用为5港元。", "香港分店的费用为5元。"),
        ("1,250 units were sold.", "售出1250台。"),
        ("2023年售出1,250台。", "In 2023, 1,250 units were sold."),
        ("It weighs 16 oz.", "It weighs 1 lb."),
    ]);
    differ(&[
        ("水箱重7.5斤。", "水箱重7.5公斤。"),
        ("水箱重7.5两。", "水箱重7.5公斤。"),
        ("水箱重7.5磅。", "水箱重7.5公斤。"),
        ("管道长7.5尺。", "管道长7.5米。"),
        ("管道长7.5寸。", "管道长7.5米。"),
        ("功率为7.5度。", "功率为7.5千瓦。"),
        ("耗电7.5千瓦。", "耗电7.5度。"),
        ("耗电7.5焦耳。", "耗电7.5度。"),
        ("面积为7.5坪。", "面积为7.5平方米。"),
        ("速度为7.5节。", "速度为7.5公里/小时。"),
        ("温度为7.5开。", "温度为7.5℃。"),
        ("比例为7.5成。", "比例为7.5%。"),
        ("比例为7.5倍。", "比例为7.5%。"),
        ("比例为7.5折。", "比例为7.5%。"),
        ("费用为7.5万港元。", "费用为7.5万元。"),
        ("The tank weighs 7.5 ounces.", "The tank weighs 7.5 kg."),
        ("The tank weighs 7.5 stone.", "The tank weighs 7.5 kg."),
        ("The tank weighs 7.5 tons.", "The tank weighs 7.5 kg."),
        ("The pipe is 7.5 nautical miles.", "The pipe is 7.5 m."),
        ("The tank holds 7.5 barrels.", "The tank holds 7.5 litres."),
        ("The motor has 7.5 horsepower.", "The motor has 7.5 kW."),
    ]);
}

#[test]
fn numbers_in_formulas_and_in_one_character_are_read() {
    say_the_same(&[
        ("It weighs $12.5$ kg.", "It weighs 12.5 kg."),
        (r"It weighs $12.5\,\mathrm{kg}$.", "It weighs 12.5 kg."),
        (r"Pressure: $6\,\text{bar}$", "Pressure: 6 bar"),
        (r"$P = 6\ \text{bar}$", "The pressure is 6 bar."),
        (r"The value is $3\times10^{8}$ m/s.", "The value is 3×10^8 m/s."),
        (r"The value is $3 \times 10^{8}$ m/s.", "The value is 3×10⁸ m/s."),
        (r"It is at $-20\,^{\circ}\mathrm{C}$.", "It is at -20 °C."),
        (r"It has \(7{,}500\) entries.", "It has 7,500 entries."),
        (r"The dose is $5\,\mu\mathrm{g}$.", "The dose is 5 µg."),
        (r"The length is $12.5\pm0.1$ mm.", "The length is 12.5 ± 0.1 mm."),
        (r"The loss is $0.5\times10^{-3}$.", "The loss is 0.0005."),
        ("It costs $5 and $6.", "It costs $5 and $6, in all $11."),
        ("It weighs 12½ kg.", "It weighs 12.5 kg."),
        ("It takes 2½ hours.", "It takes 150 minutes."),
        ("Open 9–17.", "Open from 9 am to 5 pm."),
        ("Profits rose in H1 2024.", "Profits rose in the first half of 2024."),
        ("2024年上半年利润增长。", "Profits rose in H1 2024."),
        ("民國108年發布。", "2019年发布。"),
        ("電纜最長25米。", "电缆长度不能超过25米。"),
        ("电缆长度不能超过25米。", "电缆最长25米。"),
        ("文件大小不得大于10MB。", "文件最大10MB。"),
        ("資料庫伺服器有3台。", "数据库服务器有3台。"),
        ("Opening the motor is prohibited for users.", "The motor must not be opened by the user."),
    ]);
    differ(&[
        (r"It weighs $12.6\,\mathrm{kg}$.", "It weighs 12.5 kg."),
        (r"It weighs $12.5\,\mathrm{g}$.", "It weighs 12.5 kg."),
        (r"The value is $3\times10^{9}$ m/s.", "The value is 3×10^8 m/s."),
        (r"The dose is $5\,\mathrm{mg}$.", "The dose is 5 µg."),
        ("It costs €5 and €6.", "It costs $5 and $6, in all $11."),
        ("It weighs 12¾ kg.", "It weighs 12.5 kg."),
        ("Open 9–18.", "Open from 9 am to 5 pm."),
        ("Profits rose in H2 2024.", "Profits rose in the first half of 2024."),
        ("2024年下半年利润增长。", "Profits rose in H1 2024."),
        ("民國109年發布。", "2019年发布。"),
        ("电缆长度不能超过35米。", "电缆最长25米。"),
    ]);
}

#[test]
fn what_a_heading_names_is_said_of_what_stands_below_it() {
    const PUMP: &str = "# Falcon 300\n\nThe pump weighs 12.5 kg. The Falcon 500 weighs 19 kg.";
    const TABLE: &str = "# Falcon 300\n\nThe pump delivers 45 litres per minute and weighs 12.5 kg.\n\n| model | weight |\n|---|---|\n| Falcon 500 | 19 |";
    say_the_same(&[
        ("The Falcon 300 weighs 12.5 kg.", PUMP),
        ("The Falcon 500 weighs 19 kg.", PUMP),
        ("The Falcon 300 weighs 12.5 kg.", TABLE),
        ("猎鹰300重12.5公斤。", "# 猎鹰300\n\n水泵重12.5公斤。猎鹰500重19公斤。"),
        ("Version 3.2 needs 4 GB.", "# Version 3.2\n\nThis release needs 4 GB. Version 3.1 needed 2 GB."),
    ]);
    differ(&[
        ("The Falcon 300 weighs 19 kg.", PUMP),
        ("The Falcon 400 weighs 12.5 kg.", PUMP),
        ("The Falcon 300 weighs 13 kg.", PUMP),
        ("Version 3.2 needs 2 GB.", "# Version 3.2\n\nThis release needs 4 GB. Version 3.1 needs 2 GB."),
    ]);
    let told = Evidence::new("The pump weighs 12.5 kg. The Falcon 500 weighs 19 kg.", false, &["Falcon 300"]);
    for (claim, wanted) in [("The Falcon 300 weighs 12.5 kg.", 0), ("The Falcon 300 weighs 19 kg.", 1)] {
        assert_eq!(check(claim, 0..claim.len(), &[&told]).len(), wanted, "{claim}");
    }
}
