internal import ArgumentParser
internal import CShim
internal import Configuration
internal import Glibc

struct FCGI: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fcgi", abstract: "Serve a web server that starts FastCGI programs itself, as Apache's mod_fcgid does.",
    discussion: """
      Such a server starts as many of these programs as it wants, and ends them as it likes. Each carries its requests to one cofferd, \
      which the first starts and which outlives them; it writes its log to DIR/run/cofferd.log.

      --install FOLDER makes the two files that the web server needs: FOLDER/.htaccess and FOLDER/coffer.fcgi.
      """)

  @OptionGroup var directory: DirectoryOption
  @Option(help: "Make .htaccess and coffer.fcgi in this folder of the web server, and end.") var install: String?

  func run() throws {
    let directory = Folder.absolute(self.directory.path)
    if let install {
      let files = try SharedHostFiles(directory: directory, folder: Folder.absolute(install))
      try files.write()
      print("made \(files.folder)/.htaccess and \(files.folder)/coffer.fcgi")
      return
    }
    guard shim_is_listening(STDIN_FILENO) == 1 else {
      throw ValidationError("standard input is no listening socket: a web server starts this command; --install FOLDER makes its files")
    }
    let responder = OnDemandResponder(directory: directory, environment: EnvironmentBlock.entries())
    FastCGIRelay(listener: STDIN_FILENO, connect: responder.connect).run()
  }
}
