import Testing

@testable import Inference

@Suite struct ProcessorsTests {
    @Test func lists() {
        #expect(Processors.list("0-3,8") == [0, 1, 2, 3, 8])
        #expect(Processors.list(" 5 , 1-2,2 ") == [1, 2, 5])
        #expect(Processors.list("1023") == [1023])
        for wrong in ["", ",", "1,", "-1", "3-1", "1-2-3", "a", "1024", "0-", "1.5"] {
            #expect(Processors.list(wrong) == nil, "\(wrong)")
        }
    }

    @Test func foldersOfAGroup() {
        #expect(
            CPUQuota.paths("0::/system.slice/glossd.service\n")
                == ["/system.slice/glossd.service", "/system.slice", ""].map { .unified("/sys/fs/cgroup\($0)") })
        #expect(
            CPUQuota.paths("4:memory:/m\n3:cpu,cpuacct:/a:b\n2:cpuset:/\n0::/\n")
                == [
                    .legacy("/sys/fs/cgroup/cpu,cpuacct/a:b"), .legacy("/sys/fs/cgroup/cpu,cpuacct"),
                    .unified("/sys/fs/cgroup"),
                ])
        #expect(CPUQuota.paths("nonsense\n").isEmpty)
    }

    @Test func quotas() {
        #expect(CPUQuota.unified("150000 100000\n") == 1.5)
        #expect(CPUQuota.unified("max 100000\n") == nil)
        #expect(CPUQuota.unified("") == nil)
        #expect(CPUQuota.legacy("400000\n", "100000\n") == 4)
        #expect(CPUQuota.legacy("-1\n", "100000\n") == nil)
        #expect(CPUQuota.legacy("100000", "0") == nil)
    }

    @Test func theLeastQuotaHolds() {
        let files = [
            "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
            "/sys/fs/cgroup/a/cpu.max": "50000 100000\n",
        ]
        #expect(CPUQuota.read { files[$0] } == 0.5)
        #expect(CPUQuota.read { ["/proc/self/cgroup": "0::/a/b\n"][$0] } == nil)
        #expect(CPUQuota.read { _ in nil } == nil)
    }

    @Test func atLeastOneThreadAndNoMoreThanProcessors() {
        let allowed = Processors.allowed()
        #expect(1...max(1, allowed.count) ~= Processors.threadCount())
        #expect(Processors.threadCount(cpus: [0]) == 1)
    }
}
