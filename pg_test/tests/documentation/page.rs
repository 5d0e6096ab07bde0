//! The pages of the manual, and what is in them.

use std::fs;
use std::path::{Path, PathBuf};

/// A page.
pub struct Page {
    /// Its path from the root of the repository.
    pub path: PathBuf,
    pub text: String,
}

/// A fenced block.
pub struct Block {
    /// Where it is, for messages: `docs/page.md:12`.
    pub place: String,
    /// What is written behind the fence.
    pub language: String,
    pub text: String,
}

pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// All pages for users and contributors.
pub fn all() -> Vec<Page> {
    let mut folders = vec![root().to_owned(), root().join("docs")];
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("a folder of the repository");
        for entry in entries.map(|entry| entry.expect("a folder's entry").path()) {
            if entry.is_dir() && folder != root() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&entry).expect("a page is text");
                let path = entry.strip_prefix(root()).expect("below the root");
                pages.push(Page {
                    path: path.to_owned(),
                    text,
                });
            }
        }
    }
    assert!(pages.len() > 20, "{} pages", pages.len());
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    pages
}

impl Page {
    /// The fenced blocks, also those in a list.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        let mut indent = "";
        for (number, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    indent = &line[..line.len() - line.trim_start().len()];
                    open = Some(Block {
                        place: format!("{}:{}", self.path.display(), number + 1),
                        language: language.trim().to_owned(),
                        text: String::new(),
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => {
                    let line = line.strip_prefix(indent).unwrap_or(line);
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        let left = open.map(|block| block.place);
        assert_eq!(left, None, "a block is not closed");
        blocks
    }

    /// The text without fenced blocks, line by line, with line numbers.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut in_block = false;
        let mut lines = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
            } else if !in_block {
                lines.push((number + 1, line));
            }
        }
        lines
    }

    /// The anchors of its headings, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter_map(|(_, line)| {
            let text = line.strip_prefix('#')?.trim_start_matches('#');
            text.strip_prefix(' ')
        });
        headings
            .map(|heading| {
                heading
                    .to_lowercase()
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                    .map(|c| if c == ' ' { '-' } else { c })
                    .collect()
            })
            .collect()
    }
}
