internal import CShim
internal import FastCGIClient
internal import Glibc

/// nginx and cofferd as children: both run, or both end.
struct Supervisor {
  private let directory: String
  private var nginx: Child?
  private var responder: Child?

  init(directory: String) throws {
    self.directory = directory
    // A graceful restart leaves a grandchild: it becomes a child of this process when its parent ends.
    _ = shim_adopt_orphans()
    // Whoever read what is printed may be gone; the children must not be left behind for that.
    signal(SIGPIPE, SIG_IGN)
    var signals = Self.signals
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  private static var signals: sigset_t {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGCHLD] { unsafe sigaddset(&signals, signal) }
    return signals
  }

  /// Starts cofferd and waits until its socket is there.
  mutating func startResponder(isOpen: Bool, options: [String] = [], environment: [[UInt8]]) throws {
    let arguments = ["--dir", directory, "--insecure-open=\(isOpen)"] + options
    unsafe unlink(directory + "/run/cofferd.pid")
    let child = try Child.start(Program.cofferd, arguments, environment: environment)
    responder = child
    for _ in 0..<800 {
      if unsafe access(directory + "/run/cofferd.pid", F_OK) == 0 { return }
      var status: Int32 = 0
      if unsafe waitpid(child.pid, &status, WNOHANG) == child.pid {
        throw Trouble("cofferd did not start (exit \(Child.code(status))); its message is above")
      }
      usleep(25_000)
    }
    endAll()
    throw Trouble("cofferd did not become ready within twenty seconds")
  }

  mutating func startNginx(_ main: String) throws {
    do {
      nginx = try Child.start(
        "nginx", ["-e", "stderr", "-c", main, "-p", directory + "/run"], environment: [Array("PATH=/usr/sbin:/usr/bin:/sbin:/bin".utf8)])
    } catch {
      endAll()
      throw error
    }
    // nginx writes its pid once it listens.
    for _ in 0..<800 {
      if unsafe access(directory + "/run/nginx.pid", F_OK) == 0 { return }
      var status: Int32 = 0
      if let nginx, unsafe waitpid(nginx.pid, &status, WNOHANG) == nginx.pid {
        endAll()
        throw Trouble("nginx did not start (exit \(Child.code(status))); its message is above")
      }
      usleep(25_000)
    }
    endAll()
    throw Trouble("nginx did not become ready within twenty seconds")
  }

  /// Waits for a signal or for the end of a child, then ends the rest. The exit code: 0 after a signal.
  mutating func superviseToTheEnd() -> Int32 {
    var signals = Self.signals
    while true {
      var signal: Int32 = 0
      guard unsafe sigwait(&signals, &signal) == 0 else { continue }
      switch signal {
      case SIGTERM, SIGINT:
        endAll()
        return 0
      case SIGHUP:
        if let pid = currentResponder { kill(pid, SIGHUP) }
      case SIGCHLD:
        if let code = reap() {
          endAll()
          return code
        }
      default: continue
      }
    }
  }

  /// Collects ended children; a code when one of the two that matter is gone.
  private mutating func reap() -> Int32? {
    while true {
      var status: Int32 = 0
      let pid = unsafe waitpid(-1, &status, WNOHANG)
      guard pid > 0 else { return nil }
      if pid == nginx?.pid {
        nginx = nil
        return max(1, Child.code(status))
      }
      if pid == responder?.pid {
        // Replaced by a successor: the pid file names it.
        if let successor = currentResponder, successor != pid, kill(successor, 0) == 0 {
          responder = Child(pid: successor)
        } else {
          responder = nil
          return max(1, Child.code(status))
        }
      }
    }
  }

  private var currentResponder: pid_t? { ResponderPID.read(directory) }

  /// nginx first: it answers what it has taken while cofferd still serves.
  private mutating func endAll() {
    if let nginx {
      kill(nginx.pid, SIGQUIT)
      end(nginx, within: 3)
    }
    nginx = nil
    unsafe unlink(directory + "/run/nginx.pid")
    // Each may have a successor that is not known yet: the pid file names it once it serves.
    while let last = responder {
      kill(last.pid, SIGTERM)
      end(last, within: 12)
      responder = currentResponder.flatMap { $0 != last.pid && kill($0, 0) == 0 ? Child(pid: $0) : nil }
    }
  }

  private func end(_ child: Child, within seconds: Int) {
    for _ in 0..<(seconds * 40) {
      var status: Int32 = 0
      if unsafe waitpid(child.pid, &status, WNOHANG) == child.pid || kill(child.pid, 0) != 0 { return }
      usleep(25_000)
    }
    kill(child.pid, SIGKILL)
    _ = child.wait()
  }
}

enum ResponderPID {
  static func read(_ directory: String) -> pid_t? {
    Folder.read(directory + "/run/cofferd.pid").flatMap { text in pid_t(text.prefix { $0 != "\n" }) }
  }
}
