//! What memory the process keeps: a lab runs many servers on one machine.
#![allow(unsafe_code, reason = "mallopt and madvise have no safe form; each is called once")]

use std::ffi::c_void;

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

/// Gives the pages of code back that only the start needed: about half of what an idle server
/// shows. What is needed again comes back from the page cache, where the code of all servers of a
/// machine lies once.
pub fn started() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, length) in maps.lines().filter_map(code) {
        // SAFETY: a mapping of a file that is never written holds nothing but what the file holds;
        // the kernel brings each page back at the next touch.
        unsafe {
            libc::madvise(start as *mut c_void, length, libc::MADV_DONTNEED);
        }
    }
}

/// Where a mapping lies that holds a file's code: a line such as `55d0c000-55d80000 r-xp 00001000
/// fe:00 1234  /usr/bin/mailsrv`. Relocated data is the process's own and is none.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (access, _offset, _device, file) =
        (words.next()?, words.next()?, words.next()?, words.next()?);
    let (start, end) =
        (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (access == "r-xp" && file != "0").then_some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_of_files_is_given_back() {
        let line = "55d0c000-55d0e000 r-xp 00001000 fe:00 1234        /usr/bin/mailsrv";
        assert_eq!(code(line), Some((0x55d0_c000, 0x2000)));
        assert_eq!(code("55d0e000-55d0f000 r--p 00001000 fe:00 1234 /usr/bin/mailsrv"), None);
        assert_eq!(code("55d0f000-55d10000 rw-p 00001000 fe:00 1234 /usr/bin/mailsrv"), None);
        assert_eq!(code("7ffd000-7fff000 r-xp 00000000 00:00 0       [vdso]"), None);
        assert_eq!(code(""), None);
    }

    #[test]
    fn the_process_has_such_code_and_goes_on_without_it() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let own = (started as *const c_void).addr();
        let holds = |(start, length): (usize, usize)| (start..start + length).contains(&own);
        assert!(maps.lines().filter_map(code).any(holds), "{maps}");
        started();
    }
}
