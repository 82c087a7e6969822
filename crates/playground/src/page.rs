//! What a browser shows: one page with its style and its scripts inside.

/// The page. It asks for nothing but itself and the socket at `socket` beside it.
pub fn page() -> &'static str {
    concat!(
        include_str!("page/head.html"),
        "<style>\n",
        include_str!("page/page.css"),
        "</style>\n",
        include_str!("page/body.html"),
        "<script type=\"module\">\n",
        include_str!("page/state.js"),
        include_str!("page/draw.js"),
        include_str!("page/page.js"),
        "</script>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn the_page_stands_alone() {
        for elsewhere in ["http://", "https://", "//cdn", "src=", "url(", "import ", "@import"] {
            assert!(!page().contains(elsewhere), "{elsewhere}");
        }
        assert!(page().contains("`ws://${location.host}/socket`"));
        assert!(page().len() < 100_000, "{} bytes", page().len());
    }

    #[test]
    fn every_element_that_scripts_name_is_there_once() {
        let named = page().split("el(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let named: Vec<_> = named.filter(|name| !name.is_empty()).collect();
        assert!(named.len() > 30, "{named:?}");
        for name in named {
            assert_eq!(page().matches(&format!("id=\"{name}\"")).count(), 1, "{name}");
        }
    }
}
