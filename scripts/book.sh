#!/usr/bin/env bash
# Builds the manual as a searchable book in target/book, and checks its links and anchors.
source "$(dirname "$0")/common.sh"
cd "$(dirname "$0")/.."

source=target/book-source
book=target/book

main() {
    local mdbook hyperlink
    mdbook=$(scripts/cargo-tool.sh mdbook)
    hyperlink=$(scripts/cargo-tool.sh hyperlink)
    one_at_a_time
    lay_out
    step "book: building" "$mdbook" build
    step "book: checking links" "$hyperlink" "$book" --check-anchors
    say "The book is in $book/index.html"
}

# The pages, and the files that they link to, at the same places relative to each other.
lay_out() {
    rm -rf "$source" "$book"
    mkdir -p "$source/contrib"
    cp ./*.md LICENSE "$source"
    cp -R docs "$source"
    cp -R contrib/monitoring "$source/contrib"
    # Links in SUMMARY.md are relative to docs; mdBook reads it at the root.
    sed -E 's|\]\(([^.)])|](docs/\1|; s|\]\(\.\./|](|' docs/SUMMARY.md >"$source/SUMMARY.md"
    rm "$source/docs/SUMMARY.md"
}

main
