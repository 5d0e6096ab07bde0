//! The command that programs get their tokens from: another one at each call.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rig::{Token, scratch};

/// How many tokens there are; later calls get the last one again.
const COUNT: usize = 6;

/// A folder with a command that prints a token.
pub struct TokenCommand {
    folder: PathBuf,
    tokens: Vec<String>,
}

impl TokenCommand {
    /// Tokens that differ in `jti` (`token-1`, `token-2` ...), and in nothing else.
    pub fn new(token: Token) -> TokenCommand {
        let folder = scratch::new_folder("tokens");
        let with_id = |n: usize| token.clone().claim("jti", format!("token-{n}")).encode();
        let tokens: Vec<String> = (1..=COUNT).map(with_id).collect();
        for (n, token) in tokens.iter().enumerate() {
            fs::write(folder.join(format!("token.{}", n + 1)), token).expect("a file");
        }
        // Pools call it for several connections at once.
        let program = format!(
            "#!/bin/sh\nexec 9>>'{0}/lock' && flock 9 && echo >>'{0}/calls'\n\
             cat '{0}'/token.$(wc -l <'{0}/calls') 2>/dev/null || cat '{0}/token.{COUNT}'\n",
            folder.display()
        );
        let command = TokenCommand { folder, tokens };
        fs::write(command.path(), program).expect("a file");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(command.path(), executable).expect("it is ours");
        command
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("get-token")
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        let calls = fs::read_to_string(self.folder.join("calls"));
        calls.map_or(0, |calls| calls.lines().count())
    }

    /// All tokens that it can print.
    pub fn all(&self) -> &[String] {
        &self.tokens
    }
}
