import ArgumentParser

/// `glossctl bench`
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures how fast this machine computes.",
        discussion: """
            On a machine that has nothing else to do; absolute times move with it by some percent, so compare within \
            one run.

            EXAMPLES
              glossctl bench quick --images 1000000
              glossctl bench peaks
              glossctl bench object --dtype int8

            \(ExitStatus.help)
            """,
        subcommands: [
            BenchQuick.self, BenchPeaks.self, BenchObject.self, BenchTable5.self, BenchGemm.self, BenchEngine.self,
        ])
}
