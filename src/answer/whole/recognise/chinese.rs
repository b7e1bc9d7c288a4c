//! Forms of questions about all documents in Chinese.

/// 文档 and what else they are called, and what is told one by one in them.
const NOUNS: [&str; 40] = [
    "文档",
    "文檔",
    "文件",
    "文章",
    "报告",
    "報告",
    "记录",
    "記錄",
    "事故",
    "工单",
    "工單",
    "邮件",
    "郵件",
    "合同",
    "发票",
    "發票",
    "投诉",
    "投訴",
    "会议",
    "會議",
    "案例",
    "条目",
    "條目",
    "笔记",
    "筆記",
    "资料",
    "資料",
    "论文",
    "論文",
    "故障",
    "纪要",
    "紀要",
    "评论",
    "帖子",
    "访谈",
    "信件",
    "日志",
    "語料",
    "语料",
    "知识库",
];
const ALL: [&str; 20] = [
    "所有", "全部", "一切", "每个", "每個", "每一", "每条", "每條", "每篇", "每份", "每次", "每起", "每项", "每項", "各个",
    "各個", "各项", "各篇", "整个", "整個",
];

/// Whether a sentence is about all documents.
pub(super) fn chinese(sentence: &str) -> bool {
    const HOW: [&str; 16] = [
        "如何",
        "怎么",
        "怎麼",
        "怎样",
        "怎樣",
        "命令",
        "为什么",
        "為什麼",
        "为何",
        "能否",
        "接口",
        "函数",
        "步骤",
        "步驟",
        "什么时候",
        "哪个",
    ];
    let text: String =
        sentence.chars().filter(|c| !c.is_whitespace() && !matches!(c, '，' | ',' | '、' | '：' | ':')).collect();
    if !text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
        || HOW.iter().any(|how| text.contains(how))
        || text.ends_with(['吗', '嗎'])
    {
        return false;
    }
    listed(&text) || summed_up(&text) || counted(&text) || which(&text) || in_all(&text)
}

/// The text after the first of these that occurs, and the number of characters before it.
fn after<'a>(text: &'a str, words: &[&str]) -> Option<(usize, &'a str)> {
    let first = words.iter().filter_map(|word| Some((text.find(word)?, word.len()))).min()?;
    let before = text.get(..first.0)?.chars().count();
    Some((before, text.get(first.0 + first.1..)?))
}

/// Whether one of these begins within so many characters.
fn soon<'a>(text: &'a str, words: &[&str], within: usize) -> Option<&'a str> {
    after(text, words).filter(|(before, _)| *before <= within).map(|(_, rest)| rest)
}

/// 列出所有…, 把所有…列出来, 所有…的清单.
fn listed(text: &str) -> bool {
    const LIST: [&str; 22] = [
        "列出",
        "列举",
        "列舉",
        "罗列",
        "羅列",
        "枚举",
        "枚舉",
        "找出",
        "提取",
        "收集",
        "给出",
        "給出",
        "整理",
        "汇总",
        "彙總",
        "匯總",
        "统计",
        "統計",
        "给我",
        "給我",
        "告诉我",
        "盘点",
    ];
    /// A number of what is told one by one: 工单数量, not 统计日志的保存时间.
    const NUMBERS: [&str; 14] =
        ["数量", "數量", "个数", "個數", "总数", "總數", "次数", "次數", "份数", "件数", "条数", "篇数", "多少", "数目"];
    const DETAILS: [&str; 8] = ["信息", "資訊", "资讯", "详细信息", "细节", "細節", "详情", "詳情"];
    // An order begins the sentence, but for courtesies.
    if let Some(rest) = soon(text, &LIST, 6).filter(|_| !by_a_tool(text, &LIST)) {
        if let Some(what) = soon(rest, &ALL, 12) {
            // 所有关于密钥的信息 is one subject, and so is 全部细节; 所有信息安全事故 are many.
            return !what.starts_with("关于") && !what.starts_with("關於") && !what.is_empty() && !DETAILS.contains(&what);
        }
        if ["统计", "統計"].iter().any(|count| text.contains(count))
            && soon(rest, &NOUNS, 8).is_some_and(|rest| NUMBERS.iter().any(|number| rest.contains(number)))
        {
            return true;
        }
    }
    let turned = ["把", "将", "請把", "请把", "请将", "帮我把"].iter().any(|take| text.starts_with(take));
    let Some((_, rest)) = after(text, &ALL) else { return false };
    turned && after(rest, &["列出", "列举", "列一", "列成", "找出", "整理", "列舉", "概括", "总结", "總結"]).is_some()
        || ["列表", "清单", "清單", "名单", "名單", "一览", "一览表"].iter().any(|list| text.ends_with(list))
}

