//! A lab's certificate authority.
