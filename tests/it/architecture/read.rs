//! A crate's source as modules: what each defines, passes on and mentions.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ImplItem, Item, Meta, Token, TraitItem, UseTree, Visibility};

/// Files by their path from the crate's folder, such as `src/lib.rs`.
pub type Sources = BTreeMap<String, String>;

/// What `src/lib.rs` consists of, tests left out.
#[derive(Debug, Default)]
pub struct Crate {
    /// The first is the root.
    pub modules: Vec<Module>,
    pub mentions: Vec<Mention>,
    /// The files of modules for tests, without `.rs` and `/mod.rs`.
    tests: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub struct Module {
    /// The names from the root on; none for the root.
    pub path: Vec<String>,
    pub parent: Option<usize>,
    pub file: String,
    /// Where the files of its modules are.
    folder: String,
    /// More than one of a name where features choose.
    pub children: BTreeMap<String, Vec<usize>>,
    /// What it defines, modules left out.
    pub items: BTreeSet<String>,
    /// Those in which a path may go on, as in `Kind::Variant`.
    pub types: BTreeSet<String>,
    pub imports: Vec<Import>,
}

/// A name that a `use` brings.
#[derive(Debug)]
pub struct Import {
    /// `None` for `*`.
    pub name: Option<String>,
    pub path: Vec<String>,
    /// `pub use`, so that it is for others.
    pub passes_on: bool,
}

/// A path that stands somewhere in the source.
#[derive(Debug)]
pub struct Mention {
    pub module: usize,
    pub line: usize,
    pub path: Vec<String>,
    pub how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Path,
    Use,
    UseAll,
    /// `pub use`, with `*` or without.
    PassOn,
}

impl Crate {
    /// Follows the modules from `src/lib.rs` on. What cannot be read is the error: a file and why.
    pub fn read(sources: &Sources) -> Result<Self, String> {
        let mut read = Self::default();
        let root = Module { file: "src/lib.rs".into(), folder: "src".into(), ..Module::default() };
        read.modules.push(root);
        read.read_file(sources, 0)?;
        Ok(read)
    }

    fn read_file(&mut self, sources: &Sources, module: usize) -> Result<(), String> {
        let name = self.modules[module].file.clone();
        let source = sources.get(&name).ok_or_else(|| format!("{name}: no such file"))?;
        let file = syn::parse_file(source).map_err(|error| format!("{name}:{}: {error}", error.span().start().line))?;
        let mut reader = Reader { read: self, module, files: Vec::new() };
        reader.visit_file(&file);
        for (child, elsewhere) in reader.files {
            let folder = self.modules[child].folder.clone();
            let files = match elsewhere {
                Some(path) => {
                    let file = format!("{}/{path}", folder_of(&name));
                    folder_of(&file).clone_into(&mut self.modules[child].folder);
                    vec![file]
                }
                None => vec![format!("{folder}.rs"), format!("{folder}/mod.rs")],
            };
            let found = files.iter().find(|file| sources.contains_key(*file));
            self.modules[child].file.clone_from(found.ok_or_else(|| format!("{name}: there is no {}", files[0]))?);
            self.read_file(sources, child)?;
        }
        Ok(())
    }

    /// The modules right under the root.
    pub fn rooms(&self) -> BTreeSet<&str> {
        self.modules[0].children.keys().map(String::as_str).collect()
    }

    /// Whether a file belongs to a module for tests.
    pub fn is_for_tests(&self, file: &str) -> bool {
        self.tests.iter().any(|test| file.strip_prefix(test.as_str()).is_some_and(|rest| rest.starts_with(['.', '/'])))
    }
}

/// Puts into the crate what one file holds.
struct Reader<'a> {
    read: &'a mut Crate,
    /// The module that it is in.
    module: usize,
    /// Modules that are in files of their own, and what `#[path]` says of where.
    files: Vec<(usize, Option<String>)>,
}

