/// What If-Match asks for (RFC 9110, section 13.1.1).
package enum EntityTagCondition: Sendable, Equatable {
  /// `*`: any version that exists.
  case any
  /// One of these opaque tags.
  case tags([[UInt8]])

  /// Reads a field value. A `W/` prefix is tolerated and the opaque part compared, since a front end that compresses
  /// weakens tags. Text that is no list of tags matches nothing.
  package init(parsing value: [UInt8]) {
    let parts = value.split(separator: UInt8(ascii: ",")).map { part in
      Array(part.drop { $0 == 0x20 || $0 == 0x09 }.reversed().drop { $0 == 0x20 || $0 == 0x09 }.reversed())
    }
    if parts == [[UInt8(ascii: "*")]] {
      self = .any
    } else {
      self = .tags(parts.map { $0.starts(with: [UInt8(ascii: "W"), UInt8(ascii: "/")]) ? Array($0.dropFirst(2)) : $0 })
    }
  }

  /// - Parameter tag: the current tag with its quotes; nil when nothing exists.
  package func matches(_ tag: [UInt8]?) -> Bool {
    switch self {
    case .any: tag != nil
    case .tags(let tags): tag.map(tags.contains) ?? false
    }
  }
}

/// The entity tag of a version: the number in quotes.
package func entityTag(of version: UInt64) -> String { "\"\(version)\"" }

extension Service {
  /// - Parameter tag: of what is stored; nil when nothing is.
  func check(_ condition: EntityTagCondition?, _ tag: String?) throws(ServiceError) {
    guard let condition else { return }
    guard condition.matches(tag.map { Array($0.utf8) }) else { throw .preconditionFailed }
  }
}
