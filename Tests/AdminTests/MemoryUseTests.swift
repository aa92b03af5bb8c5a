import Testing

@testable import Admin

@Suite struct MemoryUseTests {
    /// From 10 GB on no blank is left between the tab and the number.
    @Test(arguments: [
        ("VmHWM:\t    8256 kB\n", 8256), ("VmPeak:\t1 kB\nVmHWM:\t13456404 kB\nVmRSS:\t2 kB\n", 13_456_404), ("", 0),
    ])
    func readsLargeAndSmall(text: String, kilobytes: Int) {
        #expect(MemoryUse.bytes(of: "VmHWM", in: text) == kilobytes * 1024)
    }
}