impl Reader<'_> {
    fn mention(&mut self, line: usize, path: Vec<String>, how: How) {
        self.read.mentions.push(Mention { module: self.module, line, path, how });
    }

    /// Adds a module and returns its number.
    fn child(&mut self, name: &str) -> usize {
        let parent = &self.read.modules[self.module];
        let mut path = parent.path.clone();
        path.push(name.to_owned());
        let (file, folder) = (parent.file.clone(), format!("{}/{name}", parent.folder));
        let child = self.read.modules.len();
        self.read.modules.push(Module { path, parent: Some(self.module), file, folder, ..Module::default() });
        self.read.modules[self.module].children.entry(name.to_owned()).or_default().push(child);
        child
    }

    fn import(&mut self, tree: &UseTree, before: &mut Vec<String>, passes_on: bool) {
        let (line, last, name) = match tree {
            UseTree::Path(path) => {
                before.push(plain(&path.ident));
                self.import(&path.tree, before, passes_on);
                before.pop();
                return;
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, before, passes_on));
            }
            UseTree::Name(name) => (line(&name.ident), Some(plain(&name.ident)), None),
            UseTree::Rename(renamed) => (line(&renamed.ident), Some(plain(&renamed.ident)), Some(plain(&renamed.rename))),
            UseTree::Glob(glob) => (glob.star_token.spans[0].start().line, None, None),
        };
        let mut path = before.clone();
        path.extend(last.clone().filter(|last| last != "self"));
        let how = match (passes_on, last.is_some()) {
            (true, _) => How::PassOn,
            (false, true) => How::Use,
            (false, false) => How::UseAll,
        };
        let name = last.and_then(|_| name.or_else(|| path.last().cloned()));
        self.mention(line, path.clone(), how);
        self.read.modules[self.module].imports.push(Import { name, path, passes_on });
    }

    /// Every path among tokens that were not parsed, of one name too if `single`.
    fn tokens(&mut self, tokens: TokenStream, single: bool) {
        let mut path: Vec<Ident> = Vec::new();
        // How many colons follow the path, and whether what comes next belongs to a name: a field, a method, a lifetime.
        let (mut colons, mut belongs) = (0, false);
        for token in tokens {
            if let TokenTree::Punct(punct) = &token
                && punct.as_char() == ':'
                && !path.is_empty()
                && colons < 2
            {
                colons += 1;
                continue;
            }
            let goes_on = colons == 2 && matches!(token, TokenTree::Ident(_));
            if !goes_on && !path.is_empty() {
                self.end(&mut path, single && !belongs);
                belongs = false;
            }
            colons = 0;
            match token {
                TokenTree::Ident(ident) => path.push(ident),
                TokenTree::Punct(punct) => belongs = matches!(punct.as_char(), '.' | '\''),
                TokenTree::Group(group) => self.tokens(group.stream(), single),
                TokenTree::Literal(_) => {}
            }
        }
        self.end(&mut path, single && !belongs);
    }

    fn end(&mut self, path: &mut Vec<Ident>, single: bool) {
        if let Some(first) = path.first()
            && (single || path.len() > 1)
        {
            self.mention(line(first), path.iter().map(plain).collect(), How::Path);
        }
        path.clear();
    }

    /// The paths that strings hold, as `#[serde(with = "crate::a::b")]` wants them.
    fn strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.strings(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let path = text.trim_matches('"');
                    if path.contains("::")
                        && let Ok(path) = syn::parse_str::<syn::Path>(path)
                    {
                        let path = path.segments.iter().map(|segment| plain(&segment.ident)).collect();
                        self.mention(literal.span().start().line, path, How::Path);
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = named(item);
        let for_tests = is_for_tests(attributes);
        if let Item::Mod(module) = item {
            let name = plain(&module.ident);
            if for_tests {
                let folder = format!("{}/{name}", self.read.modules[self.module].folder);
                self.read.tests.insert(folder);
                return;
            }
            let child = self.child(&name);
            match &module.content {
                Some((_, items)) => {
                    let outside = std::mem::replace(&mut self.module, child);
                    for item in items {
                        self.visit_item(item);
                    }
                    self.module = outside;
                }
                None => self.files.push((child, attributes.iter().find_map(path_of))),
            }
            return;
        }
        if for_tests {
            return;
        }
        if let Some(name) = name {
            let module = &mut self.read.modules[self.module];
            module.items.insert(plain(name));
            if matches!(item, Item::Enum(_) | Item::Struct(_) | Item::Trait(_) | Item::Type(_) | Item::Union(_)) {
                module.types.insert(plain(name));
            }
        }
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // `::name` is another crate's.
        if item.leading_colon.is_none() {
            self.import(&item.tree, &mut Vec::new(), !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            _ => return visit::visit_trait_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    /// `pub(in crate::a)` says who may look, and is no arrow.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let (None, Some(first)) = (&path.leading_colon, path.segments.first()) {
            let names = path.segments.iter().map(|segment| plain(&segment.ident)).collect();
            self.mention(line(&first.ident), names, How::Path);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone(), true);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.visit_path(&list.path);
            self.tokens(list.tokens.clone(), false);
            self.strings(list.tokens.clone());
        }
    }
}

fn line(ident: &Ident) -> usize {
    ident.span().start().line
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What `#[path = "…"]` says.
fn path_of(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(said) = &attribute.meta else { return None };
    let syn::Expr::Lit(literal) = &said.value else { return None };
    match &literal.lit {
        syn::Lit::Str(path) if said.path.is_ident("path") => Some(path.value()),
        _ => None,
    }
}

/// Without `r#`.
fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// Compiled for tests alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        path.segments.last().is_some_and(|last| last.ident == "test")
            || (path.is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|meta| wants_test(&meta)))
    })
}

fn wants_test(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => {
            let parts = list.parse_args_with(syn::punctuated::Punctuated::<Meta, Token![,]>::parse_terminated);
            parts.is_ok_and(|parts| parts.iter().any(wants_test))
        }
        _ => false,
    }
}

fn named(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::ExternCrate(item) => (&item.attrs, None),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::ForeignMod(item) => (&item.attrs, None),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, Some(&item.ident)),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::TraitAlias(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}
