//! What is said nearly in a source's own words, with one piece of it replaced: both are laid side by side, word by word and
//! character by character. So names are told that no capital tells, as in Chinese, and values that the source has, but elsewhere.

use std::ops::Range;

use super::common::{is_common, is_measured};
use super::function::is_function;
use super::lex::{Kind, Token, is_han};
use super::number::Match;
use super::place::View;
use super::reading::{Reading, is_han_function};
use super::value::Value;

/// Of what a claim says beside the piece, how much must be in the sentence, in order.
const ALIKE: f32 = 0.75;
/// The same of a claim that is the sentence itself, so that any other words in it are remarkable.
const VERBATIM: f32 = 0.92;
/// And of the source from its first word to its last.
const DENSE: f32 = 0.85;
/// Longest claims and sentences, in steps.
const LONGEST: usize = 400;
/// Steps of a replaced piece.
const PIECE: usize = 14;
/// Sentences that are compared.
const SENTENCES: usize = 3;

/// Places in the claim and in the source that say the same.
type Pairs = Vec<(usize, usize)>;

/// Pieces of the claim (tokens) that stand where the source says something else.
pub(super) fn replaced(view: &View<'_>, clause: &Range<usize>) -> Vec<Range<usize>> {
    let claim = view.words.get(clause.clone()).unwrap_or_default();
    if claim.len() > LONGEST || claim.is_empty() {
        return Vec::new();
    }
    let mut sentences: Vec<usize> = (0..view.source.sentences.len()).filter(|at| view.overlap(*at) > 0.0).collect();
    sentences.sort_by(|a, b| view.overlap(*b).total_cmp(&view.overlap(*a)));
    sentences.truncate(SENTENCES);
    let mut best: Option<(Pairs, Range<usize>)> = None;
    for at in sentences {
        let Some(sentence) = view.source.sentences.get(at).filter(|sentence| sentence.len() <= LONGEST) else { continue };
        let source: Vec<usize> = view.source.steps.get(sentence.clone()).unwrap_or_default().iter().map(|s| s.word).collect();
        let pairs = aligned(claim, &source);
        if best.as_ref().is_none_or(|(found, _)| pairs.len() > found.len()) {
            best = Some((pairs, sentence.clone()));
        }
    }
    let Some((pairs, sentence)) = best else { return Vec::new() };
    let end = (claim.len(), sentence.len());
    let pairs = without_strays(&pairs, end);
    let mut replaced = Vec::new();
    let mut before: Option<(usize, usize)> = None;
    for pair in pairs.iter().copied().map(Some).chain([None]) {
        let from = before.map_or((0, 0), |(a, b)| (a + 1, b + 1));
        let to = pair.unwrap_or(end);
        before = pair;
        let (mine, its) = (to.0 - from.0, to.1 - from.1);
        let alike = pairs.len() as f32 / (claim.len() - mine).max(1) as f32;
        if mine == 0
            || its == 0
            || mine > PIECE
            || its > PIECE
            || alike < ALIKE
            || pairs.len() < 4
            || !held(&pairs, from, to, end)
        {
            continue;
        }
        // Where it stands in the source, nothing else is said in between.
        let reach = pairs.last().zip(pairs.first()).map_or(1, |(last, first)| last.1 + 1 - first.1);
        let inner = if from.1 > 0 && to.1 < end.1 { its } else { 0 };
        let dense = pairs.len() as f32 >= DENSE * reach.saturating_sub(inner).max(1) as f32;
        let verbatim = alike >= VERBATIM && dense && pairs.len() >= 5;
        let whole = alike >= VERBATIM && pairs.len() as f32 >= VERBATIM * (sentence.len() - its) as f32;
        let piece = clause.start + from.0..clause.start + to.0;
        let there = sentence.start + from.1..sentence.start + to.1;
        let token = |step: usize| view.claim.steps.get(step).map_or(0, |step| step.token);
        match values_differ(view, &piece, &there, &sentence, verbatim) {
            Some(Some(value)) => replaced.push(value),
            None if is_other_name(view, &piece, &there, whole) => {
                replaced.push(token(piece.start)..token(piece.end - 1) + 1);
            }
            Some(None) | None => {}
        }
    }
    replaced
}

