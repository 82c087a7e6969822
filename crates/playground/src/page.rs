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
