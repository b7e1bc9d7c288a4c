//! Units that are written in Chinese characters.

use super::measure::{Unit, unit};

/// The unit that a word is.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(super) fn han(word: &str) -> Option<Unit> {
    use super::measure::Measure::{
        ApparentPower, Area, AustralianDollar, Barrels, Bits, Bytes, Calories, CanadianDollar, Celsius, Century, Charge, Chi,
        Current, Degree, Energy, Euro, Fahrenheit, Force, Franc, Frequency, Gallons, HongKongDollar, Horsepower, Kelvin,
        Length, Mass, Months, Ping, Points, Pound, Power, Pressure, Renminbi, Rouble, Rupee, Sections, SingaporeDollar,
        TaiwanDollar, Time, Times, UsDollar, Voltage, Volume, Won, WorkDays, Yen, Yuan,
    };
    Some(match word {
        "微秒" => unit(Time, 1, -6),
        "毫秒" => unit(Time, 1, -3),
        "秒" | "秒钟" => unit(Time, 1, 0),
        "分钟" => unit(Time, 60, 0),
        "小时" | "个小时" => unit(Time, 3600, 0),
        "天" | "自然日" | "个自然日" => unit(Time, 86_400, 0),
        "工作日" | "个工作日" => unit(WorkDays, 1, 0),
        "周" | "星期" | "个星期" | "礼拜" | "个礼拜" => unit(Time, 604_800, 0),
        "个月" => unit(Months, 1, 0),
        "年" | "周年" => unit(Months, 12, 0),
        "世纪" => unit(Century, 1, 0),
        "字节" | "位元组" => unit(Bytes, 1, 0),
        "千字节" => unit(Bytes, 1, 3),
        "兆字节" => unit(Bytes, 1, 6),
        "吉字节" | "千兆字节" => unit(Bytes, 1, 9),
        "太字节" => unit(Bytes, 1, 12),
        "比特" => unit(Bits, 1, 0),
        "千比特" => unit(Bits, 1, 3),
        "兆比特" => unit(Bits, 1, 6),
        "吉比特" | "千兆比特" => unit(Bits, 1, 9),
        "纳米" => unit(Length, 1, -9),
        "微米" => unit(Length, 1, -6),
        "毫米" | "公厘" => unit(Length, 1, -3),
        "厘米" | "公分" => unit(Length, 1, -2),
        "米" | "公尺" => unit(Length, 1, 0),
        "公里" | "千米" => unit(Length, 1, 3),
        "里" | "华里" => unit(Length, 500, 0),
        "丈" => unit(Chi, 1, 1),
        "尺" => unit(Chi, 1, 0),
        "寸" => unit(Chi, 1, -1),
        "分米" => unit(Length, 1, -1),
        "海里" => unit(Length, 1852, 0),
        "英里" => unit(Length, 1_609_344, -3),
        "英尺" => unit(Length, 3048, -4),
        "英寸" => unit(Length, 254, -4),
        "码" => unit(Length, 9144, -4),
        "节" => unit(Sections, 1, 0),
        "平方米" | "平米" => unit(Area, 15, -4),
        "亩" => unit(Area, 1, 0),
        "公顷" => unit(Area, 15, 0),
        "平方公里" | "平方千米" => unit(Area, 1500, 0),
        "坪" => unit(Ping, 1, 0),
        "英亩" => unit(Area, 60_702_846_336, -10),
        "微克" => unit(Mass, 1, -9),
        "毫克" => unit(Mass, 1, -6),
        "克" | "公克" => unit(Mass, 1, -3),
        "克拉" => unit(Mass, 2, -4),
        "公斤" | "千克" => unit(Mass, 1, 0),
        "吨" | "公吨" => unit(Mass, 1, 3),
        // Order of the State Council on units of 1959: ten 两 are a 斤, of half a kilogram.
        "斤" | "市斤" => unit(Mass, 5, -1),
        "两" => unit(Mass, 5, -2),
        "磅" => unit(Mass, 45_359_237, -8),
        "盎司" => unit(Mass, 28_349_523_125, -12),
        "赫兹" => unit(Frequency, 1, 0),
        "千赫" | "千赫兹" => unit(Frequency, 1, 3),
        "兆赫" | "兆赫兹" => unit(Frequency, 1, 6),
        "吉赫" | "吉赫兹" | "千兆赫" | "千兆赫兹" => unit(Frequency, 1, 9),
        "毫瓦" => unit(Power, 1, -3),
        "瓦" | "瓦特" => unit(Power, 1, 0),
        "千瓦" | "千瓦特" => unit(Power, 1, 3),
        "兆瓦" | "兆瓦特" => unit(Power, 1, 6),
        "吉瓦" => unit(Power, 1, 9),
        "马力" => unit(Horsepower, 1, 0),
        "千伏安" => unit(ApparentPower, 1, 3),
        "兆伏安" => unit(ApparentPower, 1, 6),
        "瓦时" => unit(Energy, 3600, 0),
        "度" => unit(Degree, 1, 0),
        "千瓦时" | "千瓦小时" | "度电" => unit(Energy, 3600, 3),
        "兆瓦时" | "兆瓦小时" => unit(Energy, 3600, 6),
        "吉瓦时" => unit(Energy, 3600, 9),
        "太瓦时" => unit(Energy, 3600, 12),
        "焦耳" => unit(Energy, 1, 0),
        "千焦" | "千焦耳" => unit(Energy, 1, 3),
        "兆焦" | "兆焦耳" => unit(Energy, 1, 6),
        "千卡" | "大卡" => unit(Calories, 1, 3),
        "毫伏" => unit(Voltage, 1, -3),
        "伏特" => unit(Voltage, 1, 0),
        "千伏" | "千伏特" => unit(Voltage, 1, 3),
        "毫安" => unit(Current, 1, -3),
        "安培" => unit(Current, 1, 0),
        "千安" | "千安培" => unit(Current, 1, 3),
        "毫安时" => unit(Charge, 1, -3),
        "安时" => unit(Charge, 1, 0),
        "帕" | "帕斯卡" => unit(Pressure, 1, 0),
        "巴" => unit(Pressure, 1, 5),
        "大气压" | "个大气压" => unit(Pressure, 101_325, 0),
        "百帕" | "百帕斯卡" | "毫巴" => unit(Pressure, 1, 2),
        "千帕" | "千帕斯卡" => unit(Pressure, 1, 3),
        "兆帕" | "兆帕斯卡" => unit(Pressure, 1, 6),
        "吉帕" => unit(Pressure, 1, 9),
        "千牛" | "千牛顿" => unit(Force, 1, 3),
        "毫升" => unit(Volume, 1, -3),
        "升" | "公升" => unit(Volume, 1, 0),
        "千升" => unit(Volume, 1, 3),
        "加仑" => unit(Gallons, 1, 0),
        "夸脱" => unit(Gallons, 25, -2),
        "品脱" => unit(Gallons, 125, -3),
        "桶" => unit(Barrels, 1, 0),
        "摄氏度" => unit(Celsius, 1, 0),
        "华氏度" => unit(Fahrenheit, 1, 0),
        "开" | "开尔文" => unit(Kelvin, 1, 0),
        "倍" => unit(Times, 1, 2),
        "百分点" | "个百分点" => unit(Points, 1, 0),
        "基点" | "个基点" => unit(Points, 1, -2),
        "微升" => unit(Volume, 1, -6),
        "美元" | "美金" => unit(UsDollar, 1, 0),
        "港元" | "港币" => unit(HongKongDollar, 1, 0),
        "台币" | "新台币" => unit(TaiwanDollar, 1, 0),
        "澳元" => unit(AustralianDollar, 1, 0),
        "加元" => unit(CanadianDollar, 1, 0),
        "新元" => unit(SingaporeDollar, 1, 0),
        "人民币" => unit(Renminbi, 1, 0),
        "韩元" => unit(Won, 1, 0),
        "卢布" => unit(Rouble, 1, 0),
        "卢比" => unit(Rupee, 1, 0),
        "法郎" => unit(Franc, 1, 0),
        "欧元" => unit(Euro, 1, 0),
        "英镑" => unit(Pound, 1, 0),
        "元" | "圆" => unit(Yuan, 1, 0),
        "日元" | "日圆" => unit(Yen, 1, 0),
        _ => return None,
    })
}