/// Single steps that agree by chance, in the midst of what does not.
fn without_strays(pairs: &[(usize, usize)], end: (usize, usize)) -> Pairs {
    let follows = |a: Option<&(usize, usize)>, b: Option<&(usize, usize)>| match (a, b) {
        (Some(a), Some(b)) => a.0 + 1 == b.0 && a.1 + 1 == b.1,
        (None, Some(b)) => *b == (0, 0),
        (Some(a), None) => (a.0 + 1, a.1 + 1) == end,
        (None, None) => false,
    };
    let stray = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| pairs.get(at));
        !follows(before, pairs.get(at)) && !follows(pairs.get(at), pairs.get(at + 1))
    };
    (0..pairs.len()).filter(|at| !stray(*at)).filter_map(|at| pairs.get(at).copied()).collect()
}

/// Whether both sides of a gap hold it: two steps that agree, or one and the end of both, or the end.
fn held(pairs: &[(usize, usize)], from: (usize, usize), to: (usize, usize), end: (usize, usize)) -> bool {
    let has = |a: Option<usize>, b: Option<usize>| a.zip(b).is_some_and(|pair| pairs.binary_search(&pair).is_ok());
    let back = |at: usize| has(from.0.checked_sub(at), from.1.checked_sub(at));
    let ahead = |at: usize| has(Some(to.0 + at), Some(to.1 + at));
    let left = from == (0, 0) || back(1) && (back(2) || from == (1, 1));
    let right = to == end || ahead(0) && (ahead(1) || (to.0 + 1, to.1 + 1) == end);
    left && right
}

fn tokens<'a>(reading: &'a Reading, steps: &Range<usize>) -> Vec<&'a Token> {
    let steps = reading.steps.get(steps.clone()).unwrap_or_default();
    steps.iter().filter_map(|step| reading.tokens.get(step.token)).collect()
}

/// Whether a replaced piece is a matter of names, rather than of other words for the same.
fn is_other_name(view: &View<'_>, piece: &Range<usize>, there: &Range<usize>, whole: bool) -> bool {
    let (mine, its) = (tokens(view.claim, piece), tokens(view.source, there));
    let telling = |token: &&&Token| !is_function(&token.key);
    if mine.iter().all(|token| token.kind == Kind::Word) {
        let capitals = |tokens: &[&Token]| {
            tokens.iter().filter(telling).all(|token| token.kind == Kind::Word && token.capital)
                && tokens.iter().any(|t| telling(&t))
        };
        let known = mine.iter().filter(telling).all(|token| its.iter().any(|other| other.key == token.key));
        let sure = its.iter().chain(&mine).any(|token| view.source.is_sure_name(&token.key))
            || mine.iter().filter(|token| token.capital).count() > 1
            || whole && !begins_an_order(view.claim, piece);
        return capitals(&mine) && capitals(&its) && sure && !known;
    }
    let han = |tokens: &[&Token]| tokens.iter().all(|token| token.kind == Kind::Han) && tokens.len() > 1;
    let text = |tokens: &[&Token]| tokens.iter().map(|token| &*token.key).collect::<String>();
    if !han(&mine) || its.iter().any(|token| token.kind == Kind::Number) {
        return false;
    }
    // The source says it, at another place: of what "he" did there, a claim may name him.
    let words = view.words.get(piece.clone()).unwrap_or_default();
    let steps = &view.source.steps;
    let elsewhere =
        steps.windows(words.len()).any(|window| window.iter().zip(words).all(|(step, word)| Some(step.word) == *word));
    let (said, told) = (text(&mine), text(&its));
    let names = (is_name(&said), is_name(&told) || its.iter().any(|token| token.kind == Kind::Word));
    // Of two characters are most words that are said for each other.
    let long = mine.len() > 2 || its.len() > 2;
    let bound = is_bound(&said) || is_bound(&told);
    let functional = bound || mine.iter().any(|token| is_grammar(&token.key)) || is_said_of(view, &mine);
    let common = is_common(&said) && is_common(&told) || is_measured(&said) || is_measured(&told);
    !functional && !common && (whole && (names.0 || names.1 || long) || !elsewhere && names == (true, true))
}

