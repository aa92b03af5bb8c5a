import CSandbox
import Glibc
import Testing

/// What a process that closed itself in can't do any more: each attempt is its end.
@Suite struct SandboxTests {
    @Test func letsMemoryBeTaken() async {
        await #expect(processExitsWith: .exitCode(7)) {
            closeIn()
            let some = UnsafeMutableRawPointer.allocate(byteCount: 64 << 20, alignment: 16)
            some.initializeMemory(as: UInt8.self, repeating: 1, count: 64 << 20)
            some.deallocate()
            _exit(7)
        }
    }

    @Test func refusesFiles() async {
        await #expect(processExitsWith: .signal(SIGSYS)) {
            closeIn()
            _exit(open("/etc/passwd", O_RDONLY))
        }
    }

    @Test func refusesTheNetwork() async {
        await #expect(processExitsWith: .signal(SIGSYS)) {
            closeIn()
            _exit(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        }
    }

    @Test func refusesToSignalTheParent() async {
        await #expect(processExitsWith: .signal(SIGSYS)) {
            closeIn()
            _exit(kill(getppid(), 0))
        }
    }

    @Test func refusesProcesses() async {
        await #expect(processExitsWith: .signal(SIGSYS)) {
            let words: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
            closeIn()
            _exit(execv("/bin/true", words))
        }
    }

    @Test func refusesCodeInMemory() async {
        await #expect(processExitsWith: .signal(SIGSYS)) {
            closeIn()
            _ = mmap(nil, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            _exit(0)
        }
    }
}

private func closeIn() {
    let code = csandbox_filter()
    precondition(code == 0, "\(code)")
}
