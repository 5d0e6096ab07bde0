//! How docs/logout.md, the packages and the manual page have `validator-hook` checked.

use std::fs;

use crate::page;

fn read(path: &str) -> String {
    fs::read_to_string(page::root().join(path)).expect("a file of the repository")
}

#[test]
fn check_is_run_as_the_user_of_the_unit_wherever_it_is_described() {
    let pages = page::all();
    let page = pages
        .iter()
        .find(|page| page.path.ends_with("docs/logout.md"))
        .expect("the page");
    let blocks = page.blocks();
    let commands = blocks.iter().flat_map(|block| block.text.lines());
    let commands: Vec<&str> = commands
        .filter(|line| line.ends_with("validator-hook --check"))
        .collect();
    let [command] = commands[..] else {
        panic!("{commands:?}");
    };
    let properties: Vec<&str> = command
        .split(" -p ")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next())
        .collect();
    assert_eq!(properties.len(), 2, "{command}");
    let unit = read("packaging/hook/validator-hook.service");
    for property in properties {
        assert!(unit.lines().any(|line| line == property), "{property}");
    }
    let script = read("packaging/hook/postinstall.sh");
    assert!(script.lines().any(|line| line.trim() == command));
    // Line ends and hyphens are escaped there.
    let manual = read("packaging/hook/validator-hook.8").replace("\\e\n", "");
    let manual = manual.replace('\\', "");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&manual).contains(command));
    // What the page has for the service's credentials.
    let credential = "LoadCredential=password:/etc/validator-hook/password";
    assert!(page.text.contains(&format!("\n   {credential}\n")));
    for text in [&page.text, &manual] {
        assert!(text.contains(&format!("-p {credential}")));
    }
}
