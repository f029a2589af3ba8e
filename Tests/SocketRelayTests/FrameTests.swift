import Testing

@testable import SocketRelay

/// Frames (RFC 6455, section 5.2 and the examples of section 5.7).
@Suite struct FrameTests {
  private func head(_ bytes: [UInt8]) -> FrameHead? {
    if case .head(let head) = FrameHead.read(bytes) { return head }
    return nil
  }

  @Test func examplesOfTheStandard() {
    #expect(head([0x81, 0x05, 0x48]) == FrameHead(isFinal: true, opcode: 1, mask: nil, payload: 5, byteCount: 2))
    #expect(
      head([0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F])
        == FrameHead(isFinal: true, opcode: 1, mask: [0x37, 0xFA, 0x21, 0x3D], payload: 5, byteCount: 6))
    #expect(head([0x01, 0x03, 0x48])?.isFinal == false)
    #expect(head([0x82, 0x7E, 0x01, 0x00])?.payload == 256)
    #expect(head([0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]) == FrameHead(isFinal: true, opcode: 2, mask: nil, payload: 65536, byteCount: 10))
  }

  @Test func everyCutIsIncomplete() {
    for frame: [UInt8] in [[0x81, 0x85, 1, 2, 3, 4], [0x82, 0x7E, 1, 0], [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]] {
      for count in 0..<frame.count { #expect(FrameHead.read(frame.prefix(count)) == .incomplete) }
      #expect(head(frame)?.byteCount == frame.count)
    }
    #expect(FrameHead.read([0x91, 0]) == .invalid)
    #expect(FrameHead.read([0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0]) == .invalid)
  }

  @Test func aTrackerKnowsTheBoundariesHoweverTheBytesCome() {
    let bytes: [UInt8] =
      [0x81, 0x02, 1, 2] + [0x82, 0x7E, 0, 200] + [UInt8](repeating: 7, count: 200) + [0x89, 0x00] + CloseFrame.bytes(1001, "x")
    let boundaries: Set<Int> = [0, 4, 208, 210, bytes.count]
    for step in [1, 2, 3, 7, 50, 1000] {
      var tracker = FrameTracker()
      var index = 0
      while index < bytes.count {
        #expect(tracker.isBetweenFrames == boundaries.contains(index), "\(step) \(index)")
        let next = min(bytes.count, index + step)
        tracker.take(bytes[index..<next])
        index = next
      }
      #expect(tracker.isBetweenFrames && tracker.hasClosed && !tracker.isLost)
    }
    var tracker = FrameTracker()
    tracker.take([0xF1, 0x00])
    #expect(tracker.isLost && !tracker.isBetweenFrames)
  }

  @Test func closeFrames() {
    #expect(CloseFrame.bytes(4001, "no") == [0x88, 4, 0x0F, 0xA1, 0x6E, 0x6F])
  }

  @Test func aQueueHoldsNoMoreThanItsRoom() {
    var queue = ByteQueue()
    var (sent, taken): ([UInt8], [UInt8]) = ([], [])
    var next: UInt8 = 0
    for round in 0..<2000 {
      let count = min(queue.room, round * 37 % 5000)
      let bytes = (0..<count).map { _ in
        next &+= 1
        return next
      }
      queue.append(bytes)
      sent += bytes
      let out = min(queue.count, round * 53 % 6000)
      taken += queue.contents.prefix(out)
      queue.drop(out)
      #expect(queue.room >= 0 && queue.count <= ByteQueue.capacity)
    }
    taken += queue.contents
    #expect(taken == sent)
  }
}
