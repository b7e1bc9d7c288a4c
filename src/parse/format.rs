//! Which format some bytes are in: by what is said of them, and where that says nothing or lies, by the first of them.

use std::fmt;

use super::Hint;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Plain text, and what is neither known nor binary.
    Text,
    /// Markdown and its dialects.
    Markdown,
    /// reStructuredText.
    Rst,
    /// Source code, configuration, XML.
    Code,
    /// Comma- or tab-separated values.
    Csv,
    /// JSON.
    Json,
    /// One JSON value a line.
    JsonLines,
    /// HTML and XHTML.
    Html,
    /// PDF.
    Pdf,
    /// Word.
    Docx,
    /// Word 97–2003.
    Doc,
    /// `PowerPoint`.
    Pptx,
    /// `PowerPoint` 97–2003.
    Ppt,
    /// Excel.
    Xlsx,
    /// Excel 97–2003.
    Xls,
    /// `OpenDocument` spreadsheet.
    Ods,
    /// `OpenDocument` text.
    Odt,
    /// `OpenDocument` presentation.
    Odp,
    /// Rich Text Format.
    Rtf,
    /// A message as Outlook saves it.
    Msg,
    /// EPUB.
    Epub,
    /// An e-mail message, and a page that was saved as one (MHTML).
    Email,
    /// A mailbox: messages one after another.
    Mbox,
    /// Jupyter notebook.
    Notebook,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Markdown => "Markdown file",
            Self::Rst => "reStructuredText file",
            Self::Code => "source file",
            Self::Csv => "CSV file",
            Self::Json => "JSON file",
            Self::JsonLines => "JSON Lines file",
            Self::Html => "HTML page",
            Self::Pdf => "PDF",
            Self::Docx | Self::Doc => "Word document",
            Self::Pptx | Self::Ppt => "PowerPoint document",
            Self::Xlsx | Self::Xls => "Excel workbook",
            Self::Ods => "OpenDocument spreadsheet",
            Self::Odt => "OpenDocument text",
            Self::Odp => "OpenDocument presentation",
            Self::Rtf => "RTF document",
            Self::Msg => "Outlook message",
            Self::Epub => "EPUB",
            Self::Email => "e-mail",
            Self::Mbox => "mailbox",
            Self::Notebook => "Jupyter notebook",
        })
    }
}

impl Format {
    /// Whether the file itself is the text.
    pub(super) fn is_text(self) -> bool {
        use Format::{Code, Csv, Json, JsonLines, Markdown, Rst, Text};
        matches!(self, Text | Markdown | Rst | Code | Csv | Json | JsonLines)
    }
}

/// A format as a name or a media type says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guess {
    /// A format that is read.
    Known(Format),
    /// One that is not, by its extension in small letters.
    Unsupported(String),
    /// Nothing: the content has to tell.
    Unknown,
}

/// What all that is known says of the format.
pub(super) fn guess_of(hint: Hint<'_>) -> Guess {
    match hint.media_type.map_or(Guess::Unknown, guess_media_type) {
        Guess::Unknown => guess(hint.name),
        known => known,
    }
}

/// What a media type says of the format. Servers send text and bytes of any kind as `text/plain` and `application/octet-stream`.
fn guess_media_type(media_type: &str) -> Guess {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let format = match essence.as_str() {
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "text/x-rst" | "text/prs.fallenstein.rst" => Format::Rst,
        "text/csv" | "text/tab-separated-values" => Format::Csv,
        "application/json" | "application/ld+json" => Format::Json,
        "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => Format::JsonLines,
        "application/xml" | "text/xml" | "text/javascript" | "application/javascript" | "text/css" => Format::Code,
        "application/pdf" => Format::Pdf,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        | "application/vnd.ms-word.document.macroenabled.12" => Format::Docx,
        "application/msword" => Format::Doc,
        "application/vnd.openxmlformats-officedocument.presentationml.presentation"
        | "application/vnd.ms-powerpoint.presentation.macroenabled.12" => Format::Pptx,
        "application/vnd.ms-powerpoint" => Format::Ppt,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        | "application/vnd.ms-excel.sheet.macroenabled.12" => Format::Xlsx,
        "application/vnd.ms-excel" => Format::Xls,
        "application/vnd.oasis.opendocument.spreadsheet" => Format::Ods,
        "application/vnd.oasis.opendocument.text" => Format::Odt,
        "application/vnd.oasis.opendocument.presentation" => Format::Odp,
        "application/rtf" | "text/rtf" | "application/x-rtf" => Format::Rtf,
        "application/vnd.ms-outlook" => Format::Msg,
        "application/epub+zip" => Format::Epub,
        "application/x-ipynb+json" => Format::Notebook,
        "message/rfc822" | "message/global" | "multipart/related" | "application/x-mimearchive" => Format::Email,
        "application/mbox" => Format::Mbox,
        "image/svg+xml" => return Guess::Unsupported("svg".to_owned()),
        _ => match essence.split_once('/') {
            Some(("image" | "audio" | "video" | "font", kind)) => return Guess::Unsupported(kind.to_owned()),
            _ => return Guess::Unknown,
        },
    };
    Guess::Known(format)
}