/// Words that are no unit of the list and begin like one: other currencies and measures, and what is counted. `300克朗` are no grams.
/// None that other words could make together: `3天才` is three days, and only then.
pub(super) fn begins_like_a_unit(word: &str) -> bool {
    matches!(
        word,
        "克朗"
            | "克郎"
            | "克鲁赛罗"
            | "克瓦查"
            | "克隆"
            | "元素"
            | "元件"
            | "元组"
            | "圆形"
            | "圆桌"
            | "圆圈"
            | "圆心"
            | "圆点"
            | "圆柱"
            | "米粒"
            | "米粉"
            | "米饭"
            | "周岁"
            | "年级"
            | "天文单位"
            | "秒差距"
            | "吨位"
            | "吨公里"
            | "公斤力"
            | "千克力"
            | "毫米波"
            | "升至"
            | "升到"
            | "升为"
            | "升入"
            | "升级"
            | "升高"
            | "升降"
            | "升格"
            | "升任"
            | "升学"
            | "升起"
            | "升空"
            | "升上"
            | "升了"
            | "升回"
            | "升幅"
            | "升值"
            | "升温"
            | "升旗"
            | "桶装"
            | "磅礴"
            | "磅秤"
            | "倍数"
            | "倍频"
            | "倍率"
            | "倍速"
            | "倍镜"
            | "毫米汞柱"
            | "英尺磅"
            | "瓦片"
            | "瓦斯"
            | "比特币"
            | "牛羊"
            | "字节码"
            | "字节跳动"
    )
}

/// Whether a unit of one character is so where another follows: `2012两岸`, `3节课`, `3巴士` are none, `7.5两的` is.
pub(super) fn ends_there(unit: &str, next: &str) -> bool {
    const CAREFUL: &str = "两巴帕度节坪丈尺寸开码";
    const FOLLOWS: &str = "的左右以至到时和与或及内上下多余每就即后前为是也均可";
    !CAREFUL.contains(unit) || FOLLOWS.contains(next)
}
