// swift-tools-version: 6.2
import PackageDescription

/// Every module, tests included, is compiled under the same strict rules: a warning is an error,
/// imports state who may see them, and every unsafe expression says so.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

/// Full RELRO; position-independent executables are the compiler's default.
let hardened: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "relro", "-Xlinker", "-z", "-Xlinker", "now"])]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies, path: "Tests/\(name)Tests",
    resources: resources, swiftSettings: strict)
}

let package = Package(
  name: "coffer",
  products: [
    .executable(name: "cofferd", targets: ["cofferd"]),
    .executable(name: "coffer", targets: ["coffer"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .systemLibrary(name: "CLibcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CFastCGI", providers: [.apt(["libfcgi-dev"])]),
    .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
    .target(name: "CShim"),
    .target(name: "CErasingHeap"),
    // Needs the headers of libcurl4-openssl-dev; the library is loaded at run time.
    .target(name: "CCurl"),

    module("SecretMemory", ["CLibcrypto"]),
    module("Ciphers", ["SecretMemory", "CLibcrypto"]),
    module("KeyRing", ["Ciphers", "SecretMemory", "StrictJSON"]),
    module("StrictJSON"),
    module("Model", ["StrictJSON"]),
    module("Threads", ["CShim"]),
    module("Store", ["CSQLite", "CShim", "Threads"]),
    module("Service", ["CShim", "Model", "Store", "KeyRing", "Ciphers", "SecretMemory", "StrictJSON", "Threads"]),
    module("HTTPMessages", ["SecretMemory"]),
    module("SettingsAPI", ["Service", "Model", "Gateway", "HTTPMessages", "StrictJSON", "SecretMemory", "Threads"]),
    module("AdminAPI", ["Service", "Store", "KeyRing", "Model", "HTTPMessages", "StrictJSON", "SecretMemory", "Threads"]),
    module("ScopedAPI", ["Service", "Model", "KeyRing", "HTTPMessages", "StrictJSON", "SecretMemory"]),
    module("Responder", ["Ciphers", "HTTPMessages", "SecretMemory", "CFastCGI", "CShim", "Threads"]),
    module("SocketRelay", ["HTTPMessages", "Responder", "StrictJSON", "Ciphers", "SecretMemory", "CShim", "Threads"]),
    module("Configuration", ["StrictJSON", "SecretMemory"]),
    module("ConfiguredKeys", ["Configuration", "KeyRing"]),
    module("EventLog", ["CShim", "Configuration", "Model", "StrictJSON", "Threads"]),
    module("Diagnosis"),
    module("FastCGIClient", ["CShim"]),
    module("EnvironmentFiles", ["SecretMemory", "StrictJSON"]),
    module("HTTPClient", ["CCurl", "SecretMemory"]),
    module("Gateway", ["HTTPClient", "SecretMemory", "Threads"]),

    .executableTarget(
      name: "cofferd",
      dependencies: [
        "Responder", "SocketRelay", "SettingsAPI", "ScopedAPI", "AdminAPI", "Gateway", "Service", "Store", "KeyRing", "Configuration",
        "ConfiguredKeys", "EventLog", "FastCGIClient", "HTTPClient", "Model", "StrictJSON",
        "HTTPMessages", "SecretMemory", "CShim", "CErasingHeap", "Threads",
      ],
      swiftSettings: strict, linkerSettings: hardened),
    .executableTarget(
      name: "coffer",
      dependencies: [
        "Service", "Store", "Model", "KeyRing", "Ciphers", "Configuration", "ConfiguredKeys", "Diagnosis", "EnvironmentFiles",
        "FastCGIClient",
        "HTTPClient", "AdminAPI",
        "HTTPMessages", "StrictJSON", "SecretMemory", "CShim", "CErasingHeap", "Threads",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict, linkerSettings: hardened),

    .target(
      name: "TestSupport", dependencies: ["FastCGIClient", "StrictJSON", "CShim", "Threads"], path: "Tests/TestSupport",
      swiftSettings: strict),
    tests("SecretMemory"),
    tests("Ciphers", ["StrictJSON", "SecretMemory", "Threads"]),
    tests("KeyRing", ["StrictJSON", "Ciphers", "SecretMemory"]),
    tests("StrictJSON"),
    tests("Threads"),
    tests("Model", ["StrictJSON"]),
    tests("Store", ["Threads"]),
    tests("Service", ["Model", "Store", "KeyRing", "SecretMemory", "StrictJSON", "Threads"]),
    tests("HTTPMessages", ["StrictJSON", "SecretMemory"]),
    tests("SettingsAPI", ["Service", "Model", "Store", "KeyRing", "HTTPMessages", "StrictJSON", "SecretMemory", "Threads"]),
    tests("ScopedAPI", ["Service", "Model", "Store", "KeyRing", "HTTPMessages", "StrictJSON", "SecretMemory", "Threads"]),
    tests("AdminAPI", ["Service", "Model", "Store", "KeyRing", "HTTPMessages", "StrictJSON", "SecretMemory", "Threads"]),
    tests("Responder", ["HTTPMessages", "SecretMemory", "CShim", "Threads"]),
    tests("SocketRelay", ["Ciphers", "HTTPMessages", "Responder", "SecretMemory", "StrictJSON", "Threads"]),
    tests("Configuration", ["SecretMemory"]),
    tests("Diagnosis", ["HTTPMessages"]),
    tests("EventLog", ["Configuration", "StrictJSON"]),
    tests("EnvironmentFiles", ["SecretMemory", "StrictJSON"]),
    tests("HTTPClient", ["SecretMemory"]),
  ],
  swiftLanguageModes: [.v6]
)
