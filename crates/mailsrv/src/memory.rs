//! How the allocator keeps memory: a lab runs many servers on one machine.
#![allow(unsafe_code, reason = "mallopt has no safe form; it is called once, before other threads")]

/// Allocations from this size on are given back to the system when they are freed.
const MMAP_FROM: libc::c_int = 256 << 10;
/// Pools of memory for threads.
const ARENAS: libc::c_int = 2;

/// Tells the allocator to give memory back. By itself glibc stops to do so for sizes that were
/// once freed, such as the 4 MiB of a password hash, and makes a pool for each writing thread.
pub fn frugal() {
    #[cfg(target_env = "gnu")]
    // SAFETY: these only set numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MMAP_FROM);
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}