/// 写一个脚本列出…, 用 kubectl 列出…: what lists is a program.
fn by_a_tool(text: &str, list: &[&str]) -> bool {
    const MAKES: [&str; 12] = ["写", "寫", "编", "編", "实现", "實現", "开发", "開發", "设计", "設計", "创建", "創建"];
    const USES: [&str; 7] = ["用", "使用", "通过", "通過", "利用", "借助", "调用"];
    let Some((before, _)) = after(text, list) else { return false };
    let said: String = text.chars().take(before).collect();
    // 用表格列出 says in which form.
    let uses = after(&said, &USES).is_some_and(|(_, tool)| tool.starts_with(|c: char| c.is_ascii_alphanumeric()));
    uses || MAKES.iter().any(|makes| said.contains(makes))
}

/// 总结全部, 概括这些文档.
fn summed_up(text: &str) -> bool {
    const SUM: [&str; 11] = ["总结", "總結", "概括", "归纳", "歸納", "概述", "汇总", "彙總", "匯總", "梳理", "综述"];
    let Some(rest) = soon(text, &SUM, 6) else { return false };
    if let Some(what) = soon(rest, &ALL, 6) {
        // 整个恢复流程 is one thing.
        let whole = ["整个", "整個"].iter().any(|whole| rest.contains(whole));
        return !whole || soon(what, &NOUNS, 3).is_some();
    }
    let documents = ["文档", "文檔", "文件", "资料", "資料", "语料", "笔记", "知识库"];
    soon(rest, &documents, 4)
        .is_some_and(|after| after.is_empty() || ["的", "内容", "库", "的内容"].iter().any(|end| after.starts_with(end)))
        && !["这份", "这篇", "该", "《", "本文", "第"].iter().any(|one| rest.contains(one))
}

/// 共有多少篇文档, 多少报告提到….
fn counted(text: &str) -> bool {
    const MANY: [&str; 14] =
        ["多少", "几篇", "几份", "几个", "几起", "几次", "几封", "几条", "幾篇", "幾份", "幾個", "幾起", "幾次", "哪些"];
    const TOLD: [&str; 12] = ["提到", "提及", "涉及", "讨论", "討論", "谈到", "談到", "说到", "包含", "描述", "发生", "提过"];
    let Some((before, rest)) = after(text, &MANY) else { return false };
    let said: String = text.chars().take(before).collect();
    if ["每", "最多", "至多", "至少", "上限", "可以", "能", "该", "這篇", "这篇", "这份", "本文"]
        .iter()
        .any(|one| said.contains(one))
    {
        return false;
    }
    // 文档中提到了多少供应商, 安全被提到多少次.
    let mentioned = ["提到", "提到了", "提到过", "提及", "提及了", "提及过"].iter().any(|told| said.ends_with(told));
    if mentioned && (rest.starts_with('次') || after(&said, &NOUNS).is_some()) {
        return true;
    }
    // 拦截记录 are no records.
    let within = if soon(rest, &["记录", "記錄"], 3).is_some() { 1 } else { 3 };
    if rest.starts_with('处') && after(&said, &NOUNS).is_some() && after(rest, &TOLD).is_some() {
        return true;
    }
    let Some(counted) = soon(rest, &NOUNS, within) else { return false };
    let which = text.contains("哪些");
    let exist = ["共", "共有", "总共", "總共", "合计", "总计", "共计", "有", "发生了", "发生过", "出现了", "一共", "收到了"];
    after(counted, &TOLD).is_some() || (!which && exist.iter().any(|exist| said.ends_with(exist)))
}

