//! Links between pages.

use std::path::{Component, Path, PathBuf};

use crate::page::{self, Page};

/// The targets of all links of a line, `[text](target)`.
fn targets(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// The path from the root, without `.` and `..`.
fn resolve(from: &Path, target: &str) -> PathBuf {
    let mut path = from.parent().unwrap_or(Path::new("")).to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir => assert!(path.pop(), "{target} leads out of the repository"),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

fn check(page: &Page, target: &str, pages: &[Page]) -> Result<(), String> {
    if target.starts_with("https://") {
        return Ok(());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => page.path.clone(),
        _ => resolve(&page.path, file),
    };
    if !page::root().join(&path).exists() {
        return Err(format!("{} does not exist", path.display()));
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let linked = pages.iter().find(|page| page.path == path);
    match linked {
        None => Err(format!("{} is not a page", path.display())),
        Some(linked) if linked.anchors().iter().any(|known| known == anchor) => Ok(()),
        Some(linked) => Err(format!("{} has {:?}", path.display(), linked.anchors())),
    }
}

#[test]
fn every_link_leads_somewhere() {
    let pages = page::all();
    let mut checked = 0;
    for page in &pages {
        for (number, line) in page.prose() {
            for target in targets(line) {
                let place = format!("{}:{number}: {target}", page.path.display());
                if let Err(why) = check(page, target, &pages) {
                    panic!("{place}: {why}");
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "{checked} links");
}

/// The paths, from the root, to which the pages have links.
fn linked_from<'a>(pages: impl Iterator<Item = &'a Page>) -> Vec<PathBuf> {
    let mut linked = Vec::new();
    for page in pages {
        for (_, line) in page.prose() {
            linked.extend(targets(line).into_iter().map(|target| {
                let file = target.split('#').next().unwrap_or_default();
                resolve(&page.path, file)
            }));
        }
    }
    linked
}

/// The book's table of contents, which is not a page of the manual.
fn is_contents(page: &&Page) -> bool {
    page.path == Path::new("docs/SUMMARY.md")
}

#[test]
fn every_page_is_linked_from_another() {
    let pages = page::all();
    let manual = || pages.iter().filter(|page| !is_contents(page));
    let linked = linked_from(manual());
    for page in manual().filter(|page| page.path.starts_with("docs")) {
        assert!(linked.contains(&page.path), "{}", page.path.display());
    }
}

#[test]
fn the_book_has_every_page_once() {
    let pages = page::all();
    let (contents, manual): (Vec<&Page>, Vec<&Page>) = pages.iter().partition(is_contents);
    let mut chapters = linked_from(contents.into_iter());
    chapters.sort();
    let paths: Vec<PathBuf> = manual.iter().map(|page| page.path.clone()).collect();
    assert_eq!(chapters, paths);
}

#[test]
fn a_broken_link_is_found() {
    let page = |path: &str, text: &str| Page {
        path: PathBuf::from(path),
        text: text.to_owned(),
    };
    let pages = [
        page("docs/operations.md", "# One: two `x_y` (three)\n"),
        page("README.md", ""),
    ];
    assert_eq!(check(&pages[0], "#one-two-x_y-three", &pages), Ok(()));
    assert_eq!(check(&pages[0], "../README.md", &pages), Ok(()));
    for broken in [
        "#one",
        "../README.md#x",
        "nothing.md",
        "README.md",
        "http://a.example",
    ] {
        assert!(check(&pages[0], broken, &pages).is_err(), "{broken}");
    }
}