/// Whether a piece ends in a copula (`长度为`), as no name does, or joins by one what the source says without (`校长为邱勇`).
fn is_said_of(view: &View<'_>, piece: &[&Token]) -> bool {
    let is_copula = |token: &&Token| matches!(&*token.key, "为" | "是");
    let known = |part: &[&Token]| {
        let steps = &view.source.steps;
        let key = |at: usize| steps.get(at).and_then(|step| view.source.tokens.get(step.token)).map(|token| &*token.key);
        part.is_empty()
            || (0..steps.len()).any(|begin| part.iter().enumerate().all(|(at, token)| key(begin + at) == Some(&*token.key)))
    };
    piece.last().is_some_and(is_copula) || piece.iter().any(is_copula) && piece.split(is_copula).all(known)
}

/// `Rotate the keys`: no name begins the sentence, but a word that another may stand for.
fn begins_an_order(claim: &Reading, piece: &Range<usize>) -> bool {
    let key = |step: usize| claim.steps.get(step).and_then(|step| claim.tokens.get(step.token)).map(|token| &*token.key);
    let Some(first) = key(piece.start).filter(|_| piece.len() == 1) else { return false };
    let ordered = ["the", "a", "an", "your", "this", "these", "all", "each", "every", "any", "it", "them", "its", "their"];
    first.ends_with("ing") || first.ends_with("ly") || key(piece.end).is_none_or(|next| ordered.contains(&next))
}

/// The first of the claim's values in a piece that none of the source's in the other is, if there is one; `None` where one has none.
#[expect(clippy::option_option, reason = "no values, no difference, a difference")]
fn values_differ(
    view: &View<'_>,
    piece: &Range<usize>,
    there: &Range<usize>,
    sentence: &Range<usize>,
    verbatim: bool,
) -> Option<Option<Range<usize>>> {
    let inside = |reading: &Reading, steps: &Range<usize>, tokens: &Range<usize>| {
        let its = reading.steps_of(tokens);
        its.start < steps.end && steps.start < its.end
    };
    let its: Vec<_> = view.source.values.iter().filter(|value| inside(view.source, there, &value.tokens)).collect();
    let mut mine = view.claim.values.iter().filter(|value| inside(view.claim, piece, &value.tokens)).peekable();
    if mine.peek().is_none() || its.is_empty() {
        return None;
    }
    let near: Vec<_> = view.source.values.iter().filter(|value| inside(view.source, sentence, &value.tokens)).collect();
    let differs = mine.find(|mine| {
        let matches = |values: &[&Value], wanted: Match| values.iter().any(|value| value.against(mine) == wanted);
        mine.is_firm()
            && !matches(&its, Match::Same)
            && (matches(&its, Match::Other) || matches(&its, Match::Unit))
            && (verbatim || !matches(&near, Match::Same))
    });
    Some(differs.map(|value| value.tokens.clone()))
}

/// `长度不能超过`: words of a limit.
fn is_bound(text: &str) -> bool {
    ["不能", "不得", "不可", "不应", "不超", "超过", "大于", "小于", "高于", "低于", "多于", "少于", "至少", "至多"]
        .iter()
        .any(|word| text.contains(word))
        || text
            .strip_prefix('最')
            .is_some_and(|rest| rest.starts_with(['大', '小', '多', '少', '长', '短', '高', '低', '重', '快']))
}

/// Characters of which sentences are made, not names.
fn is_grammar(key: &str) -> bool {
    "的是有在了被叫最也就都而这那些么吗呢吧很更又再还".contains(key)
}

