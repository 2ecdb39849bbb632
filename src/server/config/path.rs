//! Paths of included files as the reference forms them, so that messages name the same file.
//!
//! An included path is always taken as relative to the folder of the file that includes it, also
//! where it begins with a slash.

/// The folder of a file: `.` for a bare name.
pub(super) fn folder(file: &str) -> String {
    match file.rfind('/') {
        Some(slash) => clean(file.get(..=slash).unwrap_or("/")),
        None => ".".into(),
    }
}

/// `file` below `folder`, without `.`, `..` and doubled slashes where they can be resolved.
pub(super) fn join(folder: &str, file: &str) -> String {
    clean(&format!("{folder}/{file}"))
}

fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_included_paths_are_formed_as_in_the_reference() {
        for (file, want) in
            [("a.conf", "."), ("./a.conf", "."), ("x/y/a.conf", "x/y"), ("/a.conf", "/"), ("", ".")]
        {
            assert_eq!(folder(file), want, "{file}");
        }
        for (folder, file, want) in [
            (".", "b.conf", "b.conf"),
            (".", "./b.conf", "b.conf"),
            ("x/y", "../b.conf", "x/b.conf"),
            ("x", "../../b.conf", "../b.conf"),
            ("x", "/etc/b.conf", "x/etc/b.conf"),
            ("/", "../b.conf", "/b.conf"),
            (".", "", "."),
            (".", "a//b/./c", "a/b/c"),
            ("..", "../b", "../../b"),
        ] {
            assert_eq!(join(folder, file), want, "{folder} {file}");
        }
    }
}