/// 全部桥梁有哪些, 都有哪些桥, 一共有几座桥. Of one thing that is named before it all is in one place: 该校共有多少名学生, 这个版本都有哪些功能.
fn which(text: &str) -> bool {
    const ENDS: [&str; 6] = ["有哪些", "是哪些", "包括哪些", "包含哪些", "有谁", "是谁"];
    const EACH: [&str; 6] = ["分别", "分別", "一共", "总共", "總共", "都"];
    const OPENINGS: [&str; 14] =
        ["请问", "請問", "那么", "那麼", "那", "我们", "我們", "这里", "這裡", "里面", "文档里", "文档中", "资料里", "资料中"];
    const LISTED: [&str; 8] =
        ["都有哪些", "都有谁", "一共有哪些", "总共有哪些", "總共有哪些", "共有哪些", "合计有哪些", "总计有哪些"];
    const COUNTED: [&str; 6] = ["一共有", "总共有", "總共有", "共有", "合计有", "总计有"];
    let asked = OPENINGS.iter().find_map(|opening| text.strip_prefix(opening)).unwrap_or(text);
    if let Some(all) = asked.strip_prefix("所有").or_else(|| asked.strip_prefix("全部"))
        && let Some(named) = ENDS.iter().find_map(|end| all.strip_suffix(end))
    {
        let named = EACH.iter().find_map(|each| named.strip_suffix(each)).unwrap_or(named);
        let named = named.strip_prefix('的').unwrap_or(named);
        // 所有文档的默认权限 is said in one place.
        return is_a_name(named) && !named.contains('的');
    }
    if let Some(rest) = LISTED.iter().find_map(|listed| asked.strip_prefix(listed)) {
        return asked.contains('谁') && rest.is_empty() || is_a_name(rest);
    }
    let counted = COUNTED.iter().find_map(|counted| asked.strip_prefix(counted));
    let many = counted.and_then(|rest| ["几", "幾", "多少"].iter().find_map(|many| rest.strip_prefix(many)));
    many.is_some_and(is_a_name)
}

/// Short enough to name what is counted, and nothing that is told of it.
fn is_a_name(text: &str) -> bool {
    (1..=8).contains(&text.chars().count()) && !["可以", "需要", "能", "要求", "每"].iter().any(|told| text.contains(told))
}

/// 所有文档都说了什么.
fn says_what(rest: &str) -> bool {
    const SAYS: [&str; 12] = ["说", "說", "讲", "講", "写", "寫", "谈", "談", "介绍", "提到", "讨论", "记载"];
    const WHAT: [&str; 5] = ["什么", "什麼", "甚麼", "哪些", "啥"];
    let rest =
        ["都分别", "都分別", "都", "分别", "分別", "各自"].iter().find_map(|each| rest.strip_prefix(each)).unwrap_or(rest);
    let said = SAYS.iter().find_map(|says| rest.strip_prefix(says));
    let said = said.map(|rest| rest.trim_start_matches(['了', '过', '過', '的', '到', '是', '些']));
    said.is_some_and(|rest| WHAT.iter().any(|what| rest.starts_with(what)))
}

/// 所有文档中….
fn in_all(text: &str) -> bool {
    const ABOUT: [&str; 9] = ["主要讲", "讲了", "讲的", "主要内容", "主题", "主題", "有哪些共同", "共同", "关于什么"];
    /// 所有文档的默认权限: a rule for all of them, which stands in one place.
    const RULES: [&str; 6] = ["默认", "默認", "缺省", "预设", "上限", "下限"];
    const WITHIN: [&str; 10] = ["中", "里", "裡", "内", "內", "之间", "库", "的", "讲", "主要"];
    let documents = ["文档", "文檔", "文件", "资料", "資料", "报告", "報告", "语料", "知识库", "笔记", "论文", "合同"];
    if let Some((_, rest)) = after(text, &ALL)
        && let Some(rest) = soon(rest, &documents, 1)
        && (says_what(rest) || WITHIN.iter().any(|within| rest.starts_with(within)))
        && !(rest.starts_with('的') && RULES.iter().any(|rule| rest.contains(rule)))
    {
        return true;
    }
    if ["文档之间", "文檔之間", "文件之间", "报告之间", "資料之間", "资料之间", "合同之间"]
        .iter()
        .any(|between| text.contains(between))
    {
        return ["矛盾", "不一致", "冲突", "衝突", "共同"].iter().any(|what| text.contains(what));
    }
    if ["知识库", "文档库", "语料", "索引"].iter().any(|whole| text.contains(whole)) && text.contains("有哪些") {
        return ["文档", "文檔", "文件", "资料", "报告", "主题"].iter().any(|what| text.ends_with(what));
    }
    let Some((_, rest)) = after(text, &["这些", "這些"]) else { return false };
    soon(rest, &documents, 0).is_some_and(|rest| soon(rest, &ABOUT, 4).is_some())
}
