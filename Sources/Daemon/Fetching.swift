import Images
import Queue

extension WorkDriver.Fetching {
    /// A fetcher, in the queue's words.
    init(_ fetcher: ImageFetcher) {
        share = { fetcher.share(among: $0) }
        park = { fetcher.park($0, for: $1) }
        unpark = { fetcher.unpark($0) }
        takeCuts = {
            fetcher.takeCuts().map { HostCut(line: $0.line, cuts: $0.cutCount, places: $0.places) }
        }
        putBack = { cuts in
            fetcher.putBack(cuts.map { LineCut(line: $0.line, cutCount: $0.cuts, places: $0.places) })
        }
        learn = { allowances in
            fetcher.learn(
                allowances.map {
                    LineAllowance(line: $0.line, cutCount: $0.cuts, places: $0.places, age: .seconds($0.age))
                })
        }
    }
}