/// What a file's name says of its format; it may be a path or a URL that ends with the name.
pub fn guess(name: &str) -> Guess {
    let name = name.rsplit('/').next().unwrap_or(name);
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension.to_ascii_lowercase()),
        _ => (name, String::new()),
    };
    if is_code_name(name) || is_code_name(stem) {
        return Guess::Known(Format::Code);
    }
    let format = match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mkdn" | "mdx" | "qmd" | "rmd" => Format::Markdown,
        "txt" | "text" | "log" | "adoc" | "asciidoc" | "org" | "tex" | "textile" | "srt" | "vtt" => Format::Text,
        "rst" | "rest" => Format::Rst,
        "html" | "htm" | "xhtml" | "xht" => Format::Html,
        "pdf" => Format::Pdf,
        "docx" | "docm" | "dotx" | "dotm" => Format::Docx,
        // Kingsoft's programs write the formats of 97 under names of their own.
        "doc" | "wps" => Format::Doc,
        "pptx" | "pptm" | "ppsx" | "ppsm" | "potx" | "potm" => Format::Pptx,
        "ppt" | "pps" | "dps" => Format::Ppt,
        "xlsx" | "xlsm" | "xltx" | "xltm" => Format::Xlsx,
        "xls" | "xlt" | "et" => Format::Xls,
        "ods" | "ots" | "fods" | "sxc" => Format::Ods,
        "odt" | "ott" | "fodt" | "sxw" => Format::Odt,
        "odp" | "otp" | "fodp" | "sxi" | "odg" => Format::Odp,
        "rtf" => Format::Rtf,
        "msg" | "oft" => Format::Msg,
        "csv" | "tsv" | "tab" => Format::Csv,
        "json" | "geojson" | "json5" | "jsonc" | "webmanifest" => Format::Json,
        "jsonl" | "ndjson" => Format::JsonLines,
        "ipynb" => Format::Notebook,
        "epub" => Format::Epub,
        "eml" | "emlx" | "mht" | "mhtml" => Format::Email,
        "mbox" | "mbx" => Format::Mbox,
        e if is_code(e) => Format::Code,
        e if is_unsupported(e) => return Guess::Unsupported(extension),
        _ => return Guess::Unknown,
    };
    Guess::Known(format)
}

