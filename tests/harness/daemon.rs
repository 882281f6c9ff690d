//! A relay or a node: a process that can be stopped, killed, paused and started again on the same data.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::command::program;
use super::{PATIENCE, RESEARCHER, json, until};

/// A running or stopped relay or node.
pub struct Daemon {
    /// Its id.
    pub id: String,
    /// A relay: where it listens. A node: where its researcher does.
    pub address: String,
    /// Where it serves metrics, if it does.
    pub metrics: Option<String>,
    args: Vec<String>,
    data: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Starts a relay with its data in `folder`/`name`, on a free port.
    pub fn relay(folder: &Path, name: &str) -> Self {
        Self::relay_at(folder, name, "127.0.0.1:0")
    }

    /// Starts a relay that listens on `address`.
    pub fn relay_at(folder: &Path, name: &str, address: &str) -> Self {
        Self::relay_with(folder, name, address, &[])
    }

    /// The same with more arguments.
    pub fn relay_with(folder: &Path, name: &str, address: &str, more: &[&str]) -> Self {
        let args = ["relay", "--researcher-id", RESEARCHER, "--listen", address];
        let mut relay = Self::start(folder, name, &[&args[..], more].concat());
        // When it is started again, its nodes must find it.
        relay.args[4] = relay.address.clone();
        relay
    }

    /// Starts a node of the researcher at `address`, with its data in `folder`/`id`. It talks to anybody in suite 1, unless its
    /// policy says something else of channels.
    pub fn node(folder: &Path, id: &str, address: &str) -> Self {
        allow_suite_1(&folder.join(id));
        Self::start(folder, id, &["node", "--id", id, "--researcher", address])
    }

    /// Starts a node that is given its researcher's certificate.
    pub fn node_given(folder: &Path, id: &str, address: &str, certificate: &str) -> Self {
        allow_suite_1(&folder.join(id));
        let args = ["node", "--id", id, "--researcher", address];
        let given = ["--certificate", certificate];
        Self::start(folder, id, &[&args[..], &given].concat())
    }

    /// Starts a node of the researcher at `address` that talks to no peer but those it knows.
    pub fn secure_node(folder: &Path, id: &str, address: &str) -> Self {
        Self::start(folder, id, &["node", "--id", id, "--researcher", address])
    }

    /// Starts the program with these arguments, and its data in `folder`/`name`.
    pub fn start(folder: &Path, name: &str, args: &[&str]) -> Self {
        let data = folder.join(name);
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(["--data".to_owned(), text(&data).to_owned()]);
        let mut daemon = Self {
            id: String::new(),
            address: String::new(),
            metrics: None,
            args,
            log: folder.join(format!("{name}.log")),
            data,
            child: None,
        };
        daemon.start_again();
        daemon
    }

    /// Starts it on the data it had, after a stop or a kill; returns when it is ready.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.id);
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let mut command = program();
        command
            .args(&self.args)
            .args(["-o", "json", "--log", "info"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"));
        let mut child = command.spawn().expect("the program starts");
        let out = child.stdout.take().expect("standard output");
        self.child = Some(child);

        let (first, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(out).lines().map_while(Result::ok);
            let _ = first.send(lines.next().unwrap_or_default());
            // Read on, or the process would hang when it writes more.
            lines.for_each(drop);
        });
        let line = line.recv_timeout(PATIENCE).unwrap_or_default();
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        assert_eq!(
            ready["event"], "ready",
            "{:?} began with {line:?}",
            self.args
        );
        let field = |name: &str| ready[name].as_str().expect("a text").to_owned();
        (self.id, self.address) = (field("id"), field("address"));
        self.metrics = ready["metrics"].as_str().map(str::to_owned);
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running process").id()
    }

    /// Its data directory.
    pub fn data(&self) -> &str {
        text(&self.data)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// How many lines with `text` it has logged, and how many more it says were left out of those of `cause` (or module).
    pub fn logged(&self, text: &str, cause: &str) -> (u64, u64) {
        let (log, cause) = (self.log(), format!("\"{cause}\""));
        let (counts, lines): (Vec<_>, Vec<_>) =
            log.lines().partition(|line| line.contains("left_out="));
        let lines = lines.iter().filter(|line| line.contains(text)).count();
        let counts = counts.iter().filter(|line| line.contains(&cause));
        let left_out = counts.map(|line| {
            let count = line.rsplit("left_out=").next().expect("a count");
            count.trim().parse::<u64>().expect("a count")
        });
        (lines as u64, left_out.sum())
    }

    /// The memory it has now (`VmRSS`), in KiB.
    pub fn memory_kib(&self) -> u64 {
        let child = self.child.as_ref().expect("a running process");
        let path = format!("/proc/{}/status", child.id());
        let status = std::fs::read_to_string(path).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("a size").parse().expect("a number")
    }

    /// What its open descriptors stand for.
    pub fn descriptors(&self) -> Vec<String> {
        let child = self.child.as_ref().expect("a running process");
        let open = std::fs::read_dir(format!("/proc/{}/fd", child.id()));
        open.expect("a running process")
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .map(|link| link.display().to_string())
            .collect()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        let child = self.child.as_ref().expect("a running process");
        let threads = std::fs::read_dir(format!("/proc/{}/task", child.id()));
        threads.expect("a running process").count()
    }

    /// What it says of itself.
    pub fn status(&self) -> Value {
        json(&["status", "--data", self.data()])
    }

    /// Asks it to end (SIGTERM). How it ended, and how long that took.
    pub fn stop(&mut self) -> (ExitStatus, Duration) {
        self.signal(Signal::TERM);
        let began = Instant::now();
        let mut child = self.child.take().expect("a running process");
        let status = until(&format!("{} ends", self.id), || {
            child.try_wait().expect("a child of ours")
        });
        (status, began.elapsed())
    }

    /// Ends it at once (SIGKILL): nothing more is written, sent or closed.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running process");
        child.kill().expect("a child of ours");
        child.wait().expect("a child of ours");
    }

    /// Keeps it from running (SIGSTOP). Its sockets stay open; what is sent to it waits there.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run again.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Has it read its policy again (SIGHUP).
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running process");
        let id = i32::try_from(child.id()).expect("a process id");
        kill_process(Pid::from_raw(id).expect("a process id"), signal).expect("a child of ours");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("--- log of {} ---\n{log}", self.args.join(" "));
        }
    }
}

/// The lines of a node's audit log with this operation.
pub fn told(node: &Daemon, operation: &str) -> Vec<Value> {
    let show = ["audit", "show", "--data", node.data()];
    let shown = json(&[&show[..], &["--operation", operation, "--all"]].concat());
    shown["records"].as_array().expect("a list").clone()
}

/// Has a node that does not run talk to anybody in suite 1, unless its policy says something of channels.
pub fn allow_suite_1(data: &Path) {
    let path = data.join("policy.toml");
    let policy = std::fs::read_to_string(&path).unwrap_or_else(|_| "version = 1\n".to_owned());
    if !policy.contains("[channels]") {
        std::fs::create_dir_all(data).expect("a data directory");
        let allowed = format!("{policy}\n[channels]\nsuite-1 = \"any\"\n");
        std::fs::write(path, allowed).expect("a policy");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours is text")
}
