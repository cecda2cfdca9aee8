//! What the test program is inside a node, by its name.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The commands of a node.
pub const NAMES: [&str; 22] = [
    "agent",
    "relay",
    "true",
    "code",
    "die",
    "cat",
    "say",
    "hang",
    "tty",
    "env",
    "net",
    "see",
    "forbidden",
    "listen",
    "connect",
    "write",
    "background",
    "hog",
    "knock",
    "sleep",
    "fill",
    "yes",
];

/// Runs a command if this process is one.
pub fn dispatch() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let name = words.next()?;
    let rest: Vec<_> = words.collect();
    let name = Path::new(&name).file_name()?.to_str()?.to_owned();
    let (name, args) = match rest.first().and_then(|word| word.to_str()) {
        Some(first @ ("supervisor" | "agent" | "relay" | "inside")) => {
            (first.to_owned(), rest[1..].to_vec())
        }
        _ if NAMES.contains(&name.as_str()) => (name, rest),
        _ => return None,
    };
    let text: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match name.as_str() {
        "supervisor" => return Some(engine::embedded::supervisor_main(args)),
        "agent" => return Some(agent::main(args)),
        "relay" => return Some(agent::relay(args)),
        "inside" => return Some(crate::embedded::inside()),
        _ => {}
    }
    Some(ExitCode::from(run(&name, &text)))
}

fn run(name: &str, args: &[String]) -> u8 {
    let number =
        |index: usize| args.get(index).and_then(|arg| arg.parse::<u16>().ok()).unwrap_or(0);
    match name {
        "true" => 0,
        "code" => number(0) as u8,
        "die" => {
            // SAFETY: raises a signal in this process.
            #[allow(unsafe_code)]
            unsafe {
                libc::raise(number(0).into())
            };
            99
        }
        "cat" => {
            let mut bytes = Vec::new();
            let from =
                args.first().map(|path| std::fs::File::open(path).unwrap().read_to_end(&mut bytes));
            if from.is_none() {
                std::io::stdin().read_to_end(&mut bytes).unwrap();
            }
            std::io::stdout().write_all(&bytes).unwrap();
            0
        }
        "say" => {
            print!("{}", args[0]);
            eprint!("{}", args[1]);
            0
        }
        "hang" => {
            println!("hanging");
            loop {
                std::thread::park();
            }
        }
        "background" => {
            // A child that keeps standard output open after this command's end, so many
            // milliseconds; then the code to end with.
            let mut child = std::process::Command::new("/proc/self/exe");
            child.arg0("sleep").arg(&args[0]).spawn().unwrap();
            println!("left one behind");
            number(1) as u8
        }
        "sleep" => {
            std::thread::sleep(Duration::from_millis(args[0].parse().unwrap()));
            0
        }
        "tty" => tty(),
        "env" => {
            std::env::vars().for_each(|(name, value)| println!("{name}={value}"));
            0
        }
        "net" => {
            for entry in std::fs::read_dir("/sys/class/net").unwrap().flatten() {
                let mac = std::fs::read_to_string(entry.path().join("address")).unwrap_or_default();
                println!("{} {}", entry.file_name().to_string_lossy(), mac.trim());
            }
            0
        }
        "see" => see(),
        "forbidden" => forbidden(),
        "listen" => {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, number(0))).unwrap();
            println!("listening");
            for stream in listener.incoming() {
                stream.unwrap().write_all(args[1].as_bytes()).unwrap();
            }
            0
        }
        "connect" => {
            let address = format!("{}:{}", args[0], args[1]).parse().unwrap();
            let patience =
                Duration::from_millis(args.get(2).map_or(5000, |ms| ms.parse().unwrap()));
            let begun = Instant::now();
            loop {
                if let Ok(mut stream) =
                    TcpStream::connect_timeout(&address, Duration::from_millis(300))
                {
                    let mut text = String::new();
                    stream.read_to_string(&mut text).unwrap();
                    print!("{text}");
                    return 0;
                }
                if begun.elapsed() > patience {
                    return 1;
                }
            }
        }
        "knock" => {
            // A refusal is an answer, too.
            let address = format!("{}:9", args[0]).parse().unwrap();
            let answer = TcpStream::connect_timeout(&address, Duration::from_millis(300));
            let kind = answer.err().map(|error| error.kind());
            let there = kind == Some(std::io::ErrorKind::ConnectionRefused);
            print!("{}", if there { "somebody" } else { "nobody" });
            0
        }
        "write" => match std::fs::write(&args[0], &args[1]) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("{error}");
                1
            }
        },
        "fill" => {
            // Files until there is no more room; the bytes that could be written.
            let (mut written, mut number) = (0, 0);
            while number < 64 {
                let file = std::fs::File::create(format!("{}{number}", args[0]));
                let Ok(mut file) = file else { break };
                let Ok(()) = file.write_all(&vec![7; 1 << 20]) else { break };
                written += 1 << 20;
                number += 1;
            }
            println!("{written}");
            0
        }
        "yes" => {
            while std::io::stdout().write_all(&[b'y'; 4096]).is_ok() {}
            0
        }
        "hog" => {
            // Children that only wait, until no more can be made.
            let mut made = 0;
            while std::process::Command::new("/proc/self/exe")
                .arg0("hang")
                .stdout(std::process::Stdio::null())
                .spawn()
                .is_ok()
            {
                made += 1;
                if made > 200 {
                    break;
                }
            }
            println!("{made}");
            0
        }
        _ => 127,
    }
}