#[rustfmt::skip]
fn is_code(extension: &str) -> bool {
    matches!(extension,
        // Programs.
        "rs" | "py" | "pyi" | "pyx" | "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" | "vue" | "svelte" | "astro"
        | "java" | "kt" | "kts" | "scala" | "sc" | "groovy" | "gradle" | "clj" | "cljs" | "cljc" | "edn"
        | "c" | "h" | "cc" | "cpp" | "cxx" | "c++" | "hh" | "hpp" | "hxx" | "inl" | "ipp" | "m" | "mm" | "cu" | "cuh"
        | "go" | "swift" | "zig" | "nim" | "d" | "dart" | "v" | "odin" | "cr" | "hs" | "lhs" | "elm" | "purs" | "ml" | "mli"
        | "fs" | "fsi" | "fsx" | "cs" | "csx" | "vb" | "vbs" | "bas" | "pas" | "pp" | "ada" | "adb" | "ads" | "f" | "f77" | "f90"
        | "f95" | "f03" | "for" | "cob" | "cbl" | "rb" | "rake" | "gemspec" | "erb" | "php" | "phtml" | "pl" | "pm" | "pod" | "t"
        | "raku" | "lua" | "r" | "jl" | "ex" | "exs" | "erl" | "hrl" | "lisp" | "lsp" | "cl" | "el" | "scm" | "ss" | "rkt" | "tcl"
        | "sh" | "bash" | "zsh" | "fish" | "ksh" | "ps1" | "psm1" | "bat" | "cmd" | "awk" | "sed" | "asm" | "s" | "nasm"
        | "sol" | "move" | "cairo" | "wat" | "glsl" | "vert" | "frag" | "comp" | "hlsl" | "wgsl" | "metal" | "vhd" | "vhdl" | "sv"
        | "svh" | "coffee" | "hx" | "as" | "gd" | "applescript" | "ahk" | "au3" | "vim" | "dem" | "plt" | "gp" | "mac" | "sage"
        // Styles, templates, queries, schemas.
        | "css" | "scss" | "sass" | "less" | "styl" | "jinja" | "jinja2" | "j2" | "hbs" | "mustache" | "ejs" | "pug" | "haml" | "liquid"
        | "tmpl" | "sql" | "psql" | "ddl" | "graphql" | "gql" | "proto" | "thrift" | "avsc" | "fbs" | "capnp" | "idl" | "xsd" | "xsl"
        | "xslt" | "rng" | "rnc" | "dtd" | "prisma" | "sparql" | "rq" | "cypher" | "gv" | "dot" | "puml" | "mmd"
        // Configuration and data in text.
        | "yaml" | "yml" | "toml" | "ini" | "cfg" | "conf" | "cnf" | "properties" | "xml" | "plist" | "nix" | "tf" | "tfvars"
        | "hcl" | "cmake" | "mk" | "mak" | "am" | "ac" | "m4" | "in" | "bzl" | "bazel" | "ninja" | "dockerfile" | "service" | "socket"
        | "timer" | "desktop" | "spec" | "lock" | "sum" | "mod" | "diff" | "patch" | "po" | "pot" | "rdf" | "ttl" | "n3" | "nt" | "owl"
        | "docbook" | "dbk" | "sgml" | "bib" | "csl" | "ld" | "def" | "reg" | "http" | "rest-client" | "feature" | "dhall"
        | "cue" | "rego" | "jsonnet" | "libsonnet" | "bicep" | "opml" | "wsdl" | "kml" | "gpx" | "sty" | "cls" | "dtx" | "ins"
    )
}

/// Names without a telling extension, and with any (`Dockerfile.dev`).
fn is_code_name(name: &str) -> bool {
    matches!(
        name,
        "Makefile"
            | "makefile"
            | "GNUmakefile"
            | "Dockerfile"
            | "Containerfile"
            | "Jenkinsfile"
            | "Vagrantfile"
            | "Rakefile"
            | "Gemfile"
            | "Podfile"
            | "Brewfile"
            | "Procfile"
            | "Justfile"
            | "justfile"
            | "Earthfile"
            | "Tiltfile"
            | "CMakeLists.txt"
            | "BUILD"
            | "WORKSPACE"
            | "CODEOWNERS"
            | "Kconfig"
            | "Pipfile"
            | "SConstruct"
            | "SConscript"
            | "configure"
            | "go.mod"
            | "go.sum"
    )
}

