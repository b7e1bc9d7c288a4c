//! What holds in a group of the file, and of a paragraph.

/// What the text of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Destination {
    #[default]
    Body,
    /// Nothing that is read.
    Skipped,
    Fonts,
    Styles,
    Title,
    /// The number or mark of an item.
    Label,
    FieldCode,
    /// A header or a footer of the page.
    Edge,
    Note,
    Comment,
    /// Who wrote a comment.
    Author,
}

#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the format's own")]
pub(super) struct State {
    pub(super) destination: Destination,
    pub(super) font: i32,
    /// Characters that stand behind `\u` for readers that do not know it.
    pub(super) skip: usize,
    pub(super) hidden: bool,
    pub(super) deleted: bool,
    pub(super) raised: bool,
    /// Within what the file says of itself.
    pub(super) in_info: bool,
    /// Where the result of a field begins.
    pub(super) field: Option<usize>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            destination: Destination::default(),
            font: 0,
            // What holds until `\uc` says something else, and many a program never does.
            skip: 1,
            hidden: false,
            deleted: false,
            raised: false,
            in_info: false,
            field: None,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Font {
    pub(super) page: Option<u32>,
    pub(super) name: String,
}

/// What paragraphs are until something else is said.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Paragraph {
    pub(super) style: Option<i32>,
    pub(super) outline: Option<usize>,
    pub(super) in_table: bool,
    pub(super) depth: usize,
}