/// Says whether there is a terminal, which and how large; then echoes lines until `quit`.
fn tty() -> u8 {
    let size = || -> Option<(u16, u16)> {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the kernel fills in the structure.
        #[allow(unsafe_code)]
        let result = unsafe { libc::ioctl(0, libc::TIOCGWINSZ, &raw mut size) };
        (result == 0).then_some((size.ws_col, size.ws_row))
    };
    let name = std::fs::read_link("/proc/self/fd/0").unwrap_or_default();
    let exists = Path::new(&name).exists();
    println!(
        "{} {} {:?} exists={exists}",
        std::env::var("TERM").unwrap_or_default(),
        name.display(),
        size()
    );
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).unwrap_or(0) > 0 {
        match line.trim() {
            "quit" => return 7,
            "size" => println!("{:?}", size()),
            other => println!("<{other}>"),
        }
        line.clear();
    }
    8
}

/// What a process of a node sees of itself and the world.
fn see() -> u8 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for line in status.lines() {
        if ["CapEff", "CapBnd", "NoNewPrivs", "Seccomp:"].iter().any(|key| line.starts_with(key)) {
            println!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    let mut pids: Vec<u32> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    println!("pids {pids:?}");
    println!("host {}", nix::unistd::gethostname().unwrap().to_string_lossy());
    for file in ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"] {
        println!("{file} {:?}", std::fs::read_to_string(file).unwrap_or_default());
    }
    for path in ["/home", "/boot", "/usr/bin", "/etc/shadow", "/dev/mem", "/dev/vda", "/dev/kmsg"] {
        println!("{path} {}", Path::new(path).exists());
    }
    for path in [
        "/bin/x",
        "/proc/sysrq-trigger",
        "/sys/kernel/x",
        "/tmp/x",
        "/var/lib/labctl/x",
        "/proc/sys/kernel/hostname",
    ] {
        println!("write {path} {}", std::fs::write(path, "x").is_ok());
    }
    println!("kcore {}", std::fs::read("/proc/keys").map_or(0, |bytes| bytes.len()));
    0
}

/// Tries what must fail; prints what did not.
fn forbidden() -> u8 {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let mut wrong = Vec::new();
    let none = None::<&str>;
    if mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), none).is_ok() {
        wrong.push("mount");
    }
    if unshare(CloneFlags::CLONE_NEWUSER).is_ok() {
        wrong.push("unshare user");
    }
    if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        wrong.push("unshare net");
    }
    if nix::unistd::chroot("/tmp").is_ok() {
        wrong.push("chroot");
    }
    if nix::unistd::sethostname("evil").is_ok() {
        wrong.push("sethostname");
    }
    // SAFETY: plain system calls with numbers.
    #[allow(unsafe_code)]
    unsafe {
        if libc::syscall(libc::SYS_bpf, 0, 0, 0) >= 0 {
            wrong.push("bpf");
        }
        if libc::syscall(libc::SYS_ptrace, 16, 1, 0, 0) >= 0 {
            wrong.push("ptrace");
        }
        if libc::syscall(libc::SYS_keyctl, 0, 0, 0, 0, 0) >= 0 {
            wrong.push("keyctl");
        }
    }
    let made = nix::sys::stat::mknod(
        "/tmp/disk",
        nix::sys::stat::SFlag::S_IFBLK,
        nix::sys::stat::Mode::S_IRUSR,
        nix::sys::stat::makedev(254, 0),
    );
    if made.is_ok() {
        wrong.push("mknod");
    }
    println!("{}", wrong.join(" "));
    wrong.len() as u8
}