/// Whether Chinese characters look like a name: sounds of a foreign one, a family and its given name, a place, an institution.
fn is_name(text: &str) -> bool {
    const SOUNDS: &str = "阿埃艾爱安奥澳巴拜班邦包保鲍贝本比彼别宾波勃博伯布查察达戴丹道德登邓狄迪蒂丁东杜敦多厄恩尔法范菲费芬丰冯弗福夫富盖甘冈高戈格葛根古瓜哈海汉翰豪赫亨洪胡华怀惠霍基吉季加贾简杰捷金津卡凯坎康考柯科克肯库夸奎昆拉莱兰朗劳勒雷黎里李理利莉丽莲连良列林琳龙卢鲁路露伦罗洛马玛迈麦曼芒茅梅门蒙米密敏明缪莫墨默姆木穆纳娜奈南瑙内尼妮宁牛纽努诺欧帕潘庞佩彭皮匹平泼珀普浦奇契恰乔钦琴丘屈琼热让日荣茹瑞若撒萨塞赛桑瑟森沙莎山尚舍申圣施石史士舒斯丝司松苏索塔泰坦汤特滕提田廷图托脱瓦万汪旺威韦维魏温文翁沃乌吾伍武西希锡夏香肖谢辛欣休修许雪逊雅亚扬耶叶伊依易因英尤于约扎泽詹珍朱兹祖佐";
    const FAMILIES: &str = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林罗高郑梁谢宋唐许邓冯韩曹曾彭萧肖蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武戴莫孔向汤";
    const ENDS: &str = "国省市县区镇乡村州岛山河湖海江洲路街桥站寺庙宫殿塔馆院校局部会社党军队族王帝后公侯伯爵司学银行团府城港湾园场厂店厅所语教派朝代书报刊奖杯赛号型星人";
    const PLACES: &str = "北京 上海 天津 重庆 河北 河南 山西 山东 陕西 甘肃 青海 湖北 湖南 江西 江苏 浙江 安徽 福建 广东 广西 海南 四川 贵州 云南 西藏 新疆 宁夏 内蒙 辽宁 吉林 龙江 台湾 香港 澳门 台北 高雄 东京 大阪 京都 横滨 日本 朝鲜 韩国 首尔 越南 印度 缅甸 蒙古 伊朗 埃及 希腊 瑞士 瑞典 挪威 丹麦 荷兰 波兰 捷克 苏联 欧洲 亚洲 非洲 南美 北美 巴黎 伦敦 柏林 深圳 厦门 青岛 大连 宁波 无锡 武昌 洛阳 长安 开封 咸阳 邯郸";
    let characters: Vec<char> = text.chars().filter(|c| is_han(*c)).collect();
    if PLACES.split(' ').any(|place| text.contains(place)) {
        return true;
    }
    let (Some(first), Some(last)) = (characters.first(), characters.last()) else { return false };
    let functional = characters.iter().filter(|c| is_han_function(c.encode_utf8(&mut [0; 4]))).count();
    if functional * 2 > characters.len() {
        return false;
    }
    let sounds = characters.iter().filter(|c| SOUNDS.contains(**c)).count();
    sounds * 3 >= characters.len() * 2
        || FAMILIES.contains(*first) && (2..=3).contains(&characters.len())
        || ENDS.contains(*last) && characters.len() > 1
}

/// The longest common subsequence, as pairs of places.
fn aligned(claim: &[Option<usize>], source: &[usize]) -> Vec<(usize, usize)> {
    let width = source.len() + 1;
    let mut table = vec![0_u16; (claim.len() + 1) * width];
    let at = |row: usize, column: usize| row * width + column;
    let same =
        |row: usize, column: usize| claim.get(row).copied().flatten().is_some_and(|word| source.get(column) == Some(&word));
    for row in (0..claim.len()).rev() {
        for column in (0..source.len()).rev() {
            let get = |row, column| table.get(at(row, column)).copied().unwrap_or_default();
            let best =
                if same(row, column) { get(row + 1, column + 1) + 1 } else { get(row + 1, column).max(get(row, column + 1)) };
            if let Some(cell) = table.get_mut(at(row, column)) {
                *cell = best;
            }
        }
    }
    let get = |row, column| table.get(at(row, column)).copied().unwrap_or_default();
    let (mut row, mut column, mut pairs) = (0, 0, Vec::new());
    while row < claim.len() && column < source.len() {
        if same(row, column) && get(row, column) == get(row + 1, column + 1) + 1 {
            pairs.push((row, column));
            (row, column) = (row + 1, column + 1);
        } else if get(row + 1, column) >= get(row, column + 1) {
            row += 1;
        } else {
            column += 1;
        }
    }
    pairs
}
