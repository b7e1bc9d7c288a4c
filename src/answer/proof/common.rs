//! Chinese words that are no names, so that one of them may be said for another.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::language::script::simplified;

/// Frequent words, in simplified characters, separated by white space.
static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_zh.txt").split_whitespace().collect());
/// Characters of the longest.
const LONGEST: usize = 5;
/// What stands between them.
const PARTICLES: &str = "的地得是有在了着过被把将让给向从对与和及或并而也都就又再还更最很太较只才已曾正要会可能应须需请勿不没未无每各某其该本此这那几多些所之于以为";
/// What is measured.
const MEASURED: [&str; 60] = [
    "长度", "全长", "总长", "宽度", "高度", "全高", "深度", "厚度", "坡度", "面积", "占地", "体积", "容量", "容积", "重量",
    "质量", "体重", "身高", "海拔", "直径", "半径", "周长", "距离", "里程", "跨度", "价格", "售价", "造价", "定价", "标价",
    "单价", "总价", "票价", "房价", "成本", "费用", "耗资", "投资", "花费", "金额", "总额", "收入", "营收", "利润", "产值",
    "产量", "销量", "人口", "人数", "数量", "总数", "比例", "速度", "时速", "温度", "气温", "时间", "时长", "年龄", "规模",
];

/// Whether a piece ends in what is measured (`建筑面积`), so that the other is no name, either.
pub(super) fn is_measured(text: &str) -> bool {
    let text: String = text.chars().map(simplified).collect();
    MEASURED.iter().any(|measured| text.ends_with(measured))
}

/// Whether a piece is made of such words.
pub(super) fn is_common(text: &str) -> bool {
    let characters: Vec<char> = text.chars().map(simplified).collect();
    // Whether what goes before each character is made of words, and whether one of them is no particle.
    let mut made: Vec<Option<bool>> = vec![Some(false)];
    for end in 1..=characters.len() {
        let before = |length: usize| end.checked_sub(length).and_then(|begin| Some((begin, (*made.get(begin)?)?)));
        let is_word = |(begin, _): &(usize, bool)| {
            characters.get(*begin..end).is_some_and(|part| WORDS.contains(part.iter().collect::<String>().as_str()))
        };
        let by_word = (2..=LONGEST).any(|length| before(length).as_ref().is_some_and(is_word));
        let particle = before(1).filter(|(begin, _)| characters.get(*begin).is_some_and(|c| PARTICLES.contains(*c)));
        made.push(if by_word { Some(true) } else { particle.map(|(_, word)| word) });
    }
    made.last() == Some(&Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_alone_or_in_a_row_are_common_and_names_are_not() {
        assert!(WORDS.len() > 2000 && WORDS.iter().all(|word| (2..=LONGEST).contains(&word.chars().count())));
        for text in ["公司", "企业", "不少", "不得单独", "并不保存", "从不", "重要的建筑", "電影", "認為", "禁止进入"]
        {
            assert!(is_common(text), "{text}");
        }
        assert!(is_measured("建筑面积") && is_measured("占地面積") && !is_measured("面积的"));
        for text in ["王小明", "北京", "阿尔卑斯", "邱勇", "华为", "", "的", "公司王"] {
            assert!(!is_common(text), "{text}");
        }
    }
}
