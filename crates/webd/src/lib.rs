//! A static web server with templated pages.
