//! Pictures of a lab: SVG, Mermaid, DOT, ASCII, HTML pages.
