//! The two scripts of Chinese: what is written in the one is looked up in the other.

use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::RandomState;

/// Frequent characters that differ: the traditional one, then the simplified one.
const PAIRS: &str = "萬万與与專专業业東东絲丝兩两嚴严喪丧個个豐丰臨临為为麗丽舉举麼么義义烏乌樂乐喬乔習习鄉乡書书買买亂乱爭争虧亏雲云亞亚產产畝亩親亲\
億亿僅仅從从倉仓儀仪們们價价眾众優优會会傘伞偉伟傳传傷伤倫伦偽伪體体餘余傭佣僑侨側侧偵侦債债傾倾償偿儲储兒儿黨党蘭兰關关興兴養养\
獸兽內内岡冈冊册寫写軍军農农馮冯決决況况凍冻淨净準准涼凉減减湊凑幾几鳳凤憑凭凱凯擊击鑿凿劉刘則则剛刚創创刪删別别劑剂劍剑劇剧勸劝\
辦办務务動动勵励勁劲勞劳勢势勳勋匯汇區区醫医華华協协單单賣卖盧卢衛卫卻却廠厂廳厅歷历厲厉壓压厭厌廁厕廂厢縣县參参雙双發发變变敘叙\
葉叶號号嘆叹嚇吓嗎吗啟启吳吴員员聽听嗚呜響响問问喚唤喲哟嚐尝團团園园圍围國国圖图圓圆聖圣場场壞坏塊块堅坚壇坛壩坝墳坟墜坠壟垄壘垒\
墾垦牆墙壯壮聲声殼壳壺壶處处備备復复夠够頭头夾夹奪夺奮奋獎奖奧奥婦妇媽妈嫵妩姍姗婁娄嬰婴孫孙學学寧宁寶宝實实寵宠審审憲宪宮宫寬宽\
賓宾寢寝對对尋寻導导壽寿將将爾尔塵尘嘗尝堯尧屍尸盡尽層层屬属屆届歲岁豈岂嶺岭島岛峽峡崗岗幣币帥帅師师帳帐簾帘幟帜帶带幫帮廣广莊庄\
慶庆庫库應应廟庙龐庞廢废開开異异棄弃張张彎弯彈弹強强歸归當当錄录徹彻徑径禦御憶忆憂忧懷怀態态總总懸悬戀恋懇恳惡恶慘惨慣惯憤愤憐怜\
戲戏戰战戶户撲扑執执擴扩掃扫揚扬擾扰撫抚拋抛搶抢護护報报擔担擬拟擁拥攔拦擇择掛挂擋挡掙挣揮挥損损換换據据攜携攝摄擺摆搖摇攤摊撐撑\
敵敌斂敛數数齋斋鬥斗斬斩斷断無无舊旧時时曠旷顯显晉晋曬晒曉晓暫暂術术樸朴機机殺杀雜杂權权條条來来楊杨傑杰極极構构槍枪櫃柜檸柠標标\
棧栈棟栋欄栏樹树樣样橋桥檔档夢梦檢检樓楼歐欧歡欢殘残毀毁畢毕斃毙氣气漢汉湯汤溝沟沒没滄沧滬沪淚泪瀉泻潑泼澤泽潔洁灑洒淺浅漿浆測测\
濟济瀏浏渾浑濃浓濤涛漲涨漸渐漁渔滲渗溫温灣湾濕湿滯滞滿满濾滤濫滥濱滨灘滩滅灭燈灯靈灵災灾爐炉點点煉炼爛烂燭烛煙烟煩烦燒烧熱热愛爱\
爺爷牽牵犧牺狀状猶犹獨独狹狭獄狱貓猫獻献獵猎環环現现電电畫画暢畅療疗瘋疯癢痒癥症癒愈皺皱鹽盐監监蓋盖盤盘睜睁瞭了礎础確确礦矿碼码\
磚砖禮礼禍祸離离種种稱称積积穩稳窮穷竊窃競竞筆笔簡简籃篮類类糧粮糾纠紅红紀纪約约級级純纯紙纸納纳紐纽線线練练組组細细織织終终紹绍\
經经結结給给絡络絕绝統统絹绢綁绑繼继績绩緒绪續续維维綿绵綜综綠绿編编緣缘縮缩網网羅罗罰罚職职聯联聰聪肅肃腸肠腎肾脹胀膽胆勝胜腦脑\
臉脸臟脏艦舰藝艺節节蘇苏範范莖茎薦荐榮荣藥药蘆芦蒼苍蓮莲獲获營营蕭萧薩萨藍蓝蟲虫雖虽蝦虾蠶蚕補补裝装複复襲袭見见觀观規规視视覺觉\
覽览計计訂订認认討讨讓让訓训議议記记講讲許许論论設设訪访證证評评識识訴诉診诊詞词試试詩诗話话誠诚該该詳详語语誤误說说請请諸诸課课\
調调談谈謀谋謝谢謹谨譯译讀读豬猪貝贝負负貢贡財财責责賢贤敗败貨货質质販贩貪贪貧贫購购貿贸費费貼贴貴贵貸贷賀贺資资賽赛賞赏賴赖贈赠\
贏赢趙赵趕赶趨趋躍跃車车軌轨軟软轉转輪轮輕轻載载較较輔辅輛辆輸输轄辖辭辞邊边遼辽達达遷迁過过運运還还這这進进遠远違违連连遲迟適适\
選选遞递遺遗鄧邓鄭郑鄰邻鄲郸醬酱釋释針针釘钉鈔钞鋼钢鋪铺錢钱錯错鍋锅鍵键鎮镇鏡镜鐘钟鐵铁鑑鉴長长門门閉闭間间閱阅闆板隊队陽阳陰阴\
陣阵階阶際际陸陆陳陈險险隨随隱隐難难霧雾靜静頂顶項项順顺須须預预領领頗颇頻频題题額额顏颜願愿顧顾風风飛飞飯饭飲饮飾饰館馆馬马駐驻\
駕驾驗验騎骑驚惊驅驱骯肮髮发鬧闹魚鱼魯鲁鮮鲜鳥鸟雞鸡鳴鸣麥麦黃黄齊齐齒齿龍龙龜龟後后裡里裏里週周臺台隻只幹干劃划爲为啓启衆众牀床\
峯峰羣群鍾钟噸吨釐厘頃顷韓韩鎊镑頁页貳贰顆颗茲兹銷销";

