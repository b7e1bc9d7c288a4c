//! What forms show: choices, values, and the words on buttons that belong to the text.

use super::super::flow::{Flow, Kind};
use super::super::tree::{Id, Tree};
use super::Writer;
use crate::parse::markdown::fence_for;

/// Choices of one list that are written.
const MAX_CHOICES: usize = 60;

impl Writer<'_> {
    pub(super) fn form(&mut self, id: Id, name: &str, flow: &mut Flow) {
        match name {
            "select" => {
                let choices = choices(self.tree, id);
                flow.line.part();
                flow.line.push(&choices.join(", "));
                flow.line.part();
            }
            "button" => {
                if is_text(self.tree, id) {
                    flow.line.part();
                    self.children(id, flow);
                    flow.line.part();
                }
            }
            "input" => self.input(id, flow),
            "textarea" => {
                let text = self.tree.whole_text(id);
                let text = text.trim_matches('\n');
                if text.trim().contains('\n') {
                    let fence = fence_for(text);
                    flow.push(Kind::Other, format!("{fence}\n{text}\n{fence}"));
                } else {
                    flow.line.part();
                    flow.line.push(text);
                    flow.line.part();
                }
            }
            // Choices that are in no list.
            _ => {
                flow.line.part();
                self.children(id, flow);
                flow.line.part();
            }
        }
    }

    fn input(&mut self, id: Id, flow: &mut Flow) {
        let kind = self.tree.attribute(id, "type").unwrap_or("text").to_ascii_lowercase();
        let value = self.tree.attribute(id, "value").unwrap_or_default();
        match kind.as_str() {
            "checkbox" if self.is_in_item(id) => {
                let checked = self.tree.attribute(id, "checked").is_some();
                flow.line.push_verbatim(if checked { "[x]" } else { "[ ]" });
                flow.line.part();
            }
            "text" | "url" | "email" | "number" | "tel" | "date" | "time" | "datetime-local" | "month" | "week"
                if value.len() <= 500 =>
            {
                flow.line.part();
                flow.line.push(value);
                flow.line.part();
            }
            _ => {}
        }
    }

    /// A list of tasks.
    fn is_in_item(&self, id: Id) -> bool {
        self.tree.above(id).take(3).any(|above| self.tree.name(above) == "li")
            && self.tree.above(id).take(12).any(|above| {
                super::super::seen::has_class(self.tree, above, &["task-list-item", "contains-task-list", "task-list", "todo"])
            })
            || self
                .tree
                .parent(id)
                .is_some_and(|parent| self.tree.name(parent) == "li" && self.tree.attribute(id, "disabled").is_some())
    }
}

fn choices(tree: &Tree, select: Id) -> Vec<String> {
    let mut all = Vec::new();
    for id in tree.all(select) {
        let label = tree.attribute(id, "label").unwrap_or_default();
        match tree.name(id) {
            "optgroup" if !label.is_empty() => all.push(format!("{label}:")),
            "option" => {
                let text = tree.whole_text(id).split_whitespace().collect::<Vec<_>>().join(" ");
                let text = if text.is_empty() { label.to_owned() } else { text };
                // "Choose …": no choice.
                let empty = tree.attribute(id, "value") == Some("") || tree.attribute(id, "disabled").is_some();
                if !(text.is_empty() || empty && all.is_empty()) {
                    all.push(text);
                }
            }
            _ => {}
        }
        if all.len() > MAX_CHOICES {
            all.push("…".to_owned());
            break;
        }
    }
    all
}

/// Whether the words on a button are read as text: questions that open their answers, names of keys in a sentence, tabs.
fn is_text(tree: &Tree, id: Id) -> bool {
    let text = tree.whole_text(id);
    let text = text.trim();
    let lower = text.to_lowercase();
    if text.is_empty()
        || matches!(
            lower.as_str(),
            "copy"
                | "copied"
                | "copied!"
                | "copy code"
                | "copy link"
                | "copy to clipboard"
                | "copy page"
                | "share"
                | "print"
                | "close"
                | "menu"
                | "search"
                | "submit"
                | "send"
                | "subscribe"
                | "sign up"
                | "sign in"
                | "log in"
                | "login"
                | "edit"
                | "reply"
                | "like"
                | "save"
                | "follow"
                | "next"
                | "previous"
                | "back"
                | "cancel"
                | "ok"
                | "yes"
                | "no"
                | "show more"
                | "read more"
                | "load more"
                | "view more"
                | "more"
                | "toggle navigation"
                | "run"
                | "try it"
                | "accept"
                | "accept all"
                | "reject"
                | "reject all"
                | "+"
                | "-"
                | "×"
                | "复制"
                | "复制代码"
                | "分享"
                | "打印"
                | "关闭"
                | "菜单"
                | "搜索"
                | "提交"
                | "登录"
                | "注册"
                | "收藏"
                | "点赞"
                | "评论"
                | "关注"
                | "展开"
                | "更多"
        ) && !is_in_sentence(tree, id)
    {
        return false;
    }
    let opens = tree.attribute(id, "aria-expanded").is_some()
        || tree.attribute(id, "aria-controls").is_some()
        || tree.attribute(id, "role").map(str::trim) == Some("tab")
        || tree.attribute(id, "data-bs-toggle").is_some()
        || tree.attribute(id, "data-toggle").is_some();
    let names_answer = tree.above(id).take(3).chain([id]).any(|above| {
        matches!(tree.name(above), "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dt" | "summary" | "td" | "th")
            || tree.attribute(above, "class").is_some_and(|class| {
                let class = class.to_ascii_lowercase();
                ["accordion", "faq", "question", "collaps", "tab"].iter().any(|word| class.contains(word))
            })
    });
    opens || names_answer || text.ends_with(['?', '？']) || text.split_whitespace().count() > 6 || is_in_sentence(tree, id)
}

/// Whether there are words beside it in its paragraph.
fn is_in_sentence(tree: &Tree, id: Id) -> bool {
    let mut at = id;
    for _ in 0..3 {
        let beside = |mut sibling: Option<Id>, step: &dyn Fn(Id) -> Option<Id>| {
            for _ in 0..50 {
                let Some(id) = sibling else { return false };
                if tree.text(id).is_some_and(|text| text.trim().chars().filter(|c| c.is_alphanumeric()).count() > 1) {
                    return true;
                }
                if super::super::seen::is_block(tree.name(id)) {
                    return false;
                }
                sibling = step(id);
            }
            false
        };
        if beside(tree.before(at), &|id| tree.before(id)) || beside(tree.after(at), &|id| tree.after(id)) {
            return true;
        }
        match tree.parent(at) {
            Some(parent) if !super::super::seen::is_block(tree.name(parent)) => at = parent,
            _ => return false,
        }
    }
    false
}
