//! A page as a tree: elements and text in one list, linked by number.

use std::borrow::Cow;
use std::cell::{Ref, RefCell};

use html5ever::interface::tree_builder::{ElemName, ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{Attribute, LocalName, Namespace, ParseOpts, QualName, parse_document};

/// A node's number. No tree hands out a number that it does not have.
pub(super) type Id = u32;

/// The document node, which every tree begins with.
pub(super) const ROOT: Id = 0;

#[derive(Debug)]
enum Data {
    /// The document, a comment, what a `<template>` holds.
    Other,
    Element {
        name: QualName,
        attributes: Vec<Attribute>,
        template: Option<Id>,
    },
    Text(StrTendril),
}

#[derive(Debug)]
struct Node {
    data: Data,
    parent: Option<Id>,
    first: Option<Id>,
    last: Option<Id>,
    before: Option<Id>,
    after: Option<Id>,
}

/// A parsed page.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The name of what has none.
    nameless: QualName,
}

impl Tree {
    /// Whatever the source is, it is a page: the standard says so.
    pub(super) fn parse(html: &str) -> Self {
        let options = ParseOpts {
            tree_builder: TreeBuilderOpts { scripting_enabled: false, drop_doctype: true, ..TreeBuilderOpts::default() },
            ..ParseOpts::default()
        };
        let nameless = QualName::new(None, Namespace::from(""), LocalName::from(""));
        let tree = Self { nodes: vec![Node::new(Data::Other)], nameless };
        parse_document(Sink { tree: RefCell::new(tree) }, options).one(StrTendril::from(html))
    }

    fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn qualified(&self, id: Id) -> &QualName {
        match self.node(id).map(|node| &node.data) {
            Some(Data::Element { name, .. }) => name,
            _ => &self.nameless,
        }
    }

    /// The name of an element, without what stands before its colon; empty for everything else.
    pub(super) fn name(&self, id: Id) -> &str {
        &self.qualified(id).local
    }

    pub(super) fn is_element(&self, id: Id) -> bool {
        matches!(self.node(id), Some(Node { data: Data::Element { .. }, .. }))
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id).map(|node| &node.data) {
            Some(Data::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of an attribute, by its name as written (`epub:type`).
    pub(super) fn attribute(&self, id: Id, name: &str) -> Option<&str> {
        match self.node(id).map(|node| &node.data) {
            Some(Data::Element { attributes, .. }) => attributes.iter().find(|a| &*a.name.local == name).map(|a| &*a.value),
            _ => None,
        }
    }

    pub(super) fn parent(&self, id: Id) -> Option<Id> {
        self.node(id)?.parent
    }

    pub(super) fn after(&self, id: Id) -> Option<Id> {
        self.node(id)?.after
    }

    pub(super) fn before(&self, id: Id) -> Option<Id> {
        self.node(id)?.before
    }

    /// What a `<template>` holds.
    pub(super) fn template(&self, id: Id) -> Option<Id> {
        match self.node(id).map(|node| &node.data) {
            Some(Data::Element { template, .. }) => *template,
            _ => None,
        }
    }

    pub(super) fn children(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        std::iter::successors(self.node(id).and_then(|node| node.first), |&child| self.after(child))
    }

    /// The ones above, the closest first.
    pub(super) fn above(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        std::iter::successors(self.parent(id), |&id| self.parent(id))
    }

    /// A node and all below it, in the order of the page.
    pub(super) fn all(&self, id: Id) -> All<'_> {
        All { tree: self, root: id, next: Some(id) }
    }

    /// All text at and below a node, as it was written.
    pub(super) fn whole_text(&self, id: Id) -> String {
        self.all(id).filter_map(|id| self.text(id)).collect()
    }
}

/// See [`Tree::all`].
pub(super) struct All<'a> {
    tree: &'a Tree,
    root: Id,
    next: Option<Id>,
}

impl All<'_> {
    /// Leaves out what is below the node that came last.
    pub(super) fn skip_below(&mut self, last: Id) {
        self.next = self.past(last);
    }

    /// What comes after a node and all below it.
    pub(super) fn past(&self, mut id: Id) -> Option<Id> {
        loop {
            if id == self.root {
                return None;
            }
            if let Some(after) = self.tree.after(id) {
                return Some(after);
            }
            id = self.tree.parent(id)?;
        }
    }
}

impl Iterator for All<'_> {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        let id = self.next?;
        self.next = self.tree.node(id).and_then(|node| node.first).or_else(|| self.past(id));
        Some(id)
    }
}

impl Node {
    fn new(data: Data) -> Self {
        Self { data, parent: None, first: None, last: None, before: None, after: None }
    }
}

/// The changes that the parser makes.
impl Tree {
    fn add(&mut self, data: Data) -> Id {
        self.nodes.push(Node::new(data));
        (self.nodes.len() - 1) as Id
    }

    fn edit(&mut self, id: Option<Id>, change: impl FnOnce(&mut Node)) {
        if let Some(node) = id.and_then(|id| self.nodes.get_mut(id as usize)) {
            change(node);
        }
    }

