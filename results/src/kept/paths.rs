//! A kept file says nothing of where it was made: absolute paths become their last part.

/// What may stand before a path. A slash after anything else is none: `tx/s`, `http://…`.
const BEFORE: [char; 9] = [' ', '"', '\'', '=', '(', '[', ',', '\n', '\t'];

/// Replaces every absolute path of at least two parts by `<path>/` and its last part.
pub(super) fn strip(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if next == '/' && BEFORE.contains(&before) {
            let len = rest.find(|c: char| !is_of_path(c)).unwrap_or(rest.len());
            let (path, after) = rest.split_at(len);
            let parts = || path.split('/').filter(|part| !part.is_empty());
            match parts().count() {
                0 | 1 => stripped.push_str(path),
                _ => {
                    stripped.push_str("<path>/");
                    stripped.extend(parts().next_back());
                }
            }
            before = path.chars().next_back().unwrap_or(before);
            rest = after;
        } else {
            stripped.push(next);
            before = next;
            rest = &rest[next.len_utf8()..];
        }
    }
    stripped
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || "/._-+@~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn absolute_paths_lose_where_they_are() {
        let command = "reforge run /home/me/x/specs/quick.toml --out /tmp/out --set a=/srv/b/c.d";
        let kept = "reforge run <path>/quick.toml --out <path>/out --set a=<path>/c.d";
        assert_eq!(strip(command), kept);
        assert_eq!(strip("\"/a/b\", '/c/d/'"), "\"<path>/b\", '<path>/d'");
    }

    #[test]
    fn what_only_has_a_slash_stays() {
        for text in [
            "5 tx/s",
            "http://127.0.0.1:1/healthz",
            "/healthz",
            "a / b",
            "specs/x.toml",
        ] {
            assert_eq!(strip(text), text);
        }
    }
}