static SIMPLIFIED: LazyLock<HashMap<char, char, RandomState>> =
    LazyLock::new(|| pairs().filter(|(one, other)| one != other).collect());

fn pairs() -> impl Iterator<Item = (char, char)> {
    let mut characters = PAIRS.chars();
    std::iter::from_fn(move || characters.next().zip(characters.next()))
}

/// The simplified form of a character, where it is a frequent one that has another.
pub(crate) fn simplified(character: char) -> char {
    SIMPLIFIED.get(&character).copied().unwrap_or(character)
}

static TRADITIONAL: LazyLock<HashMap<char, Vec<char>, RandomState>> = LazyLock::new(|| {
    let mut traditional: HashMap<char, Vec<char>, RandomState> = HashMap::default();
    for (one, other) in pairs().filter(|(one, other)| one != other) {
        traditional.entry(other).or_default().push(one);
    }
    traditional
});

/// The other ways in which a word may be written: simplified, and in traditional characters, of which some have one simplified form in
/// common (`发`: `發` and `髮`). None for most words.
pub(crate) fn otherwise_written(word: &str) -> Vec<String> {
    /// A pair of characters has four at most, as a rule.
    const MOST: usize = 8;
    let plain: String = word.chars().map(simplified).collect();
    let mut written = vec![String::new()];
    for character in plain.chars() {
        let forms = TRADITIONAL.get(&character).map_or(&[][..], Vec::as_slice);
        // Some are characters of the traditional script, too.
        let itself = Some(character).filter(|_| forms.is_empty() || is_of_both(character));
        let forms = || forms.iter().copied().chain(itself);
        written = written.iter().flat_map(|word| forms().map(move |form| format!("{word}{form}"))).take(MOST).collect();
    }
    written.push(plain);
    let mut others: Vec<String> = Vec::new();
    for other in written {
        if other != word && !others.contains(&other) {
            others.push(other);
        }
    }
    others
}

/// A simplified form that is a character of its own in the traditional script (`后`, `里`, `云`), and not rare there.
fn is_of_both(character: char) -> bool {
    "云万余台后里几准只干系征松谷板斗丰升尸了曲朴价范愈舍获症丑借么御灶折致周帘复注冬咸佣叶适".contains(character)
}

/// A script of Chinese.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Simplified,
    Traditional,
}

static ONLY: LazyLock<HashMap<char, Variant, RandomState>> = LazyLock::new(|| {
    let mut only = HashMap::default();
    for (traditional, simplified) in pairs().filter(|(one, other)| one != other) {
        only.insert(traditional, Variant::Traditional);
        if !is_of_both(simplified) {
            only.insert(simplified, Variant::Simplified);
        }
    }
    only
});

/// Which script a text is in, by the frequent characters that only one has; `None`: it has none, or of both (one in ten is a name or a
/// slip).
pub(crate) fn variant(text: &str) -> Option<Variant> {
    let (mut simplified, mut traditional) = (0_usize, 0_usize);
    for variant in text.chars().filter_map(|character| ONLY.get(&character)) {
        match variant {
            Variant::Simplified => simplified += 1,
            Variant::Traditional => traditional += 1,
        }
    }
    if simplified > 10 * traditional {
        Some(Variant::Simplified)
    } else if traditional > 10 * simplified {
        Some(Variant::Traditional)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_characters_have_their_other_form_and_tell_the_script() {
        assert!(PAIRS.chars().count().is_multiple_of(2));
        assert!(pairs().all(|(one, other)| [one, other].iter().all(|c| ('\u{4E00}'..='\u{9FFF}').contains(c))));
        let fold = |text: &str| text.chars().map(simplified).collect::<String>();
        assert_eq!(fold("資治通鑑與歷史，兩個小時"), "资治通鉴与历史，两个小时");
        assert_eq!(fold("兩個星期，四十五分鐘，6個月，3公噸"), "两个星期，四十五分钟，6个月，3公吨");
        assert_eq!(fold("公司 abc"), "公司 abc");
        assert_eq!(variant("資治通鑑"), Some(Variant::Traditional));
        assert_eq!(variant("资治通鉴"), Some(Variant::Simplified));
        assert_eq!(variant("品質是企業的生命線"), Some(Variant::Traditional));
        assert_eq!((variant("公司"), variant("后山"), variant("资 資")), (None, None, None));
        let others = |word: &str| otherwise_written(word).join(" ");
        assert_eq!((others("機房"), others("机房"), others("公司")), ("机房".to_owned(), "機房".to_owned(), String::new()));
        assert_eq!((others("头发").as_str(), others("頭髮").as_str()), ("頭發 頭髮", "頭發 头发"));
        assert_eq!((others("后台"), others("abc")), ("後臺 後台 后臺".to_owned(), String::new()));
        // Each is simplified in one step.
        assert!(pairs().all(|(_, other)| simplified(other) == other), "{:?}", pairs().find(|(_, o)| simplified(*o) != *o));
    }
}
