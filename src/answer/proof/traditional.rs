//! Traditional characters of numbers, units and what stands beside them, as their Simplified ones.

/// The Simplified form of a character that tells of values; any other as it is. Not of all characters: names are compared as they are
/// written.
pub(super) fn simplified(c: char) -> char {
    /// Pairs of both forms.
    const FORMS: &str = "鐘钟鍾钟時时個个週周噸吨兩两億亿萬万點点號号餘余幾几歲岁圓圆釐厘頃顷畝亩納纳韓韩歐欧鎊镑盧卢幣币華华臺台達达過过約约\
                         級级紀纪內内後后負负虧亏減减條条項项層层戶户頁页張张隻只頭头種种類类屆届貳贰參参陸陆長长淨净損损間间冊册輛辆棟栋\
                         節节場场禮礼處处顆颗筆笔茲兹攝摄組组單单銷销額额產产";
    let mut forms = FORMS.chars();
    if c < '\u{4e00}' {
        return c;
    }
    while let (Some(traditional), Some(simplified)) = (forms.next(), forms.next()) {
        if traditional == c {
            return simplified;
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_one_and_others_stay() {
        let all = |text: &str| text.chars().map(simplified).collect::<String>();
        assert_eq!(all("兩個星期，四十五分鐘，6個月，3公噸"), "两个星期，四十五分钟，6个月，3公吨");
        assert_eq!(all("单位：亿元 km 司馬光"), "单位：亿元 km 司馬光");
        assert_eq!(simplified(simplified('億')), '亿');
    }
}
