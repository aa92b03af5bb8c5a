import Annotation

extension Scheduler {
    /// Has each search whose beams know what may follow them choose, and its beams continue what it chose.
    ///
    /// A query has as many sequences as beams from the first pass on, so its memory is that of samples; until the first
    /// choice they are the same. Beams that continue one share its blocks.
    mutating func advanceBeams() {
        guard live.contains(where: { $0.choices != nil }) else { return }
        var next: [LiveSequence] = []
        var ended: [(query: Int, response: ScoredTokens)] = []
        var index = 0
        while index < live.count {
            let unit = live.unit(at: index)
            index = unit.upperBound
            guard live[unit.lowerBound].choices != nil else {
                next += live[unit]
                continue
            }
            let (query, beams) = (live[unit.lowerBound].query, Array(live[unit]))
            let search = advance(query, beams)
            if let response = search.response { ended.append((query, response)) }
            next += zip(beams, search.beams).map { place, beam in place.holding(beam, own: beams[beam.parent].own) }
        }
        live = next
        for (query, response) in ended { end(response, 0, of: query) }
    }

    private mutating func advance(_ query: Int, _ beams: [LiveSequence]) -> BeamSearch {
        let (first, settings) = (beams[0], beams[0].sampler.settings)
        var search =
            pending[query]!.search
            ?? BeamSearch(
                width: settings.beams, maxTokens: settings.maxTokens,
                beginning: BeamSearch.Beam(
                    tokens: first.tokens, logProbabilities: first.logProbabilities, spreads: first.spreads,
                    sum: first.logProbabilities.reduce(0, +)))
        search.advance(beams.prefix(search.beams.count).map { $0.choices! })
        pending[query]!.search = search
        return search
    }
}