    fn detach(&mut self, id: Id) {
        let Some(node) = self.nodes.get_mut(id as usize) else { return };
        let (parent, before, after) = (node.parent.take(), node.before.take(), node.after.take());
        self.edit(before, |node| node.after = after);
        self.edit(after, |node| node.before = before);
        self.edit(parent, |node| {
            if before.is_none() {
                node.first = after;
            }
            if after.is_none() {
                node.last = before;
            }
        });
    }

    fn append(&mut self, parent: Id, child: Id) {
        self.detach(child);
        let last = self.node(parent).and_then(|node| node.last);
        self.edit(Some(child), |node| (node.parent, node.before) = (Some(parent), last));
        self.edit(last, |node| node.after = Some(child));
        self.edit(Some(parent), |node| {
            node.last = Some(child);
            node.first.get_or_insert(child);
        });
    }

    fn insert_before(&mut self, sibling: Id, child: Id) {
        self.detach(child);
        let Some((parent, before)) = self.node(sibling).map(|node| (node.parent, node.before)) else { return };
        self.edit(Some(child), |node| (node.parent, node.before, node.after) = (parent, before, Some(sibling)));
        self.edit(Some(sibling), |node| node.before = Some(child));
        self.edit(before, |node| node.after = Some(child));
        self.edit(parent.filter(|_| before.is_none()), |node| node.first = Some(child));
    }

    /// Adds to the text node, if it is one.
    fn extend_text(&mut self, id: Option<Id>, more: &StrTendril) -> bool {
        match id.and_then(|id| self.nodes.get_mut(id as usize)) {
            Some(Node { data: Data::Text(text), .. }) => {
                text.push_tendril(more);
                true
            }
            _ => false,
        }
    }
}

struct Sink {
    tree: RefCell<Tree>,
}

/// A name that is looked at while the tree is not changed.
#[derive(Debug)]
struct Name<'a>(Ref<'a, QualName>);

impl ElemName for Name<'_> {
    fn ns(&self) -> &Namespace {
        &self.0.ns
    }

    fn local_name(&self) -> &LocalName {
        &self.0.local
    }
}

impl TreeSink for Sink {
    type Handle = Id;
    type Output = Tree;
    type ElemName<'a> = Name<'a>;

    fn finish(self) -> Tree {
        self.tree.into_inner()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Id {
        ROOT
    }

    fn elem_name<'a>(&'a self, target: &'a Id) -> Name<'a> {
        Name(Ref::map(self.tree.borrow(), |tree| tree.qualified(*target)))
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Id {
        let mut tree = self.tree.borrow_mut();
        let template = flags.template.then(|| tree.add(Data::Other));
        tree.add(Data::Element { name, attributes, template })
    }

    fn create_comment(&self, _: StrTendril) -> Id {
        self.tree.borrow_mut().add(Data::Other)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Id {
        self.tree.borrow_mut().add(Data::Other)
    }

    fn append(&self, parent: &Id, child: NodeOrText<Id>) {
        let mut tree = self.tree.borrow_mut();
        let child = match child {
            NodeOrText::AppendNode(child) => child,
            NodeOrText::AppendText(text) => {
                let last = tree.node(*parent).and_then(|node| node.last);
                if tree.extend_text(last, &text) {
                    return;
                }
                tree.add(Data::Text(text))
            }
        };
        tree.append(*parent, child);
    }

    fn append_based_on_parent_node(&self, element: &Id, previous: &Id, child: NodeOrText<Id>) {
        let has_parent = self.tree.borrow().parent(*element).is_some();
        if has_parent {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Id) -> Id {
        self.tree.borrow().template(*target).unwrap_or(*target)
    }

    fn same_node(&self, x: &Id, y: &Id) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Id, child: NodeOrText<Id>) {
        let mut tree = self.tree.borrow_mut();
        let child = match child {
            NodeOrText::AppendNode(child) => child,
            NodeOrText::AppendText(text) => {
                let before = tree.before(*sibling);
                if tree.extend_text(before, &text) {
                    return;
                }
                tree.add(Data::Text(text))
            }
        };
        tree.insert_before(*sibling, child);
    }

    fn add_attrs_if_missing(&self, target: &Id, more: Vec<Attribute>) {
        if let Some(Node { data: Data::Element { attributes, .. }, .. }) =
            self.tree.borrow_mut().nodes.get_mut(*target as usize)
        {
            for attribute in more {
                if attributes.iter().all(|a| a.name != attribute.name) {
                    attributes.push(attribute);
                }
            }
        }
    }

    fn remove_from_parent(&self, target: &Id) {
        self.tree.borrow_mut().detach(*target);
    }

    fn reparent_children(&self, node: &Id, new_parent: &Id) {
        let mut tree = self.tree.borrow_mut();
        while let Some(child) = tree.node(*node).and_then(|node| node.first) {
            tree.append(*new_parent, child);
        }
    }
}
