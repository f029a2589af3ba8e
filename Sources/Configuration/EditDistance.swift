/// The nearest of `candidates`, when one is near enough to be meant.
///
/// - Returns: the candidate with the least Levenshtein distance, if that is at most a third of the name, and at least 2.
func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
  // Long names are no slips of the pen, and the distance costs the product of the lengths.
  guard name.utf8.count <= 64 else { return nil }
  let limit = max(2, name.utf8.count / 3)
  let best = candidates.map { (distance: editDistance(name, $0), name: $0) }.min { ($0.distance, $0.name) < ($1.distance, $1.name) }
  guard let best, best.distance <= limit else { return nil }
  return best.name
}

/// Levenshtein distance over bytes.
func editDistance(_ left: String, _ right: String) -> Int {
  let right = Array(right.utf8)
  var row = Array(0...right.count)
  for (i, byte) in left.utf8.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for j in right.indices {
      let substituted = diagonal + (byte == right[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, diagonal + 1, row[j] + 1)
    }
  }
  return row[right.count]
}
