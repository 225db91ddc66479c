//! Joins pairs of Ethernet interfaces and makes the wire between them behave like a real path.
//!
//!     path-emulator --control /run/lab/emulator.sock [--seed 1] --link wifi=wifi-a,wifi-b [--link …]
//!
//! Prints `ready` when every link is open. Ends when its standard input ends, so it never outlives the test that
//! started it. The interfaces must have transmit checksum offload off at the far ends (else frames arrive without
//! checksums, or as super-packets), and no addresses of their own.
//!
//! A frame's way: `ring` (interface) → `link` (`nat`) → `direction` (`strip`, `middlebox`, `coalesce`, `icmp`, queue,
//! delay line) → `ring`.

mod coalesce;
mod control;
mod counters;
mod direction;
mod icmp;
mod link;
mod middlebox;
mod nat;
mod packet;
mod params;
mod pcap;
mod ring;
mod rng;
mod strip;

use control::Control;
use link::Link;
use std::process::ExitCode;

/// What the command line asked for.
#[derive(Debug)]
struct Options {
    control: String,
    seed: u64,
    links: Vec<(String, [String; 2])>,
}

fn parse_options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { control: String::new(), seed: 1, links: Vec::new() };
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        match word.as_str() {
            "--control" => options.control = value,
            "--seed" => options.seed = value.parse().map_err(|_| format!("--seed: {value} is not a number"))?,
            "--link" => {
                let parts = value.split_once('=').and_then(|(n, ends)| Some((n, ends.split_once(',')?)));
                let (name, (a, b)) = parts.ok_or(format!("--link: {value} is not NAME=INTERFACE,INTERFACE"))?;
                options.links.push((name.to_owned(), [a.to_owned(), b.to_owned()]));
            }
            _ => return Err(format!("unknown option {word}")),
        }
    }
    if options.control.is_empty() || options.links.is_empty() {
        return Err("--control and at least one --link are needed".to_owned());
    }
    Ok(options)
}

/// CLOCK_MONOTONIC, ns.
fn now_ns() -> u64 {
    // SAFETY: timespec is plain data, all zeroes is a valid value.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `time` is a writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Waits until something can be read or `deadline_ns` has come. False when standard input has ended.
fn wait(links: &[Link], control: &Control, deadline_ns: Option<u64>, fds: &mut Vec<libc::pollfd>) -> bool {
    fds.clear();
    let all = std::iter::once(0).chain(links.iter().flat_map(Link::fds)).chain(control.fds());
    fds.extend(all.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }));
    let timeout = deadline_ns.map(|at| at.saturating_sub(now_ns())).map(|ns| libc::timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as libc::c_long,
    });
    let timeout_at = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `fds` and `timeout` outlive the call; the signal mask is not changed.
    unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_at, std::ptr::null()) };
    if fds[0].revents == 0 {
        return true;
    }
    let mut byte = 0u8;
    // SAFETY: one writable byte.
    unsafe { libc::read(0, (&raw mut byte).cast(), 1) > 0 }
}

fn run(options: &Options) -> std::io::Result<()> {
    let mut links = Vec::new();
    for (index, (name, ends)) in options.links.iter().enumerate() {
        let seed = options.seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        links.push(Link::open(name, [&ends[0], &ends[1]], seed)?);
    }
    let mut control = Control::listen(&options.control)?;
    // SAFETY: both calls only touch the scheduling of this thread. Timers to the microsecond; and ahead of the traffic
    // it carries, where that is allowed, since a path does not slow down because its users are busy.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1);
        libc::setpriority(libc::PRIO_PROCESS, 0, -20);
    }
    println!("ready");
    let mut fds = Vec::new();
    let mut more = false;
    loop {
        let deadline_ns = if more { Some(0) } else { links.iter().filter_map(Link::next_due_ns).min() };
        if !wait(&links, &control, deadline_ns, &mut fds) {
            links.iter_mut().for_each(|link| drop(link.capture(None)));
            return Ok(());
        }
        more = false;
        for link in &mut links {
            more |= link.receive(now_ns());
            link.send(now_ns());
        }
        let first_control = 1 + links.len() * 2;
        if fds[first_control..].iter().any(|fd| fd.revents != 0) {
            control.serve(now_ns(), &mut links);
        }
    }
}

fn main() -> ExitCode {
    let options = match parse_options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("path-emulator: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("path-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        parse_options(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_and_mistakes_named() {
        let options = parse("--control /x --seed 7 --link wifi=a,b --link lan=c,d").unwrap();
        assert_eq!((options.seed, options.links.len()), (7, 2));
        assert_eq!(options.links[1], ("lan".to_owned(), ["c".to_owned(), "d".to_owned()]));
        for (line, named) in [("--control /x", "--link"), ("--link a,b --control x", "a,b"), ("--seed", "--seed")] {
            assert!(parse(line).unwrap_err().contains(named), "{line}");
        }
    }
}
