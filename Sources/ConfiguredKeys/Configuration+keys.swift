package import Configuration
package import KeyRing

/// Where the keys lie that a configuration names: the server and the command line read them alike.
extension Configuration {
  package var rootKeySource: RootKeySource {
    get throws(RootKeySource.Failure) {
      try RootKeySource(file: rootKeyFile.value, isNamed: rootKeyFile.origin != .standard, command: rootKeyCommand?.value)
    }
  }

  package var rootKeyFiles: RootKeyFiles {
    RootKeyFiles(file: rootKeyFile.value, isOurs: managesRootKeyFile, keys: directory.value + "/keys")
  }

  package var wireKeyFiles: WireKeyFiles { WireKeyFiles(path: wireKeyFile.value) }

  /// The keys of these files and of the environment.
  package var wireRing: WireRing {
    get throws(KeyFile.Failure) { try wireKeyFiles.ring(given: wireKey.given, retired: retiredWireKeys) }
  }
}