#[rustfmt::skip]
fn is_unsupported(extension: &str) -> bool {
    matches!(extension,
        // Pictures, sound, films, fonts, models in space.
        "png" | "jpg" | "jpeg" | "jpe" | "gif" | "bmp" | "tif" | "tiff" | "webp" | "avif" | "heic" | "heif" | "ico" | "icns" | "psd"
        | "xcf" | "svg" | "svgz" | "eps" | "ps" | "ai" | "raw" | "cr2" | "nef" | "dng" | "jp2" | "jxl" | "dvi" | "djvu" | "xpm" | "pbm"
        | "pgm" | "ppm" | "tga" | "mp3" | "wav" | "flac" | "ogg" | "oga" | "opus" | "m4a" | "aac" | "wma" | "mid" | "midi" | "aif"
        | "aiff" | "mp4" | "m4v" | "mkv" | "avi" | "mov" | "webm" | "wmv" | "flv" | "mpg" | "mpeg" | "ogv" | "ttf" | "otf" | "woff"
        | "woff2" | "eot" | "pfb" | "pfm" | "tfm" | "blend" | "fbx" | "glb" | "stl" | "3ds" | "dwg"
        // Archives and disks.
        | "zip" | "gz" | "tgz" | "bz2" | "tbz" | "tbz2" | "xz" | "txz" | "zst" | "lz" | "lz4" | "lzma" | "7z" | "rar" | "tar" | "cab"
        | "jar" | "war" | "ear" | "apk" | "aab" | "ipa" | "deb" | "rpm" | "msi" | "dmg" | "iso" | "img" | "vmdk" | "qcow2"
        | "whl" | "egg" | "crate" | "gem" | "nupkg" | "snap" | "z" | "br" | "cpio" | "ar"
        // Programs and objects.
        | "exe" | "dll" | "so" | "dylib" | "o" | "obj" | "a" | "lib" | "rlib" | "rmeta" | "class" | "pyc" | "pyo" | "pyd" | "wasm"
        | "beam" | "elc" | "hi" | "ko" | "bin" | "com" | "sys" | "efi" | "node" | "pdb" | "gch" | "pch" | "mo" | "gmo"
        // Data of programs, and what holds secrets.
        | "map" | "env" | "db" | "sqlite" | "sqlite3" | "db3" | "mdb" | "accdb" | "dbf" | "parquet" | "arrow" | "feather" | "orc" | "avro" | "h5" | "hdf5"
        | "nc" | "npy" | "npz" | "mat" | "rds" | "rda" | "rdata" | "pkl" | "pickle" | "joblib" | "pt" | "pth" | "ckpt" | "safetensors"
        | "onnx" | "gguf" | "ggml" | "tflite" | "pb" | "tfrecord" | "idx" | "pack" | "swp" | "swo" | "bak" | "tmp" | "pyz" | "dat-journal"
        | "gpg" | "asc" | "pgp" | "p12" | "pfx" | "jks" | "keystore" | "key" | "pem" | "crt" | "cer" | "der" | "csr"
        // Documents that are not read.
        | "xlsb" | "pages" | "numbers" | "mobi" | "azw" | "azw3" | "fb2" | "chm" | "pst"
        | "one" | "pub" | "vsd" | "vsdx" | "mpp" | "wpd" | "xps" | "indd" | "sketch" | "fig" | "hlp" | "torrent"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, want) in [
            ("a.md", Guess::Known(Format::Markdown)),
            ("A.PDF", Guess::Known(Format::Pdf)),
            ("Makefile", Guess::Known(Format::Code)),
            ("Dockerfile.dev", Guess::Known(Format::Code)),
            ("CMakeLists.txt", Guess::Known(Format::Code)),
            ("photo.JPG", Guess::Unsupported("jpg".into())),
            ("README", Guess::Unknown),
            (".bashrc", Guess::Unknown),
            ("ls.1", Guess::Unknown),
        ] {
            assert_eq!(guess(name), want, "{name}");
        }
    }

    #[test]
    fn a_media_type_is_stronger_than_a_name_unless_it_says_nothing() {
        let guess = |name, media_type| guess_of(Hint { name, media_type: Some(media_type) });
        assert_eq!(guess("https://a.example/page.php", "text/html; charset=utf-8"), Guess::Known(Format::Html));
        assert_eq!(guess("https://a.example/docs/", "Text/HTML"), Guess::Known(Format::Html));
        assert_eq!(guess("https://a.example/a.md", "text/plain"), Guess::Known(Format::Markdown));
        assert_eq!(guess("https://a.example/a.pdf", "application/octet-stream"), Guess::Known(Format::Pdf));
        assert_eq!(guess("https://a.example/", "text/plain"), Guess::Unknown);
        assert_eq!(guess("https://a.example/logo", "image/png"), Guess::Unsupported("png".into()));
    }
}
