//! Linux namespaces and bridges; no Docker, no root.
